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
import * as SourceError from "../SourceError.ts"
import type { Session } from "../Store.ts"
import * as StoreError from "../StoreError.ts"
import * as Parts from "./parts.ts"
import type { Failing, Problem } from "./problem.ts"
import type { Reading } from "./reading.ts"

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

/** Fails with `SourceChanged` when the source is not what it was at the start. */
export const checkUnchanged = <R>(source: Source<R>, info: Info): Effect.Effect<void, SourceError.SourceError, R> =>
  Effect.flatMap(source.info, (now) => {
    const what =
      now.identity !== info.identity
        ? "it was changed"
        : now.size !== info.size
          ? `its size was ${info.size ?? "unknown"}, now it is ${now.size ?? "unknown"}`
          : undefined
    return what === undefined
      ? Effect.void
      : Effect.fail(
          SourceError.make("SourceChanged", {
            uri: source.uri,
            message: `the source changed during the upload: ${what}`
          })
        )
  })

/** Fails with `SourceMismatch` at the first digest that is not the one that `whose` names. */
const checkDigests = (uri: string, digests: Digest.Digests, claimed: Digest.Digests, whose: string) => {
  const wrong = Digest.algorithms.find((a) => claimed[a] !== undefined && claimed[a]!.toLowerCase() !== digests[a])
  return wrong === undefined
    ? Effect.void
    : Effect.fail(
        SourceError.make("SourceMismatch", {
          uri,
          message: `the source's ${wrong} is ${digests[wrong]}, ${whose} ${claimed[wrong]}`
        })
      )
}

/** Of what the source's service reports, what was computed: one algorithm is enough. */
const comparable = (reported: Digest.Digests, digests: Digest.Digests): Digest.Digests =>
  Object.fromEntries(Object.entries(reported).filter(([name]) => name in digests))

/** A source without a size may come back with less: a stream that was used up, even with nothing. */
const checkSeen = (uri: string, read: number, seen: number) =>
  read >= seen
    ? Effect.void
    : Effect.fail(
        SourceError.make("SourceChanged", {
          uri,
          message: `the source ended after ${read} bytes, an earlier attempt had read ${seen}`,
          offset: read
        })
      )

/** A piece of the source once more, for a part that has to be sent again. */
const reread =
  <R>({ info, reading, source }: Options<R>, context: Context.Context<R>) =>
  (offset: number, length: number): Stream.Stream<Block, SourceError.SourceError> => {
    const unchanged = Effect.provideContext(checkUnchanged(source, info), context)
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
const planned = <R>({ reading, session, size, source }: Options<R>) =>
  session.shape === "whole"
    ? Effect.undefined
    : Effect.flatMap(session.location, (uri) =>
        Effect.mapError(Parts.plan(session, size, reading.share, source.replayable), ({ message, reason }) =>
          StoreError.make(reason, { uri, message })
        )
      )

export const run = <R>(options: Options<R>): Effect.Effect<Outcome, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const { counters, expect, info, reading, seen, session, size, source } = options
    let digests: Digest.Digests | undefined
    const context = yield* Effect.context<R>()
    const hasher = yield* Digest.Hasher
    const planning = yield* Effect.exit(planned(options))
    if (Exit.isFailure(planning)) return { exit: planning, content: undefined }
    const plan = planning.value
    const fromParts = plan === undefined ? [] : Parts.combined(plan, combinable(options))
    const started = yield* Effect.exit(hasher.start(options.algorithms.filter((a) => !fromParts.includes(a))))
    if (started._tag === "Failure") return { exit: started, content: undefined }
    const hashing = started.value
    counters.read = 0
    counters.sent = 0
    counters.acknowledged = 0
    counters.hashed = hashing.hashed

    const checked = reading.stream.pipe(
      Guard.length(source.uri, size),
      Guard.atEnd(Effect.suspend(() => checkSeen(source.uri, counters.read, seen))),
      Guard.atEnd(Effect.provideContext(checkUnchanged(source, info), context)),
      Progress.tap((bytes) => {
        counters.read += bytes
      }),
      Digest.tapWith(hashing, (all) => {
        digests = all
        return Effect.andThen(
          checkDigests(source.uri, all, expect, "expected"),
          // Bytes that are not those which the source's own service has are damaged on their way, or in its store.
          checkDigests(source.uri, all, comparable(options.reported, all), "its service says")
        )
      }),
      Guard.holdLast
    )
    const onSent = (bytes: number) => {
      counters.sent += bytes
      options.onSent(bytes)
    }
    const { answerMs, bandwidth, stallMs } = options
    if (session.shape === "parts") {
      const exit = yield* Effect.exit(
        Parts.write({
          session,
          plan: plan!,
          share: reading.share,
          hasher,
          stream: checked,
          size,
          digests: () => digests ?? {},
          combined: fromParts,
          reread: reread(options, context),
          bandwidth,
          stallMs,
          answerMs,
          onSent,
          onUnsent: (bytes) => {
            counters.sent -= bytes
          },
          onAcknowledged: (bytes) => {
            counters.acknowledged += bytes
          },
          retry: options.retryPart
        })
      )
      if (Exit.isSuccess(exit)) digests = exit.value
      return { exit: Exit.asVoid(exit), content: contentOf(counters, digests) }
    }
    const stream = Bandwidth.shape(bandwidth)(checked)
    // A body of no bytes is complete with its header, so whatever could be wrong with it is found before that.
    if (size === 0) {
      const whole = yield* Effect.exit(Blocks.runRelease(stream))
      if (whole._tag === "Failure") return { exit: whole, content: undefined }
    }
    const exit: Exit.Exit<void, Failing> = yield* Effect.exit(
      session.write<Failing, never>({
        stream: size === 0 ? Stream.empty : stream,
        length: size,
        stallMs,
        answerMs,
        onSent
      })
    )
    return { exit, content: contentOf(counters, digests) }
  })

const contentOf = (counters: Counters, digests: Digest.Digests | undefined): Outcome["content"] =>
  digests === undefined ? undefined : { size: counters.read, digests }

/** What may be known only at the very end: nothing is compared with it before the last block is sent. */
const combinable = <R>({ algorithms, expect, reported }: Options<R>): ReadonlyArray<Digest.Algorithm> =>
  algorithms.filter((a) => expect[a] === undefined && reported[a] === undefined)
