import { randomBytes, createHash } from "node:crypto"
import { request } from "node:http"
import { assert, describe, it } from "@effect/vitest"
import * as GlanceAccess from "@headrace/glance/GlanceAccess"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as KeystoneError from "@headrace/keystone/KeystoneError"
import type { Session } from "@headrace/core/Store"
import { Transport, TransportError } from "@headrace/core/Transport"
import type { EmbeddedGlance, Options } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { Sites } from "../src/internal/site.ts"
import * as Headers from "./support/headers.ts"
import { server } from "./support/server.ts"
import { contentOf, embedded, layer, readAll, store, write } from "./support/session.ts"

const bytes = randomBytes(200_000)
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")
const md5 = createHash("md5").update(bytes).digest("hex")
const uuid = "6b1c7b4e-1f0c-4a2b-8c3d-123456789abc"
const two: Options = { stores: [{ id: "fast" }, { id: "cheap" }, { id: "web", readOnly: true }] }

const live = (name: string, test: () => Effect.Effect<unknown, unknown, never>) => it.live(name, test)

/** Runs with a service and what Node gives. */
const against = (
  options: Options,
  test: (glance: EmbeddedGlance) => Effect.Effect<unknown, unknown, Provided>
): Effect.Effect<unknown, unknown, never> =>
  Effect.scoped(Effect.flatMap(embedded(options), test)).pipe(Effect.provide(layer)) as Effect.Effect<
    unknown,
    unknown,
    never
  >

type Provided = Layer.Success<typeof layer> | Scope.Scope

const open = (
  glance: EmbeddedGlance,
  image: GlanceStore.ImageOptions & { token?: string } = { name: "disk" },
  content = contentOf(bytes)
) => store(glance, image).open(content)

const pathsOf = (glance: EmbeddedGlance) =>
  glance.requests.map(({ method, path }) => `${method} ${path.split("?")[0]!.replaceAll(/[0-9a-f-]{36}/g, "ID")}`)

const idOf = (glance: EmbeddedGlance) => glance.images.list()[0]!.id

