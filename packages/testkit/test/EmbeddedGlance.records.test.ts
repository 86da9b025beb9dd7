import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { assert, describe, it } from "vitest"
import { noise, start, type TestSite } from "./site.ts"

const patch = { "Content-Type": "application/openstack-images-v2.1-json-patch" }
const member = { "X-Auth-Token": "ann:one:member" }
const reader = { "X-Auth-Token": "rae:one:reader" }
const other = { "X-Auth-Token": "bob:two:member" }
const admin = { "X-Auth-Token": "root:ops:admin" }

describe("create", () => {
  it("takes the given id once", async () => {
    const site = await start()
    const id = "11111111-2222-4333-8444-555555555555"
    assert.strictEqual(await site.create({ id }), id)
    assert.strictEqual((await site.call("POST", "/v2/images", { id })).status, 409)
  })

  it("answers with the record and names methods and stores", async () => {
    const site = await start({ stores: [{ id: "fast" }, { id: "cheap" }] })
    const values = { name: "disk", disk_format: "qcow2", container_format: "bare", tags: ["a"], os_distro: "alpine" }
    const made = await site.call("POST", "/v2/images", values)
    const record = JSON.parse(made.body) as Record<string, unknown>
    assert.strictEqual(made.status, 201)
    assert.deepInclude(record, { ...values, status: "queued", visibility: "shared", size: null, checksum: null })
    assert.strictEqual(
      made.headers["location"],
      `http://127.0.0.1:${site.glance.port}/v2/images/${String(record["id"])}`
    )
    assert.strictEqual(made.headers["openstack-image-store-ids"], "fast,cheap")
    assert.strictEqual(made.headers["openstack-image-import-methods"], "glance-direct,copy-image")
  })

  it.each([
    [403, { size: 5 }, "Attribute 'size' is read-only."],
    [403, { checksum: "x" }, "Attribute 'checksum' is read-only."],
    [403, { stores: "fast" }, "Attribute 'stores' is read-only."],
    [403, { os_glance_x: "y" }, "Attribute 'os_glance_x' is reserved."],
    [
      400,
      { disk_format: "floppy" },
      "Provided object does not match schema 'image': 'floppy' is not one of [None, 'ami'"
    ],
    [400, { id: "no-uuid" }, "Provided object does not match schema 'image': 'no-uuid' does not match"],
    [400, { min_disk: "1" }, "'1' is not of type 'integer'"],
    [400, { some: 5 }, "5 is not of type 'string'"],
    [400, { name: "x".repeat(256) }, "is too long"]
  ] as const)("answers %i to %j", async (status, values, words) => {
    const site = await start()
    const made = await site.call("POST", "/v2/images", values, { Accept: "application/json" })
    assert.strictEqual(made.status, status)
    assert.include((JSON.parse(made.body) as { message: string }).message, words)
    assert.lengthOf(site.glance.images.list(), 0)
  })

  it("ignores os_hash_value", async () => {
    const site = await start()
    const made = await site.call("POST", "/v2/images", { os_hash_value: "abc", os_hash_algo: "sha512" })
    assert.strictEqual(made.status, 201)
    assert.isNull((JSON.parse(made.body) as Record<string, unknown>)["os_hash_value"])
  })

  it("answers 400 to what is no JSON, and to nothing", async () => {
    const site = await start()
    assert.include((await site.call("POST", "/v2/images", Buffer.from("{"))).body, "Malformed JSON in request body.")
    assert.include((await site.call("POST", "/v2/images")).body, "Body expected in request.")
  })

  it("answers 413 when there are enough images", async () => {
    const site = await start({ auth: "fake", quota: { imageCountTotal: 1 } })
    await site.create({}, member)
    const made = await site.call("POST", "/v2/images", {}, member)
    assert.strictEqual(made.status, 413)
    assert.include(made.body, "Resource image_count_total is over limit of 1 due to current usage 1 and delta 1")
    await site.create({}, other)
  })
})

