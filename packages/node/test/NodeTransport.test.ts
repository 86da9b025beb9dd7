import { assert, describe, it } from "@effect/vitest"
import { type Request, type Response, Transport, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { byteAt, makeBody, MiB, type Peer, serve, sleep, withBlocks } from "./support/RawServer.ts"

const send = <E = never, R = never>(
  request: Request<E, R>
): Effect.Effect<Response, TransportError | E, R | Scope.Scope | Transport> =>
  Effect.flatMap(Transport, (transport) => transport.send(request))

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | Transport>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layer))

const put = (url: string, extra?: Partial<Request>) => ({ method: "PUT", url, headers: {}, ...extra })

const transportError = (exit: Exit.Exit<unknown, unknown>): TransportError => {
  assert.isTrue(Exit.isFailure(exit), "it succeeded")
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find(Cause.isFailReason)?.error : undefined
  if (!(error instanceof TransportError)) return assert.fail(`not a TransportError: ${String(error)}`)
  return error
}

const isPattern = (bytes: Uint8Array) => bytes.every((byte, i) => byte === byteAt(i))

/** What a chunked body says, and the sizes of its chunks. */
const dechunk = async (peer: Peer) => {
  const sizes: Array<number> = []
  const parts: Array<Buffer> = []
  while (true) {
    const end = await peer.until(() => {
      const at = peer.received.indexOf("\r\n")
      return at < 0 ? undefined : at
    })
    const size = parseInt((await peer.body(end + 2)).toString("latin1"), 16)
    if (size > 0) {
      sizes.push(size)
      parts.push(await peer.body(size))
    }
    assert.strictEqual((await peer.body(2)).toString("latin1"), "\r\n")
    if (size === 0) return { sizes, bytes: Buffer.concat(parts) }
  }
}

