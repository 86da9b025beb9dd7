import { assert, describe, it } from "@effect/vitest"
import * as Bandwidth from "@headrace/core/Bandwidth"
import type { Block } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Quantity from "@headrace/core/Quantity"
import type { Rate } from "@headrace/core/Rate"
import * as Timetable from "@headrace/core/Timetable"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"

const MiB = 1024 * 1024

/** Takes and takes, and counts. */
const drain = (node: Bandwidth.Node, bytes: number, pause: Effect.Effect<void> = Effect.void) => {
  const counter = { bytes: 0 }
  const loop = Effect.gen(function* () {
    while (true) {
      yield* node.take(bytes)
      counter.bytes += bytes
      yield* pause
    }
  })
  return Effect.as(Effect.forkChild(loop), counter)
}

const near = (actual: number, expected: number, part: number, what: string) =>
  assert.isTrue(Math.abs(actual - expected) <= expected * part, `${what}: ${actual}, not ${expected} ± ${part * 100} %`)

/** Blocks of the given lengths, with counting bytes in them. */
const blocks = (share: BlockPool.BlockShare["Service"], lengths: ReadonlyArray<number>) =>
  Stream.mapEffect(Stream.fromIterable(lengths), (length) =>
    Effect.map(share.take, (block) => {
      block.space.subarray(0, length).forEach((_, i, all) => {
        all[i] = i % 251
      })
      return block.setLength(length)
    })
  )

describe("a limit", () => {
  it.effect("lets its rate pass, exactly", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: MiB })
      const fiber = yield* Effect.forkChild(Effect.andThen(root.take(MiB), Clock.currentTimeMillis))
      yield* TestClock.adjust(999)
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Fiber.join(fiber), 1000)
    })
  )

  it.effect.each([1000, 100 * 1024, 12_345_678, 500 * MiB])("holds %d B/s over 10 s whatever is taken", (rate) =>
    Effect.gen(function* () {
      for (const bytes of [1, 4096, 100_000].filter((bytes) => rate / bytes < 200_000 && bytes < rate)) {
        const root = yield* Bandwidth.make({ bytesPerSecond: rate })
        const counter = yield* drain(root, bytes)
        yield* TestClock.adjust("10 seconds")
        assert.isTrue(
          counter.bytes <= rate * 10 && counter.bytes > rate * 10 - 2 * bytes - rate / 500,
          `${counter.bytes}`
        )
      }
    })
  )

  it.effect("makes no burst of a pause: 50 ms' worth at most", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 100_000 })
      yield* TestClock.adjust("1 minute")
      const counter = yield* drain(root, 1000)
      yield* TestClock.adjust(0)
      assert.strictEqual(counter.bytes, 5000)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(counter.bytes, 105_000)
    })
  )

  it.effect("re-times who waits when it changes, both ways", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 1000 })
      const at = yield* Effect.forkChild(Effect.andThen(root.take(100_000), Clock.currentTimeMillis))
      yield* TestClock.adjust("1 second")
      yield* root.setRate(99_000)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(at), 2000)

      const second = yield* Effect.forkChild(Effect.andThen(root.take(100_000), Clock.currentTimeMillis))
      yield* TestClock.adjust(0)
      yield* root.setRate(1000)
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(second.pollUnsafe())
      yield* root.setRate("off")
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* Fiber.join(second), 12_000)
      assert.strictEqual(root.rate(), "off")
    })
  )

  it.effect("saves nothing at a higher rate for a lower one", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 100 * MiB })
      yield* TestClock.adjust("1 second")
      yield* root.setRate(1000)
      const counter = yield* drain(root, 10)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(counter.bytes, 1050)
    })
  )

  it.effect("takes back what an interrupted taker had been granted", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 1000 })
      const child = yield* root.child()
      const fiber = yield* Effect.forkChild(child.take(1000))
      yield* TestClock.adjust(900)
      yield* Fiber.interrupt(fiber)
      const at = yield* Effect.forkChild(Effect.andThen(root.take(1000), Clock.currentTimeMillis))
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Fiber.join(at), 1000)
    })
  )

  it.effect("an interrupted taker does not hold up who waits behind it", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 1000 })
      const first = yield* Effect.forkChild(root.take(1_000_000))
      const second = yield* Effect.forkChild(Effect.andThen(root.take(500), Clock.currentTimeMillis))
      yield* TestClock.adjust(600)
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* Fiber.join(second), 600)
    })
  )

  it.effect("gives what was given back to who waits", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 1000 })
      const child = yield* root.child({ bytesPerSecond: 2000 })
      const taken = yield* Effect.forkChild(child.take(1000))
      yield* TestClock.adjust(1000)
      yield* Fiber.join(taken)
      const at = yield* Effect.forkChild(Effect.andThen(child.take(1000), Clock.currentTimeMillis))
      yield* TestClock.adjust(100)
      yield* child.giveBack(600)
      yield* TestClock.adjust(300)
      assert.strictEqual(yield* Fiber.join(at), 1400)
    })
  )

  it.effect("takes no more back than was taken under it", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: "off" })
      yield* root.take(MiB)
      yield* root.setRate(1000)
      yield* root.giveBack(MiB)
      const counter = yield* drain(root, 10)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(counter.bytes, 1000)
    })
  )

  it.effect("is nothing when it is off", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.Root
      const child = yield* root.child()
      const grandchild = yield* child.child()
      // No fiber hop: a hundred thousand takes end although no other fiber, and no clock, gets a turn.
      for (let i = 0; i < 100_000; i++) yield* grandchild.take(MiB)
      assert.strictEqual(grandchild.share(), Infinity)
    })
  )

  it.effect("refuses what is no rate and no weight", () =>
    Effect.gen(function* () {
      for (const rate of [0, -1, NaN, Infinity]) {
        assert.isTrue(Exit.hasDies(yield* Effect.exit(Bandwidth.make({ bytesPerSecond: rate }))))
      }
      const root = yield* Bandwidth.make({ bytesPerSecond: 1 })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(root.setRate(0))))
      assert.isTrue(Exit.hasDies(yield* Effect.exit(root.child({ weight: 0 }))))
    })
  )
})

