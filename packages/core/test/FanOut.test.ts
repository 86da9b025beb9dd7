import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import * as MemoryStore from "@headrace/core/MemoryStore"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import * as StoreError from "@headrace/core/StoreError"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Faulty from "./support/FaultyStore.ts"

const kib = 1024
const blockBytes = 16 * kib
const limits = { minBytes: 16 * kib, maxBytes: 1024 * kib, maxParts: 100, preferredBytes: 48 * kib }

interface Destination extends Faulty.Script {
  readonly shape?: "whole" | "parts"
  readonly also?: true
  /** Of each part. */
  readonly partDigests?: ReadonlyArray<Digest.Algorithm>
}

/** A source that tells how it was read. */
const watched = (bytes: Uint8Array) => {
  const opened: Array<number> = []
  const whole = Source.fromBytes(bytes)
  let read = 0
  const source: Source.Source = {
    ...whole,
    open: (offset) => {
      opened.push(offset)
      return Stream.tap(whole.open(offset), (block) =>
        Effect.sync(() => {
          read += block.length
        })
      )
    }
  }
  return { source, opened, read: () => read }
}

const setUp = (destinations: ReadonlyArray<Destination>, blocks = 64) => {
  const ends = destinations.map((script, index) => {
    const memory = MemoryStore.make({
      shape: script.shape ?? "whole",
      limits,
      ...(script.partDigests === undefined ? undefined : { partDigests: script.partDigests })
    })
    const sent = Faulty.sent()
    return { memory, sent, store: Faulty.make(memory.object(`end-${index}`), script, sent), also: script.also === true }
  })
  const events: Array<TransferEvent> = []
  const pool = makeUnsafe({ bytes: blocks * blockBytes, blockBytes })
  return {
    ends,
    events,
    pool,
    to: ends.filter((end) => !end.also).map((end) => end.store),
    also: ends.filter((end) => end.also).map((end) => end.store),
    onEvent: (event: TransferEvent) => Effect.sync(() => void events.push(event)),
    /** In the order of the destinations. */
    stored: () => ends.map(({ memory }, index) => memory.objects.get(`end-${index}`)),
    receipt: () => events.findLast((event) => event.type === "receipt") as Receipt | undefined
  }
}

/** Runs a transfer, and sees that all memory comes back and nothing unfinished is left. */
const run = (
  source: Source.Source,
  destinations: ReadonlyArray<Destination>,
  options: Partial<Transfer.Options> & { readonly blocks?: number } = {}
) =>
  Effect.gen(function* () {
    const { blocks, ...rest } = options
    const playground = setUp(destinations, blocks)
    const { also, events, onEvent, pool, to } = playground
    const exit = yield* Effect.exit(
      Transfer.run({ source, to, also, retries: 2, answerMs: 1000, onEvent, ...rest }).pipe(
        Effect.provideService(BlockPool, pool)
      )
    )
    assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0, waiters: 0 })
    for (const { memory, sent } of playground.ends) {
      assert.strictEqual(memory.uploads.size, 0)
      assert.strictEqual(sent.running, 0)
    }
    return { ...playground, exit, receipt: playground.receipt()!, last: events.at(-1) }
  })

const failure = (exit: Exit.Exit<unknown, Transfer.TransferError>): Transfer.TransferError => {
  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  return reason?._tag === "Fail" ? reason.error : assert.fail(JSON.stringify(exit))
}

const statuses = (receipt: Receipt) => receipt.destinations.map(({ status }) => status)

const real = (ms: number) =>
  Effect.callback<void>((resume) => {
    const timer = setTimeout(() => resume(Effect.void), ms)
    return Effect.sync(() => clearTimeout(timer))
  })

const bytes = randomBytes(1000 * kib + 5)
const same = (stored: Uint8Array | undefined) => stored !== undefined && Buffer.from(stored).equals(bytes)

