import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Algorithm } from "@headrace/core/Digest"
import * as MemoryStore from "@headrace/core/MemoryStore"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import type { PartsSession } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import { combine } from "../src/internal/crcCombine.ts"
import { partBytes } from "../src/internal/partPlan.ts"
import * as Faulty from "./support/FaultyStore.ts"

const kib = 1024
const blockBytes = 16 * kib

const digestOf = async (algorithm: Algorithm, bytes: Uint8Array): Promise<string> => {
  const hash = await WasmAlgorithm.make(algorithm)
  hash.init()
  hash.update(bytes)
  return hash.digest()
}

interface Case extends Faulty.Script {
  readonly bytes: Uint8Array
  readonly blocks?: number
  readonly limits?: Partial<PartsSession["limits"]>
  readonly partDigests?: ReadonlyArray<Algorithm>
  readonly reports?: ReadonlyArray<Algorithm>
  readonly source?: Source.Source
  readonly options?: Partial<Transfer.Options>
}

/** Runs a transfer into a store of parts, and sees that it gives back all memory. */
const run = (test: Case) =>
  Effect.gen(function* () {
    const memory = MemoryStore.make({
      shape: "parts",
      reports: test.reports ?? ["sha256"],
      limits: { minBytes: 32 * kib, maxBytes: 1024 * kib, maxParts: 100, preferredBytes: 64 * kib, ...test.limits },
      partDigests: test.partDigests ?? []
    })
    const pool = makeUnsafe({ bytes: (test.blocks ?? 64) * blockBytes, blockBytes })
    const sent = Faulty.sent()
    const events: Array<TransferEvent> = []
    const exit = yield* Effect.exit(
      Transfer.run({
        source: test.source ?? Source.fromBytes(test.bytes),
        to: [Faulty.make(memory.object("key"), test, sent)],
        retries: 2,
        answerMs: 1000,
        onEvent: (event) => Effect.sync(() => events.push(event)),
        ...test.options
      }).pipe(Effect.provideService(BlockPool, pool))
    )
    assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0, waiters: 0 })
    const receipt = events.findLast((event) => event.type === "receipt") as Receipt | undefined
    return { exit, memory, sent, events, to: receipt!.destinations[0]!, receipt: receipt!, pool }
  })

const bytes = randomBytes(300 * kib + 77)
const sha256 = createHash("sha256").update(bytes).digest("hex")

