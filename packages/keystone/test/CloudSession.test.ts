import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as TestClock from "effect/testing/TestClock"
import { Transport, TransportError, type Tls } from "@headrace/core/Transport"
import * as CloudConfig from "@headrace/keystone/CloudConfig"
import * as CloudSession from "@headrace/keystone/CloudSession"
import type { KeystoneError } from "@headrace/keystone/KeystoneError"
import * as FakeKeystone from "./support/FakeKeystone.ts"
import * as MemoryHost from "./support/MemoryHost.ts"
import { clouds, driven, open, settle, transport } from "./support/Sessions.ts"

const value = (token: CloudSession.TokenValue): string | undefined =>
  token === undefined ? undefined : Redacted.value(token)

const plainToken = (session: CloudSession.CloudSession) => Effect.map(session.token, value)

const errorOf = (exit: Exit.Exit<unknown, KeystoneError>): KeystoneError => {
  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  return reason?._tag === "Fail" ? reason.error : assert.fail(`not an error: ${JSON.stringify(exit)}`)
}

describe("one token for all", () => {
  it.effect("fifty callers at once make one request", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone, { auth_url: keystone.url }))
      const tokens = yield* Effect.all(
        Array.from({ length: 50 }, (_, index) => (index % 2 ? session.token : session.tokenWithLife(600_000))),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(tokens.map(value))], ["token-1"])
      assert.strictEqual(keystone.asked(), 1)
      assert.strictEqual(keystone.requests.length, 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("fifty callers share one refusal; a caller that comes later asks again", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone, { password: "wrong" }))
      const errors = yield* Effect.all(
        Array.from({ length: 50 }, () => Effect.flip(session.token)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(keystone.asked(), 1)
      for (const error of errors) {
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.strictEqual(error.status, 401)
        assert.isFalse(error.retryable)
        assert.strictEqual(
          error.message,
          "cloud prod: sign-in refused (status 401: The request you have made requires authentication.); " +
            `check user "demo" in domain default and its password, project "demo" in domain default, ` +
            `and auth_url ${keystone.url}/v3`
        )
      }
      yield* Effect.flip(session.token)
      assert.strictEqual(keystone.asked(), 2)
      // A thousand lines with a wrong password would lock the account.
      for (let line = 0; line < 20; line++) yield* Effect.flip(session.token)
      assert.strictEqual(keystone.asked(), 3)
      yield* TestClock.adjust(30_000)
      yield* Effect.flip(session.token)
      assert.strictEqual(keystone.asked(), 4)
    }).pipe(Effect.provide(transport))
  )

  it.effect("the first caller may be interrupted: the others still get a token", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.script = () => (keystone.asked() === 1 ? "hang" : undefined)
      const session = yield* open(clouds(keystone))
      const first = yield* Effect.forkChild(session.token, { startImmediately: true })
      const others = yield* Effect.forkChild(
        Effect.all([plainToken(session), plainToken(session)], { concurrency: 2 }),
        { startImmediately: true }
      )
      yield* settle()
      assert.strictEqual(keystone.asked(), 1)
      yield* Fiber.interrupt(first)
      assert.deepStrictEqual(yield* Fiber.join(others), ["token-2", "token-2"])
      assert.strictEqual(keystone.asked(), 2)
    }).pipe(Effect.provide(transport))
  )
})

