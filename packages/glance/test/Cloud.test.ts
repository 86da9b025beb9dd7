import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Host } from "@headrace/core/Host"
import * as GlanceSource from "@headrace/glance/GlanceSource"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as BlockPool from "@headrace/core/BlockPool"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { contentOf, write } from "./support/session.ts"

const bytes = randomBytes(100_000)

/** A machine with one clouds.yaml. */
const host = (clouds: string) =>
  Layer.succeed(
    Host,
    Host.of({
      env: Effect.succeed({}),
      cwd: Effect.succeed("/work"),
      home: Effect.succeed("/home/u"),
      readFile: (path) => Effect.succeed(path === "/work/clouds.yaml" ? clouds : undefined)
    })
  )

const closing = <A extends { readonly close: () => Promise<void> }>(started: () => Promise<A>) =>
  Effect.acquireRelease(Effect.promise(started), (running) => Effect.promise(() => running.close()))

const bed = Effect.gen(function* () {
  const keystone = yield* closing(() => EmbeddedKeystone.start())
  const glance = yield* closing(() => EmbeddedGlance.start({ auth: keystone }))
  keystone.addService({
    type: "image",
    name: "glance",
    endpoints: [{ interface: "public", region: "RegionOne", url: `${glance.url}/v2` }]
  } as EmbeddedKeystone.CatalogEntry)
  const clouds = (password: string) => `
clouds:
  prod:
    region_name: RegionOne
    auth:
      auth_url: ${keystone.authUrl}
      username: demo
      password: ${password}
      project_name: demo
      user_domain_name: Default
      project_domain_name: Default
  plain:
    auth_type: none
    auth:
      endpoint: ${glance.url}
`
  return { keystone, glance, clouds }
})

const on = (clouds: string) =>
  Layer.mergeAll(NodeTransport.layer, host(clouds), BlockPool.layer({ bytes: 4 * 1024 * 1024, blockBytes: 64 * 1024 }))

const upload = (uri: string) =>
  Effect.gen(function* () {
    const store = Result.getOrThrow(GlanceStore.fromUri(uri))
    assert.strictEqual(store.uri, uri)
    const session = yield* store.open(contentOf(bytes))
    yield* session.begin
    yield* write(session, bytes)
    return yield* session.inspect
  })

describe("a cloud of clouds.yaml", () => {
  it.live("is signed in to once, and its image service found in the catalog", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds, glance, keystone } = yield* bed
        yield* Effect.gen(function* () {
          for (const name of ["one", "two"]) {
            assert.strictEqual((yield* upload(`glance://prod/${name}?visibility=private`))._tag, "Stored")
          }
          assert.strictEqual(keystone.stats.issued, 1)
          const source = Result.getOrThrow(GlanceSource.fromUri("glance://prod/one"))
          assert.strictEqual((yield* source.info).size, bytes.length)
          assert.strictEqual(keystone.stats.issued, 1)
        }).pipe(Effect.provide(on(clouds("secret"))))
        assert.deepStrictEqual(
          glance.images.list().map(({ name, status }) => [name, status]),
          [
            ["one", "active"],
            ["two", "active"]
          ]
        )
      })
    )
  )

  it.live("gives a new token when a call meets a revoked one", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds, keystone } = yield* bed
        yield* Effect.gen(function* () {
          const store = Result.getOrThrow(GlanceStore.fromUri("glance://prod/disk"))
          const session = yield* store.open(contentOf(bytes))
          keystone.revoke()
          yield* session.begin
          assert.strictEqual((yield* session.inspect)._tag, "Ready")
          assert.strictEqual(keystone.stats.issued, 2)
        }).pipe(Effect.provide(on(clouds("secret"))))
      })
    )
  )

  it.live("gives a new token when a body meets a revoked one, for the next attempt", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds, keystone } = yield* bed
        yield* Effect.gen(function* () {
          const store = Result.getOrThrow(GlanceStore.fromUri("glance://prod/disk"))
          const session = yield* store.open(contentOf(bytes))
          yield* session.begin
          keystone.revoke()
          const refused = yield* Effect.flip(write(session, bytes))
          assert.deepInclude(refused, { status: 401, retryable: true })
          yield* write(session, bytes)
          assert.strictEqual((yield* session.inspect)._tag, "Stored")
          assert.strictEqual(keystone.stats.issued, 2)
        }).pipe(Effect.provide(on(clouds("secret"))))
      })
    )
  )

  it.live("that refuses the password says so before anything is asked of Glance, without the password", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds, glance } = yield* bed
        const error = yield* Effect.flip(upload("glance://prod/disk")).pipe(Effect.provide(on(clouds("wr0ng"))))
        assert.deepInclude(error, { status: 401, retryable: false })
        assert.notInclude(JSON.stringify(error), "wr0ng")
        assert.strictEqual(glance.requests.length, 0)
      })
    )
  )

  it.live("without Keystone is an endpoint, and a wrong one is refused like any other", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds } = yield* bed
        const error = yield* Effect.flip(upload("glance://plain/disk")).pipe(Effect.provide(on(clouds("secret"))))
        assert.deepInclude(error, { status: 401, retryable: false })
      })
    )
  )

  it.live("that is not in the file is named", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const { clouds } = yield* bed
        const error = yield* Effect.flip(upload("glance://nosuch/disk")).pipe(Effect.provide(on(clouds("secret"))))
        if (error._tag !== "StoreError") return assert.fail(error._tag)
        assert.strictEqual(error.reason._tag, "InvalidConfig")
        assert.include(error.message, "nosuch")
      })
    )
  )
})
