/** Signing in to a real Keystone 30, and using what it gives on a Glance that asks it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Catalog from "@headrace/keystone/Catalog"
import { open, transport } from "./support/Sessions.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""

const session = (auth: object, more: object = {}) =>
  open(
    JSON.stringify({
      clouds: { prod: { auth: { auth_url: env("KEYSTONE"), ...auth }, region_name: "RegionOne", ...more } }
    })
  )

const demo = { username: "demo", password: "demo-secret" }
const project = { project_name: "demo", user_domain_name: "Default", project_domain_name: "Default" }

/** Signs in, finds Glance in the catalog, and asks it something that needs the token. */
const works = (auth: object, more: object = {}) =>
  Effect.gen(function* () {
    const opened = yield* session(auth, more)
    const url = yield* opened.endpoint("image")
    assert.strictEqual(Catalog.imageBase(url), env("KEYSTONE_GLANCE"))
    const status = yield* opened.withToken(
      (headers) =>
        Effect.promise(async () => {
          const response = await fetch(`${Catalog.imageBase(url)}/v2/images`, { headers: { ...headers } })
          await response.arrayBuffer()
          return response.status
        }),
      (status) => status === 401
    )
    assert.strictEqual(status, 200)
    assert.strictEqual((yield* opened.owner).projectId, env("PROJECT_ID"))
    return opened
  }).pipe(Effect.provide(transport))

