import { createHash } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { sleep } from "./raw.ts"
import { manners, noise, start, until } from "./site.ts"

const MiB = 1024 * 1024
const md5 = (bytes: Buffer) => createHash("md5").update(bytes).digest("hex")
const sha512 = (bytes: Buffer) => createHash("sha512").update(bytes).digest("hex")
const stores = [
  { id: "fast", default: true },
  { id: "cheap" },
  { id: "ro", readOnly: true },
  { id: "small", fullAfterBytes: 100_000 },
  { id: "locked", unwritable: true },
  { id: "gone", missing: true }
] as const
const ids = { expectMs: 300 } as const

describe.each(manners)("an upload behind $manner", ({ manner }) => {
  it.each(["length", "chunked"] as const)("is stored and digested (%s)", async (framing) => {
    const site = await start({ manner, stores })
    const id = await site.create()
    const body = noise(3 * MiB + 17)
    const outcome = await site.put(id, { body, framing })
    assert.strictEqual(outcome.status, 204)
    assert.strictEqual(outcome.body, "")
    assert.match(outcome.headers["x-openstack-request-id"] ?? "", /^req-/)
    const shown = JSON.parse((await site.call("GET", `/v2/images/${id}`)).body) as Record<string, unknown>
    assert.strictEqual(shown["status"], "active")
    assert.strictEqual(shown["size"], body.length)
    assert.strictEqual(shown["virtual_size"], body.length)
    assert.strictEqual(shown["checksum"], md5(body))
    assert.strictEqual(shown["os_hash_algo"], "sha512")
    assert.strictEqual(shown["os_hash_value"], sha512(body))
    assert.strictEqual(shown["stores"], "fast")
    assert.isTrue((await site.glance.images.bytes(id))?.equals(body))
    assert.strictEqual(site.glance.requests.find((each) => each.method === "PUT")?.bodyBytes, body.length)
  })

  it.each([
    ["length 0", { framing: "length" }],
    ["empty chunked", { framing: "chunked" }],
    ["neither", { framing: "none" }]
  ] as const)("without a body is an active image of size 0 (%s)", async (_, sending) => {
    const site = await start({ manner })
    const id = await site.create()
    assert.strictEqual((await site.put(id, sending)).status, 204)
    assert.strictEqual(site.status(id), "active")
    assert.strictEqual(site.glance.images.get(id)?.size, 0)
    assert.strictEqual(site.glance.images.get(id)?.checksum, "d41d8cd98f00b204e9800998ecf8427e")
  })

  it("lands in the store of the header, and in the staging store as well", async () => {
    const site = await start({ manner, stores })
    for (const store of ["cheap", "os_glance_staging_store"]) {
      const id = await site.create()
      const outcome = await site.put(id, { body: noise(1000), headers: { "X-Image-Meta-Store": store } })
      assert.strictEqual(outcome.status, 204)
      assert.deepStrictEqual(site.glance.images.get(id)?.stores, [store])
    }
  })

  it("ignores the store header where there is one store", async () => {
    const site = await start({ manner })
    const id = await site.create()
    assert.strictEqual(
      (await site.put(id, { body: noise(10), headers: { "X-Image-Meta-Store": "cheap" } })).status,
      204
    )
    assert.notProperty(site.glance.images.get(id)!.view, "stores")
  })

  const before = [
    [400, "an unknown store", { "X-Image-Meta-Store": "nosuch" }, {}, "Store for identifier nosuch not found"],
    [400, "a list of stores", { "X-Image-Meta-Store": "fast,cheap" }, {}, "Store for identifier fast,cheap not found"],
    [
      400,
      "no formats",
      {},
      { disk_format: null, container_format: null },
      "Properties disk_format, container_format must be set prior to saving data."
    ],
    [400, "one format", {}, { disk_format: null }, "Property disk_format must be set prior to saving data."],
    [
      410,
      "a read-only store",
      { "X-Image-Meta-Store": "ro" },
      {},
      "Error in store configuration. Adding images to store is disabled."
    ],
    [
      503,
      "a store that cannot be written",
      { "X-Image-Meta-Store": "locked" },
      {},
      "Insufficient permissions on image storage media: Permission to write image storage media denied."
    ],
    [500, "a store that is gone", { "X-Image-Meta-Store": "gone" }, {}, "The server has either erred or is incapable"],
    [415, "another type", { "Content-Type": "text/plain" }, {}, "The request media type text/plain is not supported"],
    [415, "no type", { "Content-Type": undefined }, {}, "is not supported by this server."]
  ] as const
  it.each(before)("answers %i before the body for %s", async (status, _, headers, values, words) => {
    const site = await start({ manner, stores })
    const id = await site.create(values)
    const outcome = await site.put(id, { body: noise(MiB), headers, ...ids })
    assert.strictEqual(outcome.status, status)
    assert.strictEqual(outcome.sentBefore, 0)
    assert.isFalse(outcome.continued)
    assert.include(outcome.body, words)
    assert.include(outcome.body, "<html>")
    assert.match(outcome.headers["x-openstack-request-id"] ?? "", /^req-/)
    assert.strictEqual(site.status(id), "queued")
    assert.isNull(site.glance.images.get(id)?.checksum)
  })

  it("answers 404 for an image that is not there", async () => {
    const site = await start({ manner })
    const outcome = await site.put("00000000-0000-4000-8000-000000000000", { body: noise(10), ...ids })
    assert.strictEqual(outcome.status, 404)
    assert.include(outcome.body, "No image found with ID 00000000-0000-4000-8000-000000000000")
  })

  it("answers 409 while another upload runs, which goes on", async () => {
    const site = await start({ manner })
    const id = await site.create()
    const body = noise(MiB)
    let second: number | undefined
    const first = await site.put(id, {
      body,
      at: {
        bytes: MiB / 2,
        run: async () => {
          assert.strictEqual(site.status(id), "saving")
          const outcome = await site.put(id, { body: noise(10), ...ids })
          assert.include(outcome.body, "Image status transition from saving to saving is not allowed")
          second = outcome.status
        }
      }
    })
    assert.strictEqual(second, 409)
    assert.strictEqual(first.status, 204)
    assert.strictEqual(site.glance.images.get(id)?.checksum, md5(body))
  })

  it("answers 409 for what is active, staged or deactivated", async () => {
    const site = await start({ manner })
    const active = await site.create()
    await site.put(active, { body: noise(10) })
    const off = await site.create()
    await site.put(off, { body: noise(10) })
    assert.strictEqual((await site.call("POST", `/v2/images/${off}/actions/deactivate`)).status, 204)
    const staged = await site.create()
    const stage = await site.call("PUT", `/v2/images/${staged}/stage`, noise(10), {
      "Content-Type": "application/octet-stream"
    })
    assert.strictEqual(stage.status, 204)
    for (const [id, status] of [
      [active, "active"],
      [off, "deactivated"],
      [staged, "uploading"]
    ] as const) {
      const outcome = await site.put(id, { body: noise(10), ...ids })
      assert.strictEqual(outcome.status, 409)
      assert.include(outcome.body, `Image status transition from ${status} to saving is not allowed`)
      assert.strictEqual(site.status(id), status)
    }
  })

  it("answers 410 after the whole body when the image was deleted meanwhile", async () => {
    const site = await start({ manner })
    const id = await site.create()
    const body = noise(2 * MiB)
    const outcome = await site.put(id, {
      body,
      at: {
        bytes: MiB,
        run: async () => assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
      }
    })
    assert.strictEqual(outcome.status, 410)
    assert.strictEqual(outcome.sentBefore, body.length)
    assert.include(outcome.body, "The image may have been deleted during the upload, cleaning up the chunks uploaded.")
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`)).status, 404)
    assert.isUndefined(await site.glance.images.bytes(id))
  })

  it("a deleted id cannot be used again", async () => {
    const site = await start({ manner })
    const id = "5f2a4a0e-9d3c-4b38-8d53-0c1b2a3d4e5f"
    await site.create({ id })
    await site.call("DELETE", `/v2/images/${id}`)
    const again = await site.call("POST", "/v2/images", { id })
    assert.strictEqual(again.status, 409)
    assert.include(again.body, `Image ID ${id} already exists!`)
  })

  it("answers 413 in the middle when the cap is passed", async () => {
    const site = await start({ manner, quota: { imageSizeCap: MiB } })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(32 * MiB) })
    assert.strictEqual(outcome.status, 413)
    assert.include(outcome.body, "The incoming image is too large: The provided image is too large.")
    assert.isAbove(outcome.sentBefore, 0)
    assert.isBelow(outcome.sentBefore, 32 * MiB)
    assert.strictEqual(site.status(id), "queued")
    assert.strictEqual((await site.put(id, { body: noise(100) })).status, 204)
  })

  it("answers 413 in the middle when the disk is full", async () => {
    const site = await start({ manner, stores })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(MiB), headers: { "X-Image-Meta-Store": "small" } })
    assert.strictEqual(outcome.status, 413)
    assert.include(outcome.body, "Image storage media is full: There is not enough disk space on the image storage")
    assert.strictEqual(site.status(id), "queued")
    assert.strictEqual((await site.put(id, { body: noise(100) })).status, 204)
  })

  it("user_storage_quota: a known size is refused before the body", async () => {
    const site = await start({ manner, quota: { userStorageQuota: MiB } })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(2 * MiB), ...ids })
    assert.strictEqual(outcome.status, 413)
    assert.strictEqual(outcome.sentBefore, 0)
    assert.include(
      outcome.body,
      `Image exceeds the storage quota: The size of the data ${2 * MiB} will exceed the limit. ${MiB} bytes remaining.`
    )
    assert.strictEqual(site.status(id), "queued")
  })

  it("user_storage_quota: an unknown size is refused after the body, and the image stays saving", async () => {
    const site = await start({ manner, quota: { userStorageQuota: MiB } })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(2 * MiB), framing: "chunked" })
    assert.strictEqual(outcome.status, 413)
    assert.strictEqual(outcome.sentBefore, 2 * MiB)
    assert.strictEqual(site.status(id), "saving")
    assert.strictEqual((await site.put(id, { body: noise(10), ...ids })).status, 409)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
  })

  it("image_count_uploading refuses the one too many, which is queued again", async () => {
    const site = await start({ manner, auth: "fake", quota: { imageCountUploading: 1 } })
    const token = { "X-Auth-Token": "u:p:member" }
    const [one, two] = [await site.create({}, token), await site.create({}, token)]
    let second: Awaited<ReturnType<typeof site.put>> | undefined
    const first = await site.put(one, {
      body: noise(MiB),
      headers: token,
      at: {
        bytes: MiB / 2,
        run: async () => void (second = await site.put(two, { body: noise(10), headers: token, ...ids }))
      }
    })
    assert.strictEqual(first.status, 204)
    assert.strictEqual(second?.status, 413)
    assert.include(second?.body, "The request returned a 413 Request Entity Too Large.")
    assert.include(
      second?.body,
      "Project p is over a limit for [Resource image_count_uploading is over limit of 1 due to current usage 2 and delta 0]"
    )
    assert.strictEqual(site.status(two), "queued")
    assert.strictEqual((await site.put(two, { body: noise(10), headers: token })).status, 204)
  })

  it("a client that resets leaves a queued image that can be uploaded again", async () => {
    const site = await start({ manner })
    for (const framing of ["length", "chunked"] as const) {
      const id = await site.create()
      await site.put(id, { body: noise(4 * MiB), framing, stopAfter: MiB, then: "reset" })
      await until(() => site.status(id) === "queued")
      assert.isNull(site.glance.images.get(id)?.checksum)
      assert.strictEqual((await site.put(id, { body: noise(1000) })).status, 204)
    }
  })

  it("a client that half-closes gets an answer, and the image is queued", async () => {
    const site = await start({ manner })
    for (const framing of ["length", "chunked"] as const) {
      const id = await site.create()
      const outcome = await site.put(id, { body: noise(4 * MiB), framing, stopAfter: MiB, then: "fin" })
      const expected = manner === "eventlet" && framing === "chunked" ? 400 : 500
      assert.strictEqual(outcome.status, expected)
      if (expected === 400) assert.include(outcome.body, "invalid literal for int() with base 16: b&#x27;&#x27;")
      assert.strictEqual(site.status(id), "queued")
    }
  })

  it("a killed service leaves the image saving for ever", async () => {
    const site = await start({ manner })
    const id = await site.create()
    const outcome = await site.put(id, {
      body: noise(4 * MiB),
      at: { bytes: MiB, run: async () => site.glance.kill() }
    })
    assert.isUndefined(outcome.status)
    await sleep(50)
    assert.strictEqual(site.status(id), "saving")
    assert.strictEqual((await site.put(id, { body: noise(10), ...ids })).status, 409)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
  })

  it("what promises more than one body is stored as declared", async () => {
    const site = await start({ manner })
    const id = await site.create()
    const outcome = await site.put(id, { body: noise(100_000), declared: "65536" })
    assert.strictEqual(outcome.status, 204)
    assert.strictEqual(site.glance.images.get(id)?.size, 65_536)
  })
})

describe("data on disk", () => {
  const files = (dir: string) =>
    readdirSync(dir, { recursive: true, withFileTypes: true }).filter((each) => each.isFile())

  it("is one file an image, gone after a failure and after DELETE, left behind by a kill", async () => {
    const dir = mkdtempSync(join(tmpdir(), "testkit-"))
    const site = await start({ data: { dir }, stores: [{ id: "fast" }] })
    const id = await site.create()
    await site.put(id, { body: noise(4 * MiB), stopAfter: MiB, then: "fin" })
    assert.strictEqual(site.status(id), "queued")
    assert.lengthOf(files(dir), 0)
    const body = noise(MiB)
    assert.strictEqual((await site.put(id, { body })).status, 204)
    assert.isTrue(readFileSync(join(dir, "fast", id)).equals(body))
    await site.call("DELETE", `/v2/images/${id}`)
    assert.lengthOf(files(dir), 0)
    const killed = await site.create()
    await site.put(killed, { body: noise(4 * MiB), at: { bytes: MiB, run: async () => site.glance.kill() } })
    await until(() => files(dir).length === 1)
    await sleep(20)
    assert.deepStrictEqual(
      files(dir).map((each) => each.name),
      [killed]
    )
    rmSync(dir, { recursive: true })
  })
})

describe("the silent client", () => {
  it.each(manners)("costs 500 after the socket timeout ($manner)", async ({ manner }) => {
    const site = await start({ manner, socketTimeoutMs: 150 })
    for (const framing of ["length", "chunked"] as const) {
      const id = await site.create()
      const outcome = await site.put(id, { body: noise(MiB), framing, stopAfter: MiB / 2, then: "silence" })
      assert.strictEqual(outcome.status, 500)
      assert.strictEqual(site.status(id), "queued")
    }
  })

  it("a pause shorter than the timeout is nothing", async () => {
    const site = await start({ manner: "uwsgi", socketTimeoutMs: 400 })
    const id = await site.create()
    assert.strictEqual((await site.put(id, { body: noise(MiB), pauseMs: 100 })).status, 204)
  })
})

describe("x-openstack-image-size", () => {
  const body = noise(100_000)
  const header = (value: string) => ({ "x-openstack-image-size": value })

  it.each(["50000", "200000", "abc", "", "-1"])("Zed ignores %j", async (value) => {
    const site = await start({ release: "zed" })
    const id = await site.create()
    assert.strictEqual((await site.put(id, { body, headers: header(value) })).status, 204)
  })

  it.each([
    ["100000", 204, ""],
    ["0", 204, ""],
    ["50000", 400, "Size exceeds: expected 50000 bytes, got 65536 bytes"],
    ["200000", 400, "Size mismatch: expected 200000 bytes, got 100000 bytes"],
    ["-7", 400, "Size exceeds: expected -7 bytes, got 65536 bytes"],
    ["abc", 400, "Invalid or missing image size in request headers."],
    ["", 400, "Invalid or missing image size in request headers."]
  ] as const)("33 holds the body against %j: %i", async (value, status, words) => {
    for (const framing of ["length", "chunked"] as const) {
      const site = await start({ manner: "uwsgi" })
      const id = await site.create()
      const outcome = await site.put(id, { body, framing, headers: header(value) })
      assert.strictEqual(outcome.status, status)
      assert.include(outcome.body, words)
      assert.strictEqual(site.status(id), status === 204 ? "active" : "queued")
      if (status === 204) continue
      assert.isNull(site.glance.images.get(id)?.checksum)
      assert.strictEqual((await site.put(id, { body })).status, 204)
    }
  })

  it.each(["length", "chunked", "none"] as const)(
    "33 refuses an empty body that promises bytes (%s)",
    async (framing) => {
      const site = await start({ manner: "uwsgi" })
      const id = await site.create()
      const outcome = await site.put(id, { framing, headers: header("100000") })
      assert.strictEqual(outcome.status, 400)
      assert.include(outcome.body, "Size mismatch: expected 100000 bytes, got 0 bytes")
      assert.strictEqual(site.status(id), "queued")
    }
  )

  it("33 refuses a chunked upload over the quota before the body when the size is known", async () => {
    const site = await start({ manner: "uwsgi", quota: { userStorageQuota: 1000 } })
    const id = await site.create()
    const outcome = await site.put(id, { body, framing: "chunked", headers: header("100000"), ...ids })
    assert.strictEqual(outcome.status, 413)
    assert.strictEqual(outcome.sentBefore, 0)
    assert.strictEqual(site.status(id), "queued")
  })
})

describe("image_size_total", () => {
  const token = { "X-Auth-Token": "u:p:member" }
  const quota = { imageSizeTotal: 2 }

  it("Zed looks only at what is there already", async () => {
    const site = await start({ auth: "fake", quota })
    const ids = [await site.create({}, token), await site.create({}, token)] as const
    assert.strictEqual((await site.put(ids[0], { body: noise(3 * MiB), headers: token })).status, 204)
    const outcome = await site.put(ids[1], { body: noise(10), headers: token, expectMs: 300 })
    assert.strictEqual(outcome.status, 413)
    assert.include(outcome.body, "Resource image_size_total is over limit of 2 due to current usage 3 and delta 0")
  })

  it("33 counts the size that it knows", async () => {
    const site = await start({ manner: "uwsgi", auth: "fake", quota })
    const id = await site.create({}, token)
    const outcome = await site.put(id, { body: noise(3 * MiB), headers: token, expectMs: 100 })
    assert.strictEqual(outcome.status, 413)
    assert.strictEqual(outcome.sentBefore, 0)
    assert.include(outcome.body, "current usage 0 and delta 3")
    assert.strictEqual((await site.put(id, { body: noise(3 * MiB), framing: "chunked", headers: token })).status, 204)
    const usage = JSON.parse((await site.call("GET", "/v2/info/usage", undefined, token)).body) as unknown
    assert.deepStrictEqual(usage, {
      usage: {
        image_size_total: { usage: 3, limit: 2 },
        image_stage_total: { usage: 0, limit: -1 },
        image_count_total: { usage: 1, limit: -1 },
        image_count_uploading: { usage: 0, limit: -1 }
      }
    })
  })
})
