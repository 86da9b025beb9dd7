/**
 * What was sent, and what ended, over time: in spans of equal width, which doubles whenever there would be too many.
 */

/** Spans that are kept at most. */
export const most = 600

const narrowestMs = 100

export interface Span {
  /** Body bytes, each transfer's spread evenly over the time that it took. */
  sent: number
  /** Destinations that came to an end, and those of them that failed or were cancelled. */
  ended: number
  failed: number
}

const blank = (): Span => ({ sent: 0, ended: 0, failed: 0 })

export class Timeline {
  #width = narrowestMs
  /** Of the first span, in widths since 1970. */
  #first = 0
  #spans: Array<Span> = []

  /** What a destination was sent between two times, in milliseconds since 1970, and how that ended. */
  add(from: number, to: number, sent: number, failed: boolean): void {
    this.#cover(from, to)
    const width = this.#width
    const last = this.#at(to)
    last.ended++
    if (failed) last.failed++
    if (sent === 0) return
    if (to <= from) {
      last.sent += sent
      return
    }
    for (let index = Math.floor(from / width); index * width <= to; index++) {
      const part = Math.min(to, (index + 1) * width) - Math.max(from, index * width)
      if (part > 0) this.#spans[index - this.#first]!.sent += (sent * part) / (to - from)
    }
  }

  #at(time: number): Span {
    return this.#spans[Math.floor(time / this.#width) - this.#first]!
  }

  #cover(from: number, to: number): void {
    if (this.#spans.length === 0) {
      this.#first = Math.floor(from / this.#width)
      this.#spans.push(blank())
    }
    const end = () => this.#first + this.#spans.length
    while (
      Math.max(end(), Math.floor(to / this.#width) + 1) - Math.min(this.#first, Math.floor(from / this.#width)) >
      most
    ) {
      this.#double()
    }
    const before = this.#first - Math.floor(from / this.#width)
    if (before > 0) {
      this.#spans.unshift(...Array.from({ length: before }, blank))
      this.#first -= before
    }
    while (end() <= Math.floor(to / this.#width)) this.#spans.push(blank())
  }

  #double(): void {
    const first = Math.floor(this.#first / 2)
    const merged: Array<Span> = []
    for (const [index, span] of this.#spans.entries()) {
      const one = (merged[Math.floor((this.#first + index) / 2) - first] ??= blank())
      one.sent += span.sent
      one.ended += span.ended
      one.failed += span.failed
    }
    this.#width *= 2
    this.#first = first
    this.#spans = merged
  }

  get spanMs(): number {
    return this.#width
  }

  /** When the first span begins, in milliseconds since 1970. */
  get from(): number {
    return this.#first * this.#width
  }

  get spans(): ReadonlyArray<Readonly<Span>> {
    return this.#spans
  }
}
