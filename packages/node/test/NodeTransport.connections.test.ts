import { assert, describe, it } from "@effect/vitest"
import * as BlockPool from "@headrace/core/BlockPool"
import { type Request, Transport, TransportError } from "@headrace/core/Transport"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { execFile } from "node:child_process"
import { makeBody, MiB, type Peer, serve, sleep, withBlocks } from "./support/RawServer.ts"

const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope | Transport>) =>
  Effect.scoped(Effect.provide(effect, NodeTransport.layer))

/** Sends and reads the answer; gives its text. */
const text = (request: Partial<Request> & { readonly url: string }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const transport = yield* Transport
      const answer = yield* transport.send({ method: "GET", headers: {}, ...request })
      return yield* answer.text
    })
  )

const errorOf = (exit: Exit.Exit<unknown, TransportError>): TransportError => {
  const error = Exit.isFailure(exit) ? exit.cause.reasons.find((r) => r._tag === "Fail")?.error : undefined
  return error instanceof TransportError ? error : assert.fail("no TransportError")
}

const bytes = new TextEncoder().encode("hello")

/** Answers every request of a connection with how many it had. */
const polite = async (peer: Peer) => {
  for (let n = 1; ; n++) {
    const head = await peer.head()
    const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
    await peer.body(length)
    peer.answer(200, String(n))
  }
}

describe("kept connections", () => {
  it.live("carry one call after the other, small bodies among them", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(polite)
        const url = server.url
        assert.strictEqual(yield* text({ url }), "1")
        assert.strictEqual(yield* text({ url, method: "POST", body: { _tag: "Bytes", bytes } }), "2")
        assert.strictEqual(yield* text({ url, method: "DELETE" }), "3")
        assert.strictEqual(server.peers.length, 1)
        // Two at once need two.
        yield* Effect.all([text({ url }), text({ url })], { concurrency: 2 })
        assert.strictEqual(server.peers.length, 2)
      })
    )
  )

  it.live("are kept after an answer that nobody read, if it is short", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(polite)
        const transport = yield* Transport
        for (let i = 0; i < 3; i++) {
          yield* Effect.scoped(transport.send({ method: "GET", url: server.url, headers: {} }))
        }
        assert.strictEqual(server.peers.length, 1)
      })
    )
  )

  for (const [name, length, replayable, connections] of [
    ["are not used for bodies of blocks", 1000, undefined, 2],
    ["are used for those that can be run again", MiB, true, 1],
    ["are not used for those that can be run again and are large", MiB + 1, true, 2]
  ] as const) {
    it.live(name, () =>
      run(
        withBlocks(() =>
          Effect.gen(function* () {
            const server = yield* serve(polite)
            const transport = yield* Transport
            yield* text({ url: server.url })
            const lengths = length > MiB ? [MiB, length - MiB] : [length]
            const body = { _tag: "Blocks" as const, stream: makeBody(lengths), length }
            const answer = yield* transport.send({
              method: "PUT",
              url: server.url,
              headers: {},
              body: replayable === undefined ? body : { ...body, replayable }
            })
            assert.strictEqual(yield* answer.text, String(3 - connections))
            assert.strictEqual(server.peers.length, connections)
          })
        )
      )
    )
  }

  it.live("end with the layer", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serve(polite)
        yield* Effect.provide(text({ url: server.url }), NodeTransport.layer)
        yield* Effect.promise(() => server.peers[0]!.until(() => server.peers[0]!.ended || server.peers[0]!.reset))
      })
    )
  )

  it.live("do not keep the process alive", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const server = yield* serve(polite)
        const program = `
          import * as Effect from "effect/Effect"
          import * as NodeTransport from "@headrace/node/NodeTransport"
          const transport = await Effect.runPromise(NodeTransport.make().pipe(Effect.provideService(
            (await import("effect/Scope")).Scope, (await import("effect/Scope")).makeUnsafe())))
          console.log(await Effect.runPromise(Effect.scoped(Effect.flatMap(
            transport.send({ method: "GET", url: "${server.url}", headers: {} }), (answer) => answer.text))))`
        const out = yield* Effect.callback<string>((resume) => {
          execFile(
            process.execPath,
            ["--input-type=module", "-e", program],
            { cwd: new URL("..", import.meta.url).pathname, timeout: 20_000 },
            (error, stdout) => resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
          )
        })
        assert.strictEqual(out, "1\n")
      })
    )
  )
})

