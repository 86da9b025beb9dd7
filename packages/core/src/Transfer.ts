/**
 * A transfer brings the bytes of one source to its destinations, and proves that they arrived: it reads the source
 * once, computes digests while the bytes pass, retries what can be retried, and compares what was sent with what each
 * store says it holds.
 *
 * `run` gives the receipt; when a required destination failed, the error carries it. `events` is the same transfer as
 * a stream. Interrupting either stops the bytes at once and tidies up within five seconds.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
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
import type { Counters } from "./internal/attempt.ts"
import * as Delivery from "./internal/delivery.ts"
import * as Entry from "./internal/entry.ts"
import * as Opening from "./internal/opening.ts"
import * as Problem from "./internal/problem.ts"
import * as Tidying from "./internal/tidying.ts"
import * as Uuid from "./internal/uuid.ts"
import type * as Verdict from "./internal/verdict.ts"
import * as Watch from "./internal/watch.ts"
import type * as Reason from "./Reason.ts"
import type * as Receipt from "./Receipt.ts"
import type { Source } from "./Source.ts"
import type { Plan, Store } from "./Store.ts"
import type { TransferEvent } from "./TransferEvent.ts"

/**
 * What to transfer, and how. Where nothing is said, the value in brackets holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options<RS = never, RD = never> {
  readonly source: Source<RS>
  /** Destinations that must succeed. One, for now. */
  readonly to: ReadonlyArray<Store<RD>>
  /** Destinations on best effort. None, for now. */
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
  /** Accept a source of 0 bytes (false). */
  readonly allowEmpty?: boolean
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

const defaultRetries = 5

/** The source opened and looked at, before any destination is asked. */
const prepare = <RS, RD>(options: Options<RS, RD>) =>
  options.to.length !== 1 || (options.also?.length ?? 0) > 0
    ? Effect.fail(Problem.make("Unsupported", "several destinations are not supported yet"))
    : Opening.prepare({
        source: options.source,
        verify: options.verify ?? "transfer",
        retries: options.retries ?? defaultRetries,
        allowEmpty: options.allowEmpty ?? false
      })

