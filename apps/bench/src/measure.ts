/**
 * Whole processes, from outside: wall and CPU seconds, and the memory of the whole process tree.
 */
import { execFileSync, spawn } from "node:child_process"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Figures {
  readonly wall: number
  readonly user: number
  readonly sys: number
  /** KiB. */
  readonly rssTree: number
  readonly rssOne: number
  /** Bytes, of files, pipes and sockets. */
  readonly read: number
  readonly code: number
}

export type Environment = Readonly<Record<string, string | undefined>>

const sources = fileURLToPath(new URL("..", import.meta.url))

/** Compiles one of the C programs beside `src` into a folder, and gives its path. */
export const compile = (folder: string, name: string, as = name, ...flags: ReadonlyArray<string>): string => {
  const out = join(folder, as)
  execFileSync("cc", ["-O2", "-pthread", "-o", out, join(sources, `${name}.c`), ...flags], { stdio: "pipe" })
  return out
}

/** Runs a command to its end, by the compiled program `measure`. */
export const measure = (program: string, command: ReadonlyArray<string>, env: Environment = {}): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, command, {
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      env: { ...process.env, ...env }
    })
    let figures = ""
    let errors = ""
    child.stderr!.on("data", (chunk: Buffer) => {
      errors += chunk.toString()
    })
    child.stdio[3]!.on("data", (chunk: Buffer) => {
      figures += chunk.toString()
    })
    child.on("close", () => {
      if (figures === "") return reject(new Error(`${command.join(" ")}: ${errors}`))
      const found = JSON.parse(figures) as Figures
      if (found.code !== 0) return reject(new Error(`${command.join(" ")}: exit code ${found.code}\n${errors}`))
      resolve(found)
    })
  })

export const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
