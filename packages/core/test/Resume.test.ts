import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import type { Algorithm } from "@headrace/core/Digest"
import { Hasher } from "@headrace/core/Digest"
import * as MemoryStore from "@headrace/core/MemoryStore"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import type { PartsSession, Session, Store } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import * as Transfer from "@headrace/core/Transfer"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Faulty from "./support/FaultyStore.ts"
import * as Journals from "./support/JournalInMemory.ts"

const kib = 1024
const blockBytes = 16 * kib
const partBytes = 64 * kib
const bytes = randomBytes(10 * partBytes + 77)
const sha256 = createHash("sha256").update(bytes).digest("hex")

/** A source that can be told from another version of itself, and counts what is read of it. */
const counted = (content: Uint8Array, identity: string | null = "v1", piece = blockBytes) => {
  const read: Array<{ from: number; bytes: number }> = []
  const source: Source.Source = Source.fromStream({
    uri: "counted:",
    replayable: true,
    info: Effect.succeed({ size: content.byteLength, identity: identity ?? undefined }),
    open: (offset) => {
      const opening = { from: offset, bytes: 0 }
      read.push(opening)
      const starts = Array.from(
        { length: Math.ceil((content.byteLength - offset) / piece) },
        (_, i) => offset + i * piece
      )
      return Stream.fromIterable(starts).pipe(
        Stream.rechunk(1),
        Stream.map((at) => {
          const part = content.subarray(at, at + piece)
          opening.bytes += part.byteLength
          return part
        })
      )
    }
  })
  return { source, read }
}

/** A store whose uploads are not tidied up, as when the process is killed. */
const killed = (store: Store): Store => ({
  ...store,
  open: (content) =>
    Effect.map(store.open(content), (session): Session => ({ ...session, discard: session.left }) as Session)
})

interface Run {
  readonly source: Source.Source
  readonly store: Store
  readonly journal: Journals.JournalInMemory
  readonly blocks?: number
  readonly options?: Partial<Transfer.Options>
}

const run = ({ blocks = 64, journal, options, source, store }: Run) =>
  Effect.gen(function* () {
    let receipt: Receipt | undefined
    const pool = makeUnsafe({ bytes: blocks * blockBytes, blockBytes })
    yield* Effect.exit(
      Transfer.run({
        source,
        to: [store],
        retries: 1,
        onEvent: (event) => Effect.sync(() => (event.type === "receipt" ? (receipt = event) : undefined)),
        ...options
      }).pipe(Effect.provideService(BlockPool, pool), Effect.provideService(UploadJournal, journal.service))
    )
    assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0, waiters: 0 })
    return { to: receipt!.destinations[0]!, receipt: receipt! }
  })

const memoryStore = (partDigests: ReadonlyArray<Algorithm> = [], reports: ReadonlyArray<Algorithm> = ["sha256"]) =>
  MemoryStore.make({
    shape: "parts",
    reports,
    partDigests,
    limits: { minBytes: kib, maxBytes: 1024 * kib, maxParts: 100, preferredBytes: partBytes }
  })

/** An upload that ends for good when it comes to a part, and leaves what there is. */
const cutAt = (part: number, memory: MemoryStore.MemoryStore, journal: Journals.JournalInMemory, key = "key") =>
  run({
    source: counted(bytes).source,
    store: killed(Faulty.make(memory.object(key), { faults: [{ part, after: 9000, final: true }] }, Faulty.sent())),
    journal,
    options: { keepFailed: true }
  })