/** Another client at the same service. */
const api = (glance: EmbeddedGlance, method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
  Effect.promise(() =>
    fetch(`${glance.url}${path}`, {
      method,
      headers: { "content-type": "application/json", ...headers },
      ...(body === undefined
        ? undefined
        : { body: typeof body === "string" || body instanceof Uint8Array ? (body as BodyInit) : JSON.stringify(body) })
    })
  )

const queued = (glance: EmbeddedGlance, more?: object) =>
  Effect.gen(function* () {
    yield* api(glance, "POST", "/v2/images", { id: uuid, name: "given", ...more })
    return uuid
  })

const tagOf = (session: Session) => Effect.map(session.inspect, ({ _tag }) => _tag)

describe("a new image", () => {
  live("is made, filled, looked at, finished", () =>
    against(two, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, {
          name: "disk",
          store: "cheap",
          visibility: "private",
          minDisk: 2,
          minRam: 512,
          tags: ["a", "b"],
          protected: true,
          hidden: true,
          properties: { os_distro: "alpine", "with/slash": "~" }
        })
        assert.deepStrictEqual(session.wanted, ["sha512", "md5"])
        assert.isFalse(yield* session.owned)
        assert.strictEqual(yield* session.left, "none")
        yield* session.begin
        assert.isTrue(yield* session.owned)
        const id = idOf(glance)
        assert.strictEqual(yield* session.left, `queued image ${id}`)
        const before = glance.images.get(id)!.view
        assert.strictEqual(before["protected"], false)
        assert.strictEqual(before["os_hidden"], false)
        assert.strictEqual(before["disk_format"], "raw")
        assert.strictEqual(before["container_format"], "bare")
        assert.strictEqual(before["visibility"], "private")
        assert.strictEqual(yield* tagOf(session), "Ready")
        assert.strictEqual(yield* write(session, bytes), bytes.length)
        const found = yield* session.inspect
        assert.deepStrictEqual(found, {
          _tag: "Stored",
          object: { id, store: "cheap", size: bytes.length, digests: { md5, sha512 } }
        })
        if (found._tag === "Stored") yield* session.checkPlace(found.object)
        yield* session.seal
        const after = glance.images.get(id)!.view
        assert.strictEqual(after["protected"], true)
        assert.strictEqual(after["os_hidden"], true)
        assert.strictEqual(after["min_disk"], 2)
        assert.strictEqual(after["min_ram"], 512)
        assert.strictEqual(after["os_distro"], "alpine")
        assert.strictEqual(after["with/slash"], "~")
        assert.deepStrictEqual((after["tags"] as Array<string>).toSorted(), ["a", "b"])
        assert.isTrue(bytes.equals(yield* readAll(session.read)))
        const put = glance.requests.find(({ method }) => method === "PUT")!
        assert.strictEqual(put.headers["x-openstack-image-size"], String(bytes.length))
        assert.strictEqual(put.headers["x-image-meta-store"], "cheap")
        assert.strictEqual(put.headers["content-type"], "application/octet-stream")
        assert.match(put.headers["x-openstack-request-id"]!, /^req-[0-9a-f-]{36}$/)
        // Even what is protected by now can be taken back.
        assert.strictEqual(yield* session.discard, "none")
        assert.strictEqual(glance.images.list().length, 0)
      })
    )
  )

  live("of unknown size is sent without one", () =>
    against({ manner: "uwsgi" }, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "disk" }, { size: undefined, head: bytes.subarray(0, 65536) })
        yield* session.begin
        yield* write(session, bytes, { length: "unknown" })
        const put = glance.requests.find(({ method }) => method === "PUT")!
        assert.strictEqual(put.framing, "chunked")
        assert.isUndefined(put.headers["x-openstack-image-size"])
        assert.strictEqual(yield* tagOf(session), "Stored")
      })
    )
  )

  live("begun twice is one image", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance)
        yield* session.begin
        yield* session.begin
        assert.strictEqual(glance.images.list().length, 1)
      })
    )
  )

  for (const how of ["reset", "close"] as const) {
    live(`whose creation is answered by a ${how} is made once`, () =>
      against({ faults: [{ on: "create", type: "drop", at: "before", how }] }, (glance) =>
        Effect.gen(function* () {
          const session = yield* open(glance)
          yield* session.begin
          assert.strictEqual(glance.images.list().length, 1)
          assert.isTrue(yield* session.owned)
          yield* write(session, bytes)
          assert.strictEqual(yield* tagOf(session), "Stored")
        })
      )
    )
  }

  live("is found again when the answer to its creation is lost", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        // A proxy that passes the creation on, and loses the answer.
        let posts = 0
        const session = yield* lossy(glance, (method) => method === "POST" && ++posts === 1, { name: "disk" })
        yield* session.begin
        assert.strictEqual(posts, 1)
        assert.strictEqual(glance.images.list().length, 1)
        yield* write(session, bytes)
        assert.strictEqual(yield* session.discard, "none")
        assert.strictEqual(glance.images.list().length, 0)
      })
    )
  )

  live("that cannot be created leaves nothing", () =>
    against({ auth: "fake" }, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "disk", token: "rita:p:reader" })
        const error = yield* Effect.flip(session.begin)
        assert.strictEqual(error.reason._tag, "Forbidden")
        assert.strictEqual(error.status, 403)
        assert.isFalse(error.retryable)
        assert.isFalse(yield* session.owned)
        assert.strictEqual(yield* session.discard, "none")
      })
    )
  )

  live("of a service that is away for a moment is made", () =>
    against(
      {
        faults: [
          { on: "create", type: "answer", at: "before", status: 503 },
          { on: "create", type: "answer", at: "before", status: 502 }
        ]
      },
      (glance) =>
        Effect.gen(function* () {
          const session = yield* open(glance)
          yield* session.begin
          assert.strictEqual(glance.images.list().length, 1)
        })
    )
  )

  live("made anew has another id", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance)
        yield* session.begin
        const first = idOf(glance)
        yield* session.recreate
        assert.notStrictEqual(idOf(glance), first)
        assert.strictEqual(glance.images.list().length, 1)
        yield* write(session, bytes)
        assert.strictEqual(yield* tagOf(session), "Stored")
      })
    )
  )

  live("deleted by somebody else is absent, and can be made anew", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance)
        yield* session.begin
        yield* api(glance, "DELETE", `/v2/images/${idOf(glance)}`)
        assert.strictEqual(yield* tagOf(session), "Absent")
        assert.strictEqual(yield* session.left, "none")
        yield* session.recreate
        assert.strictEqual(yield* tagOf(session), "Ready")
      })
    )
  )

  live("in another store than asked is said to be", () =>
    against({ ...two, faults: [{ type: "store", id: "fast" }] }, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "disk", store: "cheap" })
        yield* session.begin
        yield* write(session, bytes)
        const found = yield* session.inspect
        if (found._tag !== "Stored") return assert.fail(found._tag)
        const error = yield* Effect.flip(session.checkPlace(found.object))
        assert.strictEqual(error.reason._tag, "StoreIgnored")
        assert.include(error.message, '"cheap"')
        assert.include(error.message, '"fast"')
      })
    )
  )
})

