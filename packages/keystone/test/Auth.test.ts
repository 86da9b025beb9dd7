import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Auth from "@headrace/keystone/Auth"
import * as CloudConfig from "@headrace/keystone/CloudConfig"
import * as MemoryHost from "./support/MemoryHost.ts"

const auth = (settings: object) =>
  Effect.map(
    Effect.provide(
      CloudConfig.load("prod"),
      MemoryHost.layer({ files: { "/work/clouds.yaml": JSON.stringify({ clouds: { prod: settings } }) } })
    ),
    Auth.fromCloud
  )

/** The JSON that would be sent. */
const body = (settings: object) =>
  Effect.map(auth(settings), (result) => {
    if (Result.isFailure(result)) return assert.fail(result.failure.message)
    if (result.success._tag !== "Keystone") return assert.fail(result.success._tag)
    return JSON.parse(Redacted.value(Auth.tokenRequest(result.success.identity, result.success.scope)))["auth"]
  })

const refusal = (settings: object) =>
  Effect.map(auth(settings), (result) => {
    if (Result.isSuccess(result)) return assert.fail("it is accepted")
    return [result.failure.reason._tag, result.failure.message] as const
  })

const url = { auth_url: "https://k" }
const user = { ...url, username: "u", password: "p" }

describe("what is sent to Keystone", () => {
  it.effect("password: user and project by name, each in its domain", () =>
    Effect.gen(function* () {
      for (const auth_type of [undefined, "password", "v3password"]) {
        const sent = yield* body({
          auth_type,
          auth: { ...user, user_domain_name: "U", project_name: "n", project_domain_id: "pd" }
        })
        assert.deepStrictEqual(sent, {
          identity: {
            methods: ["password"],
            password: { user: { name: "u", domain: { name: "U" }, password: "p" } }
          },
          scope: { project: { name: "n", domain: { id: "pd" } } }
        })
      }
    })
  )

  it.effect("ids need no domain, and go before names", () =>
    Effect.gen(function* () {
      const sent = yield* body({ auth: { ...user, user_id: "uid", project_id: "pid", project_name: "n" } })
      assert.deepStrictEqual(sent.identity.password.user, { id: "uid", password: "p" })
      assert.deepStrictEqual(sent.scope, { project: { id: "pid" } })
    })
  )

  it.effect("a domain that is not said: the default one's id or name, else `default`", () =>
    Effect.gen(function* () {
      const both = (auth: object) =>
        Effect.map(body({ auth: { ...user, project_name: "n", ...auth } }), (sent) => {
          assert.deepStrictEqual(sent.identity.password.user.domain, sent.scope.project.domain)
          return sent.scope.project.domain
        })
      assert.deepStrictEqual(yield* both({ default_domain_id: "d" }), { id: "d" })
      assert.deepStrictEqual(yield* both({ default_domain: "d" }), { id: "d" })
      assert.deepStrictEqual(yield* both({ default_domain_name: "D" }), { name: "D" })
      assert.deepStrictEqual(yield* both({ domain_name: "X" }), { name: "X" })
      assert.deepStrictEqual(yield* both({}), { id: "default" })
    })
  )

  it.effect("scopes: domain by id or name, system, none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* body({ auth: { ...user, domain_id: "d" } })).scope, { domain: { id: "d" } })
      assert.deepStrictEqual((yield* body({ auth: { ...user, domain_name: "D" } })).scope, { domain: { name: "D" } })
      assert.deepStrictEqual((yield* body({ auth: { ...user, system_scope: "all" } })).scope, { system: { all: true } })
      assert.isUndefined((yield* body({ auth: user })).scope)
    })
  )

  it.effect("application credentials: by id, or by name and user; the scope is theirs", () =>
    Effect.gen(function* () {
      const auth_type = "v3applicationcredential"
      const secret = { ...url, application_credential_secret: "s", project_id: "ignored" }
      assert.deepStrictEqual(yield* body({ auth_type, auth: { ...secret, application_credential_id: "i" } }), {
        identity: { methods: ["application_credential"], application_credential: { id: "i", secret: "s" } }
      })
      const named = { ...secret, application_credential_name: "n", username: "u", user_domain_name: "U" }
      assert.deepStrictEqual((yield* body({ auth_type, auth: named })).identity.application_credential, {
        name: "n",
        user: { name: "u", domain: { name: "U" } },
        secret: "s"
      })
    })
  )

  it.effect("a token, also when only its presence says so", () =>
    Effect.gen(function* () {
      for (const auth_type of [undefined, "token", "v3token"]) {
        const sent = yield* body({ auth_type, auth: { ...url, token: "t", project_id: "p" } })
        assert.deepStrictEqual(sent, {
          identity: { methods: ["token"], token: { id: "t" } },
          scope: { project: { id: "p" } }
        })
      }
    })
  )
})

