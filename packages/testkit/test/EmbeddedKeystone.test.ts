import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import { assert, describe, it } from "vitest"
import { closing, noise, start as startGlance, until } from "./site.ts"
import { send, sleep } from "./raw.ts"

const start = async (options?: EmbeddedKeystone.Options) => closing(await EmbeddedKeystone.start(options))

interface TokenBody {
  readonly token: {
    readonly expires_at: string
    readonly methods: ReadonlyArray<string>
    readonly project?: { readonly name: string; readonly domain: { readonly id: string } }
    readonly user: { readonly id: string; readonly name: string }
    readonly roles?: ReadonlyArray<{ readonly name: string }>
    readonly catalog?: ReadonlyArray<{
      readonly type: string
      readonly endpoints: ReadonlyArray<{ readonly url: string }>
    }>
  }
}

const ask = async (keystone: EmbeddedKeystone.EmbeddedKeystone, identity: unknown, scope?: unknown) => {
  const answer = await fetch(`${keystone.authUrl}/auth/tokens`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ auth: { identity, ...(scope === undefined ? {} : { scope }) } })
  })
  const text = await answer.text()
  return {
    status: answer.status,
    headers: answer.headers,
    token: answer.headers.get("x-subject-token") ?? "",
    body: (text === "" ? {} : JSON.parse(text)) as TokenBody & { error?: { message: string; code: number } }
  }
}

const domain = { id: "default" }
const password = (word = "secret", name = "demo") => ({
  methods: ["password"],
  password: { user: { name, domain, password: word } }
})
const demo = { project: { name: "demo", domain: { name: "Default" } } }
const image = (url: string): EmbeddedKeystone.CatalogEntry => ({
  type: "image",
  name: "glance",
  endpoints: [
    { interface: "public", region: "RegionOne", url },
    { interface: "internal", region: "RegionOne", url }
  ]
})

describe("discovery", () => {
  it("answers 300 at the root and 200 at /v3", async () => {
    const keystone = await start({ prefix: "/identity" })
    const root = await fetch(keystone.url)
    assert.strictEqual(root.status, 300)
    const { versions } = (await root.json()) as { versions: { values: ReadonlyArray<{ id: string; links: unknown }> } }
    assert.strictEqual(versions.values[0]?.id, "v3.14")
    assert.deepStrictEqual(versions.values[0]?.links, [{ rel: "self", href: `${keystone.url}/v3/` }])
    assert.strictEqual((await fetch(keystone.authUrl)).status, 200)
    assert.strictEqual((await fetch(`${keystone.url}/v2.0`)).status, 404)
  })
})

