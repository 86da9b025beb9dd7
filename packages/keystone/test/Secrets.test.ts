/**
 * No secret in anything that a program might show: a cloud, a session, an error of any path, also when the server sends
 * the secret back in whatever form.
 */
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Host } from "@headrace/core/Host"
import * as Auth from "@headrace/keystone/Auth"
import * as CloudConfig from "@headrace/keystone/CloudConfig"
import * as CloudSession from "@headrace/keystone/CloudSession"
import * as FakeKeystone from "./support/FakeKeystone.ts"
import * as MemoryHost from "./support/MemoryHost.ts"
import { driven, transport } from "./support/Sessions.ts"

// A quote, a backslash, a space and a letter outside ASCII, so that each way of writing it differs.
const secret = 'Tr0ub4dor "\\& ünsafe'
const privateKey = "-----BEGIN PRIVATE KEY-----\nMIIkeykey\n-----END PRIVATE KEY-----"
const forms = [
  secret,
  JSON.stringify(secret).slice(1, -1),
  encodeURIComponent(secret),
  "Tr0ub4dor",
  "MIIkeykey",
  "token-1",
  "token-2"
]

const assertClean = (what: string, value: unknown): void => {
  const error = value instanceof Error ? value : undefined
  const texts = [
    inspect(value, { depth: 20, showHidden: error !== undefined }),
    JSON.stringify(value) ?? "",
    String(value),
    error?.stack ?? "",
    error?.message ?? ""
  ]
  for (const text of texts) {
    for (const form of forms) assert.isFalse(text.includes(form), `${what}: ${form} is in ${text}`)
  }
}

const signIns: Readonly<Record<string, object>> = {
  password: { auth: { username: "u", password: secret, project_name: "p" } },
  token: { auth_type: "token", auth: { token: secret, project_name: "p" } },
  "token without scope": { auth_type: "token", auth: { token: secret } },
  "application credential": {
    auth_type: "v3applicationcredential",
    auth: { application_credential_id: "i", application_credential_secret: secret }
  },
  passcode: { auth: { username: "u", password: "x", passcode: secret } },
  "private key": { cert: "/c.pem", key: "/k.pem", auth: { username: "u", password: secret } },
  incomplete: { auth: { password: secret } },
  "wrong type": { auth_type: "v3nonsense", auth: { password: secret, token: secret } },
  "wrong url": { auth: { auth_url: `https://u:${encodeURIComponent(secret)}@k`, password: secret } },
  "wrong interface": { interface: "outside", auth: { username: "u", password: secret } }
}

const echo = (request: FakeKeystone.Request): string =>
  `${request.body} ${secret} ${encodeURIComponent(secret)} ${"x".repeat(240)} ${JSON.stringify(request.headers)}`

const answers: Readonly<Record<string, FakeKeystone.FakeKeystone["script"]>> = {
  "as it should be": () => undefined,
  "the connection is reset": () => "reset",
  "a page that echoes": (request) => ({ status: 200, body: `<html><title>${echo(request)}</title></html>` }),
  "a text that echoes": (request) => ({ status: 400, body: echo(request) }),
  "a cut secret at the end of a long text": () => ({ status: 400, body: `${"x".repeat(295)}${secret}` }),
  "a redirect that echoes": () => ({
    status: 302,
    headers: { location: `http://127.0.0.1:1/?p=${encodeURIComponent(secret)}` }
  }),
  "a token and nonsense": () => ({ status: 201, headers: { "x-subject-token": "token-1" }, body: "token-1" }),
  ...Object.fromEntries(
    [400, 401, 403, 404, 409, 429, 500, 502, 503, 504].map((status) => [
      `${status} that echoes`,
      (request: FakeKeystone.Request) => FakeKeystone.json(status, { error: { message: echo(request) } })
    ])
  )
}

/** Everything that one does with a cloud, and all values that come of it. */
const everything = Effect.fnUntraced(function* (keystone: FakeKeystone.FakeKeystone, settings: object) {
  const seen: Array<unknown> = []
  const auth = {
    auth_url: keystone.url,
    ...("auth" in settings && typeof settings.auth === "object" ? settings.auth : {})
  }
  const files = {
    "/work/clouds.yaml": JSON.stringify({ clouds: { prod: { ...settings, auth } } }),
    "/c.pem": "CERT",
    "/k.pem": privateKey
  }
  const host = MemoryHost.make({ files, env: { OS_PASSWORD: secret, OS_TOKEN: secret, OS_AUTH_URL: "http://k" } })
  const load = (name: string) => Effect.provideService(CloudConfig.load(name), Host, host)
  seen.push(yield* Effect.exit(load("envvars")), yield* Effect.exit(load("prdo")))
  const cloud = yield* Effect.exit(load("prod"))
  seen.push(cloud)
  if (Exit.isFailure(cloud)) return seen
  seen.push(Auth.fromCloud(cloud.value))
  const session = yield* Effect.exit(CloudSession.make(cloud.value))
  seen.push(session)
  if (Exit.isFailure(session)) return seen
  const { value } = session
  const token = yield* Effect.exit(value.token)
  seen.push(token, value)
  if (Exit.isSuccess(token)) {
    seen.push(yield* Effect.exit(value.endpoint("nothing")), yield* Effect.exit(value.owner))
    seen.push(yield* Effect.exit(value.invalidate(token.value)))
    seen.push(
      yield* Effect.exit(
        value.withToken(
          () => Effect.succeed(401),
          () => true
        )
      )
    )
  }
  return seen
})

describe("secrets", () => {
  for (const [how, settings] of Object.entries(signIns)) {
    it.effect(`are not shown when one signs in by ${how}`, () =>
      Effect.gen(function* () {
        const keystone = yield* FakeKeystone.make
        for (const [what, script] of Object.entries(answers)) {
          keystone.script = script
          // The right-password check of the fake is not what this is about.
          if (what === "as it should be") keystone.script = signedIn(keystone)
          const { exit } = yield* driven(everything(keystone, settings))
          if (Exit.isFailure(exit)) return assert.fail(Cause.pretty(exit.cause))
          for (const value of exit.value) {
            assertClean(what, value)
            if (Exit.isExit(value) && Exit.isFailure(value)) {
              assertClean(what, Cause.pretty(value.cause))
              for (const reason of value.cause.reasons) {
                if (reason._tag === "Fail") assertClean(what, reason.error)
                else assert.fail(`${what}: a defect: ${Cause.pretty(value.cause)}`)
              }
            }
          }
        }
      }).pipe(Effect.provide(transport))
    )
  }
})

const signedIn =
  (keystone: FakeKeystone.FakeKeystone): FakeKeystone.FakeKeystone["script"] =>
  ({ method }) =>
    method === "GET"
      ? undefined
      : FakeKeystone.json(
          201,
          {
            token: { issued_at: "2026-01-01T00:00:00Z", expires_at: "2026-01-01T01:00:00Z", catalog: keystone.catalog }
          },
          { "x-subject-token": `token-${keystone.asked() % 2 === 0 ? 2 : 1}` }
        )
