/**
 * A proxy in front of a real server that fails on purpose. Bytes pass as they are, HTTP chunks too; a fault strikes
 * at an exact byte of a request's body or of its answer. Requests that no fault is for pass untouched, so control
 * calls to the same server work while an upload is being hurt.
 */
import { connect } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { formatHead, type HeaderList } from "./internal/httpHead.ts"
import { listen } from "./internal/listen.ts"
import { type Segment, Tap } from "./internal/tap.ts"
import { Wire, WireLost } from "./internal/wire.ts"

/**
 * What is done to a request. `afterBytes` counts body bytes, without framing.
 *
 * @since 0.1.0
 * @category models
 */
export type ProxyFault =
  /** Passes. */
  | { readonly type: "none" }
  /** Reset before a byte of it goes on. */
  | { readonly type: "refuse" }
  /** Both sides are cut after so many body bytes of the request. */
  | { readonly type: "cutRequest"; readonly afterBytes: number; readonly how: "reset" | "close" }
  /** The request is not moved on for so long, or for ever. */
  | { readonly type: "stallRequest"; readonly afterBytes: number; readonly ms?: number }
  /** The request moves no faster than this. */
  | { readonly type: "slowRequest"; readonly bytesPerSecond: number }
  /** One bit of a body byte, counted from 0, is another one when it goes on. */
  | { readonly type: "corruptRequest"; readonly atByte: number }
  /** The server answers, and the client never sees it. */
  | { readonly type: "dropAnswer"; readonly how: "reset" | "close" | "hang" }
  /** The server answers, and the client sees something else, as from a gateway: no request id. */
  | {
      readonly type: "replaceAnswer"
      readonly status: number
      readonly headers?: HeaderList
      readonly body?: string
    }
  /** A gateway's answer after so many body bytes; the server sees its client go. */
  | {
      readonly type: "answerEarly"
      readonly afterBytes: number
      readonly status: number
      readonly headers?: HeaderList
      readonly body?: string
    }
  /** The answer comes so much later. */
  | { readonly type: "delayAnswer"; readonly ms: number }
  /** Both sides are cut after so many body bytes of the answer. */
  | { readonly type: "cutAnswer"; readonly afterBytes: number; readonly how: "reset" | "close" }
  /** The answer stops after so many body bytes, for so long, or for ever. */
  | { readonly type: "stallAnswer"; readonly afterBytes: number; readonly ms?: number }

/**
 * What the proxy saw of one request.
 *
 * @since 0.1.0
 * @category models
 */
export interface ProxiedRequest {
  readonly connection: number
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Body bytes of the request that were moved on. */
  readonly sent: number
  /** The server's own status, whatever the client was shown. */
  readonly status: number | undefined
  /** Body bytes of the answer that were moved on. */
  readonly received: number
  readonly fault: ProxyFault["type"]
}

/**
 * How to stand in front of a server.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The real server. */
  readonly target: { readonly host?: string; readonly port: number }
  readonly host?: string
  readonly port?: number
  /** Speaks TLS to the client; to the server it does not. */
  readonly tls?: { readonly key: string; readonly cert: string }
  /** Which requests faults are for. Default: `PUT` to a path that ends in `/file`. */
  readonly match?: (request: {
    readonly method: string
    readonly path: string
    /** Names in lower case. */
    readonly headers: Readonly<Record<string, string>>
  }) => boolean
  /** What is done to those, in order; what comes after passes. */
  readonly faults?: ReadonlyArray<ProxyFault>
}

/**
 * A running fault proxy.
 *
 * @since 0.1.0
 * @category models
 */