describe("change", () => {
  const change = (site: TestSite, id: string, changes: unknown, headers: Record<string, string> = patch) =>
    site.call("PATCH", `/v2/images/${id}`, changes, headers)

  it("adds, replaces and removes", async () => {
    const site = await start()
    const id = await site.create({ os_distro: "alpine" })
    const outcome = await change(site, id, [
      { op: "replace", path: "/name", value: "new" },
      { op: "add", path: "/os_version", value: "3" },
      { op: "remove", path: "/os_distro" },
      { op: "replace", path: "/tags", value: ["x"] }
    ])
    const record = JSON.parse(outcome.body) as Record<string, unknown>
    assert.strictEqual(outcome.status, 200)
    assert.deepInclude(record, { name: "new", os_version: "3", tags: ["x"] })
    assert.notProperty(record, "os_distro")
  })

  it("of a format is for queued images", async () => {
    const site = await start()
    const id = await site.create()
    const format = [{ op: "replace", path: "/disk_format", value: "qcow2" }]
    assert.strictEqual((await change(site, id, format)).status, 200)
    await change(site, id, [{ op: "replace", path: "/disk_format", value: "raw" }])
    await site.put(id, { body: noise(10) })
    assert.strictEqual((await change(site, id, format)).status, 403)
    assert.strictEqual((await change(site, id, [{ op: "replace", path: "/name", value: "x" }])).status, 200)
  })

  it.each([
    [403, [{ op: "replace", path: "/size", value: 1 }], "Attribute 'size' is read-only."],
    [403, [{ op: "replace", path: "/os_hash_value", value: "1" }], "Attribute 'os_hash_value' is read-only."],
    [409, [{ op: "replace", path: "/nosuch", value: "1" }], "Property nosuch does not exist."],
    [403, [{ op: "remove", path: "/name" }], "Property name may not be removed."],
    [400, [{ op: "replace", path: "/name" }], 'requires a member named "value"'],
    [400, [{ op: "test", path: "/name", value: "" }], "Invalid operation: `test`."],
    [400, { op: "replace" }, "Request body must be a JSON array of operation objects."]
  ] as const)("answers %i to %j", async (status, changes, words) => {
    const site = await start()
    const outcome = await change(site, await site.create(), changes, { ...patch, Accept: "application/json" })
    assert.strictEqual(outcome.status, status)
    assert.include((JSON.parse(outcome.body) as { message: string }).message, words)
  })

  it("answers 415 to another type and says which it takes", async () => {
    const site = await start()
    const outcome = await change(site, await site.create(), [], { "Content-Type": "application/json" })
    assert.strictEqual(outcome.status, 415)
    assert.include(outcome.headers["accept-patch"], patch["Content-Type"])
  })

  it("that is refused in part changes nothing", async () => {
    const site = await start()
    const id = await site.create({ name: "old" })
    const outcome = await change(site, id, [
      { op: "replace", path: "/name", value: "new" },
      { op: "remove", path: "/nosuch" }
    ])
    assert.strictEqual(outcome.status, 409)
    assert.strictEqual(site.glance.images.get(id)?.name, "old")
  })
})

describe("delete", () => {
  it("of a protected image is forbidden", async () => {
    const site = await start()
    const id = await site.create({ protected: true })
    const outcome = await site.call("DELETE", `/v2/images/${id}`)
    assert.strictEqual(outcome.status, 403)
    assert.include(outcome.body, `Image ${id} is protected and cannot be deleted.`)
  })

  it("takes the data along", async () => {
    const site = await start()
    const id = await site.create()
    await site.put(id, { body: noise(10) })
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
    assert.isUndefined(await site.glance.images.bytes(id))
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 404)
  })

  it("of one copy leaves the others, and the last one stays", async () => {
    const site = await start({ auth: "fake", stores: [{ id: "fast" }, { id: "cheap" }] })
    const id = await site.create({}, member)
    await site.put(id, { body: noise(10), headers: member })
    const del = (headers: typeof member) => site.call("DELETE", `/v2/stores/fast/${id}`, undefined, headers)
    assert.strictEqual((await del(member)).status, 403)
    assert.strictEqual((await del(admin)).status, 403)
    assert.deepStrictEqual(site.glance.images.get(id)?.stores, ["fast"])
  })
})