describe("renewal ahead of the end", () => {
  it.effect("an hour's token is kept until two minutes before, then renewed once", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      assert.strictEqual(yield* plainToken(session), "token-1")
      yield* TestClock.adjust("3478 seconds")
      assert.strictEqual(yield* plainToken(session), "token-1")
      yield* TestClock.adjust("3 seconds")
      const tokens = yield* Effect.all(
        Array.from({ length: 20 }, () => plainToken(session)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(tokens)], ["token-2"])
      assert.strictEqual(keystone.asked(), 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("a short one until a fifth is left", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.tokenSeconds = 100
      const session = yield* open(clouds(keystone))
      assert.strictEqual(yield* plainToken(session), "token-1")
      yield* TestClock.adjust("78 seconds")
      assert.strictEqual(yield* plainToken(session), "token-1")
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(yield* plainToken(session), "token-2")
    }).pipe(Effect.provide(transport))
  )

  it.effect("the end is told by the service's clock, not by ours", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      // The test clock starts in 1970, half a century before the fake's.
      const session = yield* open(clouds(keystone))
      assert.strictEqual(yield* plainToken(session), "token-1")
      yield* TestClock.adjust("2 days")
      assert.strictEqual(yield* plainToken(session), "token-2")
      assert.strictEqual(yield* plainToken(session), "token-2")
    }).pipe(Effect.provide(transport))
  )

  it.effect("a life that is asked for is had, and a longer one than there is not asked for again and again", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      const withLife = (minutes: number) => Effect.map(session.tokenWithLife(minutes * 60_000), value)
      assert.strictEqual(yield* withLife(30), "token-1")
      yield* TestClock.adjust("25 minutes")
      assert.strictEqual(yield* withLife(30), "token-1")
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(yield* plainToken(session), "token-1")
      assert.strictEqual(yield* withLife(30), "token-2")
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* withLife(600), "token-2")
      assert.strictEqual(keystone.asked(), 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("while Keystone is away the old token serves on, to within ten seconds of its end", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      yield* session.token
      keystone.script = () => ({ status: 503, body: "down" })
      yield* TestClock.adjust("3500 seconds")
      const { exit } = yield* driven(plainToken(session))
      assert.deepStrictEqual(exit, Exit.succeed("token-1"))
      const asked = keystone.asked()
      assert.strictEqual(yield* plainToken(session), "token-1")
      assert.strictEqual(keystone.asked(), asked)
      yield* TestClock.adjust("95 seconds")
      const ended = yield* driven(plainToken(session))
      assert.strictEqual(errorOf(ended.exit).reason._tag, "Unavailable")
      keystone.script = () => undefined
      assert.match((yield* plainToken(session)) ?? "", /^token-/)
    }).pipe(Effect.provide(transport))
  )
})

describe("a token that a service refuses", () => {
  it.effect("is renewed once, however many say so and however late", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      const first = yield* session.token
      yield* Effect.all(
        Array.from({ length: 50 }, () => Effect.andThen(session.invalidate(first), session.token)),
        { concurrency: "unbounded" }
      )
      assert.strictEqual(keystone.asked(), 2)
      yield* session.invalidate(first)
      assert.strictEqual(yield* plainToken(session), "token-2")
      assert.strictEqual(keystone.asked(), 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("and its replacement at once as well: that is the end, for each who says so", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      yield* session.invalidate(yield* session.token)
      const second = yield* session.token
      for (let i = 0; i < 3; i++) {
        const error = yield* Effect.flip(session.invalidate(second))
        assert.strictEqual(error.reason._tag, "Unauthorized")
        assert.include(error.message, "refuses a token that Keystone gave a moment ago")
      }
      assert.strictEqual(yield* plainToken(session), "token-2")
      yield* TestClock.adjust("61 seconds")
      yield* session.invalidate(second)
      assert.strictEqual(yield* plainToken(session), "token-3")
    }).pipe(Effect.provide(transport))
  )

  it.effect("Keystone's own 401 afterwards is final", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      yield* session.invalidate(yield* session.token)
      keystone.script = () => FakeKeystone.unauthorized
      const error = yield* Effect.flip(session.token)
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.strictEqual(keystone.asked(), 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("withToken tries once more, and not a third time", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      const seen: Array<string | undefined> = []
      const service = (good: string) => (headers: Readonly<Record<string, string>>) =>
        Effect.sync(() => {
          seen.push(headers["x-auth-token"])
          return headers["x-auth-token"] === good ? 200 : 401
        })
      const answers = yield* Effect.all(
        Array.from({ length: 10 }, () => session.withToken(service("token-2"), (status) => status === 401)),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(answers)], [200])
      assert.strictEqual(keystone.asked(), 2)
      seen.length = 0
      yield* TestClock.adjust("2 minutes")
      const error = yield* Effect.flip(session.withToken(service("none"), (status) => status === 401))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.deepStrictEqual(seen, ["token-2", "token-3"])
    }).pipe(Effect.provide(transport))
  )
})

