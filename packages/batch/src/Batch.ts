/**
 * Batches: a manifest in, receipts out. Lines run beside each other, each as a transfer that is proven; what was done is
 * kept in a journal, so that the same call goes on after a crash, and each line comes to one verdict and one object.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { BlockPool } from "@headrace/core/BlockPool"
import type { Host } from "@headrace/core/Host"
import type * as Receipt from "@headrace/core/Receipt"
import type { Source } from "@headrace/core/Source"
import type { Transport } from "@headrace/core/Transport"
import { randomUUID } from "node:crypto"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { BatchEvent, Summary } from "./BatchEvent.ts"
import type * as Ends from "./Ends.ts"
import * as Books from "./internal/run/books.ts"
import * as Checking from "./internal/run/checking.ts"
import * as Doing from "./internal/run/doing.ts"
import * as Earlier from "./internal/run/earlier.ts"
import * as RunEnds from "./internal/run/ends.ts"
import * as Existing from "./internal/run/existing.ts"
import * as Lot from "./internal/run/lot.ts"
import * as Metadata from "./internal/run/metadata.ts"
import * as Quotas from "./internal/run/quotas.ts"
import * as Schedule from "./internal/run/schedule.ts"
import * as Tally from "./internal/run/tally.ts"
import * as Trying from "./internal/run/trying.ts"
import type { Journal, JournalError, Loaded } from "./Journal.ts"
import type { Line } from "./Line.ts"
import * as Mapping from "./Mapping.ts"
import type { ManifestError, Read } from "./Manifest.ts"
import * as Pace from "./Pace.ts"
import * as ReceiptsFile from "./ReceiptsFile.ts"
import * as SqliteJournal from "./SqliteJournal.ts"

/**
 * A manifest with a name for what is told of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given {
  /** The file's, `-` for standard input. */
  readonly name: string
  readonly lines: Stream.Stream<Read, ManifestError>
  /** Names the content: one that has the same name as in an earlier run is not read again. */
  readonly content?: string | undefined
}

/**
 * How a batch is run. Where nothing is said, the value in brackets holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The journal's file. */
  readonly journal: string
  /** Transfers at once (`auto`). */
  readonly concurrency?: number | "auto" | undefined
  /** Which lines come first (`largest`). */
  readonly order?: "listed" | "largest" | undefined
  /** Begin no further line after so many have failed. */
  readonly maxFailures?: number | undefined
  /** Milliseconds after which no further line is begun, and those that run are ended. */
  readonly deadlineMs?: number | undefined
  /** Only the lines with these ids. */
  readonly only?: ReadonlyArray<string> | undefined
  /** Does lines again that have failed (false). */
  readonly retryFailed?: boolean | undefined
  /** Leaves lines out that are wrong (false). */
  readonly skipInvalid?: boolean | undefined
  /** Takes over lines that were changed since an earlier run (false). */
  readonly replan?: boolean | undefined
  /** Rules for what images take over of the images that are their sources. */
  readonly map?: Mapping.Rules | undefined
  /** Leaves out what the destination has already: under the same name, or the same content under any. Proven, both. */
  readonly skipExisting?: "name" | "hash" | undefined
  /** A file that the receipts are written to as well. */
  readonly receipts?: string | undefined
  /** Looks at every precondition and tells what would be done, in `plan` events; makes nothing (false). */
  readonly dryRun?: boolean | undefined
  /** Of all transfers. */
  readonly transfer?: Doing.Common["transfer"] | undefined
  /** Where relative paths begin and where settings are found. */
  readonly surroundings?: Ends.Surroundings | undefined
  /** A program's own sources and stores, instead of those that URIs name. */
  readonly resolve?:
    | {
        readonly source: (line: Line) => Effect.Effect<Source<Transport | Host>, Ends.EndError>
        readonly destinations: (line: Line) => Effect.Effect<Ends.Destinations, Ends.EndError>
      }
    | undefined
  /** Told of every event, in order for each transfer; a slow one slows the batch down. */
  readonly onEvent?: ((event: BatchEvent) => Effect.Effect<void>) | undefined
  /** Told how often more the journal has been made durable. */
  readonly onCommit?: ((commits: number) => void) | undefined
  /** Told of each line that is wrong, was changed, or is there no more. */
  readonly onLine?: ((told: ToldLine) => void) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ToldLine {
  readonly kind: "wrong" | "changed" | "vanished"
  readonly number: number
  readonly field: string
  readonly message: string
}