describe("an object in parts", () => {
  it.live("is cut into equal parts, sent several at a time, and proven", () =>
    Effect.gen(function* () {
      const { memory, sent, to } = yield* run({ bytes })
      assert.strictEqual(to.status, "verified")
      assert.deepStrictEqual(to.proof?.compared, ["sha256"])
      assert.deepStrictEqual(to.object?.digests, { sha256 })
      assert.strictEqual(to.attempts, 1)
      assert.strictEqual(to.bytesSent, bytes.byteLength)
      assert.deepStrictEqual(sent.lengths, [...Array<number>(4).fill(64 * kib), 44 * kib + 77])
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
      assert.strictEqual(memory.uploads.size, 0)
    })
  )

  it.live("of one byte, and of none, has one part", () =>
    Effect.gen(function* () {
      for (const size of [1, 0]) {
        const { memory, sent, to } = yield* run({ bytes: bytes.subarray(0, size), options: { allowEmpty: true } })
        assert.strictEqual(to.status, "verified")
        assert.deepStrictEqual(sent.lengths, [size])
        assert.strictEqual(memory.objects.get("key")?.byteLength, size)
      }
    })
  )

  it.live("has the CRC that its parts' CRCs give, which is computed by nobody else", () =>
    Effect.gen(function* () {
      const { receipt, to } = yield* run({
        bytes,
        partDigests: ["crc64nvme", "crc32c"],
        reports: ["crc64nvme", "crc32c"]
      })
      assert.strictEqual(to.status, "verified")
      assert.deepStrictEqual(receipt.source.digests, {
        crc32c: yield* Effect.promise(() => digestOf("crc32c", bytes)),
        crc64nvme: yield* Effect.promise(() => digestOf("crc64nvme", bytes))
      })
    })
  )

  it.live("is held back when the source is not as expected", () =>
    Effect.gen(function* () {
      for (const algorithm of ["sha256", "crc64nvme"] as const) {
        const { memory, to } = yield* run({
          bytes,
          partDigests: ["crc64nvme"],
          reports: ["crc64nvme"],
          options: { expect: { [algorithm]: "0".repeat(algorithm === "sha256" ? 64 : 16) } }
        })
        assert.strictEqual(to.error?.reason, "SourceMismatch")
        assert.strictEqual(to.error?.left, "none")
        assert.strictEqual(memory.objects.size + memory.uploads.size, 0)
      }
    })
  )

  it.live("of a source without a size is sent as parts that memory can hold", () =>
    Effect.gen(function* () {
      const source = Source.fromStream({
        uri: "pieces:",
        replayable: false,
        info: Effect.succeed({ size: undefined, identity: undefined }),
        open: () => Stream.fromIterable([bytes.subarray(0, 5), bytes.subarray(5, 70_000), bytes.subarray(70_000)])
      })
      const { memory, to } = yield* run({ bytes, source, faults: [{ part: 2, after: 9000 }], partDigests: ["md5"] })
      assert.strictEqual(to.status, "verified")
      assert.strictEqual(to.attempts, 2)
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
      const small = yield* run({ bytes, source, blocks: 5 })
      assert.strictEqual(small.to.error?.reason, "InvalidConfig")
    })
  )

  it.live("of tiny pieces takes no more memory than its bytes need", () =>
    Effect.gen(function* () {
      // Each in a block of its own, as a slow source gives them.
      const source: Source.Source = {
        ...Source.fromBytes(bytes),
        open: () =>
          Stream.fromIterable(Array.from({ length: Math.ceil(bytes.byteLength / 100) }, (_, i) => i * 100)).pipe(
            Stream.mapEffect((at) =>
              Blocks.lease((block) =>
                Effect.sync(() => {
                  const piece = bytes.subarray(at, at + 100)
                  block.space.set(piece)
                  block.setLength(piece.byteLength)
                })
              )
            )
          )
      }
      const { memory, to } = yield* run({ bytes, source, blocks: 9, partDigests: ["sha256"] })
      assert.strictEqual(to.status, "verified")
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
    })
  )

  it.live("that has too many bytes for the store is refused before one is sent", () =>
    Effect.gen(function* () {
      const { sent, to } = yield* run({ bytes, limits: { maxBytes: 64 * kib, maxParts: 4 } })
      assert.strictEqual(to.error?.reason, "TooLarge")
      assert.deepStrictEqual(sent.lengths, [])
      assert.strictEqual(to.error?.left, "none")
    })
  )
})