describe("a Keystone in trouble", () => {
  it.effect("503 is tried again, as late as Retry-After says", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.script = () =>
        keystone.asked() <= 2 ? { status: 503, headers: { "retry-after": "20" }, body: "" } : undefined
      const session = yield* open(clouds(keystone))
      const { exit, seconds } = yield* driven(plainToken(session))
      assert.deepStrictEqual(exit, Exit.succeed("token-3"))
      assert.isAtLeast(seconds, 40)
      assert.isAtMost(seconds, 45)
    }).pipe(Effect.provide(transport))
  )

  it.effect("three times and no more; a Retry-After of minutes is left to the caller", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const page = "<html><head><title>503 Service Unavailable</title></head><body>long</body></html>"
      keystone.script = () => ({ status: 503, headers: { "x-openstack-request-id": "req-7" }, body: page })
      const session = yield* open(clouds(keystone))
      const error = errorOf((yield* driven(session.token)).exit)
      assert.strictEqual(keystone.asked(), 4)
      assert.strictEqual(
        error.message,
        `cloud prod: Keystone at ${keystone.url} is not available (status 503: 503 Service Unavailable)`
      )
      assert.isTrue(error.retryable)
      assert.strictEqual(error.requestId, "req-7")
      keystone.script = () => ({ status: 503, headers: { "retry-after": "600" } })
      const patient = errorOf((yield* driven(session.token)).exit)
      assert.strictEqual(keystone.asked(), 5)
      assert.strictEqual(patient.retryAfterMs, 600_000)
    }).pipe(Effect.provide(transport))
  )

  it.effect("a lost connection is tried again, a refusal never", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.script = () => (keystone.asked() <= 3 ? "reset" : undefined)
      const session = yield* open(clouds(keystone))
      const { exit } = yield* driven(plainToken(session))
      assert.isTrue(Exit.isSuccess(exit), JSON.stringify(exit))
      for (const [status, reason] of [
        [400, "Rejected"],
        [401, "Unauthorized"],
        [403, "Forbidden"],
        [404, "NotFound"],
        [413, "Rejected"],
        [500, "Unavailable"]
      ] as const) {
        keystone.requests.length = 0
        keystone.script = () => FakeKeystone.json(status, { error: { message: `it was ${status}` } })
        const other = yield* open(clouds(keystone))
        const error = errorOf((yield* driven(other.token)).exit)
        assert.strictEqual(error.reason._tag, reason)
        assert.include(error.message, `status ${status}: it was ${status}`)
        assert.strictEqual(keystone.asked(), 1)
      }
    }).pipe(Effect.provide(transport))
  )

  it.effect("nobody there: an error that names the address, after a few seconds", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(Effect.map(FakeKeystone.make, ({ url }) => url))
      const session = yield* open(clouds({ url: gone }))
      const { exit, seconds } = yield* driven(session.token)
      const error = errorOf(exit)
      assert.strictEqual(error.reason._tag, "ConnectionLost")
      assert.isTrue(error.retryable)
      assert.include(error.message, `Keystone at ${gone} cannot be reached`)
      assert.isAtMost(seconds, 6)
    }).pipe(Effect.provide(transport))
  )

  it.effect("one that never answers: an error after 30 s", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.script = () => "hang"
      for (const auth_url of [`${keystone.url}/v3`, keystone.url]) {
        const session = yield* open(clouds(keystone, { auth_url }))
        const fiber = yield* Effect.forkChild(session.token, { startImmediately: true })
        yield* settle()
        yield* TestClock.adjust("29 seconds")
        assert.isUndefined(fiber.pollUnsafe())
        yield* TestClock.adjust("1 second")
        const error = errorOf(yield* Fiber.await(fiber))
        assert.strictEqual(error.reason._tag, "Stalled")
        assert.isTrue(error.retryable)
        assert.include(error.message, "gave no answer for 30 s")
      }
      assert.strictEqual(keystone.requests.length, 2)
    }).pipe(Effect.provide(transport))
  )

  it.effect("what is not Keystone is said to be none", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      for (const reply of [
        { status: 200, body: "<html>welcome</html>" },
        { status: 201, headers: { "x-subject-token": "t" }, body: "[1]" },
        FakeKeystone.json(201, { token: {} })
      ]) {
        keystone.script = () => reply
        const error = yield* Effect.flip(session.token)
        assert.strictEqual(error.reason._tag, "Rejected")
        assert.include(error.message, "does not answer as Keystone does")
      }
      keystone.script = () => ({ status: 302, headers: { location: "https://elsewhere.example/login?x=1" } })
      const moved = yield* Effect.flip(session.token)
      assert.include(moved.message, "is moved to https://elsewhere.example/login (status 302)")
      keystone.script = () => FakeKeystone.json(401, { receipt: {} }, { "openstack-auth-receipt": "r" })
      const factor = yield* Effect.flip(session.token)
      assert.strictEqual(factor.reason._tag, "Unsupported")
      assert.include(factor.message, "second factor")
    }).pipe(Effect.provide(transport))
  )
})

