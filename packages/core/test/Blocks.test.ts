import { assert, describe, it } from "@effect/vitest"
import type { Block } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type * as Cause from "effect/Cause"

const blockBytes = 64

const withShare = <A, E>(
  body: (pool: BlockPool.BlockPool["Service"]) => Effect.Effect<A, E, BlockPool.BlockShare | Scope.Scope>,
  blocks = 4
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = BlockPool.makeUnsafe({ bytes: blocks * blockBytes, blockBytes })
      const share = yield* pool.share(1)
      return yield* Effect.provideService(body(pool), BlockPool.BlockShare, share)
    })
  )

/** Bytes of which none equals its neighbours, cut into pieces of the given lengths. */
const cut = (lengths: ReadonlyArray<number>) => {
  const total = lengths.reduce((a, b) => a + b, 0)
  const whole = Uint8Array.from({ length: total }, (_, i) => (i * 31 + (i >> 8)) % 251)
  let at = 0
  return { whole, pieces: lengths.map((length) => whole.subarray(at, (at += length))) }
}

/** What is in the blocks, all of which are given back. */
const collect = <E, R>(stream: Stream.Stream<Block, E, R>) =>
  Effect.map(
    Stream.runFold(
      stream,
      () => [] as Array<Uint8Array>,
      (all, block) => {
        all.push(block.copy())
        block.release()
        return all
      }
    ),
    (parts) => ({ lengths: parts.map((part) => part.byteLength), bytes: new Uint8Array(Buffer.concat(parts)) })
  )

const lengths = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 * blockBytes })))

describe("fromBytes", () => {
  it.effect.prop("gives the same bytes in full blocks, however they are split", [lengths], ([split]) =>
    withShare((pool) =>
      Effect.gen(function* () {
        const { pieces, whole } = cut(split)
        const got = yield* collect(Blocks.fromBytes(Stream.fromIterable(pieces)))
        assert.deepStrictEqual(got.bytes, whole)
        assert.isTrue(
          got.lengths.every((length, i) => length === blockBytes || (i === got.lengths.length - 1 && length > 0))
        )
        assert.strictEqual(pool.stats().inUse, 0)
      })
    )
  )

  it.effect.prop("gives the same bytes when some of them are late", [lengths], ([split]) =>
    withShare((pool) =>
      Effect.gen(function* () {
        const { pieces, whole } = cut(split)
        const slow = Stream.mapEffect(Stream.fromIterable(pieces), (piece, i) =>
          Effect.as(Effect.sleep(i % 3 === 0 ? 0 : i * 137), piece)
        )
        const fiber = yield* Effect.forkChild(collect(Blocks.fromBytes(slow)))
        yield* TestClock.adjust("10 minutes")
        const got = yield* Fiber.join(fiber)
        assert.deepStrictEqual(got.bytes, whole)
        assert.strictEqual(pool.stats().inUse, 0)
      })
    )
  )

  it.effect("keeps bytes back for half a second at most, and loses none that come then", () =>
    withShare(() =>
      Effect.gen(function* () {
        const queue = yield* Queue.unbounded<Uint8Array, Cause.Done>()
        const out: Array<number> = []
        const fiber = yield* Effect.forkChild(
          Stream.runForEach(Blocks.fromBytes(Stream.fromQueue(queue)), (block) =>
            Effect.sync(() => {
              out.push(block.length)
              block.release()
            })
          )
        )
        yield* Queue.offer(queue, new Uint8Array(10))
        yield* TestClock.adjust(499)
        assert.deepStrictEqual(out, [])
        yield* TestClock.adjust(1)
        assert.deepStrictEqual(out, [10])
        yield* TestClock.adjust(10_000)
        yield* Queue.offer(queue, new Uint8Array(20))
        yield* TestClock.adjust(400)
        // More bytes do not begin the half second anew.
        yield* Queue.offer(queue, new Uint8Array(5))
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(out, [10, 25])
        yield* Queue.offer(queue, new Uint8Array(blockBytes + 1))
        yield* Queue.end(queue)
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(out, [10, 25, blockBytes, 1])
      })
    )
  )

  it.effect("holds no block while nothing comes", () =>
    withShare((pool) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Blocks.runRelease(Blocks.fromBytes(Stream.never)))
        yield* TestClock.adjust("1 minute")
        assert.strictEqual(pool.stats().inUse, 0)
        yield* Fiber.interrupt(fiber)
      })
    )
  )

  it.effect("gives its block back and closes the upstream when it is interrupted", () =>
    withShare((pool) =>
      Effect.gen(function* () {
        let closed = 0
        const upstream = Stream.concat(Stream.succeed(new Uint8Array(10)), Stream.never).pipe(
          Stream.ensuring(Effect.sync(() => closed++))
        )
        for (const wait of [0, 100, 600]) {
          const fiber = yield* Effect.forkChild(Blocks.runRelease(Blocks.fromBytes(upstream)))
          yield* TestClock.adjust(wait)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(pool.stats().inUse, 0)
        }
        assert.strictEqual(closed, 3)
      })
    )
  )

  it.effect("passes the upstream's error on after giving its block back", () =>
    withShare((pool) =>
      Effect.gen(function* () {
        for (const late of [false, true]) {
          const fail = late ? Effect.andThen(Effect.sleep(2000), Effect.fail("broken")) : Effect.fail("broken")
          const upstream = Stream.concat(Stream.succeed(new Uint8Array(10)), Stream.fromEffect(fail))
          const fiber = yield* Effect.forkChild(Effect.exit(Blocks.runRelease(Blocks.fromBytes(upstream))))
          yield* TestClock.adjust(5000)
          assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.fail("broken"))
          assert.strictEqual(pool.stats().inUse, 0)
        }
      })
    )
  )

  it.effect("does not look at the upstream's memory after the next pull", () =>
    withShare(() =>
      Effect.gen(function* () {
        const memory = new Uint8Array(50)
        const upstream = Stream.mapEffect(Stream.range(1, 20), (i) =>
          Effect.gen(function* () {
            memory.fill(0)
            yield* Effect.yieldNow
            return memory.fill(i)
          })
        )
        const got = yield* collect(Blocks.fromBytes(upstream))
        assert.deepStrictEqual(
          [...got.bytes],
          Array.from({ length: 1000 }, (_, i) => Math.floor(i / 50) + 1)
        )
      })
    )
  )
})