/**
 * A batch that could not begin, or could not go on.
 *
 * - `Manifest`: lines are wrong, or were changed; nothing was begun.
 * - `Unknown`: there is no line with an id that was asked for.
 * - `Disk`: the list of what a destination has already cannot be kept on disk.
 *
 * @since 0.1.0
 * @category errors
 */
export class BatchError extends Data.TaggedError("BatchError")<{
  readonly reason: "Manifest" | "Unknown" | "Disk"
  readonly message: string
  readonly loaded?: Loaded
}> {}

/**
 * How a batch has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly summary: Summary
  readonly loaded: Loaded
  /** Why lines were not begun. */
  readonly stopped: Schedule.Stop
  /** Lines that earlier runs have brought to a bad end, and that were not done again. */
  readonly failedBefore: number
  /** Reasons of the destinations that failed and had to succeed. */
  readonly reasons: ReadonlySet<string>
}

type Services = Transport | Host | BlockPool

/** Transfers at once, beyond which one thread gets no faster. */
const mostAtOnce = 64

/** Blocks of memory that a transfer keeps moving with. */
const blocksEach = 2

/** What keeps a batch from its end. */
type Failures = BatchError | JournalError | ReceiptsFile.ReceiptsFileError

/** A misspelt host is away as well: only a service that has answered in this run is waited for. */
const mostTries = 8

const delayMs = ({ tries }: Lot.Ready): number => Math.min(30_000, 1000 * 2 ** tries)

/** Something whose creation was under way when its program was killed has come into being by then. */
const settledMs = 2000

/**
 * Runs a batch: goes on with what its journal has, and ends when every line has a verdict or none may begin any more. An
 * interruption tidies up what runs; the same call goes on from there.
 *
 * @since 0.1.0
 * @category running
 */
export const run = (manifest: Given, options: Options): Effect.Effect<Result, Failures | ManifestError, Services> =>
  Effect.scoped(
    Effect.gen(function* () {
      const journal = yield* SqliteJournal.open(yield* journalPath(options))
      const loaded = yield* load(journal, manifest, options)
      return yield* go(journal, loaded, options)
    })
  )

/** A dry run writes nothing; without a journal that it could ask, it has one that goes with it. */
const journalPath = ({ dryRun, journal }: Options): Effect.Effect<string, never, Scope.Scope> =>
  dryRun !== true || existsSync(journal)
    ? Effect.succeed(journal)
    : Effect.map(
        Effect.acquireRelease(
          Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-"))),
          (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
        ),
        (folder) => join(folder, "journal")
      )

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
      loaded.wrong > 0
        ? `${few(loaded.wrong)} of ${name} ${loaded.wrong === 1 ? "is" : "are"} wrong: nothing was begun`
        : `${few(loaded.changed)} of ${name} ${loaded.changed === 1 ? "was" : "were"} changed since an earlier run: nothing was begun`
    return yield* new BatchError({ reason: "Manifest", message, loaded })
  })

const existing = ({ skipExisting }: Options) =>
  skipExisting === undefined
    ? Effect.succeed(Existing.none)
    : Effect.mapError(Existing.make(skipExisting), ({ message }) => new BatchError({ reason: "Disk", message }))

const chosen = (journal: Journal, only: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const items = []
    const now = yield* Clock.currentTimeMillis
    for (const id of new Set(only)) {
      const item = yield* journal.take(id, now)
      if (item !== undefined) items.push(item)
      else if ((yield* journal.receiptOf(id)) === undefined) {
        return yield* new BatchError({ reason: "Unknown", message: `there is no line with the id "${id}"` })
      }
    }
    return items
  })

