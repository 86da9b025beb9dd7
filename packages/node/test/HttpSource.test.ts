import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "@headrace/core/Transport"
import * as HttpSource from "@headrace/node/HttpSource"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type Peer, serve } from "./support/RawServer.ts"
import { pattern, read } from "./support/reading.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | Transport>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layer))

const content = pattern(3_000_000)

interface Asked {
  readonly method: string
  readonly path: string
  readonly head: string
  readonly from: number
  readonly ifRange: string | undefined
}

const parse = (head: string): Asked => ({
  method: head.split(" ")[0]!,
  path: head.split(" ")[1]!,
  head,
  from: Number(/\r\nrange: bytes=(\d+)-/i.exec(head)?.[1] ?? 0),
  ifRange: /\r\nif-range: (.*)/i.exec(head)?.[1]?.trim()
})

/** Serves the content by the book, but cuts the connection after each GET's first `cut` bytes, as long as there are cuts. */
const serving = (options: {
  readonly cuts?: Array<number>
  readonly etag?: (request: number) => string
  readonly lastModified?: string
  readonly ranges?: boolean
  readonly chunked?: boolean
  /** A chunked answer that is cut ends in good order, as if that were all. */
  readonly orderly?: boolean
  readonly head?: boolean
}) => {
  const asked: Array<Asked> = []
  const answer = (peer: Peer, request: Asked) => {
    const fields: Record<string, string> = {}
    const etag = options.etag?.(asked.length)
    if (etag !== undefined) fields["ETag"] = etag
    if (options.lastModified !== undefined) fields["Last-Modified"] = options.lastModified
    if (request.method === "HEAD") {
      if (options.head === false) return peer.answer(405, "", fields)
      return peer.answer(200, "", { ...fields, "Content-Length": String(content.byteLength) })
    }
    const hasRange = /\r\nrange:/i.test(request.head) && options.ranges !== false
    const valid = request.ifRange === undefined || request.ifRange === (etag ?? options.lastModified)
    const from = hasRange && valid ? request.from : 0
    const to = /range: bytes=0-0\r?$/im.test(request.head) && options.ranges !== false ? 1 : content.byteLength
    const lines = Object.entries({
      ...fields,
      ...(options.chunked === true ? { "Transfer-Encoding": "chunked" } : { "Content-Length": String(to - from) }),
      ...(hasRange && valid ? { "Content-Range": `bytes ${from}-${to - 1}/${content.byteLength}` } : undefined)
    })
    peer.write(`HTTP/1.1 ${hasRange && valid ? 206 : 200} X\r\n${lines.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`)
    const cut = to === 1 ? undefined : options.cuts?.shift()
    const body = content.subarray(from, Math.min(to, cut === undefined ? to : from + cut))
    if (options.chunked === true) peer.write(`${body.byteLength.toString(16)}\r\n`)
    peer.socket.write(body, () => {
      if (cut !== undefined && options.orderly !== true) peer.socket.destroy()
      else if (options.chunked === true) peer.write("\r\n0\r\n\r\n")
    })
  }
  return Effect.map(
    serve(async (peer) => {
      while (true) {
        const request = parse(await peer.head())
        asked.push(request)
        answer(peer, request)
      }
    }),
    (server) => ({ ...server, asked })
  )
}

const same = (bytes: Uint8Array, expected: Uint8Array) => assert.isTrue(Buffer.from(bytes).equals(expected))