describe("finding version 3", () => {
  const versions = (href: string, id = "v3.14") =>
    FakeKeystone.json(300, {
      versions: {
        values: [
          { id: "v2.0", links: [] },
          { id, links: [{ rel: "self", href }] }
        ]
      }
    })

  const found = Effect.fnUntraced(function* (path: string, script: FakeKeystone.FakeKeystone["script"]) {
    const keystone = yield* FakeKeystone.make
    keystone.script = (request) => (request.method === "GET" ? script(request) : undefined)
    const session = yield* open(clouds(keystone, { auth_url: `${keystone.url}${path}` }))
    yield* session.token
    return keystone.requests.map(({ method, path }) => `${method} ${path}`)
  }, Effect.scoped)

  it.effect("an auth_url that says v3 is taken at its word", () =>
    Effect.gen(function* () {
      for (const path of ["/v3", "/v3/", "/identity/v3"]) {
        const seen = yield* found(path, () => undefined)
        assert.deepStrictEqual(seen, [`POST ${path.replace(/\/$/, "")}/auth/tokens`])
      }
    }).pipe(Effect.provide(transport))
  )

  it.effect("the link's path is taken when its host is the one asked, else only its version", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* found("", () => undefined), ["GET /", "POST /v3/auth/tokens"])
      assert.deepStrictEqual(yield* found("/identity", () => versions("http://inner.example:5000/v3/")), [
        "GET /identity/",
        "POST /identity/v3/auth/tokens"
      ])
      assert.deepStrictEqual(yield* found("/identity", () => versions("/other/v3/")), [
        "GET /identity/",
        "POST /other/v3/auth/tokens"
      ])
      assert.deepStrictEqual(yield* found("/identity", () => versions("v3")), [
        "GET /identity/",
        "POST /identity/v3/auth/tokens"
      ])
      assert.deepStrictEqual(yield* found("/k", () => FakeKeystone.json(200, { version: { id: "v3.8", links: [] } })), [
        "GET /k/",
        "POST /k/v3/auth/tokens"
      ])
      assert.deepStrictEqual(
        yield* found("/k", () => FakeKeystone.json(200, { versions: [{ id: "v3", links: [] }] })),
        ["GET /k/", "POST /k/v3/auth/tokens"]
      )
    }).pipe(Effect.provide(transport))
  )

  it.effect("no versions document: /v3 is appended", () =>
    Effect.gen(function* () {
      for (const reply of [
        { status: 404, body: "no" },
        { status: 200, body: "<html>" },
        { status: 200, body: "{}" }
      ]) {
        const seen = yield* found("/identity", () => reply)
        assert.deepStrictEqual(seen, ["GET /identity/", "POST /identity/v3/auth/tokens"])
      }
    }).pipe(Effect.provide(transport))
  )

  it.effect("an old /v2.0 is looked behind, a redirect is followed", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* found("/k/v2.0/", () => versions("/k/v3/")), ["GET /k/", "POST /k/v3/auth/tokens"])
      const redirected = yield* found("/old", ({ path }) =>
        path === "/old/" ? { status: 301, headers: { location: "/new/" } } : versions("/new/v3")
      )
      assert.deepStrictEqual(redirected, ["GET /old/", "GET /new/", "POST /new/v3/auth/tokens"])
    }).pipe(Effect.provide(transport))
  )

  it.effect("a Keystone without it is told apart", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(found("", () => versions("/v2.0", "v2.1")))
      assert.strictEqual(error.reason._tag, "Unsupported")
      assert.include(error.message, "offers only v2.0, v2.1: version 3 of Keystone is needed")
    }).pipe(Effect.provide(transport))
  )
})

