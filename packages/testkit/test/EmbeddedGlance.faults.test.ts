import { createHash } from "node:crypto"
import { assert, describe, it } from "vitest"
import { manners, noise, start, until } from "./site.ts"

const MiB = 1024 * 1024
const sha512 = (bytes: Buffer) => createHash("sha512").update(bytes).digest("hex")

describe.each(manners)("faults behind $manner", ({ manner }) => {
  it("answer: before, in and after the body, without a request id", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "answer", at: "before", status: 503, headers: [["Retry-After", "1"]] },
        { type: "answer", at: { afterBytes: MiB }, status: 502, body: "<html>502</html>" },
        { type: "answer", at: "after", status: 504 }
      ]
    })
    const id = await site.create()
    const body = noise(4 * MiB)
    const before = await site.put(id, { body, expectMs: 300 })
    assert.strictEqual(before.status, 503)
    assert.strictEqual(before.sentBefore, 0)
    assert.strictEqual(before.headers["retry-after"], "1")
    assert.notProperty(before.headers, "x-openstack-request-id")
    const middle = await site.put(id, { body, stopAfter: MiB + 65_536, then: "silence" })
    assert.strictEqual(middle.status, 502)
    assert.strictEqual(middle.body, "<html>502</html>")
    middle.socket.destroy()
    assert.strictEqual(site.status(id), "queued")
    const after = await site.put(id, { body })
    assert.strictEqual(after.status, 504)
    assert.strictEqual(after.sentBefore, body.length)
    assert.strictEqual(site.status(id), "queued")
    assert.strictEqual((await site.put(id, { body })).status, 204)
    assert.strictEqual(site.glance.faults.waiting(), 0)
  })

  it("drop: the 204 is lost, the image is active", async () => {
    const site = await start({ manner, faults: [{ type: "drop", at: "after", how: "reset", image: "active" }] })
    const id = await site.create()
    const body = noise(MiB)
    const outcome = await site.put(id, { body })
    assert.isUndefined(outcome.status)
    assert.strictEqual(outcome.ended, "ECONNRESET")
    const image = site.glance.images.get(id)
    assert.deepInclude(image, { status: "active", size: MiB, hashValue: sha512(body) })
    assert.isTrue((await site.glance.images.bytes(id))?.equals(body))
  })

  it("drop: a reset in the middle, a close in the middle", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "drop", at: { afterBytes: MiB }, how: "reset" },
        { type: "drop", at: { afterBytes: 0 }, how: "close" }
      ]
    })
    const id = await site.create()
    for (let round = 0; round < 2; round++) {
      const outcome = await site.put(id, { body: noise(8 * MiB) })
      assert.isUndefined(outcome.status)
      assert.isBelow(outcome.sent, 8 * MiB)
      assert.notStrictEqual(outcome.ended, "open")
      assert.strictEqual(site.status(id), "queued")
    }
    assert.strictEqual((await site.put(id, { body: noise(10) })).status, 204)
  })

  it("drop: saving that ends, and saving that does not", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "drop", at: "after", how: "reset", image: { status: "saving", forMs: 150, then: "active" } },
        { type: "drop", at: "after", how: "reset", image: { status: "saving", forMs: 150, then: "queued" } },
        { type: "drop", at: { afterBytes: 10 }, how: "reset", image: "saving" }
      ]
    })
    const body = noise(100_000)
    const ids = [await site.create(), await site.create(), await site.create()] as const
    for (const id of ids) {
      await site.put(id, { body })
      assert.strictEqual(site.status(id), "saving")
    }
    await until(() => site.status(ids[0]) === "active" && site.status(ids[1]) === "queued")
    assert.strictEqual(site.glance.images.get(ids[0])?.hashValue, sha512(body))
    assert.isNull(site.glance.images.get(ids[1])?.checksum)
    assert.strictEqual(site.status(ids[2]), "saving")
  })

  it("drop: poisoned, deleted", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "answer", at: "after", status: 500, image: "poisoned" },
        { type: "drop", at: "after", how: "reset", image: "deleted" }
      ]
    })
    const poisoned = await site.create()
    await site.put(poisoned, { body: noise(10) })
    assert.strictEqual(site.status(poisoned), "queued")
    assert.isNotNull(site.glance.images.get(poisoned)?.checksum)
    const deleted = await site.create()
    assert.isUndefined((await site.put(deleted, { body: noise(10) })).status)
    assert.strictEqual(site.status(deleted), "deleted")
  })

  it("drop: hang answers nothing and reads nothing", async () => {
    const site = await start({
      manner,
      faults: [{ type: "drop", at: { afterBytes: 1 }, how: "hang", image: "saving" }]
    })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(1000), timeoutMs: 300 })
    assert.isUndefined(outcome.status)
    assert.strictEqual(outcome.ended, "open")
    assert.strictEqual(site.status(id), "saving")
    outcome.socket.destroy()
  })

  it("delay: the answer comes late, and until then the image is saving", async () => {
    const site = await start({ manner, faults: [{ type: "delay", at: "after", ms: 200 }] })
    const id = await site.create()
    const began = performance.now()
    const answer = site.put(id, { body: noise(1000) })
    await until(() => site.status(id) === "saving")
    assert.strictEqual((await answer).status, 204)
    assert.isAtLeast(performance.now() - began, 195)
  })

  it("trickle: the body is read at that rate", async () => {
    const site = await start({ manner, faults: [{ type: "trickle", bytesPerSecond: 10 * MiB }] })
    const id = await site.create()
    const began = performance.now()
    assert.strictEqual((await site.put(id, { body: noise(4 * MiB) })).status, 204)
    assert.isAtLeast(performance.now() - began, 350)
  })

  it("corrupt, truncate, report: the record differs from what was sent", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "corrupt", offset: 70_000 },
        { type: "truncate", bytes: 1000 },
        { type: "report", size: 5, hashValue: "00" }
      ]
    })
    const body = noise(100_000)
    const corrupted = await site.create()
    assert.strictEqual((await site.put(corrupted, { body })).status, 204)
    const stored = (await site.glance.images.bytes(corrupted))!
    assert.deepStrictEqual(
      [...stored.entries()].filter(([at, byte]) => byte !== body[at]).map(([at]) => at),
      [70_000]
    )
    assert.strictEqual(site.glance.images.get(corrupted)?.hashValue, sha512(stored))
    const truncated = await site.create()
    assert.strictEqual((await site.put(truncated, { body })).status, 204)
    assert.deepInclude(site.glance.images.get(truncated), {
      status: "active",
      size: 1000,
      hashValue: sha512(body.subarray(0, 1000))
    })
    const reported = await site.create()
    assert.strictEqual((await site.put(reported, { body })).status, 204)
    assert.deepInclude(site.glance.images.get(reported), { status: "active", size: 5, hashValue: "00" })
  })

  it("store: it lands elsewhere", async () => {
    const site = await start({
      manner,
      stores: [{ id: "fast" }, { id: "cheap" }],
      faults: [{ type: "store", id: "fast" }]
    })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(10), headers: { "X-Image-Meta-Store": "cheap" } })
    assert.strictEqual(outcome.status, 204)
    assert.deepStrictEqual(site.glance.images.get(id)?.stores, ["fast"])
  })

  it("delete: somebody deletes it meanwhile", async () => {
    const site = await start({ manner, faults: [{ type: "delete", at: { afterBytes: 65_536 } }] })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(MiB) })
    assert.strictEqual(outcome.status, 410)
    assert.strictEqual(outcome.sentBefore, MiB)
    assert.strictEqual(site.status(id), "deleted")
  })

  it("otherWriter: 410, and the image is the winner's", async () => {
    const bytes = Buffer.from("the winner's")
    const site = await start({ manner, faults: [{ type: "otherWriter", bytes }] })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(MiB), expectMs: 300 })
    assert.strictEqual(outcome.status, 410)
    assert.include(outcome.body, "could not be found after upload")
    assert.deepInclude(site.glance.images.get(id), { status: "active", hashValue: sha512(bytes) })
  })

  it("are for the operation that they name", async () => {
    const site = await start({
      manner,
      faults: [
        { type: "answer", on: "show", at: "before", status: 503 },
        { type: "drop", on: "create", at: "after", how: "reset" },
        { type: "answer", on: "delete", at: "before", status: 401, requestId: true }
      ]
    })
    const made = await site.call("POST", "/v2/images", { name: "made" })
    assert.isUndefined(made.status)
    assert.deepStrictEqual(
      site.glance.images.list().map((image) => image.name),
      ["made"]
    )
    const { id } = site.glance.images.list()[0]!
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`)).status, 503)
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`)).status, 200)
    const refused = await site.call("DELETE", `/v2/images/${id}`)
    assert.strictEqual(refused.status, 401)
    assert.property(refused.headers, "x-openstack-request-id")
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
  })

  it("may be chosen upload by upload", async () => {
    const seen: Array<number> = []
    const site = await start({
      manner,
      onUpload: ({ headers, image, number }) => {
        seen.push(number)
        assert.strictEqual(headers["content-type"], "application/octet-stream")
        assert.strictEqual(image?.status, "queued")
        return number === 1 ? { type: "answer", at: "before", status: 503 } : undefined
      }
    })
    const id = await site.create()
    assert.strictEqual((await site.put(id, { body: noise(10), expectMs: 300 })).status, 503)
    assert.strictEqual((await site.put(id, { body: noise(10) })).status, 204)
    assert.deepStrictEqual(seen, [1, 2])
  })

  it("may be added while it runs", async () => {
    const site = await start({ manner })
    const id = await site.create()
    site.glance.faults.push({ type: "none" }, { type: "answer", at: "after", status: 500 })
    assert.strictEqual((await site.put(id, { body: noise(10) })).status, 204)
    const two = await site.create()
    assert.strictEqual((await site.put(two, { body: noise(10) })).status, 500)
  })
})
