/**
 * A transfer brings the bytes of one source to its destinations, and proves that they arrived: it reads the source
 * once, computes digests while the bytes pass, retries what can be retried, and compares what was sent with what each
 * store says it holds. Where a service copies an object to further places by itself, these are destinations too.
 *
 * `run` gives the receipt; when a required destination failed, the error carries it. `events` is the same transfer as
 * a stream. Interrupting either stops the bytes at once and tidies up within five seconds.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Cause from "effect/Cause"
import * as Stream from "effect/Stream"
import * as Bandwidth from "./Bandwidth.ts"
import type { BlockPool } from "./BlockPool.ts"
import * as Digest from "./Digest.ts"
import * as Copying from "./internal/copying.ts"
import * as Delivery from "./internal/delivery.ts"
import * as End from "./internal/end.ts"
import * as Entry from "./internal/entry.ts"
import * as FanOut from "./internal/fanOut.ts"
import * as Planning from "./internal/planning.ts"
import * as Problem from "./internal/problem.ts"
import * as Settings from "./internal/settings.ts"
import * as Tidying from "./internal/tidying.ts"
import * as Uuid from "./internal/uuid.ts"
import type * as Verdict from "./internal/verdict.ts"
import * as Watch from "./internal/watch.ts"
import * as Monotonic from "./Monotonic.ts"
import type * as Reason from "./Reason.ts"
import type * as Receipt from "./Receipt.ts"
import type { Source } from "./Source.ts"
import type { Plan, Store } from "./Store.ts"
import * as Tracing from "./Tracing.ts"
import type { TransferEvent } from "./TransferEvent.ts"

/**
 * What to transfer, and how. Where nothing is said, the value in brackets holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<RS = never, RD = never> {
  readonly source: Source<RS>
  /** Destinations that must succeed: one at least. */
  readonly to: ReadonlyArray<Store<RD>>
  /** Destinations on best effort: a failure of theirs is in the receipt, and is none of the transfer's. */
  readonly also?: ReadonlyArray<Store<RD>>
  /** The transfer's id in events and in the receipt (a new UUID). */
  readonly id?: string
  /** Algorithms to compute besides those that the destinations can be checked against. */
  readonly digest?: ReadonlyArray<Digest.Algorithm>
  /** Digests that the source must have; the last block is not sent before they are known to be right. */
  readonly expect?: Digest.Digests
  /** What a verdict must rest on (`transfer`). */
  readonly verify?: "transfer" | "source" | "destination"
  /** Attempts after the first (5). */
  readonly retries?: number
  /** Milliseconds without a byte moving after which an attempt has failed (60,000). */
  readonly stallMs?: number
  /** Milliseconds that a store may take to answer after the last byte, or to come to rest (900,000). */
  readonly answerMs?: number
  /** Leave what a failed upload made (false). */
  readonly keepFailed?: boolean
  /**
   * Go on with an earlier upload of the same source to the same place, where the store takes objects as parts and an
   * `UploadJournal` has it (true).
   */
  readonly resume?: boolean
  /** Accept a source of 0 bytes (false). */
  readonly allowEmpty?: boolean
  /**
   * Asked once for each destination, by its place among `to` and then `also`: when the effect ends, that destination is
   * cancelled and tidied up, and no other one. One that must succeed fails the transfer, with `Interrupted`.
   */
  readonly cancel?: (destination: { readonly uri: string; readonly index: number }) => Effect.Effect<unknown>
  /** Told of every event, in order; a slow one slows the transfer down. */
  readonly onEvent?: (event: TransferEvent) => Effect.Effect<void>
}

/**
 * A required destination failed. `receipt` has the verdicts of all of them.
 *
 * @since 0.1.0
 * @category errors
 */
export class TransferError extends Data.TaggedError("TransferError")<{
  readonly reason: Reason.Tagged
  /** The source's URI or the destination's, whichever is at fault. */
  readonly uri: string
  readonly message: string
  readonly retryable: boolean
  readonly status?: number
  readonly objectId?: string
  /** What exists at the destination now. */
  readonly left: string
  /** Whether any destination had been asked when it failed. */
  readonly asked: boolean
  readonly receipt: Receipt.Receipt
}> {}