describe("an upload in parts that was cut off", () => {
  it.live("goes on with the parts that are missing, reads nothing that stands, and is proven whole", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      const first = yield* cutAt(8, memory, journal)
      assert.strictEqual(first.to.status, "failed")
      assert.match(first.to.error!.left, /^upload upload-1 of memory:key$/)
      assert.strictEqual(journal.notes.length, 1)
      const there = memory.uploads.get("upload-1")!.parts.size
      assert.isAbove(there, 2)
      const sent = Faulty.sent()
      const { read, source } = counted(bytes)
      const second = yield* run({ source, store: Faulty.make(memory.object("key"), {}, sent), journal })
      assert.strictEqual(second.to.status, "verified")
      assert.deepStrictEqual(second.to.object?.digests, { sha256 })
      assert.deepStrictEqual(second.receipt.source, { uri: "counted:", size: bytes.byteLength, digests: { sha256 } })
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
      // The same upload, no part of it twice.
      assert.strictEqual(sent.lengths.length, 11 - there)
      assert.isBelow(second.to.bytesSent, bytes.byteLength)
      assert.match(
        second.to.notes?.[0] ?? "",
        /^goes on with the upload of 1970-01-01T00:00:00.000Z: .* are there already$/
      )
      // The first opening is the look at the head; what comes after that begins where the hashers stood.
      assert.strictEqual(read[0]!.from, 0)
      assert.isAtMost(read[0]!.bytes, 4 * blockBytes)
      assert.isAbove(read[1]!.from, 0)
      assert.strictEqual(memory.uploads.size, 0)
      assert.strictEqual(journal.notes.length, 0)
    })
  )

  it.live("beside another destination reads nothing again that both had, as one read was hashed for both", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const whole = MemoryStore.make()
      const journal = Journals.make()
      const cut = killed(
        Faulty.make(memory.object("key"), { faults: [{ part: 8, after: 9000, final: true }] }, Faulty.sent())
      )
      const options = { to: [cut, whole.object("other")], keepFailed: true }
      const first = yield* run({ source: counted(bytes).source, store: cut, journal, blocks: 128, options })
      assert.deepStrictEqual(
        first.receipt.destinations.map(({ status }) => status),
        ["failed", "verified"]
      )
      const { read, source } = counted(bytes)
      const second = yield* run({ source, store: memory.object("key"), journal })
      assert.strictEqual(second.to.status, "verified", JSON.stringify(second.to))
      assert.strictEqual(second.receipt.source.digests.sha256, sha256)
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
      assert.isAbove(read[1]!.from, 0)
    })
  )

  it.live("sends a part in the middle that is missing, though the hashers are past it", () =>
    Effect.gen(function* () {
      for (const partDigests of [[], ["crc64nvme"]] as ReadonlyArray<ReadonlyArray<Algorithm>>) {
        for (const blocks of [64, 9]) {
          const memory = memoryStore(partDigests, ["sha256", ...partDigests])
          const journal = Journals.make()
          yield* cutAt(9, memory, journal)
          const upload = memory.uploads.get("upload-1")!
          upload.parts.delete(2)
          const sent = Faulty.sent()
          const { read, source } = counted(bytes)
          const { to } = yield* run({ source, store: Faulty.make(memory.object("key"), {}, sent), journal, blocks })
          assert.strictEqual(to.status, "verified", JSON.stringify(to))
          assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
          if (blocks === 64) assert.isTrue(read.some(({ from }) => from === partBytes))
        }
      }
    })
  )

  it.live("reads all, and sends what is missing, when the hashers cannot go on", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      yield* cutAt(8, memory, journal)
      const { noted } = journal.notes[0]!
      const there = memory.uploads.get("upload-1")!.parts.size
      // One of another version, one of another algorithm, none.
      const states = [
        { ...noted.state!, states: { sha256: "AAAA" } },
        { bytes: noted.state!.bytes, states: {} },
        undefined
      ]
      for (const state of states) {
        journal.notes[0]!.noted = { ...noted, state }
        const sent = Faulty.sent()
        const fault: Faulty.Script = { faults: [{ part: 11, final: true }] }
        yield* run({
          source: counted(bytes).source,
          store: killed(Faulty.make(memory.object("key"), fault, sent)),
          journal,
          options: { keepFailed: true }
        })
        assert.isAtMost(sent.lengths.length, 11 - there)
      }
      const { to } = yield* run({ source: counted(bytes).source, store: memory.object("key"), journal })
      assert.strictEqual(to.status, "verified")
    })
  )

  it.live("computes again what hashers that keep no state have computed", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      const stateless = { ...WasmHasher.make(), resumable: false }
      yield* cutAt(8, memory, journal).pipe(Effect.provideService(Hasher, stateless))
      assert.isUndefined(journal.notes[0]!.noted.state)
      const sent = Faulty.sent()
      const store = Faulty.make(memory.object("key"), {}, sent)
      const { to } = yield* run({ source: counted(bytes).source, store, journal })
      assert.strictEqual(to.status, "verified")
      assert.isBelow(sent.lengths.length, 11)
    })
  )

  it.live("begins anew when the store knows nothing of it, the source is another, or it was asked for", () =>
    Effect.gen(function* () {
      const other = randomBytes(bytes.byteLength)
      const cases = [
        { source: counted(bytes).source, gone: true },
        { source: counted(other, "v2").source, content: other },
        { source: counted(bytes, null).source },
        { source: counted(bytes).source, options: { resume: false } }
      ]
      for (const { content = bytes, gone, options, source } of cases) {
        const memory = memoryStore()
        const journal = Journals.make()
        yield* cutAt(8, memory, journal)
        if (gone === true) memory.uploads.clear()
        const sent = Faulty.sent()
        const store = Faulty.make(memory.object("key"), {}, sent)
        const { to } = yield* run({ source, store, journal, ...(options === undefined ? undefined : { options }) })
        assert.strictEqual(to.status, "verified")
        assert.strictEqual(sent.lengths.length, 11)
        assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(content))
        // What it did not go on with is still known.
        assert.strictEqual(journal.notes.length, gone === true ? 0 : 1)
      }
    })
  )

  it.live("of which nothing but the name was noted is gone on with, and not left behind", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      yield* cutAt(1, memory, journal)
      const { noted } = journal.notes[0]!
      journal.notes[0]!.noted = { ...noted, partBytes: undefined, parts: [], state: undefined }
      const { to } = yield* run({ source: counted(bytes).source, store: memory.object("key"), journal })
      assert.strictEqual(to.status, "verified")
      assert.strictEqual(memory.uploads.size + journal.notes.length, 0)
    })
  )

  it.live("takes a part that is not what was noted for missing", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      yield* cutAt(8, memory, journal)
      memory.uploads.get("upload-1")!.parts.set(1, new Uint8Array(5))
      const { to } = yield* run({ source: counted(bytes).source, store: memory.object("key"), journal })
      assert.strictEqual(to.status, "verified")
      assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
    })
  )

  it.live("is found out when the source has changed and does not say so", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      yield* cutAt(8, memory, journal)
      const changed = Uint8Array.from(bytes)
      changed[10 * partBytes] = changed[10 * partBytes]! ^ 1
      memory.uploads.get("upload-1")!.parts.get(1)![0]! ^= 1
      const { to } = yield* run({ source: counted(changed).source, store: memory.object("key"), journal })
      assert.strictEqual(to.status, "failed")
      assert.strictEqual(to.error?.reason, "DigestMismatch")
      assert.isUndefined(memory.objects.get("key"))
      assert.strictEqual(journal.notes.length, 0)
    })
  )
})

