/**
 * The lines of a manifest before they are JSON: told apart, numbered and bounded while the bytes pass, so that a line
 * without an end never fills the memory. Each goes on as `[NUMBER,TEXT]`, which the `ndjson` package reads; what it cannot
 * read is missing from the numbers that come out, and is found by that.
 */
import { Transform, type TransformCallback } from "node:stream"
import { StringDecoder } from "node:string_decoder"

/** Bytes that a line may have, its end not counted (interface.md §3: "a line over 1 MiB is an error"). */
export const mostBytes = 1024 * 1024

/** A line that is not JSON, or too long to be looked at. */
export interface Broken {
  readonly number: number
  readonly why: string
}

const newline = 0x0a

/** Whether a line is left out: blank, or a comment. */
const isIdle = (text: string): boolean => /^\s*(?:#|$)/.test(text)

const whyNot = (text: string): string => {
  try {
    JSON.parse(text)
    return "this is more than one JSON object"
  } catch (error) {
    return `this is not JSON: ${(error as Error).message}`
  }
}

export class ManifestLines extends Transform {
  #number = 0
  /** The beginning of a line whose end has not come; `undefined` of one that is too long. */
  #pending: Array<Buffer> | undefined = []
  #pendingBytes = 0
  /** Texts that have been passed on and not come out as JSON yet. */
  readonly #passed = new Map<number, string>()
  readonly #broken: Array<Broken> = []

  constructor() {
    super({ readableObjectMode: false })
  }

  #line(last: Buffer): string {
    const pieces = this.#pending
    this.#number++
    const bytes = this.#pendingBytes + last.length
    this.#pending = []
    this.#pendingBytes = 0
    // A line's end may be CRLF, which is none of its bytes.
    if (pieces === undefined || bytes > mostBytes + 1 || (bytes > mostBytes && last.at(-1) !== 0x0d)) {
      this.#broken.push({ number: this.#number, why: "this line has more than 1 MiB" })
      return ""
    }
    const decoder = new StringDecoder("utf8")
    let text = decoder.end(pieces.length === 0 ? last : Buffer.concat([...pieces, last]))
    if (this.#number === 1 && text.startsWith("\u{feff}")) text = text.slice(1)
    if (isIdle(text)) return ""
    const trimmed = text.trim()
    this.#passed.set(this.#number, trimmed)
    return `[${this.#number},${trimmed}]\n`
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let out = ""
    let from = 0
    for (let at = chunk.indexOf(newline); at >= 0; at = chunk.indexOf(newline, from)) {
      out += this.#line(chunk.subarray(from, at))
      from = at + 1
    }
    const rest = chunk.subarray(from)
    this.#pendingBytes += rest.length
    if (this.#pendingBytes > mostBytes + 1) this.#pending = undefined
    else if (rest.length > 0) this.#pending?.push(rest)
    done(null, out)
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#pendingBytes > 0 ? this.#line(Buffer.alloc(0)) : "")
  }

  /** Takes note that a line has come out as JSON; the broken ones before it are known then. */
  arrived(number: number): void {
    this.#passed.delete(number)
  }

  /** Lines before `number` that have not come out, in their order; with `Infinity`, when all have passed. */
  brokenBefore(number: number): ReadonlyArray<Broken> {
    const found: Array<Broken> = []
    for (const [at, text] of this.#passed) {
      if (at >= number) break
      found.push({ number: at, why: whyNot(text) })
      this.#passed.delete(at)
    }
    for (let next = this.#broken[0]; next !== undefined && next.number < number; next = this.#broken[0]) {
      found.push(next)
      this.#broken.shift()
    }
    return found.sort((a, b) => a.number - b.number)
  }
}
