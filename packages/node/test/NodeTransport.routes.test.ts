import { assert, describe, it } from "@effect/vitest"
import { type Request, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as net from "node:net"
import * as tls from "node:tls"
import { proxyFor } from "../src/internal/proxy.ts"
import * as certificates from "./support/certificates.ts"
import { type Peer, serve } from "./support/RawServer.ts"

type Environment = Readonly<Record<string, string>>

const send = (env: Environment, request: Partial<Request> & { readonly url: string }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const transport = yield* NodeTransport.make({ env })
      const answer = yield* transport.send({ method: "GET", headers: {}, ...request })
      return { status: answer.status, text: yield* answer.text }
    })
  )

const errorOf = (exit: Exit.Exit<unknown, TransportError>): TransportError => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find((r) => r._tag === "Fail")?.error : undefined
  return error instanceof TransportError ? error : assert.fail("no TransportError")
}

describe("which proxy", () => {
  const host = (env: Environment, url: string) => {
    const proxy = proxyFor(env, new URL(url))
    return proxy === undefined ? "direct" : "message" in proxy ? proxy.message : `${proxy.host}:${proxy.port}`
  }
  const cases: ReadonlyArray<readonly [Environment, string, string]> = [
    [{}, "http://a/", "direct"],
    [{ http_proxy: "http://p:3128" }, "http://a/", "p:3128"],
    [{ http_proxy: "http://p:3128" }, "https://a/", "direct"],
    [{ HTTPS_PROXY: "http://p:3128" }, "https://a/", "p:3128"],
    [{ https_proxy: "http://low:1", HTTPS_PROXY: "http://up:2" }, "https://a/", "low:1"],
    [{ ALL_PROXY: "http://p:3128" }, "http://a/", "p:3128"],
    [{ all_proxy: "http://all:1", http_proxy: "http://one:2" }, "http://a/", "one:2"],
    [{ http_proxy: "" }, "http://a/", "direct"],
    [{ http_proxy: "p:3128" }, "http://a/", "p:3128"],
    [{ http_proxy: "http://p" }, "http://a/", "p:1080"],
    [{ http_proxy: "http://p:80" }, "http://a/", "p:80"],
    [{ http_proxy: "http://[::1]:3128" }, "http://a/", "::1:3128"],
    [{ http_proxy: "http://p:1" }, "http://127.0.0.1/", "p:1"],
    [{ http_proxy: "http://p:1" }, "http://localhost/", "p:1"],
    [
      { http_proxy: "socks5://u:secret@p:1" },
      "http://a/",
      "HTTP_PROXY: proxies of the kind 'socks5://' are not supported (allowed: http, https)"
    ],
    [{ http_proxy: "http://u:secret@:x" }, "http://a/", "HTTP_PROXY is not a URL"]
  ]
  for (const [env, url, expected] of cases) {
    it(`${JSON.stringify(env)} for ${url}`, () => assert.strictEqual(host(env, url), expected))
  }

  const excluded: ReadonlyArray<readonly [string, string, boolean]> = [
    ["*", "http://a.example/", true],
    ["example", "http://example/", true],
    ["example.com", "http://example.com/", true],
    ["example.com", "http://www.example.com/", true],
    ["example.com", "http://wwwexample.com/", false],
    [".example.com", "http://www.example.com/", true],
    [".example.com", "http://example.com/", true],
    ["*.example.com", "http://www.example.com/", true],
    ["EXAMPLE.com", "http://Www.Example.COM/", true],
    ["a, b c", "http://b/", true],
    ["a, b c", "http://c/", true],
    ["a, b c", "http://d/", false],
    ["example.com:8080", "http://example.com:8080/", true],
    ["example.com:8080", "http://example.com/", false],
    ["example.com:80", "http://example.com/", true],
    ["10.0.0.0/8", "http://10.1.2.3/", true],
    ["10.0.0.0/8", "http://11.1.2.3/", false],
    ["10.0.0.0/8", "http://10.example/", false],
    ["10.0.0.0/99", "http://10.1.2.3/", false],
    ["127.0.0.1", "http://127.0.0.1:9292/", true],
    ["0.0.1", "http://127.0.0.1/", false],
    ["::1", "http://[::1]:5000/", true],
    ["[::1]", "http://[::1]/", true],
    ["fd00::/8", "http://[fd12:3456::1]/", true],
    ["fd00::/8", "http://[fe80::1]/", false]
  ]
  for (const [list, url, expected] of excluded) {
    it(`NO_PROXY=${list} ${expected ? "leaves out" : "does not mean"} ${url}`, () =>
      assert.strictEqual(host({ http_proxy: "http://p:1", no_proxy: list }, url), expected ? "direct" : "p:1"))
  }
})