describe("a token given", () => {
  const given = { username: undefined, password: undefined, token: "given-token" }
  const settings = { auth_type: "token" }
  const forbidden = FakeKeystone.json(403, { error: { message: "You are not authorized to rescope a scoped token." } })

  it.effect("is exchanged for one of the scope", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone, given, settings))
      assert.strictEqual(yield* plainToken(session), "token-1")
      assert.deepStrictEqual(JSON.parse(keystone.requests[0]?.body ?? "").auth.identity, {
        methods: ["token"],
        token: { id: "given-token" }
      })
    }).pipe(Effect.provide(transport))
  )

  it.effect("is used as it is where no scope is asked, or no exchange allowed", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const unscoped = yield* open(clouds(keystone, { ...given, project_name: undefined }, settings))
      assert.strictEqual(yield* plainToken(unscoped), "given-token")
      assert.strictEqual(yield* unscoped.endpoint("image"), "http://glance.example:9292")
      assert.strictEqual(keystone.requests[0]?.headers["x-subject-token"], "given-token")
      keystone.script = ({ method }) => (method === "POST" ? forbidden : undefined)
      const session = yield* open(clouds(keystone, given, settings))
      assert.strictEqual(yield* plainToken(session), "given-token")
      const byId = yield* open(clouds(keystone, { ...given, project_id: "project-id" }, settings))
      assert.strictEqual(yield* plainToken(byId), "given-token")
    }).pipe(Effect.provide(transport))
  )

  it.effect("is not used for another project than it is for", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      keystone.script = ({ method }) => (method === "POST" ? forbidden : undefined)
      for (const scope of [{ project_name: "other" }, { project_id: "other" }, { project_domain_name: "Elsewhere" }]) {
        const session = yield* open(clouds(keystone, { ...given, ...scope }, settings))
        const error = yield* Effect.flip(session.token)
        assert.strictEqual(error.reason._tag, "Forbidden")
        assert.include(error.message, "rescope a scoped token")
      }
    }).pipe(Effect.provide(transport))
  )

  it.effect("that Keystone cannot read is a 404 to it, and Unauthorized here", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone, given, settings))
      const missing = FakeKeystone.json(404, { error: { code: 404, message: "Could not recognize Fernet token" } })
      keystone.script = ({ method }) => (method === "POST" ? missing : FakeKeystone.unauthorized)
      const error = yield* Effect.flip(session.token)
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.include(error.message, "status 404: Could not recognize Fernet token")
      keystone.script = () => ({ status: 404, body: "<html><title>Not Found</title></html>" })
      assert.strictEqual((yield* Effect.flip(session.token)).reason._tag, "NotFound")
    }).pipe(Effect.provide(transport))
  )

  it.effect("that has ended is Unauthorized, after a service's 401 too", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone, { ...given, project_name: undefined }, settings))
      const token = yield* session.token
      yield* session.invalidate(token)
      keystone.script = () => FakeKeystone.unauthorized
      const error = yield* Effect.flip(session.token)
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.include(error.message, "check the token given")
    }).pipe(Effect.provide(transport))
  )
})