const go = (
  journal: Journal,
  loaded: Loaded,
  options: Options
): Effect.Effect<Result, Failures, Services | Scope.Scope> =>
  Effect.gen(function* () {
    const id = randomUUID()
    const onEvent = options.onEvent ?? (() => Effect.void)
    const startedAt = yield* Clock.currentTimeMillis
    const stamp = Effect.map(Clock.currentTimeMillis, (now) => ({ at: new Date(now).toISOString(), id }))
    const books = yield* Books.make(journal, (wait) =>
      Effect.flatMap(stamp, (stamped) =>
        onEvent({ type: "wait", ...stamped, place: journal.path, why: "busy", ...wait })
      )
    )
    if (options.retryFailed === true) yield* journal.reopen("failed")
    const copying =
      options.receipts === undefined || options.dryRun === true
        ? undefined
        : yield* ReceiptsFile.follow(options.receipts, journal)
    const only = options.only === undefined ? undefined : yield* chosen(journal, options.only)
    const before = yield* journal.counts
    const lines = only?.length ?? before.open
    yield* onEvent({
      type: "batch",
      ...(yield* stamp),
      lines,
      bytes: only === undefined ? before.openBytes : only.reduce((sum, { line }) => sum + (line.size ?? 0), 0),
      unsized: only === undefined ? before.openUnsized : only.filter(({ line }) => line.size === undefined).length,
      done: before.done,
      failed: before.failed
    })

    let committed = 0
    const tellCommits = () => {
      const commits = journal.commits()
      options.onCommit?.(commits - committed)
      committed = commits
    }
    const tally = Tally.make()
    const missing: Array<Earlier.Missing> = [...(yield* Earlier.strays(yield* journal.strays))]
    const answered = new Set<string>()
    const pool = yield* BlockPool
    const pace = yield* Pace.make({
      concurrency: options.concurrency ?? "auto",
      most: Math.max(1, Math.min(mostAtOnce, Math.floor(pool.stats().capacity / blocksEach))),
      onWait: (wait) => Effect.flatMap(stamp, (stamped) => onEvent({ type: "wait", ...stamped, ...wait }))
    })
    const quotas = yield* Quotas.make(pace)
    const common: Doing.Common = {
      books,
      resolver: options.resolve ?? RunEnds.resolver(options.surroundings ?? {}),
      metadata: Metadata.make(journal, options.map ?? Mapping.none),
      existing: yield* existing(options),
      transfer: options.transfer ?? {},
      tally,
      emit: (event) => {
        if (event.type !== "receipt") return onEvent(event)
        tellCommits()
        return copying === undefined ? onEvent(event) : Effect.andThen(onEvent(event), copying.moved)
      },
      missing: (found) => void missing.push(...found)
    }
    const patient = (ready: Lot.Ready) => (postponed: Doing.Postponed, size: number | null) => {
      if (postponed.why === "quota") return quotas.full(postponed.uri, size ?? undefined, postponed.message)
      return Effect.succeed(ready.tries < mostTries && ready.places.some((place) => answered.has(place)))
    }
    const doing = (ready: Lot.Ready, { event }: Pace.Ticket, onDone: (standing: Tally.Standing) => void) =>
      Effect.gen(function* () {
        yield* quotas.watch(ready.item.line)
        const outcome = yield* Doing.run(ready.item, common, {
          patient: patient(ready),
          onDone,
          onEvent: event
        })
        if (outcome._tag === "Ended") {
          for (const place of placesThatAnswered(outcome.receipt, ready)) answered.add(place)
        }
        return outcome
      })
    const trying = ({ item }: Lot.Ready) =>
      Effect.map(Trying.run(item, { ...common, emit: onEvent }), (well): Schedule.Ended => ({
        _tag: "Ended",
        standing: well ? "verified" : "failed"
      }))
    const scheduled = Schedule.run({
      lot: Lot.make(journal, options.order ?? "largest", only),
      pace,
      delayMs,
      maxFailures: options.maxFailures ?? Infinity,
      deadline: options.deadlineMs === undefined ? Infinity : startedAt + options.deadlineMs,
      run: options.dryRun === true ? trying : doing
    })
    const stopped = yield* Effect.raceFirst(scheduled, books.lost)
    if (missing.length > 0) {
      yield* Effect.sleep(settledMs)
      yield* Effect.ignore(Earlier.lookAgain(missing, books))
    }
    tellCommits()
    const { reasons, ...counts } = tally
    const remaining = lines - counts.verified - counts.stored - counts.skipped - counts.failed
    const summary: Summary = {
      type: "summary",
      ...(yield* stamp),
      ...counts,
      remaining,
      elapsedMs: (yield* Clock.currentTimeMillis) - startedAt
    }
    yield* onEvent(summary)
    return { summary, loaded, stopped, reasons, failedBefore: before.failed }
  })

/** A destination that holds something, and a source that was read, are services that answer. */
const placesThatAnswered = ({ destinations }: Receipt.Receipt, ready: Lot.Ready): ReadonlyArray<string> =>
  destinations.some(({ error }) => error === undefined) ? ready.places : []
