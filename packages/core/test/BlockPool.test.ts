import { assert, describe, it } from "@effect/vitest"
import { Block, BlockDefect } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Random from "effect/Random"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"

const make = (blocks: number) => BlockPool.makeUnsafe({ bytes: blocks * 16, blockBytes: 16 })

/** Lets every fiber that can go on do so. */
const settle = Effect.forEach(Array.from({ length: 20 }), () => Effect.yieldNow, { discard: true })

const take = (share: BlockPool.BlockShare["Service"], count: number) =>
  Effect.all(Array.from({ length: count }, () => share.take))

const isPending = (fiber: Fiber.Fiber<unknown>) => fiber.pollUnsafe() === undefined

describe("Block", () => {
  it.effect("is returned when the last holder gives it back", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(2)
        const share = yield* pool.share(1)
        const block = (yield* share.take).setLength(10)
        block.space.set([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
        const same = block.share()
        const middle = same.slice(2, 6)
        const part = middle.slice(1, 3)
        middle.release()
        block.release()
        same.release()
        assert.deepStrictEqual([...part.bytes], [3, 4])
        assert.strictEqual(pool.stats().inUse, 1)
        part.release()
        assert.strictEqual(pool.stats().inUse, 0)
        assert.strictEqual(share.inUse(), 0)
      })
    )
  )

  it.effect("refuses to be given back twice or used afterwards, and damages nobody else's block", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(1)
        const share = yield* pool.share(1)
        const block = yield* share.take
        block.release()
        const other = (yield* share.take).setLength(1)
        for (const misuse of [
          () => block.release(),
          () => block.bytes,
          () => block.space,
          () => block.copy(),
          () => block.share(),
          () => block.setLength(1)
        ]) {
          assert.throws(misuse, BlockDefect, "given back")
        }
        assert.strictEqual(pool.stats().inUse, 1)
        assert.strictEqual(other.bytes.byteLength, 1)
        const exit = yield* Effect.exit(Effect.sync(() => block.release()))
        assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
        other.release()
      })
    )
  )

  it.effect("cannot be changed while others hold it, nor hold more than it has room for", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const share = yield* make(1).share(1)
        const block = (yield* share.take).setLength(8)
        assert.throws(() => block.setLength(17), BlockDefect, "16 bytes")
        assert.throws(() => block.slice(0, 9), BlockDefect)
        assert.throws(() => block.slice(5, 4), BlockDefect)
        assert.throws(() => block.slice(-1, 4), BlockDefect)
        const same = block.share()
        assert.throws(() => block.setLength(4), BlockDefect, "others")
        same.release()
        assert.strictEqual(block.setLength(4).length, 4)
        block.release()
      })
    )
  )

  it.effect("copies into memory of its own", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(1)
        const share = yield* pool.share(1)
        const block = (yield* share.take).setLength(2)
        block.space.set([1, 2])
        const copy = block.copy()
        block.space.set([3, 4])
        assert.deepStrictEqual([...copy], [1, 2])
        assert.isTrue(copy.buffer instanceof ArrayBuffer)
        assert.isTrue(pool.memory instanceof SharedArrayBuffer)
        block.release()
      })
    )
  )
})