describe("an attempt after another", () => {
  it.live("of a source that broke off reads and sends only the rest", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const { read, source } = counted(bytes)
      let broken = false
      const breaking: Source.Source = {
        ...source,
        open: (offset) => {
          if (broken) return source.open(offset)
          broken = true
          const some = Stream.take(Stream.rechunk(source.open(offset), 1), 8 * 4)
          return Stream.concat(
            some,
            Stream.fromEffect(
              Effect.andThen(
                // What was read has time to be sent.
                Effect.sleep(200),
                Effect.fail(
                  SourceError.make("SourceUnreadable", {
                    uri: "counted:",
                    message: "gone for a while",
                    retryable: true
                  })
                )
              )
            )
          )
        }
      }
      const sent = Faulty.sent()
      const journal = Journals.make()
      const { to } = yield* run({ source: breaking, store: Faulty.make(memory.object("key"), {}, sent), journal })
      assert.strictEqual(to.status, "verified")
      assert.strictEqual(to.attempts, 2)
      // The last block is held back, so the eighth part was not whole.
      assert.strictEqual(sent.lengths.length, 11)
      assert.isAtLeast(read[1]!.from, 6 * partBytes)
    }).pipe(Faulty.withoutWaiting)
  )
})

describe("several destinations", () => {
  /** Uploads to two stores that end in part 4 and in part 8. */
  const cut = (memories: ReadonlyArray<MemoryStore.MemoryStore>, journal: Journals.JournalInMemory) =>
    Effect.forEach(memories, (memory, index) => cutAt(4 + 4 * index, memory, journal, `end-${index}`))

  it.live("go on each where it was, beside one that begins, in as little memory as there may be", () =>
    Effect.gen(function* () {
      for (const [blocks, others] of [
        [13, 0],
        [17, 1],
        [64, 1]
      ] as const) {
        const memories = [memoryStore(), memoryStore()]
        const journal = Journals.make()
        yield* cut(memories, journal)
        const there = memories.map(({ uploads }) => uploads.get("upload-1")!.parts.size)
        const sents = memories.map(() => Faulty.sent())
        const fresh = MemoryStore.make()
        const pool = makeUnsafe({ bytes: blocks * blockBytes, blockBytes })
        const receipt = yield* Transfer.run({
          source: counted(bytes).source,
          to: [
            ...memories.map((memory, index) => Faulty.make(memory.object(`end-${index}`), {}, sents[index]!)),
            ...(others === 0 ? [] : [fresh.object("fresh")])
          ]
        }).pipe(Effect.provideService(BlockPool, pool), Effect.provideService(UploadJournal, journal.service))
        assert.isTrue(receipt.destinations.every(({ status }) => status === "verified"))
        for (const [index, memory] of memories.entries()) {
          assert.isTrue(Buffer.from(memory.objects.get(`end-${index}`)!).equals(bytes))
          assert.strictEqual(sents[index]!.lengths.length, 11 - there[index]!)
        }
        assert.strictEqual(journal.notes.length, 0)
        assert.deepInclude(pool.stats(), { inUse: 0, reserved: 0, waiters: 0 })
      }
    })
  )
})

