/**
 * The images of a cloud as data: the embedded Glance, a server that answers as no Glance does, and a real one.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as GlanceImages from "@headrace/glance/GlanceImages"
import type { Place } from "@headrace/glance/GlanceAccess"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { server } from "./support/server.ts"
import { embedded, layer, place } from "./support/session.ts"

type Json = Readonly<Record<string, unknown>>

const create = (url: string, values: Json, token?: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/v2/images`, {
      method: "POST",
      headers: { "Content-Type": "application/json", ...(token === undefined ? {} : { "X-Auth-Token": token }) },
      body: JSON.stringify({ disk_format: "raw", container_format: "bare", ...values })
    })
    if (response.status !== 201) throw new Error(await response.text())
    return ((await response.json()) as { readonly id: string }).id
  })

const fill = (url: string, id: string, bytes: Buffer, token?: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${url}/v2/images/${id}/file`, {
      method: "PUT",
      headers: {
        "Content-Type": "application/octet-stream",
        ...(token === undefined ? {} : { "X-Auth-Token": token })
      },
      body: new Uint8Array(bytes)
    })
    if (response.status !== 204) throw new Error(await response.text())
  })

const remove = (url: string, id: string, token?: string) =>
  Effect.promise(() =>
    fetch(`${url}/v2/images/${id}`, { method: "DELETE", headers: token === undefined ? {} : { "X-Auth-Token": token } })
  )

const idsOf = (place: Place, query?: GlanceImages.Query) =>
  Effect.map(Stream.runCollect(GlanceImages.list(place, query)), (all) => all.map(({ id }) => id))

/** Bytes that are no disk image of any kind. */
const bytes = randomBytes(1000).fill(0, 510, 511)

describe("the images of a cloud", () => {
  it.live("are described with all that the service tells, by id and by name", () =>
    Effect.gen(function* () {
      const glance = yield* embedded({ stores: [{ id: "fast", default: true }, { id: "cheap" }] })
      const id = yield* create(glance.url, {
        name: "a/b ?",
        visibility: "private",
        protected: true,
        min_disk: 3,
        min_ram: 512,
        tags: ["x,y"],
        os_distro: "alpine",
        __proto: "p"
      })
      yield* fill(glance.url, id, bytes)
      const byId = yield* GlanceImages.describe({ ...place(glance), image: id })
      const { createdAt, digests, tags, updatedAt, ...rest } = byId
      assert.deepStrictEqual(rest, {
        id,
        name: "a/b ?",
        status: "active",
        size: 1000,
        visibility: "private",
        protected: true,
        hidden: false,
        owner: null,
        minDisk: 3,
        minRam: 512,
        diskFormat: "raw",
        containerFormat: "bare",
        stores: ["fast"],
        properties: { os_distro: "alpine", __proto: "p" }
      })
      assert.deepStrictEqual(tags, ["x,y"])
      assert.deepStrictEqual(Object.keys(digests).sort(), ["md5", "sha512"])
      assert.match(`${createdAt} ${updatedAt}`, /^\d{4}-\S+Z \d{4}-\S+Z$/)
      assert.deepStrictEqual(yield* GlanceImages.describe({ ...place(glance), image: "a/b ?" }), byId)

      const absent = yield* Effect.flip(GlanceImages.describe({ ...place(glance), image: randomUUID() }))
      assert.strictEqual(absent.reason._tag, "NotFound")
      yield* create(glance.url, { name: "twice" })
      yield* create(glance.url, { name: "twice" })
      const several = yield* Effect.flip(GlanceImages.describe({ ...place(glance), image: "twice" }))
      assert.match(several.message, /^2 images are called "twice": give the id, one of /)
    }).pipe(Effect.provide(layer))
  )

  it.live("are listed page by page, hidden ones too, each once, as the query wants", () =>
    Effect.gen(function* () {
      const glance = yield* embedded({ auth: "fake" })
      const mine = place(glance, "alice:p:member")
      const made: Array<string> = []
      for (let i = 0; i < 25; i++) {
        made.push(yield* create(glance.url, { name: `${i}`, os_hidden: i % 5 === 0 }, "alice:p:member"))
      }
      const foreign = yield* create(glance.url, { visibility: "public" }, "root:q:admin")
      yield* fill(glance.url, made[3]!, bytes, "alice:p:member")
      const all = yield* idsOf(mine, { pageSize: 4 })
      assert.deepStrictEqual([...all].sort(), [...made, foreign].sort())
      assert.isTrue(glance.requests.filter(({ method }) => method === "GET").length > 6)
      assert.deepStrictEqual(
        yield* idsOf(mine, { hidden: false, owner: "p" }),
        made.filter((_, i) => i % 5 !== 0)
      )
      assert.deepStrictEqual(yield* idsOf(mine, { status: ["active", "deactivated"] }), [made[3]])
      assert.deepStrictEqual(yield* idsOf(mine, { visibility: "public" }), [foreign])
    }).pipe(Effect.provide(layer))
  )

  it.live("are listed to the end when the image where a page ended is deleted meanwhile", () =>
    Effect.gen(function* () {
      const glance = yield* embedded()
      const made: Array<string> = []
      for (let i = 0; i < 12; i++) made.push(yield* create(glance.url, { name: `${i}` }))
      const seen: Array<string> = []
      yield* GlanceImages.list(place(glance), { hidden: false, pageSize: 5 }).pipe(
        Stream.runForEach(({ id }) =>
          Effect.gen(function* () {
            seen.push(id)
            if (seen.length === 1) yield* Effect.forEach([made[3]!, made[4]!], (id) => remove(glance.url, id))
          })
        )
      )
      assert.deepStrictEqual(seen, made)
    }).pipe(Effect.provide(layer))
  )

  it.live("that cannot be read in one page are asked for in smaller ones", () =>
    Effect.gen(function* () {
      const images = Array.from({ length: 30 }, (_, i) => ({
        id: `${i}`,
        status: "active",
        big: "x".repeat(1_000_000)
      }))
      const asked: Array<string> = []
      const endpoint = yield* server((request, response) => {
        const query = new URL(request.url!, "http://x").searchParams
        asked.push(query.get("limit")!)
        const from = query.get("os_hidden") === "true" ? 30 : Number(query.get("marker") ?? -1) + 1
        const page = images.slice(from, from + Number(query.get("limit")))
        response.end(JSON.stringify({ images: page, ...(page.length === 0 ? {} : { next: "/v2/images?marker=x" }) }))
      })
      assert.strictEqual((yield* idsOf({ endpoint })).length, 30)
      assert.deepStrictEqual([...new Set(asked)], ["100", "10"])
    }).pipe(Effect.provide(layer))
  )

  it.live("are an error in one line where the service gives none, or the same again", () =>
    Effect.gen(function* () {
      const page = yield* server((_, response) => response.end("<html>hello</html>"))
      const none = yield* Effect.flip(idsOf({ endpoint: page }))
      assert.strictEqual(none.message, "the list of images is not one; is this the image service's endpoint?")
      const same = JSON.stringify({ images: [{ id: "1", status: "active" }], next: "/v2/images?marker=1" })
      const circle = yield* server((_, response) => response.end(same))
      const again = yield* Effect.flip(idsOf({ endpoint: circle }))
      assert.match(again.message, /the same images again and again$/)
      const refused = yield* server((_, response) => response.writeHead(403).end("no"))
      assert.strictEqual((yield* Effect.flip(idsOf({ endpoint: refused }))).reason._tag, "Forbidden")
    }).pipe(Effect.provide(layer))
  )

  it.live("tell what an image must have, where the service's schema says so", () =>
    Effect.gen(function* () {
      const glance = yield* embedded()
      assert.deepStrictEqual(yield* GlanceImages.requiredProperties(place(glance)), [])
      const schema = JSON.stringify({ name: "image", properties: {}, required: ["os_distro", "team"] })
      const endpoint = yield* server((_, response) => response.end(schema))
      assert.deepStrictEqual(yield* GlanceImages.requiredProperties({ endpoint }), ["os_distro", "team"])
      const silent = yield* server((_, response) => response.writeHead(404).end())
      assert.deepStrictEqual(yield* GlanceImages.requiredProperties({ endpoint: silent }), [])
    }).pipe(Effect.provide(layer))
  )
})