describe("a kept connection that the server has closed without a word", () => {
  /** Says nothing and closes when the second request comes, as a server does whose own time ran out just then. */
  const rude =
    (end: (peer: Peer) => void): ((peer: Peer) => Promise<void>) =>
    async (peer) => {
      await peer.head()
      peer.answer(200, `first of ${peer.number}`)
      await peer.head()
      end(peer)
    }

  for (const [how, end] of [
    ["closes", (peer: Peer) => void peer.socket.destroy()],
    ["resets", (peer: Peer) => void peer.socket.resetAndDestroy()],
    ["half-closes", (peer: Peer) => void peer.socket.end()]
  ] as const) {
    for (const method of ["GET", "PUT", "DELETE", "POST"]) {
      it.live(`costs ${method} nothing when it ${how}`, () =>
        run(
          Effect.gen(function* () {
            const server = yield* serve(rude(end))
            assert.strictEqual(yield* text({ url: server.url }), "first of 1")
            const body = method === "PUT" || method === "POST" ? { body: { _tag: "Bytes" as const, bytes } } : {}
            assert.strictEqual(yield* text({ url: server.url, method, ...body }), "first of 2")
          })
        )
      )
    }
  }

  it.live("costs a body of blocks that can be run again nothing", () =>
    run(
      withBlocks(() =>
        Effect.gen(function* () {
          const server = yield* serve(async (peer) => {
            await peer.head()
            const begins = peer.number > 1
            if (begins) await peer.body(1000)
            peer.answer(200, `first of ${peer.number}`)
            if (begins) return
            await peer.head()
            await peer.body(1000)
            peer.socket.resetAndDestroy()
          })
          const transport = yield* Transport
          yield* text({ url: server.url })
          let runs = 0
          let sent = 0
          const answer = yield* transport.send({
            method: "PUT",
            url: server.url,
            headers: {},
            onSent: (bytes) => {
              sent += bytes
            },
            body: {
              _tag: "Blocks",
              stream: makeBody([600, 400], { onClose: () => void runs++ }),
              length: 1000,
              replayable: true
            }
          })
          assert.strictEqual(yield* answer.text, "first of 2")
          assert.strictEqual(runs, 2)
          assert.strictEqual(sent, 2000)
        })
      )
    )
  )

  it.live("is not tried again once it has begun to answer", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          peer.answer(200, "first")
          await peer.head()
          peer.write("HTTP/1.1 2")
          await sleep(20)
          peer.socket.destroy()
        })
        yield* text({ url: server.url })
        const error = errorOf(yield* Effect.exit(text({ url: server.url })))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.strictEqual(server.peers.length, 1)
      })
    )
  )

  it.live("is not tried a third time", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          if (peer.number > 1) return void peer.socket.destroy()
          peer.answer(200, "first")
          await peer.head()
          peer.socket.destroy()
        })
        yield* text({ url: server.url })
        const error = errorOf(yield* Effect.exit(text({ url: server.url })))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.strictEqual(server.peers.length, 2)
      })
    )
  )

  it.live("is a habit of its server: 200 calls in a row, each answer behind the last one's close", () =>
    run(
      Effect.gen(function* () {
        let requests = 0
        const server = yield* serve(async (peer) => {
          await peer.head()
          requests++
          peer.answer(200, "ok")
          peer.socket.end()
        })
        for (let i = 0; i < 200; i++) {
          assert.strictEqual(yield* text({ url: server.url, method: "POST", body: { _tag: "Bytes", bytes } }), "ok")
        }
        assert.strictEqual(requests, 200)
        assert.strictEqual(server.peers.length, 200)
      })
    )
  )
})

describe("a fresh connection", () => {
  it.live("that is lost is not tried again", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          peer.socket.destroy()
        })
        const error = errorOf(yield* Effect.exit(text({ url: server.url })))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.strictEqual(error.phase, "answer")
        assert.strictEqual(server.peers.length, 1)
      })
    )
  )
})