describe("a URL", () => {
  it.live("is read whole and from an offset, and says its size and identity", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serving({ etag: () => '"v1"' })
        const source = HttpSource.make(`${server.url}/disk.img?sig=secret#part`)
        assert.strictEqual(source.uri, `${server.url}/disk.img`)
        assert.isTrue(source.replayable)
        assert.deepStrictEqual(yield* source.info, { size: content.byteLength, identity: '"v1"' })
        const got = yield* read(source)
        same(got.bytes, content)
        assert.strictEqual(got.inUse, 0)
        same((yield* read(source, 1_000_000)).bytes, content.subarray(1_000_000))
        assert.isTrue(server.asked.every((request) => request.path === "/disk.img?sig=secret"))
        assert.isTrue(server.asked.every((request) => /accept-encoding: identity/i.test(request.head)))
        assert.deepStrictEqual(
          server.asked.map((request) => request.method),
          ["HEAD", "GET", "GET"]
        )
      })
    )
  )

  it.live("keeps its user and password to itself", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serving({})
        const source = HttpSource.make(`http://us%40er:sec%25ret@127.0.0.1:${server.port}/x`)
        assert.strictEqual(source.uri, `${server.url}/x`)
        yield* source.info
        assert.include(
          server.asked[0]!.head.toLowerCase(),
          `authorization: basic ${Buffer.from("us@er:sec%ret").toString("base64")}`.toLowerCase()
        )
        const gone = HttpSource.make("http://user:secret@127.0.0.1:1/x?secret")
        const error = yield* Effect.flip(gone.info)
        assert.strictEqual(error.message, "cannot read 'http://127.0.0.1:1/x': 127.0.0.1:1: the connection was refused")
        assert.isTrue(error.retryable)
      })
    )
  )

  it.live("that allows no HEAD is asked for one byte", () =>
    run(
      Effect.gen(function* () {
        for (const ranges of [true, false]) {
          const server = yield* serving({ head: false, lastModified: "Mon, 01 Jan 2024 00:00:00 GMT", ranges })
          assert.deepStrictEqual(yield* HttpSource.make(server.url).info, {
            size: content.byteLength,
            identity: "Mon, 01 Jan 2024 00:00:00 GMT"
          })
        }
      })
    )
  )

  it.live("that cannot be read says why", () =>
    run(
      Effect.gen(function* () {
        for (const [status, reason, retryable] of [
          [401, "Unauthorized", false],
          [403, "Forbidden", false],
          [404, "NotFound", false],
          [410, "NotFound", false],
          [429, "Unavailable", true],
          [503, "Unavailable", true],
          [418, "Rejected", false]
        ] as const) {
          const server = yield* serve(async (peer) => {
            while (true) {
              await peer.head()
              peer.answer(status)
            }
          })
          const source = HttpSource.make(`${server.url}/x?secret`)
          for (const error of [yield* Effect.flip(source.info), (yield* read(source)).error!]) {
            assert.strictEqual(error.reason._tag, reason)
            assert.strictEqual(error.status, status)
            assert.strictEqual(error.retryable, retryable)
            assert.strictEqual(error.message, `cannot read '${server.url}/x': the server answered ${status}`)
          }
        }
        for (const url of ["nonsense", "ftp://host/file"]) {
          assert.strictEqual((yield* Effect.flip(HttpSource.make(url).info)).reason._tag, "InvalidUri")
        }
      })
    )
  )
})

