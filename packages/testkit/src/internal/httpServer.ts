/**
 * The server in front of the application, in one of the two manners that a Glance is found behind.
 * The manner decides what the application cannot: when a 100 Continue goes out, whether the rest of a refused body is
 * read, what a broken chunk means, and how a connection ends.
 */
import { setTimeout as sleep } from "node:timers/promises"
import { Body, type BodyRules } from "./httpBody.ts"
import { formatHead, type Head, type HeaderList, readHead } from "./httpHead.ts"
import { listen, type Listening } from "./listen.ts"
import { Wire } from "./wire.ts"

export type MannerName = "eventlet" | "uwsgi"

export interface Manner {
  readonly name: MannerName
  readonly rules: BodyRules
  /** Longest wait for the next request on a kept connection in ms, 0 for no limit. */
  readonly idleTimeoutMs: number
}

/** uWSGI's chunk buffer is 1 MiB and holds the size line and the line end as well. */
export const uwsgiMaxChunk = 1_048_567

export const makeManner = (
  name: MannerName,
  socketTimeoutMs: number | undefined,
  maxChunk: number | undefined
): Manner =>
  name === "eventlet"
    ? {
        name,
        rules: {
          timeoutMs: socketTimeoutMs ?? 900_000,
          maxChunk: maxChunk ?? Number.MAX_SAFE_INTEGER,
          badChunk: "error"
        },
        idleTimeoutMs: socketTimeoutMs ?? 900_000
      }
    : {
        name,
        rules: { timeoutMs: socketTimeoutMs ?? 10_000, maxChunk: maxChunk ?? uwsgiMaxChunk, badChunk: "end" },
        idleTimeoutMs: socketTimeoutMs ?? 10_000
      }

export interface Answer {
  readonly status: number
  readonly headers?: HeaderList
  readonly body?: Uint8Array | string | AsyncIterable<Uint8Array>
  /** Without a request id: the answer is not the application's. */
  readonly anonymous?: boolean
}

/** Instead of an answer: the connection ends. `hang` leaves it open and silent until the server closes. */
export type Ending = "reset" | "close" | "hang"

export interface Exchange {
  readonly head: Head
  readonly body: Body
  readonly wire: Wire
  readonly connection: number
  /** Resolves when the server is told to close. */
  readonly closing: Promise<void>
}

export interface Exchanged {
  readonly exchange: Exchange
  readonly status: number | undefined
  readonly continued: boolean
  readonly startedAt: number
}

export interface HttpServerOptions {
  readonly manner: Manner
  readonly host: string
  readonly port: number
  readonly tls?: { readonly key: string; readonly cert: string } | undefined
  readonly handle: (exchange: Exchange) => Promise<Answer | Ending>
  readonly onConnection?: () => void
  readonly onAnswered: (exchanged: Exchanged) => void
}

const sendAnswer = async (wire: Wire, manner: Manner, head: Head, answer: Answer, close: boolean): Promise<void> => {
  const headers = [...(answer.headers ?? [])]
  if (manner.name === "eventlet") headers.push(["Date", new Date().toUTCString()])
  if (close) headers.push(["Connection", "close"])
  const text = formatHead(answer.status, headers)
  const body = answer.body
  if (body === undefined || head.method === "HEAD") return wire.write(text)
  if (typeof body === "string") return wire.write(text + body)
  if (body instanceof Uint8Array) return wire.write(Buffer.concat([Buffer.from(text, "latin1"), body]))
  await wire.write(text)
  for await (const piece of body) {
    if (wire.lost) return
    await wire.write(piece)
  }
}

const serveOne = async (
  wire: Wire,
  head: Head,
  connection: number,
  closing: Promise<void>,
  options: HttpServerOptions
): Promise<boolean> => {
  const { manner } = options
  const startedAt = Date.now()
  const body = new Body(wire, head, manner.rules)
  const exchange: Exchange = { head, body, wire, connection, closing }
  const expects = /^100-continue$/i.test(head.headers["expect"] ?? "") && !body.done
  let continued = false
  if (expects && manner.name === "eventlet") {
    body.onFirstRead = async () => {
      continued = true
      await wire.write("HTTP/1.1 100 Continue\r\n\r\n")
    }
  }
  const answer = await options.handle(exchange).catch(() => "reset" as const)
  const status = typeof answer === "string" ? undefined : answer.status
  const finished = () => options.onAnswered({ exchange, status, continued, startedAt })
  if (typeof answer === "string") {
    finished()
    if (answer === "hang") await closing
    if (answer === "close") wire.close()
    else wire.reset()
    return false
  }
  const asked = /\bclose\b/i.test(head.headers["connection"] ?? "") || head.version === "HTTP/1.0"
  const close = manner.name === "uwsgi" || asked || (expects && !continued)
  await sendAnswer(wire, manner, head, answer, close)
  if (close) {
    finished()
    if (manner.name === "eventlet") await wire.halfClose()
    else {
      // uWSGI closes its descriptor, a moment after the answer and no more than that: with bytes unread it is a reset
      wire.hold()
      await sleep(1)
    }
    wire.close()
    return false
  }
  // eventlet swallows what is left of a refused body, and only then looks for the next request
  await body.drain().finally(finished)
  return true
}

const eventletBadLength = (head: Head): boolean => {
  const length = head.headers["content-length"]
  return length !== undefined && !/^\d+$/.test(length)
}

const serveConnection = async (
  wire: Wire,
  connection: number,
  closing: Promise<void>,
  options: HttpServerOptions
): Promise<void> => {
  for (;;) {
    const head = await readHead(wire, options.manner.idleTimeoutMs)
    if (head === undefined) break
    if (options.manner.name === "eventlet" && eventletBadLength(head)) {
      await wire.write(
        formatHead(400, [
          ["Connection", "close"],
          ["Content-Length", "0"]
        ])
      )
      break
    }
    if (!(await serveOne(wire, head, connection, closing, options))) return
  }
  wire.close()
}

export const startHttpServer = (options: HttpServerOptions): Promise<Listening> =>
  listen({
    host: options.host,
    port: options.port,
    tls: options.tls,
    onSocket: (accepted, connection, closing) => {
      const wire = new Wire(accepted)
      options.onConnection?.()
      serveConnection(wire, connection, closing, options).catch(() => wire.close())
    }
  })