describe("Expect: 100-continue", () => {
  const put = (url: string, lengths: ReadonlyArray<number>, known = true, extra?: Partial<Request>) =>
    withBlocks(() =>
      Effect.scoped(
        Effect.gen(function* () {
          const transport = yield* Transport
          let opened = false
          const answer = yield* transport.send({
            method: "PUT",
            url,
            headers: {},
            ...extra,
            body: {
              _tag: "Blocks",
              stream: makeBody(lengths, { fill: false, onClose: () => (opened = true) }),
              length: known ? lengths.reduce((a, b) => a + b) : undefined
            }
          })
          return {
            status: answer.status,
            early: answer.early,
            bytesSent: answer.bytesSent,
            opened,
            text: yield* answer.text
          }
        })
      )
    )

  it.live("is sent with bodies over 1 MiB or of unknown length, and with no others", () =>
    run(
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* serve(async (peer) => {
          heads.push(await peer.head())
          peer.answer(409)
        })
        yield* put(server.url, [MiB, 1])
        yield* put(server.url, [1], false)
        yield* put(server.url, [MiB])
        assert.deepStrictEqual(
          heads.map((head) => /\r\nExpect: 100-continue/.test(head)),
          [true, true, false]
        )
      })
    )
  )

  it.live("spares the body when the answer is final, and does not even open it", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          await sleep(20)
          peer.answer(409, "taken")
        })
        assert.deepStrictEqual(yield* put(server.url, [MiB, MiB]), {
          status: 409,
          early: true,
          bytesSent: 0,
          opened: false,
          text: "taken"
        })
        yield* Effect.promise(() => server.peers[0]!.until(() => server.peers[0]!.ended || server.peers[0]!.reset))
        assert.strictEqual(server.peers[0]!.bytes, 0)
      })
    )
  )

  /** When the first byte of the body came, after the head. */
  const timing = (says100: (peer: Peer) => boolean, controlMs: number) => {
    const waits: Array<number> = []
    return Effect.map(
      serve(async (peer) => {
        while (true) {
          const head = await peer.head()
          if (head.startsWith("GET")) {
            await sleep(controlMs)
            peer.answer(200, "hi")
            continue
          }
          const at = performance.now()
          if (says100(peer)) peer.write("HTTP/1.1 100 Continue\r\n\r\n")
          await peer.until(() => peer.bytes > 0)
          waits.push(performance.now() - at)
          await peer.swallow(2 * MiB)
          peer.answer(204)
        }
      }),
      (server) => ({ server, waits })
    )
  }

  const within = (value: number | undefined, least: number, most: number) =>
    assert.isTrue(value !== undefined && value >= least - 5 && value <= most, `${value}, not ${least} to ${most}`)

  it.live("waits a second when nothing is known of the origin", () =>
    run(
      Effect.gen(function* () {
        const { server, waits } = yield* timing(() => false, 0)
        yield* put(server.url, [MiB, MiB])
        within(waits[0], 1000, 1300)
      })
    )
  )

  it.live("waits four times as long as the last control call took, 50 ms at least", () =>
    run(
      Effect.gen(function* () {
        const slow = yield* timing(() => false, 60)
        yield* text({ url: slow.server.url })
        yield* put(slow.server.url, [MiB, MiB])
        within(slow.waits[0], 240, 500)
        const quick = yield* timing(() => false, 0)
        yield* text({ url: quick.server.url })
        yield* text({ url: quick.server.url })
        yield* put(quick.server.url, [MiB, MiB])
        within(quick.waits[0], 50, 200)
      })
    )
  )

  it.live("trusts an origin that has said 100 before", () =>
    run(
      Effect.gen(function* () {
        const { server, waits } = yield* timing((peer) => peer.number === 1, 0)
        yield* put(server.url, [MiB, MiB])
        within(waits[0], 0, 100)
        yield* put(server.url, [MiB, MiB], true, { stallMs: 1700 })
        within(waits[1], 1700, 2200)
      })
    )
  )

  it.live(
    "does so no more when the 100 has not come within 5 s",
    () =>
      run(
        Effect.gen(function* () {
          const { server, waits } = yield* timing((peer) => peer.number === 1, 0)
          for (let i = 0; i < 3; i++) yield* put(server.url, [MiB, MiB])
          within(waits[1], 5000, 5500)
          within(waits[2], 1000, 1500)
        })
      ),
    15_000
  )

  it.live("is left out where it is refused with 417, and the body goes at once", () =>
    run(
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* serve(async (peer) => {
          const head = await peer.head()
          heads.push(head)
          if (/expect/i.test(head)) return peer.answer(417)
          await peer.swallow(2 * MiB)
          peer.answer(204)
        })
        for (let i = 0; i < 2; i++) {
          const answer = yield* put(server.url, [MiB, MiB])
          assert.strictEqual(answer.status, 204)
          assert.strictEqual(answer.bytesSent, 2 * MiB)
        }
        assert.strictEqual(heads.length, 3)
      })
    )
  )
})

