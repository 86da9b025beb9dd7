/**
 * A request's body, taken off its framing, read by demand. It counts what arrived and remembers the largest HTTP
 * chunk, because servers fail on that. What a broken frame means is decided by `BodyRules`: eventlet calls it an
 * error, uWSGI calls it the end.
 */
import type { Head } from "./httpHead.ts"
import { type Wire, WireLost } from "./wire.ts"

export type Framing = "length" | "chunked" | "none"

export interface BodyRules {
  /** Longest silence between two reads in ms, 0 for no limit. */
  readonly timeoutMs: number
  /** Largest HTTP chunk in bytes. */
  readonly maxChunk: number
  readonly badChunk: "error" | "end"
}

/** The peer finished sending before the body was complete. */
export class BodyCut extends Error {
  override readonly name = "BodyCut"
  readonly framing: Framing
  constructor(framing: Framing) {
    super("the body ended early")
    this.framing = framing
  }
}

/** A chunk's size line is no hexadecimal number. */
export class BadChunk extends Error {
  override readonly name = "BadChunk"
  readonly line: string
  constructor(line: string) {
    super(`invalid chunk size line ${JSON.stringify(line)}`)
    this.line = line
  }
}

/** A chunk is larger than the server's buffer. */
export class ChunkTooLarge extends Error {
  override readonly name = "ChunkTooLarge"
}

export class Body {
  readonly framing: Framing
  /** The Content-Length, when that is the framing. */
  readonly declared: number | undefined
  /** Body bytes handed out so far. */
  bytes = 0
  largestChunk = 0
  chunks = 0
  /** Arrival of the first and the last body bytes, in ms of the process' monotonic clock; 0 before there were any. */
  firstAt = 0
  lastAt = 0
  /** The longest time in ms between two arrivals of body bytes. */
  largestGapMs = 0
  done = false
  /** Runs once, before the first read: the moment for a 100 Continue. */
  onFirstRead: (() => Promise<void>) | undefined
  #wire: Wire
  #rules: BodyRules
  #left: number
  #inChunk = false

  constructor(wire: Wire, head: Head, rules: BodyRules) {
    this.#wire = wire
    this.#rules = rules
    const length = Number(head.headers["content-length"] ?? Number.NaN)
    if (/\bchunked$/i.test(head.headers["transfer-encoding"] ?? "")) {
      this.framing = "chunked"
      this.declared = undefined
      this.#left = 0
    } else if (Number.isSafeInteger(length) && length > 0) {
      this.framing = "length"
      this.declared = length
      this.#left = length
    } else {
      this.framing = head.headers["content-length"] === undefined ? "none" : "length"
      this.declared = this.framing === "none" ? undefined : 0
      this.#left = 0
      this.done = true
    }
  }

  async #line(): Promise<string> {
    const line = await this.#wire.readUntil("\r\n", 4096, this.#rules.timeoutMs)
    if (line === undefined) throw new BodyCut("chunked")
    return line.toString("latin1").slice(0, -2)
  }

  async #nextChunk(): Promise<boolean> {
    if (this.#inChunk) await this.#line()
    this.#inChunk = false
    const line = await this.#line()
    const text = line.split(";")[0]!.trim()
    if (!/^[0-9a-f]{1,12}$/i.test(text)) {
      if (this.#rules.badChunk === "error") throw new BadChunk(text)
      return false
    }
    const size = Number.parseInt(text, 16)
    this.largestChunk = Math.max(this.largestChunk, size)
    if (size > this.#rules.maxChunk) throw new ChunkTooLarge(`a chunk of ${size} bytes`)
    if (size === 0) {
      while ((await this.#line()) !== "");
      return false
    }
    this.chunks++
    this.#left = size
    this.#inChunk = true
    return true
  }

  #arrived(at: number): void {
    if (this.bytes === 0) this.firstAt = at
    else this.largestGapMs = Math.max(this.largestGapMs, at - this.lastAt)
    this.lastAt = at
  }

  /** The next piece, at most `max` bytes of it, or `undefined` at the end of the body. */
  async read(max = Number.POSITIVE_INFINITY): Promise<Buffer | undefined> {
    if (this.done) return undefined
    if (this.onFirstRead !== undefined) {
      const first = this.onFirstRead
      this.onFirstRead = undefined
      await first()
    }
    if (this.#left === 0 && this.framing === "chunked" && !(await this.#nextChunk())) {
      this.done = true
      return undefined
    }
    const bytes = await this.#wire.read(this.#rules.timeoutMs)
    if (bytes === undefined) throw new BodyCut(this.framing)
    const most = Math.min(this.#left, max)
    const piece = bytes.length > most ? bytes.subarray(0, most) : bytes
    this.#arrived(this.#wire.arrivedAt)
    if (piece.length < bytes.length) this.#wire.unread(bytes.subarray(piece.length))
    this.#left -= piece.length
    this.bytes += piece.length
    if (this.#left === 0 && this.framing === "length") this.done = true
    return piece
  }

  /** The whole body, for the small ones. */
  async readAll(limit = 8 * 1024 * 1024): Promise<Buffer> {
    const pieces: Array<Buffer> = []
    let total = 0
    for (let piece = await this.read(); piece !== undefined; piece = await this.read()) {
      total += piece.length
      if (total > limit) throw new WireLost(`a body of more than ${limit} bytes`)
      pieces.push(piece)
    }
    return Buffer.concat(pieces)
  }

  /** Reads the rest and throws it away. */
  async drain(): Promise<void> {
    while ((await this.read()) !== undefined);
  }
}