/** A session whose transport drops the answers that `lose` says, after the service has given them. */
const lossy = (glance: EmbeddedGlance, lose: (method: string) => boolean, image: GlanceStore.ImageOptions) =>
  Effect.gen(function* () {
    const transport = yield* Transport
    return yield* Effect.provideService(open(glance, image), Transport, {
      send: (request) =>
        Effect.flatMap(transport.send(request), (response) =>
          lose(request.method)
            ? Effect.fail(
                new TransportError({
                  reason: { _tag: "ConnectionLost" },
                  message: "lost",
                  phase: "answer",
                  bytesSent: 0
                })
              )
            : Effect.succeed(response)
        )
    })
  })

describe("a preset id", () => {
  live("is the new image's", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "disk", newId: uuid })
        yield* session.begin
        assert.strictEqual(idOf(glance), uuid)
        const error = yield* Effect.flip(session.recreate)
        assert.strictEqual(error.reason._tag, "Conflict")
        assert.include(error.message, "second time")
      })
    )
  )

  live("that exists is a conflict, and the image is not ours", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance)
        const session = yield* open(glance, { name: "given", newId: uuid })
        const error = yield* Effect.flip(session.begin)
        assert.strictEqual(error.reason._tag, "Conflict")
        assert.include(error.message, "exists already")
        yield* session.discard
        assert.strictEqual(glance.images.list().length, 1)
      })
    )
  )

  live("of an image that is deleted is a conflict", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance)
        yield* api(glance, "DELETE", `/v2/images/${uuid}`)
        const session = yield* open(glance, { name: "disk", newId: uuid })
        const error = yield* Effect.flip(session.begin)
        assert.strictEqual(error.reason._tag, "Conflict")
        assert.include(error.message, "deleted")
      })
    )
  )
})

