import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as NodeTransport from "@headrace/node/NodeTransport"
import { serve } from "./support/RawServer.ts"

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

it.live("a text that trickles is not waited for longer than the answer may take", () =>
  Effect.gen(function* () {
    const server = yield* serve(async (peer) => {
      await peer.head()
      peer.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
      while (!peer.socket.destroyed) {
        peer.write("1\r\n \r\n")
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    })
    const transport = yield* NodeTransport.make({ env: {} })
    const send = transport.send({ method: "GET", url: server.url, headers: {}, stallMs: 300, answerMs: 500 })
    const error = yield* Effect.flip(Effect.scoped(Effect.flatMap(send, (response) => response.text)))
    assert.strictEqual(error.reason._tag, "Stalled")
    assert.match(error.message, /the answer did not end within 0.5 s$/)
  }).pipe(Effect.scoped)
)

it.live("an answer is asked for as it is: nothing decodes it", () =>
  Effect.gen(function* () {
    let head = ""
    const server = yield* serve(async (peer) => {
      head = await peer.head()
      peer.answer(204)
    })
    const transport = yield* NodeTransport.make({ env: {} })
    yield* Effect.scoped(transport.send({ method: "GET", url: server.url, headers: {} }))
    assert.match(head, /\r\nAccept-Encoding: identity/)
  }).pipe(Effect.scoped)
)
