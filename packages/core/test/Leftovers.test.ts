import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import * as Leftovers from "@headrace/core/Leftovers"
import * as MemoryStore from "@headrace/core/MemoryStore"
import * as Source from "@headrace/core/Source"
import type { Store } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as Faulty from "./support/FaultyStore.ts"
import * as Journals from "./support/JournalInMemory.ts"

const kib = 1024
const bytes = randomBytes(100 * kib)

const limits = { minBytes: kib, maxBytes: 1024 * kib, maxParts: 100, preferredBytes: 16 * kib }

/** An upload that ends in its fourth part and is left as it is. */
const leave = (store: Store, journal: Journals.JournalInMemory) =>
  Effect.exit(
    Transfer.run({
      source: Source.fromBytes(bytes),
      to: [Faulty.make(store, { faults: [{ part: 4, final: true, hang: Effect.sleep(50) }] }, Faulty.sent())],
      keepFailed: true
    }).pipe(
      Effect.provideService(BlockPool, makeUnsafe({ bytes: 64 * 8 * kib, blockBytes: 8 * kib })),
      Effect.provideService(UploadJournal, journal.service)
    )
  )

describe("what uploads in parts have left", () => {
  it.live("is what the store lists, with what is noted of it", () =>
    Effect.gen(function* () {
      const memory = MemoryStore.make({ shape: "parts", limits })
      const journal = Journals.make()
      const store = memory.object("a")
      yield* leave(store, journal)
      yield* leave(store, Journals.make())
      yield* leave(memory.object("another"), journal)
      const find = Effect.provideService(Leftovers.find(store), UploadJournal, journal.service)
      const found = yield* find
      assert.deepStrictEqual(
        found.map(({ known, running, token, uri }) => ({ known, running, token, uri })),
        [
          { known: "both", running: false, token: "upload-1", uri: "memory:a" },
          { known: "listed", running: false, token: "upload-2", uri: "memory:a" }
        ]
      )
      for (const { bytes } of found) assert.isAbove(bytes!, 0)
      yield* Effect.scoped(Effect.forEach(found, ({ discard }) => discard))
      assert.deepStrictEqual([...memory.uploads.keys()], ["upload-3"])
      assert.deepStrictEqual(
        journal.notes.map(({ destination }) => destination),
        ["memory:another"]
      )
      assert.deepStrictEqual(yield* find, [])
    })
  )

  it.live("is known by its token, whatever its destination was called by", () =>
    Effect.gen(function* () {
      const memory = MemoryStore.make({ shape: "parts", limits })
      const journal = Journals.make()
      yield* leave({ ...memory.object("a"), uri: "memory:by-another-name" }, journal)
      const find = Effect.provideService(Leftovers.find(memory.object("a")), UploadJournal, journal.service)
      const [found, ...others] = yield* find
      assert.deepStrictEqual(others, [])
      assert.deepInclude(found, { uri: "memory:a", known: "both" })
      yield* Effect.scoped(found!.discard)
      assert.deepStrictEqual(journal.notes, [])
    })
  )

  it.live("is what is noted, where the store lists nothing or has it no more", () =>
    Effect.gen(function* () {
      const memory = MemoryStore.make({ shape: "parts", limits })
      const journal = Journals.make()
      const { abort, unfinished, ...mute } = memory.object("a")
      yield* leave(mute, journal)
      const find = (store: Store) => Effect.provideService(Leftovers.find(store), UploadJournal, journal.service)
      const [only] = yield* find(mute)
      assert.deepInclude(only, { known: "noted", token: "upload-1" })
      const error = yield* Effect.flip(Effect.scoped(only!.discard))
      assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "Unsupported")
      assert.strictEqual(journal.notes.length, 1)
      memory.uploads.clear()
      const [gone] = yield* find({ ...mute, abort: abort!, unfinished: unfinished! })
      assert.deepInclude(gone, { known: "noted", token: "upload-1" })
      yield* Effect.scoped(gone!.discard)
      assert.strictEqual(journal.notes.length, 0)
    })
  )

  it.live("of a whole container is all that is in it, and is given up by name", () =>
    Effect.gen(function* () {
      const memory = MemoryStore.make({ shape: "parts", limits })
      const journal = Journals.make()
      const aborted: Array<readonly [token: string, uri: string | undefined]> = []
      const named = (uri: string): Store => ({ ...memory.object(uri), uri })
      for (const uri of ["box://b/in/a", "box://b/in/gone", "box://b/out", "box://b/in/a?at=else"]) {
        yield* leave(named(uri), journal)
      }
      const container: Store = {
        ...named("box://b/in/"),
        unfinished: Stream.fromIterable([
          { token: "upload-1", uri: "box://b/in/a", startedAt: 1, bytes: undefined },
          { token: "other", uri: "box://b/in/a", startedAt: 1, bytes: 5 }
        ]),
        abort: (token, uri) => Effect.sync(() => void aborted.push([token, uri]))
      }
      const find = Effect.provideService(Leftovers.find(container), UploadJournal, journal.service)
      const found = yield* find
      assert.deepStrictEqual(
        found.map(({ known, token, uri }) => [uri, token, known]),
        [
          ["box://b/in/a", "upload-1", "both"],
          ["box://b/in/a", "other", "listed"],
          ["box://b/in/gone", "upload-2", "noted"]
        ]
      )
      yield* Effect.scoped(Effect.forEach(found, ({ discard }) => discard))
      assert.deepStrictEqual(aborted, [
        ["upload-1", "box://b/in/a"],
        ["other", "box://b/in/a"],
        ["upload-2", "box://b/in/gone"]
      ])
      assert.deepStrictEqual(
        journal.notes.map(({ destination }) => destination),
        ["box://b/out", "box://b/in/a?at=else"]
      )
    })
  )

  it.live("is nothing where nothing can be listed and nothing is noted", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* Leftovers.find(MemoryStore.make().object("a")), [])
    })
  )
})
