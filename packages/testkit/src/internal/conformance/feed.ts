/**
 * Bodies as the engine gives them to a session: blocks of a pool on shared memory, whose memory is used again as soon as
 * a block is given back. What a session takes of them, and what it says of it, is counted.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "@headrace/core/Block"
import type { BlockShare } from "@headrace/core/BlockPool"
import type { Body, PartBody, PartsSession, Session, StoredPart } from "@headrace/core/Store"
import type { SourceError } from "@headrace/core/SourceError"
import type { StoreError } from "@headrace/core/StoreError"
import { digestsOf } from "./bytes.ts"
import { blockBytes, type Lab, overlay } from "./lab.ts"
import type { Violation } from "./model.ts"

export interface How {
  /** Announced instead of the real length; `null`: none. */
  readonly length?: number | null
  /** Runs before a block is given, at so many bytes. It may fail, or never end. */
  readonly before?: (position: number) => Effect.Effect<unknown, SourceError>
  /** Memory that is free is overwritten before each block. */
  readonly poison?: boolean
  readonly stallMs?: number
  readonly answerMs?: number
}

/** What has become of a body so far. */
export interface Feed {
  readonly body: Body<SourceError, never>
  /** Bytes that the session has taken, and those that it says it has handed on. */
  pulled: number
  sent: number
  /** The most that it has had in hand, and the most that it has counted too much. */
  mostAhead: number
  /** Told of each `onSent`. */
  onSent: ((bytes: number) => void) | undefined
}

/** Overwrites all memory that nobody holds. */
export const poison = (share: BlockShare["Service"]): void => {
  const free: Array<Block> = []
  for (let block = share.takeNow(); block !== undefined; block = share.takeNow()) {
    block.space.fill(0xdd)
    free.push(block)
  }
  for (const block of free) block.release()
}

export const make = (share: BlockShare["Service"], bytes: Uint8Array, how: How = {}): Feed => {
  let ended = false
  const pull = () => {
    let position = 0
    const next: Effect.Effect<Arr.NonEmptyReadonlyArray<Block>, SourceError | Cause.Done> = Effect.suspend(() =>
      Effect.andThen(
        how.before?.(position) ?? Effect.void,
        Effect.suspend(() => {
          if (position >= bytes.byteLength) {
            ended = true
            return Cause.done()
          }
          if (how.poison === true) poison(share)
          return Effect.map(share.take, (block): Arr.NonEmptyReadonlyArray<Block> => {
            const piece = bytes.subarray(position, position + share.blockBytes)
            block.space.set(piece)
            position += piece.byteLength
            feed.pulled += piece.byteLength
            feed.mostAhead = Math.max(feed.mostAhead, feed.pulled - feed.sent)
            return [block.setLength(piece.byteLength)]
          })
        })
      )
    )
    return next
  }
  const feed: Feed = {
    pulled: 0,
    sent: 0,
    mostAhead: 0,
    onSent: undefined,
    body: {
      stream: Stream.fromPull(Effect.sync(pull)),
      length: how.length === undefined ? bytes.byteLength : (how.length ?? undefined),
      stallMs: how.stallMs ?? 10_000,
      answerMs: how.answerMs ?? 10_000,
      onSent: (count) => {
        feed.sent += count
        feed.onSent?.(count)
      },
      finalDigests: Effect.suspend(() => (ended ? digestsOf(bytes, ["md5", "sha256", "sha512"]) : Effect.undefined))
    }
  }
  return feed
}

/** A share of the scenario's pool, for as long as its scope. */
export const share = <R>(lab: Lab<R>): Effect.Effect<BlockShare["Service"], never, Scope.Scope> => lab.pool.share(5)

export type Failing = StoreError | SourceError

/** One part of bytes, as a body. */
export const part = (
  session: PartsSession,
  feed: Feed,
  at: { readonly number: number; readonly offset: number; readonly bytes: Uint8Array; readonly length?: number }
): Effect.Effect<PartBody<SourceError, never>> =>
  Effect.map(digestsOf(at.bytes, session.partDigests), (digests) => {
    const { finalDigests: _, ...body } = feed.body
    return { ...body, number: at.number, offset: at.offset, length: at.length ?? at.bytes.byteLength, digests }
  })

export interface Sent {
  readonly parts: ReadonlyArray<StoredPart>
  readonly feeds: ReadonlyArray<Feed>
}

/** Writes one part. */
export const writePart = (
  session: PartsSession,
  share: BlockShare["Service"],
  bytes: Uint8Array,
  at: { readonly number: number; readonly offset: number },
  how: How = {}
): Effect.Effect<{ readonly part: StoredPart; readonly feed: Feed }, Failing> =>
  Effect.gen(function* () {
    const feed = make(share, bytes, how)
    const body = yield* part(session, feed, { ...at, bytes })
    const tag = yield* session.writePart(body)
    return { part: { ...at, length: bytes.byteLength, tag, digests: body.digests }, feed }
  })

/** Bytes cut as the engine cuts them. An object without a byte has one part, without a byte. */
export const pieces = (bytes: Uint8Array, partBytes: number) =>
  Array.from({ length: Math.max(1, Math.ceil(bytes.byteLength / partBytes)) }, (_, index) => ({
    number: index + 1,
    offset: index * partBytes,
    bytes: bytes.subarray(index * partBytes, (index + 1) * partBytes)
  }))

/** Writes bytes into a session that was begun, in whatever shape, and has the object made of them. */
export const write = <R>(
  lab: Lab<R>,
  session: Session,
  share: BlockShare["Service"],
  bytes: Uint8Array,
  how: How = {}
): Effect.Effect<Sent, Failing> =>
  Effect.gen(function* () {
    if (session.shape === "whole") {
      const feed = make(share, bytes, how)
      yield* session.write(feed.body)
      return { parts: [], feeds: [feed] }
    }
    const { length: _, ...rest } = how
    const written = yield* Effect.forEach(pieces(bytes, lab.partBytes), (piece) =>
      writePart(session, share, piece.bytes, piece, {
        ...rest,
        ...(how.before === undefined ? undefined : { before: (position) => how.before!(piece.offset + position) })
      })
    )
    const parts = written.map(({ part }) => part)
    if (how.poison === true) poison(share)
    yield* finish(session, bytes, parts)
    return { parts, feeds: written.map(({ feed }) => feed) }
  })

export const finish = (session: PartsSession, bytes: Uint8Array, parts: ReadonlyArray<StoredPart>) =>
  Effect.flatMap(digestsOf(bytes, session.wanted), (digests) =>
    session.finish({ parts, size: bytes.byteLength, digests, answerMs: 10_000 })
  )

/** An object brought to the service, begun and written; gives its session. */
export const store = <R>(
  lab: Lab<R>,
  key: string,
  bytes: Uint8Array,
  how: How = {}
): Effect.Effect<{ readonly session: Session; readonly sent: Sent }, Violation, R | Scope.Scope> =>
  Effect.gen(function* () {
    const content = lab.content(bytes, how.length === null ? { size: undefined } : undefined)
    const session = yield* lab.open(key, content)
    const contract = "a store takes a body that is right"
    yield* lab.ok("begin", contract, session.begin)
    const memory = yield* share(lab)
    const sent = yield* lab.ok(`writing ${bytes.byteLength} bytes`, contract, write(lab, session, memory, bytes, how))
    return { session, sent }
  })

/** A session whose parts the engine makes as large as the kit's. */
export const cut = <R>(lab: Lab<R>, session: Session): Session =>
  session.shape === "whole"
    ? session
    : overlay(session, { limits: { ...session.limits, preferredBytes: Math.max(lab.partBytes, blockBytes) } })
