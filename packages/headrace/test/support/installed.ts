/**
 * The packages as users get them: packed by `pnpm pack`, and installed by npm into an empty folder. What they depend on
 * comes from npm's cache, or from the registry where it is not there.
 */
import { spawn } from "node:child_process"
import { mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"

const root = join(import.meta.dirname, "../../../..")

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

export interface Installed {
  readonly folder: string
  readonly write: (name: string, content: string | Uint8Array) => Promise<void>
  /** Runs a program in the folder, with nothing of the tests' environment. One that does not end by itself is killed. */
  readonly run: (command: string, args: ReadonlyArray<string>) => Promise<Ended>
  /** Checks types as strictly as can be, with the declarations of dependencies too. */
  readonly typeCheck: (files: ReadonlyArray<string>, types?: ReadonlyArray<string>) => Promise<string>
  readonly remove: () => Promise<void>
}

/** The Node of the tests, for everything that says `node`. */
const path = [dirname(process.execPath), process.env["PATH"] ?? ""].join(":")

const execute = (
  command: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd: string; readonly env: NodeJS.ProcessEnv }
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
    const timer = setTimeout(() => child.kill("SIGKILL"), 50_000)
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("error", reject)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr })
    })
  })

const must = async (ended: Promise<Ended>): Promise<void> => {
  const { code, signal, stderr, stdout } = await ended
  if (code !== 0) throw new Error(`ended with ${signal ?? code}: ${stderr}${stdout}`)
}

/** npm's own settings stay (the registry, the cache); where `npm test` was called from does not matter here. */
const npmEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries({ ...process.env, PATH: path }).filter(([name]) => !/^(INIT_CWD$|npm_(?!config_))/i.test(name))
  )

export const install = async (): Promise<Installed> => {
  const base = await realpath(await mkdtemp(join(tmpdir(), "headrace-installed-")))
  const folder = join(base, "empty")
  const tarballs = join(base, "tarballs")
  await mkdir(folder)
  const write = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content)
  const env = npmEnvironment()
  const pack = ["-r", "--filter", "./packages/*", "pack", "--pack-destination", tarballs]
  await must(execute("pnpm", pack, { cwd: root, env }))
  await write("package.json", `{ "private": true, "type": "module" }\n`)
  const files = (await readdir(tarballs)).map((name) => join(tarballs, name))
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"]
  await must(execute("npm", ["install", "--prefix", folder, ...quiet, ...files], { cwd: folder, env }))
  return {
    folder,
    write,
    run: (command, args) => execute(command, args, { cwd: folder, env: { PATH: path, HOME: folder } }),
    typeCheck: async (sources, types = []) => {
      const compilerOptions = {
        strict: true,
        exactOptionalPropertyTypes: true,
        noUncheckedIndexedAccess: true,
        module: "nodenext",
        target: "es2023",
        noEmit: true,
        types,
        typeRoots: [join(root, "node_modules/@types")]
      }
      await write("tsconfig.json", JSON.stringify({ compilerOptions, files: sources }))
      const tsc = join(root, "node_modules/.bin/tsc")
      const { stderr, stdout } = await execute(tsc, ["-p", folder], { cwd: folder, env: { PATH: path } })
      return stdout + stderr
    },
    remove: () => rm(base, { recursive: true, force: true })
  }
}
