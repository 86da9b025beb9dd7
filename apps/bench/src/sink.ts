/**
 * The sink: a Glance that throws bodies away in the kernel, a process of its own (see sink.c).
 */
import { spawn } from "node:child_process"

export interface Sink {
  readonly url: string
  /** What has come since it was asked last. */
  readonly seen: () => Promise<Seen>
  readonly stop: () => void
}

export interface Seen {
  readonly requests: number
  /** Of the last PUT: its bytes, the seconds from its first byte to its last, the longest time between two. */
  readonly bytes: number
  readonly seconds: number
  readonly gap: number
}

/**
 * Starts a compiled sink; over TLS when a file with certificate and key is given; one that takes so many MiB a second of
 * each body when it is told.
 */
export const start = async (
  program: string,
  pem?: string,
  mibPerSecond?: number,
  more?: Readonly<Record<string, string>>
): Promise<Sink> => {
  const child = spawn(program, pem === undefined ? ["0"] : ["0", pem], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...more, ...(mibPerSecond === undefined ? undefined : { SINK_MIB_S: String(mibPerSecond) }) }
  })
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()))
    child.once("exit", () => reject(new Error("the sink does not start")))
  })
  const url = `${pem === undefined ? "http" : "https"}://127.0.0.1:${port}`
  return {
    url,
    seen: async () => (await (await fetch(`${url}/bench`, { headers: { connection: "close" } })).json()) as Seen,
    stop: () => void child.kill()
  }
}