describe("a tree", () => {
  it.effect("holds the limit of every level", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 10_000 })
      const store = yield* root.child({ bytesPerSecond: 4000 })
      const slow = yield* store.child({ bytesPerSecond: 1000 })
      const other = yield* store.child()
      const elsewhere = yield* root.child()
      const counters = [yield* drain(slow, 100), yield* drain(other, 100), yield* drain(elsewhere, 100)]
      yield* TestClock.adjust("20 seconds")
      const rates = counters.map((counter) => counter.bytes / 20)
      near(rates[0]!, 1000, 0.02, "the transfer's own limit")
      near(rates[1]!, 3000, 0.02, "the rest of the store's")
      near(rates[2]!, 6000, 0.02, "the rest of the process's")
    })
  )

  it.effect("shares evenly between children, whatever the size of what they take", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 3 * MiB })
      const counters = []
      for (const bytes of [1000, 50_000, MiB]) counters.push(yield* drain(yield* root.child(), bytes))
      yield* TestClock.adjust("60 seconds")
      for (const counter of counters) near(counter.bytes / 60, MiB, 0.03, "a third each")
    })
  )

  it.effect("shares by weight, also with the node's own takers", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 600_000 })
      const heavy = yield* root.child({ weight: 4 })
      const light = yield* root.child({ weight: 1 })
      const counters = [yield* drain(heavy, 10_000), yield* drain(light, 10_000), yield* drain(root, 10_000)]
      yield* TestClock.adjust("30 seconds")
      const rates = counters.map((counter) => counter.bytes / 30)
      near(rates[0]!, 400_000, 0.03, "four sixths")
      near(rates[1]!, 100_000, 0.03, "one sixth")
      near(rates[2]!, 100_000, 0.03, "one sixth")
      assert.strictEqual(heavy.share(), 400_000)
      assert.strictEqual(light.share(), 100_000)
    })
  )

  it.effect("a store with many transfers has no more than one with a single one", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 100_000 })
      const many = yield* root.child()
      const one = yield* root.child()
      const crowd = []
      for (let i = 0; i < 20; i++) crowd.push(yield* drain(yield* many.child(), 1000))
      const single = yield* drain(one, 1000)
      yield* TestClock.adjust("20 seconds")
      near(single.bytes / 20, 50_000, 0.03, "half")
      for (const counter of crowd) near(counter.bytes / 20, 2500, 0.05, "a twentieth of half")
    })
  )

  it.effect("who comes late has no claim for the time before", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 100_000 })
      const early = yield* root.child()
      const late = yield* root.child()
      const first = yield* drain(early, 1000)
      yield* TestClock.adjust("60 seconds")
      const before = first.bytes
      const second = yield* drain(late, 1000)
      yield* TestClock.adjust("10 seconds")
      near(first.bytes - before, 500_000, 0.02, "half for the first")
      near(second.bytes, 500_000, 0.02, "half for the second")
    })
  )

  it.effect("what one child cannot use, the others get", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 100_000 })
      const idle = yield* root.child({ weight: 100 })
      const busy = yield* drain(yield* root.child(), 1000)
      yield* Effect.forkChild(idle.take(1))
      yield* TestClock.adjust("10 seconds")
      near(busy.bytes, 1_000_000, 0.01, "all of it")
    })
  )
})