describe("one read for several destinations", () => {
  it.live("brings all of them the bytes, read and hashed once", () =>
    Effect.gen(function* () {
      const { opened, read, source } = watched(bytes)
      let hashings = 0
      const hasher = WasmHasher.make()
      const counting = Digest.Hasher.of({
        ...hasher,
        start: (...all) => (hashings++, hasher.start(...all))
      })
      const { events, last, receipt, stored } = yield* run(source, [{}, { shape: "parts" }, { also: true }]).pipe(
        Effect.provideService(Digest.Hasher, counting)
      )
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.deepStrictEqual(opened, [0])
      assert.strictEqual(read(), bytes.byteLength)
      assert.strictEqual(hashings, 1)
      assert.strictEqual(receipt.source.digests.sha256, createHash("sha256").update(bytes).digest("hex"))
      assert.deepStrictEqual(
        receipt.destinations.map(({ bytesSent, required }) => ({ bytesSent, required })),
        [true, true, false].map((required) => ({ bytesSent: bytes.byteLength, required }))
      )
      assert.strictEqual(events[0]?.type, "start")
      assert.strictEqual(events.filter(({ type }) => type === "verdict").length, 3)
      assert.strictEqual(last?.type, "receipt")
    })
  )

  it.live("has several parts of an object on their way at once, each with its digest", () =>
    Effect.gen(function* () {
      const { read, source } = watched(bytes)
      let running = 0
      let most = 0
      const pace = Effect.gen(function* () {
        most = Math.max(most, running++)
        yield* real(5)
        running--
      })
      const { ends, receipt, stored } = yield* run(source, [
        {},
        { shape: "parts", partDigests: ["md5"], pace, faults: [{ part: 3, after: 9000 }] }
      ])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.isAbove(most, 0)
      // The part that failed came from memory: its own, so that nobody waited for it.
      assert.strictEqual(ends[1]!.sent.lengths.length, 22)
      assert.strictEqual(receipt.destinations[1]!.attempts, 2)
      assert.isAtMost(read(), 2 * bytes.byteLength)
    })
  )

  it.live("says of each how far it is", () =>
    Effect.gen(function* () {
      const { events } = yield* run(Source.fromBytes(bytes), [{ pace: real(10) }, { pace: real(1) }])
      const progress = events.filter((event) => event.type === "progress")
      assert.isAbove(progress.length, 1)
      for (const { destinations } of progress) {
        assert.deepStrictEqual(
          destinations.map(({ uri }) => uri),
          ["memory:end-0", "memory:end-1"]
        )
      }
      assert.isBelow(progress[0]!.destinations[0]!.sent, progress[0]!.destinations[1]!.sent)
    })
  )

  it.live("of nothing, and of a byte", () =>
    Effect.gen(function* () {
      for (const size of [0, 1]) {
        const content = bytes.subarray(0, size)
        const source = Source.fromBytes(content)
        const { receipt, stored } = yield* run(source, [{}, { shape: "parts" }], { allowEmpty: true })
        assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
        assert.deepStrictEqual(
          stored().map((all) => all?.byteLength),
          [size, size]
        )
      }
    })
  )

  it.live("needs memory for all of them", () =>
    Effect.gen(function* () {
      const { exit } = yield* run(Source.fromBytes(bytes), [{}, {}, {}], { blocks: 16 })
      assert.deepInclude(failure(exit), {
        message: "the memory for blocks is too small: a transfer to 3 destinations needs 272 KiB"
      })
    })
  )
})

