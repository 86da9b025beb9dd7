/**
 * A pace against services that are arithmetic, on the test clock.
 */
import { assert, describe, it } from "@effect/vitest"
import type { Failure } from "@headrace/core/Receipt"
import type { Reason } from "@headrace/core/Reason"
import type { ReceiptEvent, Retry } from "@headrace/core/TransferEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as TestClock from "effect/testing/TestClock"
import * as Pace from "../src/Pace.ts"
import { MiB, peak, rateOf, run, type Service, type Simulated } from "./support/simulation.ts"

const service = (rate: Service["rate"], more?: Partial<Service>): Service => ({
  place: "glance://a",
  rate,
  size: () => 64 * MiB,
  ...more
})

const auto = (most = 256, waits: Array<Pace.Wait> = []) =>
  Pace.make({ concurrency: "auto", most, onWait: (wait) => Effect.sync(() => void waits.push(wait)) })

/** The same numbers from 0 to 1 in each run. */
const generator = (seed: number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const common = { at: "", id: "x" }

const retry = (more: Partial<Retry>): Retry => ({
  ...common,
  type: "retry",
  uri: "glance://a/x",
  attempt: 1,
  reason: "Unavailable",
  message: "no",
  waitMs: 500,
  ...more
})

const receipt = (error: Pick<Failure, "reason" | "retryable" | "status">): ReceiptEvent => ({
  ...common,
  type: "receipt",
  source: { uri: "file:///x", size: 1, digests: {} },
  destinations: [
    {
      uri: "glance://a/x",
      required: true,
      status: "failed",
      attempts: 1,
      bytesSent: 0,
      startedAt: "",
      elapsedMs: 0,
      error: { message: "no", left: "none", ...error }
    }
  ]
})

const near = (state: Simulated, best: number, from: number, to: number, what = "") => {
  const part = rateOf(state, from, to) / best
  assert.isAtLeast(part, 0.8, `${what}, limits ${state.limits.join(" ")}`)
}

describe("a pace that finds its own number", () => {
  describe.each([
    ["4 KiB", 4096, [1, 4, 16, 64]],
    ["8 MiB", 8 * MiB, [1, 4, 16, 64]],
    ["256 MiB", 256 * MiB, [4, 16, 64]],
    // Those that have begun are not stopped: what is too many of them stays for long.
    ["10 GiB", 10 * 1024 * MiB, [4, 16, 64]]
  ] as const)("with items of %s", (name, size, numbers) => {
    it.effect.each(numbers)("is within a fifth of the best after a minute where %d serve best", (k) =>
      Effect.gen(function* () {
        const rate = peak(k, 0.5)
        const pace = yield* auto()
        const state = yield* run(pace, service(rate, { size: () => size }))
        yield* TestClock.adjust("180 seconds")
        near(state, rate(k), 60, 180, `${k} ${name}`)
      })
    )
  })

  it.effect.each([1, 4, 16, 64])("is within a fifth after two minutes where %d serve best and more cost much", (k) =>
    Effect.gen(function* () {
      const rate = peak(k, 1)
      const pace = yield* auto()
      const state = yield* run(pace, service(rate, { size: () => 4096 }))
      yield* TestClock.adjust("300 seconds")
      near(state, rate(k), 120, 300, `${k}`)
    })
  )

  it.effect.each([1, 2, 3])("does not run away from a rate that varies by a third, seed %d", (seed) =>
    Effect.gen(function* () {
      const random = generator(seed)
      let noise = 1
      let at = 0
      const rate = peak(16, 0.5)
      const noisy = (running: number, now: number) => {
        if (now >= at) {
          noise = 0.7 + 0.6 * random()
          at = now + 500 + 2000 * random()
        }
        return rate(running) * noise
      }
      const pace = yield* auto()
      const state = yield* run(pace, service(noisy, { size: () => 8 * MiB }))
      yield* TestClock.adjust("600 seconds")
      near(state, rate(16), 60, 600, `noise ${seed}`)
      const later = state.limits.slice(60)
      const steps = later.filter((limit, second) => second > 0 && limit !== later[second - 1]).length
      assert.isAtMost(steps, 54, "one change in ten seconds")
    })
  )

  it.effect("does as well with items of 4 KiB and 10 GiB mixed", () =>
    Effect.gen(function* () {
      const random = generator(7)
      const rate = peak(16, 0.5)
      const pace = yield* auto()
      const size = () => (random() < 0.01 ? 10 * 1024 * MiB : 4096)
      const state = yield* run(pace, service(rate, { size }))
      yield* TestClock.adjust("300 seconds")
      near(state, rate(16), 60, 300, "mixed")
    })
  )
})

describe("a service that refuses what is too much", () => {
  it.effect.each([1, 3, 10, 40])("is met near its %d at once, with few refusals", (most) =>
    Effect.gen(function* () {
      const rate = peak(1000)
      const pace = yield* auto()
      const state = yield* run(pace, service(rate, { size: () => 4096, most }))
      yield* TestClock.adjust("300 seconds")
      near(state, rate(most), 60, 300, `most ${most}, ${state.refused} refused`)
      assert.isAtMost(state.refused, 3 * most + 20, `refused of ${state.ended}`)
      assert.isAtMost(Math.max(...state.limits.slice(60)), most + 1)
      assert.strictEqual(state.failed, 0)
    })
  )

  it.effect("is asked less also where transfers do not try again by themselves", () =>
    Effect.gen(function* () {
      const rate = peak(1000)
      const pace = yield* auto()
      const state = yield* run(pace, service(rate, { size: () => 4096, most: 3 }), 0)
      yield* TestClock.adjust("120 seconds")
      near(state, rate(3), 30, 120)
      assert.isAtMost(state.failed, 20)
    })
  )

  it.effect("is not asked before its Retry-After is over", () =>
    Effect.gen(function* () {
      const waits: Array<Pace.Wait> = []
      const pace = yield* auto(256, waits)
      const a = pace.begin(["glance://a"], { size: 1 })
      const b = pace.begin(["glance://a"], { size: 1 })
      a.event(retry({ status: 429, waitMs: 20_000 }))
      assert.isFalse(pace.admits(["glance://a"]))
      assert.isTrue(pace.admits(["glance://b"]))
      yield* b.end("good")
      yield* TestClock.adjust("19 seconds")
      assert.isFalse(pace.admits(["glance://a"]), "others' success does not shorten it")
      assert.deepStrictEqual(pace.standing()[0]?.waiting, { why: "busy", message: "no", forMs: 19_000 })
      const woken = yield* Effect.forkChild(pace.changed)
      yield* TestClock.adjust("1500 millis")
      assert.isDefined(woken.pollUnsafe())
      assert.isTrue(pace.admits(["glance://a"]))
      assert.deepStrictEqual(
        waits.map(({ over, place, why }) => [place, why, over]),
        [
          ["glance://a", "busy", false],
          ["glance://a", "busy", true]
        ]
      )
    })
  )
})

describe("a service that gets slower", () => {
  it.effect("by what is asked of it is asked less: more transfers only wait longer", () =>
    Effect.gen(function* () {
      // Full at 8; whatever is more stands in its queue.
      const rate = (running: number) => 4 * MiB * Math.min(8, running)
      const pace = yield* auto()
      const state = yield* run(pace, service(rate, { size: () => 4096 }))
      yield* TestClock.adjust("300 seconds")
      near(state, rate(8), 60, 300)
      const later = state.limits.slice(60)
      assert.isAtMost(later.reduce((sum, limit) => sum + limit, 0) / later.length, 12)
    })
  )

  it.effect("by others' work is asked less at once, and more when that is over", () =>
    Effect.gen(function* () {
      const alone = peak(32, 0.5)
      const rate = (running: number, now: number) =>
        now > 100_000 && now < 200_000 ? peak(4, 0.5)(running) : alone(running)
      const pace = yield* auto()
      const state = yield* run(pace, service(rate, { size: () => 4096 }))
      yield* TestClock.adjust("400 seconds")
      near(state, alone(32), 50, 100, "before")
      assert.isBelow(state.limits[115]!, state.limits[99]!)
      near(state, peak(4)(4), 160, 200, "during")
      near(state, alone(32), 300, 400, "after")
    })
  )
})

describe("two places", () => {
  it.effect("are each driven at their own pace", () =>
    Effect.gen(function* () {
      const [fast, slow] = [peak(32, 0.5), peak(2, 0.5, MiB)]
      const pace = yield* auto()
      const a = yield* run(pace, service(fast, { size: () => 4096 }))
      const b = yield* run(pace, service(slow, { place: "glance://b", size: () => 4096 }))
      yield* TestClock.adjust("300 seconds")
      near(a, fast(32), 60, 300, "fast")
      near(b, slow(2), 120, 300, "slow")
    })
  )

  it.effect.each([4096, 64 * MiB])("with the same source do not hinder each other, with items of %d bytes", (size) =>
    Effect.gen(function* () {
      const [fast, slow] = [peak(32, 0.5), peak(3, 0.5, MiB * 2)]
      const pace = yield* auto()
      const a = yield* run(pace, service(fast, { size: () => size, source: "glance://old" }))
      const b = yield* run(pace, service(slow, { place: "glance://b", size: () => 4096, source: "glance://old" }))
      yield* TestClock.adjust("400 seconds")
      near(a, fast(32), 120, 400, "fast")
      near(b, slow(3), 120, 400, "slow")
    })
  )

  it.effect("share a bound evenly, and what one does not want the other has", () =>
    Effect.gen(function* () {
      const pace = yield* Pace.make({ concurrency: 8, onWait: () => Effect.void })
      const fill = (place: string, most = 100) => {
        const tickets: Array<Pace.Ticket> = []
        while (tickets.length < most && pace.admits([place])) tickets.push(pace.begin([place], { size: undefined }))
        return tickets
      }
      const a = fill("glance://a")
      assert.strictEqual(a.length, 8)
      assert.isFalse(pace.admits(["glance://b"]))
      const b: Array<Pace.Ticket> = []
      for (const ticket of a.splice(0, 6)) {
        yield* ticket.end("good")
        a.push(...fill("glance://a"))
        b.push(...fill("glance://b"))
      }
      assert.strictEqual(b.length, 4)
      for (const ticket of b) yield* ticket.end("good")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(fill("glance://a").length, 4)
    })
  )
})

describe("a place that goes away", () => {
  it.effect("is tried with single transfers, and goes on at once when it is back", () =>
    Effect.gen(function* () {
      const waits: Array<Pace.Wait & { readonly at: number }> = []
      const pace = yield* Pace.make({
        concurrency: "auto",
        most: 64,
        onWait: (wait) => Effect.map(Clock.currentTimeMillis, (at) => void waits.push({ ...wait, at }))
      })
      const rate = peak(16, 0.5)
      const away = (now: number) => now >= 100_000 && now < 130_000
      const state = yield* run(pace, service(rate, { size: () => 4096, away }), 1)
      const other = yield* run(pace, service(rate, { place: "glance://b", size: () => 4096 }))
      yield* TestClock.adjust("300 seconds")
      const ofA = waits.filter(({ place }) => place === "glance://a")
      assert.deepStrictEqual(
        ofA.map(({ over, why }) => [why, over]),
        [
          ["away", false],
          ["away", true]
        ]
      )
      assert.strictEqual(waits.length, 2, "the other place knows nothing of it")
      assert.isAtMost(ofA[0]!.at, 101_500)
      // The longest wait is 15 s, and a quarter.
      assert.isAtMost(ofA[1]!.at, 150_000)
      assert.isAtMost(state.failed, 30)
      near(state, rate(16), 160, 300, "after")
      near(other, rate(16), 100, 130, "other")
    })
  )

  it.effect("is known by failures in a row of more than one transfer, and not by a transfer's own", () =>
    Effect.gen(function* () {
      const pace = yield* auto()
      const [a, b] = [pace.begin(["glance://a"], { size: 1 }), pace.begin(["glance://a"], { size: 1 })]
      const fail = (ticket: Pace.Ticket, reason: Reason, more?: Partial<Retry>) =>
        ticket.event(retry({ reason, ...more }))
      for (let i = 0; i < 5; i++) fail(a, "ConnectionLost")
      assert.isTrue(pace.admits(["glance://a"]), "one transfer only")
      for (let i = 0; i < 5; i++) fail(b, "SizeMismatch")
      for (let i = 0; i < 5; i++) fail(b, "Rejected", { status: 400 })
      assert.isTrue(pace.admits(["glance://a"]), "its own")
      fail(a, "Unavailable", { status: 502 })
      fail(b, "ConnectionLost", { ofSource: true })
      fail(b, "ConnectionLost")
      assert.isTrue(pace.admits(["glance://a"]))
      fail(a, "Unavailable", { status: 504 })
      assert.isFalse(pace.admits(["glance://a"]))
    })
  )

  it.effect("is the source where that is at fault", () =>
    Effect.gen(function* () {
      const pace = yield* Pace.make({ concurrency: 4, onWait: () => Effect.void })
      const places = ["glance://old", "glance://new"]
      const ticket = pace.begin(places, { size: 1 })
      ticket.event({ ...common, type: "start", source: { uri: "glance://old/i", size: 1 }, destinations: [] })
      for (const reason of ["ConnectionLost", "SourceUnreadable", "Unavailable"] as const) {
        ticket.event(retry({ uri: "glance://new/i", reason, ofSource: true }))
      }
      assert.isFalse(pace.admits(["glance://old"]))
      assert.isTrue(pace.admits(["glance://new"]))
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(pace.admits(places))
      const through = pace.begin(places, { size: 1 })
      assert.isFalse(pace.admits(places), "one at a time")
      yield* through.end("good")
      assert.isTrue(pace.admits(places))
    })
  )
})

describe("a pause", () => {
  it.effect("ends when its probe says so, which is asked ever more seldom", () =>
    Effect.gen(function* () {
      const waits: Array<Pace.Wait> = []
      const pace = yield* auto(8, waits)
      const asked: Array<number> = []
      let room = false
      const probe = Effect.map(Clock.currentTimeMillis, (at) => {
        asked.push(at)
        return room
      })
      const full = { why: "quota", message: "image_count_total is full: 5 of 5" } as const
      yield* pace.pause("glance://a", full)
      yield* pace.pause("glance://a", { ...full, probe })
      yield* pace.pause("glance://a", { ...full, probe })
      yield* TestClock.adjust("5 minutes")
      assert.isFalse(pace.admits(["glance://a"]))
      const gaps = asked.map((at, i) => at - (asked[i - 1] ?? 0))
      assert.isAtMost(asked.length, 14)
      assert.isAtLeast(Math.min(...gaps), 5000)
      assert.isAtMost(Math.max(...gaps), 75_000)
      room = true
      const woken = yield* Effect.forkChild(pace.changed)
      yield* TestClock.adjust("75 seconds")
      assert.isDefined(woken.pollUnsafe())
      assert.isTrue(pace.admits(["glance://a"]))
      assert.deepStrictEqual(waits, [
        { place: "glance://a", ...full, over: false },
        { place: "glance://a", ...full, over: true }
      ])
    })
  )

  it.effect("without a probe lets one transfer through after its time, whose end decides", () =>
    Effect.gen(function* () {
      const pace = yield* auto(8)
      const place = ["glance://a"]
      yield* pace.pause("glance://a", { why: "quota", message: "full", retryAfterMs: 10_000 })
      yield* TestClock.adjust("9 seconds")
      assert.isFalse(pace.admits(place))
      yield* TestClock.adjust("1500 millis")
      const first = pace.begin(place, { size: 1 })
      assert.isFalse(pace.admits(place))
      first.event(receipt({ reason: "QuotaExceeded", status: 413, retryable: false }))
      yield* first.end("requeued")
      assert.isFalse(pace.admits(place))
      yield* TestClock.adjust("10 seconds")
      const second = pace.begin(place, { size: 1 })
      yield* second.end("good")
      assert.isTrue(pace.admits(place))
    })
  )
})

describe("a fixed number", () => {
  it.effect("is the most in all, whatever is refused, and a cap of a place is below it", () =>
    Effect.gen(function* () {
      const pace = yield* Pace.make({ concurrency: 5, onWait: () => Effect.void })
      const rate = peak(1000)
      const state = yield* run(pace, service(rate, { size: () => 4096, most: 3 }))
      yield* TestClock.adjust("60 seconds")
      near(state, rate(3), 5, 60)
      assert.isAtMost(state.refused, 10)
      assert.isTrue(state.limits.every((limit) => limit <= 5))
      yield* pace.cap("glance://a", 2)
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(pace.standing(), [{ place: "glance://a", inFlight: 2, limit: 2 }])
      yield* pace.cap("glance://a", undefined)
      yield* TestClock.adjust("20 seconds")
      near(state, rate(3), 85, 100)
    })
  )

  it.effect("is what runs where nothing is refused, and runs again when refusals are over", () =>
    Effect.gen(function* () {
      const pace = yield* Pace.make({ concurrency: 7, onWait: () => Effect.void })
      let most = 100
      const limited: Service = {
        ...service(peak(1), { size: () => 4096 }),
        get most() {
          return most
        }
      }
      const state = yield* run(pace, limited)
      yield* TestClock.adjust("20 seconds")
      assert.isTrue(state.limits.every((limit) => limit === 7))
      most = 2
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(state.limits.at(-1), 2)
      most = 100
      yield* TestClock.adjust("120 seconds")
      assert.strictEqual(state.limits.at(-1), 7)
    })
  )

  it.effect("is a whole number above 0", () =>
    Effect.gen(function* () {
      for (const concurrency of [0, -1, 1.5, Number.NaN, Infinity]) {
        const exit = yield* Effect.exit(Pace.make({ concurrency, onWait: () => Effect.void }))
        assert.isTrue(Exit.isFailure(exit) && Exit.hasDies(exit))
      }
    })
  )
})

describe("the place of a URI", () => {
  it("is its service, without secrets", () => {
    const places = [
      ["glance://Prod/img?store=fast", "glance://Prod"],
      ["glance://prod", "glance://prod"],
      ["s3://bucket/a/b", "s3://bucket"],
      ["swift://cloud/c/o", "swift://cloud"],
      ["https://u:p@Host:8080/x?sig=1", "https://host:8080"],
      ["/tmp/a.img", "file://"],
      ["file:///tmp/a", "file://"],
      ["-", "-"]
    ] as const
    for (const [uri, place] of places) assert.strictEqual(Pace.placeOf(uri), place)
  })
})
