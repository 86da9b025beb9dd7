/**
 * A program that uploads to a file until it is killed: `node uploads.ts slow PATH` once and for ever, `node uploads.ts
 * fast PATH` again and again, bodies that are all of one letter.
 */
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import * as FileStore from "@headrace/fs/FileStore"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"

const [, , how, path] = process.argv
const piece = new Uint8Array(1024 * 1024).fill(120)

const slow = Source.fromStream({
  uri: "slow:",
  replayable: false,
  info: Effect.succeed({ size: undefined, identity: undefined }),
  open: () => Stream.fromEffectSchedule(Effect.succeed(piece), Schedule.spaced(10))
})

const run = (source: Source.Source) => Transfer.run({ source, to: [FileStore.file(path!)] })

const uploads = Effect.gen(function* () {
  if (how === "slow") return yield* run(slow)
  for (let n = 0; ; n++) {
    const body = new Uint8Array((n % 2 === 0 ? 5 : 3) * piece.byteLength + 1).fill(n % 2 === 0 ? 97 : 98)
    yield* run(Source.fromBytes(body))
  }
})
await Effect.runPromise(uploads.pipe(Effect.provide(NodeHeadrace.layer)))