describe("a given image", () => {
  live("is declared, filled, finished, never deleted", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance)
        const session = yield* open(glance, {
          id: uuid,
          name: "renamed",
          tags: ["x"],
          minRam: 5,
          properties: { a: "b" },
          protected: true
        })
        yield* session.begin
        assert.isFalse(yield* session.owned)
        assert.strictEqual(glance.images.get(uuid)!.view["disk_format"], "raw")
        assert.strictEqual(glance.images.get(uuid)!.name, "given")
        yield* write(session, bytes)
        yield* session.seal
        const { name, view } = glance.images.get(uuid)!
        assert.strictEqual(name, "renamed")
        assert.strictEqual(view["a"], "b")
        assert.strictEqual(view["min_ram"], 5)
        assert.deepStrictEqual(view["tags"], ["x"])
        assert.strictEqual(view["protected"], true)
        assert.strictEqual(yield* session.discard, `active image ${uuid}`)
        assert.strictEqual((yield* Effect.flip(session.recreate)).reason._tag, "Conflict")
      })
    )
  )

  live("keeps the format that it has, and the bytes must be of it", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance, { disk_format: "qcow2", container_format: "bare" })
        const error = yield* Effect.flip((yield* open(glance, { id: uuid })).begin)
        assert.strictEqual(error.reason._tag, "UnsupportedFormat")
        const other = yield* open(glance, { id: uuid, diskFormat: "raw" })
        yield* other.begin
        assert.strictEqual(glance.images.get(uuid)!.view["disk_format"], "raw")
        const right = yield* open(glance, { id: uuid }, contentOf(Headers.blank()))
        yield* right.begin
      })
    )
  )

  live("that is saving is waited for", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance, { disk_format: "raw", container_format: "bare" })
        const before = yield* open(glance, { id: uuid })
        yield* before.begin
        // Another upload, that ends in the middle of its body.
        const other = request(`${glance.url}/v2/images/${uuid}/file`, {
          method: "PUT",
          headers: { "content-type": "application/octet-stream", "content-length": 1000 }
        })
        other.on("error", () => {})
        other.write("the beginning")
        while ((yield* before.inspect)._tag === "Ready") yield* Effect.sleep(10)
        assert.deepStrictEqual(yield* before.inspect, { _tag: "Busy", what: `image ${uuid} is saving`, restMs: 15_000 })
        setTimeout(() => other.destroy(), 700)
        const session = yield* open(glance, { id: uuid })
        yield* session.begin
        assert.isTrue(other.destroyed)
        yield* write(session, bytes)
        assert.strictEqual(yield* tagOf(session), "Stored")
      })
    )
  )

  live("that is none, or is not queued, is refused with its status", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const absent = yield* Effect.flip((yield* open(glance, { id: uuid })).begin)
        assert.strictEqual(absent.reason._tag, "NotFound")
        yield* queued(glance, { disk_format: "raw", container_format: "bare" })
        const session = yield* open(glance, { id: uuid })
        yield* session.begin
        yield* write(session, bytes)
        const again = yield* open(glance, { id: uuid })
        const active = yield* Effect.flip(again.begin)
        assert.strictEqual(active.reason._tag, "Conflict")
        assert.include(active.message, "is active")
        assert.strictEqual(yield* again.discard, `active image ${uuid}`)
        yield* api(glance, "POST", `/v2/images/${uuid}/actions/deactivate`)
        const deactivated = yield* Effect.flip((yield* open(glance, { id: uuid })).begin)
        assert.include(deactivated.message, "is deactivated")
        assert.strictEqual(yield* tagOf(session), "Stored")
      })
    )
  )

  live("that is being imported is refused, and inspected as busy", () =>
    against({ importStepMs: 60_000 }, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance, { disk_format: "raw", container_format: "bare" })
        const early = yield* open(glance, { id: uuid })
        yield* early.begin
        yield* api(glance, "PUT", `/v2/images/${uuid}/stage`, bytes, { "content-type": "application/octet-stream" })
        const error = yield* Effect.flip((yield* open(glance, { id: uuid })).begin)
        assert.strictEqual(error.reason._tag, "Conflict")
        assert.include(error.message, "is uploading")
        assert.deepStrictEqual(yield* early.inspect, {
          _tag: "Busy",
          what: `image ${uuid} is uploading`,
          restMs: 15_000
        })
      })
    )
  )

  live("that an earlier body has spoiled is refused", () =>
    against({ manner: "uwsgi", faults: [{ type: "answer", at: "after", status: 500, image: "poisoned" }] }, (glance) =>
      Effect.gen(function* () {
        yield* queued(glance, { disk_format: "raw", container_format: "bare" })
        const session = yield* open(glance, { id: uuid })
        yield* session.begin
        const error = yield* Effect.flip(write(session, bytes))
        assert.strictEqual(error._tag === "StoreError" ? error.reason._tag : "", "Unavailable")
        assert.strictEqual(yield* tagOf(session), "Spoiled")
        const again = yield* Effect.flip((yield* open(glance, { id: uuid })).begin)
        assert.strictEqual(again.reason._tag, "Conflict")
        assert.include(again.message, "checksum")
      })
    )
  )
})