describe("bodies", () => {
  /** Takes bodies; says 100 to those who ask. */
  const welcoming = async (peer: Peer, onHead: (head: string, n: number) => void = () => {}) => {
    for (let n = 1; ; n++) {
      const head = await peer.head()
      onHead(head, n)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0)
      if (/expect: 100-continue/i.test(head)) peer.write("HTTP/1.1 100 Continue\r\n\r\n")
      await peer.body(length)
      peer.answer(200, `${peer.number}.${n} ${length}`)
    }
  }

  /** One body of so many MiB; what the server says of it, and how many bytes were handed to the socket. */
  const put = (url: string, mebibytes = 2) =>
    withBlocks((pool) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        let sent = 0
        const answer = yield* Effect.scoped(
          Effect.flatMap(
            transport.send({
              method: "PUT",
              url,
              headers: {},
              body: {
                _tag: "Blocks",
                stream: makeBody(Array.from({ length: mebibytes }, () => MiB)),
                length: mebibytes * MiB
              },
              stallMs: 5000,
              onSent: (bytes) => {
                sent += bytes
              }
            }),
            (answer) => answer.text
          )
        )
        assert.strictEqual(pool.stats().inUse, 0)
        assert.strictEqual(sent, mebibytes * MiB)
        return answer
      })
    )

  it.live("share a connection at an origin that answers 100, the small ones among them", () =>
    run(
      Effect.gen(function* () {
        const heads: Array<string> = []
        const server = yield* serve((peer) => welcoming(peer, (head) => heads.push(head)))
        const { url } = server
        const answers = [yield* put(url), yield* put(url), yield* put(url, 1), yield* text({ url }), yield* put(url)]
        assert.deepStrictEqual(
          answers.map((answer) => answer.split(" ")[0]),
          ["1.1", "1.2", "1.3", "1.4", "1.5"]
        )
        assert.deepStrictEqual(
          heads.map((head) => /expect: 100-continue/i.test(head)),
          [true, true, true, false, true]
        )
      })
    )
  )

  it.live("go to a fresh one when the kept one is dead, and no byte is sent twice", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          if (peer.number > 1) return welcoming(peer)
          await peer.head()
          peer.write("HTTP/1.1 100 Continue\r\n\r\n")
          await peer.body(2 * MiB)
          peer.answer(200, "first")
          // The next head is received, and the connection closed without a word.
          await peer.head()
          peer.socket.destroy()
        })
        assert.strictEqual(yield* put(server.url), "first")
        assert.strictEqual(yield* put(server.url), `2.1 ${2 * MiB}`)
        assert.strictEqual(server.peers[0]!.bytes, 0)
        assert.strictEqual(server.peers.length, 2)
      })
    )
  )

  it.live("go to a fresh one when the kept one is silent, and nothing of them was sent there", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          if (peer.number > 1) return welcoming(peer)
          await peer.head()
          peer.write("HTTP/1.1 100 Continue\r\n\r\n")
          await peer.body(2 * MiB)
          peer.answer(200, "first")
          await peer.head()
        })
        assert.strictEqual(yield* put(server.url), "first")
        const at = performance.now()
        assert.strictEqual(yield* put(server.url), `2.1 ${2 * MiB}`)
        assert.isBelow(performance.now() - at, 3000)
        assert.strictEqual(server.peers[0]!.bytes, 0)
      })
    )
  )

  it.live("have a connection each at an origin that has not answered 100", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(polite)
        yield* put(server.url)
        yield* put(server.url)
        assert.strictEqual(server.peers.length, 2)
      })
    )
  )

  it.live("that are refused on a kept connection are not sent", () =>
    run(
      Effect.gen(function* () {
        const server = yield* serve(async (peer) => {
          await peer.head()
          peer.write("HTTP/1.1 100 Continue\r\n\r\n")
          await peer.body(2 * MiB)
          peer.answer(200, "first")
          await peer.head()
          peer.answer(413, "no")
        })
        assert.strictEqual(yield* put(server.url), "first")
        const transport = yield* Transport
        const answer = yield* withBlocks(() =>
          Effect.scoped(
            transport.send({
              method: "PUT",
              url: server.url,
              headers: {},
              body: { _tag: "Blocks", stream: makeBody([MiB, MiB]), length: 2 * MiB }
            })
          )
        )
        assert.deepInclude(answer, { status: 413, early: true, bytesSent: 0 })
        assert.strictEqual(server.peers.length, 1)
      })
    )
  )
})