describe("a connection that is lost", () => {
  for (const [what, options, validator] of [
    ["an ETag", { etag: () => '"v1"' }, '"v1"'],
    ["a date", { lastModified: "Mon, 01 Jan 2024 00:00:00 GMT" }, "Mon, 01 Jan 2024 00:00:00 GMT"],
    ["an ETag, and no length", { etag: () => '"v1"', chunked: true }, '"v1"']
  ] as const) {
    it.live(`goes on where it was, by ${what}`, () =>
      run(
        Effect.gen(function* () {
          const server = yield* serving({ ...options, cuts: [1_000_000, 500_000, 0, 700_000] })
          const got = yield* read(HttpSource.make(server.url))
          assert.strictEqual(got.error, undefined)
          same(got.bytes, content)
          assert.deepStrictEqual(
            server.asked.map((request) => [request.from, request.ifRange]),
            [
              [0, undefined],
              [1_000_000, validator],
              [1_500_000, validator],
              [1_500_000, validator],
              [2_200_000, validator]
            ]
          )
        })
      )
    )
  }

  it.live("goes on after a part that ends in good order before its end", () =>
    run(
      Effect.gen(function* () {
        // It has no length, but says by its range where the content ends.
        const server = yield* serving({ etag: () => '"v1"', chunked: true, orderly: true, cuts: [500_000] })
        const source = HttpSource.make(`${server.url}/disk.img`)
        same((yield* read(source, 1_000_000)).bytes, content.subarray(1_000_000))
        const gets = server.asked.filter(({ method }) => method === "GET")
        assert.deepStrictEqual(
          gets.map(({ from }) => from),
          [1_000_000, 1_500_000]
        )
      })
    )
  )

  it.live("goes on over a server that is away for a moment", () =>
    run(
      Effect.gen(function* () {
        let count = 0
        const server = yield* serve(async (peer) => {
          const request = parse(await peer.head())
          count++
          if (count === 2) {
            peer.answer(503, "", { Connection: "close" })
            return void peer.socket.end()
          }
          if (count === 3) return void peer.socket.destroy()
          peer.write(
            `HTTP/1.1 ${request.from > 0 ? 206 : 200} X\r\nETag: "1"\r\nContent-Length: ${content.byteLength - request.from}\r\n` +
              (request.from > 0
                ? `Content-Range: bytes ${request.from}-${content.byteLength - 1}/${content.byteLength}\r\n\r\n`
                : "\r\n")
          )
          if (count === 1) peer.socket.end(content.subarray(0, 100_000))
          else peer.socket.write(content.subarray(request.from))
        })
        const got = yield* read(HttpSource.make(server.url))
        assert.strictEqual(got.error, undefined)
        same(got.bytes, content)
        assert.strictEqual(count, 4)
      })
    )
  )

  it.live("of content that changed is SourceChanged, and no byte of the other content is given", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serving({ etag: (request) => `"v${request}"`, cuts: [1_000_000] })
        const got = yield* read(HttpSource.make(server.url))
        assert.strictEqual(got.error?.reason._tag, "SourceChanged")
        assert.strictEqual(got.error?.offset, 1_000_000)
        assert.strictEqual(got.inUse, 0)
        assert.isAtMost(got.bytes.byteLength, 1_000_000)
        same(got.bytes, content.subarray(0, got.bytes.byteLength))
      })
    )
  )

  it.live("is not taken up by a weak ETag that has changed, whatever the date says", () =>
    run(
      Effect.gen(function* () {
        const lastModified = "Mon, 01 Jan 2024 00:00:00 GMT"
        const answer = (etag: string, body: Uint8Array, from: number) =>
          `HTTP/1.1 ${from === 0 ? 200 : 206} X\r\nETag: ${etag}\r\nLast-Modified: ${lastModified}\r\n` +
          `Content-Length: ${body.byteLength - from}\r\n` +
          (from === 0 ? "\r\n" : `Content-Range: bytes ${from}-${body.byteLength - 1}/${body.byteLength}\r\n\r\n`)
        let count = 0
        const server = yield* serve(async (peer) => {
          const request = parse(await peer.head())
          if (count++ === 0) {
            peer.write(answer('W/"1"', content, 0))
            return void peer.socket.end(content.subarray(0, 1_000_000))
          }
          const other = content.map((byte) => byte ^ 1)
          peer.write(answer('W/"2"', other, request.from))
          peer.socket.write(other.subarray(request.from))
        })
        const got = yield* read(HttpSource.make(server.url))
        assert.strictEqual(got.error?.reason._tag, "SourceChanged")
      })
    )
  )

  it.live("was never one to the whole where a part comes that nobody asked for", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          peer.write(
            `HTTP/1.1 206 X\r\nContent-Range: bytes 5-9/*\r\nContent-Length: 5\r\nConnection: close\r\n\r\nabcde`
          )
        })
        const got = yield* read(HttpSource.make(server.url))
        assert.strictEqual(got.error?.reason._tag, "SourceUnreadable")
        assert.match(got.error?.message ?? "", /asked for whole, and gives a part/)
        assert.strictEqual(got.bytes.byteLength, 0)
      })
    )
  )

  for (const [what, options] of [
    ["without ranges", { etag: () => '"v1"', ranges: false }],
    ["with a weak ETag alone", { etag: () => 'W/"v1"' }],
    ["that says nothing of its content", {}]
  ] as const) {
    it.live(`to a server ${what} is the engine's to try anew`, () =>
      run(
        Effect.gen(function* () {
          const server = yield* serving({ ...options, cuts: [1_000_000] })
          const got = yield* read(HttpSource.make(server.url))
          assert.strictEqual(got.error?.reason._tag, "SourceUnreadable")
          assert.isTrue(got.error?.retryable)
          assert.strictEqual(got.error?.offset, 1_000_000)
          assert.isAtMost(got.bytes.byteLength, 1_000_000)
          same((yield* read(HttpSource.make(server.url))).bytes, content)
        })
      )
    )
  }

  it.live(
    "again and again without a byte is given up",
    () =>
      run(
        Effect.gen(function* () {
          const server = yield* serving({ etag: () => '"v1"', cuts: [10, 0, 0, 0, 0, 0, 0, 0, 0] })
          const got = yield* read(HttpSource.make(server.url))
          assert.match(got.error?.message ?? "", /was lost after 10 bytes$/)
          assert.isTrue(got.error?.retryable)
          assert.strictEqual(server.asked.length, 6)
        })
      ),
    20_000
  )
})

describe("a server that knows no HEAD", () => {
  for (const [what, head] of [
    ["says 0 bytes", (peer: Peer) => peer.answer(200, "", { "Content-Length": "0" })],
    ["hangs up", (peer: Peer) => peer.socket.destroy()]
  ] as const) {
    it.live(`and ${what} is asked with GET`, () =>
      run(
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            while (true) {
              if (!(await peer.head()).startsWith("HEAD")) peer.answer(200, "hello")
              else head(peer)
            }
          })
          const source = HttpSource.make(server.url)
          assert.strictEqual((yield* source.info).size, 5)
          assert.strictEqual((yield* read(source)).bytes.byteLength, 5)
        })
      )
    )
  }
})
