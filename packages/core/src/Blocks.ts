/**
 * Streams of blocks: how plain bytes become blocks and blocks plain bytes, and small stages over them. A stage owns
 * each block that it pulls: it passes the block on, or gives it back.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import { BlockShare } from "./BlockPool.ts"

/**
 * Packs bytes into full blocks, taken from the share in the environment. Copies each byte once. What the upstream
 * gave is not looked at again after the next pull, so it may reuse its memory.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromBytes = <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Block, E, R | BlockShare> =>
  Stream.transformPull(self, (pull) =>
    Effect.gen(function* () {
      const share = yield* BlockShare
      let pending: ReadonlyArray<Uint8Array> = []
      let index = 0
      let offset = 0
      let ended = false

      /** Copies what is pending into the block; true when the block is full. */
      const fill = (block: Block): boolean => {
        while (index < pending.length) {
          const chunk = pending[index]!
          const room = block.space.byteLength - block.length
          const take = Math.min(room, chunk.byteLength - offset)
          block.space.set(chunk.subarray(offset, offset + take), block.length)
          block.setLength(block.length + take)
          offset += take
          if (offset === chunk.byteLength) {
            index++
            offset = 0
          }
          if (block.length === block.space.byteLength) return true
        }
        return false
      }

      const more = Effect.matchCauseEffect(pull, {
        onSuccess: (chunks) =>
          Effect.sync(() => {
            pending = chunks
            index = 0
            offset = 0
          }),
        onFailure: (cause) =>
          Pull.isDoneCause(cause)
            ? Effect.sync(() => {
                ended = true
              })
            : (Effect.failCause(cause) as Effect.Effect<never, E>)
      })

      return Effect.gen(function* () {
        // No block is taken before there is something to put in: an idle source holds none.
        while (index >= pending.length && !ended) yield* more
        if (ended && index >= pending.length) return yield* Cause.done()
        const block = yield* share.take
        yield* Effect.onError(
          Effect.gen(function* () {
            while (!fill(block) && !ended) yield* more
          }),
          () => Effect.sync(() => block.release())
        )
        if (block.length === 0) {
          block.release()
          return yield* Cause.done()
        }
        return [block] as Arr.NonEmptyReadonlyArray<Block>
      })
    })
  )

/**
 * The bytes in plain memory of their own; the blocks are given back. For consumers that keep what they get, or that
 * refuse shared memory.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toBytes = <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Uint8Array<ArrayBuffer>, E, R> =>
  Stream.map(self, (block) => {
    const bytes = block.copy()
    block.release()
    return bytes
  })

/**
 * Puts a transformation of plain bytes into a stream of blocks: decompression, for instance.
 *
 * @since 0.1.0
 * @category combinators
 */
export const via =
  <E, E2, R2>(transform: (bytes: Stream.Stream<Uint8Array<ArrayBuffer>, E>) => Stream.Stream<Uint8Array, E2, R2>) =>
  <R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E2, R | R2 | BlockShare> =>
    Stream.unwrap(
      Effect.map(Effect.context<R>(), (context) => fromBytes(transform(Stream.provideContext(toBytes(self), context))))
    )

/**
 * Leaves out the first `count` bytes.
 *
 * @since 0.1.0
 * @category combinators
 */
export const drop = <E, R>(self: Stream.Stream<Block, E, R>, count: number): Stream.Stream<Block, E, R> => {
  if (count <= 0) return self
  return Stream.suspend(() => {
    let left = count
    return Stream.mapArray(self, (blocks) => {
      if (left === 0) return blocks
      const out: Array<Block> = []
      for (const block of blocks) {
        const skip = Math.min(left, block.length)
        left -= skip
        if (skip < block.length) out.push(skip === 0 ? block : block.slice(skip, block.length))
        if (skip > 0) block.release()
      }
      return out as unknown as Arr.NonEmptyReadonlyArray<Block>
    }).pipe(Stream.filter((block) => block !== undefined))
  })
}

/**
 * Gives every block back; for streams that are run for their effects.
 *
 * @since 0.1.0
 * @category consumers
 */
export const runRelease = <E, R>(self: Stream.Stream<Block, E, R>): Effect.Effect<void, E, R> =>
  Stream.runForEach(self, (block) => Effect.sync(() => block.release()))
