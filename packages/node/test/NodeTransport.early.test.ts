import { assert, describe, it } from "@effect/vitest"
import { Transport, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Worker } from "node:worker_threads"
import { makeBody, MiB, serve, withBlocks } from "./support/RawServer.ts"
import type { Refusal } from "./support/refusing.ts"

const refusing = (refusal: Refusal) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ worker: Worker; port: number }>((resume) => {
        const worker = new Worker(new URL("./support/refusing.ts", import.meta.url), { workerData: refusal })
        worker.once("message", (port: number) => resume(Effect.succeed({ worker, port })))
      }),
      ({ worker }) => Effect.promise(() => worker.terminate())
    ),
    ({ port }) => `http://127.0.0.1:${port}`
  )

const answer = "HTTP/1.1 409 Conflict\r\nContent-Length: 8\r\n\r\nconflict"
const lengths = Array.from({ length: 64 }, () => MiB)

describe("an answer before the body's end", () => {
  for (const then of ["close", "reset", "drain", "stop"] as const) {
    const tries = then === "close" || then === "reset" ? 100 : 10
    for (const after of [1, 300_000, 20_000_000]) {
      it.live(`is found ${tries} times of ${tries}: after ${after} bytes, and then ${then}`, () =>
        Effect.scoped(
          withBlocks((pool) =>
            Effect.gen(function* () {
              const transport = yield* Transport
              const url = yield* refusing({ then, after, answer })
              const outcomes: Record<string, number> = {}
              for (let i = 0; i < tries; i++) {
                let closed = false
                const outcome = yield* Effect.scoped(
                  Effect.gen(function* () {
                    const response = yield* transport.send({
                      method: "PUT",
                      url,
                      headers: {},
                      body: {
                        _tag: "Blocks",
                        stream: makeBody(lengths, { fill: false, onClose: () => (closed = true) }),
                        length: 64 * MiB
                      }
                    })
                    assert.isTrue(closed)
                    assert.isTrue(response.early)
                    assert.isBelow(response.bytesSent, 64 * MiB)
                    assert.strictEqual(pool.stats().inUse, 0)
                    return `${response.status} ${yield* response.text}`
                  })
                ).pipe(Effect.catchTag("TransportError", (error) => Effect.succeed(error.message)))
                outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
              }
              assert.deepStrictEqual(outcomes, { "409 conflict": tries })
            })
          )
        ).pipe(Effect.provide(NodeTransport.layer))
      )
    }
  }

  it.live("stops the bytes, and its connection is never used again", () =>
    Effect.scoped(
      withBlocks(() =>
        Effect.gen(function* () {
          const transport = yield* Transport
          const server = yield* serve(async (peer) => {
            const head = await peer.head()
            if (head.startsWith("GET")) return peer.answer(200, "fine")
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            await peer.swallow(5 * MiB)
            peer.answer(413, "too large", { Connection: "keep-alive" })
          })
          const response = yield* transport.send({
            method: "PUT",
            url: server.url,
            headers: {},
            body: { _tag: "Blocks", stream: makeBody(lengths, { fill: false }), length: 64 * MiB }
          })
          assert.strictEqual(response.status, 413)
          assert.strictEqual(yield* response.text, "too large")
          const after = yield* transport.send({ method: "GET", url: server.url, headers: {} })
          assert.strictEqual(yield* after.text, "fine")
          assert.strictEqual(server.peers.length, 2)
          assert.isBelow(server.peers[0]!.bytes, 32 * MiB)
        })
      )
    ).pipe(Effect.provide(NodeTransport.layer))
  )

  it.live("is one also when it has no length, or comes in part", () =>
    Effect.scoped(
      withBlocks(() =>
        Effect.gen(function* () {
          const transport = yield* Transport
          for (const [text, body] of [
            ["HTTP/1.0 409 Conflict\r\n\r\nno length", "no length"],
            ["HTTP/1.1 409 Conflict\r\nContent-Length: 100\r\n\r\na part", "a part"]
          ] as const) {
            for (const then of ["close", "reset"] as const) {
              const url = yield* refusing({ then, after: 1_000_000, answer: text })
              const response = yield* transport.send({
                method: "PUT",
                url,
                headers: {},
                body: { _tag: "Blocks", stream: makeBody(lengths, { fill: false }), length: 64 * MiB }
              })
              assert.strictEqual(response.status, 409)
              assert.strictEqual(yield* response.text, body)
            }
          }
        })
      )
    ).pipe(Effect.provide(NodeTransport.layer))
  )

  it.live("that never came is a lost connection in the body", () =>
    Effect.scoped(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const transport = yield* Transport
          for (const then of ["close", "reset"] as const) {
            const url = yield* refusing({ then, after: 1_000_000, answer: "" })
            const exit = yield* Effect.exit(
              transport.send({
                method: "PUT",
                url,
                headers: {},
                body: { _tag: "Blocks", stream: makeBody(lengths, { fill: false }), length: 64 * MiB }
              })
            )
            const error = Exit.isFailure(exit) ? exit.cause.reasons.find((r) => r._tag === "Fail")?.error : undefined
            assert.instanceOf(error, TransportError)
            assert.strictEqual(error.reason._tag, "ConnectionLost")
            assert.strictEqual(error.phase, "body")
            assert.isAbove(error.bytesSent, 0)
            assert.strictEqual(pool.stats().inUse, 0)
          }
        })
      )
    ).pipe(Effect.provide(NodeTransport.layer))
  )
})
