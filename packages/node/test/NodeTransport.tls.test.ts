import { assert, describe, it } from "@effect/vitest"
import { type Tls, Transport, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type * as net from "node:net"
import * as tls from "node:tls"
import * as certificates from "./support/certificates.ts"
import { makeBody, MiB, Peer, serve, sleep, withBlocks } from "./support/RawServer.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | Transport>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layer))

const serveTls = (options: tls.TlsOptions, handle: (peer: Peer, socket: tls.TLSSocket) => Promise<unknown>) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.callback<{ server: tls.Server; peers: Array<Peer> }>((resume) => {
        const peers: Array<Peer> = []
        const server = tls.createServer(options, (socket) => {
          const peer = new Peer(socket, peers.length + 1)
          peers.push(peer)
          handle(peer, socket).catch(() => {})
        })
        server.on("tlsClientError", () => {})
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, peers })))
      }),
      ({ peers, server }) =>
        Effect.callback<void>((resume) => {
          for (const peer of peers) peer.socket.destroy()
          server.close(() => resume(Effect.void))
        })
    ),
    ({ peers, server }) => ({ port: (server.address() as net.AddressInfo).port, peers })
  )

const good = { cert: certificates.serverCert, key: certificates.serverKey }

const get = (url: string, options?: Tls) =>
  Effect.scoped(
    Effect.gen(function* () {
      const transport = yield* Transport
      const answer = yield* transport.send({
        method: "GET",
        url,
        headers: { "x-auth-token": "secret" },
        ...(options === undefined ? undefined : { tls: options })
      })
      return yield* answer.text
    })
  )

const errorOf = (exit: Exit.Exit<unknown, TransportError>): TransportError => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find((r) => r._tag === "Fail")?.error : undefined
  return error instanceof TransportError ? error : assert.fail("no TransportError")
}

const polite = async (peer: Peer) => {
  while (true) {
    await peer.head()
    peer.answer(200, `hello ${peer.number}`)
  }
}

