/**
 * One service process on a free loopback port, its state in a temporary directory. A small watcher process stands
 * between it and us: however this process ends, the service is ended and its directory removed.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readFile, realpath } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { findPython } from "./Installation.ts"

/** A running service. */
export interface Service {
  readonly url: string
  /** Its state: configuration, databases, logs. Removed by `stop`. */
  readonly directory: string
  /** What the process has printed: a line for each request, where it logs them. */
  readonly output: () => Promise<string>
  /** Ends the process and resolves when it is gone and its directory removed. */
  readonly stop: () => Promise<void>
}

/** How to start one. */
export interface Launch {
  readonly name: string
  /** Prepares `directory`, and says what to run so that it answers on `port`. */
  readonly prepare: (
    directory: string,
    port: number
  ) => Promise<{
    readonly command: ReadonlyArray<string>
    readonly env: Readonly<Record<string, string>>
  }>
  /** The path that answers 200 when the service is ready. */
  readonly health: string
  /** The largest file the process may write, in bytes. */
  readonly fileLimit?: number | undefined
}

/** A port of loopback that nobody listens on. */
export const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, "127.0.0.1")
  await once(server, "listening")
  const address = server.address()
  server.close()
  await once(server, "close")
  if (address === null || typeof address === "string") throw new Error("no free port")
  return address.port
}

const tail = async (file: string): Promise<string> =>
  readFile(file, "utf8").then(
    (text) => text.slice(-3000),
    () => ""
  )

const answers = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(5000) }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.ok
    },
    () => false
  )

const startAt = async (launch: Launch, port: number): Promise<Service> => {
  const python = await findPython()
  const url = `http://127.0.0.1:${port}`
  const directory = await realpath(await mkdtemp(join(tmpdir(), `headrace-${launch.name}-`)))
  const log = join(directory, "output.log")
  const { command, env } = await launch.prepare(directory, port)
  const order = JSON.stringify({ command, log, remove: directory, fileLimit: launch.fileLimit ?? null })
  const watcher = spawn(python, ["-I", "-S", "-B", join(import.meta.dirname, "watch.py"), order], {
    detached: true,
    stdio: ["pipe", "ignore", "inherit"],
    env: { ...process.env, ...env }
  })
  let ended = false
  const gone = once(watcher, "exit").then(() => {
    ended = true
  })
  watcher.stdin.on("error", () => undefined)
  // a service that nobody stopped must not keep a finished program alive
  watcher.unref()
  if ("unref" in watcher.stdin && typeof watcher.stdin.unref === "function") watcher.stdin.unref()
  const stop = async (): Promise<void> => {
    watcher.ref()
    watcher.stdin.end()
    await gone
  }
  const limit = Date.now() + 60_000
  while (!(await answers(url + launch.health))) {
    if (ended || Date.now() > limit) {
      const said = await tail(log)
      await stop()
      throw new Error(`${launch.name} ${ended ? "ended at its start" : "did not answer within 60 s"}:\n${said}`)
    }
    await sleep(40)
  }
  return { url, directory, output: () => readFile(log, "utf8"), stop }
}

/** Starts a service and waits until it answers; tries other ports when somebody takes the chosen one. */
export const start = async (launch: Launch): Promise<Service> => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await startAt(launch, await freePort())
    } catch (error) {
      if (attempt === 3 || !(error instanceof Error && error.message.includes("Address already in use"))) throw error
    }
  }
}

/** pyuwsgi in the foreground with these options, and those that every service here has. */
export const uwsgi = (
  venv: string,
  module: string,
  options: Readonly<Record<string, string | true>>
): ReadonlyArray<string> => {
  const all: Record<string, string | true> = {
    virtualenv: venv,
    module,
    "buffer-size": "65535",
    master: true,
    "die-on-term": true,
    "no-orphans": true,
    "lazy-apps": true,
    "need-app": true,
    "enable-threads": true,
    ...options
  }
  const flags = Object.entries(all).flatMap(([name, value]) => (value === true ? [`--${name}`] : [`--${name}`, value]))
  return [join(venv, "bin/pyuwsgi"), ...flags]
}
