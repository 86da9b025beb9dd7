/** Batches of programs: their own sources and stores, and a journal that they keep. */
import * as Batch from "@headrace/batch/Batch"
import type * as Manifest from "@headrace/batch/Manifest"
import * as SqliteJournal from "@headrace/batch/SqliteJournal"
import * as MemoryStore from "@headrace/core/MemoryStore"
import * as Source from "@headrace/core/Source"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"

it("runs on a journal that is given, and goes on where that was", async () => {
  const folder = await mkdtemp(join(tmpdir(), "headrace-"))
  try {
    const memory = MemoryStore.make()
    let opened = 0
    const lines = Stream.range(1, 20).pipe(
      Stream.map((number): Manifest.Read => ({
        _tag: "Line",
        number,
        line: {
          id: `i${number}`,
          source: "memory:",
          to: [`memory:${number}`],
          also: [],
          size: undefined,
          expect: {},
          properties: {}
        }
      }))
    )
    const once = Effect.scoped(
      Effect.flatMap(SqliteJournal.open(join(folder, "journal")), (journal) =>
        Batch.run(
          { name: "lines", lines },
          {
            journal,
            resolve: {
              source: () => Effect.sync(() => (opened++, Source.fromBytes(new Uint8Array(100), "memory:"))),
              destinations: ({ to }) => Effect.succeed({ to: to.map((key) => memory.object(key)), also: [] })
            }
          }
        )
      )
    )
    const first = await Effect.runPromise(Effect.provide(once, NodeHeadrace.layer))
    expect(first.summary).toMatchObject({ verified: 20, remaining: 0 })
    const second = await Effect.runPromise(Effect.provide(once, NodeHeadrace.layer))
    expect(second.summary).toMatchObject({ verified: 0, remaining: 0 })
    expect(opened).toBe(20)
  } finally {
    await rm(folder, { recursive: true })
  }
})