describe("before the first byte", () => {
  const refused = (
    name: string,
    options: Options,
    image: GlanceStore.ImageOptions,
    reason: string,
    says: ReadonlyArray<string>,
    more?: { content?: Uint8Array; retryable?: boolean }
  ) =>
    live(name, () =>
      against(options, (glance) =>
        Effect.gen(function* () {
          const content = contentOf(more?.content ?? bytes)
          for (const step of [
            store(glance, image).plan(content),
            Effect.flatMap(open(glance, image, content), (session) => session.begin)
          ]) {
            const error = yield* Effect.flip(Effect.asVoid(step))
            assert.strictEqual(error.reason._tag, reason)
            assert.strictEqual(error.retryable, more?.retryable ?? false)
            for (const words of says) assert.include(error.message, words)
          }
          assert.strictEqual(glance.requests.filter(({ method }) => method !== "GET").length, 0)
        })
      )
    )

  refused("an unknown store is named with the known ones", two, { name: "x", store: "nosuch" }, "UnknownStore", [
    '"nosuch"',
    "fast, cheap"
  ])
  refused("a store that is read-only is refused", two, { name: "x", store: "web" }, "UnknownStore", [
    "read-only",
    "fast, cheap"
  ])
  refused("a store is refused where there is only one", {}, { name: "x", store: "fast" }, "UnknownStore", [
    "single store"
  ])
  refused("bytes of another format are refused", {}, { name: "x", diskFormat: "qcow2" }, "UnsupportedFormat", [
    "qcow2",
    "raw data"
  ])
  refused("a qcow2 with a backing file is refused", {}, { name: "x" }, "UnsupportedFormat", ["backing file"], {
    content: Headers.qcow2({ backing: 1 })
  })
  refused(
    "a broken partition table is refused where Glance looks at it",
    { manner: "uwsgi", stores: two.stores! },
    { name: "x" },
    "UnsupportedFormat",
    ["55 AA"],
    { content: Headers.partitioned(Headers.blank()) }
  )
  refused(
    "the size that is left is too small",
    { ...two, quota: { imageSizeTotal: 2 } },
    { name: "x" },
    "QuotaExceeded",
    ["2 MiB", "0 MiB are used", "3 MiB more"],
    { content: new Uint8Array(3 * 1024 * 1024) }
  )
  refused(
    "there are as many images as there may be",
    { ...two, quota: { imageCountTotal: 0 } },
    { name: "x" },
    "QuotaExceeded",
    ["image_count_total", "0 images"]
  )
  refused(
    "there are as many uploads as there may be",
    { ...two, quota: { imageCountUploading: 0 } },
    { name: "x" },
    "QuotaExceeded",
    ["image_count_uploading"],
    { retryable: true }
  )

  live("a container that Glance does not look into may hold anything", () =>
    against({ manner: "uwsgi" }, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "x", diskFormat: "qcow2", containerFormat: "ova" })
        yield* session.begin
        yield* write(session, bytes)
        assert.strictEqual(yield* tagOf(session), "Stored")
      })
    )
  )

  live("the format is taken from the bytes, and said", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "x" }, contentOf(Headers.qcow2()))
        yield* session.begin
        assert.deepStrictEqual(yield* session.notes, ["disk_format qcow2, taken from the first bytes"])
        const hinted = yield* open(
          glance,
          { name: "y" },
          contentOf(Headers.qcow2(), { diskFormat: "qcow2", containerFormat: "bare" })
        )
        yield* hinted.begin
        assert.deepStrictEqual(yield* hinted.notes, [])
        assert.deepStrictEqual(
          glance.images.list().map(({ view }) => view["disk_format"]),
          ["qcow2", "qcow2"]
        )
      })
    )
  )

  live("a plan says what would be done, and does nothing", () =>
    against(two, (glance) =>
      Effect.gen(function* () {
        const plan = yield* store(glance, { name: "disk", store: "fast", diskFormat: "raw" }).plan(contentOf(bytes))
        assert.strictEqual(plan.action, "create")
        assert.include(plan.why, '"disk"')
        assert.include(plan.why, "store fast")
        yield* queued(glance)
        const use = yield* store(glance, { id: uuid }).plan(contentOf(bytes))
        assert.strictEqual(use.action, "use")
        const error = yield* Effect.flip(store(glance, { name: "x", diskFormat: "foo" }).plan(contentOf(bytes)))
        assert.strictEqual(error.reason._tag, "Rejected")
        assert.include(error.message, "qcow2")
        assert.strictEqual(glance.images.list().length, 1)
      })
    )
  )
})

/** Tokens `USER:PROJECT:ROLE` that change when one is refused. */
const renewable = (glance: EmbeddedGlance, tokens: ReadonlyArray<string>) => {
  let current = 0
  const log: Array<string> = []
  const access: GlanceAccess.GlanceAccess = {
    ...GlanceAccess.make({ endpoint: glance.url }),
    token: Effect.sync(() => Redacted.make(tokens[current]!)),
    renew: (refused) =>
      Effect.suspend(() => {
        log.push(Redacted.value(refused))
        if (current + 1 >= tokens.length) {
          return Effect.fail(
            KeystoneError.make("Unauthorized", { cloud: "test", message: "no other token can be had" })
          )
        }
        current++
        return Effect.succeed(true)
      })
  }
  return { access, log }
}

