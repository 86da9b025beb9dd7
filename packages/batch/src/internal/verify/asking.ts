/**
 * How things are looked at one by one: so many at once, again where that may help, and no more of a service that is away.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Semaphore from "effect/Semaphore"
import { type Answer, type Asked, type Found, type How, type There, ofResult } from "./found.ts"
import type { Target } from "./target.ts"

export interface Asking {
  /** Of requests that run at once, of all services together. */
  readonly permits: Semaphore.Semaphore
  readonly concurrency: number
  /** Whether each is asked for by itself, also where a list would do. */
  readonly head: boolean
}

interface Failure {
  readonly reason: { readonly _tag: string }
  readonly message: string
  readonly retryable: boolean
}

const again = Schedule.exponential("250 millis").pipe(Schedule.jittered, Schedule.upTo({ times: 2 }))

/** A question to a service, in its turn. `patient`: whether who asks tries again by himself. */
export const turn = <A, E extends Failure, R>(
  { permits }: Asking,
  question: Effect.Effect<A, E, R>,
  patient: boolean
): Effect.Effect<A, E, R> =>
  permits.withPermits(1)(
    patient ? question : Effect.retry(question, { schedule: again, while: ({ retryable }) => retryable })
  )

/** Failures in a row that are the service's, after which it is not asked any more. */
const enough = 3

/** Looks at each by itself. */
export const each = <T extends Target, R>(
  asking: Asking,
  all: ReadonlyArray<Asked<T>>,
  look: (asked: Asked<T>) => Effect.Effect<Found, never, R>
): Effect.Effect<ReadonlyArray<Answer<T>>, never, R> =>
  Effect.suspend(() => {
    let away = 0
    let last: Found | undefined
    return Effect.forEach(
      all,
      (asked) =>
        Effect.suspend(() => {
          if (away >= enough && last !== undefined) return Effect.succeed({ asked, found: last })
          return Effect.map(look(asked), (found) => {
            if (found._tag === "Unasked" && found.away) {
              away++
              last = found
            } else away = 0
            return { asked, found }
          })
        }),
      { concurrency: asking.concurrency }
    )
  })

/** One look, as it is told. */
export const look = <A, E extends Failure, R>(
  asking: Asking,
  question: Effect.Effect<A | undefined, E, R>,
  there: (value: A) => Omit<There, "_tag" | "how">,
  patient = false,
  how: How = "head"
): Effect.Effect<Found, never, R> =>
  Effect.map(Effect.result(turn(asking, question, patient)), (result) => ofResult(result, how, there))