describe("a destination that is slow", () => {
  it.live("holds up no other, and goes on with a read of its own", () =>
    Effect.gen(function* () {
      const { opened, source } = watched(bytes)
      const { events, receipt, stored } = yield* run(source, [
        { pace: real(20) },
        {},
        { shape: "parts", pace: real(2) }
      ])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.deepStrictEqual(
        events.flatMap((event) => (event.type === "verdict" ? [event.uri] : [])),
        ["memory:end-1", "memory:end-2", "memory:end-0"]
      )
      assert.isAbove(opened.length, 1)
      assert.strictEqual(opened[0], 0)
      for (const offset of opened.slice(1)) assert.isAbove(offset, 0)
      assert.strictEqual(receipt.destinations[0]!.bytesSent, bytes.byteLength)
    })
  )

  it.live("holds up all others of a source that can be read once", () =>
    Effect.gen(function* () {
      const { opened, source } = watched(bytes)
      const once = { ...source, replayable: false }
      const { receipt, stored } = yield* run(once, [{ pace: real(3) }, {}])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.deepStrictEqual(opened, [0])
    })
  )

  it.live("and that was not needed is let go when it stalls, of a source that can be read once", () =>
    Effect.gen(function* () {
      const once = { ...Source.fromBytes(bytes), replayable: false }
      // As a transport gives up a connection on which nothing moves.
      const stalled = StoreError.make("Stalled", {
        uri: "memory:",
        message: "nothing moved",
        retryable: true,
        clear: false
      })
      let taken = 0
      const pace = Effect.suspend(() => (++taken > 3 ? Effect.andThen(real(100), Effect.die(stalled)) : Effect.void))
      const { exit, receipt, stored } = yield* run(once, [{}, { also: true, pace }])
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(statuses(receipt), ["verified", "failed"])
      assert.isTrue(same(stored()[0]))
      assert.isUndefined(stored()[1])
    })
  )

  it.live("gives back the memory that the reader waits for", () =>
    Effect.gen(function* () {
      let taken = 0
      const stuckBody: Destination = { pace: Effect.suspend(() => (++taken > 2 ? Effect.never : Effect.void)) }
      const hangs = Array.from({ length: 6 }, (_, index) => ({ part: index + 1, hang: Effect.never }))
      const stuckParts: Destination = { shape: "parts", faults: hangs }
      for (const stuck of [stuckBody, stuckParts]) {
        const done = yield* Deferred.make<void>()
        // Less than by how much it may be behind.
        const { also, onEvent, pool, stored, to } = setUp([stuck, {}], 5 + 2 * 4)
        const transfer = yield* Transfer.run({
          source: Source.fromBytes(bytes),
          to,
          also,
          onEvent: (event) =>
            Effect.andThen(onEvent(event), event.type === "verdict" ? Deferred.succeed(done, undefined) : Effect.void)
        }).pipe(Effect.provideService(BlockPool, pool), Effect.forkChild({ startImmediately: true }))
        yield* Deferred.await(done)
        assert.isTrue(same(stored()[1]))
        yield* Fiber.interrupt(transfer)
        assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0 })
      }
    })
  )

  it.live("does not keep the ninth from its end when eight stall and memory is scarce", () =>
    Effect.gen(function* () {
      const taken: Array<number> = []
      const stalling = Array.from({ length: 8 }, (_, index): Destination => {
        taken.push(0)
        const shape = index % 2 === 0 ? "whole" : "parts"
        return { shape, pace: Effect.suspend(() => (++taken[index]! > index * 2 ? Effect.never : Effect.void)) }
      })
      const playground = setUp([...stalling, {}], 5 + 9 * 4)
      const { also, onEvent, pool, to } = playground
      const done = yield* Deferred.make<void>()
      const transfer = yield* Transfer.run({
        source: Source.fromBytes(bytes),
        to,
        also,
        onEvent: (event) =>
          Effect.andThen(onEvent(event), event.type === "verdict" ? Deferred.succeed(done, undefined) : Effect.void)
      }).pipe(Effect.provideService(BlockPool, pool), Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(done)
      assert.isTrue(same(playground.stored()[8]))
      yield* Fiber.interrupt(transfer)
      const { destinations } = playground.receipt()!
      assert.deepStrictEqual(
        destinations.map(({ status }) => status),
        [...Array<string>(8).fill("cancelled"), "verified"]
      )
      for (const { error } of destinations.slice(0, 8))
        assert.deepInclude(error, { reason: "Interrupted", left: "none" })
      assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0 })
      assert.strictEqual(
        playground.ends.filter(({ memory }) => memory.objects.size + memory.uploads.size > 0).length,
        1
      )
    })
  )
})

