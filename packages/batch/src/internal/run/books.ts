/**
 * The journal as transfers write it: a disk that is full is waited for, and what cannot be noted at all ends the run.
 */
import * as Monotonic from "@headrace/core/Monotonic"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { Journal, JournalError } from "../../Journal.ts"

/** How long a disk may be full. */
const patienceMs = 60_000
const againMs = 1000

export interface Books {
  readonly journal: Journal
  /** Notes something, however long that takes; false when it cannot be noted, and the run comes to its end. */
  readonly note: (entry: Effect.Effect<void, JournalError>) => Effect.Effect<boolean>
  /** Fails when the journal cannot be written any more. */
  readonly lost: Effect.Effect<never, JournalError>
}

/** `onWait` is told when a disk is full, and when it has room again. */
export const make = (
  journal: Journal,
  onWait: (wait: { readonly message: string; readonly over: boolean }) => Effect.Effect<void>
): Effect.Effect<Books> =>
  Effect.gen(function* () {
    const lost = yield* Deferred.make<never, JournalError>()
    let waiting = 0

    const attempt = (entry: Effect.Effect<void, JournalError>, since: number | undefined): Effect.Effect<boolean> =>
      Effect.matchEffect(entry, {
        onSuccess: () =>
          since === undefined || --waiting > 0
            ? Effect.succeed(true)
            : Effect.as(onWait({ message: "the journal can be written again", over: true }), true),
        onFailure: (error) =>
          Effect.gen(function* () {
            const now = yield* Monotonic.now
            const first = since ?? now
            if (error.reason !== "Full" || now - first >= patienceMs) {
              yield* Deferred.fail(lost, error)
              return false
            }
            if (since === undefined && waiting++ === 0) {
              yield* onWait({ message: `the journal cannot be written: ${error.message}`, over: false })
            }
            yield* Effect.sleep(againMs)
            return yield* attempt(entry, first)
          })
      })

    return { journal, note: (entry) => attempt(entry, undefined), lost: Deferred.await(lost) }
  })