describe.skipIf(env("KEYSTONE") === "")("Keystone 30", () => {
  it.live("password, project by name and domain", () => works({ ...demo, ...project }))

  it.live("password, by ids", () =>
    works({ user_id: env("USER_ID"), password: "demo-secret", project_id: env("PROJECT_ID") })
  )

  it.live("an auth_url without /v3, and an old one", () =>
    Effect.gen(function* () {
      const root = env("KEYSTONE").replace(/\/v3$/, "")
      for (const auth_url of [root, `${root}/`, `${root}/v2.0`]) yield* works({ ...demo, ...project, auth_url })
    })
  )

  it.live("domains left out: the one called default", () => works({ ...demo, project_name: "demo" }))

  it.live("an application credential, by its id", () =>
    Effect.gen(function* () {
      const secret = { application_credential_secret: env("APP_CREDENTIAL_SECRET") }
      const type = { auth_type: "v3applicationcredential" }
      yield* works({ ...secret, application_credential_id: env("APP_CREDENTIAL_ID") }, type)
    })
  )

  it.live("an application credential, by its name and its user's", () =>
    Effect.gen(function* () {
      const opened = yield* works({ ...demo, ...project })
      const headers = { ...opened.authHeaders(yield* opened.token), "content-type": "application/json" }
      const name = `named-${process.pid}`
      const url = `${env("KEYSTONE")}/users/${env("USER_ID")}/application_credentials`
      const body = JSON.stringify({ application_credential: { name, secret: "named-secret" } })
      const made = yield* Effect.promise(() => fetch(url, { method: "POST", headers, body }))
      assert.strictEqual(made.status, 201)
      const auth = {
        application_credential_name: name,
        application_credential_secret: "named-secret",
        username: "demo"
      }
      yield* works(auth, { auth_type: "v3applicationcredential" })
    }).pipe(Effect.provide(transport))
  )

  it.live("a token: exchanged for the scope, or as it is", () =>
    Effect.gen(function* () {
      const signedIn = yield* works({ ...demo, ...project })
      const value = yield* signedIn.token
      const token = value === undefined ? "" : Redacted.value(value)
      const exchanged = yield* works({ token, ...project }, { auth_type: "v3token" })
      assert.notStrictEqual(Redacted.value((yield* exchanged.token) ?? Redacted.make("")), token)
      const asItIs = yield* works({ token }, { auth_type: "token" })
      assert.strictEqual(Redacted.value((yield* asItIs.token) ?? Redacted.make("")), token)
    })
  )

  it.live("a token of an application credential, which may not be exchanged, is used as it is", () =>
    Effect.gen(function* () {
      const credential = {
        application_credential_id: env("APP_CREDENTIAL_ID"),
        application_credential_secret: env("APP_CREDENTIAL_SECRET")
      }
      const signedIn = yield* works(credential, { auth_type: "v3applicationcredential" })
      const value = yield* signedIn.token
      yield* works(
        { token: value === undefined ? "" : Redacted.value(value), project_id: env("PROJECT_ID") },
        { auth_type: "token" }
      )
    })
  )

  it.live("a token that was revoked is renewed once, for many at once", () =>
    Effect.gen(function* () {
      const opened = yield* works({ ...demo, ...project })
      const token = yield* opened.token
      const headers = {
        ...opened.authHeaders(token),
        "x-subject-token": token === undefined ? "" : Redacted.value(token)
      }
      yield* Effect.promise(() => fetch(`${env("KEYSTONE")}/auth/tokens`, { method: "DELETE", headers }))
      const tokens = new Set<string | undefined>()
      const url = `${env("KEYSTONE")}/auth/projects`
      const statuses = yield* Effect.all(
        Array.from({ length: 8 }, () =>
          opened.withToken(
            (headers) =>
              Effect.promise(async () => {
                tokens.add(headers["x-auth-token"])
                return (await fetch(url, { headers: { ...headers } })).status
              }),
            (status) => status === 401
          )
        ),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual([...new Set(statuses)], [200])
      assert.strictEqual(tokens.size, 2)
    }).pipe(Effect.provide(transport))
  )

  it.live("a wrong password, an unknown project, a wrong secret: Unauthorized, and what to check", () =>
    Effect.gen(function* () {
      const credential = {
        application_credential_id: env("APP_CREDENTIAL_ID"),
        application_credential_secret: "wrong-secret"
      }
      for (const [auth, more, check] of [
        [{ ...demo, ...project, password: "wrong-secret" }, {}, 'user "demo" in domain "Default" and its password'],
        [{ ...demo, ...project, project_name: "nope" }, {}, 'project "nope" in domain "Default"'],
        [credential, { auth_type: "v3applicationcredential" }, "application credential"],
        [{ token: "wrong-secret", ...project }, { auth_type: "token" }, "the token given"]
      ] as const) {
        const opened = yield* session(auth, more)
        const error = yield* Effect.flip(opened.token)
        assert.strictEqual(error.reason._tag, "Unauthorized", error.message)
        assert.match(error.requestId ?? "", /^req-/)
        assert.include(error.message, check)
        assert.match(error.message, /status 401: The request you have made requires authentication|status 404: .*token/)
        assert.notInclude(error.message, "wrong-secret")
      }
    }).pipe(Effect.provide(transport))
  )

  it.live("a region that is not there: NotFound, and what is there", () =>
    Effect.gen(function* () {
      const elsewhere = yield* session({ ...demo, ...project }, { region_name: "Elsewhere" })
      const error = yield* Effect.flip(elsewhere.endpoint("image"))
      assert.strictEqual(error.reason._tag, "NotFound")
      assert.match(error.message, /no public in region Elsewhere endpoint for image: it has .*public in RegionOne/)
      const unscoped = yield* session(demo)
      assert.include((yield* Effect.flip(unscoped.endpoint("image"))).message, "the token is for no project")
    }).pipe(Effect.provide(transport))
  )

  it.live("a port where no Keystone is: told so", () =>
    Effect.gen(function* () {
      const opened = yield* session({ ...demo, ...project, auth_url: `${env("GLANCE")}/v3` })
      const error = yield* Effect.flip(opened.token)
      assert.include(["NotFound", "Rejected", "Unauthorized"], error.reason._tag)
      assert.include(error.message, "auth_url")
    }).pipe(Effect.provide(transport))
  )
})
