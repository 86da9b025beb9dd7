/**
 * What uploads that failed have left behind, listed and given up: the embedded Glance, and a real one.
 */
import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Leftovers from "@headrace/core/Leftovers"
import type { Store } from "@headrace/core/Store"
import { Host } from "@headrace/core/Host"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { layer } from "./support/session.ts"

const bytes = randomBytes(1000)
bytes[510] = 0

type Json = Readonly<Record<string, unknown>>

const requests = (url: string) => {
  const call = (token: string | undefined, method: string, path: string, body?: Uint8Array | Json) =>
    Effect.promise(async () => {
      const raw = body instanceof Uint8Array
      const response = await fetch(`${url}${path}`, {
        method,
        headers: {
          ...(token === undefined ? {} : { "X-Auth-Token": token }),
          "Content-Type": raw ? "application/octet-stream" : "application/json"
        },
        ...(body === undefined ? {} : { body: raw ? Buffer.from(body) : JSON.stringify(body) })
      })
      return { status: response.status, text: await response.text() }
    })
  const create = (token: string | undefined, values: Json) =>
    Effect.map(
      call(token, "POST", "/v2/images", { disk_format: "raw", container_format: "bare", ...values }),
      ({ text }) => (JSON.parse(text) as { readonly id: string }).id
    )
  const status = (token: string | undefined, id: string) =>
    Effect.map(call(token, "GET", `/v2/images/${id}`), ({ status, text }) =>
      status === 200 ? (JSON.parse(text) as { readonly status: string }).status : status
    )
  return { call, create, status }
}

const failure = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.flip(effect)

const listed = <R>(store: Store<R>) => Effect.map(Stream.runCollect(store.unfinished!), (all) => all)

interface Service {
  readonly url: string
  /** Tokens of a member of the project, of another project's, and of an administrator of a third. */
  readonly member: string
  readonly other: string
  readonly admin: string
  readonly project: string
}

const declare = (service: Effect.Effect<Service, never, Scope.Scope>) => {
  it.live("are the project's images without their data, and no others", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { admin, member, other, project, url } = yield* service
        const { call, create, status } = requests(url)
        const mark = `left-${randomBytes(4).toString("hex")}`
        const queued = yield* create(member, { name: mark })
        const staged = yield* create(member, { name: mark })
        yield* call(member, "PUT", `/v2/images/${staged}/stage`, bytes)
        const active = yield* create(member, { name: mark })
        yield* call(member, "PUT", `/v2/images/${active}/file`, bytes)
        const foreign = yield* create(other, { name: mark, visibility: "community" })
        const named = yield* create(member, { name: `in:${mark}` })
        const store = (options: GlanceStore.ImageOptions, token = member) =>
          GlanceStore.image({ endpoint: url, token: Redacted.make(token), project, ...options })
        const host = new URL(url).host
        const at = Date.now()

        // An administrator sees everybody's.
        for (const token of [member, admin]) {
          const found = yield* listed(store({ name: mark, store: "cheap" }, token))
          assert.deepStrictEqual(
            found.map(({ bytes, token, uri }) => [token, uri, bytes]).toSorted(),
            [
              [queued, `glance://${host}/${mark}?store=cheap`, undefined],
              [staged, `glance://${host}/${mark}?store=cheap`, bytes.length]
            ].toSorted()
          )
          for (const { startedAt } of found) assert.isBelow(Math.abs(at - startedAt!), 60_000)
        }
        const strange = yield* listed(store({ name: `in:${mark}` }))
        assert.deepStrictEqual(
          strange.map(({ token, uri }) => [token, uri]),
          [[named, `glance://${host}/${encodeURIComponent(`in:${mark}`)}`]]
        )
        const all = (yield* listed(store({}))).filter(({ uri }) => uri.includes(mark))
        assert.deepStrictEqual(all.map(({ token }) => token).toSorted(), [queued, staged, named].toSorted())
        assert.deepStrictEqual((yield* listed(store({ id: active }))).length, 0)
        assert.deepStrictEqual((yield* listed(store({ id: queued }))).length, 1)

        const { abort } = store({ name: mark })
        const finished = yield* failure(abort!(active))
        assert.deepStrictEqual([finished.reason._tag, finished.message.includes("is active")], ["Conflict", true])
        for (const wrong of [foreign, named, "nothing"]) {
          assert.strictEqual((yield* failure(abort!(wrong))).reason._tag, "InvalidConfig")
        }
        assert.strictEqual((yield* failure(store({ name: mark }, admin).abort!(foreign))).reason._tag, "InvalidConfig")
        for (const id of [queued, staged]) yield* abort!(id)
        // Once more: there is none.
        yield* abort!(queued)
        assert.deepStrictEqual(yield* Effect.forEach([queued, staged], (id) => status(member, id)), [404, 404])
        assert.deepStrictEqual(yield* Effect.forEach([active, named], (id) => status(member, id)), ["active", "queued"])
        assert.strictEqual(yield* status(other, foreign), "queued")
        yield* store({}).abort!(named)
        assert.strictEqual(yield* status(member, named), 404)
      })
    ).pipe(Effect.provide(layer))
  )
}

const embedded = (options: EmbeddedGlance.Options = {}) =>
  Effect.acquireRelease(
    Effect.promise(() => EmbeddedGlance.start({ auth: "fake", stores: [{ id: "fast" }, { id: "cheap" }], ...options })),
    (glance) => Effect.promise(() => glance.close())
  )

