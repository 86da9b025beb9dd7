/**
 * One attempt to send a source's bytes into a session: the pipeline, built of the public stages.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Bandwidth from "../Bandwidth.ts"
import type { Block } from "../Block.ts"
import { BlockShare } from "../BlockPool.ts"
import * as Blocks from "../Blocks.ts"
import * as Digest from "../Digest.ts"
import * as Guard from "../Guard.ts"
import * as Progress from "../Progress.ts"
import type { Info, Source } from "../Source.ts"
import type * as SourceError from "../SourceError.ts"
import type { PartsSession, Session, WholeSession } from "../Store.ts"
import * as StoreError from "../StoreError.ts"
import * as Checked from "./checked.ts"
import * as Copied from "./copied.ts"
import * as Parts from "./parts.ts"
import type { Failing, Problem } from "./problem.ts"
import type { Reading } from "./reading.ts"
import type { Standing } from "./standing.ts"

/** Counters of the running attempt, read by the progress display. */
export interface Counters {
  read: number
  sent: number
  /** Bytes of parts that the store has taken. */
  acknowledged: number
  hashed: () => number
}

export interface Outcome {
  readonly exit: Exit.Exit<void, Failing>
  /** Size and digests of the source, when it was read to its end and found unchanged. */
  readonly content: { readonly size: number; readonly digests: Digest.Digests } | undefined
  /** Nothing was done: the saved state of the hashers does not fit, and the source has to be read from its beginning. */
  readonly restart?: boolean
}

export interface Options<R> {
  readonly source: Source<R>
  /** What the source said of itself at the start. */
  readonly info: Info
  readonly size: number | undefined
  /** Bytes that an earlier attempt has read: a source that ends before these has lost some. */
  readonly seen: number
  readonly reading: Reading
  readonly session: Session
  /** What stands of an object in parts. */
  readonly standing: Standing
  readonly algorithms: ReadonlyArray<Digest.Algorithm>
  readonly expect: Digest.Digests
  /** Digests that the source's own service reports. */
  readonly reported: Digest.Digests
  readonly bandwidth: Bandwidth.Node
  readonly stallMs: number
  readonly answerMs: number
  readonly counters: Counters
  readonly onSent: (bytes: number) => void
  /** Tells of a part's failure, and waits; false when there shall be no other attempt at it. */
  readonly retryPart: (failures: number, problem: Problem) => Effect.Effect<boolean>
}

/** A piece of the source once more, for a part that has to be sent again. */
const reread =
  <R>({ info, reading, source }: Options<R>, context: Context.Context<R>) =>
  (offset: number, length: number): Stream.Stream<Block, SourceError.SourceError> => {
    const unchanged = Effect.provideContext(Checked.unchanged(source, info), context)
    return Stream.unwrap(
      Effect.as(
        unchanged,
        Blocks.take(source.open(offset), length).pipe(
          Stream.provideService(BlockShare, reading.share),
          Stream.provideContext(context),
          Guard.length(source.uri, length),
          Guard.atEnd(unchanged),
          Guard.holdLast
        )
      )
    ) as Stream.Stream<Block, SourceError.SourceError>
  }

/** How a session of parts is to be sent; nothing for one of a whole body. */
const planned = <R>({ reading, session, size, source, standing }: Options<R>) =>
  session.shape === "whole"
    ? Effect.undefined
    : Effect.gen(function* () {
        const { replayable } = source
        const uri = yield* session.location
        const plan = yield* Effect.mapError(
          Parts.plan({ session, size, reading, replayable, standing }),
          ({ message, reason }) => StoreError.make(reason, { uri, message })
        )
        yield* standing.cut(plan.partBytes)
        standing.keep(Parts.useful(plan, size))
        return plan
      })

/** Whether the hashers can go on where the reading begins, and what does not stand before that can be read. */
const fits = <R>(
  { reading, standing }: Options<R>,
  plan: Parts.Plan,
  algorithms: ReadonlyArray<Digest.Algorithm>
): boolean => {
  const { state } = standing
  if (state?.bytes !== reading.offset || !algorithms.every((name) => state.states[name] !== undefined)) return false
  return plan.collected || plan.rereads || Parts.missing(plan, standing, reading.offset).length === 0
}

/** Where an attempt's bytes come from. */
interface Supply {
  readonly stream: Stream.Stream<Block, Failing>
  /** Of the source, once it was read to its end and found as it should be. */
  readonly content: () => Outcome["content"]
}

