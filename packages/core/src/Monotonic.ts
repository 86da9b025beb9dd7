/**
 * Time that nobody sets: for how long something took, and how long it may. The clock on the wall jumps, by hours when an
 * administrator corrects it.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/**
 * Milliseconds since some moment.
 *
 * @since 0.1.0
 * @category reading
 */
export const now: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1e6)

/**
 * A moment, by both clocks.
 *
 * @since 0.1.0
 * @category models
 */
export interface Moment {
  /** Milliseconds since 1970, as the clock on the wall said. */
  readonly at: number
  /** As `now`. */
  readonly since: number
}

/**
 * This moment.
 *
 * @since 0.1.0
 * @category reading
 */
export const moment: Effect.Effect<Moment> = Effect.zipWith(Clock.currentTimeMillis, now, (at, since) => ({
  at,
  since
}))