describe("who may", () => {
  it.each(["eventlet", "uwsgi"] as const)("a token that nobody knows is 401 before the body (%s)", async (manner) => {
    const site = await start({ manner, auth: "fake" })
    const id = await site.create({}, member)
    for (const token of [undefined, "nonsense"]) {
      const outcome = await site.put(id, { body: noise(1000), headers: { "X-Auth-Token": token }, expectMs: 300 })
      assert.strictEqual(outcome.status, 401)
      assert.strictEqual(outcome.sentBefore, 0)
      assert.include(outcome.body, "This server could not verify that you are authorized to")
      assert.notProperty(outcome.headers, "x-openstack-request-id")
      assert.strictEqual(site.status(id), "queued")
    }
  })

  it("a reader may look and not touch", async () => {
    const site = await start({ auth: "fake" })
    const id = await site.create({}, member)
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`, undefined, reader)).status, 200)
    const outcome = await site.put(id, { body: noise(10), headers: reader, expectMs: 300 })
    assert.strictEqual(outcome.status, 403)
    assert.include(outcome.body, "You are not authorized to complete upload_image action.")
    assert.strictEqual((await site.call("POST", "/v2/images", {}, reader)).status, 403)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`, undefined, reader)).status, 403)
    assert.strictEqual(site.status(id), "queued")
  })

  it("who has no role sees nothing, not even what is his project's", async () => {
    const site = await start({ auth: "fake" })
    const id = await site.create({}, member)
    const stranger = { "X-Auth-Token": "eve:one:guest" }
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`, undefined, stranger)).status, 404)
    assert.strictEqual((await site.put(id, { body: noise(10), headers: stranger })).status, 404)
    assert.strictEqual((await site.call("GET", "/v2/images", undefined, stranger)).status, 403)
  })

  it("another project's image is not there, unless it is community", async () => {
    const site = await start({ auth: "fake" })
    const mine = await site.create({ visibility: "private" }, member)
    for (const [method, path] of [
      ["GET", `/v2/images/${mine}`],
      ["DELETE", `/v2/images/${mine}`],
      ["GET", `/v2/images/${mine}/file`]
    ] as const) {
      assert.strictEqual((await site.call(method, path, undefined, other)).status, 404)
    }
    assert.strictEqual((await site.put(mine, { body: noise(10), headers: other })).status, 404)
    const shown = await site.create({ visibility: "community" }, member)
    assert.strictEqual((await site.call("GET", `/v2/images/${shown}`, undefined, other)).status, 200)
    assert.strictEqual((await site.put(shown, { body: noise(10), headers: other })).status, 403)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${shown}`, undefined, other)).status, 403)
  })

  it("only an administrator makes a public image, or one for somebody else", async () => {
    const site = await start({ auth: "fake" })
    assert.strictEqual((await site.call("POST", "/v2/images", { visibility: "public" }, member)).status, 403)
    assert.strictEqual((await site.call("POST", "/v2/images", { owner: "two" }, member)).status, 403)
    await site.create({ visibility: "public" }, admin)
    const id = await site.create({ owner: "two" }, admin)
    assert.strictEqual((await site.call("GET", `/v2/images/${id}`, undefined, other)).status, 200)
  })

  it("who comes without a token may read where that is allowed", async () => {
    const site = await start({ auth: "fake", allowAnonymous: true })
    await site.create({ visibility: "public" }, admin)
    assert.strictEqual((await site.call("GET", "/v2/images")).status, 200)
    const made = await site.call("POST", "/v2/images", {})
    assert.strictEqual(made.status, 403)
    assert.strictEqual(made.headers["content-type"], "text/html; charset=UTF-8")
  })
})