describe.each(["eventlet", "uwsgi"] as const)("unfinished images behind %s", (manner) => {
  declare(
    Effect.map(embedded({ manner }), ({ url }) => ({
      url,
      member: "ann:one:member",
      other: "bob:two:member",
      admin: "root:ops:admin",
      project: "one"
    }))
  )

  it.live("are listed page by page, and found and given up as leftovers", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { images, url } = yield* embedded({ manner })
        const { create } = requests(url)
        yield* Effect.forEach(Array.from({ length: 201 }), () => create("ann:one:member", { name: "d" }), {
          concurrency: 8
        })
        const token = Redacted.make("ann:one:member")
        const found = yield* Leftovers.find(GlanceStore.image({ endpoint: url, token, project: "one", name: "d" }))
        assert.strictEqual(new Set(found.map(({ token }) => token)).size, 201)
        assert.deepStrictEqual([found[0]?.known, found[0]?.running], ["listed", false])
        yield* Effect.scoped(Effect.forEach(found, ({ discard }) => discard))
        assert.strictEqual(images.list().length, 0)
      })
    ).pipe(Effect.provide(layer))
  )

  it.live("are everybody's where nobody is anybody, and nobody's where the project is not known", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const none = yield* embedded({ manner, auth: "none" })
        yield* requests(none.url).create(undefined, { name: "d" })
        assert.strictEqual((yield* listed(GlanceStore.image({ endpoint: none.url, name: "d" }))).length, 1)
        const fake = yield* embedded({ manner })
        const id = yield* requests(fake.url).create("ann:one:member", { name: "d" })
        const store = GlanceStore.image({ endpoint: fake.url, token: Redacted.make("ann:one:member"), name: "d" })
        for (const effect of [Effect.asVoid(listed(store)), store.abort!(id)]) {
          const error = yield* failure(effect)
          assert.deepStrictEqual([error.reason._tag, error.uri], ["Unsupported", store.uri])
          assert.include(error.message, "name the project")
        }
        assert.strictEqual(fake.images.list().length, 1)
      })
    ).pipe(Effect.provide(layer))
  )

  it.live("that are protected are not given up, and what is done meanwhile is not either", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { faults, images, url } = yield* embedded({ manner })
        const { call, create } = requests(url)
        const token = Redacted.make("ann:one:member")
        const { abort } = GlanceStore.image({ endpoint: url, token, project: "one" })
        const id = yield* create("ann:one:member", { protected: true })
        assert.strictEqual((yield* failure(abort!(id))).reason._tag, "Forbidden")
        const other = yield* create("ann:one:member", {})
        // The data comes after the list, and before the look.
        faults.push({ type: "delay", on: "show", at: "before", ms: 300 })
        const [error] = yield* Effect.all(
          [failure(abort!(other)), call("ann:one:member", "PUT", `/v2/images/${other}/file`, bytes)],
          { concurrency: 2 }
        )
        assert.strictEqual(error.reason._tag, "Conflict")
        assert.deepStrictEqual(
          images.list().map(({ status }) => status),
          ["queued", "active"]
        )
      })
    ).pipe(Effect.provide(layer))
  )
})

describe("unfinished images of a cloud", () => {
  it.live("are those of the project that its token is for", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const keystone = yield* Effect.acquireRelease(
          Effect.promise(() => EmbeddedKeystone.start()),
          (running) => Effect.promise(() => running.close())
        )
        const glance = yield* embedded({ auth: keystone })
        keystone.addService({
          type: "image",
          name: "glance",
          endpoints: [{ interface: "public", region: "RegionOne", url: glance.url }]
        } as EmbeddedKeystone.CatalogEntry)
        const clouds = `
clouds:
  prod:
    auth:
      auth_url: ${keystone.authUrl}
      username: demo
      password: secret
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
`
        const host = Host.of({
          env: Effect.succeed({}),
          cwd: Effect.succeed("/work"),
          home: Effect.succeed("/home/u"),
          readFile: (path) => Effect.succeed(path === "/work/clouds.yaml" ? clouds : undefined)
        })
        yield* Effect.gen(function* () {
          const store = GlanceStore.image({ cloud: "prod", name: "left" })
          const session = yield* store.open({ size: 1, head: new Uint8Array(1) })
          yield* session.begin
          const found = yield* listed(GlanceStore.image({ cloud: "prod" }))
          assert.deepStrictEqual(
            found.map(({ token, uri }) => [token, uri]),
            [[glance.images.list()[0]?.id, "glance://prod/left"]]
          )
          yield* store.abort!(found[0]!.token)
          assert.strictEqual(glance.images.list().length, 0)
        }).pipe(Effect.provide(Layer.mergeAll(NodeTransport.layer, Layer.succeed(Host, host))))
      })
    )
  )
})

const real = process.env["HEADRACE_TESTBED_GLANCE"]

describe.skipIf(real === undefined)("unfinished images of a real Glance 33", () => {
  const token = (name: string) => process.env[`HEADRACE_TESTBED_${name}`]!
  declare(
    Effect.sync(() => ({
      url: real!,
      member: token("FAKE_TOKEN"),
      other: token("OTHER_TOKEN"),
      admin: token("ADMIN_TOKEN"),
      project: token("FAKE_TOKEN").split(":")[1]!
    }))
  )
})
