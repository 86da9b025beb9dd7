/**
 * Copies to further stores, step by step the same against the embedded Glance and a real one that has lost the directory
 * of a store. Where the real one behaves differently, the embedded one is wrong.
 */
import { createHash, randomBytes } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { start } from "@headrace/testkit/EmbeddedGlance"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { startGlance } from "../../../testbed/testbed.ts"
import { runtime, upload } from "./support/upload.ts"

const bytes = randomBytes(3_000_000)
// Not by chance a boot signature, which would be refused.
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")

const admin = "root:p-admin:admin"
const member = "alice:p-alice:member"

/** With the stores `fast` and `cheap`, and `broken` and `shut`, which take nothing. */
interface Site {
  readonly url: string
  /** Where a store has its files, where it has some. */
  readonly directory?: (store: string) => string
  /** Refuses data that is not of the image's format, as releases from 2025.1 do. */
  readonly refuses: boolean
  readonly close: () => Promise<void>
}

type Json = Readonly<Record<string, unknown>>

const declare = (open: () => Promise<Site>, files: boolean): void => {
  let site: Site | undefined
  beforeAll(async () => {
    site = await open()
  }, 120_000)
  afterAll(() => site?.close())

  const call = async (method: string, path: string, body?: Uint8Array | Json, token = admin) => {
    const raw = body instanceof Uint8Array
    const response = await fetch(`${site!.url}${path}`, {
      method,
      headers: {
        "X-Auth-Token": token,
        Accept: "application/json",
        ...(body === undefined ? {} : { "Content-Type": raw ? "application/octet-stream" : "application/json" })
      },
      ...(body === undefined ? {} : { body: raw ? Buffer.from(body) : JSON.stringify(body) })
    })
    return { status: response.status, text: await response.text() }
  }
  const record = async (id: string) => JSON.parse((await call("GET", `/v2/images/${id}`)).text) as Json
  const copy = (id: string, stores: ReadonlyArray<string>, more: Json = {}) =>
    call("POST", `/v2/images/${id}/import`, {
      method: { name: "copy-image" },
      stores,
      all_stores_must_succeed: false,
      ...more
    })
  const unlocked = async (id: string): Promise<Json> => {
    for (let waited = 0; waited < 20_000; waited += 50) {
      const image = await record(id)
      if (image["os_glance_import_task"] === undefined) return image
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error("the import does not end")
  }
  const send = (store: ReadonlyArray<string>, token: string, retries = 0) =>
    upload({ endpoint: site!.url, token }, bytes, { store }, { retries, answerMs: 20_000 })

  it("an image in two stores", async () => {
    const { receipt } = await send(["cheap", "fast"], admin)
    assert.deepStrictEqual(
      receipt.destinations.map(({ attempts, bytesSent, error, object, status }) => [
        error?.message ?? status,
        object?.store,
        object?.digests.sha512,
        attempts,
        bytesSent
      ]),
      [
        ["verified", "cheap", sha512, 1, bytes.length],
        ["verified", "fast", sha512, 1, 0]
      ]
    )
    const image = await record(receipt.destinations[0]!.object!.id)
    assert.deepInclude(image, { os_glance_failed_import: "", os_glance_importing_to_stores: "" })
    // The real one has them in the order of their weights.
    assert.sameMembers(String(image["stores"]).split(","), ["fast", "cheap"])
  })

  it("an image in three stores, of which one takes nothing", async () => {
    const { receipt } = await send(["fast", "broken", "cheap"], admin, 1)
    const [first, broken, last] = receipt.destinations
    assert.deepStrictEqual([first?.status, last?.status], ["verified", "verified"])
    assert.deepStrictEqual([broken?.error?.reason, broken?.attempts], ["Unavailable", 2])
    const { id } = first!.object!
    assert.strictEqual(broken?.error?.left, `active image ${id}`)
    assert.deepInclude(await record(id), { stores: "fast,cheap", os_glance_failed_import: "broken" })
  })

  it("a member, who may not copy", async () => {
    const { receipt } = await send(["fast", "cheap"], member)
    assert.deepStrictEqual(
      receipt.destinations.map(({ attempts, bytesSent, error, object, status }) => [
        error?.message ?? status,
        object?.digests.sha512,
        attempts,
        bytesSent
      ]),
      [
        ["verified", sha512, 1, bytes.length],
        ["verified", sha512, 0, 0]
      ]
    )
    assert.include(receipt.destinations[0]?.notes?.join(), "this account may not have images copied")
    assert.deepInclude(await record(receipt.destinations[0]!.object!.id), { stores: "fast,cheap", status: "active" })
  })

  it("a member's, of which the first or the second takes nothing", async () => {
    const second = await send(["fast", "broken", "cheap"], member, 1)
    assert.deepStrictEqual(
      second.receipt.destinations.map(({ error, status }) => error?.reason ?? status),
      ["verified", "Unavailable", "verified"]
    )
    assert.include(second.receipt.destinations[1]?.error?.message, "copy_image")
    const first = await send(["broken", "cheap"], member, 1)
    const [broken, cheap] = first.receipt.destinations
    assert.deepStrictEqual([broken?.error?.reason, cheap?.status], ["Unavailable", "verified"])
    const { id } = cheap!.object!
    assert.strictEqual(broken?.error?.left, `active image ${id}`)
    assert.deepInclude(await record(id), { stores: "cheap", status: "active" })
  })

  it("a member's that no store takes: tried twice, and nothing is left", async () => {
    const { receipt } = await send(["broken", "shut"], member, 1)
    assert.deepStrictEqual(
      receipt.destinations.map(({ error }) => [error?.reason, error?.left]),
      [
        ["Unavailable", "none"],
        ["Unavailable", "none"]
      ]
    )
    assert.strictEqual(receipt.destinations[0]?.attempts, 2)
  })

  const unchanged = async () => {
    const made = await call("POST", "/v2/images", { name: "r", disk_format: "raw", container_format: "bare" })
    const { id } = JSON.parse(made.text) as { readonly id: string }
    assert.strictEqual((await call("PUT", `/v2/images/${id}/file`, bytes)).status, 204)
    const path = join(site!.directory!("fast"), id)
    const rotten = await readFile(path)
    rotten[1_000_000]! ^= 1
    await writeFile(path, rotten)
    assert.strictEqual((await copy(id, ["cheap"])).status, 202)
    assert.deepInclude(await unlocked(id), {
      stores: "fast",
      os_glance_failed_import: "cheap",
      os_hash_value: sha512
    })
  }
  // A store in memory has no bytes that rot.
  if (files) it("no copy is taken of bytes that have changed since", unchanged)

  it("the same words on the wire", async () => {
    const made = await call("POST", "/v2/images", { name: "w", disk_format: "raw", container_format: "bare" })
    const { id } = JSON.parse(made.text) as { readonly id: string }
    const early = await copy(id, ["cheap"])
    assert.deepStrictEqual([early.status, /Only images with status active/.test(early.text)], [409, true])
    assert.strictEqual((await call("PUT", `/v2/images/${id}/file`, bytes)).status, 204)
    const unknown = await copy(id, ["nosuch"])
    assert.deepStrictEqual([unknown.status, /Store for identifier nosuch not found/.test(unknown.text)], [409, true])
    const there = await copy(id, ["fast"])
    assert.deepStrictEqual([there.status, /Image is already present at store/.test(there.text)], [400, true])
    // As an import of an earlier time, which must not be taken for one of the later.
    assert.strictEqual((await copy(id, ["broken"])).status, 202)
    assert.isString((await record(id))["os_glance_import_task"])
    const second = await copy(id, ["cheap"])
    assert.deepStrictEqual([second.status, /Image has active task/.test(second.text)], [409, true])
    const failed = await unlocked(id)
    assert.deepInclude(failed, { status: "active", stores: "fast", os_glance_failed_import: "broken" })
    assert.strictEqual((await copy(id, ["cheap"])).status, 202)
    const image = await unlocked(id)
    // What failed before is still said to have failed.
    assert.deepInclude(image, { stores: "fast,cheap", os_glance_failed_import: "broken", os_hash_value: sha512 })
    const listed = JSON.parse((await call("GET", `/v2/images/${id}/tasks`)).text) as {
      readonly tasks: ReadonlyArray<Json>
    }
    const tasks = listed.tasks.toSorted((a, b) => String(a["created_at"]).localeCompare(String(b["created_at"])))
    assert.deepStrictEqual(
      tasks.map(({ status, type }) => [status, type]),
      [
        ["success", "api_image_import"],
        ["success", "api_image_import"]
      ]
    )
    for (const key of ["id", "message", "created_at", "updated_at"]) assert.isString(tasks[0]![key])
    const methods = JSON.parse((await call("GET", "/v2/info/import")).text) as {
      readonly "import-methods": { readonly value: ReadonlyArray<string> }
    }
    assert.include(methods["import-methods"].value, "copy-image")
  })

  it("the same ends of what a member stages and imports", async () => {
    const staged = async (values: Json = {}) => {
      const made = await call("POST", "/v2/images", { disk_format: "raw", container_format: "bare", ...values }, member)
      const { id } = JSON.parse(made.text) as { readonly id: string }
      assert.strictEqual((await call("PUT", `/v2/images/${id}/stage`, bytes, member)).status, 204)
      return id
    }
    const imported = async (id: string, stores: ReadonlyArray<string>, more: Json = {}) => {
      const direct = { method: { name: "glance-direct" }, stores, all_stores_must_succeed: false, ...more }
      const answer = await call("POST", `/v2/images/${id}/import`, direct, member)
      assert.strictEqual(answer.status, 202)
      return unlocked(id)
    }
    const id = await staged()
    assert.deepInclude(await record(id), { status: "uploading", size: bytes.length, checksum: null })
    const twice = await call("PUT", `/v2/images/${id}/stage`, bytes, member)
    assert.deepStrictEqual([twice.status, /from uploading to uploading is not allowed/.test(twice.text)], [409, true])
    const partial = await imported(id, ["broken", "cheap"])
    assert.deepInclude(partial, {
      status: "active",
      stores: "cheap",
      os_glance_failed_import: "broken",
      os_glance_importing_to_stores: "",
      os_hash_value: sha512
    })
    const nowhere = await staged()
    assert.deepInclude(await imported(nowhere, ["broken"]), {
      status: "queued",
      size: null,
      checksum: null,
      os_glance_failed_import: "broken",
      os_glance_importing_to_stores: ""
    })
    assert.strictEqual((await call("PUT", `/v2/images/${nowhere}/stage`, bytes, member)).status, 204)
    assert.deepInclude(await imported(nowhere, ["fast", "cheap"]), { status: "active", stores: "fast,cheap" })
    if (site!.refuses) {
      assert.deepInclude(await imported(await staged({ disk_format: "qcow2" }), ["fast", "cheap"]), {
        status: "queued",
        size: null,
        checksum: null,
        os_glance_failed_import: "cheap,fast"
      })
    }
    const strict = await staged()
    const failed = await imported(strict, ["fast", "broken"], { all_stores_must_succeed: true })
    assert.deepInclude(failed, { status: "importing", checksum: null, os_glance_failed_import: "broken" })
    assert.strictEqual((await call("DELETE", `/v2/images/${strict}`, undefined, member)).status, 204)
    // Whether one may copy is not said of an image without data, and of one with data before its store is looked for.
    const empty = await call("POST", "/v2/images", { disk_format: "raw", container_format: "bare" }, member)
    const early = await call(
      "POST",
      `/v2/images/${(JSON.parse(empty.text) as { readonly id: string }).id}/import`,
      { method: { name: "copy-image" }, stores: ["cheap"] },
      member
    )
    assert.strictEqual(early.status, 409)
    const probe = { method: { name: "copy-image" }, stores: ["no:store"] }
    assert.strictEqual((await call("POST", `/v2/images/${id}/import`, probe, member)).status, 403)
    assert.strictEqual((await call("POST", `/v2/images/${id}/import`, probe)).status, 409)
    assert.strictEqual((await call("GET", "/v2/info/stores/detail", undefined, member)).status, 403)
    assert.strictEqual((await call("GET", "/v2/info/stores/detail")).status, 200)
  })
}

for (const manner of ["eventlet", "uwsgi"] as const) {
  describe(`the embedded Glance, as behind ${manner}`, () => {
    declare(async () => {
      const glance = await start({
        manner,
        auth: "fake",
        importStepMs: 50,
        stores: [
          { id: "fast", default: true },
          { id: "cheap" },
          { id: "broken", missing: true },
          { id: "shut", unwritable: true }
        ]
      })
      return { url: glance.url, close: glance.close, refuses: glance.release === "33" }
    }, false)
  })
}

describe.skipIf(process.env["HEADRACE_TESTBED_GLANCE"] === undefined)("a real Glance 33 behind uWSGI", () => {
  declare(async () => {
    const glance = await startGlance({ stores: ["fast", "cheap", "broken", "shut"] })
    for (const store of ["broken", "shut"]) await rm(glance.storeDirectory(store), { recursive: true })
    return { url: glance.url, close: glance.stop, directory: glance.storeDirectory, refuses: true }
  }, true)
})

afterAll(() => runtime.dispose())