describe("whatever happens", () => {
  it.effect.each([1, 2, 3, 4, 5, 6, 7, 8])("no more passes than the limits allow, and no less (seed %d)", (seed) =>
    Effect.gen(function* () {
      let state = seed
      const random = (below: number) => {
        state = (state * 1103515245 + 12345) % 2147483648
        return Math.floor((state / 2147483648) * below)
      }
      const root = yield* Bandwidth.make({ bytesPerSecond: 50_000 })
      const stores = [yield* root.child({ bytesPerSecond: 30_000 }), yield* root.child({ weight: 3 })]
      const counters: Array<{ bytes: number; readonly store: number; readonly fiber: Fiber.Fiber<void> }> = []
      let budget = 0
      let storeBudget = 0
      let rate = 50_000
      for (let step = 0; step < 200; step++) {
        const what = random(10)
        if (what < 4) {
          const store = random(2)
          const node = yield* stores[store]!.child({ weight: 1 + random(3) })
          const bytes = 1 + random(5000)
          const pause = random(2) === 0 ? Effect.void : Effect.sleep(1 + random(30))
          const counter = { bytes: 0 }
          const loop = Effect.gen(function* () {
            while (true) {
              yield* node.take(bytes)
              const back = random(20) === 0 ? random(bytes) : 0
              yield* node.giveBack(back)
              counter.bytes += bytes - back
              yield* pause
            }
          })
          counters.push(Object.assign(counter, { store, fiber: yield* Effect.forkChild(loop) }))
        } else if (what < 6 && counters.length > 0) {
          yield* Fiber.interrupt(counters[random(counters.length)]!.fiber)
        } else if (what === 6) {
          rate = 10_000 + random(100_000)
          yield* root.setRate(rate)
        }
        const ms = random(200)
        yield* TestClock.adjust(ms)
        budget += (rate * ms) / 1000
        storeBudget += (30_000 * ms) / 1000
        const of = (store: number) =>
          counters.filter((counter) => counter.store === store).reduce((sum, counter) => sum + counter.bytes, 0)
        assert.isAtMost(of(0) + of(1), budget + 1)
        assert.isAtMost(of(0), storeBudget + 1)
      }
      // Nothing is lost for good either: what nobody holds any more passes again.
      yield* Effect.forEach(counters, (counter) => Fiber.interrupt(counter.fiber), { discard: true })
      const last = yield* drain(stores[1]!, 100)
      yield* TestClock.adjust("10 seconds")
      assert.isAtLeast(last.bytes, rate * 10 - 200)
    })
  )

  it.effect("who pauses between takes still gets its share", () =>
    Effect.gen(function* () {
      const root = yield* Bandwidth.make({ bytesPerSecond: 300_000 })
      const counters = []
      for (const ms of [1, 5, 20]) {
        const node = yield* root.child()
        counters.push(yield* drain(node, 10_000, Effect.sleep(ms)))
      }
      yield* TestClock.adjust("20 seconds")
      for (const counter of counters) near(counter.bytes / 20, 100_000, 0.1, "a third")
    })
  )
})

