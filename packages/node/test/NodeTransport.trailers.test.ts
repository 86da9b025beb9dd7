import { assert, describe, it } from "@effect/vitest"
import { type Request, Transport, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import type { BlockShare } from "@headrace/core/BlockPool"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { makeBody, MiB, type Peer, serve, sleep, withBlocks } from "./support/RawServer.ts"

const send = <E = never, R = never>(request: Request<E, R>) =>
  Effect.flatMap(Transport, (transport) => transport.send(request))

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | Transport>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layer))

const headEnd = "\r\n\r\n"

/** A server that keeps all bytes behind the head until the body has ended, by the trailer section's empty line. */
const recording = () => {
  const seen = { head: "", raw: "" }
  const handle = async (peer: Peer) => {
    while (true) {
      seen.head = await peer.head()
      if (/^expect: 100-continue/im.test(seen.head)) peer.write(`HTTP/1.1 100 Continue${headEnd}`)
      await peer.until(() => /(?:^|\r\n)0\r\n(?:[^\r\n]+\r\n)*\r\n$/.test(peer.received.toString("latin1")))
      seen.raw = peer.received.toString("latin1")
      peer.received = Buffer.alloc(0)
      peer.answer(201)
    }
  }
  return { seen, handle }
}

describe("trailers", () => {
  it.live("follow the last chunk, byte for byte, and are announced", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const { handle, seen } = recording()
          const server = yield* serve(handle)
          let readAfter = -1
          let sent = 0
          const answer = yield* send({
            method: "PUT",
            url: server.url,
            headers: { Trailer: "Not-Ours" },
            body: { _tag: "Blocks", stream: makeBody([3, 2], { fill: false }), length: undefined },
            trailers: {
              names: ["Repr-Digest", "X-Left-Out"],
              values: Effect.sync(() => {
                readAfter = sent
                return { "Repr-Digest": "sha-256=:AAAA:", "X-Not-Announced": "1" }
              })
            },
            onSent: (bytes) => {
              sent += bytes
            }
          })
          assert.strictEqual(answer.status, 201)
          assert.isFalse(answer.early)
          assert.match(seen.head, /\r\nTransfer-Encoding: chunked(\r\n|$)/)
          assert.match(seen.head, /\r\nTrailer: Repr-Digest, X-Left-Out(\r\n|$)/)
          assert.notMatch(seen.head, /content-length|not-ours/i)
          assert.strictEqual(
            seen.raw.replaceAll("\0", "."),
            "3\r\n...\r\n2\r\n..\r\n0\r\nRepr-Digest: sha-256=:AAAA:\r\n\r\n"
          )
          assert.strictEqual(readAfter, 5, "the values were read before the last byte was sent")
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("make a body of a known length chunked, and its length is still enforced", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const { handle, seen } = recording()
          const server = yield* serve(handle)
          const trailers = { names: ["X-End"], values: Effect.succeed({ "x-end": "yes" }) }
          const request = { method: "PUT", url: server.url, headers: {}, trailers }
          const answer = yield* send({
            ...request,
            body: { _tag: "Blocks", stream: makeBody([2], { fill: false }), length: 2 }
          })
          assert.strictEqual(answer.status, 201)
          assert.notMatch(seen.head, /content-length/i)
          assert.strictEqual(seen.raw.replaceAll("\0", "."), "2\r\n..\r\n0\r\nx-end: yes\r\n\r\n")
          for (const [lengths, words] of [
            [[1], /ended after 1 of the announced 2 bytes/],
            [[2, 1], /more than the announced 2 bytes/]
          ] as const) {
            const error = yield* Effect.flip(
              send({ ...request, body: { _tag: "Blocks", stream: makeBody([...lengths]), length: 2 } })
            )
            assert.match((error as TransportError).message, words)
          }
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("follow a body in memory, and one of no bytes", () =>
    run(
      Effect.gen(function* () {
        const { handle, seen } = recording()
        const server = yield* serve(handle)
        const trailers = { names: ["X-End"], values: Effect.succeed({ "X-End": "yes" }) }
        for (const [text, raw] of [
          ["ab", "2\r\nab\r\n0\r\nX-End: yes\r\n\r\n"],
          ["", "0\r\nX-End: yes\r\n\r\n"]
        ] as const) {
          yield* Effect.scoped(
            send({
              method: "POST",
              url: server.url,
              headers: {},
              body: { _tag: "Bytes", bytes: Buffer.from(text) },
              trailers
            })
          )
          assert.strictEqual(seen.raw, raw)
        }
        assert.strictEqual(server.peers.length, 1, "the connection was not kept")
      })
    )
  )

  it.live("that fail, or cannot be sent, cut the body: it is never complete", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const raws: Array<string> = []
          const server = yield* serve(async (peer) => {
            await peer.head()
            peer.write(`HTTP/1.1 100 Continue${headEnd}`)
            await peer.closed()
            raws.push(peer.received.toString("latin1"))
          })
          const values = [Effect.fail("no digest" as const), Effect.succeed({ "X-End": "a\r\nX-Evil: b" })]
          for (const value of values) {
            const error = yield* Effect.flip(
              Effect.scoped(
                send<"no digest", BlockShare>({
                  method: "PUT",
                  url: server.url,
                  headers: {},
                  body: { _tag: "Blocks", stream: makeBody([MiB]), length: undefined },
                  trailers: { names: ["X-End"], values: value as Effect.Effect<Record<string, string>, "no digest"> }
                })
              )
            )
            if (error instanceof TransportError) {
              assert.strictEqual(error.reason._tag, "InvalidConfig")
              assert.strictEqual(error.message, "header 'X-End' has characters that cannot be sent")
            } else assert.strictEqual(error, "no digest")
          }
          yield* Effect.promise(() => sleep(50))
          assert.strictEqual(raws.length, 2)
          for (const raw of raws) assert.notMatch(raw, /\r\n0\r\n/)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("are refused where they have no place, before anything is sent", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async () => {})
        const bytes = { _tag: "Bytes" as const, bytes: Buffer.from("a") }
        const request = { method: "PUT", url: server.url, headers: {} }
        const trailers = (name: string) => ({ names: [name], values: Effect.succeed({}) })
        for (const [bad, words] of [
          [{ ...request, trailers: trailers("X-End") }, "trailers need a body that they can follow"],
          [
            { ...request, body: bytes, trailers: trailers("Content-Length") },
            "'Content-Length' cannot be sent as a trailer"
          ],
          [{ ...request, body: bytes, trailers: trailers("a b") }, "header 'a?b' has characters that cannot be sent"]
        ] as const) {
          const error = yield* Effect.flip(send(bad))
          assert.strictEqual(error.reason._tag, "InvalidConfig")
          assert.strictEqual(error.message, words)
        }
        assert.strictEqual(server.peers.length, 0)
      })
    )
  )
})