describe("a proxy", () => {
  it.live("is asked for the whole URL of a plain request, with its credentials", () =>
    Effect.scoped(
      Effect.gen(function* () {
        let head = ""
        const proxy = yield* serve(async (peer) => {
          head = await peer.head()
          peer.answer(200, "by proxy")
        })
        const answer = yield* send(
          { http_proxy: `http://user:se%20cret@127.0.0.1:${proxy.port}` },
          { url: "http://store.example:8080/v2/images?x=y#z" }
        )
        assert.strictEqual(answer.text, "by proxy")
        assert.match(head, /^GET http:\/\/store\.example:8080\/v2\/images\?x=y HTTP\/1\.1\r\n/)
        assert.match(head, /\r\nHost: store\.example:8080\r\n/)
        assert.include(head, `Proxy-Authorization: Basic ${Buffer.from("user:se cret").toString("base64")}`)
      })
    )
  )

  it.live("tunnels https, and never sees what is said", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.callback<tls.Server>((resume) => {
            const server = tls.createServer(
              { cert: certificates.serverCert, key: certificates.serverKey },
              (socket) => {
                socket.on("error", () => {})
                socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\ninside"))
              }
            )
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = server.address() as net.AddressInfo
        const seen: Array<string> = []
        const proxy = yield* serve(async (peer) => {
          seen.push(await peer.head())
          if (seen.length === 1) return peer.answer(407)
          if (seen.length === 2) return peer.answer(503)
          const onward = net.connect(port, "127.0.0.1", () => {
            peer.write("HTTP/1.1 200 Connection established\r\n\r\n")
            peer.socket.pipe(onward).pipe(peer.socket)
          })
          onward.on("error", () => {})
        })
        const env = { https_proxy: `http://user:secret@127.0.0.1:${proxy.port}` }
        const request = {
          url: `https://localhost:${port}/x?secret`,
          headers: { "x-auth-token": "secret" },
          tls: { verify: true, ca: certificates.authority }
        }
        const refused = errorOf(yield* Effect.exit(send(env, request)))
        assert.strictEqual(
          refused.message,
          `proxy 127.0.0.1:${proxy.port}: it refused a connection to localhost:${port} with status 407 (it wants other credentials)`
        )
        assert.match(errorOf(yield* Effect.exit(send(env, request))).message, /with status 503$/)
        assert.strictEqual((yield* send(env, request)).text, "inside")
        assert.match(seen[2]!, new RegExp(`^CONNECT localhost:${port} HTTP/1\\.1\r\n`))
        assert.include(seen[2], `proxy-authorization: Basic ${Buffer.from("user:secret").toString("base64")}`)
        assert.notInclude(seen.join(), "x-auth-token")
      })
    )
  )

  it.live("that is not there is named", () =>
    Effect.gen(function* () {
      const error = errorOf(
        yield* Effect.exit(send({ http_proxy: "http://user:secret@127.0.0.1:1" }, { url: "http://store.example/" }))
      )
      assert.strictEqual(error.message, "proxy 127.0.0.1:1: the connection was refused")
      const socks = errorOf(
        yield* Effect.exit(send({ all_proxy: "socks5h://user:secret@127.0.0.1:1" }, { url: "http://store.example/" }))
      )
      assert.strictEqual(socks.reason._tag, "InvalidConfig")
    })
  )
})

