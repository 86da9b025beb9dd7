/**
 * A batch whose journal is open, from its first event to its last.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BlockPool } from "@headrace/core/BlockPool"
import type { Host } from "@headrace/core/Host"
import * as Monotonic from "@headrace/core/Monotonic"
import type * as Receipt from "@headrace/core/Receipt"
import type { Transport } from "@headrace/core/Transport"
import { randomUUID } from "node:crypto"
import { BatchError } from "../../BatchError.ts"
import type { Summary } from "../../BatchEvent.ts"
import type { Options, Result } from "../../BatchOptions.ts"
import type { Journal, JournalError, Loaded } from "../../Journal.ts"
import * as Mapping from "../../Mapping.ts"
import * as Pace from "../../Pace.ts"
import * as ReceiptsFile from "../../ReceiptsFile.ts"
import * as Books from "./books.ts"
import * as Doing from "./doing.ts"
import * as Earlier from "./earlier.ts"
import * as RunEnds from "./ends.ts"
import * as Existing from "./existing.ts"
import * as Lot from "./lot.ts"
import * as Metadata from "./metadata.ts"
import type { Postponed } from "./outcome.ts"
import * as Quotas from "./quotas.ts"
import * as Schedule from "./schedule.ts"
import * as Tally from "./tally.ts"
import * as Trying from "./trying.ts"

export type Services = Transport | Host | BlockPool

/** Transfers at once, beyond which one thread gets no faster. */
const mostAtOnce = 64

/** Blocks of memory that a transfer keeps moving with. */
const blocksEach = 2

/** What keeps a batch from its end. */
export type Failures = BatchError | JournalError | ReceiptsFile.ReceiptsFileError

/** A misspelt host is away as well: only a service that has answered in this run is waited for. */
const mostTries = 8

const delayMs = ({ tries }: Lot.Ready): number => Math.min(30_000, 1000 * 2 ** tries)

/** Something whose creation was under way when its program was killed has come into being by then. */
const settledMs = 2000

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
      // One that has its verdict has nothing to be done.
      if (item !== undefined) items.push(item)
    }
    return items
  })

/** Runs what is open. */
export const go = (
  journal: Journal,
  loaded: Loaded,
  options: Options
): Effect.Effect<Result, Failures, Services | Scope.Scope> =>
  Effect.gen(function* () {
    const id = randomUUID()
    const onEvent = options.onEvent ?? (() => Effect.void)
    const began = yield* Monotonic.moment
    const startedAt = began.at
    const stamp = Effect.map(Clock.currentTimeMillis, (now) => ({ at: new Date(now).toISOString(), id }))
    const books = yield* Books.make(journal, (wait) =>
      Effect.flatMap(stamp, (stamped) =>
        onEvent({ type: "wait", ...stamped, place: journal.path, why: "busy", ...wait })
      )
    )
    for (const one of options.only ?? []) {
      if (!(yield* journal.has(one))) {
        return yield* new BatchError({ reason: "Unknown", message: `there is no line with the id "${one}"` })
      }
    }
    if (options.receipts !== undefined) yield* ReceiptsFile.check(options.receipts, journal)
    if (options.retryFailed === true) yield* journal.reopen({ failed: options.only })
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
    const missing: Array<Earlier.Missing> = []
    // A dry run deletes nothing.
    if (options.dryRun !== true) missing.push(...(yield* Earlier.strays(yield* journal.strays)))
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
      startedAt,
      missing: (found) => void missing.push(...found)
    }
    const patient = (ready: Lot.Ready) => (postponed: Postponed, size: number | null) => {
      if (postponed.why === "quota") return quotas.full(postponed.uri, size ?? undefined, postponed.message)
      return Effect.succeed(ready.tries < mostTries && ready.places.some((place) => answered.has(place)))
    }
    const doing = (
      ready: Lot.Ready,
      { event }: Pace.Ticket,
      { done, last }: { readonly done: (standing: Tally.Standing) => void; readonly last: boolean }
    ) =>
      Effect.gen(function* () {
        yield* quotas.watch(ready.item.line)
        const outcome = yield* Doing.run(ready.item, common, {
          patient: patient(ready),
          onDone: done,
          last,
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
      lot: Lot.make(yield* Effect.scope, journal, options.order ?? "largest", only),
      pace,
      delayMs,
      maxFailures: options.maxFailures ?? Infinity,
      deadline: options.deadlineMs === undefined ? Infinity : (yield* Monotonic.now) + options.deadlineMs,
      run: options.dryRun === true ? trying : doing
    })
    const stopped = yield* Effect.raceFirst(scheduled, Effect.raceFirst(books.lost, copying?.lost ?? Effect.never))
    if (missing.length > 0) {
      yield* Effect.sleep(settledMs)
      yield* Effect.ignore(Earlier.lookAgain(missing, books))
    }
    tellCommits()
    if (copying !== undefined) yield* copying.finish
    const { reasons, ...counts } = tally
    const remaining = lines - counts.verified - counts.stored - counts.skipped - counts.failed
    const summary: Summary = {
      type: "summary",
      ...(yield* stamp),
      ...counts,
      remaining,
      elapsedMs: Math.round((yield* Monotonic.now) - began.since)
    }
    yield* onEvent(summary)
    const { open } = yield* journal.counts
    return { summary, loaded, stopped, reasons, failedBefore: before.failed, open }
  })

/** A destination that holds something, and a source that was read, are services that answer. */
const placesThatAnswered = ({ destinations }: Receipt.Receipt, ready: Lot.Ready): ReadonlyArray<string> =>
  destinations.some(({ error }) => error === undefined) ? ready.places : []
