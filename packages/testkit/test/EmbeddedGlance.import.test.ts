import { createHash } from "node:crypto"
import { assert, describe, it } from "vitest"
import { noise, start, type TestSite, until } from "./site.ts"

const member = { "X-Auth-Token": "ann:one:member" }
const admin = { "X-Auth-Token": "root:ops:admin" }
const octets = { "Content-Type": "application/octet-stream" }
const stores = [{ id: "fast", default: true }, { id: "cheap" }, { id: "locked", unwritable: true }]

const staged = async (site: TestSite, body = noise(1000)): Promise<string> => {
  const id = await site.create({}, member)
  const outcome = await site.call("PUT", `/v2/images/${id}/stage`, body, { ...octets, ...member })
  assert.strictEqual(outcome.status, 204)
  return id
}

const importing = (site: TestSite, id: string, body: Record<string, unknown>, headers = member) =>
  site.call("POST", `/v2/images/${id}/import`, { method: { name: "glance-direct" }, ...body }, headers)

const property = (site: TestSite, id: string, name: string) => site.glance.images.get(id)?.view[name]
const tasks = async (site: TestSite, id: string) =>
  (
    JSON.parse((await site.call("GET", `/v2/images/${id}/tasks`, undefined, member)).body) as {
      tasks: ReadonlyArray<{ status: string; message: string }>
    }
  ).tasks