describe("list", () => {
  const ids = async (site: TestSite, query: string, headers = {}) => {
    const outcome = await site.call("GET", `/v2/images${query}`, undefined, headers)
    const body = JSON.parse(outcome.body) as { images: ReadonlyArray<{ id: string }>; next?: string }
    return { ids: body.images.map((image) => image.id), next: body.next }
  }

  it("filters by name, status, tag, property and several ids", async () => {
    const site = await start()
    const one = await site.create({ name: "one", tags: ["x"] })
    const two = await site.create({ name: "two", os_distro: "alpine" })
    await site.put(two, { body: noise(10) })
    assert.deepStrictEqual((await ids(site, "?name=one")).ids, [one])
    assert.deepStrictEqual((await ids(site, "?status=active")).ids, [two])
    assert.deepStrictEqual((await ids(site, "?tag=x")).ids, [one])
    assert.deepStrictEqual((await ids(site, "?os_distro=alpine")).ids, [two])
    assert.deepStrictEqual((await ids(site, `?id=in:${one},${two}&sort=name:asc`)).ids, [one, two])
    assert.deepStrictEqual((await ids(site, "?name=three")).ids, [])
  })

  it("comes in pages, newest first", async () => {
    const site = await start()
    const made: Array<string> = []
    for (let index = 0; index < 5; index++) made.push(await site.create({ name: `n${index}` }))
    const seen: Array<string> = []
    let query: string | undefined = "?limit=2"
    while (query !== undefined) {
      const page = await ids(site, query)
      seen.push(...page.ids)
      query = page.next?.slice("/v2/images".length)
    }
    assert.deepStrictEqual(seen, made.toReversed())
  })

  it("sorts in both dialects and refuses what it does not know", async () => {
    const site = await start()
    const a = await site.create({ name: "a" })
    const b = await site.create({ name: "b" })
    assert.deepStrictEqual((await ids(site, "?sort=name:asc")).ids, [a, b])
    assert.deepStrictEqual((await ids(site, "?sort_key=name&sort_dir=desc")).ids, [b, a])
    assert.strictEqual((await site.call("GET", "/v2/images?sort=weight")).status, 400)
    assert.strictEqual((await site.call("GET", "/v2/images?limit=x")).status, 400)
    assert.strictEqual((await site.call("GET", "/v2/images?marker=nosuch")).status, 400)
    assert.strictEqual((await site.call("GET", "/v2/images?visibility=secret")).status, 400)
  })

  it("shows what the caller may see; community only when asked for", async () => {
    const site = await start({ auth: "fake" })
    const mine = await site.create({}, member)
    const theirs = await site.create({ visibility: "community" }, other)
    await site.create({ visibility: "private" }, other)
    const open = await site.create({ visibility: "public" }, admin)
    assert.deepStrictEqual((await ids(site, "", member)).ids, [open, mine])
    assert.deepStrictEqual((await ids(site, "?visibility=community", member)).ids, [theirs])
    await site.create({ os_hidden: true }, member)
    assert.lengthOf((await ids(site, "?os_hidden=true", member)).ids, 1)
  })
})

describe("download", () => {
  it.each([{ data: "memory" }, { data: "dir" }] as const)("whole and in part (%j)", async ({ data }) => {
    const dir = mkdtempSync(`${tmpdir()}/testkit-`)
    const site = await start({ data: data === "dir" ? { dir } : "memory" })
    const id = await site.create()
    const body = noise(300_000)
    await site.put(id, { body })
    const get = (range?: string) =>
      fetch(`${site.glance.url}/v2/images/${id}/file`, { headers: range === undefined ? {} : { Range: range } })
    const whole = await get()
    assert.strictEqual(whole.status, 200)
    assert.isTrue(Buffer.from(await whole.arrayBuffer()).equals(body))
    const checksum = site.glance.images.get(id)?.checksum
    for (const [range, from, to] of [
      ["bytes=100-199", 100, 200],
      ["bytes=299990-", 299_990, 300_000],
      ["bytes=-10", 299_990, 300_000],
      ["bytes=65530-200000", 65_530, 200_001]
    ] as const) {
      const part = await get(range)
      assert.strictEqual(part.status, 206)
      assert.strictEqual(part.headers.get("content-range"), `bytes ${from}-${to - 1}/300000`)
      assert.strictEqual(part.headers.get("content-md5"), checksum)
      assert.isTrue(Buffer.from(await part.arrayBuffer()).equals(body.subarray(from, to)))
    }
    assert.strictEqual((await get("bytes=300000-")).status, 416)
    assert.strictEqual((await get("pages=1")).status, 416)
    assert.strictEqual((await get("bytes=0-1,5-6")).status, 400)
    rmSync(dir, { recursive: true })
  })

  it("of what has no data is 204, of a deactivated image 403", async () => {
    const site = await start({ auth: "fake" })
    const id = await site.create({}, member)
    const file = `/v2/images/${id}/file`
    assert.strictEqual((await site.call("GET", file, undefined, member)).status, 204)
    await site.put(id, { body: noise(10), headers: member })
    await site.call("POST", `/v2/images/${id}/actions/deactivate`, undefined, member)
    assert.strictEqual((await site.call("GET", file, undefined, member)).status, 403)
    assert.strictEqual((await site.call("GET", file, undefined, admin)).status, 200)
    await site.call("POST", `/v2/images/${id}/actions/reactivate`, undefined, member)
    assert.strictEqual((await site.call("GET", file, undefined, member)).status, 200)
  })

  it("in part is 400 where the store cannot", async () => {
    const site = await start({ stores: [{ id: "rbd", randomRead: false }] })
    const id = await site.create()
    await site.put(id, { body: noise(10) })
    const outcome = await site.call("GET", `/v2/images/${id}/file`, undefined, { Range: "bytes=2-5" })
    assert.strictEqual(outcome.status, 400)
    assert.include(outcome.body, "Getting images randomly from this store is not supported. Offset: 2, length: 4")
  })

  it("of thrown away data is 204", async () => {
    const site = await start({ data: "discard" })
    const id = await site.create()
    await site.put(id, { body: noise(1000) })
    assert.strictEqual(site.glance.images.get(id)?.size, 1000)
    assert.isNotNull(site.glance.images.get(id)?.hashValue)
    assert.strictEqual((await site.call("GET", `/v2/images/${id}/file`)).status, 204)
  })
})