describe("bodies of blocks", () => {
  it.live("have their Content-Length and exactly these bytes", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          let head = ""
          let body: Uint8Array = new Uint8Array()
          const server = yield* serve(async (peer) => {
            head = await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            body = await peer.body(3 * MiB + 17)
            peer.answer(204)
          })
          let told = 0
          const answer = yield* send({
            ...put(`${server.url}/a/b?c=d`),
            headers: { "X-Auth-Token": "secret" },
            body: { _tag: "Blocks", stream: makeBody([MiB, MiB, 17, MiB]), length: 3 * MiB + 17 },
            onSent: (bytes) => (told += bytes)
          })
          assert.strictEqual(answer.status, 204)
          assert.isFalse(answer.early)
          assert.strictEqual(answer.bytesSent, 3 * MiB + 17)
          assert.strictEqual(told, 3 * MiB + 17)
          assert.isTrue(isPattern(body))
          assert.match(head, /^PUT \/a\/b\?c=d HTTP\/1\.1\r\n/)
          assert.match(head, /\r\nX-Auth-Token: secret\r\n/)
          assert.match(head, /\r\nContent-Length: 3145745\r\n/)
          assert.match(head, new RegExp(`\r\nHost: 127\\.0\\.0\\.1:${server.port}\r\n`))
          assert.notMatch(head, /transfer-encoding/i)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("of unknown length are sent in HTTP chunks of at most 256 KiB", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          let head = ""
          let got: { sizes: Array<number>; bytes: Uint8Array } | undefined
          const server = yield* serve(async (peer) => {
            head = await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            got = await dechunk(peer)
            peer.answer(200, "ok")
          })
          const lengths = [MiB, 1, 300_000, 256 * 1024, MiB]
          const answer = yield* send({
            ...put(server.url),
            body: { _tag: "Blocks", stream: makeBody(lengths), length: undefined }
          })
          assert.strictEqual(yield* answer.text, "ok")
          assert.match(head, /\r\nTransfer-Encoding: chunked\r\n/)
          assert.notMatch(head, /content-length/i)
          assert.strictEqual(
            got?.bytes.byteLength,
            lengths.reduce((a, b) => a + b)
          )
          assert.isTrue(isPattern(got!.bytes))
          assert.isAtMost(Math.max(...got!.sizes), 256 * 1024)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("may be empty, of known and of unknown length", () =>
    run(
      withBlocks(() =>
        Effect.gen(function* () {
          const heads: Array<string> = []
          const server = yield* serve(async (peer) => {
            heads.push(await peer.head())
            if (heads.at(-1)!.includes("chunked")) assert.strictEqual((await dechunk(peer)).bytes.byteLength, 0)
            peer.answer(204, "", { Connection: "close" })
          })
          for (const length of [0, undefined]) {
            const answer = yield* send({
              ...put(server.url),
              body: { _tag: "Blocks", stream: makeBody([]), length }
            })
            assert.strictEqual(answer.status, 204)
          }
          assert.match(heads[0]!, /Content-Length: 0/)
        })
      )
    )
  )

  for (const [what, lengths, length] of [
    ["longer", [MiB, MiB, MiB], 2 * MiB],
    ["longer by a part of a block", [MiB, MiB], MiB + 5],
    ["shorter", [MiB, 10], 2 * MiB]
  ] as const) {
    it.live(`that turn out to be ${what} than announced fail, and the server never has the announced bytes`, () =>
      run(
        withBlocks((pool) =>
          Effect.gen(function* () {
            const server = yield* serve(async (peer) => {
              await peer.head()
              peer.write("HTTP/1.1 100 Continue\r\n\r\n")
              await peer.swallow(100 * MiB)
            })
            let closed = false
            const error = transportError(
              yield* Effect.exit(
                send({
                  ...put(server.url),
                  body: { _tag: "Blocks", stream: makeBody(lengths, { onClose: () => (closed = true) }), length }
                })
              )
            )
            assert.isTrue(closed)
            assert.strictEqual(error.phase, "body")
            assert.match(
              error.message,
              what === "shorter" ? /ended after .* of the announced/ : /more than the announced/
            )
            yield* Effect.promise(() => server.peers[0]!.closed())
            assert.isBelow(server.peers[0]!.bytes, length)
            assert.strictEqual(pool.stats().inUse, 0)
          })
        )
      )
    )
  }

  it.live("pass their own failure on as it is, after their scope is closed", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            await peer.swallow(100 * MiB)
          })
          let closed = false
          const failure = { _tag: "Mine" as const }
          const exit = yield* Effect.exit(
            send({
              ...put(server.url),
              body: {
                _tag: "Blocks",
                stream: Stream.concat(makeBody([MiB, MiB]), Stream.fail(failure)).pipe(
                  Stream.ensuring(
                    Effect.andThen(
                      Effect.sleep(50),
                      Effect.sync(() => (closed = true))
                    )
                  )
                ),
                length: 3 * MiB
              }
            })
          )
          assert.deepStrictEqual(exit, Exit.fail(failure))
          assert.isTrue(closed)
          assert.strictEqual(pool.stats().inUse, 0)
          yield* Effect.promise(() => server.peers[0]!.closed())
        })
      )
    )
  )

  it.live("are pulled only while fewer than two writes are pending, and keep no more blocks than these", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            peer.socket.pause()
            await sleep(300)
            peer.keep = false
            peer.socket.resume()
            await peer.until(() => peer.bytes >= 40 * MiB)
            peer.answer(204)
          })
          let most = 0
          const watched = makeBody(Array.from({ length: 40 }, () => MiB)).pipe(
            Stream.tap(() => Effect.sync(() => (most = Math.max(most, pool.stats().inUse))))
          )
          yield* send({ ...put(server.url), body: { _tag: "Blocks", stream: watched, length: 40 * MiB } })
          // Two being written... one of them counted as it is pulled.
          assert.isAtMost(most, 2)
          assert.strictEqual(pool.stats().highWater, most)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )

  it.live("stop at once when they are interrupted, and are closed by then", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            await peer.swallow(1000 * MiB)
          })
          let closed = false
          const stream = makeBody(
            Array.from({ length: 1000 }, () => MiB),
            { onClose: () => (closed = true) }
          ).pipe(Stream.ensuring(Effect.sleep(100)))
          const fiber = yield* Effect.forkChild(
            Effect.scoped(send({ ...put(server.url), body: { _tag: "Blocks", stream, length: 1000 * MiB } }))
          )
          yield* Effect.promise(async () => {
            while ((server.peers[0]?.bytes ?? 0) < 20 * MiB) await sleep(1)
          })
          const at = performance.now()
          yield* Fiber.interrupt(fiber)
          assert.isTrue(closed)
          assert.strictEqual(pool.stats().inUse, 0)
          const peer = server.peers[0]!
          yield* Effect.promise(() => peer.closed())
          // Before the source had closed, which took 100 ms.
          assert.isBelow(peer.closedAt - at, 50)
          assert.isTrue(peer.reset)
        })
      )
    )
  )

  it.live("keep their blocks until the socket cannot read them any more", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            peer.socket.pause()
          })
          const fiber = yield* Effect.forkChild(
            Effect.scoped(
              send({
                ...put(server.url),
                body: { _tag: "Blocks", stream: makeBody(Array.from({ length: 100 }, () => MiB)), length: 100 * MiB }
              })
            )
          )
          yield* Effect.sleep(300)
          // The kernel is full, and two writes wait.
          assert.strictEqual(pool.stats().inUse, 2)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )
})

describe("requests without a body", () => {
  it.live("say that a POST or PUT is empty, and nothing of a GET", () =>
    run(
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* serve(async (peer) => {
          while (true) {
            heads.push(await peer.head())
            peer.answer(200, "hello")
          }
        })
        for (const method of ["GET", "POST", "PUT", "DELETE"]) {
          const answer = yield* send({ method, url: server.url, headers: {} })
          assert.strictEqual(yield* answer.text, "hello")
        }
        assert.deepStrictEqual(
          heads.map((head) => /content-length: (\d+)/i.exec(head)?.[1]),
          [undefined, "0", "0", undefined]
        )
        assert.isTrue(heads.every((head) => !/transfer-encoding|expect/i.test(head)))
        assert.strictEqual(server.peers.length, 1)
      })
    )
  )
})