describe("when a part fails", () => {
  it.live("it alone is sent again, from memory", () =>
    Effect.gen(function* () {
      let opened = 0
      const whole = Source.fromBytes(bytes)
      const source = { ...whole, open: (offset: number) => (opened++, whole.open(offset)) }
      const { events, sent, to } = yield* run({
        bytes,
        source,
        faults: [
          { part: 2, after: 10_000 },
          { part: 4, taken: true }
        ]
      })
      assert.strictEqual(to.status, "verified")
      assert.strictEqual(to.attempts, 3)
      assert.strictEqual(opened, 1)
      assert.strictEqual(sent.lengths.length, 7)
      assert.deepStrictEqual(
        events.flatMap((event) => (event.type === "retry" ? [event.reason] : [])),
        ["ConnectionLost", "ConnectionLost"]
      )
    })
  )

  it.live("and there was no memory to keep it, it is read again from the source's own range", () =>
    Effect.gen(function* () {
      const opened: Array<number> = []
      const whole = Source.fromBytes(bytes)
      const source = { ...whole, open: (offset: number) => (opened.push(offset), whole.open(offset)) }
      const { memory, sent, to } = yield* run({
        bytes,
        source,
        blocks: 7,
        limits: { preferredBytes: 128 * kib },
        faults: [{ part: 2, after: 10_000 }]
      })
      assert.strictEqual(to.status, "verified")
      assert.deepStrictEqual(opened, [0, 128 * kib])
      assert.deepStrictEqual(sent.lengths.length, 4)
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
    })
  )

  it.live("and neither memory nor the source has it any more, all is sent again", () =>
    Effect.gen(function* () {
      const { memory, to } = yield* run({
        bytes,
        blocks: 4,
        limits: { preferredBytes: 128 * kib },
        faults: [{ part: 2, after: 10_000 }]
      })
      assert.strictEqual(to.status, "verified")
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
    })
  )

  it.live("too often, the upload is given up and nothing is left", () =>
    Effect.gen(function* () {
      const faults = Array.from({ length: 20 }, (): Faulty.Fault => ({ part: 3, after: 100 }))
      const { memory, sent, to } = yield* run({ bytes, faults, options: { retries: 1 } })
      assert.strictEqual(to.status, "failed")
      assert.strictEqual(to.error?.reason, "ConnectionLost")
      assert.strictEqual(to.error?.left, "none")
      assert.isAbove(sent.lengths.length, 5)
      assert.strictEqual(memory.objects.size + memory.uploads.size, 0)
    })
  )

  it.live("for good, the others are stopped", () =>
    Effect.gen(function* () {
      const { memory, to } = yield* run({
        bytes,
        faults: [
          { part: 1, hang: Effect.never },
          { part: 2, after: 0, final: true }
        ]
      })
      assert.strictEqual(to.error?.reason, "ConnectionLost")
      assert.strictEqual(memory.uploads.size, 0)
    })
  )
})

describe("when the object is to be made of its parts", () => {
  it.live("a refusal that may pass is tried again, with the parts that are there", () =>
    Effect.gen(function* () {
      const { sent, to } = yield* run({ bytes, finishes: ["refused", "refused"] })
      assert.strictEqual(to.status, "verified")
      assert.strictEqual(sent.lengths.length, 5)
    })
  )

  it.live("an answer that is lost, or untrue, is found out by looking", () =>
    Effect.gen(function* () {
      for (const answer of ["lost", "denied"] as const) {
        const { events, sent, to } = yield* run({ bytes, finishes: [answer] })
        assert.strictEqual(to.status, "verified")
        assert.strictEqual(sent.lengths.length, 5)
        assert.isFalse(events.some((event) => event.type === "retry"))
      }
    })
  )

  it.live("a final refusal leaves nothing", () =>
    Effect.gen(function* () {
      const { memory, to } = yield* run({ bytes, finishes: ["final"] })
      assert.strictEqual(to.error?.reason, "Forbidden")
      assert.strictEqual(memory.objects.size + memory.uploads.size, 0)
    })
  )
})

describe("an interruption", () => {
  it.live("stops all parts and leaves no upload", () =>
    Effect.gen(function* () {
      const begun = yield* Deferred.make<void>()
      const memory = MemoryStore.make({ shape: "parts", limits: { minBytes: 1, maxBytes: 64 * kib, maxParts: 100 } })
      const pool = makeUnsafe({ bytes: 64 * blockBytes, blockBytes })
      const sent = Faulty.sent()
      const hang = Effect.andThen(Deferred.succeed(begun, undefined), Effect.never)
      const fiber = yield* Transfer.run({
        source: Source.fromBytes(bytes),
        to: [Faulty.make(memory.object("key"), { faults: [{ part: 2, hang }] }, sent)]
      }).pipe(Effect.provideService(BlockPool, pool), Effect.forkChild({ startImmediately: true }))
      yield* Deferred.await(begun)
      assert.strictEqual(memory.uploads.size, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(memory.objects.size + memory.uploads.size, 0)
      assert.strictEqual(sent.running, 0)
      assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0 })
    })
  )
})

