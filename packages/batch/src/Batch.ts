/**
 * Batches: a manifest in, receipts out. Lines run beside each other, each as a transfer that is proven; what was done is
 * kept in a journal, so that the same call goes on after a crash, and each line comes to one verdict and one object.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { BatchError } from "./BatchError.ts"
import type { Given, Options, Result } from "./BatchOptions.ts"
import * as Checking from "./internal/run/checking.ts"
import * as Going from "./internal/run/going.ts"
import type { Journal, JournalError, Loaded } from "./Journal.ts"
import type { ManifestError } from "./Manifest.ts"
import * as SqliteJournal from "./SqliteJournal.ts"

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  BatchError
}

export type { Failures } from "./internal/run/going.ts"
export type { Given, Options, Result, ToldLine, TransferOptions } from "./BatchOptions.ts"

/**
 * Runs a batch: goes on with what its journal has, and ends when every line has a verdict or none may begin any more. An
 * interruption tidies up what runs; the same call goes on from there.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (
  manifest: Given,
  options: Options
): Effect.Effect<Result, Going.Failures | ManifestError, Going.Services> =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* journalOf(options)
      const loaded = yield* load(journal, manifest, options)
      return yield* Going.go(journal, loaded, options)
    })
  )

/** A dry run writes nothing; without a journal that it could ask, it has one that goes with it. */
const journalOf = ({ dryRun, journal }: Options): Effect.Effect<Journal, JournalError, Scope.Scope> => {
  if (typeof journal !== "string") return Effect.succeed(journal)
  return dryRun !== true || existsSync(journal)
    ? SqliteJournal.open(journal)
    : Effect.flatMap(
        Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-"))),
          (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
        ),
        (folder) => SqliteJournal.open(join(folder, "journal"))
      )
}

const load = (
  journal: Journal,
  { content, lines, name }: Given,
  options: Options
): Effect.Effect<Loaded, BatchError | JournalError | ManifestError> =>
  Effect.gen(function* () {
    const loaded = yield* journal.load({
      lines: options.resolve === undefined ? Stream.mapArrayEffect(lines, Checking.make()) : lines,
      content,
      replan: options.replan ?? false,
      skipInvalid: options.skipInvalid ?? false,
      trial: options.dryRun ?? false,
      onLine: options.onLine ?? (() => {})
    })
    if (loaded.taken) return loaded
    const few = (count: number) => (count === 1 ? "1 line" : `${count} lines`)
    const message =
      loaded.wrong + loaded.changed === 0
        ? `${name} has no line, and the journal has some of an earlier run: nothing was begun`
        : loaded.wrong > 0
          ? `${few(loaded.wrong)} of ${name} ${loaded.wrong === 1 ? "is" : "are"} wrong: nothing was begun`
          : `${few(loaded.changed)} of ${name} ${loaded.changed === 1 ? "was" : "were"} changed since an earlier run: nothing was begun`
    return yield* new BatchError({ reason: "Manifest", message, loaded })
  })