describe("drop", () => {
  it.effect.prop(
    "leaves out the first bytes, wherever the blocks end",
    [lengths, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))],
    ([split, count]) =>
      withShare((pool) =>
        Effect.gen(function* () {
          const { pieces, whole } = cut(split)
          const got = yield* collect(Blocks.drop(Blocks.fromBytes(Stream.fromIterable(pieces)), count))
          assert.deepStrictEqual(got.bytes, whole.subarray(count))
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
  )
})

describe("take", () => {
  it.effect.prop(
    "passes the first bytes, wherever the blocks end, and pulls no others",
    [lengths, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1000 }))],
    ([split, count]) =>
      withShare((pool) =>
        Effect.gen(function* () {
          const { pieces, whole } = cut(split)
          const tail = whole.length >= count ? Stream.die(new Error("pulled too far")) : Stream.empty
          const source = Stream.concat(Blocks.fromBytes(Stream.fromIterable(pieces)), tail)
          const got = yield* collect(Blocks.take(source, count))
          assert.deepStrictEqual(got.bytes, whole.subarray(0, count))
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
  )
})

describe("toBytes and via", () => {
  it.effect.prop("keep the bytes and no block", [lengths], ([split]) =>
    withShare((pool) =>
      Effect.gen(function* () {
        const { pieces, whole } = cut(split)
        const reversed = (bytes: Stream.Stream<Uint8Array<ArrayBuffer>>) =>
          Stream.map(bytes, (chunk) => chunk.map((byte) => 255 - byte))
        const got = yield* collect(Blocks.fromBytes(Stream.fromIterable(pieces)).pipe(Blocks.via(reversed)))
        assert.deepStrictEqual(
          got.bytes,
          whole.map((byte) => 255 - byte)
        )
        assert.strictEqual(pool.stats().inUse, 0)
      })
    )
  )
})

describe("lease", () => {
  it.effect("gives the block back when filling it fails or is interrupted", () =>
    withShare((pool) =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* Effect.exit(Blocks.lease(() => Effect.fail("no"))), Exit.fail("no"))
        assert.strictEqual(pool.stats().inUse, 0)
        const fiber = yield* Effect.forkChild(
          Blocks.lease(() => Effect.never),
          { startImmediately: true }
        )
        assert.strictEqual(pool.stats().inUse, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(pool.stats().inUse, 0)
        const block = yield* Blocks.lease((block) => Effect.sync(() => block.setLength(3)))
        assert.strictEqual(block.length, 3)
        block.release()
      })
    )
  )
})