describe("a destination that fails", () => {
  it.live("fails the transfer and no other destination", () =>
    Effect.gen(function* () {
      const { exit, receipt, stored } = yield* run(Source.fromBytes(bytes), [
        { faults: [{ part: 1, after: 100 * kib, final: true }] },
        {},
        { shape: "parts" }
      ])
      const error = failure(exit)
      assert.deepInclude(error, { uri: "memory:end-0", left: "none" })
      assert.deepStrictEqual(error.receipt.destinations, receipt.destinations)
      assert.deepStrictEqual(statuses(receipt), ["failed", "verified", "verified"])
      assert.deepStrictEqual(stored().map(same), [false, true, true])
    })
  )

  it.live("on best effort fails itself alone", () =>
    Effect.gen(function* () {
      const refusal = Effect.fail(StoreError.make("Forbidden", { uri: "memory:end-1", message: "no" }))
      const { exit, receipt } = yield* run(Source.fromBytes(bytes), [{}, { also: true, begin: refusal }])
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(statuses(receipt), ["verified", "failed"])
    })
  )

  it.live("tries again with a read of its own", () =>
    Effect.gen(function* () {
      const { opened, source } = watched(bytes)
      const fault = { part: 1, after: 300 * kib }
      const { receipt, stored } = yield* run(source, [{ faults: [fault] }, { shape: "parts" }])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.strictEqual(receipt.destinations[0]!.attempts, 2)
      assert.strictEqual(receipt.destinations[1]!.attempts, 1)
      assert.deepStrictEqual(opened, [0, 0])
    })
  )

  it.live("also when all do", () =>
    Effect.gen(function* () {
      const fault = (after: number) => [{ part: 1, after }]
      const { receipt, stored } = yield* run(Source.fromBytes(bytes), [
        { faults: fault(200 * kib) },
        { faults: fault(10) },
        { faults: fault(0) }
      ])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified", "verified"])
      assert.isTrue(stored().every(same))
    })
  )

  it.live("as all do ends the read that they shared", () =>
    Effect.gen(function* () {
      const whole = Source.fromBytes(bytes)
      const read: Array<number> = []
      const source: Source.Source = {
        ...whole,
        open: (offset) => {
          const index = read.push(0) - 1
          return Stream.tap(whole.open(offset), (block) => {
            read[index]! += block.length
            return index === 0 ? real(10) : Effect.void
          })
        }
      }
      const faults = () => [{ part: 1, after: 1 }]
      const { receipt } = yield* run(source, [{ faults: faults() }, { faults: faults() }])
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      assert.isBelow(read[0]!, bytes.byteLength / 2)
    })
  )

  it.live("and reports bytes that are not the source's is the transfer's reason, whichever it is", () =>
    Effect.gen(function* () {
      const wrong = StoreError.make("DigestMismatch", { uri: "memory:end-1", message: "other bytes" })
      const { exit } = yield* run(Source.fromBytes(bytes), [
        { faults: [{ part: 1, after: 0, final: true }] },
        { begin: Effect.fail(wrong) }
      ])
      assert.strictEqual(failure(exit).reason._tag, "DigestMismatch")
    })
  )
})

describe("a destination that is ready late", () => {
  it.live("does not make the others wait, and reads by itself", () =>
    Effect.gen(function* () {
      const { opened, source } = watched(bytes)
      const { events, receipt, stored } = yield* run(source, [{ begin: real(300) }, {}]).pipe(Faulty.withoutWaiting)
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      assert.isTrue(stored().every(same))
      assert.deepStrictEqual(opened, [0, 0])
      const first = events.find(({ type }) => type === "verdict")
      assert.deepInclude(first, { uri: "memory:end-1" })
    })
  )

  it.live("because its first attempt failed is not waited for", () =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const begin = Effect.suspend(() => {
        order.push("begins")
        if (order.length > 1) return Effect.void
        const message = "nobody is there"
        return Effect.fail(StoreError.make("ConnectionLost", { uri: "memory:end-0", message, retryable: true }))
      })
      const { receipt } = yield* run(watched(bytes).source, [{ begin }, {}], {
        onEvent: (event) => Effect.sync(() => void (event.type === "verdict" && order.push(event.uri)))
      })
      assert.deepStrictEqual(order, ["begins", "memory:end-1", "begins", "memory:end-0"])
      assert.isUndefined(receipt)
    })
  )

  it.live("is waited for when the source can be read only once", () =>
    Effect.gen(function* () {
      const once = { ...Source.fromBytes(bytes), replayable: false }
      const { receipt } = yield* run(once, [{ begin: real(300) }, {}]).pipe(Faulty.withoutWaiting)
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
      const needless = yield* run(once, [{}, { also: true, begin: real(300) }]).pipe(Faulty.withoutWaiting)
      assert.deepStrictEqual(statuses(needless.receipt), ["verified", "failed"])
      assert.strictEqual(needless.receipt.destinations[1]!.error?.reason, "Unsupported")
    })
  )
})