describe("without Keystone", () => {
  it.effect("none and its other spellings, a token with an endpoint", () =>
    Effect.gen(function* () {
      const endpoint = "http://g:9292"
      for (const settings of [
        { auth_type: "none", auth: { endpoint } },
        { auth_type: "None", endpoint },
        { auth_type: null, endpoint }
      ]) {
        assert.deepStrictEqual(yield* auth(settings), Result.succeed({ _tag: "None", endpoint } as const))
      }
      for (const auth_type of [undefined, "admin_token", "token_endpoint"]) {
        const found = yield* auth({ auth_type, auth: { endpoint, token: "t" } })
        assert.strictEqual(Result.getOrThrow(found)._tag, "Fixed")
      }
    })
  )
})

describe("what one cannot sign in with", () => {
  it.effect("says what is missing", () =>
    Effect.gen(function* () {
      const credential = { auth_type: "v3applicationcredential" }
      const cases: ReadonlyArray<readonly [object, string]> = [
        [{ auth: { username: "u", password: "p" } }, "auth_url is missing"],
        [{ auth: { ...url, password: "p" } }, "needs username or user_id"],
        [{ auth: { ...url, username: "u" } }, "needs password"],
        [{ auth_type: "token", auth: url }, "needs token"],
        [{ auth_type: "admin_token", auth: url }, "needs token"],
        [{ ...credential, auth: url }, "needs application_credential_secret"],
        [{ ...credential, auth: { ...url, application_credential_secret: "s" } }, "needs application_credential_id or"],
        [
          { ...credential, auth: { ...url, application_credential_secret: "s", application_credential_name: "n" } },
          "application_credential_name needs username or user_id"
        ],
        [
          { auth: { ...url, application_credential_secret: "s", application_credential_id: "i" } },
          "auth_type is not: set auth_type to v3applicationcredential"
        ],
        [
          { auth_type: "password", auth: { ...url, application_credential_id: "i" } },
          "auth_type is password, but an application credential is given"
        ],
        [{ auth: { ...user, project_id: "p", system_scope: "all" } }, "one scope, but a project and system_scope"],
        [{ auth: { ...user, system_scope: "some" } }, 'only "all" is possible'],
        [
          { auth_type: "pasword", auth: user },
          "auth_type pasword is unknown: use one of password, v3password, token, v3token, v3applicationcredential"
        ]
      ]
      for (const [settings, expected] of cases) {
        const [reason, text] = yield* refusal(settings)
        assert.strictEqual(reason, "InvalidConfig", text)
        assert.include(text, expected)
        assert.include(text, "(/work/clouds.yaml)")
      }
    })
  )

  it.effect("tells what is not supported from what is wrong", () =>
    Effect.gen(function* () {
      const cases: ReadonlyArray<readonly [object, string]> = [
        [{ auth: { ...user, trust_id: "t" } }, "trust_id is not supported"],
        [{ auth: { ...user, passcode: "123456" } }, "passcode (a second factor) is not supported"],
        [{ auth: user, identity_api_version: 2 }, "identity_api_version 2 is not supported"],
        ...["v3totp", "v3oidcpassword", "v3multifactor", "v2password", "v3kerberos", "v3websso"].map(
          (auth_type) => [{ auth_type, auth: user }, `auth_type ${auth_type} is not supported`] as const
        )
      ]
      for (const [settings, expected] of cases) {
        const [reason, text] = yield* refusal(settings)
        assert.strictEqual(reason, "Unsupported", text)
        assert.include(text, expected)
        assert.notInclude(text, "123456")
      }
    })
  )
})
