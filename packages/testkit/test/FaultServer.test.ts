import { createHash } from "node:crypto"
import * as https from "node:https"
import { connect } from "node:net"
import * as FaultServer from "@headrace/testkit/FaultServer"
import { assert, describe, it } from "vitest"
import { cert, key } from "./certificate.ts"
import { again, send, sleep } from "./raw.ts"
import { closing, noise, until } from "./site.ts"

const MiB = 1024 * 1024
const sha512 = (bytes: Buffer) => createHash("sha512").update(bytes).digest("hex")

const start = async (plan: FaultServer.Handler | ReadonlyArray<FaultServer.Script>, options?: FaultServer.Options) =>
  closing(await FaultServer.start(plan, options))

describe("a script", () => {
  it.each(["length", "chunked"] as const)("reads a whole body and records it (%s)", async (framing) => {
    const server = await start([FaultServer.answer(201, [["X-Mine", "yes"]], "made")])
    const body = noise(300_000)
    const outcome = await send({ port: server.port, method: "PUT", path: "/a?b=c", body, framing, piece: 100_000 })
    assert.strictEqual(outcome.status, 201)
    assert.strictEqual(outcome.body, "made")
    assert.strictEqual(outcome.headers["x-mine"], "yes")
    assert.strictEqual(outcome.ended, "fin")
    const [request] = server.requests
    assert.deepInclude(request, {
      connection: 1,
      method: "PUT",
      path: "/a?b=c",
      framing,
      declared: framing === "length" ? 300_000 : undefined,
      bodyBytes: 300_000,
      complete: true,
      sha512: sha512(body),
      largestChunk: framing === "length" ? 0 : 100_000,
      chunks: framing === "length" ? 0 : 3
    })
    assert.strictEqual(request?.headers["accept"], "*/*")
  })

  it("reads exactly so many bytes, and resets", async () => {
    const server = await start([[FaultServer.readHead, FaultServer.readBody(70_001), FaultServer.reset]])
    const body = noise(8 * MiB)
    const outcome = await send({ port: server.port, method: "PUT", path: "/", body })
    assert.isUndefined(outcome.status)
    assert.include(["ECONNRESET", "EPIPE"], outcome.ended)
    assert.deepInclude(server.requests[0], {
      bodyBytes: 70_001,
      complete: false,
      sha512: sha512(body.subarray(0, 70_001))
    })
  })

  it("answers in the middle of a body and half-closes", async () => {
    const server = await start([
      [
        FaultServer.readHead,
        FaultServer.readBody(1000),
        FaultServer.respond(409, [], "no"),
        FaultServer.halfClose,
        FaultServer.readBody()
      ]
    ])
    const outcome = await send({ port: server.port, method: "PUT", path: "/", body: noise(MiB), stopAfter: 2000 })
    assert.strictEqual(outcome.status, 409)
    assert.strictEqual(outcome.body, "no")
    assert.strictEqual(outcome.ended, "fin")
  })

  it("sends 100 Continue where it is told to", async () => {
    const server = await start([
      [FaultServer.readHead, FaultServer.sendContinue, FaultServer.readBody(), FaultServer.respond(204)]
    ])
    const outcome = await send({ port: server.port, method: "PUT", path: "/", body: noise(10), expectMs: 2000 })
    assert.isTrue(outcome.continued)
    assert.strictEqual(outcome.status, 204)
  })

  it("serves several requests on a kept connection, and then is silent about closing", async () => {
    const script = [...FaultServer.answer(200, [], "one"), ...FaultServer.answer(200, [], "two"), FaultServer.close]
    const server = await start([script])
    const first = await send({ port: server.port, path: "/1", framing: "none" })
    assert.strictEqual(first.body, "one")
    assert.strictEqual(first.ended, "open")
    const second = await again(first, { port: server.port, path: "/2", framing: "none" })
    assert.strictEqual(second.body, "two")
    assert.notProperty(second.headers, "connection")
    assert.strictEqual(second.ended, "fin")
    assert.deepStrictEqual(
      server.connections.map((connection) => connection.requests.length),
      [2]
    )
  })

  it("is for one connection; the last one serves the rest", async () => {
    const server = await start([[FaultServer.reset], FaultServer.answer(204)])
    const statuses: Array<number | undefined> = []
    for (let index = 0; index < 3; index++) {
      statuses.push((await send({ port: server.port, path: "/", framing: "none" })).status)
    }
    assert.deepStrictEqual(statuses, [undefined, 204, 204])
  })

  it("stalls: nothing more is taken from the peer", async () => {
    const server = await start([[FaultServer.readHead, FaultServer.readBody(1), FaultServer.stall()]])
    const socket = connect(server.port)
    socket.write("PUT / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n")
    const fill = () => {
      while (socket.write(Buffer.alloc(65_536)));
      socket.once("drain", fill)
    }
    fill()
    await sleep(200)
    const stuck = socket.bytesWritten - socket.writableLength
    await sleep(200)
    assert.strictEqual(socket.bytesWritten - socket.writableLength, stuck)
    assert.isBelow(stuck, 16 * MiB)
    assert.isAtMost(server.connections[0]!.bytesRead, 300_000)
    socket.on("error", () => {})
    socket.destroy()
  })

  it("stalls for a while and goes on", async () => {
    const server = await start([
      [FaultServer.readHead, FaultServer.stall(150), FaultServer.readBody(), FaultServer.respond(204)]
    ])
    const began = performance.now()
    assert.strictEqual((await send({ port: server.port, method: "PUT", path: "/", body: noise(MiB) })).status, 204)
    assert.isAtLeast(performance.now() - began, 145)
  })

  it("trickles", async () => {
    const server = await start([
      [
        FaultServer.readHead,
        FaultServer.trickle({ bytes: 10_000, everyMs: 10, total: 200_000 }),
        FaultServer.readBody(),
        FaultServer.respond(204)
      ]
    ])
    const began = performance.now()
    const body = noise(300_000)
    assert.strictEqual((await send({ port: server.port, method: "PUT", path: "/", body })).status, 204)
    assert.isAtLeast(performance.now() - began, 190)
    assert.strictEqual(server.requests[0]?.sha512, sha512(body))
  })

  it("sends what is no answer at all", async () => {
    const server = await start([[FaultServer.readHead, FaultServer.send("garbage\r\n\r\n")]])
    const outcome = await send({ port: server.port, path: "/", framing: "none" })
    assert.isNaN(outcome.status)
  })

  it("notes what kept it from its end", async () => {
    const server = await start([[FaultServer.readHead, FaultServer.readBody()]])
    await send({
      port: server.port,
      method: "PUT",
      path: "/",
      body: noise(1000),
      stopAfter: 500,
      then: "fin",
      timeoutMs: 50
    })
    await until(() => server.connections[0]?.failure !== undefined)
    assert.strictEqual(server.connections[0]?.failure?.message, "the body ended early")
    await server.idle()
    assert.isTrue(server.connections[0]?.closed)
  })

  it("records the largest gap between body bytes", async () => {
    const server = await start([FaultServer.answer(204)])
    const body = noise(200_000)
    await send({ port: server.port, method: "PUT", path: "/", body, pauseMs: 150 })
    const [request] = server.requests
    assert.isAtLeast(request!.largestGapMs, 140)
    assert.isBelow(request!.largestGapMs, 1000)
    assert.isAtLeast(request!.lastByteAt - request!.firstByteAt, request!.largestGapMs)
  })

  it("may be code", async () => {
    const server = await start(async (connection) => {
      const request = await connection.readHead()
      await connection.readBody()
      await connection.respond(200, [], request.path.slice(1).toUpperCase())
    })
    assert.strictEqual((await send({ port: server.port, path: "/hello", framing: "none" })).body, "HELLO")
    assert.strictEqual((await send({ port: server.port, path: "/again", framing: "none" })).body, "AGAIN")
  })
})

describe("over TLS", () => {
  const put = (url: string, body: Buffer) =>
    new Promise<number | string | undefined>((resolve) => {
      const request = https.request(url, { method: "PUT", ca: cert, agent: false }, (answer) => {
        answer.resume()
        answer.on("end", () => resolve(answer.statusCode))
      })
      request.on("error", (error: NodeJS.ErrnoException) => resolve(error.code))
      request.end(body)
    })

  it("answers, and resets", async () => {
    const script = [FaultServer.readHead, FaultServer.readBody(10), FaultServer.reset]
    const server = await start([FaultServer.answer(204), script], { tls: { key, cert } })
    assert.match(server.url, /^https:/)
    const body = noise(100_000)
    assert.strictEqual(await put(server.url, body), 204)
    assert.strictEqual(server.requests[0]?.sha512, sha512(body))
    assert.strictEqual(await put(server.url, body), "ECONNRESET")
  })
})
