/**
 * How times are spread, in memory that does not grow: each is counted in a class whose ends are 2.2 % apart.
 */

/** Classes in which a time doubles. */
const perDoubling = 32

/** Classes beyond which all times are one: 2^44 ms are 500 years. */
const most = 44 * perDoubling + 2

/** By how much a percentile may be off: half the width of a class. */
export const within = 0.011

const classOf = (ms: number): number => (ms < 1 ? 0 : Math.min(most - 1, 1 + Math.floor(Math.log2(ms) * perDoubling)))

/** Where a class begins. */
const beginOf = (index: number): number => (index === 0 ? 0 : 2 ** ((index - 1) / perDoubling))

export interface Percentiles {
  readonly count: number
  readonly p50: number
  readonly p90: number
  readonly p95: number
  readonly p99: number
  readonly max: number
}

/** A bar of a histogram: times from (included) and to (not included), in milliseconds. */
export interface Bar {
  readonly from: number
  readonly to: number
  readonly count: number
}

export class Spread {
  readonly #counts = new Float64Array(most)
  #count = 0
  #max = 0

  add(ms: number): void {
    this.#counts[classOf(ms)]!++
    this.#count++
    if (ms > this.#max) this.#max = ms
  }

  get count(): number {
    return this.#count
  }

  #at(share: number): number {
    const rank = Math.ceil(share * this.#count)
    let seen = 0
    for (let index = 0; index < most; index++) {
      seen += this.#counts[index]!
      if (seen < rank || seen === 0) continue
      const middle = index === 0 ? 0 : beginOf(index) * 2 ** (0.5 / perDoubling)
      return Math.min(this.#max, Math.round(middle))
    }
    return 0
  }

  percentiles(): Percentiles {
    return {
      count: this.#count,
      p50: this.#at(0.5),
      p90: this.#at(0.9),
      p95: this.#at(0.95),
      p99: this.#at(0.99),
      max: this.#max
    }
  }

  /** Bars from the first to the last that is not empty; `perBar` classes each. */
  bars(perBar = perDoubling / 2): ReadonlyArray<Bar> {
    const bars: Array<Bar> = this.#counts[0]! > 0 ? [{ from: 0, to: 1, count: this.#counts[0]! }] : []
    let open: Array<Bar> = []
    for (let index = 1; index < most; index += perBar) {
      let count = 0
      for (let at = index; at < Math.min(most, index + perBar); at++) count += this.#counts[at]!
      open.push({ from: beginOf(index), to: beginOf(index + perBar), count })
      if (count === 0) {
        if (bars.length === 0) open = []
        continue
      }
      bars.push(...open)
      open = []
    }
    return bars
  }
}