describe("answers", () => {
  const answering = (text: string, end: "close" | "keep" | "reset" = "keep") =>
    serve(async (peer) => {
      while (true) {
        await peer.head()
        peer.write(text)
        if (end === "close") peer.socket.end()
        if (end === "reset") setTimeout(() => peer.socket.resetAndDestroy(), 20)
      }
    })
  const get = (url: string, extra?: Partial<Request>) => send({ method: "GET", url, headers: {}, ...extra })

  it.live("have their header fields in lower case, repeated ones joined", () =>
    run(
      Effect.gen(function* () {
        const server = yield* answering(
          "HTTP/1.1 200 OK\r\nX-One: 1\r\nx-one: 2\r\nETag: abc\r\nContent-Length: 2\r\n\r\nhi"
        )
        const answer = yield* get(server.url)
        assert.strictEqual(answer.headers["x-one"], "1, 2")
        assert.strictEqual(answer.headers["etag"], "abc")
        assert.strictEqual(yield* answer.text, "hi")
      })
    )
  )

  it.live("are read to their end, whichever way it is said", () =>
    run(
      Effect.gen(function* () {
        for (const [text, end] of [
          ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n€\r\n2\r\nab\r\n0\r\n\r\n", "keep"],
          ["HTTP/1.1 200 OK\r\n\r\n€ab", "close"],
          ["HTTP/1.0 200 OK\r\n\r\n€ab", "close"]
        ] as const) {
          const server = yield* answering(Buffer.from(text).toString("latin1"), end)
          assert.strictEqual(yield* (yield* get(server.url)).text, "€ab")
        }
      })
    )
  )

  it.live("that end before their announced length are a lost connection", () =>
    run(
      Effect.gen(function* () {
        for (const end of ["close", "reset"] as const) {
          const server = yield* answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello", end)
          const answer = yield* get(server.url)
          const error = transportError(yield* Effect.exit(answer.text))
          assert.strictEqual(error.reason._tag, "ConnectionLost")
          assert.strictEqual(error.phase, "answer")
          assert.match(error.message, /5 of 10 bytes/)
        }
      })
    )
  )

  it.live("that are not HTTP, or none at all, are a lost connection", () =>
    run(
      Effect.gen(function* () {
        for (const [text, what] of [
          ["SSH-2.0-OpenSSH\r\n\r\n", /not (valid )?HTTP/],
          ["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", /not valid HTTP/],
          ["", /closed/]
        ] as const) {
          const server = yield* answering(text, "close")
          const error = transportError(yield* Effect.exit(get(`${server.url}/x?token=secret`)))
          assert.strictEqual(error.reason._tag, "ConnectionLost")
          assert.match(error.message, what)
          assert.include(error.message, `127.0.0.1:${server.port}`)
          assert.notInclude(error.message, "secret")
        }
      })
    )
  )

  it.live("that stop coming are stalled", () =>
    run(
      Effect.gen(function* () {
        const server = yield* answering("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        const answer = yield* get(server.url, { stallMs: 100 })
        const error = transportError(yield* Effect.exit(answer.text))
        assert.strictEqual(error.reason._tag, "Stalled")
        assert.strictEqual(error.phase, "answer")
      })
    )
  )

  it.live("keep 16 MiB of text", () =>
    run(
      Effect.gen(function* () {
        const server = yield* answering(`HTTP/1.1 200 OK\r\n\r\n${"a".repeat(17 * MiB)}`, "close")
        assert.strictEqual((yield* (yield* get(server.url)).text).length, 16 * MiB)
      })
    )
  )
})

describe("requests that cannot be sent", () => {
  it.live("are refused before anything leaves, without showing a value", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async () => {})
        for (const request of [
          { url: "ftp://127.0.0.1/x", headers: {} },
          { url: "nonsense", headers: {} },
          { url: server.url, headers: { "x-auth-token": "se\r\ncret: 1" } },
          { url: server.url, headers: { "x-auth-token": "secr€t" } },
          { url: server.url, headers: { "x auth": "secret" } }
        ]) {
          const error = transportError(yield* Effect.exit(send({ method: "GET", ...request })))
          assert.strictEqual(error.reason._tag, "InvalidConfig")
          assert.notMatch(error.message, /cret|secr|\n/)
        }
        assert.strictEqual(server.peers.length, 0)
      })
    )
  )

  it.live("name the origin when nobody is there", () =>
    run(
      Effect.gen(function* () {
        const port = (yield* Effect.scoped(serve(async () => {}))).port
        const error = transportError(
          yield* Effect.exit(send({ method: "GET", url: `http://127.0.0.1:${port}/v2?secret=1`, headers: {} }))
        )
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.strictEqual(error.phase, "connect")
        assert.strictEqual(error.message, `127.0.0.1:${port}: the connection was refused`)
        const unknown = transportError(
          yield* Effect.exit(send({ method: "GET", url: "http://no-such-host.invalid/", headers: {} }))
        )
        assert.match(unknown.message, /^no-such-host\.invalid:80: the name/)
      })
    )
  )
})
