/**
 * A program of its own process: a batch of small objects of memory into nowhere, with a journal.
 *
 *   node batch.js MANIFEST JOURNAL
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Batch from "@headrace/batch/Batch"
import * as Manifest from "@headrace/batch/Manifest"
import * as Source from "@headrace/core/Source"
import type { Store, WholeSession } from "@headrace/core/Store"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import { setFlagsFromString } from "node:v8"

// As the command has it.
setFlagsFromString("--semi-space-growth-factor=1")

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

const program = Effect.gen(function* () {
  const content = yield* Manifest.contentOf(manifest)
  return yield* Batch.run(
    { name: manifest, lines: Manifest.fromFile(manifest), content },
    {
      journal,
      order: "listed",
      concurrency: 8,
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
const { summary } = await Effect.runPromise(program.pipe(Effect.provide(NodeHeadrace.layer)))
console.log(JSON.stringify(summary))
process.exit(0)