describe("the stage", () => {
  const run = (rate: Rate, lengths: ReadonlyArray<number>) =>
    Effect.gen(function* () {
      const pool = BlockPool.makeUnsafe({ bytes: 4 * MiB })
      const root = yield* Bandwidth.make({ bytesPerSecond: rate })
      const out: Array<{ at: number; block: Block; bytes: Uint8Array }> = []
      const fiber = yield* Effect.forkChild(
        Effect.scoped(
          Effect.gen(function* () {
            const share = yield* pool.share(2)
            yield* blocks(share, lengths).pipe(
              Bandwidth.shape(root),
              Stream.runForEach((block) =>
                Effect.map(Clock.currentTimeMillis, (at) => {
                  out.push({ at, block, bytes: block.copy() })
                  block.release()
                })
              )
            )
            assert.strictEqual(share.inUse(), 0)
          })
        )
      )
      return { fiber, out, root, pool }
    })

  it.effect("passes blocks on in slices of a tenth of a second, with the same bytes, and gives all back", () =>
    Effect.gen(function* () {
      const lengths = [MiB, 10, 300_000]
      const { fiber, out, pool } = yield* run(100 * 1024, lengths)
      const total = lengths.reduce((a, b) => a + b)
      yield* TestClock.adjust(Math.ceil((total / (100 * 1024)) * 1000) + 1)
      yield* Fiber.join(fiber)
      assert.strictEqual(pool.stats().inUse, 0)
      const bytes = new Uint8Array(total)
      let at = 0
      let last = 0
      for (const piece of out) {
        bytes.set(piece.bytes, at)
        at += piece.bytes.length
        assert.isAtMost(piece.bytes.length, 10 * 1024)
        assert.isAtMost(piece.at - last, 101)
        last = piece.at
      }
      const expected = lengths.flatMap((length) => Array.from({ length }, (_, i) => i % 251))
      assert.deepStrictEqual(bytes, Uint8Array.from(expected))
    })
  )

  it.effect("passes whole blocks on at high rates and without a limit", () =>
    Effect.gen(function* () {
      for (const rate of ["off", 100 * MiB] as const) {
        const { fiber, out } = yield* run(rate, [MiB, MiB, 5])
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          out.map((piece) => piece.bytes.length),
          [MiB, MiB, 5]
        )
      }
    })
  )

  it.effect("follows a change of rate within a block", () =>
    Effect.gen(function* () {
      const { fiber, out, root } = yield* run(100 * 1024, [MiB])
      yield* TestClock.adjust("1 second")
      const before = out.length
      yield* root.setRate("off")
      yield* TestClock.adjust(0)
      yield* Fiber.join(fiber)
      assert.isAtMost(out.length, before + 2)
    })
  )

  it.effect("gives the block back when it is interrupted in its middle", () =>
    Effect.gen(function* () {
      const pool = BlockPool.makeUnsafe({ bytes: 4 * MiB })
      const root = yield* Bandwidth.make({ bytesPerSecond: 100 * 1024 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const share = yield* pool.share(2)
          const fiber = yield* Effect.forkChild(
            blocks(share, [MiB, MiB]).pipe(
              Bandwidth.shape(root),
              Stream.runForEach((block) => Effect.sync(() => block.release()))
            )
          )
          yield* TestClock.adjust("2 seconds")
          assert.strictEqual(share.inUse(), 1)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(share.inUse(), 0)
        })
      )
    })
  )
})

