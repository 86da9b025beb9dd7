/**
 * Watches the bytes of a connection go by and tells where in the conversation they are, without changing one of them:
 * heads, framing, payload. That lets a proxy strike at an exact body byte while HTTP chunks stay as they were sent.
 */
import { type Head, parseHead } from "./httpHead.ts"

/** A run of bytes as they were on the wire. */
export interface Segment {
  readonly bytes: Buffer
  /** `head` is a whole one, with its empty line; `framing` is what chunks are wrapped in. */
  readonly kind: "head" | "payload" | "framing"
  /** Set on the last segment of a message. */
  readonly last: boolean
  readonly head: Head | undefined
}

type State = "head" | "payload" | "size" | "crlf" | "trailer"

/** What is read as the first line of an answer, in the shape that the parser of requests takes. */
const answerLine = /^HTTP\/1\.[01] (\d{3})[^\r]*/

export class Tap {
  #state: State = "head"
  #pending: Buffer = Buffer.alloc(0)
  #left = 0
  #chunked = false
  /** For answers: the method that is being answered, which decides whether there is a body. */
  method: string | undefined
  readonly #answers: boolean

  constructor(side: "requests" | "answers") {
    this.#answers = side === "answers"
  }

  /** The status of an answer's head. */
  static status(head: Head): number {
    return Number(head.method)
  }

  #open(head: Head): boolean {
    const length = Number(head.headers["content-length"] ?? 0)
    const status = this.#answers ? Tap.status(head) : 0
    const bodiless = this.#answers && (status < 200 || status === 204 || status === 304 || this.method === "HEAD")
    this.#chunked = !bodiless && /\bchunked$/i.test(head.headers["transfer-encoding"] ?? "")
    this.#left = bodiless || this.#chunked ? 0 : length
    this.#state = this.#chunked ? "size" : this.#left > 0 ? "payload" : "head"
    return this.#state === "head"
  }

  #parse(text: string): Head | undefined {
    const head = this.#answers ? text.replace(answerLine, (_, status: string) => `${status} / HTTP/1.1`) : text
    return parseHead(head)
  }

  /** A line, once it is complete; what is not stays for the next call. */
  #line(bytes: Buffer, end: string): { line: Buffer; rest: Buffer } | undefined {
    const all = this.#pending.length === 0 ? bytes : Buffer.concat([this.#pending, bytes])
    const at = all.indexOf(end)
    if (at < 0) {
      this.#pending = all
      return undefined
    }
    this.#pending = Buffer.alloc(0)
    return { line: all.subarray(0, at + end.length), rest: all.subarray(at + end.length) }
  }

  /** Cuts bytes into segments. Bytes of an unfinished line come with a later call. */
  *feed(input: Buffer): Generator<Segment> {
    let bytes = input
    while (bytes.length > 0) {
      if (this.#state === "payload") {
        const part = bytes.subarray(0, this.#left)
        this.#left -= part.length
        bytes = bytes.subarray(part.length)
        const done = this.#left === 0
        if (done) this.#state = this.#chunked ? "crlf" : "head"
        yield { bytes: part, kind: "payload", last: done && !this.#chunked, head: undefined }
        continue
      }
      const found = this.#line(bytes, this.#state === "head" ? "\r\n\r\n" : "\r\n")
      if (found === undefined) return
      bytes = found.rest
      yield this.#framing(found.line)
    }
  }

  #framing(line: Buffer): Segment {
    const text = line.toString("latin1")
    if (this.#state === "head") {
      const head = this.#parse(text.slice(0, -4))
      if (head === undefined) return { bytes: line, kind: "framing", last: false, head }
      return { bytes: line, kind: "head", last: this.#open(head), head }
    }
    if (this.#state === "crlf") this.#state = "size"
    else if (this.#state === "trailer") {
      if (text === "\r\n") this.#state = "head"
      return { bytes: line, kind: "framing", last: text === "\r\n", head: undefined }
    } else {
      this.#left = Number.parseInt(text, 16)
      if (Number.isNaN(this.#left)) this.#left = Number.MAX_SAFE_INTEGER
      this.#state = this.#left === 0 ? "trailer" : "payload"
    }
    return { bytes: line, kind: "framing", last: false, head: undefined }
  }
}