describe("a refused token", () => {
  const content = contentOf(bytes)

  live("is renewed once, under a control call", () =>
    against({ auth: "fake" }, (glance) =>
      Effect.gen(function* () {
        const { access, log } = renewable(glance, ["bad", "alice:p:member"])
        const session = yield* GlanceStore.image({ access, name: "x" }).open(content)
        yield* session.begin
        assert.deepStrictEqual(log, ["bad"])
        assert.strictEqual(glance.images.list().length, 1)
      })
    )
  )

  live("is renewed under the body: retryable once, then final", () =>
    against(
      {
        auth: "fake",
        faults: [
          { type: "answer", at: "before", status: 401 },
          { type: "answer", at: "before", status: 401 }
        ]
      },
      (glance) =>
        Effect.gen(function* () {
          const { access, log } = renewable(glance, ["alice:p:member", "alice:p:member", "alice:p:member"])
          const session = yield* GlanceStore.image({ access, name: "x" }).open(content)
          yield* session.begin
          const first = yield* Effect.flip(write(session, bytes))
          assert.deepInclude(first, { retryable: true, status: 401 })
          const second = yield* Effect.flip(write(session, bytes))
          assert.deepInclude(second, { retryable: false, status: 401 })
          assert.strictEqual(log.length, 1)
          yield* write(session, bytes)
          assert.strictEqual(yield* tagOf(session), "Stored")
        })
    )
  )

  live("that cannot be renewed is final, and never shown", () =>
    against({ auth: "fake" }, (glance) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(open(glance, { name: "x", token: "s3cret" }))
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.isFalse(error.retryable)
        assert.notInclude(JSON.stringify(error), "s3cret")
        const { access } = renewable(glance, ["bad"])
        const other = yield* Effect.flip(GlanceStore.image({ access, name: "x" }).open(content))
        assert.include(other.message, "no other token can be had")
      })
    )
  )
})

describe("what is known of a service", () => {
  live("is asked once: three requests an image after the first", () =>
    against({ ...two, auth: "fake", quota: { imageSizeTotal: 100 } }, (glance) =>
      Effect.gen(function* () {
        const once = Effect.gen(function* () {
          const session = yield* open(glance, { name: "x", store: "fast", token: "alice:p:member" })
          yield* session.begin
          yield* write(session, bytes)
          yield* session.inspect
          return session
        })
        const first = yield* once
        assert.deepStrictEqual(first.wanted, ["sha512", "md5"])
        assert.deepStrictEqual(pathsOf(glance).toSorted(), [
          "GET /v2/images",
          "GET /v2/images/ID",
          "GET /v2/info/stores",
          "GET /v2/info/usage",
          "GET /versions",
          "POST /v2/images",
          "PUT /v2/images/ID/file"
        ])
        const known = glance.requests.length
        const second = yield* once
        assert.deepStrictEqual(second.wanted, ["sha512"])
        assert.deepStrictEqual(pathsOf(glance).slice(known), [
          "POST /v2/images",
          "PUT /v2/images/ID/file",
          "GET /v2/images/ID"
        ])
      })
    )
  )

  live("is the hash that it keeps", () =>
    against({ hashAlgo: "sha256" }, (glance) =>
      Effect.gen(function* () {
        const first = yield* open(glance)
        yield* first.begin
        yield* write(first, bytes)
        // A process that has just started.
        const fresh = yield* Effect.provideService(open(glance), Sites, new Map())
        assert.deepStrictEqual(fresh.wanted, ["sha256"])
      })
    )
  )

  live("is a hash that cannot be computed: MD5 then", () =>
    against({ hashAlgo: "sha384" }, (glance) =>
      Effect.gen(function* () {
        const first = yield* open(glance)
        yield* first.begin
        yield* write(first, bytes)
        const found = yield* first.inspect
        assert.deepStrictEqual(found._tag === "Stored" ? found.object.digests : {}, { md5 })
        assert.deepStrictEqual((yield* open(glance)).wanted, ["md5"])
      })
    )
  )

  live("are its capabilities", () =>
    against({ ...two, quota: { imageSizeTotal: 10 } }, (glance) =>
      Effect.gen(function* () {
        const found = yield* store(glance, { name: "x" }).capabilities
        assert.deepStrictEqual(
          found.places.map(({ id, readOnly }) => [id, readOnly]),
          [
            ["fast", false],
            ["cheap", false],
            ["web", true]
          ]
        )
        assert.strictEqual(found.shape, "whole")
        assert.deepStrictEqual(found.reports, ["sha512", "md5"])
        assert.strictEqual(found.details["image_size_total"], "0 of 10")
        assert.include(found.details["versions"], "v2.8")
        assert.isTrue(found.serverSideCopy)
      })
    )
  )

  live("say whether it copies images by itself, where it has stores to copy to", () =>
    Effect.forEach([{}, { ...two, importMethods: ["glance-direct"] as const }], (options) =>
      against(options, (glance) =>
        Effect.gen(function* () {
          const found = yield* store(glance, { name: "x" }).capabilities
          assert.deepStrictEqual([found.serverSideCopy, found.learnt["serverSideCopy"]], [false, "probed"])
        })
      )
    )
  )

  live("is a plain list of versions where a service does not tell more", () =>
    against({ faults: [{ on: "any", type: "answer", at: "before", status: 404 }] }, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance)
        yield* session.begin
        assert.strictEqual(glance.images.list().length, 1)
      })
    )
  )
})

