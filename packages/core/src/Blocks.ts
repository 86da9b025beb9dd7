/**
 * Streams of blocks: how plain bytes become blocks and blocks plain bytes, and small stages over them. A stage owns
 * each block that it pulls: it passes the block on, or gives it back.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import { BlockShare } from "./BlockPool.ts"

/**
 * A block with what `fill` puts into it. It is given back when `fill` fails or is interrupted.
 *
 * @since 0.1.0
 * @category constructors
 */
export const lease = <E, R>(
  fill: (block: Block) => Effect.Effect<unknown, E, R>
): Effect.Effect<Block, E, R | BlockShare> => Effect.flatMap(BlockShare, (share) => leaseFrom(share, fill))

const leaseFrom = <E, R>(
  share: BlockShare["Service"],
  fill: (block: Block) => Effect.Effect<unknown, E, R>
): Effect.Effect<Block, E, R> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(restore(share.take), (block) =>
      Effect.as(
        Effect.onError(restore(fill(block)), () => Effect.sync(() => block.release())),
        block
      )
    )
  )

/** How long the bytes in a block that is not full yet are kept back. */
const holdMs = 500

/** Goes off so long after it was first waited for. */
class Alarm {
  readonly #ms: number
  readonly #scope: Scope.Scope
  #timer: Fiber.Fiber<void> | undefined

  constructor(ms: number, scope: Scope.Scope) {
    this.#ms = ms
    this.#scope = scope
  }

  /** How a fiber ends; `undefined` when the alarm goes off before. */
  endOf<A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<Exit.Exit<A, E> | undefined> {
    return Effect.suspend(() =>
      this.#timer === undefined
        ? Effect.flatMap(
            Effect.forkIn(Effect.sleep(this.#ms), this.#scope, { startImmediately: true }),
            (timer): Effect.Effect<Exit.Exit<A, E> | undefined> => {
              this.#timer = timer
              return this.#before(timer, fiber)
            }
          )
        : this.#before(this.#timer, fiber)
    )
  }

  #before<A, E>(timer: Fiber.Fiber<void>, fiber: Fiber.Fiber<A, E>) {
    return Effect.callback<Exit.Exit<A, E> | undefined>((resume) => {
      const stop = () => {
        for (const end of ends) end()
      }
      const tell = (exit: Exit.Exit<A, E> | undefined) => {
        stop()
        resume(Effect.succeed(exit))
      }
      const ends: Array<() => void> = []
      ends.push(
        fiber.addObserver(tell),
        timer.addObserver(() => tell(undefined))
      )
      return Effect.sync(stop)
    })
  }

  readonly stop: Effect.Effect<void> = Effect.suspend(() =>
    this.#timer === undefined ? Effect.void : Fiber.interrupt(this.#timer)
  )
}

/**
 * Packs bytes into blocks, taken from the share in the environment. Blocks are full, unless the bytes come slowly: none
 * is kept back for more than half a second. Copies each byte once. What the upstream gave is not looked at again
 * after the next pull, so it may reuse its memory.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromBytes = <E, R>(self: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Block, E, R | BlockShare> =>
  Stream.transformPull(self, (pull, scope) =>
    Effect.map(BlockShare, (share) => {
      let pending: ReadonlyArray<Uint8Array> = []
      let index = 0
      let offset = 0
      let ended = false
      /** A pull that was under way when a block was passed on: the next block begins with what it brings. */
      let running: Fiber.Fiber<Arr.NonEmptyReadonlyArray<Uint8Array>, E | Cause.Done> | undefined

      /** Copies what is pending into the block; true when the block is full. */
      const copyInto = (block: Block): boolean => {
        const { space } = block
        let length = block.length
        while (index < pending.length && length < space.byteLength) {
          const chunk = pending[index]!
          const take = Math.min(space.byteLength - length, chunk.byteLength - offset)
          space.set(take === chunk.byteLength ? chunk : chunk.subarray(offset, offset + take), length)
          length += take
          offset += take
          if (offset === chunk.byteLength) {
            index++
            offset = 0
          }
        }
        block.setLength(length)
        return length === space.byteLength
      }