describe("stage and import", () => {
  const site = () => start({ auth: "fake", stores, importStepMs: 100 })

  it("walks through uploading and importing to active, in both stores", async () => {
    const it = await site()
    const body = noise(100_000)
    const id = await staged(it, body)
    assert.deepInclude(it.glance.images.get(id), { status: "uploading", size: body.length, checksum: null })
    assert.strictEqual((await it.call("PUT", `/v2/images/${id}/stage`, body, { ...octets, ...member })).status, 409)
    const outcome = await importing(it, id, { stores: ["fast", "cheap"] })
    assert.strictEqual(outcome.status, 202)
    assert.isString(property(it, id, "os_glance_import_task"))
    assert.strictEqual((await importing(it, id, {})).status, 409)
    await until(() => it.status(id) === "importing")
    assert.strictEqual(property(it, id, "os_glance_importing_to_stores"), "cheap,fast")
    await until(() => it.status(id) === "active")
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.deepInclude(it.glance.images.get(id), { stores: ["fast", "cheap"], size: body.length })
    for (const store of ["fast", "cheap"]) assert.isTrue((await it.glance.images.bytes(id, store))?.equals(body))
    assert.isNotNull(it.glance.images.get(id)?.hashValue)
    assert.strictEqual((await tasks(it, id))[0]?.status, "success")
  })

  it("stays importing for ever where all must succeed and one does not", async () => {
    const it = await site()
    const id = await staged(it)
    assert.strictEqual((await importing(it, id, { stores: ["fast", "locked"] })).status, 202)
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.strictEqual(it.status(id), "importing")
    assert.strictEqual(property(it, id, "os_glance_failed_import"), "locked")
    assert.deepInclude((await tasks(it, id))[0]!, { status: "failure", message: "Task failed due to Internal Error" })
    assert.strictEqual((await it.put(id, { body: noise(10), headers: member })).status, 409)
    assert.strictEqual((await it.call("DELETE", `/v2/images/${id}`, undefined, member)).status, 204)
  })

  it("is active where one is enough", async () => {
    const it = await site()
    const id = await staged(it)
    await importing(it, id, { stores: ["fast", "locked"], all_stores_must_succeed: false })
    await until(() => property(it, id, "os_glance_import_task") === undefined && it.status(id) === "active")
    assert.deepStrictEqual(it.glance.images.get(id)?.stores, ["fast"])
    assert.strictEqual(property(it, id, "os_glance_failed_import"), "locked")
    assert.strictEqual((await tasks(it, id))[0]?.status, "success")
  })

  it("is queued again where no store takes it, and takes other data", async () => {
    const it = await site()
    const id = await staged(it)
    await importing(it, id, { stores: ["locked"], all_stores_must_succeed: false })
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.deepInclude(it.glance.images.get(id), { status: "queued", size: null, checksum: null, stores: [] })
    assert.strictEqual(property(it, id, "os_glance_failed_import"), "locked")
    assert.deepInclude((await tasks(it, id))[0]!, { status: "failure", message: "Task failed due to Internal Error" })
    const again = await it.call("PUT", `/v2/images/${id}/stage`, noise(500), { ...octets, ...member })
    assert.strictEqual(again.status, 204)
  })

  it("is queued again where its format is wrong, and nothing of it is kept", async () => {
    const it = await start({ auth: "fake", stores, release: "33" })
    const id = await it.create({ disk_format: "qcow2" }, member)
    await it.call("PUT", `/v2/images/${id}/stage`, noise(1000), { ...octets, ...member })
    await importing(it, id, { stores: ["fast", "cheap"], all_stores_must_succeed: false })
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.deepInclude(it.glance.images.get(id), { status: "queued", size: null, checksum: null, stores: [] })
    assert.strictEqual(property(it, id, "os_glance_failed_import"), "cheap,fast")
  })

  it("has bytes that a plugin changed, with their own digest", async () => {
    const it = await site()
    const body = noise(1000)
    const id = await staged(it, body)
    it.glance.faults.push({ type: "corrupt", on: "import", offset: 7 })
    await importing(it, id, { stores: ["fast", "cheap"], all_stores_must_succeed: false })
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    const stored = await it.glance.images.bytes(id, "cheap")
    assert.strictEqual(stored?.[7], body[7]! ^ 0xff)
    assert.strictEqual(it.glance.images.get(id)?.hashValue, createHash("sha512").update(stored!).digest("hex"))
  })

  it("is queued and in its own way where the project has no room for it", async () => {
    const it = await start({ auth: "fake", stores, quota: { imageSizeTotal: 0 } })
    const id = await staged(it, noise(2_000_000))
    await importing(it, id, { stores: ["fast", "cheap"], all_stores_must_succeed: false })
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.strictEqual(it.status(id), "queued")
    assert.include((await tasks(it, id))[0]?.message, "image_size_total")
    const again = await it.call("PUT", `/v2/images/${id}/stage`, noise(500), { ...octets, ...member })
    assert.deepStrictEqual([again.status, it.status(id)], [409, "queued"])
    assert.include(again.body, "has data on staging")
  })

  it.each([
    ["a lost answer", { type: "drop", at: "after", how: "reset", image: "active" }, "uploading", 1000],
    ["a cut body", { type: "drop", at: { afterBytes: 500 }, how: "reset" }, "queued", null],
    ["a body that never ends", { type: "drop", at: "after", how: "reset", image: "saving" }, "uploading", null]
  ] as const)("knows %s of what is staged", async (_name, fault, status, size) => {
    const it = await site()
    const id = await it.create({}, member)
    it.glance.faults.push({ ...fault, on: "stage" })
    await it.call("PUT", `/v2/images/${id}/stage`, noise(1000), { ...octets, ...member }).catch(() => undefined)
    await until(() => it.status(id) === status)
    assert.deepInclude(it.glance.images.get(id), { status, size })
  })

  it("copies for whoever may change the image where the policy says so", async () => {
    const it = await start({ auth: "fake", stores, membersMayCopy: true })
    const id = await it.create({}, member)
    await it.put(id, { body: noise(1000), headers: member })
    const copy = { method: { name: "copy-image" }, stores: ["cheap"] }
    assert.strictEqual((await importing(it, id, copy)).status, 202)
    const other = { "X-Auth-Token": "bob:two:member" }
    await it.call("PATCH", `/v2/images/${id}`, [{ op: "replace", path: "/visibility", value: "community" }], {
      ...member,
      "Content-Type": "application/openstack-images-v2.1-json-patch"
    })
    assert.strictEqual((await importing(it, id, copy, other)).status, 403)
  })

  it("copies to one more store, for administrators", async () => {
    const it = await site()
    const id = await it.create({}, member)
    const body = noise(1000)
    await it.put(id, { body, headers: member })
    const copy = { method: { name: "copy-image" }, stores: ["cheap"] }
    assert.strictEqual((await importing(it, id, copy)).status, 403)
    assert.strictEqual((await importing(it, id, copy, admin)).status, 202)
    assert.strictEqual(it.status(id), "active")
    await until(() => property(it, id, "os_glance_import_task") === undefined)
    assert.deepStrictEqual(it.glance.images.get(id)?.stores, ["fast", "cheap"])
    assert.isTrue((await it.glance.images.bytes(id, "cheap"))?.equals(body))
    assert.strictEqual((await importing(it, id, copy, admin)).status, 400)
    const removed = await it.call("DELETE", `/v2/stores/fast/${id}`, undefined, admin)
    assert.strictEqual(removed.status, 204)
    assert.deepStrictEqual(it.glance.images.get(id)?.stores, ["cheap"])
  })

  it.each([
    [400, { method: { name: "teleport" } }, "Unknown import method name 'teleport'."],
    [400, { stores: ["fast"], all_stores: true }, "All_stores parameter can't be used with"],
    [409, { stores: ["nosuch"] }, "Store for identifier nosuch not found"]
  ] as const)("answers %i to %j", async (status, body, words) => {
    const it = await site()
    const outcome = await importing(it, await staged(it), body, {
      ...member,
      Accept: "application/json"
    } as typeof member)
    assert.strictEqual(outcome.status, status)
    assert.include(outcome.body, words)
  })

  it("wants staged data, a site that has it, and a project", async () => {
    const it = await site()
    assert.strictEqual((await importing(it, await it.create({}, member), {})).status, 409)
    const without = await start({ importMethods: [] })
    const id = await without.create()
    assert.strictEqual((await without.call("PUT", `/v2/images/${id}/stage`, noise(10), octets)).status, 404)
    const noauth = await start()
    const other = await noauth.create()
    await noauth.call("PUT", `/v2/images/${other}/stage`, noise(10), octets)
    const outcome = await noauth.call("POST", `/v2/images/${other}/import`, { method: { name: "glance-direct" } })
    assert.strictEqual(outcome.status, 500)
    assert.strictEqual(noauth.status(other), "uploading")
  })
})