/** Hashed and checked for this attempt alone, unless the reading has that done for all its readers. */
const supplied = <R>(
  options: Options<R>,
  algorithms: ReadonlyArray<Digest.Algorithm>,
  plan: Parts.Plan | undefined
): Effect.Effect<Supply, Digest.DigestError, R | Scope.Scope> =>
  Effect.gen(function* () {
    const { counters, reading, session, standing } = options
    counters.read = reading.offset
    counters.sent = counters.acknowledged = standing.parts.reduce((sum, { length }) => sum + length, 0)
    const { shared } = reading
    const hasher = yield* Digest.Hasher
    const { replayable } = options.source
    const noted = session.shape === "parts" && session.resumption !== undefined && replayable && hasher.resumable
    const onState = (state: Digest.State) => standing.saved(state)
    const every = plan?.partBytes ?? 1
    if (shared !== undefined) {
      if (noted) shared.saveStates(every, onState)
      counters.hashed = shared.hashed
      const stream = Progress.tap((bytes) => {
        counters.read += bytes
      })(reading.stream)
      return { stream, content: shared.content }
    }
    let digests: Digest.Digests | undefined
    const hashing = yield* hasher.start(algorithms, reading.offset === 0 ? undefined : standing.state)
    counters.hashed = hashing.hashed
    const stream = Checked.stream({
      ...options,
      context: yield* Effect.context<R>(),
      hashing,
      checkpoints: noted ? { every, isEnd: (total) => total % every === 0, onState } : undefined,
      onDigests: (all) => {
        digests = all
      }
    })
    return { stream, content: () => (digests === undefined ? undefined : { size: counters.read, digests }) }
  })

export const run = <R>(options: Options<R>): Effect.Effect<Outcome, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const planning = yield* Effect.exit(planned(options))
    if (Exit.isFailure(planning)) return { exit: planning, content: undefined }
    const plan = planning.value
    const fromParts = plan === undefined ? [] : Parts.combined(plan, combinable(options))
    const algorithms = options.algorithms.filter((a) => !fromParts.includes(a))
    const resumed = options.reading.offset > 0
    const restart: Outcome = { exit: Exit.void, content: undefined, restart: true }
    if (resumed && !fits(options, plan!, algorithms)) return restart
    const supply = yield* Effect.exit(supplied(options, algorithms, plan))
    // A state of another version of the hashers.
    if (Exit.isFailure(supply)) return resumed ? restart : { exit: supply, content: undefined }
    return options.session.shape === "parts"
      ? yield* runParts(options, options.session, supply.value, plan!, fromParts)
      : yield* runWhole(options, options.session, supply.value)
  })

const runWhole = <R>(options: Options<R>, session: WholeSession, supply: Supply): Effect.Effect<Outcome> =>
  Effect.gen(function* () {
    const { answerMs, size, stallMs } = options
    const stream = Bandwidth.shape(options.bandwidth)(supply.stream)
    // A body of no bytes is complete with its header, so whatever could be wrong with it is found before that.
    if (size === 0) {
      const checked = yield* Effect.exit(Blocks.runRelease(stream))
      if (checked._tag === "Failure") return { exit: checked, content: undefined }
    }
    const exit: Exit.Exit<void, Failing> = yield* Effect.exit(
      session.write<Failing, never>({
        stream: size === 0 ? Stream.empty : stream,
        length: size,
        stallMs,
        answerMs,
        onSent: counting(options),
        finalDigests: Effect.sync(() => supply.content()?.digests)
      })
    )
    return { exit, content: supply.content() }
  })

const runParts = <R>(
  options: Options<R>,
  session: PartsSession,
  supply: Supply,
  plan: Parts.Plan,
  combined: ReadonlyArray<Digest.Algorithm>
): Effect.Effect<Outcome, never, R> =>
  Effect.gen(function* () {
    const { answerMs, bandwidth, counters, reading, size, stallMs } = options
    const exit = yield* Effect.exit(
      Parts.write({
        session,
        plan,
        standing: options.standing,
        from: reading.offset,
        share: reading.share,
        hasher: yield* Digest.Hasher,
        stream: kept(reading, plan)(supply.stream),
        size,
        digests: () => supply.content()?.digests ?? {},
        combined,
        reread: reread(options, yield* Effect.context<R>()),
        bandwidth,
        stallMs,
        answerMs,
        onSent: counting(options),
        onUnsent: (bytes) => {
          counters.sent -= bytes
        },
        onAcknowledged: (bytes) => {
          counters.acknowledged += bytes
        },
        retry: options.retryPart
      })
    )
    const content = supply.content()
    const digests = Exit.isSuccess(exit) ? exit.value : content?.digests
    return {
      exit: Exit.asVoid(exit),
      content: content === undefined || digests === undefined ? undefined : { size: content.size, digests }
    }
  })

/** Parts that are collected from a shared reading are kept in the destination's own memory. */
const kept = ({ share, shared }: Reading, plan: Parts.Plan) =>
  shared !== undefined && plan.collected ? Copied.into(share) : (stream: Stream.Stream<Block, Failing>) => stream

const counting =
  <R>({ counters, onSent }: Options<R>) =>
  (bytes: number) => {
    counters.sent += bytes
    onSent(bytes)
  }

/** What may be known only at the very end: nothing is compared with it before the last block is sent. */
const combinable = <R>({ algorithms, expect, reported }: Options<R>): ReadonlyArray<Digest.Algorithm> =>
  algorithms.filter((a) => expect[a] === undefined && reported[a] === undefined)
