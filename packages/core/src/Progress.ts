/**
 * Counting bytes on their way, and the rate at which they pass.
 *
 * @since 0.1.0
 */
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"

/**
 * A stage that tells the number of bytes of each block that passes.
 *
 * @since 0.1.0
 * @category combinators
 */
export const tap =
  (onBytes: (bytes: number) => void) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
    Stream.mapArray(self, (blocks) => {
      for (const block of blocks) onBytes(block.length)
      return blocks
    })

/**
 * The rate of the last seconds: forgets what is older than its window, so a stop shows at once and a start soon.
 *
 * @since 0.1.0
 * @category models
 */
export class Meter {
  readonly #windowMs: number
  readonly #marks: Array<{ readonly at: number; readonly total: number }> = []

  constructor(windowMs = 5000) {
    this.#windowMs = windowMs
  }

  /** Notes that `total` bytes had passed at the time `at`, in milliseconds. A lower total starts afresh. */
  mark(at: number, total: number): void {
    const last = this.#marks[this.#marks.length - 1]
    if (last !== undefined && total < last.total) this.#marks.length = 0
    this.#marks.push({ at, total })
    while (this.#marks.length > 2 && at - this.#marks[1]!.at >= this.#windowMs) this.#marks.shift()
  }

  /** Bytes per second over the window; 0 before there are two marks. */
  get bytesPerSecond(): number {
    const first = this.#marks[0]
    const last = this.#marks[this.#marks.length - 1]
    if (first === undefined || last === undefined || last.at <= first.at) return 0
    return ((last.total - first.total) * 1000) / (last.at - first.at)
  }
}
