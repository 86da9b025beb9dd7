/**
 * Whole processes, from outside: wall and CPU seconds, and the memory of the whole process tree.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process"
import { mkdtempSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export interface Figures {
  readonly wall: number
  readonly user: number
  readonly sys: number
  /** KiB. */
  readonly rssTree: number
  readonly rssOne: number
  readonly code: number
}

const here = fileURLToPath(new URL("..", import.meta.url))
const built = mkdtempSync(join(tmpdir(), "headrace-bench-"))

const compile = (name: string): string => {
  const out = join(built, name)
  execFileSync("cc", ["-O2", "-pthread", "-o", out, join(here, `${name}.c`)])
  return out
}

const measureBinary = compile("measure")
const sinkBinary = compile("sink")

export const folder = built

/** Starts the sink; it answers as a Glance does and throws bodies away in the kernel. */
export const startSink = async (): Promise<{ readonly url: string; readonly stop: () => void }> => {
  const child: ChildProcess = spawn(sinkBinary, ["0"], { stdio: ["ignore", "pipe", "inherit"] })
  const port = await new Promise<string>((resolve) =>
    child.stdout!.once("data", (line: Buffer) => resolve(line.toString().trim()))
  )
  return { url: `http://127.0.0.1:${port}`, stop: () => void child.kill() }
}

/** Runs a command to its end. */
export const measure = (command: ReadonlyArray<string>, env: Record<string, string> = {}): Promise<Figures> =>
  new Promise((resolve, reject) => {
    const child = spawn(measureBinary, command, {
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
