/**
 * One opening of a source: its first bytes are looked at before anything is asked of a store, and the very same
 * blocks are then the beginning of the body. It has a share of the pool of its own, so that when it is closed every
 * block comes back, wherever on its way it was.
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import { BlockPool, BlockShare } from "../BlockPool.ts"
import type { State } from "../Digest.ts"
import type { DigestError } from "../DigestError.ts"
import type { Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import type { SourceContent } from "./judge.ts"

/** Bytes of the head that formats are recognised by. */
export const headBytes = 64 * 1024

/** Blocks that may be held for the head: a slow source gives small ones. One of the share's must stay free. */
const headBlocks = (share: BlockShare["Service"]) => Math.max(1, Math.min(3, share.minimum - 1))

export interface Reading {
  /** Where it begins in the source, in bytes. */
  readonly offset: number
  /** What its blocks are taken from. */
  readonly share: BlockShare["Service"]
  /** Up to 64 KiB, in memory of their own. */
  readonly head: Uint8Array
  /** The size of what there is from `offset` on, where all of it is in the held blocks. */
  readonly wholeSize: number | undefined
  /** Whether a block has been handed out: then this reading cannot serve another attempt. */
  readonly consumed: () => boolean
  readonly stream: Stream.Stream<Block, SourceError | DigestError>
  readonly close: Effect.Effect<void>
  /** For one of several readers: the bytes are hashed and checked already, for all of them. */
  readonly shared?: {
    /** The source's size and digests, once it was read to its end and found as it should be. */
    readonly content: () => SourceContent | undefined
    readonly hashed: () => number
    /** Blocks that a destination may keep copies of the bytes in. */
    readonly mostBlocks: number
    /** Has states of the hashers told, of the ends of parts of so many bytes, as far as pieces of the source end there. */
    readonly saveStates: (every: number, onState: (state: State) => void) => void
  }
}

/** Blocks that a reading is never denied: two being written, one held back at the end, two being read. */
export const minimumBlocks = 5

export const open = <R>(
  source: Source<R>,
  minimum = minimumBlocks,
  offset = 0
): Effect.Effect<Reading, SourceError, R | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    // One that fails gives its share of the pool back at once: the next opening waits for it.
    return yield* Effect.onError(openIn(source, scope, minimum, offset), (cause) =>
      Scope.close(scope, Exit.failCause(cause))
    )
  })

const openIn = <R>(
  source: Source<R>,
  scope: Scope.Closeable,
  minimum: number,
  offset: number
): Effect.Effect<Reading, SourceError, R | BlockPool> =>
  Effect.gen(function* () {
    const pool = yield* BlockPool
    const share = yield* Scope.provide(pool.share(minimum), scope)
    const context = yield* Effect.context<R>()
    const pull = (yield* Stream.toPull(source.open(offset)).pipe(
      Scope.provide(scope),
      Effect.provideService(BlockShare, share),
      Effect.provideContext(context)
    )) as Pull.Pull<Arr.NonEmptyReadonlyArray<Block>, SourceError, void, R | BlockShare>
    const provided = pull.pipe(Effect.provideService(BlockShare, share), Effect.provideContext(context)) as Pull.Pull<
      Arr.NonEmptyReadonlyArray<Block>,
      SourceError,
      void
    >

    const most = headBlocks(share)
    const held: Array<Block> = []
    let bytes = 0
    let ended = false
    let consumed = false
    while (bytes < headBytes && held.length < most && !ended) {
      yield* Effect.matchCauseEffect(provided, {
        onSuccess: (blocks) =>
          Effect.sync(() => {
            for (const block of blocks) {
              // One without bytes tells nothing: neither of the head nor of the end.
              if (block.length === 0) block.release()
              else held.push(block)
              bytes += block.length
            }
          }),
        onFailure: (cause) =>
          Pull.isDoneCause(cause)
            ? Effect.sync(() => {
                ended = true
              })
            : (Effect.failCause(cause) as Effect.Effect<never, SourceError>)
      })
    }
    const head = new Uint8Array(Math.min(bytes, headBytes))
    let at = 0
    for (const block of held) {
      const part = block.bytes.subarray(0, head.byteLength - at)
      head.set(part, at)
      at += part.byteLength
    }

    const next: typeof provided = Effect.suspend(() => {
      consumed = true
      const block = held.shift()
      return block === undefined ? provided : Effect.succeed([block] as Arr.NonEmptyReadonlyArray<Block>)
    })
    return {
      offset,
      share,
      head,
      wholeSize: ended ? bytes : undefined,
      consumed: () => consumed,
      stream: Stream.fromPull(Effect.succeed(next)),
      close: Scope.close(scope, Exit.void)
    }
  })