describe("endpoints", () => {
  const catalog = [
    FakeKeystone.imageService(
      ["public", "One", "http://public-1"],
      ["internal", "One", "http://internal-1"],
      ["public", "Two", "http://public-2/v2"]
    )
  ]
  const endpoint = Effect.fnUntraced(function* (more: Readonly<Record<string, unknown>>, type = "image") {
    const keystone = yield* FakeKeystone.make
    keystone.catalog = catalog
    const session = yield* open(clouds(keystone, {}, more))
    const result = yield* Effect.result(session.endpoint(type))
    return { asked: keystone.asked(), result: result._tag === "Success" ? result.success : result.failure }
  }, Effect.scoped)

  it.effect("come from the catalog by region and interface, for the service or for all", () =>
    Effect.gen(function* () {
      for (const [more, url] of [
        [{}, "http://public-1"],
        [{ region_name: "Two" }, "http://public-2/v2"],
        [{ interface: "internal" }, "http://internal-1"],
        [{ interface: ["admin", "internalURL"] }, "http://internal-1"],
        [
          { region_name: "One", image_region_name: "Two", image_interface: "public", interface: "admin" },
          "http://public-2/v2"
        ]
      ] as const) {
        assert.deepStrictEqual(yield* endpoint(more), { asked: 1, result: url })
      }
    }).pipe(Effect.provide(transport))
  )

  it.effect("an override needs no catalog; it may name the project", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* endpoint({ image_endpoint_override: "http://own/v2" }), {
        asked: 0,
        result: "http://own/v2"
      })
      const swift = { object_store_endpoint_override: "http://s/v1/AUTH_%(project_id)s" }
      assert.deepStrictEqual(yield* endpoint(swift, "object-store"), {
        asked: 1,
        result: "http://s/v1/AUTH_project-id"
      })
      const volume = { volumev3_endpoint_override: "http://v" }
      assert.deepStrictEqual(yield* endpoint(volume, "block-storage"), { asked: 0, result: "http://v" })
    }).pipe(Effect.provide(transport))
  )

  it.effect("what is wrong with one service's is told when that service is asked for, and nobody else's matter", () =>
    Effect.gen(function* () {
      for (const other of [
        { compute_endpoint_override: "nova:8774" },
        { s3_endpoint: "minio:9000" },
        { network_interface: "eth0" },
        { default_interface: true }
      ]) {
        assert.deepStrictEqual(yield* endpoint(other), { asked: 1, result: "http://public-1" })
      }
      for (const [more, text] of [
        [{ image_endpoint_override: "ftp://x" }, "image_endpoint_override: must be an http:// or https:// URL"],
        [{ image_endpoint: "https://u:hush@x" }, "image_endpoint: must not hold a user name or password"],
        [{ image_interface: "outside" }, "image_interface: must be public, internal or admin, or a list of these"]
      ] as const) {
        const { asked, result } = yield* endpoint(more)
        if (typeof result === "string") return assert.fail(result)
        assert.strictEqual(asked, 0)
        assert.strictEqual(result.reason._tag, "InvalidConfig")
        assert.include(result.message, `cloud prod: ${text}`)
        assert.include(result.message, "(/work/clouds.yaml)")
        assert.notInclude(result.message, "hush")
      }
      const without = JSON.stringify({
        clouds: { prod: { auth_type: "none", auth: { endpoint: "http://g" }, image_endpoint_override: "g:9292" } }
      })
      const error = yield* Effect.flip(Effect.flatMap(open(without), (session) => session.endpoint("image")))
      assert.include(error.message, "image_endpoint_override: must be an http:// or https:// URL")
    }).pipe(Effect.provide(transport))
  )

  it.effect("a missing one is told with what there is", () =>
    Effect.gen(function* () {
      for (const [more, type, text] of [
        [{ region_name: "Three" }, "image", "no public in region Three endpoint for image: it has public in One, "],
        [{ interface: "admin" }, "image", "no admin endpoint for image: it has public in One, internal in One, "],
        [{}, "object-store", "no public endpoint for object-store: it has image"]
      ] as const) {
        const { result } = yield* endpoint(more, type)
        if (typeof result === "string") return assert.fail(result)
        assert.strictEqual(result.reason._tag, "NotFound")
        assert.include(result.message, text)
      }
      const keystone = yield* FakeKeystone.make
      keystone.catalog = []
      const session = yield* open(clouds(keystone))
      const error = yield* Effect.flip(session.endpoint("image"))
      assert.include(error.message, "the catalog is empty; the token is for no project")
    }).pipe(Effect.provide(transport))
  )

  it.effect("the owner is whom the token is for", () =>
    Effect.gen(function* () {
      const keystone = yield* FakeKeystone.make
      const session = yield* open(clouds(keystone))
      assert.deepStrictEqual(yield* session.owner, {
        userId: "user-id",
        projectId: "project-id",
        projectName: "demo",
        projectDomain: { id: "default", name: "Default" }
      })
    }).pipe(Effect.provide(transport))
  )
})

