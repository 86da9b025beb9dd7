/**
 * Installs the dependencies and builds, each only when something has changed since the last time. To find out costs some
 * hundred `stat`s, a few milliseconds. All that is said goes to stderr.
 */
import { createHash } from "node:crypto"
import fs from "node:fs"
import path from "node:path"
import { bring, brought, root, tools } from "./bring.mjs"
import { runChild } from "./child.mjs"
import { say, withLock } from "./lock.mjs"

/** The environment in which the development tools find each other and the right Node. */
export const environment = () => ({
  ...process.env,
  PATH: [brought.bin, path.join(root, "node_modules", ".bin"), process.env.PATH].join(path.delimiter)
})

/** Runs a development tool, its output on stderr, or only what it says there. */
const tool = (command, args, stdout = 2) =>
  runChild(`${command} ${args.join(" ")}`, command, args, {
    cwd: root,
    env: environment(),
    stdio: ["ignore", stdout, 2]
  })

const folders = () =>
  ["packages", "apps", "examples"].flatMap((group) =>
    fs.existsSync(path.join(root, group))
      ? fs.readdirSync(path.join(root, group)).map((name) => path.join(root, group, name))
      : []
  )

const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "")

const isCurrent = (stamp, signature) => read(path.join(tools, stamp)) === signature

const writeStamp = (stamp, signature) => {
  const file = path.join(tools, stamp)
  fs.writeFileSync(`${file}.new`, signature)
  fs.renameSync(`${file}.new`, file)
}

/** Counts, sizes and newest change of files and folders: a removed or renamed file changes its folder. */
const measure = (paths) => {
  const total = { count: 0, size: 0, newest: 0 }
  const visit = (file) => {
    const status = fs.statSync(file, { throwIfNoEntry: false })
    if (status === undefined) return
    total.count += 1
    total.newest = Math.max(total.newest, status.mtimeMs)
    if (!status.isDirectory()) {
      total.size += status.size
      return
    }
    for (const name of fs.readdirSync(file)) visit(path.join(file, name))
  }
  for (const file of paths) visit(file)
  return `${total.count} ${total.size} ${total.newest}`
}

const manifests = () => [
  ...["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"].map((name) => path.join(root, name)),
  ...folders().map((folder) => path.join(folder, "package.json"))
]

const installIfNeeded = async () => {
  const hash = createHash("sha256")
  for (const file of manifests()) hash.update(read(file)).update("\0")
  const signature = `${hash.digest("hex")} ${fs.realpathSync(brought.node)}`
  if (isCurrent("installed", signature) && fs.existsSync(path.join(root, "node_modules", ".modules.yaml"))) return
  say("installing the dependencies")
  await tool("pnpm", ["install", "--frozen-lockfile", "--config.confirmModulesPurge=false", "--reporter=append-only"])
  writeStamp("installed", signature)
}

/** Beside its modules, this one's command is built as one program. */
const commandProject = "packages/headrace"
const bundling = "rolldown.config.mjs"

const sources = () => [
  ...manifests(),
  path.join(root, "tsconfig.base.json"),
  path.join(root, "tsconfig.json"),
  path.join(root, commandProject, bundling),
  ...folders().flatMap((folder) => [path.join(folder, "tsconfig.json"), path.join(folder, "src")])
]

// the compiler does not look whether what it wrote is still there
const outputs = () =>
  [...folders().map((folder) => path.join(folder, "dist")), path.join(root, commandProject, "dist", "command")]
    .filter((output) => fs.existsSync(output))
    .join(" ")

const stampOf = (project) => `built-${project.replace(/\W+/g, "-")}`

/** Has nothing changed since this project was built? */
export const isBuilt = (project) =>
  fs.existsSync(brought.node) && isCurrent(stampOf(project), `${measure(sources())} ${outputs()}`)

const build = async (project) => {
  const measured = measure(sources())
  say(project === "." ? "building" : `building ${project}`)
  await tool("tsc", ["-b", project])
  const withCommand = project === "." || project === commandProject
  if (withCommand) await tool("rolldown", ["--config", path.join(commandProject, bundling)], "ignore")
  const signature = `${measured} ${outputs()}`
  writeStamp(stampOf(project), signature)
  // or the first call of the command would build it again, beside others that run it
  if (withCommand) writeStamp(stampOf(commandProject), signature)
}

/**
 * Brings Node and pnpm, installs the dependencies, and builds the project (`packages/headrace`, `apps/demo`, `.` for
 * everything) with what it needs.
 */
export const prepare = async (project) => {
  await bring()
  await withLock(path.join(tools, "prepare.lock"), async () => {
    await installIfNeeded()
    if (project === undefined) return
    // everything is more than these sources, the tests too, and the compiler itself knows what is new
    if (project !== "." && isBuilt(project)) return
    await build(project)
  })
}