describe("a source that is not what it should be", () => {
  it.live("is complete at no destination", () =>
    Effect.gen(function* () {
      const wrong = { sha256: "0".repeat(64) }
      const { exit, receipt, stored } = yield* run(
        Source.fromBytes(bytes),
        [{}, { shape: "parts" }, { pace: real(10) }],
        {
          expect: wrong
        }
      )
      assert.strictEqual(failure(exit).reason._tag, "SourceMismatch")
      assert.deepStrictEqual(statuses(receipt), ["failed", "failed", "failed"])
      assert.deepStrictEqual(stored(), [undefined, undefined, undefined])
      for (const { error } of receipt.destinations)
        assert.deepInclude(error, { reason: "SourceMismatch", left: "none" })
    })
  )

  it.live("also for a moment at a slow one that reads by itself", () =>
    Effect.gen(function* () {
      const { opened, source } = watched(bytes)
      const playground = setUp([{ pace: real(1) }, {}])
      const { onEvent, pool, to } = playground
      const [{ memory }] = playground.ends as [(typeof playground.ends)[0]]
      let puts = 0
      const { set } = memory.objects
      memory.objects.set = (...all) => (puts++, set.apply(memory.objects, all))
      yield* Transfer.run({ source, to, onEvent, retries: 0, expect: { sha256: "0".repeat(64) } }).pipe(
        Effect.provideService(BlockPool, pool),
        Effect.exit
      )
      assert.deepStrictEqual(statuses(playground.receipt()!), ["failed", "failed"])
      assert.isAbove(opened.length, 1)
      assert.strictEqual(puts, 0)
    })
  )

  it.live("also when it changes while a slow destination reads by itself", () =>
    Effect.gen(function* () {
      let fastDone = false
      let ownBlocks = 0
      const whole = Source.fromBytes(bytes)
      const source: Source.Source = {
        ...whole,
        // From the third block of the slow one's own read on, when the shared read is long over.
        info: Effect.sync(() => ({ size: bytes.byteLength, identity: fastDone && ownBlocks > 2 ? "new" : "old" })),
        open: (offset) =>
          offset === 0 ? whole.open(0) : Stream.tap(whole.open(offset), () => Effect.sync(() => ownBlocks++))
      }
      const playground = setUp([{ pace: real(10) }, {}])
      const { onEvent, pool, to } = playground
      yield* Transfer.run({
        source,
        to,
        onEvent: (event) =>
          Effect.andThen(
            onEvent(event),
            Effect.sync(() => {
              if (event.type === "verdict") fastDone = true
            })
          )
      }).pipe(Effect.provideService(BlockPool, pool), Effect.exit)
      assert.isAbove(ownBlocks, 2)
      assert.deepStrictEqual(
        playground.receipt()!.destinations.map(({ error, status }) => error?.reason ?? status),
        ["SourceChanged", "verified"]
      )
      assert.isUndefined(playground.stored()[0])
    })
  )

  it.live("also when it breaks off and can be read only once", () =>
    Effect.gen(function* () {
      const broken = SourceError.make("SourceUnreadable", { uri: "memory:", message: "broken" })
      const whole = Source.fromBytes(bytes)
      const source: Source.Source = {
        ...whole,
        replayable: false,
        open: (offset) => Stream.concat(Stream.take(whole.open(offset), 20), Stream.fail(broken))
      }
      const { receipt, stored } = yield* run(source, [{}, { shape: "parts" }])
      for (const { error } of receipt.destinations) assert.deepInclude(error, { reason: "SourceUnreadable" })
      assert.deepStrictEqual(stored(), [undefined, undefined])
    })
  )
})