export interface FaultProxy {
  readonly url: string
  readonly port: number
  readonly requests: ReadonlyArray<ProxiedRequest>
  readonly push: (...faults: ReadonlyArray<ProxyFault>) => void
  /** How many faults still wait. */
  readonly waiting: () => number
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

/** Ends both directions of a pair. */
class Cut extends Error {
  override readonly name = "Cut"
}

interface Pair {
  readonly client: Wire
  readonly server: Wire
  readonly closing: Promise<void>
  readonly answers: Tap
  /** The request that is under way. */
  request: Mutable<ProxiedRequest> | undefined
  fault: ProxyFault
  /** Where a fault that strikes at a byte has struck. */
  struck: boolean
}

const pause = (pair: Pair, ms: number | undefined): Promise<unknown> =>
  ms === undefined ? pair.closing : Promise.race([pair.closing, sleep(ms)])

const cut = (pair: Pair, how: "reset" | "close"): never => {
  for (const wire of [pair.client, pair.server]) {
    if (how === "reset") wire.reset()
    else wire.close()
  }
  throw new Cut()
}

const gatewayAnswer = (fault: { status: number; headers?: HeaderList; body?: string }): string => {
  const title = `${fault.status} ${fault.status === 502 ? "Bad Gateway" : "Error"}`
  const body = fault.body ?? `<html><head><title>${title}</title></head><body><h1>${title}</h1></body></html>`
  const headers: HeaderList = [
    ["Content-Type", "text/html"],
    ["Content-Length", String(Buffer.byteLength(body))],
    ["Connection", "close"],
    ...(fault.headers ?? [])
  ]
  return formatHead(fault.status, headers) + body
}

const answerAndCut = async (pair: Pair, fault: { status: number; headers?: HeaderList; body?: string }) => {
  await pair.client.write(gatewayAnswer(fault))
  await pair.client.halfClose()
  pair.server.close()
  // the client may still be sending: what it sends is read, so that no reset overtakes the answer
  pair.client.finish()
  throw new Cut()
}

const strikeRequest = async (pair: Pair): Promise<void> => {
  const { fault } = pair
  if (fault.type === "cutRequest") cut(pair, fault.how)
  if (fault.type === "answerEarly") await answerAndCut(pair, fault)
  if (fault.type === "stallRequest") {
    pair.client.hold()
    await pause(pair, fault.ms)
  }
}

const strikeAnswer = async (pair: Pair): Promise<void> => {
  const { fault } = pair
  if (fault.type === "cutAnswer") cut(pair, fault.how)
  if (fault.type === "stallAnswer") await pause(pair, fault.ms)
}

/** The bytes, but for a bit that a fault asks to be another one. */
const corrupted = (fault: ProxyFault, bytes: Buffer, moved: number): Buffer => {
  if (fault.type !== "corruptRequest") return bytes
  const at = fault.atByte - moved
  if (at < 0 || at >= bytes.length) return bytes
  const others = Buffer.from(bytes)
  others[at]! ^= 1
  return others
}

/** Moves a run of payload on, and strikes where a fault asks for it. */
const movePayload = async (
  pair: Pair,
  bytes: Buffer,
  to: Wire,
  count: "sent" | "received",
  strikeAt: number | undefined,
  strike: (pair: Pair) => Promise<void>
): Promise<void> => {
  const request = pair.request
  const moved = request?.[count] ?? 0
  const payload = count === "sent" ? corrupted(pair.fault, bytes, moved) : bytes
  const cutAt = strikeAt === undefined || pair.struck ? Number.POSITIVE_INFINITY : strikeAt - moved
  const first = payload.subarray(0, cutAt)
  const rest = payload.subarray(first.length)
  if (first.length > 0) await to.write(first)
  if (request !== undefined) request[count] += first.length
  if (cutAt <= bytes.length && !pair.struck) {
    pair.struck = true
    await strike(pair)
  }
  if (rest.length > 0) {
    await to.write(rest)
    if (request !== undefined) request[count] += rest.length
  }
}

const requestStrike = (fault: ProxyFault): number | undefined =>
  fault.type === "cutRequest" || fault.type === "stallRequest" || fault.type === "answerEarly"
    ? fault.afterBytes
    : undefined

const answerStrike = (fault: ProxyFault): number | undefined =>
  fault.type === "cutAnswer" || fault.type === "stallAnswer" ? fault.afterBytes : undefined

const makeTakers = (options: Options, faults: Array<ProxyFault>, requests: Array<ProxiedRequest>) => {
  const match = options.match ?? (({ method, path }) => method === "PUT" && /\/file(\?|$)/.test(path))
  return (pair: Pair, segment: Segment, connection: number): void => {
    const head = segment.head!
    pair.fault = match({ method: head.method, path: head.target, headers: head.headers })
      ? (faults.shift() ?? { type: "none" })
      : { type: "none" }
    pair.struck = false
    pair.answers.method = head.method
    pair.request = {
      connection,
      method: head.method,
      path: head.target,
      headers: head.headers,
      sent: 0,
      status: undefined,
      received: 0,
      fault: pair.fault.type
    }
    requests.push(pair.request)
  }
}

const moveRequests = async (
  pair: Pair,
  connection: number,
  take: (pair: Pair, segment: Segment, connection: number) => void
): Promise<void> => {
  const tap = new Tap("requests")
  for (let bytes = await pair.client.read(); bytes !== undefined; bytes = await pair.client.read()) {
    if (pair.server.lost) throw new WireLost("the server is gone")
    for (const segment of tap.feed(bytes)) {
      if (segment.kind === "head") {
        take(pair, segment, connection)
        if (pair.fault.type === "refuse") cut(pair, "reset")
      }
      if (segment.kind !== "payload") await pair.server.write(segment.bytes)
      else await movePayload(pair, segment.bytes, pair.server, "sent", requestStrike(pair.fault), strikeRequest)
      if (segment.kind === "head" && requestStrike(pair.fault) === 0) {
        pair.struck = true
        await strikeRequest(pair)
      }
      if (segment.kind === "payload" && pair.fault.type === "slowRequest") {
        await pause(pair, (segment.bytes.length / pair.fault.bytesPerSecond) * 1000)
      }
    }
  }
  await pair.server.halfClose()
}

/** The head of an answer. Interim ones pass; the final one meets the fault. */
const meetAnswer = async (pair: Pair, segment: Segment): Promise<void> => {
  const status = Tap.status(segment.head!)
  const { fault } = pair
  if (status >= 200 && pair.request !== undefined) pair.request.status = status
  if (status < 200) return
  if (fault.type === "replaceAnswer") await answerAndCut(pair, fault)
  if (fault.type === "dropAnswer") {
    if (fault.how === "hang") await pair.closing
    cut(pair, fault.how === "close" ? "close" : "reset")
  }
  if (fault.type === "delayAnswer") await pause(pair, fault.ms)
}

const moveAnswers = async (pair: Pair): Promise<void> => {
  for (let bytes = await pair.server.read(); bytes !== undefined; bytes = await pair.server.read()) {
    for (const segment of pair.answers.feed(bytes)) {
      if (segment.kind === "head") await meetAnswer(pair, segment)
      if (segment.kind === "payload") {
        await movePayload(pair, segment.bytes, pair.client, "received", answerStrike(pair.fault), strikeAnswer)
      } else await pair.client.write(segment.bytes)
    }
  }
  await pair.client.halfClose()
}

/**
 * Starts a proxy in front of a server.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = async (options: Options): Promise<FaultProxy> => {
  const faults = [...(options.faults ?? [])]
  const requests: Array<ProxiedRequest> = []
  const take = makeTakers(options, faults, requests)
  const listener = await listen({
    host: options.host ?? "127.0.0.1",
    port: options.port ?? 0,
    tls: options.tls,
    onSocket: (accepted, connection, closing) => {
      const upstream = connect({
        host: options.target.host ?? "127.0.0.1",
        port: options.target.port,
        allowHalfOpen: true,
        noDelay: true
      })
      const pair: Pair = {
        client: new Wire(accepted),
        server: new Wire({ socket: upstream, raw: upstream }),
        closing,
        answers: new Tap("answers"),
        request: undefined,
        fault: { type: "none" },
        struck: false
      }
      // a side that is lost takes the other one along
      const failed = (error: unknown) => {
        if (error instanceof Cut) return
        pair.server.reset()
        pair.client.reset()
      }
      void moveRequests(pair, connection, take).catch(failed)
      void moveAnswers(pair).catch(failed)
    }
  })
  return {
    url: `${options.tls === undefined ? "http" : "https"}://${listener.host}:${listener.port}`,
    port: listener.port,
    requests,
    push: (...more) => void faults.push(...more),
    waiting: () => faults.length,
    close: listener.close,
    [Symbol.asyncDispose]: listener.close
  }
}