describe("redirects", () => {
  const heads: Array<string> = []
  const redirecting = (location: (port: number) => string, status = 302) =>
    Effect.suspend(() => {
      heads.length = 0
      let port = 0
      const handle = async (peer: Peer) => {
        while (true) {
          const head = await peer.head()
          heads.push(head)
          if (head.includes(" /end ")) peer.answer(200, "the end")
          else peer.answer(status, "elsewhere", { Location: location(port) })
        }
      }
      return Effect.tap(serve(handle), (server) =>
        Effect.sync(() => {
          port = server.port
        })
      )
    })
  const headers = { "X-Auth-Token": "secret", Authorization: "secret", "X-Mine": "secret", Range: "bytes=1-" }

  for (const status of [301, 302, 303, 307, 308]) {
    it.live(`${status} of a GET is followed, with its header on the same origin`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const server = yield* redirecting(() => "/end", status)
          const answer = yield* send({}, { url: `${server.url}/start`, headers })
          assert.strictEqual(answer.text, "the end")
          assert.match(heads[1]!, /X-Auth-Token: secret/)
        })
      )
    )
  }

  it.live("to another origin leave everything behind that may be a secret", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* redirecting((port) => `http://localhost:${port}/end`)
        assert.strictEqual((yield* send({}, { url: `${server.url}/start`, headers })).text, "the end")
        assert.notInclude(heads[1], "secret")
        assert.match(heads[1]!, /Range: bytes=1-/)
      })
    )
  )

  it.live("are not followed with a body, after POST or PUT, or to another kind of URL", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* redirecting(() => "/end")
        const body = { _tag: "Bytes" as const, bytes: new Uint8Array(0) }
        for (const request of [{ method: "POST" }, { method: "PUT", body }, { method: "DELETE" }]) {
          assert.deepStrictEqual(yield* send({}, { url: server.url, ...request }), { status: 302, text: "elsewhere" })
        }
        const file = yield* redirecting(() => "file:///etc/passwd")
        assert.strictEqual((yield* send({}, { url: file.url })).status, 302)
      })
    )
  )

  it.live("are followed five times", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* redirecting(() => "/again")
        assert.strictEqual((yield* send({}, { url: `${server.url}/start` })).status, 302)
        assert.strictEqual(heads.length, 6)
      })
    )
  )

  it.live("are not followed from https to http", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* Effect.acquireRelease(
          Effect.callback<tls.Server>((resume) => {
            const server = tls.createServer(
              { cert: certificates.serverCert, key: certificates.serverKey },
              (socket) => {
                socket.on("error", () => {})
                socket.on("data", () =>
                  socket.write("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")
                )
              }
            )
            server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
          }),
          (server) => Effect.sync(() => server.close())
        )
        const { port } = server.address() as net.AddressInfo
        const answer = yield* send(
          {},
          { url: `https://localhost:${port}`, tls: { verify: true, ca: certificates.authority } }
        )
        assert.strictEqual(answer.status, 302)
      })
    )
  )
})

describe("credentials in a URL", () => {
  it.live("become an Authorization header, and are nowhere else", () =>
    Effect.scoped(
      Effect.gen(function* () {
        let head = ""
        const server = yield* serve(async (peer) => {
          head = await peer.head()
          peer.answer(204)
        })
        yield* send({}, { url: `http://us%40er:se%3Acret@127.0.0.1:${server.port}/x` })
        assert.include(head, `Authorization: Basic ${Buffer.from("us@er:se:cret").toString("base64")}`)
        assert.match(head, /^GET \/x /)
        assert.match(head, new RegExp(`Host: 127\\.0\\.0\\.1:${server.port}\r\n`))
        const error = errorOf(yield* Effect.exit(send({}, { url: "http://user:secret@127.0.0.1:1/" })))
        assert.strictEqual(error.message, "127.0.0.1:1: the connection was refused")
      })
    )
  )
})