describe("clouds without Keystone", () => {
  const cloud = (settings: object) => JSON.stringify({ clouds: { prod: settings } })

  it.effect("none: no header, the endpoint as given, a 401 is final", () =>
    Effect.gen(function* () {
      const session = yield* open(cloud({ auth_type: "none", auth: { endpoint: "http://g:9292" } }))
      const token = yield* session.token
      assert.isUndefined(token)
      assert.deepStrictEqual(session.authHeaders(token), {})
      assert.strictEqual(yield* session.endpoint("image"), "http://g:9292")
      assert.deepStrictEqual(yield* session.owner, {})
      const error = yield* Effect.flip(session.invalidate(token))
      assert.strictEqual(error.reason._tag, "Unauthorized")
      const used = yield* Effect.flip(
        session.withToken(
          () => Effect.succeed(401),
          (status) => status === 401
        )
      )
      assert.strictEqual(used.reason._tag, "Unauthorized")
      assert.strictEqual(
        yield* session.withToken(
          () => Effect.succeed(200),
          (status) => status === 401
        ),
        200
      )
      const bare = yield* open(cloud({ auth_type: "none", image_endpoint_override: "http://i" }))
      assert.strictEqual(yield* bare.endpoint("image"), "http://i")
      const missing = yield* Effect.flip(bare.endpoint("object-store"))
      assert.strictEqual(missing.reason._tag, "InvalidConfig")
      assert.include(missing.message, "object_store_endpoint_override")
    }).pipe(Effect.provide(transport))
  )

  it.effect("a fixed token is sent, and cannot be renewed", () =>
    Effect.gen(function* () {
      const session = yield* open(cloud({ auth: { endpoint: "http://g:9292", token: "fixed" } }))
      const token = yield* session.tokenWithLife(1e9)
      assert.deepStrictEqual(session.authHeaders(token), { "x-auth-token": "fixed" })
      const error = yield* Effect.flip(session.invalidate(token))
      assert.include(error.message, "there is no auth_url to get another")
    }).pipe(Effect.provide(transport))
  )
})

describe("how connections are secured", () => {
  it.effect("Keystone is asked with the cloud's certificates, and services are to be", () =>
    Effect.gen(function* () {
      const asked: Array<Tls | undefined> = []
      const file = JSON.stringify({
        clouds: {
          prod: {
            auth: { auth_url: "https://k", username: "u", password: "p" },
            cacert: "/ca.pem",
            cert: "/c.pem",
            key: "/k.pem"
          }
        }
      })
      const files = { "/work/clouds.yaml": file, "/ca.pem": "CA", "/c.pem": "CERT", "/k.pem": "KEY" }
      const session = yield* CloudConfig.load("prod").pipe(
        Effect.provide(MemoryHost.layer({ files })),
        Effect.flatMap(CloudSession.make),
        Effect.provideService(Transport, {
          send: (request) => {
            asked.push(request.tls)
            const reason = { _tag: "InvalidConfig" } as const
            return Effect.fail(new TransportError({ reason, message: "bad CA", phase: "connect", bytesSent: 0 }))
          }
        })
      )
      const error = yield* Effect.flip(session.token)
      assert.strictEqual(error.reason._tag, "InvalidConfig")
      assert.strictEqual(error.message, "cloud prod: bad CA")
      const tls = { verify: true, ca: "CA", cert: "CERT", key: "KEY" }
      assert.deepStrictEqual(asked, [tls])
      assert.deepStrictEqual(session.tls, tls)
    })
  )
})
