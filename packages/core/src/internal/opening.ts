/**
 * Opening a source for the first time: before any destination is asked.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BlockPool } from "../BlockPool.ts"
import type { Info, Source } from "../Source.ts"
import * as SourceError from "../SourceError.ts"
import * as Attempt from "./attempt.ts"
import * as Reading from "./reading.ts"
import { waitFor } from "./retryDelay.ts"

/**
 * The first look at a source. A service that answers "later" is asked again; one that cannot be reached is more often
 * misspelt than away, and whoever waits for it would like to know at once.
 */
export const look = <R>(source: Source<R>, retries: number): Effect.Effect<Info, SourceError.SourceError, R> =>
  Effect.gen(function* () {
    for (let failures = 1; ; failures++) {
      const result = yield* Effect.result(source.info)
      if (result._tag === "Success") return result.success
      const { retryable, status } = result.failure
      if (!retryable || status === undefined || failures > retries) return yield* result.failure
      yield* Effect.sleep(yield* waitFor(failures, undefined))
    }
  })

/**
 * The first opening of a source, before a store is asked. What may help is tried again as later: the bytes that are
 * looked at first are no different from the others.
 */
export const openFirst = <R>(
  source: Source<R>,
  info: Info,
  retries: number
): Effect.Effect<Reading.Reading, SourceError.SourceError, R | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    let opening: Effect.Effect<Reading.Reading, SourceError.SourceError, R | BlockPool | Scope.Scope> =
      Reading.open(source)
    for (let failures = 1; ; failures++) {
      const result = yield* Effect.result(opening)
      if (result._tag === "Success") return result.success
      if (!result.failure.retryable || !source.replayable || failures > retries) return yield* result.failure
      yield* Effect.sleep(yield* waitFor(failures, undefined))
      opening = Effect.andThen(Attempt.checkUnchanged(source, info), Reading.open(source))
    }
  })

/** An empty source is hardly ever meant. */
export const emptySource = (uri: string) =>
  SourceError.make("SourceTooShort", { uri, message: "the source is empty (0 bytes)" })
