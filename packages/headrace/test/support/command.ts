/** Runs the built command as a shell would, in a folder of its own with a `clouds.yaml`. */
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process"
import { randomFillSync } from "node:crypto"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

const bin = fileURLToPath(new URL("../../dist/command/headrace.js", import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>
  /** Bytes, a pipe that stays open, or a file's descriptor. */
  readonly stdin?: Uint8Array | "open" | number
  /** A file's descriptor instead of a pipe. */
  readonly stdout?: number
  /** Milliseconds after which it is killed (40 s). */
  readonly patienceMs?: number
  /** Told when the process runs. */
  readonly during?: (child: ChildProcessWithoutNullStreams) => void
}

export interface Bench {
  readonly folder: string
  readonly glance: EmbeddedGlance.EmbeddedGlance
  readonly run: (args: ReadonlyArray<string>, options?: RunOptions) => Promise<Ended>
  /** Writes a file of random bytes into the folder and gives them. */
  readonly file: (name: string, size: number) => Promise<Uint8Array>
  readonly close: () => Promise<void>
}

export const random = (size: number): Uint8Array => randomFillSync(new Uint8Array(size))

export const cloud = (name: string, url: string): string =>
  `  ${name}:\n    auth_type: none\n    auth:\n      endpoint: ${url}\n`

/** A new folder with a `clouds.yaml`. */
export const folder = async (clouds: string): Promise<string> => {
  const made = await mkdtemp(join(tmpdir(), "headrace-test-"))
  await writeFile(join(made, "clouds.yaml"), `clouds:\n${clouds}`)
  return made
}

export const open = async (options?: EmbeddedGlance.Options): Promise<Bench> => {
  const glance = await EmbeddedGlance.start(options)
  const at = await folder(cloud("emb", glance.url))
  return {
    folder: at,
    glance,
    run: (args, more) => run(at, args, more),
    file: async (name, size) => {
      const bytes = random(size)
      await writeFile(join(at, name), bytes)
      return bytes
    },
    close: async () => {
      await glance.close()
      await rm(at, { recursive: true, force: true })
    }
  }
}

/** Runs the built command in a folder that is its home, too. */
export const run = (cwd: string, args: ReadonlyArray<string>, options?: RunOptions): Promise<Ended> =>
  program(cwd, process.execPath, [bin, ...args], options)

/** Runs a program in a folder that is its home, too, until it ends. */
export const program = (
  cwd: string,
  command: string,
  args: ReadonlyArray<string>,
  options?: RunOptions
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { PATH: process.env["PATH"] ?? "", HOME: cwd, ...options?.env },
      stdio: [typeof options?.stdin === "number" ? options.stdin : "pipe", options?.stdout ?? "pipe", "pipe"]
    }) as ChildProcessWithoutNullStreams
    const timer = setTimeout(() => child.kill("SIGKILL"), options?.patienceMs ?? 40_000)
    let stdout = ""
    let stderr = ""
    if (options?.stdout === undefined) child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    child.on("error", reject)
    child.on("close", (code, signal) => {
      clearTimeout(timer)
      resolve({ code, signal, stdout, stderr })
    })
    if (typeof options?.stdin !== "number") {
      child.stdin.on("error", () => {})
      if (options?.stdin === undefined) child.stdin.end()
      else if (options.stdin !== "open") child.stdin.end(options.stdin)
    }
    options?.during?.(child)
  })

/** Runs `then` once the service has got so many body bytes of the upload that runs. */
export const whenFlowing = (child: ChildProcessWithoutNullStreams, then: () => void): void => {
  let seen = ""
  const look = (text: string) => {
    seen += text
    if (!/"sent":[1-9]/.test(seen)) return
    child.stdout.off("data", look)
    then()
  }
  child.stdout.on("data", look)
}