describe("time", () => {
  const put = (url: string, extra: Partial<Request>, mebibytes = 30) =>
    withBlocks((pool) =>
      Effect.gen(function* () {
        const transport = yield* Transport
        const at = performance.now()
        const exit = yield* Effect.exit(
          Effect.scoped(
            Effect.flatMap(
              transport.send({
                method: "PUT",
                url,
                headers: {},
                ...extra,
                body: {
                  _tag: "Blocks",
                  stream: makeBody(
                    Array.from({ length: mebibytes }, () => MiB),
                    { fill: false }
                  ),
                  length: mebibytes * MiB
                }
              }),
              (answer) => answer.text
            )
          )
        )
        assert.strictEqual(pool.stats().inUse, 0)
        return { exit, ms: performance.now() - at }
      })
    )

  const accepting = (rest: (peer: Peer) => Promise<unknown>) =>
    serve(async (peer) => {
      await peer.head()
      peer.write("HTTP/1.1 100 Continue\r\n\r\n")
      await rest(peer)
    })

  it.live("a reader that stops is a stall", () =>
    run(
      Effect.gen(function* () {
        const server = yield* accepting(async (peer) => void peer.socket.pause())
        const { exit, ms } = yield* put(server.url, { stallMs: 400 })
        const error = errorOf(exit)
        assert.strictEqual(error.reason._tag, "Stalled")
        assert.strictEqual(error.phase, "body")
        assert.match(error.message, /no byte was taken for 0\.4 s$/)
        assert.isTrue(ms >= 400 && ms < 1000, `${ms}`)
      })
    )
  )

  it.live("a reader that trickles is not, though one write takes longer than the stall time", () =>
    run(
      Effect.gen(function* () {
        const server = yield* accepting(async (peer) => {
          peer.keep = false
          // 3 MiB a second; the kernel lets some more in about twice a second.
          for (let goal = 300_000; peer.bytes < 16 * MiB; goal += 300_000) {
            peer.socket.resume()
            await peer.until(() => peer.bytes >= Math.min(goal, 16 * MiB))
            peer.socket.pause()
            await sleep(100)
          }
          peer.answer(200, "ok")
        })
        const transport = yield* Transport
        const pool = BlockPool.makeUnsafe({ bytes: 32 * MiB, blockBytes: 8 * MiB })
        const share = yield* pool.share(2)
        const answer = yield* transport
          .send({
            method: "PUT",
            url: server.url,
            headers: {},
            stallMs: 1200,
            body: { _tag: "Blocks", stream: makeBody([8 * MiB, 8 * MiB], { fill: false }), length: 16 * MiB }
          })
          .pipe(Effect.provideService(BlockPool.BlockShare, share))
        assert.strictEqual(yield* answer.text, "ok")
      })
    )
  )

  it.live("a source that gives nothing is a stall, and said to be the source's", () =>
    run(
      Effect.gen(function* () {
        const server = yield* accepting((peer) => peer.swallow(100 * MiB))
        const transport = yield* Transport
        const exit = yield* Effect.exit(
          withBlocks(() =>
            transport.send({
              method: "PUT",
              url: server.url,
              headers: {},
              stallMs: 300,
              body: { _tag: "Blocks", length: 2 * MiB, stream: makeBody([MiB, MiB], { fill: false, slowly: 2000 }) }
            })
          )
        )
        const error = errorOf(exit)
        assert.strictEqual(error.reason._tag, "Stalled")
        assert.match(error.message, /the source gave no byte for 0\.3 s$/)
      })
    )
  )

  it.live("an answer has its own time after the last byte", () =>
    run(
      Effect.gen(function* () {
        const slow = yield* accepting(async (peer) => {
          await peer.swallow(30 * MiB)
          await sleep(600)
          peer.answer(200, "late")
        })
        assert.deepStrictEqual((yield* put(slow.url, { stallMs: 200, answerMs: 3000 })).exit, Exit.succeed("late"))
        const error = errorOf((yield* put(slow.url, { stallMs: 2000, answerMs: 200 })).exit)
        assert.strictEqual(error.reason._tag, "Stalled")
        assert.strictEqual(error.phase, "answer")
        assert.strictEqual(error.bytesSent, 30 * MiB)
        assert.match(error.message, /no answer within 0\.2 s$/)
      })
    )
  )
})
