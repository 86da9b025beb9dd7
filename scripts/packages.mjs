/**
 * Packs every public package as it would be published, and checks what is in the tarball: publint, the types of each module as
 * an ESM program sees them, and that nothing is packed which has no source any more. Build first.
 *
 *     node scripts/packages.mjs
 */
import { execFileSync } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { root } from "./bring.mjs"
import { environment } from "./prepare.mjs"

const run = (command, args, cwd) => {
  try {
    const options = { cwd, env: environment(), encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] }
    return { ok: true, output: execFileSync(command, args, options) }
  } catch (error) {
    return { ok: false, output: `${error.stdout ?? ""}${error.stderr ?? error.message}` }
  }
}

/** Every module that a program may import, as attw names it. */
const entrypoints = (manifest, contents) =>
  Object.keys(manifest.exports).flatMap((key) => {
    if (key !== "./*") return manifest.exports[key] === null || key === "./package.json" ? [] : [key]
    return contents
      .filter((file) => file.startsWith("dist/") && file.endsWith(".js") && !file.startsWith("dist/internal/"))
      .map((file) => `./${file.slice("dist/".length, -".js".length)}`)
  })

// the command's folder is written anew by each build
const isCommand = (file) => /^dist\/command\/[\w.-]+\.(js|txt)$/.test(file)

const strangers = (contents) => {
  const sources = new Set(contents.filter((file) => file.startsWith("src/")).map((file) => file.replace(/\.ts$/, "")))
  return contents.filter((file) => {
    if (isCommand(file)) return false
    if (!file.startsWith("dist/")) return !/^(src\/.*\.ts|package\.json|README\.md|CHANGELOG\.md|LICENSE)$/.test(file)
    const module = /^dist\/(.*?)(\.d)?\.(js|ts)(\.map)?$/.exec(file)?.[1]
    return module === undefined || !sources.has(`src/${module}`)
  })
}

const check = (folder, destination) => {
  const manifest = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
  const packed = run("pnpm", ["pack", "--pack-destination", destination, "--json"], folder)
  if (!packed.ok) return [packed.output]
  const tarball = path.join(destination, `${manifest.name.replace("@", "").replace("/", "-")}-${manifest.version}.tgz`)
  const contents = run("tar", ["-tzf", tarball], root)
    .output.trim()
    .split("\n")
    .map((file) => file.replace(/^package\//, ""))
  const modules = entrypoints(manifest, contents)
  const checks = [
    run("publint", [tarball, "--strict"], root),
    run("attw", [tarball, "--profile", "esm-only", "--no-emoji", "--entrypoints", ...modules], root)
  ]
  console.log(`${manifest.name}: ${contents.length} files, ${modules.length} modules`)
  return [
    ...(modules.length === 0 ? [`${manifest.name} has no module to import`] : []),
    ...strangers(contents).map((file) => `${manifest.name}: ${file} does not belong into the package`),
    ...checks.filter(({ ok }) => !ok).map(({ output }) => output)
  ]
}

const destination = fs.mkdtempSync(path.join(os.tmpdir(), "headrace-pack-"))
try {
  const problems = fs
    .readdirSync(path.join(root, "packages"))
    .flatMap((name) => check(path.join(root, "packages", name), destination))
  for (const problem of problems) console.error(problem)
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  fs.rmSync(destination, { recursive: true })
}
