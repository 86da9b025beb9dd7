/**
 * Repairing a batch: what its journal says is done is looked at, and what is missing or differs is done again, as is what
 * failed. What is right is not touched.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Receipt from "@headrace/core/Receipt"
import { existsSync } from "node:fs"
import type { Options, Result } from "./BatchOptions.ts"
import * as References from "./internal/references.ts"
import * as Going from "./internal/run/going.ts"
import { type Journal, JournalError, type Loaded } from "./Journal.ts"
import * as SqliteJournal from "./SqliteJournal.ts"
import * as Verify from "./Verify.ts"

/**
 * What was found before anything was done again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found {
  readonly same: number
  readonly missing: number
  readonly differs: number
  /** What could not be asked: it is left as it is. */
  readonly unknown: number
}

/** One that is not there has nothing to be repaired, and is not made. */
const existing = (journal: string | Journal): Effect.Effect<Journal, JournalError, Scope.Scope> => {
  if (typeof journal !== "string") return Effect.succeed(journal)
  return existsSync(journal)
    ? SqliteJournal.open(journal)
    : Effect.fail(new JournalError({ reason: "Unusable", path: journal, message: "there is no such file" }))
}

const nothingLoaded: Loaded = { fresh: 0, same: 0, changed: 0, vanished: 0, wrong: 0, taken: true }

/**
 * Looks at what is done, tells of each object (`onLook`), and then runs what has to be done again. Images of the journal that
 * name one which was made anew, as their kernel for instance, are given its new id (`onRenewed`).
 *
 * @since 0.1.0
 * @category running
 */
export const run = (
  options: Options & {
    readonly look?: Verify.Options | undefined
    readonly onLook?: ((verification: Verify.Verification) => Effect.Effect<void>) | undefined
    /** Told of each property that named an image which was made anew. */
    readonly onRenewed?: ((renewed: References.Renewed) => Effect.Effect<void>) | undefined
  }
): Effect.Effect<Result & { readonly found: Found }, Going.Failures, Going.Services> =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* existing(options.journal)
      if (options.dryRun === true) yield* journal.hold
      /** The images of lines that are done again, by URI. */
      const before = new Map<string, ReadonlyMap<string, string>>()
      const found = { same: 0, missing: 0, differs: 0, unknown: 0 }
      const receipts = Stream.map(journal.receipts(0), ({ receipt }) => JSON.parse(receipt) as Receipt.Receipt)
      yield* Stream.runForEach(Verify.run(receipts, options.look ?? {}), (verification) =>
        Effect.gen(function* () {
          found[verification.status]++
          if (verification.status === "missing" || verification.status === "differs") {
            const { id, uri } = verification
            const had = References.images(yield* journal.verdictOf(id))
            // A line of which two destinations are wrong is open already when the second one is told.
            if (had.size > 0) before.set(id, had)
            yield* journal.reopen({ id, wrong: uri })
          }
          yield* options.onLook?.(verification) ?? Effect.void
        })
      )
      const result = yield* Going.go(journal, nothingLoaded, { ...options, retryFailed: true })
      if (options.dryRun !== true) {
        const replaced: Array<References.Replaced> = []
        for (const [id, had] of before) {
          replaced.push(...References.replaced(had, References.images(yield* journal.verdictOf(id))))
        }
        yield* References.renew(journal, replaced, options.onRenewed ?? (() => Effect.void))
      }
      return { found, ...result }
    })
  )