      const absorb = (
        exit: Exit.Exit<Arr.NonEmptyReadonlyArray<Uint8Array>, E | Cause.Done>
      ): Effect.Effect<void, E> => {
        running = undefined
        if (Exit.isSuccess(exit)) {
          pending = exit.value
          index = 0
          offset = 0
          return Effect.void
        }
        if (!Pull.isDoneCause(exit.cause)) return Effect.failCause(exit.cause as Cause.Cause<E>)
        ended = true
        return Effect.void
      }

      /** Waits for bytes, as long as it takes. */
      const more = Effect.suspend(() =>
        Effect.flatMap(running === undefined ? Effect.exit(pull) : Fiber.await(running), absorb)
      )

      /** Waits for bytes while the alarm has not gone off; false when there were none by then. */
      const moreBefore = (alarm: Alarm): Effect.Effect<boolean, E> =>
        Effect.gen(function* () {
          const fiber = running ?? (yield* Effect.forkIn(pull, scope, { startImmediately: true }))
          running = fiber
          const exit = fiber.pollUnsafe() ?? (yield* alarm.endOf(fiber))
          if (exit === undefined) return false
          yield* absorb(exit)
          return true
        })

      const fill = (block: Block): Effect.Effect<void, E> =>
        Effect.suspend(() => {
          if (copyInto(block)) return Effect.void
          const alarm = new Alarm(holdMs, scope)
          return Effect.ensuring(
            Effect.gen(function* () {
              while (!ended && (yield* moreBefore(alarm))) {
                if (copyInto(block)) return
              }
            }),
            alarm.stop
          )
        })

      const hasBytes = () => {
        while (index < pending.length && pending[index]!.byteLength === 0) index++
        return index < pending.length
      }

      return Effect.gen(function* () {
        // No block is taken before there is something to put in: an idle source holds none.
        while (!hasBytes()) {
          if (ended) return yield* Cause.done()
          yield* more
        }
        return Arr.of(yield* leaseFrom(share, fill))
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
export const drop = <E, R>(self: Stream.Stream<Block, E, R>, count: number): Stream.Stream<Block, E, R> =>
  count <= 0
    ? self
    : Stream.transformPull(self, (pull) =>
        Effect.sync(() => {
          let left = count
          const next: typeof pull = Effect.flatMap(pull, (blocks) => {
            if (left === 0) return Effect.succeed(blocks)
            const out: Array<Block> = []
            for (const block of blocks) {
              const skip = Math.min(left, block.length)
              left -= skip
              if (skip < block.length) out.push(skip === 0 ? block : block.slice(skip, block.length))
              if (skip > 0 || block.length === 0) block.release()
            }
            return Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : next
          })
          return next
        })
      )

/**
 * The first `count` bytes; nothing is pulled once they are there.
 *
 * @since 0.1.0
 * @category combinators
 */
export const take = <E, R>(self: Stream.Stream<Block, E, R>, count: number): Stream.Stream<Block, E, R> =>
  Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      let left = count
      const next: typeof pull = Effect.suspend(() => {
        if (left <= 0) return Cause.done()
        return Effect.flatMap(pull, (blocks) => {
          const out: Array<Block> = []
          for (const block of blocks) {
            const keep = Math.min(left, block.length)
            left -= keep
            if (keep === block.length && keep > 0) out.push(block)
            else {
              if (keep > 0) out.push(block.slice(0, keep))
              block.release()
            }
          }
          return Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : next
        })
      })
      return next
    })
  )

/**
 * Gives every block back; for streams that are run for their effects.
 *
 * @since 0.1.0
 * @category consumers
 */
export const runRelease = <E, R>(self: Stream.Stream<Block, E, R>): Effect.Effect<void, E, R> =>
  Stream.runForEach(self, (block) => Effect.sync(() => block.release()))