describe("the rest", () => {
  it("stores are named where there are several", async () => {
    const site = await start({
      auth: "fake",
      stores: [
        { id: "a", description: "slow" },
        { id: "b", default: true },
        { id: "c", readOnly: true }
      ]
    })
    const get = async (path: string, headers: Record<string, string>) => {
      const outcome = await site.call("GET", path, undefined, headers)
      return {
        status: outcome.status,
        body: outcome.status === 200 ? (JSON.parse(outcome.body) as unknown) : undefined
      }
    }
    assert.deepStrictEqual((await get("/v2/info/stores", member)).body, {
      stores: [
        { id: "a", description: "slow" },
        { id: "b", default: "true" },
        { id: "c", "read-only": "true" }
      ]
    })
    assert.strictEqual((await get("/v2/info/stores/detail", member)).status, 403)
    assert.strictEqual((await get("/v2/info/stores/detail", admin)).status, 200)
    const single = await start()
    const outcome = await single.call("GET", "/v2/info/stores")
    assert.strictEqual(outcome.status, 404)
    assert.include(outcome.body, "Multi backend is not supported at this site.")
  })

  it("usage is empty without limits", async () => {
    const site = await start()
    assert.strictEqual((await site.call("GET", "/v2/info/usage")).body, '{"usage":{}}')
  })

  it("tags come and go", async () => {
    const site = await start()
    const id = await site.create()
    assert.strictEqual((await site.call("PUT", `/v2/images/${id}/tags/x`)).status, 204)
    assert.deepStrictEqual(site.glance.images.get(id)?.view["tags"], ["x"])
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}/tags/x`)).status, 204)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}/tags/x`)).status, 404)
  })

  it("a wrong method is 405, and POST on /file is 400", async () => {
    const site = await start()
    const id = await site.create()
    const wrong = await site.call("DELETE", "/v2/images")
    assert.strictEqual(wrong.status, 405)
    assert.strictEqual(wrong.headers["allow"], "GET, POST")
    const post = await site.call("POST", `/v2/images/${id}/file`, Buffer.from("bytes"))
    assert.strictEqual(post.status, 400)
    assert.include(post.body, "Malformed JSON in request body.")
    assert.strictEqual((await site.call("GET", "/v2/nosuch")).status, 404)
  })

  it("the schema names the formats", async () => {
    const site = await start()
    const schema = JSON.parse((await site.call("GET", "/v2/schemas/image")).body) as {
      properties: Record<string, { enum?: ReadonlyArray<string | null> }>
    }
    assert.include(schema.properties["disk_format"]?.enum ?? [], "qcow2")
    assert.include(schema.properties["container_format"]?.enum ?? [], "bare")
  })

  it("hash: false leaves the digests out, hashAlgo names another", async () => {
    const none = await start({ hash: false })
    const id = await none.create()
    await none.put(id, { body: noise(10) })
    assert.deepInclude(none.glance.images.get(id), { status: "active", size: 10, checksum: null, hashValue: null })
    const sha256 = await start({ hashAlgo: "sha256" })
    const other = await sha256.create()
    await sha256.put(other, { body: noise(10) })
    assert.strictEqual(sha256.glance.images.get(other)?.hashAlgo, "sha256")
    assert.lengthOf(sha256.glance.images.get(other)?.hashValue ?? "", 64)
  })
})
