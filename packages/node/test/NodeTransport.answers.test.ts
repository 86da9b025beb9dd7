import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as NodeTransport from "@headrace/node/NodeTransport"

it.live("an answer without an end is read as far as it is kept, and then closed", () =>
  Effect.gen(function* () {
    const mib = Buffer.alloc(1024 * 1024, "a")
    let closed: (() => void) | undefined
    const gone = new Promise<void>((resolve) => (closed = resolve))
    const server = createServer((_request, response) => {
      const more = () => {
        while (!response.destroyed && response.write(mib));
      }
      response.on("drain", more)
      response.on("close", () => closed?.())
      more()
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    const transport = yield* NodeTransport.make({ env: {} })
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const text = yield* Effect.scoped(
      Effect.flatMap(transport.send({ method: "GET", url, headers: {} }), (response) => response.text)
    )
    assert.strictEqual(text.length, 16 * mib.byteLength)
    yield* Effect.promise(() => gone)
  }).pipe(Effect.scoped)
)