describe("an upload that is gone at the store", () => {
  it.live("is begun anew with all its parts, also where it cannot be gone on with", () =>
    Effect.gen(function* () {
      for (const resumable of [true, false]) {
        const memory = memoryStore()
        const sent = Faulty.sent()
        const gone = Effect.suspend(() => {
          // The service forgets the upload when it has taken some of its parts.
          if ((memory.uploads.get("upload-1")?.parts.size ?? 0) > 2) memory.uploads.clear()
          return Effect.sleep(20)
        })
        const faulty = Faulty.make(memory.object("key"), { pace: gone }, sent)
        const store: Store = {
          ...faulty,
          open: (content) =>
            Effect.map(faulty.open(content), (session): Session => {
              if (session.shape === "whole") return session
              // A service that says so: the parts are to be sent into another upload.
              const told: PartsSession = {
                ...session,
                writePart: (part) =>
                  Effect.mapError(session.writePart(part), (error) =>
                    error instanceof StoreError.StoreError
                      ? StoreError.make("Gone", {
                          uri: error.uri,
                          message: error.message,
                          retryable: true,
                          clear: false
                        })
                      : error
                  )
              }
              if (resumable) return told
              const { resumption: _, ...rest } = told
              return rest
            })
        }
        const options = { retries: 3 }
        const { to } = yield* run({ source: counted(bytes).source, store, journal: Journals.make(), options })
        assert.strictEqual(to.status, "verified", JSON.stringify(to))
        assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(bytes))
        assert.isAbove(sent.lengths.length, 11)
      }
    }).pipe(Faulty.withoutWaiting)
  )
})