describe("a service that answers in its own way", () => {
  live("may write blanks between its stores", () =>
    against(two, (glance) =>
      Effect.gen(function* () {
        const session = yield* open(glance, { name: "disk", store: "fast" })
        yield* session.checkPlace({ id: uuid, store: "cheap, fast", size: 1, digests: {} })
      })
    )
  )

  live("and calls an image complete before it has it is not believed", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const url = yield* server((request, response) => {
          if (request.method === "PUT") response.writeHead(204).end()
          else if (request.method !== "POST") response.writeHead(404).end()
          else response.writeHead(201).end(JSON.stringify({ id: uuid, name: "x", status: "queued" }))
        })
        const large = new Uint8Array(32 * 1024 * 1024)
        const session = yield* GlanceStore.image({ endpoint: url, name: "x" }).open(contentOf(large))
        yield* session.begin
        const error = yield* Effect.flip(write(session, large))
        assert.match(error.message, /called complete \(204\) after \d+ of 33554432 bytes$/)
        assert.isTrue(error.retryable)
      })
    ).pipe(Effect.provide(layer))
  )
})

describe("an endpoint", () => {
  for (const suffix of ["/", "/v2", "/v2/", "/v2.16"]) {
    live(`may be written with ${suffix}`, () =>
      against({}, (glance) =>
        Effect.gen(function* () {
          const session = yield* GlanceStore.image({ endpoint: `${glance.url}${suffix}`, name: "x" }).open(
            contentOf(bytes)
          )
          yield* session.begin
          assert.strictEqual(glance.images.list().length, 1)
        })
      )
    )
  }

  for (const [what, status, reason] of [
    ["a page for everybody", 200, "Rejected"],
    ["a redirection", 302, "Rejected"],
    ["nothing", 404, "NotFound"]
  ] as const) {
    live(`of a server that gives ${what} says so`, () =>
      Effect.scoped(
        Effect.gen(function* () {
          const url = yield* server((_, response) => {
            response.writeHead(status, { location: "/login", "content-type": "text/html" })
            response.end("<html><body><h1>Welcome</h1></body></html>")
          })
          const open = GlanceStore.image({ endpoint: url, name: "x" }).open(contentOf(bytes))
          const error = yield* Effect.flip(Effect.flatMap(open, (session) => session.begin))
          assert.strictEqual(error.reason._tag, reason)
          if (status !== 404) assert.match(error.message, /image service/)
        })
      ).pipe(Effect.provide(layer))
    )
  }

  live("that nobody listens at is a lost connection, which may be tried again", () =>
    against({}, (glance) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => glance.close())
        const error = yield* Effect.flip(open(glance))
        assert.strictEqual(error.reason._tag, "ConnectionLost")
        assert.isTrue(error.retryable)
      })
    )
  )

  it("is named by its host, without what is secret", () => {
    assert.strictEqual(
      GlanceStore.image({ endpoint: "https://u:p@image.example:9292/v2", name: "a b", store: "s" }).uri,
      "glance://image.example:9292/a%20b?store=s"
    )
    assert.strictEqual(GlanceStore.image({ cloud: "prod", id: uuid }).uri, `glance://prod/${uuid}`)
  })
})
