/**
 * How much work is done at a place, and by how many: one measurement after the other, each as long as it takes to tell
 * something.
 */
import type { Sample } from "./climb.ts"

/** What comes together is one event: many small transfers may end at the same moment. */
const togetherMs = 50

const longMs = 10_000

/** A measurement that is so far behind was stopped: the machine slept, or the process. */
const stoppedMs = 5000

export class Gauge {
  #running = 0
  #at: number
  /** When the first work of this measurement came, which was done before. */
  #from: number | undefined
  #last = 0
  #work = 0
  #events = 0
  #ends = 0
  /** Transfers times milliseconds. */
  #area = 0
  #areaAtLast = 0

  constructor(now: number) {
    this.#at = now
  }

  /** Begins anew. */
  restart(): void {
    this.#from = undefined
    this.#work = 0
    this.#events = 0
    this.#ends = 0
    this.#area = 0
  }

  /** Takes over the time that has passed, and how many run from now on. */
  running(count: number, now: number): void {
    if (now - this.#at > stoppedMs) this.restart()
    if (this.#from !== undefined) this.#area += this.#running * (now - this.#at)
    this.#at = now
    this.#running = count
  }

  /** Work was done, and with it a transfer, where it is its `end`. */
  moved(work: number, end: boolean, now: number): void {
    this.running(this.#running, now)
    if (this.#from === undefined) {
      this.#from = this.#last = now
      this.#areaAtLast = 0
      return
    }
    if (now - this.#from < togetherMs) return
    this.#work += work
    this.#events++
    if (end) this.#ends++
    this.#last = now
    this.#areaAtLast = this.#area
  }

  /** The measurement, once it has lasted `leastMs` and seen two events of each of `limit` transfers, or ten seconds. */
  take(limit: number, leastMs: number): Sample | undefined {
    if (this.#from === undefined) return undefined
    const ms = this.#last - this.#from
    const enough = (ms >= leastMs && this.#events >= 2 * limit) || (ms >= longMs && this.#events >= limit)
    if (!enough) return undefined
    const sample = { running: this.#areaAtLast / ms, rate: (this.#work * 1000) / ms, long: this.#ends === 0 }
    const since = this.#area - this.#areaAtLast
    this.restart()
    // What this one ends with the next begins with.
    this.#from = this.#last
    this.#area = since
    this.#areaAtLast = 0
    return sample
  }
}
