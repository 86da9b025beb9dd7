/**
 * A Keystone that lives in the process of a test or a demo: version discovery, tokens by password, token and
 * application credential, scoped and not, with a catalog. Tokens end early when asked, can be revoked, and are counted.
 * It vouches for its tokens to an embedded Glance by reference: `EmbeddedGlance.start({ auth: keystone })`.
 */
import { randomBytes, randomUUID } from "node:crypto"
import { makeManner, startHttpServer, type Answer, type Ending, type Exchange } from "./internal/httpServer.ts"
import type { HeaderList } from "./internal/httpHead.ts"
import type { Authenticator, Identity } from "./internal/identity.ts"
import {
  type ApplicationCredential,
  type Assignment,
  authenticate,
  type CatalogEntry,
  type Domain,
  type Endpoint,
  KeystoneFailure,
  type Project,
  projectsOf,
  type Realm,
  type Token,
  tokenView,
  type User
} from "./internal/realm.ts"

export type { ApplicationCredential, Assignment, CatalogEntry, Domain, Endpoint, Project, User }

/**
 * What goes wrong with the next request for a token.
 *
 * @since 0.1.0
 * @category models
 */
export type TokenFault =
  | { readonly type: "answer"; readonly status: number; readonly headers?: HeaderList; readonly body?: string }
  | { readonly type: "drop"; readonly how: "reset" | "close" | "hang" }
  | { readonly type: "delay"; readonly ms: number }

/**
 * Who and what there is. The default is a realm with the user `demo` (password `secret`), a member of the project
 * `demo`, both in the domain `Default`.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  readonly host?: string
  readonly port?: number
  /** What the service's path begins with, such as `/identity`. Default none. */
  readonly prefix?: string
  /** Whether connections are kept (`eventlet`) or closed after each answer (`uwsgi`). Default `eventlet`. */
  readonly manner?: "eventlet" | "uwsgi"
  readonly users?: ReadonlyArray<User>
  readonly projects?: ReadonlyArray<Project>
  readonly assignments?: ReadonlyArray<Assignment>
  readonly applicationCredentials?: ReadonlyArray<ApplicationCredential>
  readonly catalog?: ReadonlyArray<CatalogEntry>
  /** How long a token is good for in ms. Default one hour. */
  readonly tokenLifetimeMs?: number
  /** One a request for a token, in order. */
  readonly faults?: ReadonlyArray<TokenFault>
}

/**
 * A running embedded Keystone.
 *
 * @since 0.1.0
 * @category models
 */
