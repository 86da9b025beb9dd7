import { createHash } from "node:crypto"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as FaultServer from "@headrace/testkit/FaultServer"
import { assert, describe, it } from "vitest"
import { again, send } from "./raw.ts"
import { closing, manners, noise, start as startGlance, until } from "./site.ts"

const MiB = 1024 * 1024
const sha512 = (bytes: Buffer) => createHash("sha512").update(bytes).digest("hex")
const octets = { "Content-Type": "application/octet-stream" }

describe.each(manners)("a proxy before a Glance behind $manner", ({ manner }) => {
  const start = async (...faults: ReadonlyArray<FaultProxy.ProxyFault>) => {
    const site = await startGlance({ manner })
    const proxy = closing(await FaultProxy.start({ target: { port: site.glance.port }, faults }))
    const put = (id: string, body: Buffer, more: Partial<Parameters<typeof send>[0]> = {}) =>
      send({ port: proxy.port, method: "PUT", path: `/v2/images/${id}/file`, headers: octets, body, ...more })
    return { site, proxy, put, id: await site.create() }
  }

  it.each(["length", "chunked"] as const)("passes bytes and chunks as they are (%s)", async (framing) => {
    const { id, proxy, put, site } = await start()
    const body = noise(3 * MiB + 5)
    const outcome = await put(id, body, { framing, piece: 100_000 })
    assert.strictEqual(outcome.status, 204)
    assert.strictEqual(outcome.ended, manner === "uwsgi" ? "fin" : "open")
    outcome.socket.destroy()
    assert.strictEqual(site.glance.images.get(id)?.hashValue, sha512(body))
    assert.strictEqual(site.glance.requests.at(-1)?.largestChunk, framing === "chunked" ? 100_000 : 0)
    assert.deepInclude(proxy.requests[0], { method: "PUT", sent: body.length, status: 204, fault: "none" })
    const got = await fetch(`${proxy.url}/v2/images/${id}/file`)
    assert.isTrue(Buffer.from(await got.arrayBuffer()).equals(body))
  })

  it("passes 100 Continue and early answers", async () => {
    const { id, put } = await start()
    const outcome = await put(id, noise(MiB), { expectMs: 300 })
    assert.strictEqual(outcome.continued, manner === "eventlet")
    assert.strictEqual(outcome.status, 204)
    outcome.socket.destroy()
    const early = await put(id, noise(MiB), { expectMs: 300 })
    assert.strictEqual(early.status, 409)
    assert.strictEqual(early.sentBefore, 0)
    assert.notStrictEqual(early.ended, "open")
  })

  it("loses the 204: the image is active", async () => {
    const { id, proxy, put, site } = await start({ type: "dropAnswer", how: "reset" })
    const body = noise(MiB)
    const outcome = await put(id, body)
    assert.isUndefined(outcome.status)
    assert.strictEqual(outcome.ended, "ECONNRESET")
    assert.deepInclude(site.glance.images.get(id), { status: "active", hashValue: sha512(body) })
    assert.strictEqual(proxy.requests[0]?.status, 204)
  })

  it("replaces the 204 by a 502 without a request id", async () => {
    const { id, put, site } = await start({ type: "replaceAnswer", status: 502 })
    const outcome = await put(id, noise(MiB))
    assert.strictEqual(outcome.status, 502)
    assert.include(outcome.body, "<html>")
    assert.notProperty(outcome.headers, "x-openstack-request-id")
    assert.strictEqual(site.status(id), "active")
  })

  it("cuts the request after exactly so many body bytes", async () => {
    for (const framing of ["length", "chunked"] as const) {
      const { id, proxy, put, site } = await start({ type: "cutRequest", afterBytes: 1_000_001, how: "reset" })
      const outcome = await put(id, noise(8 * MiB), { framing })
      assert.isUndefined(outcome.status)
      assert.strictEqual(proxy.requests[0]?.sent, 1_000_001)
      await until(() => site.status(id) === "queued")
      const after = await put(id, noise(10))
      assert.strictEqual(after.status, 204)
      after.socket.destroy()
    }
  })

  it("changes one bit of exactly the byte that was asked for", async () => {
    for (const framing of ["length", "chunked"] as const) {
      const at = 1_000_001
      const { id, put, site } = await start({ type: "corruptRequest", atByte: at })
      const body = noise(3 * MiB)
      const outcome = await put(id, body, { framing })
      assert.strictEqual(outcome.status, 204)
      outcome.socket.destroy()
      const expected = Buffer.from(body)
      expected[at]! ^= 1
      assert.strictEqual(site.glance.images.get(id)?.hashValue, sha512(expected))
    }
  })

  it("refuses before a byte", async () => {
    const { id, put, site } = await start({ type: "refuse" })
    const outcome = await put(id, noise(100))
    assert.isUndefined(outcome.status)
    assert.strictEqual(outcome.ended, "ECONNRESET")
    assert.lengthOf(
      site.glance.requests.filter((each) => each.method === "PUT"),
      0
    )
  })

  it("stalls the request for a while", async () => {
    const { id, put } = await start({ type: "stallRequest", afterBytes: 100_000, ms: 200 })
    const began = performance.now()
    const outcome = await put(id, noise(MiB))
    assert.strictEqual(outcome.status, 204)
    assert.isAtLeast(performance.now() - began, 195)
    outcome.socket.destroy()
  })

  it("slows the request down", async () => {
    const { id, put } = await start({ type: "slowRequest", bytesPerSecond: 4 * MiB })
    const began = performance.now()
    const outcome = await put(id, noise(MiB))
    assert.strictEqual(outcome.status, 204)
    assert.isAtLeast(performance.now() - began, 200)
    outcome.socket.destroy()
  })

  it("answers early for a gateway", async () => {
    const { id, put, site } = await start({ type: "answerEarly", afterBytes: 100_000, status: 413, body: "too large" })
    const outcome = await put(id, noise(MiB), { stopAfter: 150_000, then: "silence" })
    assert.strictEqual(outcome.status, 413)
    assert.strictEqual(outcome.body, "too large")
    await until(() => site.status(id) === "queued")
  })

  it("delays the answer", async () => {
    const { id, put } = await start({ type: "delayAnswer", ms: 200 })
    const began = performance.now()
    const outcome = await put(id, noise(1000))
    assert.strictEqual(outcome.status, 204)
    assert.isAtLeast(performance.now() - began, 195)
    outcome.socket.destroy()
  })

  it("is for uploads unless it is told otherwise", async () => {
    const { id, proxy } = await start({ type: "dropAnswer", how: "reset" })
    const get = { port: proxy.port, path: `/v2/images/${id}`, framing: "none" } as const
    const shown = await send(get)
    assert.strictEqual(shown.status, 200)
    assert.strictEqual(proxy.waiting(), 1)
    if (manner === "eventlet") assert.strictEqual((await again(shown, get)).status, 200)
    shown.socket.destroy()
  })
})

describe("a proxy before a download", () => {
  const start = async (fault: FaultProxy.ProxyFault) => {
    const server = closing(await FaultServer.start([FaultServer.answer(200, [["ETag", '"x"']], noise(500_000))]))
    return closing(await FaultProxy.start({ target: { port: server.port }, match: () => true, faults: [fault] }))
  }

  it("cuts the answer after exactly so many bytes", async () => {
    const proxy = await start({ type: "cutAnswer", afterBytes: 123_456, how: "reset" })
    const outcome = await send({ port: proxy.port, path: "/", framing: "none" })
    assert.strictEqual(outcome.status, 200)
    assert.strictEqual(outcome.body, "")
    assert.strictEqual(outcome.ended, "ECONNRESET")
    assert.strictEqual(proxy.requests[0]?.received, 123_456)
  })

  it("stalls the answer for a while", async () => {
    const proxy = await start({ type: "stallAnswer", afterBytes: 1000, ms: 150 })
    const began = performance.now()
    const got = await fetch(proxy.url)
    assert.isTrue(Buffer.from(await got.arrayBuffer()).equals(noise(500_000)))
    assert.isAtLeast(performance.now() - began, 145)
  })
})
