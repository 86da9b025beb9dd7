/**
 * A program of its own process: a batch of small objects of memory into nowhere, with a journal.
 *
 *   node batch.js MANIFEST JOURNAL
 *   node batch.js MANIFEST             the same transfers, without any books
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Batch from "@headrace/batch/Batch"
import * as Manifest from "@headrace/batch/Manifest"
import * as Source from "@headrace/core/Source"
import type { Store, WholeSession } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8"

// As the command has it.
const young = setInterval(() => {
  const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space")
  if ((space?.space_size ?? 0) < 6 * 1024 * 1024) return
  clearInterval(young)
  setFlagsFromString("--semi-space-growth-factor=1")
}, 50)
young.unref()

const [manifest = "", journal = ""] = process.argv.slice(2)

const bytes = new Uint8Array(4096).fill(7)

/** Takes all, keeps nothing, and has no digest to compare. */
const nowhere = (uri: string): Store => {
  const open = Effect.sync((): WholeSession => {
    let size = 0
    return {
      shape: "whole",
      wanted: [],
      begin: Effect.void,
      write: (body) =>
        Stream.runForEach(body.stream, (block) =>
          Effect.sync(() => {
            size += block.length
            body.onSent(block.length)
            block.release()
          })
        ),
      inspect: Effect.sync(() => ({ _tag: "Stored", object: { id: uri, size, digests: {} } }) as const),
      checkPlace: () => Effect.void,
      recreate: Effect.void,
      owned: Effect.succeed(true),
      location: Effect.succeed(uri),
      discard: Effect.succeed("none"),
      left: Effect.succeed("none"),
      seal: Effect.void,
      read: Stream.empty,
      notes: Effect.succeed([])
    }
  })
  return {
    uri,
    capabilities: Effect.succeed({
      shape: "whole",
      maxObjectBytes: undefined,
      reports: [],
      rangedRead: false,
      needsSize: false,
      sharedMemory: true,
      places: [],
      learnt: {},
      details: {}
    }),
    plan: () => Effect.succeed({ action: "create", why: "nowhere" }),
    open: () => open
  }
}

const atOnce = 8

const plain = Stream.runDrain(
  Stream.mapEffect(
    Manifest.fromFile(manifest),
    (read) =>
      read._tag === "Wrong"
        ? Effect.void
        : Transfer.run({
            id: read.line.id,
            source: Source.fromBytes(bytes, read.line.source),
            to: read.line.to.map(nowhere),
            onEvent: () => Effect.void
          }),
    { concurrency: atOnce, unordered: true }
  )
)

const batch = Effect.gen(function* () {
  const content = yield* Manifest.contentOf(manifest)
  return yield* Batch.run(
    { name: manifest, lines: Manifest.fromFile(manifest), content },
    {
      journal,
      order: "listed",
      concurrency: atOnce,
      resolve: {
        source: ({ source }) => Effect.succeed(Source.fromBytes(bytes, source)),
        destinations: ({ to }) => Effect.succeed({ to: to.map(nowhere), also: [] })
      }
    }
  )
})
if (process.env["HEADRACE_BENCH_MEMORY"] !== undefined) {
  setInterval(() => console.error(JSON.stringify(process.memoryUsage())), 2000).unref()
}
const work: Effect.Effect<unknown, unknown, NodeHeadrace.Services> = journal === "" ? plain : batch
const outcome = await Effect.runPromise(Effect.provide(work, NodeHeadrace.layer))
console.log(JSON.stringify(outcome ?? {}))
process.exit(0)