export interface EmbeddedKeystone extends Authenticator {
  /** Without `/v3`. */
  readonly url: string
  /** With `/v3`: what `auth_url` usually is. */
  readonly authUrl: string
  readonly authUri: string
  readonly port: number
  readonly stats: {
    /** Tokens issued. */
    readonly issued: number
    /** Requests for a token that were refused. */
    readonly refused: number
    /** Questions about a token, by HTTP or by reference. */
    readonly validated: number
  }
  readonly requests: ReadonlyArray<{
    readonly method: string
    readonly path: string
    readonly status: number | undefined
  }>
  /** Every token issued, in order. */
  readonly tokens: ReadonlyArray<string>
  /** Tokens from now on live so long, in ms. */
  readonly setLifetime: (ms: number) => void
  /** Adds a service to the catalog, as an embedded Glance that is started later. */
  readonly addService: (entry: CatalogEntry) => void
  /** From now on this token is not good, or none that was issued so far. */
  readonly revoke: (token?: string) => void
  readonly push: (...faults: ReadonlyArray<TokenFault>) => void
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const defaultRealm = {
  users: [{ name: "demo", password: "secret" }],
  projects: [{ name: "demo" }],
  assignments: [{ user: "demo", project: "demo", roles: ["member", "reader"] }]
} satisfies Options

const json = (status: number, value: unknown, headers: HeaderList = []): Answer => {
  const body = Buffer.from(JSON.stringify(value), "utf8")
  return {
    status,
    headers: [
      ["Content-Type", "application/json"],
      ["Content-Length", String(body.length)],
      ["Vary", "X-Auth-Token"],
      ["x-openstack-request-id", `req-${randomUUID()}`],
      ...headers
    ],
    body
  }
}

const titles: Readonly<Record<number, string>> = {
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed"
}

const failureAnswer = (failure: KeystoneFailure, authUri: string): Answer =>
  json(
    failure.status,
    { error: { code: failure.status, message: failure.message, title: titles[failure.status] ?? "Error" } },
    failure.status === 401 ? [["WWW-Authenticate", `Keystone uri="${authUri}"`]] : []
  )

const version = (origin: string) => ({
  id: "v3.14",
  status: "stable",
  updated: "2020-04-07T00:00:00Z",
  links: [{ rel: "self", href: `${origin}/v3/` }],
  "media-types": [{ base: "application/json", type: "application/vnd.openstack.identity-v3+json" }]
})

const makeRealm = (options: Options): Realm => ({
  users: options.users ?? defaultRealm.users,
  projects: options.projects ?? defaultRealm.projects,
  assignments: options.assignments ?? defaultRealm.assignments,
  applicationCredentials: options.applicationCredentials ?? [],
  catalog: [...(options.catalog ?? [])],
  tokens: new Map(),
  lifetimeMs: options.tokenLifetimeMs ?? 3_600_000
})

const good = (token: Token | undefined): token is Token =>
  token !== undefined && !token.revoked && token.expiresAt > Date.now()

interface State {
  readonly realm: Realm
  readonly faults: Array<TokenFault>
  readonly tokens: Array<string>
  issued: number
  refused: number
  validated: number
}

const issue = async (state: State, exchange: Exchange): Promise<Answer> => {
  const text = (await exchange.body.readAll()).toString("utf8")
  const { identity, methods } = authenticate(state.realm, text, (id) => {
    const token = state.realm.tokens.get(id)
    return good(token) ? token : undefined
  })
  const now = Date.now()
  const token: Token = {
    ...identity,
    id: `gAAAAA${randomBytes(90).toString("base64url")}`,
    auditId: randomBytes(16).toString("base64url"),
    methods,
    issuedAt: now,
    expiresAt: Math.min(now + state.realm.lifetimeMs, identity.endsWith),
    revoked: false
  }
  state.realm.tokens.set(token.id, token)
  state.tokens.push(token.id)
  state.issued++
  const view = tokenView(state.realm, token, !exchange.head.query.has("nocatalog"))
  return json(201, { token: view }, [["X-Subject-Token", token.id]])
}

const unauthorized = () => new KeystoneFailure(401, "The request you have made requires authentication.")

const aboutTokens = (state: State, { head }: Exchange): Answer => {
  if (!good(state.realm.tokens.get(head.headers["x-auth-token"] ?? ""))) throw unauthorized()
  const subject = state.realm.tokens.get(head.headers["x-subject-token"] ?? "")
  state.validated++
  if (!good(subject)) throw new KeystoneFailure(404, "Failed to validate token")
  if (head.method === "DELETE") {
    subject.revoked = true
    return { status: 204, headers: [] }
  }
  return json(200, { token: tokenView(state.realm, subject, !head.query.has("nocatalog")) }, [
    ["X-Subject-Token", subject.id]
  ])
}

const tokens = async (state: State, exchange: Exchange): Promise<Answer | Ending> => {
  if (exchange.head.method !== "POST") return aboutTokens(state, exchange)
  const fault = state.faults.shift()
  if (fault?.type === "drop") return fault.how
  if (fault?.type === "answer") {
    const body = fault.body ?? ""
    return {
      status: fault.status,
      headers: [["Content-Length", String(Buffer.byteLength(body))], ...(fault.headers ?? [])],
      body
    }
  }
  if (fault?.type === "delay") await new Promise((resolve) => setTimeout(resolve, fault.ms))
  try {
    return await issue(state, exchange)
  } catch (error) {
    state.refused++
    throw error
  }
}

const ownedBy = (state: State, head: Exchange["head"]): Token => {
  const token = state.realm.tokens.get(head.headers["x-auth-token"] ?? "")
  if (!good(token)) throw unauthorized()
  return token
}

const route = async (state: State, exchange: Exchange, prefix: string): Promise<Answer | Ending> => {
  const { head } = exchange
  const origin = `http://${head.headers["host"] ?? "localhost"}${prefix}`
  if (!head.path.startsWith(prefix)) throw new KeystoneFailure(404, "The resource could not be found.")
  const path = head.path.slice(prefix.length).replace(/\/+$/, "")
  if (path === "") return json(300, { versions: { values: [version(origin)] } })
  if (path === "/v3") return json(200, { version: version(origin) })
  if (path === "/v3/auth/tokens") return tokens(state, exchange)
  if (path === "/v3/auth/catalog") {
    const view = tokenView(state.realm, ownedBy(state, head), true)
    return json(200, { catalog: view["catalog"] ?? [], links: { self: `${origin}/v3/auth/catalog` } })
  }
  if (path === "/v3/auth/projects") {
    return json(200, { projects: projectsOf(state.realm, ownedBy(state, head).userName) })
  }
  throw new KeystoneFailure(404, "Could not find the requested resource.")
}

const identityOf = (token: Token): Identity => ({
  userId: token.userId,
  projectId: token.project?.id ?? null,
  roles: token.roles
})

/**
 * Starts an embedded Keystone. Close it: it holds a port.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = async (options: Options = {}): Promise<EmbeddedKeystone> => {
  const host = options.host ?? "127.0.0.1"
  const prefix = options.prefix ?? ""
  const realm = makeRealm(options)
  const state: State = { realm, faults: [...(options.faults ?? [])], tokens: [], issued: 0, refused: 0, validated: 0 }
  const requests: Array<{ method: string; path: string; status: number | undefined }> = []
  const server = await startHttpServer({
    manner: makeManner(options.manner ?? "eventlet", undefined, undefined),
    host,
    port: options.port ?? 0,
    handle: (exchange) =>
      route(state, exchange, prefix).catch((error: unknown) => {
        const failure = error instanceof KeystoneFailure ? error : new KeystoneFailure(500, "An unexpected error")
        return failureAnswer(failure, `${url}/v3`)
      }),
    onAnswered: ({ exchange, status }) =>
      void requests.push({ method: exchange.head.method, path: exchange.head.target, status })
  })
  const url = `http://${host}:${server.port}${prefix}`
  return {
    url,
    authUrl: `${url}/v3`,
    authUri: `${url}/v3`,
    port: server.port,
    get stats() {
      return { issued: state.issued, refused: state.refused, validated: state.validated }
    },
    requests,
    tokens: state.tokens,
    validate: (id) => {
      state.validated++
      const token = realm.tokens.get(id)
      return good(token) ? identityOf(token) : undefined
    },
    setLifetime: (ms) => void (realm.lifetimeMs = ms),
    addService: (entry) => void realm.catalog.push(entry),
    revoke: (id) => {
      for (const token of realm.tokens.values()) if (id === undefined || token.id === id) token.revoked = true
    },
    push: (...faults) => void state.faults.push(...faults),
    close: server.close,
    [Symbol.asyncDispose]: server.close
  }
}