describe("a destination that is cancelled", () => {
  it.live("leaves nothing, and the others go on", () =>
    Effect.gen(function* () {
      for (const shape of ["whole", "parts"] as const) {
        const { source } = watched(bytes)
        const stuck = yield* Deferred.make<void>()
        const asked: Array<string> = []
        const { exit, receipt, stored } = yield* run(
          source,
          [
            {},
            {
              shape,
              also: true,
              faults: [{ part: 1, hang: Effect.andThen(Deferred.succeed(stuck, undefined), Effect.never) }]
            }
          ],
          {
            cancel: ({ index, uri }) => {
              asked.push(`${index} ${uri}`)
              return index === 1 ? Deferred.await(stuck) : Effect.never
            }
          }
        )
        assert.isTrue(Exit.isSuccess(exit))
        assert.deepStrictEqual(asked, ["0 memory:end-0", "1 memory:end-1"])
        assert.deepStrictEqual(statuses(receipt), ["verified", "cancelled"])
        assert.deepInclude(receipt.destinations[1]!.error, {
          reason: "Interrupted",
          message: "cancelled",
          left: "none"
        })
        assert.isTrue(same(stored()[0]))
        assert.isUndefined(stored()[1])
      }
    })
  )

  it.live("and had to succeed is the transfer's failure", () =>
    Effect.gen(function* () {
      const { source } = watched(bytes)
      const { exit, receipt } = yield* run(source, [{}, { pace: real(20) }], {
        cancel: ({ index }) => (index === 1 ? real(100) : Effect.never)
      })
      const error = failure(exit)
      assert.strictEqual(error.reason._tag, "Interrupted")
      assert.strictEqual(error.uri, "memory:end-1")
      assert.deepStrictEqual(statuses(receipt), ["verified", "cancelled"])
    })
  )

  it.live("too late is verified", () =>
    Effect.gen(function* () {
      const { source } = watched(bytes)
      const { receipt } = yield* run(source, [{}, { pace: real(3) }], {
        cancel: ({ index }) => (index === 0 ? real(150) : Effect.never)
      })
      assert.deepStrictEqual(statuses(receipt), ["verified", "verified"])
    })
  )
})

describe("any destinations, at any speed, with any faults, in any memory", () => {
  it.live(
    "have each the verdict that is true of them",
    () =>
      Effect.gen(function* () {
        const outcomes: Record<string, number> = {}
        let detached = 0
        for (let seed = 1; seed <= 2000; seed++) {
          const next = Faulty.numbers(seed)
          const content = bytes.subarray(0, next(600 * kib))
          const { opened, source } = watched(content)
          const count = 1 + next(4)
          const destinations = Array.from({ length: count }, (_, index): Destination => {
            const slow = next(3) === 0
            const every = 1 + next(4)
            let taken = 0
            const pace = Effect.suspend(() => (slow && ++taken % every === 0 ? real(0) : Effect.void))
            return {
              shape: next(2) === 0 ? "whole" : "parts",
              partDigests: next(2) === 0 ? ["crc32c"] : [],
              ...(index > 0 && next(3) === 0 ? { also: true as const } : undefined),
              pace,
              ...(next(10) === 0 ? { begin: real(next(5)) } : undefined),
              faults: Array.from({ length: next(3) === 0 ? 1 + next(3) : 0 }, () => ({
                part: 1 + next(3),
                after: next(200_000),
                ...(next(4) === 0 ? { taken: true as const } : undefined),
                ...(next(8) === 0 ? { final: true as const } : undefined)
              })),
              finishes: Array.from(
                { length: next(4) === 0 ? 1 : 0 },
                () => (["refused", "lost", "final"] as const)[next(3)]!
              )
            }
          })
          const ordered = [...destinations.filter((end) => !end.also), ...destinations.filter((end) => end.also)]
          const once = next(4) === 0
          const { exit, receipt, stored } = yield* run(once ? { ...source, replayable: false } : source, ordered, {
            blocks: 5 + count * 4 + next(40),
            allowEmpty: true
          })
          for (const [index, { required, status }] of receipt.destinations.entries()) {
            const held = stored()[index]
            const equal = held !== undefined && Buffer.from(held).equals(content)
            assert.strictEqual(status === "verified", equal, `seed ${seed}, ${index}: ${JSON.stringify(receipt)}`)
            if (!equal) assert.isUndefined(held, `seed ${seed}, ${index}`)
            outcomes[status] = (outcomes[status] ?? 0) + 1
            if (required && status !== "verified") assert.isTrue(Exit.isFailure(exit), `seed ${seed}`)
          }
          if (Exit.isFailure(exit))
            assert.isFalse(receipt.destinations.every((end) => !end.required || end.status === "verified"))
          if (once) assert.deepStrictEqual(opened, [0], `seed ${seed}`)
          if (opened.some((offset) => offset > 0)) detached++
        }
        console.log(`${JSON.stringify(outcomes)} in 2000 transfers; ${detached} with a destination that read by itself`)
        assert.isAbove(outcomes["verified"]!, 3000)
        assert.isAbove(outcomes["failed"]!, 200)
        assert.isAbove(detached, 20)
      }).pipe(Faulty.withoutWaiting),
    300_000
  )
})