describe("any object, cut in any way, with any faults", () => {
  it.live(
    "is whole in the store when the receipt says so, and otherwise not there",
    () =>
      Effect.gen(function* () {
        const outcomes: Record<string, number> = {}
        for (let seed = 1; seed <= 400; seed++) {
          const next = Faulty.numbers(seed)
          const content = randomBytes(next(200 * kib))
          const collected = next(2) === 0
          const faults: Array<Faulty.Fault> = Array.from({ length: next(4) }, () => ({
            part: 1 + next(6),
            after: next(40_000),
            ...(next(4) === 0 ? { taken: true as const } : undefined),
            ...(next(12) === 0 ? { final: true as const } : undefined)
          }))
          const { memory, to } = yield* run({
            bytes: content,
            blocks: collected ? 24 : 4 + next(4),
            limits: { minBytes: kib, preferredBytes: kib * (8 + next(80)) },
            faults,
            finishes: Array.from({ length: next(2) }, () => (["refused", "lost", "final"] as const)[next(3)]!),
            partDigests: next(2) === 0 ? ["crc64nvme"] : [],
            reports: next(2) === 0 ? ["crc64nvme"] : ["sha256"],
            options: { allowEmpty: true }
          })
          const stored = memory.objects.get("key")
          const same = stored !== undefined && Buffer.from(stored).equals(content)
          assert.strictEqual(same, to.status === "verified", `seed ${seed}: ${JSON.stringify(to)}`)
          if (!same) assert.isUndefined(stored, `seed ${seed}`)
          assert.strictEqual(memory.uploads.size, 0, `seed ${seed}`)
          outcomes[to.status] = (outcomes[to.status] ?? 0) + 1
        }
        console.log(`${JSON.stringify(outcomes)} of 400 objects in parts`)
        assert.isAbove(outcomes["verified"]!, 200)
        assert.isAbove(outcomes["failed"]!, 20)
      }).pipe(Faulty.withoutWaiting),
    120_000
  )
})

describe("how an object is cut", () => {
  const mib = 1024 * kib
  const s3 = { minBytes: 5 * mib, maxBytes: 5 * 1024 * mib, maxParts: 10_000 }
  it("follows its size, in whole MiB", () => {
    assert.strictEqual(partBytes(1, s3, 8 * mib), 8 * mib)
    assert.strictEqual(partBytes(80_000 * mib, s3, 8 * mib), 8 * mib)
    assert.strictEqual(partBytes(80_000 * mib + 1, s3, 8 * mib), 9 * mib)
    assert.strictEqual(partBytes(200 * 1024 * mib, s3, 8 * mib), 21 * mib)
    assert.strictEqual(partBytes(undefined, s3, 64 * mib), 17 * mib)
    assert.strictEqual(partBytes(undefined, s3, 8 * mib), 8 * mib)
    assert.strictEqual(partBytes(undefined, s3, mib), 5 * mib)
    assert.match(String(partBytes(60_000 * 1024 * mib, s3, mib)), /more than 10000 parts/)
  })
})

describe("CRCs of pieces", () => {
  it("give the CRC of the whole", async () => {
    for (const algorithm of ["crc32c", "crc64nvme"] as const) {
      for (const at of [0, 1, 7, 4096, 200_001, bytes.byteLength]) {
        const first = await digestOf(algorithm, bytes.subarray(0, at))
        const second = await digestOf(algorithm, bytes.subarray(at))
        assert.strictEqual(combine(algorithm, first, second, bytes.byteLength - at), await digestOf(algorithm, bytes))
      }
    }
  })
})
