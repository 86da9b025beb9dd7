/**
 * Other clients of S3, brought when they are needed: opendal and lib-storage from npm, s5cmd built by Go. A machine that
 * cannot have one goes without it.
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"

export interface Peers {
  /** A folder whose node_modules has opendal and lib-storage. */
  readonly modules: string | undefined
  readonly s5cmd: string | undefined
}

const npm = ["opendal@0.47.11", "@aws-sdk/client-s3@3.1175.0", "@aws-sdk/lib-storage@3.1175.0"]

const s5cmd = "github.com/peak/s5cmd/v2"
const s5cmdVersion = "v2.3.0"

const tried = <A>(what: string, call: () => A): A | undefined => {
  try {
    return call()
  } catch (cause) {
    console.error(`bench: without ${what}: ${cause instanceof Error ? cause.message.split("\n")[0] : String(cause)}`)
    return undefined
  }
}

const bringModules = (folder: string): string => {
  if (!existsSync(join(folder, "node_modules", "opendal"))) {
    mkdirSync(folder, { recursive: true })
    execFileSync("npm", ["install", "--no-audit", "--no-fund", "--prefix", folder, ...npm], { stdio: "pipe" })
  }
  return folder
}

/** Not by `go install`, which asks for a list of versions that not every proxy has. */
const buildS5cmd = (folder: string): string => {
  const program = join(folder, "s5cmd")
  if (!existsSync(program)) {
    const source = join(folder, "go")
    mkdirSync(source, { recursive: true })
    writeFileSync(join(source, "go.mod"), `module peers\n\ngo 1.22\n\nrequire ${s5cmd} ${s5cmdVersion}\n`)
    writeFileSync(join(source, "peers.go"), `//go:build peers\n\npackage peers\n\nimport _ "${s5cmd}"\n`)
    const env = { ...process.env, GOFLAGS: "-mod=mod" }
    execFileSync("go", ["build", "-o", program, s5cmd], { cwd: source, stdio: "pipe", env })
  }
  return program
}

export const bring = (folder: string): Peers => ({
  modules: tried("opendal and lib-storage", () => bringModules(folder)),
  s5cmd: tried("s5cmd", () => buildS5cmd(folder))
})