/**
 * What would be done, without doing it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Planned {
  readonly id: string
  readonly source: { readonly uri: string; readonly size: number | null }
  readonly destinations: ReadonlyArray<
    { readonly uri: string; readonly required: boolean; readonly problem?: Problem.Problem } & Plan
  >
}

/**
 * Runs a transfer. The source is read once for all destinations; each has its own attempts and its own verdict, and none
 * waits for another, but where the source can be read only once.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <RS = never, RD = never>(
  options: Options<RS, RD>
): Effect.Effect<Receipt.Receipt, TransferError, RS | RD | BlockPool> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { source } = options
      const id = options.id ?? (yield* Uuid.next)
      const { cancel, onEvent } = options
      const emit = (event: Entry.Untimed) =>
        onEvent === undefined ? Effect.void : Effect.flatMap(Entry.stamp(id, event), onEvent)
      const startedAt = yield* Monotonic.moment
      const ends = End.all(options.to, options.also ?? [])
      const lines = End.lines(ends)
      let announced = false
      const announce = (size: number | null) =>
        Effect.suspend(() => {
          announced = true
          const destinations = End.announced(ends)
          return emit({ type: "start", source: { uri: source.uri, size }, destinations })
        })

      let watching: Fiber.Fiber<never> | undefined
      let concluded = false

      /** An attempt has failed and is tried again: this is told, and kept for the receipt. */
      const tellRetry = (line: End.Line, retry: Parameters<typeof Entry.retry>[1]) =>
        Effect.suspend(() => {
          End.retried(line, retry.problem.reason)
          return emit(Entry.retry(line.uri, retry))
        })

      /** The verdict of a destination or of a copy, told once. */
      const settle = (line: End.Line, verdict: Verdict.Verdict, cancelled = false) =>
        Effect.gen(function* () {
          // With the last verdict there is nothing to report any more.
          if (watching !== undefined && lines.every((other) => other === line || other.verdict !== undefined)) {
            yield* Fiber.interrupt(watching)
          }
          const now = yield* Monotonic.now
          const { required, state, uri } = line
          const since = line.startedAt ?? startedAt
          line.verdict = verdict
          line.entry = Entry.destination({ uri, required, verdict, cancelled, state, startedAt: since, now })
          yield* emit({ type: "verdict", ...line.entry })
        })

      /** Tidies up after a destination that was stopped from outside. */
      const stopped = ({ state }: End.End<RD>, how: "interrupted" | "cancelled"): Effect.Effect<Verdict.Verdict> =>
        Effect.map(Tidying.abandon(state, options.keepFailed ?? false), (left) => {
          const before = state.failed === undefined ? "" : `; it had failed before: ${state.failed.message}`
          const problem = Problem.make("Interrupted", `${how}${before}`, { clear: false })
          return { _tag: "Bad", problem, left, object: undefined }
        })

      /** The receipt, and nothing after it. */
      const conclude: Effect.Effect<Receipt.Receipt> = Effect.suspend(() => {
        const receipt: Receipt.Receipt = {
          id,
          source: { uri: source.uri, ...End.content(ends) },
          destinations: lines.map((line) => line.entry!)
        }
        return Effect.as(emit({ type: "receipt", ...receipt }), receipt)
      })

      /** The same for all that have no verdict yet. */
      const concludeAll = (
        verdictOf: (end: End.End<RD>) => Effect.Effect<Verdict.Verdict>,
        /** Of the copies of an end that has a verdict. */
        copyVerdictOf: (end: End.End<RD>) => Effect.Effect<Verdict.Verdict>,
        cancelled: boolean
      ) =>
        Effect.gen(function* () {
          concluded = true
          // Stopped, or without bytes, before the source was known.
          if (!announced) yield* announce(null)
          if (watching !== undefined) yield* Fiber.interrupt(watching)
          const open = ends.filter((end) => end.verdict === undefined)
          const verdicts = yield* Effect.forEach(open, verdictOf, { concurrency: "unbounded" })
          for (const [index, end] of open.entries()) yield* settle(end, verdicts[index]!, cancelled)
          const copied = ends.filter(({ copies }) => copies.some(({ verdict }) => verdict === undefined))
          const ofCopies = yield* Effect.forEach(copied, copyVerdictOf, { concurrency: "unbounded" })
          for (const [index, { copies }] of copied.entries()) {
            for (const copy of copies) {
              if (copy.verdict === undefined) yield* settle(copy, ofCopies[index]!, cancelled)
            }
          }
          return yield* conclude
        })

      const body = Effect.gen(function* () {
        const prepared = yield* Effect.result(Settings.prepare(options))
        if (prepared._tag === "Failure") {
          const problem = prepared.failure
          const bad: Verdict.Verdict = { _tag: "Bad", problem, left: "none", object: undefined }
          const receipt = yield* concludeAll(
            () => Effect.succeed(bad),
            () => Effect.succeed(bad),
            false
          )
          return yield* toError(problem, "none", false, ends[0]?.store.uri ?? source.uri, options, receipt)
        }
        const { content, first, info, reported } = prepared.success
        yield* announce(content.size ?? null)
        const hasher = yield* Digest.Hasher
        const root = yield* Bandwidth.Root
        const settings = Settings.of(options, reported)
        const fanOut =
          ends.length === 1
            ? undefined
            : yield* FanOut.make({
                ...settings,
                source,
                info,
                size: content.size,
                first,
                hasher,
                required: ends.map((end) => end.required),
                sent: (index) => ends[index]!.counters.sent
              })
        const watched: Watch.Watched = { content, ends, startedAt, shared: fanOut, emit }
        if (onEvent !== undefined) watching = yield* Effect.forkScoped(Watch.report(watched))

        const deliver = (end: End.End<RD>, index: number) =>
          Effect.gen(function* () {
            const delivery = Delivery.run(
              {
                source,
                info,
                content,
                bandwidth: yield* root.child({}),
                store: end.store,
                settings,
                join: (algorithms) => fanOut?.join(index, algorithms) ?? Effect.succeed(first),
                decline: fanOut?.leave(index) ?? first.close,
                hasher,
                counters: end.counters,
                onRetry: (retry) => Effect.andThen(fanOut?.delayed(index) ?? Effect.void, tellRetry(end, retry))
              },
              end.state
            )
            const running =
              cancel === undefined
                ? delivery
                : Effect.raceFirst(delivery, Effect.as(cancel({ uri: end.store.uri, index }), undefined))
            const verdict = yield* fanOut === undefined ? running : Effect.ensuring(running, fanOut.leave(index))
            if (verdict?._tag === "Good") {
              end.counters.acknowledged = end.counters.sent
              yield* emit(yield* Watch.last(watched))
            }
            const reached = verdict ?? (yield* stopped(end, "cancelled"))
            yield* settle(end, reached, verdict === undefined)
            yield* Copying.follow(end, reached, {
              ...settings,
              onRetry: tellRetry,
              settle
            })
          })
        yield* Effect.forEach(ends, deliver, { concurrency: "unbounded", discard: true })
        concluded = true
        const receipt = yield* conclude
        const failed = End.worst(lines)
        if (failed === undefined) return receipt
        const { problem, left } = failed.verdict
        return yield* toError(problem, left, true, failed.uri, options, receipt)
      })

      const ending = Effect.onExit(body, (exit) => {
        const keep = options.keepFailed ?? false
        if (Exit.isFailure(exit) && Exit.hasInterrupts(exit)) {
          return concludeAll((end) => stopped(end, "interrupted"), Copying.interrupted, true)
        }
        // A defect, of whoever is told of events for instance: it passes, but leaves nothing behind.
        if (Exit.isFailure(exit) && Exit.hasDies(exit) && !concluded) {
          const open = ends.filter((end) => end.verdict === undefined)
          return Effect.forEach(open, ({ state }) => Tidying.abandon(state, keep), { concurrency: "unbounded" })
        }
        return Effect.void
      })
      const destinations = lines.map(({ uri }) => uri)
      return yield* Tracing.transfer(ending, { id, source: source.uri, destinations })
    })
  ) as Effect.Effect<Receipt.Receipt, TransferError, RS | RD | BlockPool>