describe("https", () => {
  it.live("trusts the authorities that it is given, by name and by address, and keeps the connection", () =>
    run(
      Effect.gen(function* () {
        const names: Array<string | false | null> = []
        const { peers, port } = yield* serveTls(good, (peer, socket) => {
          names.push((socket as unknown as { servername?: string | false }).servername ?? null)
          return polite(peer)
        })
        const trust = { verify: true, ca: certificates.authority }
        assert.strictEqual(yield* get(`https://localhost:${port}`, trust), "hello 1")
        // Equal options, another object.
        assert.strictEqual(yield* get(`https://localhost:${port}`, { ...trust }), "hello 1")
        assert.strictEqual(yield* get(`https://127.0.0.1:${port}`, trust), "hello 2")
        assert.deepStrictEqual(names, ["localhost", false])
        // What is trusted less does not share the connection.
        assert.strictEqual(yield* get(`https://localhost:${port}`, { verify: false }), "hello 3")
        assert.strictEqual(peers.length, 3)
      })
    )
  )

  it.live("refuses what it cannot trust with one line that says why, and sends nothing", () =>
    run(
      Effect.gen(function* () {
        let said = 0
        const count = async (peer: Peer) => {
          await peer.head()
          said++
        }
        const self = yield* serveTls({ cert: certificates.selfSignedCert, key: certificates.selfSignedKey }, count)
        const signed = yield* serveTls(good, count)
        const other = yield* serveTls({ cert: certificates.otherCert, key: certificates.otherKey }, count)
        for (const [port, options, what] of [
          [self.port, undefined, /^localhost:\d+: its certificate is self-signed/],
          [signed.port, undefined, /^localhost:\d+: .*signed by nobody that is trusted/],
          [
            other.port,
            { verify: true, ca: certificates.authority },
            /^localhost:\d+: its certificate is for another name/
          ]
        ] as const) {
          const error = errorOf(yield* Effect.exit(get(`https://localhost:${port}/?secret`, options)))
          assert.strictEqual(error.reason._tag, "ConnectionLost")
          assert.strictEqual(error.phase, "connect")
          assert.match(error.message, what)
          assert.notMatch(error.message, /\n|secret/)
        }
        assert.strictEqual(said, 0)
        const fiber = yield* Effect.exit(
          Effect.timeoutOption(get(`https://localhost:${self.port}`, { verify: false }), 200)
        )
        assert.isTrue(Exit.isSuccess(fiber))
        assert.strictEqual(said, 1)
      })
    )
  )

  it.live("checks although the environment says not to", () =>
    run(
      Effect.gen(function* () {
        const { port } = yield* serveTls(good, polite)
        const before = process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
        // Node warns of the variable itself, once a process; the warning is what a user would want, not a test.
        const warn = process.emitWarning
        process.emitWarning = () => {}
        process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = "0"
        const exit = yield* Effect.exit(get(`https://localhost:${port}`))
        if (before === undefined) delete process.env["NODE_TLS_REJECT_UNAUTHORIZED"]
        else process.env["NODE_TLS_REJECT_UNAUTHORIZED"] = before
        process.emitWarning = warn
        assert.match(errorOf(exit).message, /signed by nobody/)
      })
    )
  )

  it.live("shows a client certificate", () =>
    run(
      Effect.gen(function* () {
        const { port } = yield* serveTls(
          { ...good, ca: certificates.authority, requestCert: true, rejectUnauthorized: true },
          async (peer, socket) => {
            await peer.head()
            peer.answer(200, String(socket.getPeerCertificate().subject.CN))
          }
        )
        const trust = { verify: true, ca: certificates.authority }
        const client = { ...trust, cert: certificates.clientCert, key: certificates.clientKey }
        assert.strictEqual(yield* get(`https://localhost:${port}`, client), "client")
        const error = errorOf(yield* Effect.exit(get(`https://localhost:${port}`, trust)))
        assert.match(error.message, /certificate required/)
        assert.notMatch(error.message, /routines|\.c:/)
      })
    )
  )

  it.live("says which certificates it cannot read", () =>
    run(
      Effect.gen(function* () {
        for (const options of [
          { verify: true, ca: "no such thing" },
          { verify: true, ca: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----" },
          { verify: true, cert: certificates.clientCert, key: "secret" }
        ]) {
          const error = errorOf(yield* Effect.exit(get("https://localhost:1", options)))
          assert.strictEqual(error.reason._tag, "InvalidConfig")
          assert.match(error.message, /^localhost:1: the .* cannot be read/)
          assert.notInclude(error.message, "secret")
        }
      })
    )
  )

  it.live("says that the server does not speak TLS", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.until(() => peer.bytes > 0)
          peer.write("HTTP/1.1 400 Bad Request\r\n\r\n")
          peer.socket.end()
        })
        const error = errorOf(yield* Effect.exit(get(`https://127.0.0.1:${server.port}`)))
        assert.match(error.message, /does not speak TLS/)
      })
    )
  )

  it.live("sends bodies, finds early answers, notices stalls", () =>
    run(
      withBlocks((pool) =>
        Effect.gen(function* () {
          const transport = yield* Transport
          const put = (port: number, mebibytes: number, stallMs = 5000) =>
            transport.send({
              method: "PUT",
              url: `https://localhost:${port}`,
              headers: {},
              stallMs,
              tls: { verify: true, ca: certificates.authority },
              body: {
                _tag: "Blocks",
                stream: makeBody(Array.from({ length: mebibytes }, () => MiB)),
                length: mebibytes * MiB
              }
            })
          let sum = new Uint8Array(0)
          const whole = yield* serveTls(good, async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            sum = new Uint8Array(await peer.body(4 * MiB))
            peer.answer(204)
          })
          assert.strictEqual((yield* put(whole.port, 4)).status, 204)
          assert.isTrue(sum.every((byte, i) => byte === ((i * 31 + (i >> 8)) & 0xff)))

          for (const end of ["close", "reset", "drain"]) {
            let raw: net.Socket | undefined
            const early = yield* serveTls(good, async (peer, socket) => {
              await peer.head()
              peer.write("HTTP/1.1 100 Continue\r\n\r\n")
              await peer.swallow(3 * MiB)
              peer.answer(409, "conflict")
              if (end !== "drain") {
                raw = (socket as unknown as { _parent?: net.Socket })._parent
                await sleep(1)
                if (end === "reset") raw?.resetAndDestroy()
                else socket.destroy()
              }
            })
            const answer = yield* put(early.port, 64)
            assert.strictEqual(answer.status, 409)
            assert.isTrue(answer.early)
            assert.strictEqual(yield* answer.text, "conflict")
          }

          const stops = yield* serveTls(good, async (peer) => {
            await peer.head()
            peer.write("HTTP/1.1 100 Continue\r\n\r\n")
            peer.socket.pause()
          })
          const at = performance.now()
          const error = errorOf(yield* Effect.exit(put(stops.port, 64, 400)))
          assert.strictEqual(error.reason._tag, "Stalled")
          assert.isBelow(performance.now() - at, 1500)
          assert.strictEqual(pool.stats().inUse, 0)
        })
      )
    )
  )
})
