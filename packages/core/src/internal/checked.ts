/**
 * The bytes of a reading, counted, hashed and checked: the last block passes only when the source has ended well, has the
 * size that it announced, is unchanged, and has the digests that were expected of it.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import * as Digest from "../Digest.ts"
import * as Guard from "../Guard.ts"
import * as Progress from "../Progress.ts"
import type { Info, Source } from "../Source.ts"
import * as SourceError from "../SourceError.ts"
import * as Checkpoint from "./checkpoint.ts"
import type { Reading } from "./reading.ts"

/** Fails with `SourceChanged` when the source is not what it was at the start. */
export const unchanged = <R>(source: Source<R>, info: Info): Effect.Effect<void, SourceError.SourceError, R> =>
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

export interface Checkpoints {
  /** Bytes from one end of a part to the next, where what comes is to be cut there. */
  readonly every?: number
  readonly isEnd: (total: number) => boolean
  readonly onState: (state: Digest.State) => void
}

export interface Options<R> {
  readonly source: Source<R>
  readonly context: Context.Context<R>
  /** What the source said of itself at the start. */
  readonly info: Info
  readonly size: number | undefined
  /** Bytes that an earlier attempt has read: a source that ends before these has lost some. */
  readonly seen: number
  readonly reading: Pick<Reading, "stream" | "offset">
  readonly hashing: Digest.Hashing
  readonly expect: Digest.Digests
  /** Digests that the source's own service reports. */
  readonly reported: Digest.Digests
  readonly counters: { read: number }
  /** Where states of the hashers are of use to somebody. */
  readonly checkpoints?: Checkpoints | undefined
  /** Told before the last block passes. */
  readonly onDigests: (digests: Digest.Digests) => void
}

export const stream = <R>(options: Options<R>): Stream.Stream<Block, SourceError.SourceError | Digest.DigestError> => {
  const { context, counters, expect, hashing, info, reading, reported, seen, size, source } = options
  const { offset } = reading
  const { checkpoints } = options
  return reading.stream.pipe(
    checkpoints?.every === undefined ? (self) => self : Checkpoint.align({ every: checkpoints.every, from: offset }),
    Guard.length(source.uri, size, offset),
    Guard.atEnd(Effect.suspend(() => checkSeen(source.uri, counters.read, seen))),
    Guard.atEnd(Effect.provideContext(unchanged(source, info), context)),
    Progress.tap((bytes) => {
      counters.read += bytes
    }),
    Digest.tapWith(hashing, (all) => {
      options.onDigests(all)
      return Effect.andThen(
        checkDigests(source.uri, all, expect, "expected"),
        // Bytes that are not those which the source's own service has are damaged on their way, or in its store.
        checkDigests(source.uri, all, comparable(reported, all), "its service says")
      )
    }),
    checkpoints === undefined ? (self) => self : Checkpoint.take({ ...checkpoints, from: offset, hashing }),
    Guard.holdLast
  )
}
