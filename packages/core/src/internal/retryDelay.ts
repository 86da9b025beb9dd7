/**
 * How long to wait before something is tried again.
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"

/** A service that asks for more is asked sooner: nobody wants an upload that sleeps for days. */
const longestWaitMs = 900_000

/** Exponential, with jitter, from half a second to half a minute; a service that names a time is taken at its word. */
export const waitFor = (failures: number, retryAfterMs: number | undefined): Effect.Effect<number> =>
  Effect.map(Random.next, (random) =>
    Math.round(
      Math.max(
        Math.min(longestWaitMs, retryAfterMs ?? 0),
        Math.min(30_000, 500 * 2 ** (failures - 1)) * (0.75 + random / 2)
      )
    )
  )
