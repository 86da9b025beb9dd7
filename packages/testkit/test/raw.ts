/**
 * A client on a bare socket that tells what happened on the wire: when the answer came, how much had been sent by
 * then, and how the connection ended.
 */
import { connect, type Socket } from "node:net"

export interface Sending {
  readonly port: number
  readonly method?: string
  readonly path: string
  readonly headers?: Readonly<Record<string, string | undefined>>
  readonly body?: Buffer
  /** `length` (default), `chunked`, or `none`: no framing header at all. */
  readonly framing?: "length" | "chunked" | "none"
  /** Bytes of one HTTP chunk, and of one write. */
  readonly piece?: number
  /** Sends `Expect: 100-continue` and waits so many ms for the 100. */
  readonly expectMs?: number
  /** What stands in Content-Length instead of the truth. */
  readonly declared?: string
  /** Stop after so many body bytes, and then: FIN, RST, or silence. */
  readonly stopAfter?: number
  readonly then?: "fin" | "reset" | "silence"
  /** Sent raw after the body bytes, such as a broken chunk size. */
  readonly tail?: string
  /** Waits so many ms in the middle of the body. */
  readonly pauseMs?: number
  /**
   * Rests so many ms after each 64 KiB. Node gives up a socket when a write fails, and with it an answer that is
   * there to be read; who rests reads first.
   */
  readonly restMs?: number
  /** Goes on sending after an answer, as a client does that does not look. */
  readonly deaf?: boolean
  /** Called when so many body bytes were sent. */
  readonly at?: { readonly bytes: number; readonly run: () => Promise<unknown> }
  readonly timeoutMs?: number
}

export interface Outcome {
  status: number | undefined
  headers: Record<string, string>
  body: string
  /** A 100 Continue came. */
  continued: boolean
  /** Body bytes that had been handed to the kernel when the answer came. */
  sentBefore: number
  sent: number
  /** How the connection was ended by the other side: not, FIN or an error code. */
  ended: "open" | "fin" | string
  socket: Socket
}

const parse = (bytes: Buffer): { status: number; headers: Record<string, string>; at: number } | undefined => {
  const end = bytes.indexOf("\r\n\r\n")
  if (end < 0) return undefined
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n")
  const headers = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()])
  )
  return { status: Number(first.split(" ")[1]), headers, at: end + 4 }
}

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** Sends one request and waits for its answer, or for the end of the connection. */
export const send = async (request: Sending, kept?: Socket): Promise<Outcome> => {
  const body = request.body ?? Buffer.alloc(0)
  const socket = kept ?? connect({ port: request.port, host: "127.0.0.1", noDelay: true, allowHalfOpen: true })
  const outcome: Outcome = {
    status: undefined,
    headers: {},
    body: "",
    continued: false,
    sentBefore: 0,
    sent: 0,
    ended: "open",
    socket
  }
  let seen: Buffer = Buffer.alloc(0)
  let head: ReturnType<typeof parse>
  let wake = () => {}
  let answered: (value: void) => void = () => {}
  const answer = new Promise<void>((resolve) => (answered = resolve))
  const look = () => {
    while (head === undefined) {
      const found = parse(seen)
      if (found === undefined) break
      seen = seen.subarray(found.at)
      if (found.status === 100) {
        outcome.continued = true
        wake()
        continue
      }
      head = found
      outcome.status = found.status
      outcome.headers = found.headers
      outcome.sentBefore = outcome.sent
      wake()
    }
    if (head === undefined) return
    const length = Number(head.headers["content-length"] ?? 0)
    if (seen.length < length) return
    outcome.body = seen.toString("utf8", 0, length)
    answered()
  }
  const onData = (bytes: Buffer) => {
    seen = Buffer.concat([seen, bytes])
    look()
  }
  const end = (how: string) => {
    if (outcome.ended === "open") outcome.ended = how
    wake()
    answered()
  }
  const onEnd = () => end("fin")
  const onError = (error: NodeJS.ErrnoException) => end(error.code ?? error.message)
  socket.on("data", onData)
  socket.on("end", onEnd)
  socket.on("error", onError)
  const gone = () => socket.destroyed || !socket.writable
  const write = (bytes: Buffer | string) =>
    new Promise<void>((resolve) => {
      if (gone()) return resolve()
      const timer = setTimeout(resolve, 300)
      socket.write(bytes, () => {
        clearTimeout(timer)
        resolve()
      })
    })
  const framing = request.framing ?? "length"
  const headers: Record<string, string | undefined> = {
    Host: `127.0.0.1:${request.port}`,
    Accept: "*/*",
    ...(framing === "chunked" ? { "Transfer-Encoding": "chunked" } : {}),
    ...(framing === "length" && (body.length > 0 || request.declared !== undefined || request.method === "PUT")
      ? { "Content-Length": request.declared ?? String(body.length) }
      : {}),
    ...(request.expectMs === undefined ? {} : { Expect: "100-continue" }),
    ...request.headers
  }
  const lines = Object.entries(headers).filter(([, value]) => value !== undefined)
  await write(
    `${request.method ?? "GET"} ${request.path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`
  )
  if (request.expectMs !== undefined) {
    await Promise.race([new Promise<void>((resolve) => (wake = resolve)), sleep(request.expectMs)])
  }
  const piece = request.piece ?? 65_536
  const stop = request.stopAfter ?? body.length
  let paused = request.pauseMs === undefined
  let called = request.at === undefined
  while (outcome.sent < stop && outcome.ended === "open" && (head === undefined || request.deaf === true)) {
    const part = body.subarray(outcome.sent, Math.min(outcome.sent + piece, stop))
    if (framing === "chunked") await write(`${part.length.toString(16)}\r\n`)
    for (let at = 0; at < part.length; at += 65_536) {
      const slice = part.subarray(at, at + 65_536)
      await write(slice)
      outcome.sent += slice.length
      // lets what came in be seen before more goes out
      await (request.restMs === undefined ? new Promise((resolve) => setImmediate(resolve)) : sleep(request.restMs))
      if (outcome.ended !== "open" || (head !== undefined && request.deaf !== true)) break
    }
    if (framing === "chunked" && outcome.ended === "open") await write("\r\n")
    if (!called && outcome.sent >= request.at!.bytes) {
      called = true
      await request.at!.run()
    }
    if (!paused && outcome.sent * 2 >= stop) {
      paused = true
      await sleep(request.pauseMs!)
    }
  }
  const whole = outcome.sent === body.length
  if (request.tail !== undefined) await write(request.tail)
  else if (framing === "chunked" && whole && request.stopAfter === undefined) await write("0\r\n\r\n")
  if (request.then === "fin") socket.end()
  if (request.then === "reset") {
    socket.resetAndDestroy()
    answered()
  }
  const timer = setTimeout(answered, request.timeoutMs ?? 5000)
  await answer
  clearTimeout(timer)
  // how the other side ends it, if it does
  for (let waited = 0; outcome.ended === "open" && waited < 20; waited += 5) await sleep(5)
  socket.off("data", onData)
  socket.off("end", onEnd)
  if (outcome.ended !== "open") socket.destroy()
  socket.on("error", () => {})
  return outcome
}

/** Sends a second request on the connection of a first one. */
export const again = (outcome: Outcome, request: Sending): Promise<Outcome> => send(request, outcome.socket)