describe("the journal", () => {
  it.live("that cannot be written stops an upload before it is begun or used, not one that goes well", () =>
    Effect.gen(function* () {
      for (const step of ["open", "begun", "cut"] as const) {
        const memory = memoryStore()
        const journal = Journals.make()
        journal.broken = [step]
        const { to } = yield* run({ source: counted(bytes).source, store: memory.object("key"), journal })
        assert.strictEqual(to.error?.reason, "InvalidConfig")
        assert.strictEqual(to.error?.message, `no ${step}`)
        assert.strictEqual(to.error?.left, "none")
        assert.strictEqual(to.bytesSent, 0)
        assert.strictEqual(memory.uploads.size, 0)
      }
      const memory = memoryStore()
      const journal = Journals.make()
      journal.broken = ["taken", "done"]
      const { to } = yield* run({ source: counted(bytes).source, store: memory.object("key"), journal })
      assert.strictEqual(to.status, "verified")
      assert.include(to.notes ?? [], "what was sent since could not be gone on with: no taken")
    })
  )

  it.live("has nothing of an upload that was interrupted and tidied up", () =>
    Effect.gen(function* () {
      const memory = memoryStore()
      const journal = Journals.make()
      const store = Faulty.make(memory.object("key"), { faults: [{ part: 5, hang: Effect.never }] }, Faulty.sent())
      const fiber = yield* Effect.forkChild(run({ source: counted(bytes).source, store, journal }))
      while (journal.notes.length === 0 || journal.notes[0]!.noted.parts.length < 4) yield* Effect.sleep(5)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(memory.uploads.size, 0)
      assert.strictEqual(journal.notes.length, 0)
    })
  )
})

describe("an upload that is cut off again and again, anywhere", () => {
  it.live(
    "is whole and proven in the end, and no part that stands is sent twice",
    () =>
      Effect.gen(function* () {
        let cuts = 0
        let resent = 0
        for (let seed = 1; seed <= 150; seed++) {
          const next = Faulty.numbers(seed)
          const content = randomBytes(1 + next(400 * kib))
          const partDigests: ReadonlyArray<Algorithm> = next(2) === 0 ? ["crc64nvme"] : []
          const memory = MemoryStore.make({
            shape: "parts",
            reports: next(2) === 0 ? ["crc64nvme"] : ["sha256"],
            partDigests,
            limits: { minBytes: kib, maxBytes: 1024 * kib, maxParts: 1000, preferredBytes: kib * (8 + next(60)) }
          })
          const journal = Journals.make()
          const piece = 1 + next(30_000)
          const total = { sent: 0 }
          let status = ""
          for (let round = 0; status !== "verified"; round++) {
            assert.isBelow(round, 40, `seed ${seed}`)
            const faults: Array<Faulty.Fault> =
              round > 8
                ? []
                : [{ part: 1 + next(12), after: next(40_000), final: true, ...(next(3) === 0 ? { taken: true } : {}) }]
            const { to } = yield* run({
              source: counted(content, "v1", piece).source,
              store: killed(Faulty.make(memory.object("key"), { faults }, Faulty.sent())),
              journal,
              blocks: next(3) === 0 ? 5 + next(6) : 48,
              options: { keepFailed: true }
            })
            status = to.status
            total.sent += to.bytesSent
            if (status !== "verified") cuts++
          }
          assert.isTrue(Buffer.from(memory.objects.get("key")!).equals(content), `seed ${seed}`)
          assert.strictEqual(memory.uploads.size + journal.notes.length, 0, `seed ${seed}`)
          resent += total.sent - content.byteLength
        }
        console.log(`150 uploads, cut off ${cuts} times: ${resent} bytes sent more than once`)
        assert.isAbove(cuts, 100)
      }).pipe(Faulty.withoutWaiting),
    120_000
  )
})
