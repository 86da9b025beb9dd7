/** Version 1 of signing in, at a server of ours and at a real Swift. */
import { createServer, type RequestListener } from "node:http"
import type { AddressInfo } from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Auth from "@headrace/keystone/Auth"
import type { CloudSession } from "@headrace/keystone/CloudSession"
import { driven, open, transport } from "./support/Sessions.ts"

const serve = (handle: RequestListener) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(async () => {
        const server = createServer(handle)
        await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
        return server
      }),
      (server) =>
        Effect.promise(async () => {
          server.closeAllConnections()
          await new Promise((resolve) => void server.close(resolve))
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/auth/v1.0`
  )

const session = (auth: Readonly<Record<string, string | undefined>>, more: object = {}) =>
  open(JSON.stringify({ clouds: { prod: { auth_type: "v1password", auth, ...more } } }))

const tokenOf = ({ token }: CloudSession) =>
  Effect.map(token, (value) => (value === undefined ? undefined : Redacted.value(value)))

const named = { username: "test:tester", password: "testing" }

describe("v1password", () => {
  it("needs auth_url, username and password", () => {
    const complete: Readonly<Record<string, string>> = { authUrl: "http://x/auth/v1.0", username: "a:b" }
    const password = Redacted.make("c")
    const from = (auth: object) =>
      Auth.fromCloud({
        name: "x",
        authType: "v1password",
        auth,
        interfaces: ["public"],
        services: {},
        tls: { verify: true }
      })
    for (const [missing, words] of [
      ["authUrl", "auth_url is missing"],
      ["username", "needs username"]
    ] as const) {
      const made = from({ ...complete, password, [missing]: undefined })
      assert.strictEqual(made._tag, "Failure")
      if (made._tag === "Failure") assert.include(made.failure.message, words)
    }
    const made = from(complete)
    if (made._tag === "Failure") assert.include(made.failure.message, "needs password")
    else assert.fail("no password is needed")
    assert.strictEqual(from({ ...complete, password })._tag, "Success")
  })

  it.live("sends user and key, and takes the account's address, whatever region and interface are asked for", () =>
    Effect.gen(function* () {
      const seen: Array<object> = []
      const url = yield* serve((request, response) => {
        seen.push({ user: request.headers["x-auth-user"], key: request.headers["x-auth-key"], path: request.url })
        response.setHeader("X-Storage-Url", "http://swift.example.org/v1/AUTH_test")
        response.setHeader("X-Auth-Token", `token-${seen.length}`)
        response.end()
      })
      const made = yield* session({ ...named, auth_url: url }, { region_name: "Nowhere", interface: "internal" })
      assert.strictEqual(yield* made.endpoint("object-store"), "http://swift.example.org/v1/AUTH_test")
      assert.strictEqual(yield* tokenOf(made), "token-1")
      assert.deepStrictEqual(seen, [{ user: "test:tester", key: "testing", path: "/auth/v1.0" }])
      const error = yield* Effect.flip(made.endpoint("image"))
      assert.strictEqual(error.reason._tag, "NotFound")
      yield* made.invalidate(yield* made.token)
      assert.strictEqual(yield* tokenOf(made), "token-2")
      const again = yield* Effect.flip(made.invalidate(yield* made.token))
      assert.include(again.message, "a token that the sign-in of Swift gave a moment ago (status 401): check that")
      assert.notInclude(again.message, "Keystone")
      const other = yield* session({ ...named, auth_url: url, project_name: "AUTH_other" })
      assert.strictEqual(yield* other.endpoint("object-store"), "http://swift.example.org/v1/AUTH_other")
    }).pipe(Effect.scoped, Effect.provide(transport))
  )

  for (const [status, reason, words] of [
    [401, "Unauthorized", /^cloud prod: sign-in refused \(status 401\); check user "test:tester" and its password/],
    [403, "Forbidden", /sign-in refused \(status 403: no\)/],
    [404, "NotFound", /no version 1 of signing in at/],
    [200, "Rejected", /does not answer as Swift's sign-in does \(status 200\)/],
    [500, "Unavailable", /does not answer as Swift's sign-in does/]
  ] as const) {
    it.live(`${status} is ${reason}, and shows no key`, () =>
      Effect.gen(function* () {
        const url = yield* serve((request, response) => {
          response.statusCode = status
          response.end(status === 403 ? "no" : `key was ${request.headers["x-auth-key"]}`)
        })
        const made = yield* session({ ...named, password: "s3cret-key", auth_url: `${url}?secret=1` })
        const error = yield* Effect.flip(made.token)
        assert.strictEqual(error.reason._tag, reason)
        assert.match(error.message, words)
        assert.notInclude(error.message, "s3cret-key")
        assert.notInclude(error.message, "secret=1")
      }).pipe(Effect.scoped, Effect.provide(transport))
    )
  }

  it.effect("is asked again while it is away", () =>
    Effect.gen(function* () {
      let asked = 0
      const url = yield* serve((_, response) => {
        if (++asked < 3) response.statusCode = 503
        else response.setHeader("X-Storage-Url", "http://swift/v1/AUTH_a").setHeader("X-Auth-Token", "t")
        response.end()
      })
      const made = yield* session({ ...named, auth_url: url })
      const { exit } = yield* driven(tokenOf(made))
      assert.strictEqual(exit._tag, "Success")
      assert.strictEqual(asked, 3)
    }).pipe(Effect.scoped, Effect.provide(transport))
  )
})

const real = process.env["HEADRACE_TESTBED_SWIFT_AUTH_URL"]

describe.skipIf(real === undefined)("v1password at a real Swift", () => {
  it.live("signs in, and is refused with a wrong key", () =>
    Effect.gen(function* () {
      const made = yield* session({ ...named, auth_url: real })
      const endpoint = yield* made.endpoint("object-store")
      assert.strictEqual(endpoint, process.env["HEADRACE_TESTBED_SWIFT_STORAGE_URL"])
      const headers = made.authHeaders(yield* made.token)
      const answer = yield* Effect.promise(() => fetch(endpoint, { headers }))
      assert.isTrue(answer.ok)
      const wrong = yield* session({ ...named, password: "wrong-key", auth_url: real })
      const error = yield* Effect.flip(wrong.token)
      assert.strictEqual(error.reason._tag, "Unauthorized")
      assert.notInclude(error.message, "wrong-key")
    }).pipe(Effect.provide(transport))
  )
})