describe("BlockPool", () => {
  it.effect("sets more aside for a share, or not, but never makes it wait", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(8)
        const scope = yield* Scope.make()
        const share = yield* Scope.provide(pool.share(2), scope)
        const other = yield* pool.share(2)
        assert.isTrue(share.grow(1))
        assert.strictEqual(share.minimum, 2)
        assert.isFalse(share.grow(9))
        assert.isFalse(share.grow(7))
        const lent = yield* take(other, 3)
        assert.isFalse(share.grow(6))
        assert.isTrue(share.grow(5))
        assert.deepInclude(pool.stats(), { reserved: 7, inUse: 3 })
        assert.isUndefined(other.takeNow())
        assert.strictEqual((yield* take(share, 5)).length, 5)
        yield* Scope.close(scope, Exit.void)
        assert.deepInclude(pool.stats(), { reserved: 2, inUse: 3 })
        for (const block of lent) block.release()
        // Whoever waits comes first.
        const waiting = yield* Effect.forkChild(pool.share(8), { startImmediately: true })
        assert.isTrue(isPending(waiting))
        assert.isFalse(other.grow(3))
        yield* Fiber.interrupt(waiting)
        assert.isTrue(other.grow(3))
      })
    )
  )

  it.effect("has nothing set aside for a share that shrinks, and lets others have it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(4)
        const share = yield* pool.share(4)
        const held = yield* share.take
        const waiting = yield* Effect.forkChild(pool.share(3), { startImmediately: true })
        yield* settle
        assert.isTrue(isPending(waiting))
        share.shrink()
        yield* settle
        assert.isFalse(isPending(waiting))
        assert.deepInclude(pool.stats(), { reserved: 3, inUse: 1 })
        assert.isUndefined(share.takeNow())
        held.release()
        assert.deepInclude(pool.stats(), { reserved: 3, inUse: 0 })
        share.takeNow()!.release()
        assert.isFalse(share.grow(2))
      })
    )
  )

  it.effect("is as large as its bytes allow, and at least one block", () =>
    Effect.sync(() => {
      const capacity = (bytes: number) => BlockPool.makeUnsafe({ bytes, blockBytes: 16 }).stats().capacity
      assert.deepStrictEqual([1, 16, 47, 48].map(capacity), [1, 1, 2, 3])
    })
  )

  it.effect("takes everything back when a share's scope closes", () =>
    Effect.gen(function* () {
      const pool = make(4)
      const scope = yield* Scope.make()
      const share = yield* Scope.provide(pool.share(2), scope)
      const blocks = yield* take(share, 3)
      const held = blocks[0]!.share()
      assert.strictEqual(pool.stats().inUse, 3)
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(pool.stats(), { capacity: 4, inUse: 0, highWater: 3, waiters: 0, reserved: 0 })
      // Those who still hold one may give it back, but not use it.
      assert.isFalse(held.held)
      assert.throws(() => held.bytes, BlockDefect, "closed")
      held.release()
      for (const block of blocks) block.release()
      assert.strictEqual(pool.stats().inUse, 0)
      const next = yield* Effect.scoped(Effect.flatMap(pool.share(4), (share) => take(share, 4)))
      assert.strictEqual(new Set(next).size, 4)
    })
  )

  it.effect("keeps a share's minimum for it, whoever else is waiting", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(4)
        const greedy = yield* pool.share(1)
        const modest = yield* pool.share(2)
        yield* take(greedy, 2)
        const more = yield* Effect.forkChild(greedy.take)
        yield* settle
        assert.isTrue(isPending(more))
        // Does not stand behind the one who waits: these two were set aside for it.
        const owed = yield* take(modest, 2)
        assert.isTrue(isPending(more))
        owed[0]!.release()
        yield* settle
        assert.isTrue(isPending(more), "still owed to the other share")
        const [mine] = yield* take(modest, 1)
        assert.isTrue(mine instanceof Block)
        yield* Fiber.interrupt(more)
      })
    )
  )

  it.effect("serves those who wait in order", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(2)
        const first = yield* pool.share(1)
        const second = yield* pool.share(1)
        const a = yield* first.take
        const b = yield* second.take
        const order: Array<string> = []
        const ask = (share: BlockPool.BlockShare["Service"], name: string) =>
          Effect.forkChild(Effect.tap(share.take, () => Effect.sync(() => order.push(name))))
        for (const [share, name] of [
          [first, "1"],
          [second, "2"],
          [first, "3"]
        ] as const) {
          yield* ask(share, name)
          yield* settle
        }
        assert.strictEqual(pool.stats().waiters, 3)
        a.release()
        yield* settle
        assert.deepStrictEqual(order, ["1"])
        b.release()
        yield* settle
        assert.deepStrictEqual(order, ["1", "2"])
      })
    )
  )

  it.effect("forgets those who stop waiting, and wakes whoever stood behind them", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(4)
        const share = yield* pool.share(1)
        yield* take(share, 2)
        // A share that cannot be opened yet holds up the one block that is wanted behind it.
        const large = yield* Effect.forkChild(Effect.scoped(pool.share(3)))
        yield* settle
        const small = yield* Effect.forkChild(share.take)
        yield* settle
        assert.isTrue(isPending(large) && isPending(small))
        yield* Fiber.interrupt(large)
        yield* settle
        assert.isFalse(isPending(small))
        assert.strictEqual(pool.stats().waiters, 0)
        assert.strictEqual(pool.stats().reserved, 1)
      })
    )
  )

  it.effect("stays in order when those who are served give back and ask again at once", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(1)
        const share = yield* pool.share(1)
        const block = yield* share.take
        let taken = 0
        // Runs within the release that wakes it.
        const turn = Effect.flatMap(share.take, (block) =>
          Effect.sync(() => {
            taken++
            block.release()
          })
        )
        const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () =>
          Effect.forkChild(Effect.repeat(turn, { times: 3 }))
        )
        yield* settle
        assert.strictEqual(pool.stats().waiters, 5)
        block.release()
        yield* Effect.forEach(fibers, Fiber.join, { discard: true })
        assert.strictEqual(taken, 20)
        assert.deepStrictEqual(pool.stats(), { capacity: 1, inUse: 0, highWater: 1, waiters: 0, reserved: 1 })
      })
    )
  )

  it.effect("lets one who waits behind a share that cannot be opened have what it is owed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(3)
        const share = yield* pool.share(2)
        const [a, b] = yield* take(share, 2)
        const large = yield* Effect.forkChild(Effect.scoped(pool.share(2)))
        yield* settle
        const third = yield* Effect.forkChild(share.take)
        yield* settle
        assert.isTrue(isPending(third))
        // It holds one now and is owed two; the other share can open only after it has ended.
        a!.release()
        yield* settle
        assert.isFalse(isPending(third))
        b!.release()
        yield* Fiber.interrupt(large)
      })
    )
  )

  it.effect("dies when a closed share is asked for a block, also for those who wait", () =>
    Effect.gen(function* () {
      const pool = make(1)
      const scope = yield* Scope.make()
      const share = yield* Scope.provide(pool.share(1), scope)
      yield* share.take
      const waiting = yield* Effect.forkChild(Effect.exit(share.take))
      yield* settle
      yield* Scope.close(scope, Exit.void)
      const exit = yield* Fiber.join(waiting)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasDies(exit.cause))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(share.take)))
      assert.deepStrictEqual(pool.stats(), { capacity: 1, inUse: 0, highWater: 1, waiters: 0, reserved: 0 })
    })
  )

  it.effect("opens a share once its minimum can be set aside, and no larger one than the pool", () =>
    Effect.gen(function* () {
      const pool = make(4)
      const scope = yield* Scope.make()
      yield* Scope.provide(pool.share(3), scope)
      const waiting = yield* Effect.forkChild(Effect.scoped(Effect.map(pool.share(99), () => pool.stats())))
      yield* settle
      assert.isTrue(isPending(waiting))
      assert.strictEqual(pool.stats().waiters, 1)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting)).reserved, 4)
      assert.strictEqual(pool.stats().reserved, 0)
    })
  )

  it.effect("lends a block at once only where nobody waits for it", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const pool = make(4)
        const one = yield* pool.share(2)
        const other = yield* pool.share(1)
        const got = [one.takeNow(), one.takeNow(), one.takeNow()]
        assert.isTrue(got.every((block) => block?.held === true && block.length === 0))
        // The last one is owed to the other share.
        assert.isUndefined(one.takeNow())
        const mine = other.takeNow()
        assert.isDefined(mine)
        const waiting = yield* Effect.forkChild(other.take)
        yield* settle
        got[2]!.release()
        yield* settle
        assert.isFalse(isPending(waiting))
        assert.strictEqual(pool.stats().inUse, 4)
        got[1]!.release()
        // Owed to this share, so it passes by whoever waits for more than he is owed.
        const greedy = yield* Effect.forkChild(other.take)
        yield* settle
        assert.isTrue(isPending(greedy))
        assert.isDefined(one.takeNow())
        assert.isUndefined(one.takeNow())
      })
    )
  )

  it.effect.prop(
    "eight shares that all want more than there is never deadlock",
    [Schema.Int, Schema.Int.check(Schema.isBetween({ minimum: 8, maximum: 20 }))],
    ([seed, capacity]) =>
      Effect.gen(function* () {
        const pool = make(capacity)
        const transfer = Effect.scoped(
          Effect.gen(function* () {
            const minimum = yield* Random.nextIntBetween(1, 4)
            const share = yield* pool.share(minimum)
            const held: Array<Block> = []
            for (let i = 0; i < 60; i++) {
              // It waits for more only while it holds less than it is owed, as a pipeline does.
              while (held.length >= minimum) held.shift()!.release()
              held.push(yield* share.take)
              assert.isAtMost(pool.stats().inUse, capacity)
              if (yield* Random.nextBoolean) yield* Effect.yieldNow
            }
            if (yield* Random.nextBoolean) for (const block of held) block.release()
          })
        )
        const fibers = yield* Effect.forEach(Array.from({ length: 8 }), () => Effect.forkChild(transfer))
        // A few are cut off in the middle.
        yield* Effect.yieldNow
        yield* Fiber.interrupt(fibers[seed & 7]!)
        yield* Effect.forEach(fibers, Fiber.await, { discard: true })
        assert.deepStrictEqual(pool.stats(), {
          capacity,
          inUse: 0,
          highWater: pool.stats().highWater,
          waiters: 0,
          reserved: 0
        })
      }).pipe(Random.withSeed(seed))
  )
})