const toError = <RS, RD>(
  problem: Problem.Problem,
  left: string,
  asked: boolean,
  /** The destination's. */
  uri: string,
  options: Options<RS, RD>,
  receipt: Receipt.Receipt
): TransferError =>
  new TransferError({
    reason: { _tag: problem.reason },
    uri: problem.ofSource ? options.source.uri : uri,
    message: problem.message,
    retryable: problem.retryable,
    ...(problem.status === undefined ? undefined : { status: problem.status }),
    ...(problem.objectId === undefined ? undefined : { objectId: problem.objectId }),
    left,
    asked,
    receipt
  })

/**
 * The same transfer as a stream of its events, run when the stream is. The last event is the receipt, also of a
 * transfer that failed; the stream itself does not fail.
 *
 * @since 0.1.0
 * @category running
 */
export const events = <RS = never, RD = never>(
  options: Options<RS, RD>
): Stream.Stream<TransferEvent, never, RS | RD | BlockPool> =>
  Stream.callback<TransferEvent, never, RS | RD | BlockPool>(
    (queue: Queue.Queue<TransferEvent, Cause.Done>) =>
      Effect.gen(function* () {
        const transfer = yield* Effect.forkScoped(
          run({
            ...options,
            onEvent: (event) =>
              Effect.andThen(Effect.asVoid(Queue.offer(queue, event)), options.onEvent?.(event) ?? Effect.void)
          })
        )
        // Runs before the transfer is interrupted: its last words must not wait for a reader that has gone.
        yield* Effect.addFinalizer(() => Queue.shutdown(queue))
        yield* Effect.ignore(Fiber.join(transfer))
        yield* Queue.end(queue)
      }),
    // An event waits for whoever reads the stream: none is dropped, and no number of them piles up.
    { bufferSize: 64, strategy: "suspend" }
  ) as Stream.Stream<TransferEvent, never, RS | RD | BlockPool>

/**
 * Looks at every precondition: opens the source, signs in, asks each store what it would do. Makes nothing.
 *
 * @since 0.1.0
 * @category running
 */
export const plan = <RS = never, RD = never>(
  options: Options<RS, RD>
): Effect.Effect<Planned, never, RS | RD | BlockPool> => Planning.run(options)
