/**
 * A program of its own process: a file through the engine's public stages, without digests, which the command never
 * leaves out, into one PUT.
 *
 *   node pipeline.js FILE URL [FILE WITH AUTHORITIES]
 */
import * as BlockPool from "@headrace/core/BlockPool"
import { Transport } from "@headrace/core/Transport"
import * as FileSource from "@headrace/node/FileSource"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFileSync } from "node:fs"

const [file = "", url = "", authorities] = process.argv.slice(2)

const program = Effect.scoped(
  Effect.gen(function* () {
    const pool = yield* BlockPool.BlockPool
    const share = yield* pool.share(8)
    const transport = yield* Transport
    const source = FileSource.make(file)
    const info = yield* source.info
    const answer = yield* Effect.provideService(
      transport.send({
        method: "PUT",
        url,
        headers: { "content-type": "application/octet-stream" },
        body: { _tag: "Blocks", stream: source.open(0), length: info.size },
        ...(authorities === undefined ? undefined : { tls: { verify: true, ca: readFileSync(authorities, "utf8") } })
      }),
      BlockPool.BlockShare,
      share
    )
    if (answer.status !== 204) throw new Error(`answered ${answer.status}`)
  })
)

const layer = Layer.merge(BlockPool.layer({ bytes: 64 * 1024 * 1024 }), NodeTransport.layer)
void Effect.runPromise(Effect.provide(program, layer))