const real = process.env["HEADRACE_TESTBED_GLANCE"]

describe.skipIf(real === undefined)("the images of a real Glance", () => {
  it.live("are listed page by page, hidden ones too, also when some are deleted meanwhile", () =>
    Effect.gen(function* () {
      const url = real!
      const project = `p-${randomBytes(4).toString("hex")}`
      const token = `alice:${project}:member`
      const here: Place = { endpoint: url, token: Redacted.make(token) }
      const made: Array<string> = []
      for (let i = 0; i < 14; i++) {
        made.push(yield* create(url, { name: `${i}`, os_hidden: i === 7, tags: ["a,b"], k: "" }, token))
      }
      yield* fill(url, made[0]!, bytes, token)
      const lastOfPage = Effect.promise(async () => {
        const query = `owner=${project}&sort=created_at:asc&limit=5`
        const response = await fetch(`${url}/v2/images?${query}`, { headers: { "X-Auth-Token": token } })
        const { images } = (await response.json()) as { readonly images: ReadonlyArray<{ readonly id: string }> }
        return images.slice(-2).map(({ id }) => id)
      })
      const seen: Array<GlanceImages.Description> = []
      yield* GlanceImages.list(here, { owner: project, pageSize: 5 }).pipe(
        Stream.runForEach((image) =>
          Effect.gen(function* () {
            seen.push(image)
            // The first is the hidden one; the second comes with the first page of the others, whose end is deleted.
            if (seen.length === 2) yield* Effect.forEach(yield* lastOfPage, (id) => remove(url, id, token))
          })
        )
      )
      assert.deepStrictEqual(seen.map(({ id }) => id).sort(), [...made].sort())
      const first = seen.find(({ id }) => id === made[0])
      assert.deepStrictEqual(
        [first?.status, first?.size, first?.owner, first?.tags],
        ["active", 1000, project, ["a,b"]]
      )
      assert.deepStrictEqual(Object.keys(first!.digests).sort(), ["md5", "sha512"])
      assert.deepStrictEqual(first?.properties, { k: "" })
      assert.deepStrictEqual(yield* GlanceImages.requiredProperties(here), [])
      yield* Effect.forEach(made, (id) => remove(url, id, token))
    }).pipe(Effect.provide(layer))
  )
})
