/**
 * A server that does on the wire exactly what a script says: reads so much, answers this, stalls, cuts, resets. It is
 * raw TCP (or TLS) with an HTTP/1.1 reader that judges nothing, and it records what each connection brought: heads,
 * framing, bytes, digests, and when they came.
 * A script is data, one list of steps a connection; a handler is the same in code.
 */
import { type Connection, type ConnectionRecord, makeConnection, type RequestRecord } from "./internal/connection.ts"
import type { HeaderList } from "./internal/httpHead.ts"
import { listen } from "./internal/listen.ts"
import { Wire } from "./internal/wire.ts"

export type { Connection, ConnectionRecord, RequestRecord }

/**
 * One thing that a script does. Build them with the functions of this module.
 *
 * @since 0.1.0
 * @category models
 */
export type Step =
  | { readonly type: "readHead" }
  | { readonly type: "readBody"; readonly bytes?: number }
  | { readonly type: "trickle"; readonly bytes: number; readonly everyMs: number; readonly total?: number }
  | { readonly type: "send"; readonly bytes: Uint8Array | string }
  | {
      readonly type: "respond"
      readonly status: number
      readonly headers?: HeaderList
      readonly body?: string | Uint8Array
    }
  | { readonly type: "continue" }
  | { readonly type: "wait"; readonly ms: number }
  | { readonly type: "stall"; readonly ms?: number }
  | { readonly type: "halfClose" }
  | { readonly type: "close" }
  | { readonly type: "reset" }
  | { readonly type: "idle" }

/**
 * What one connection is served.
 *
 * @since 0.1.0
 * @category models
 */
export type Script = ReadonlyArray<Step>

/**
 * A script in code. The connection is closed when it ends.
 *
 * @since 0.1.0
 * @category models
 */
export type Handler = (connection: Connection) => Promise<void>

/**
 * Reads the head of a request, the first one or the next one on a kept connection.
 *
 * @since 0.1.0
 * @category steps
 */
export const readHead: Step = { type: "readHead" }

/**
 * Reads exactly so many body bytes, without framing. Left out: the whole body.
 *
 * @since 0.1.0
 * @category steps
 */
export const readBody = (bytes?: number): Step =>
  bytes === undefined ? { type: "readBody" } : { type: "readBody", bytes }

/**
 * Reads body bytes slowly: at most `bytes` each `everyMs`, until the end or until `total` have come.
 *
 * @since 0.1.0
 * @category steps
 */
export const trickle = (options: {
  readonly bytes: number
  readonly everyMs: number
  readonly total?: number
}): Step => ({
  type: "trickle",
  ...options
})

/**
 * Sends these bytes as they are.
 *
 * @since 0.1.0
 * @category steps
 */
export const send = (bytes: Uint8Array | string): Step => ({ type: "send", bytes })

/**
 * Sends an answer, with a Content-Length if the headers name no framing.
 *
 * @since 0.1.0
 * @category steps
 */
export const respond = (status: number, headers: HeaderList = [], body: string | Uint8Array = ""): Step => ({
  type: "respond",
  status,
  headers,
  body
})

/**
 * Sends `100 Continue`.
 *
 * @since 0.1.0
 * @category steps
 */
export const sendContinue: Step = { type: "continue" }

/**
 * Waits. What arrives meanwhile is taken from the kernel, up to 256 KiB.
 *
 * @since 0.1.0
 * @category steps
 */
export const wait = (ms: number): Step => ({ type: "wait", ms })

/**
 * Takes nothing from the kernel, for so long or for ever. The peer feels a closed TCP window.
 *
 * @since 0.1.0
 * @category steps
 */
export const stall = (ms?: number): Step => (ms === undefined ? { type: "stall" } : { type: "stall", ms })

/**
 * Sends FIN and goes on.
 *
 * @since 0.1.0
 * @category steps
 */
export const halfClose: Step = { type: "halfClose" }

/**
 * Closes the connection without a word, as a process does that ends: FIN, or RST where bytes were left unread.
 *
 * @since 0.1.0
 * @category steps
 */
export const close: Step = { type: "close" }

/**
 * Sends RST.
 *
 * @since 0.1.0
 * @category steps
 */
export const reset: Step = { type: "reset" }

/**
 * Leaves the connection open until the peer closes it.
 *
 * @since 0.1.0
 * @category steps
 */
export const idle: Step = { type: "idle" }

/**
 * Reads a whole request and answers it.
 *
 * @since 0.1.0
 * @category steps
 */
export const answer = (status: number, headers: HeaderList = [], body: string | Uint8Array = ""): Script => [
  readHead,
  readBody(),
  respond(status, headers, body)
]

const runStep = (connection: Connection, step: Step): Promise<unknown> => {
  switch (step.type) {
    case "readHead":
      return connection.readHead()
    case "readBody":
      return connection.readBody(step.bytes)
    case "trickle":
      return connection.trickle(step)
    case "send":
      return connection.send(step.bytes)
    case "respond":
      return connection.respond(step.status, step.headers, step.body)
    case "continue":
      return connection.sendContinue()
    case "wait":
      return connection.wait(step.ms)
    case "stall":
      return connection.stall(step.ms)
    case "halfClose":
      return connection.halfClose()
    case "close":
      return connection.close()
    case "reset":
      return connection.reset()
    case "idle":
      return connection.idle()
  }
}

const handlerOf =
  (script: Script): Handler =>
  async (connection) => {
    for (const step of script) await runStep(connection, step)
  }

/**
 * How to listen.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** Speaks TLS with this certificate and key, both PEM. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Whether bodies are digested with SHA-512. Default true. */
  readonly digest?: boolean
}

/**
 * A running fault server.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultServer {
  /** Without a path, `http://` or `https://`. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly connections: ReadonlyArray<ConnectionRecord>
  /** The requests of all connections, in the order of their heads. */
  readonly requests: ReadonlyArray<RequestRecord>
  /** Resolves when no connection is open. */
  readonly idle: () => Promise<void>
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/**
 * Starts a fault server. With a list of scripts each connection takes the next one, and the last one serves all that
 * come after; with a handler each connection gets the handler.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = async (plan: Handler | ReadonlyArray<Script>, options: Options = {}): Promise<FaultServer> => {
  const connections: Array<ConnectionRecord> = []
  const requests: Array<RequestRecord> = []
  const handlers = typeof plan === "function" ? [plan] : plan.map(handlerOf)
  if (handlers.length === 0) throw new Error("a fault server needs at least one script")
  const listener = await listen({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    tls: options.tls,
    onSocket: (accepted, number, closing) => {
      const wire = new Wire(accepted)
      const { connection, record } = makeConnection({
        wire,
        number,
        closing,
        digest: options.digest ?? true,
        onRequest: (request) => void requests.push(request)
      })
      connections.push(record)
      const handler = handlers[Math.min(number, handlers.length) - 1]!
      handler(connection).then(
        () => wire.finish(),
        (error: unknown) => {
          record.failure ??= error instanceof Error ? error : new Error(String(error))
          wire.close()
        }
      )
    }
  })
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${listener.host}:${listener.port}`,
    host: listener.host,
    port: listener.port,
    connections,
    requests,
    idle: listener.idle,
    close: listener.close,
    [Symbol.asyncDispose]: listener.close
  }
}
