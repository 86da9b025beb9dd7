/**
 * A program of its own process: a batch of small objects of memory into nowhere, with a journal.
 *
 *   node batch.js MANIFEST JOURNAL
 *   node batch.js MANIFEST             the same batch, without any books: it hands out lines, and forgets what became of them
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Batch from "@headrace/batch/Batch"
import type { Item, Journal } from "@headrace/batch/Journal"
import * as Line from "@headrace/batch/Line"
import * as Manifest from "@headrace/batch/Manifest"
import * as Source from "@headrace/core/Source"
import type { Store, WholeSession } from "@headrace/core/Store"
import * as Garbage from "@headrace/node/Garbage"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
// As the command has it.
Garbage.bound()

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

/** The lines of a manifest, each handed out once; nothing is noted. */
const forgetful = (): Journal => {
  /** As text: a million of them as objects would be what is measured. */
  const open: Array<string> = []
  let next = 0
  const itemOf = (text: string, at: number): Item => ({
    seq: at + 1,
    line: Line.restore(text),
    number: at + 1,
    made: [],
    before: undefined,
    begunAt: undefined
  })
  const unasked = Effect.die(new Error("nobody asks that here"))
  return {
    path: "none",
    epoch: 1,
    load: ({ lines }) =>
      Effect.as(
        Stream.runForEach(lines, (read) =>
          Effect.sync(() => {
            if (read._tag === "Line") open.push(Line.encode(read.line))
          })
        ),
        { fresh: 0, same: 0, changed: 0, vanished: 0, wrong: 0, taken: true }
      ),
    hold: Effect.void,
    counts: Effect.sync(() => ({ open: open.length, done: 0, failed: 0, openBytes: 0, openUnsized: 0 })),
    next: ({ limit }) =>
      Effect.sync(() => {
        const from = next
        return open.slice(from, (next += limit)).map((text, index) => itemOf(text, from + index))
      }),
    take: () => unasked,
    make: () => Effect.void,
    unmake: () => Effect.void,
    madeOf: () => Effect.succeed([]),
    end: () => Effect.void,
    release: () => Effect.void,
    strays: Effect.succeed([]),
    reopen: () => unasked,
    tookBack: unasked,
    copied: unasked,
    ofImage: () => unasked,
    receipts: () => Stream.empty,
    knows: () => unasked,
    has: () => unasked,
    receiptOf: () => unasked,
    verdictOf: () => unasked,
    stands: () => unasked,
    commits: () => 0
  }
}

const batch = Effect.gen(function* () {
  const content = yield* Manifest.contentOf(manifest)
  return yield* Batch.run(
    { name: manifest, lines: Manifest.fromFile(manifest), content },
    {
      journal: journal === "" ? forgetful() : journal,
      order: "listed",
      concurrency: atOnce,
      resolve: {
        source: ({ source }) => Effect.succeed(Source.fromBytes(bytes, source)),
        destinations: ({ to }) => Effect.succeed({ to: to.map(nowhere), also: [] })
      }
    }
  )
})
const outcome = await Effect.runPromise(Effect.provide(batch, NodeHeadrace.layer))
console.log(JSON.stringify(outcome))
process.exit(0)
