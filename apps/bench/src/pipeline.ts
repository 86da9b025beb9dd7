/**
 * A program of its own process: a file through the engine's public stages into one PUT. `none` computes no digests,
 * which the command never does; `hash` computes digests and sends nothing.
 *
 *   node pipeline.js FILE URL|- none|ALGORITHM,… [wasm|native]
 */
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Digest from "@headrace/core/Digest"
import { Transport } from "@headrace/core/Transport"
import * as FileSource from "@headrace/node/FileSource"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Effect from "effect/Effect"

const [file = "", url = "-", list = "none", hasher = "wasm"] = process.argv.slice(2)
const algorithms = list === "none" ? [] : list.split(",").filter(Digest.isAlgorithm)

const program = Effect.scoped(
  Effect.gen(function* () {
    const pool = yield* BlockPool.BlockPool
    const share = yield* pool.share(8)
    const source = FileSource.make(file)
    const info = yield* source.info
    const opened = source.open(0)
    const body = algorithms.length === 0 ? opened : opened.pipe(Digest.tap(algorithms, () => Effect.void))
    const use =
      url === "-"
        ? Blocks.runRelease(body)
        : Effect.flatMap(Transport, (transport) =>
            transport.send({
              method: "PUT",
              url,
              headers: { "content-type": "application/octet-stream" },
              body: { _tag: "Blocks", stream: body, length: info.size }
            })
          )
    yield* Effect.provideService(use, BlockPool.BlockShare, share)
  })
)

void Effect.runPromise(
  program.pipe(Effect.provide(NodeHeadrace.layerWith({ hasher: hasher === "native" ? "native" : "wasm" })))
)