/**
 * Runs a transfer.
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
      const emit = (event: Entry.Untimed) =>
        Effect.flatMap(Entry.stamp(id, event), options.onEvent ?? (() => Effect.void))
      const startedAt = yield* Clock.currentTimeMillis
      const required = (index: number) => index < options.to.length
      const stores = [...options.to, ...(options.also ?? [])]
      const state: Delivery.State = {
        session: undefined,
        attempts: 0,
        bytesSent: 0,
        content: undefined,
        notes: [],
        failed: undefined
      }
      let announced = false
      const announce = (size: number | null) =>
        Effect.suspend(() => {
          announced = true
          return emit({
            type: "start",
            source: { uri: source.uri, size },
            destinations: stores.map((store, index) => ({ uri: store.uri, required: required(index) }))
          })
        })

      let watching: Fiber.Fiber<never> | undefined
      let concluded = false

      /** Verdicts, the receipt, and nothing after them. */
      const conclude = (verdict: Verdict.Verdict, cancelled: boolean): Effect.Effect<Receipt.Receipt> =>
        Effect.gen(function* () {
          concluded = true
          // Stopped, or without bytes, before the source was known.
          if (!announced) yield* announce(null)
          if (watching !== undefined) yield* Fiber.interrupt(watching)
          const now = yield* Clock.currentTimeMillis
          const destinations = stores.map((store, index) =>
            Entry.destination({ uri: store.uri, required: required(index), verdict, cancelled, state, startedAt, now })
          )
          for (const destination of destinations) yield* emit({ type: "verdict", ...destination })
          const receipt: Receipt.Receipt = {
            id,
            source: { uri: source.uri, size: state.content?.size ?? null, digests: state.content?.digests ?? {} },
            destinations
          }
          yield* emit({ type: "receipt", ...receipt })
          return receipt
        })

      const fail = (problem: Problem.Problem, left: string, asked: boolean) =>
        Effect.flatMap(conclude({ _tag: "Bad", problem, left, object: undefined }, false), (receipt) =>
          Effect.fail(toError(problem, left, asked, options, receipt))
        )

      const body = Effect.gen(function* () {
        const prepared = yield* Effect.result(prepare(options))
        if (prepared._tag === "Failure") return yield* fail(prepared.failure, "none", false)
        const { content, first, info, reported } = prepared.success
        yield* announce(content.size ?? null)
        const store = stores[0]!
        const hasher = yield* Digest.Hasher
        const root = yield* Bandwidth.Root
        const counters: Counters = { read: 0, sent: 0, acknowledged: 0, hashed: () => 0 }
        watching = yield* Effect.forkScoped(Watch.report({ uri: store.uri, content, counters, emit }))
        const verdict = yield* Delivery.run(
          {
            source,
            info,
            content,
            bandwidth: yield* root.child({}),
            store,
            settings: {
              digest: options.digest ?? [],
              expect: options.expect ?? {},
              reported,
              verify: options.verify ?? "transfer",
              retries: options.retries ?? defaultRetries,
              stallMs: options.stallMs ?? 60_000,
              answerMs: options.answerMs ?? 900_000,
              keepFailed: options.keepFailed ?? false
            },
            first,
            hasher,
            counters,
            onRetry: ({ attempt, problem, waitMs }) =>
              emit({
                type: "retry",
                uri: store.uri,
                attempt,
                reason: problem.reason,
                message: problem.message,
                ...(problem.status === undefined ? undefined : { status: problem.status }),
                waitMs
              })
          },
          state
        )
        if (verdict._tag === "Good") yield* emit(yield* Watch.last({ uri: store.uri, content, counters, startedAt }))
        const receipt = yield* conclude(verdict, false)
        return verdict._tag === "Good" ? receipt : yield* toError(verdict.problem, verdict.left, true, options, receipt)
      })

      return yield* Effect.onExit(body, (exit) =>
        Exit.isFailure(exit) && Exit.hasInterrupts(exit)
          ? Effect.gen(function* () {
              const left = yield* Tidying.abandon(state.session, options.keepFailed ?? false)
              const before = state.failed === undefined ? "" : `; it had failed before: ${state.failed.message}`
              const problem = Problem.make("Interrupted", `interrupted${before}`, { clear: false })
              yield* conclude({ _tag: "Bad", problem, left, object: undefined }, true)
            })
          : // A defect, of whoever is told of events for instance: it passes, but leaves nothing behind.
            Exit.isFailure(exit) && Exit.hasDies(exit) && !concluded
            ? Tidying.abandon(state.session, options.keepFailed ?? false)
            : Effect.void
      )
    })
  ) as Effect.Effect<Receipt.Receipt, TransferError, RS | RD | BlockPool>

const toError = <RS, RD>(
  problem: Problem.Problem,
  left: string,
  asked: boolean,
  options: Options<RS, RD>,
  receipt: Receipt.Receipt
): TransferError =>
  new TransferError({
    reason: { _tag: problem.reason },
    uri: problem.ofSource ? options.source.uri : (options.to[0]?.uri ?? options.source.uri),
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
): Effect.Effect<Planned, never, RS | RD | BlockPool> =>
  Effect.scoped(
    Effect.gen(function* () {
      const id = options.id ?? (yield* Uuid.next)
      const stores = [...options.to, ...(options.also ?? [])]
      const prepared = yield* Effect.result(prepare(options))
      if (prepared._tag === "Failure") {
        const problem = prepared.failure
        return {
          id,
          source: { uri: options.source.uri, size: null },
          destinations: stores.map((store, index) => ({
            uri: store.uri,
            required: index < options.to.length,
            action: "fail" as const,
            why: problem.message,
            problem
          }))
        }
      }
      const { content } = prepared.success
      const destinations = yield* Effect.forEach(stores, (store, index) =>
        Effect.match(Effect.scoped(store.plan(content)), {
          onSuccess: (planned) => ({ uri: store.uri, required: index < options.to.length, ...planned }),
          onFailure: (error) => ({
            uri: store.uri,
            required: index < options.to.length,
            action: "fail" as const,
            why: error.message,
            problem: Problem.fromError(error)
          })
        })
      )
      return { id, source: { uri: options.source.uri, size: content.size ?? null }, destinations }
    })
  ) as Effect.Effect<Planned, never, RS | RD | BlockPool>
