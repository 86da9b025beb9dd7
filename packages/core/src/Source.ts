/**
 * Bytes that can be opened: from an offset, and as often as needed when the source is replayable. A source says what
 * it knows of itself, so that a change between two attempts, or under a running one, is noticed.
 *
 * Sources read into blocks of the transfer's share; `fromStream` does that for anything that yields `Uint8Array`s.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import type { BlockShare } from "./BlockPool.ts"
import * as Blocks from "./Blocks.ts"
import type { DigestError } from "./DigestError.ts"
import { make as makeError, type SourceError } from "./SourceError.ts"

/**
 * What a source is now.
 *
 * @since 0.1.0
 * @category models
 */
export interface Info {
  /** Bytes, or `undefined` when nobody knows before the end. */
  readonly size: number | undefined
  /**
   * Something that differs when the content does: an ETag, or mtime, size and inode. `undefined` when the source has
   * nothing of the kind.
   */
  readonly identity: string | undefined
}

/**
 * A source. `R` is what it needs to be read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Source<out R = never> {
  /** As users type it, without secrets. */
  readonly uri: string
  /** Whether it can be opened more than once. Others get one attempt. */
  readonly replayable: boolean
  /** Looks at the source. Asked before the first attempt, before each further one, and at the end. */
  readonly info: Effect.Effect<Info, SourceError, R>
  /**
   * The bytes from `offset` on, in blocks that belong to whoever pulls them. The stream's scope closes the source.
   * An offset other than 0 is only asked of a replayable source.
   */
  readonly open: (offset: number) => Stream.Stream<Block, SourceError, R | BlockShare>
  /** Metadata that a destination may take over: disk format, properties, a suggested name. */
  readonly hints?: Effect.Effect<Hints, SourceError, R>
}

/**
 * What a source knows of its content besides the bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hints {
  readonly name?: string
  readonly diskFormat?: string
  readonly containerFormat?: string
  /** Whether it has holes: runs of zeros that take no room where it lies. */
  readonly sparse?: boolean
  /**
   * Digests that the source's own service reports, in hex by algorithm. What is read is compared with one of them at
   * least.
   */
  readonly digests?: Readonly<Record<string, string>>
}

/**
 * A source that yields bytes in plain memory; they are copied into blocks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromStream = <R>(options: {
  readonly uri: string
  readonly replayable: boolean
  readonly info: Effect.Effect<Info, SourceError, R>
  readonly open: (offset: number) => Stream.Stream<Uint8Array, SourceError, R>
}): Source<R> => ({
  uri: options.uri,
  replayable: options.replayable,
  info: options.info,
  open: (offset) => Blocks.fromBytes(options.open(offset))
})

/**
 * Bytes in memory.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromBytes = (bytes: Uint8Array, uri = "memory:"): Source =>
  fromStream({
    uri,
    replayable: true,
    info: Effect.succeed({ size: bytes.byteLength, identity: undefined }),
    open: (offset) => (offset >= bytes.byteLength ? Stream.empty : Stream.succeed(bytes.subarray(offset)))
  })

/**
 * The source as it comes out of a stage: a decompression, an encryption, a filter. The size is unknown then, unless
 * `size` says it, and every opening starts at the beginning.
 *
 * @since 0.1.0
 * @category combinators
 */
export const through = <R, R2 = never>(
  self: Source<R>,
  stage: (
    blocks: Stream.Stream<Block, SourceError, R | BlockShare>
  ) => Stream.Stream<Block, SourceError | DigestError, R2>,
  options?: { readonly size?: number }
): Source<R | Exclude<R2, BlockShare>> => ({
  uri: self.uri,
  replayable: self.replayable,
  info: Effect.map(self.info, (info) => ({ size: options?.size, identity: info.identity })),
  open: (offset) =>
    Blocks.drop(
      stage(self.open(0)).pipe(
        Stream.mapError((error) =>
          error._tag === "SourceError"
            ? error
            : makeError("SourceUnreadable", { uri: self.uri, message: error.message, cause: error })
        )
      ) as Stream.Stream<Block, SourceError, Exclude<R2, BlockShare> | BlockShare>,
      offset
    )
})