describe("a timetable", () => {
  const table = Result.getOrThrow(Quantity.parseTimetable("08:00,50MiB/s 19:00,off 23:30,1MiB/s"))
  const day = 24 * 3600_000
  const at = (hours: number, minutes = 0) => day * 200 + hours * 3600_000 + minutes * 60_000

  it("has the rate of the latest entry, over midnight too", () => {
    const rate = (hours: number, minutes = 0) => Timetable.rateAt(table, at(hours, minutes), "UTC")
    assert.strictEqual(rate(0), MiB)
    assert.strictEqual(rate(7, 59), MiB)
    assert.strictEqual(rate(8), 50 * MiB)
    assert.strictEqual(rate(18, 59), 50 * MiB)
    assert.strictEqual(rate(19), "off")
    assert.strictEqual(rate(23, 30), MiB)
    assert.strictEqual(Timetable.untilNext(table, at(23, 45) + 5, "UTC"), 8.25 * 3600_000 - 5)
    // 20:30 UTC in July is 22:30 in Berlin and 02:15 of the next day in Kathmandu.
    assert.strictEqual(Timetable.rateAt(table, at(20, 30), "Europe/Berlin"), "off")
    assert.strictEqual(Timetable.rateAt(table, at(20, 30), "Asia/Kathmandu"), MiB)
  })

  it("goes by the process's time zone unless told", () => {
    const date = new Date(2024, 5, 1, 19, 0, 0)
    assert.strictEqual(Timetable.rateAt(table, date.getTime()), "off")
    assert.strictEqual(Timetable.rateAt(table, date.getTime() - 1), 50 * MiB)
    assert.strictEqual(Timetable.untilNext(table, date.getTime() - 1), 1)
  })

  it.effect("is followed from the start, at its times, until the scope closes", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(at(18, 59))
      const root = yield* Bandwidth.make({ bytesPerSecond: 1 })
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Bandwidth.follow(root, table, { timeZone: "UTC" })
          assert.strictEqual(root.rate(), 50 * MiB)
          yield* TestClock.adjust(59_999)
          assert.strictEqual(root.rate(), 50 * MiB)
          yield* TestClock.adjust(1)
          assert.strictEqual(root.rate(), "off")
          yield* TestClock.adjust("4.5 hours")
          assert.strictEqual(root.rate(), MiB)
          yield* TestClock.adjust("8.5 hours")
          assert.strictEqual(root.rate(), 50 * MiB)
        })
      )
      yield* TestClock.adjust("12 hours")
      assert.strictEqual(root.rate(), 50 * MiB)
    })
  )

  it.effect("re-times who waits when its time comes", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(at(18, 59))
      const root = yield* Bandwidth.make({ bytesPerSecond: 1 })
      yield* Bandwidth.follow(root, Result.getOrThrow(Quantity.parseTimetable("00:00,1kB/s 19:00,off")), {
        timeZone: "UTC"
      })
      const fiber = yield* Effect.forkChild(Effect.andThen(root.take(MiB), Clock.currentTimeMillis))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(fiber), at(19))
    })
  )
})

describe("on the real clock", () => {
  // Again if it fails: a machine that is busy elsewhere may stop the process for longer than a bucket lasts.
  it.live.each([MiB, 40 * MiB, 500 * MiB])(
    "%d B/s over 2 s, in small steps",
    (rate) =>
      Effect.gen(function* () {
        const root = yield* Bandwidth.make({ bytesPerSecond: rate })
        const bytes = Math.min(MiB, rate / 10)
        const start = performance.now()
        let last = start
        let gap = 0
        let total = 0
        while (performance.now() - start < 2000) {
          yield* root.take(bytes)
          total += bytes
          const now = performance.now()
          gap = Math.max(gap, now - last)
          last = now
        }
        near((total / (last - start)) * 1000, rate, 0.02, "the rate")
        assert.isAtMost(gap, 500)
      }),
    { retry: 2 }
  )
})