describe("a token", () => {
  it("by password, for a project, has roles and the catalog", async () => {
    const keystone = await start({ catalog: [image("http://127.0.0.1:9292")] })
    const answer = await ask(keystone, password(), demo)
    assert.strictEqual(answer.status, 201)
    const { token } = answer.body
    assert.deepStrictEqual(token.methods, ["password"])
    assert.strictEqual(token.project?.name, "demo")
    assert.deepStrictEqual(
      token.roles?.map((role) => role.name),
      ["member", "reader"]
    )
    assert.strictEqual(token.catalog?.[0]?.endpoints[0]?.url, "http://127.0.0.1:9292")
    assert.match(token.expires_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000000Z$/)
    assert.strictEqual(keystone.validate(answer.token) instanceof Promise, false)
    assert.deepInclude(await keystone.validate(answer.token), { roles: ["member", "reader"] })
    assert.deepStrictEqual(keystone.stats.issued, 1)
  })

  it("without a scope has none of these, and can be scoped", async () => {
    const keystone = await start()
    const bare = await ask(keystone, password())
    assert.strictEqual(bare.status, 201)
    assert.notProperty(bare.body.token, "project")
    assert.notProperty(bare.body.token, "catalog")
    const scoped = await ask(keystone, { methods: ["token"], token: { id: bare.token } }, demo)
    assert.strictEqual(scoped.body.token.project?.name, "demo")
    assert.deepStrictEqual(scoped.body.token.methods, ["token", "password"])
    assert.strictEqual(scoped.body.token.expires_at, bare.body.token.expires_at)
  })

  it("gets the user's default project, unless it wants none", async () => {
    const keystone = await start({
      users: [{ name: "demo", password: "secret", defaultProject: "demo" }],
      projects: [{ name: "demo" }],
      assignments: [{ user: "demo", project: "demo", roles: ["member"] }]
    })
    assert.strictEqual((await ask(keystone, password())).body.token.project?.name, "demo")
    assert.notProperty((await ask(keystone, password(), "unscoped")).body.token, "project")
  })

  it("by application credential is for its project; a scope is refused", async () => {
    const keystone = await start({
      applicationCredentials: [
        { id: "ac1", name: "ci", secret: "s3cret", user: "demo", project: "demo", roles: ["reader"] }
      ]
    })
    const credential = (value: unknown) => ({ methods: ["application_credential"], application_credential: value })
    const byId = await ask(keystone, credential({ id: "ac1", secret: "s3cret" }))
    assert.deepStrictEqual(
      byId.body.token.roles?.map((role) => role.name),
      ["reader"]
    )
    const byName = await ask(keystone, credential({ name: "ci", secret: "s3cret", user: { name: "demo", domain } }))
    assert.strictEqual(byName.body.token.project?.name, "demo")
    assert.strictEqual((await ask(keystone, credential({ id: "ac1", secret: "wrong" }))).status, 401)
    const scoped = await ask(keystone, credential({ id: "ac1", secret: "s3cret" }), demo)
    assert.strictEqual(scoped.status, 401)
    assert.strictEqual(scoped.body.error?.message, "Application credentials cannot request a scope.")
  })

  it.each([
    ["a wrong password", password("wrong"), demo],
    ["an unknown user", password("secret", "nobody"), demo],
    [
      "another domain",
      { methods: ["password"], password: { user: { name: "demo", domain: { name: "x" }, password: "secret" } } },
      demo
    ],
    ["an unknown project", password(), { project: { name: "other", domain } }],
    ["an unknown token", { methods: ["token"], token: { id: "x" } }, demo]
  ] as const)("is refused with 401 for %s", async (_, identity, scope) => {
    const keystone = await start()
    const answer = await ask(keystone, identity, scope)
    assert.strictEqual(answer.status, 401)
    assert.strictEqual(answer.body.error?.message, "The request you have made requires authentication.")
    assert.strictEqual(answer.headers.get("www-authenticate"), `Keystone uri="${keystone.authUrl}"`)
    assert.deepInclude(keystone.stats, { issued: 0, refused: 1 })
  })

  it("is refused with 400 for what is no request", async () => {
    const keystone = await start()
    assert.strictEqual((await ask(keystone, { methods: [] })).status, 400)
    assert.strictEqual((await ask(keystone, { methods: ["password"] })).status, 400)
    const answer = await fetch(`${keystone.authUrl}/auth/tokens`, { method: "POST", body: "{" })
    assert.strictEqual(answer.status, 400)
  })

  it("ends when its time is over, or when it is revoked", async () => {
    const keystone = await start({ tokenLifetimeMs: 100 })
    const short = await ask(keystone, password(), demo)
    assert.isDefined(await keystone.validate(short.token))
    await sleep(120)
    assert.isUndefined(await keystone.validate(short.token))
    keystone.setLifetime(60_000)
    const [one, two] = [await ask(keystone, password(), demo), await ask(keystone, password(), demo)]
    keystone.revoke(one.token)
    assert.isUndefined(await keystone.validate(one.token))
    assert.isDefined(await keystone.validate(two.token))
    keystone.revoke()
    assert.isUndefined(await keystone.validate(two.token))
    assert.deepStrictEqual(keystone.tokens, [short.token, one.token, two.token])
  })

  it("can be asked about and revoked over HTTP", async () => {
    const keystone = await start()
    const { token } = await ask(keystone, password(), demo)
    const about = (method: string, subject: string) =>
      fetch(`${keystone.authUrl}/auth/tokens`, {
        method,
        headers: { "X-Auth-Token": token, "X-Subject-Token": subject }
      })
    assert.strictEqual((await about("GET", token)).status, 200)
    assert.strictEqual((await about("GET", "other")).status, 404)
    const second = await ask(keystone, password(), demo)
    assert.strictEqual((await about("DELETE", second.token)).status, 204)
    assert.strictEqual((await about("GET", second.token)).status, 404)
    const projects = await fetch(`${keystone.authUrl}/auth/projects`, { headers: { "X-Auth-Token": token } })
    assert.lengthOf(((await projects.json()) as { projects: ReadonlyArray<unknown> }).projects, 1)
    assert.strictEqual((await fetch(`${keystone.authUrl}/auth/catalog`)).status, 401)
  })

  it("may be kept back by faults", async () => {
    const keystone = await start({
      faults: [
        { type: "answer", status: 503 },
        { type: "drop", how: "reset" },
        { type: "delay", ms: 100 }
      ]
    })
    assert.strictEqual((await ask(keystone, password(), demo)).status, 503)
    const lost = await ask(keystone, password(), demo).then(
      () => "answered",
      () => "lost"
    )
    assert.strictEqual(lost, "lost")
    const began = performance.now()
    assert.strictEqual((await ask(keystone, password(), demo)).status, 201)
    assert.isAtLeast(performance.now() - began, 95)
  })
})

describe("a Glance that asks it", () => {
  it("takes its tokens, and refuses revoked ones with 401 and the address", async () => {
    const keystone = await start()
    const site = await startGlance({ auth: keystone })
    const { token } = await ask(keystone, password(), demo)
    const headers = { "X-Auth-Token": token }
    const id = await site.create({}, headers)
    assert.strictEqual((await site.put(id, { body: noise(10), headers })).status, 204)
    const two = await site.create({}, headers)
    keystone.revoke(token)
    const outcome = await site.put(two, { body: noise(10), headers, expectMs: 300 })
    assert.strictEqual(outcome.status, 401)
    assert.strictEqual(outcome.headers["www-authenticate"], `Keystone uri="${keystone.authUrl}"`)
    assert.strictEqual(site.status(two), "queued")
  })

  it("looks at a token once: one that ends during an upload does no harm", async () => {
    const keystone = await start()
    const site = await startGlance({ auth: keystone })
    const { token } = await ask(keystone, password(), demo)
    const headers = { "X-Auth-Token": token }
    const id = await site.create({}, headers)
    const outcome = await send({
      port: site.glance.port,
      method: "PUT",
      path: `/v2/images/${id}/file`,
      headers: { ...headers, "Content-Type": "application/octet-stream" },
      body: noise(200_000),
      at: {
        bytes: 65_536,
        run: async () => {
          await until(() => site.status(id) === "saving")
          keystone.revoke()
        }
      }
    })
    assert.strictEqual(outcome.status, 204)
    outcome.socket.destroy()
  })
})
