/**
 * Users, projects, roles, application credentials, and the judgement on a request for a token.
 */
import { createHash } from "node:crypto"

/**
 * A Keystone domain.
 *
 * @since 0.1.0
 * @category models
 */
export interface Domain {
  readonly id: string
  readonly name: string
}

/**
 * Somebody who may ask for tokens.
 *
 * @since 0.1.0
 * @category models
 */
export interface User {
  readonly name: string
  readonly password: string
  /** Default: made from the name. */
  readonly id?: string
  /** Default `{ id: "default", name: "Default" }`. */
  readonly domain?: Domain
  /** The name of the project that a request without a scope gets. */
  readonly defaultProject?: string
}

/**
 * What tokens and images are for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Project {
  readonly name: string
  readonly id?: string
  readonly domain?: Domain
}

/**
 * By names.
 *
 * @since 0.1.0
 * @category models
 */
export interface Assignment {
  readonly user: string
  readonly project: string
  readonly roles: ReadonlyArray<string>
}

/**
 * A secret that stands for a user in one project.
 *
 * @since 0.1.0
 * @category models
 */
export interface ApplicationCredential {
  readonly id: string
  readonly name: string
  readonly secret: string
  /** By name. */
  readonly user: string
  readonly project: string
  /** Default: the user's in that project. */
  readonly roles?: ReadonlyArray<string>
}

/**
 * Where a service is.
 *
 * @since 0.1.0
 * @category models
 */
export interface Endpoint {
  readonly interface: "public" | "internal" | "admin"
  readonly region: string
  readonly url: string
}

/**
 * A service in the catalog.
 *
 * @since 0.1.0
 * @category models
 */
export interface CatalogEntry {
  readonly type: string
  readonly name: string
  readonly endpoints: ReadonlyArray<Endpoint>
}

export interface Realm {
  readonly users: ReadonlyArray<User>
  readonly projects: ReadonlyArray<Project>
  readonly assignments: ReadonlyArray<Assignment>
  readonly applicationCredentials: ReadonlyArray<ApplicationCredential>
  readonly catalog: Array<CatalogEntry>
  readonly tokens: Map<string, Token>
  lifetimeMs: number
}

interface Scoped {
  readonly userId: string
  readonly userName: string
  readonly userDomain: Domain
  readonly project: { readonly id: string; readonly name: string; readonly domain: Domain } | undefined
  readonly roles: ReadonlyArray<string>
  /** When what it was made from ends, in ms since the epoch. */
  readonly endsWith: number
}

export interface Token extends Scoped {
  readonly id: string
  readonly auditId: string
  readonly methods: ReadonlyArray<string>
  readonly issuedAt: number
  readonly expiresAt: number
  revoked: boolean
}

/** Ends a request with Keystone's JSON error. */
export class KeystoneFailure extends Error {
  override readonly name = "KeystoneFailure"
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const defaultDomain: Domain = { id: "default", name: "Default" }

/** An id of the shape that Keystone's have, the same for the same name each time. */
const madeId = (kind: string, name: string): string => createHash("md5").update(`${kind} ${name}`).digest("hex")

export const userId = (user: User): string => user.id ?? madeId("user", user.name)
export const projectId = (project: Project): string => project.id ?? madeId("project", project.name)

const unauthorized = (message = "The request you have made requires authentication.") =>
  new KeystoneFailure(401, message)

const malformed = (field: string) =>
  new KeystoneFailure(
    400,
    `Expecting to find ${field} in request. The server could not comply with the request since it is either ` +
      "malformed or otherwise incorrect. The client is assumed to be in error."
  )

type Json = Readonly<Record<string, unknown>>

const object = (parent: Json, name: string): Json | undefined => {
  const value = parent[name]
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : undefined
}

const text = (parent: Json | undefined, name: string): string | undefined => {
  const value = parent?.[name]
  return typeof value === "string" ? value : undefined
}

const inDomain = (owner: { readonly domain?: Domain }, asked: Json | undefined): boolean => {
  const domain = owner.domain ?? defaultDomain
  const id = text(asked, "id")
  return id !== undefined ? domain.id === id : domain.name === text(asked, "name")
}

const findUser = (realm: Realm, asked: Json): User | undefined => {
  const id = text(asked, "id")
  if (id !== undefined) return realm.users.find((user) => userId(user) === id)
  const name = text(asked, "name")
  const domain = object(asked, "domain")
  if (name === undefined || domain === undefined) throw malformed("domain")
  return realm.users.find((user) => user.name === name && inDomain(user, domain))
}

const findProject = (realm: Realm, asked: Json): Project | undefined => {
  const id = text(asked, "id")
  if (id !== undefined) return realm.projects.find((project) => projectId(project) === id)
  const domain = object(asked, "domain")
  if (domain === undefined) throw malformed("domain")
  return realm.projects.find((project) => project.name === text(asked, "name") && inDomain(project, domain))
}

const rolesOf = (realm: Realm, user: User, project: Project): ReadonlyArray<string> =>
  realm.assignments.find((each) => each.user === user.name && each.project === project.name)?.roles ?? []

/** The projects that a user, by name, has a role in. */
export const projectsOf = (realm: Realm, user: string): Array<Record<string, unknown>> =>
  realm.projects
    .filter((project) => realm.assignments.some((each) => each.user === user && each.project === project.name))
    .map((project) => ({
      id: projectId(project),
      name: project.name,
      domain_id: (project.domain ?? defaultDomain).id,
      enabled: true
    }))

const scoped = (user: User, project: Project | undefined, roles: ReadonlyArray<string>, endsWith: number): Scoped => {
  if (project !== undefined && roles.length === 0) throw unauthorized()
  return {
    userId: userId(user),
    userName: user.name,
    userDomain: user.domain ?? defaultDomain,
    project:
      project === undefined
        ? undefined
        : { id: projectId(project), name: project.name, domain: project.domain ?? defaultDomain },
    roles,
    endsWith
  }
}

/** The project that a request is for; `undefined` for none. Throws 401 for one that is not there. */
const wantedProject = (realm: Realm, user: User, auth: Json): Project | undefined => {
  const scope = auth["scope"]
  if (scope === undefined) return realm.projects.find((project) => project.name === user.defaultProject)
  if (scope === "unscoped" || object(auth, "scope")?.["unscoped"] !== undefined) return undefined
  const asked = object(object(auth, "scope") ?? {}, "project")
  if (asked === undefined) throw unauthorized()
  const project = findProject(realm, asked)
  if (project === undefined) throw unauthorized()
  return project
}

const byApplicationCredential = (realm: Realm, auth: Json, asked: Json): Scoped => {
  const id = text(asked, "id")
  const named = object(asked, "user")
  const user = named === undefined ? undefined : findUser(realm, named)
  const credential = realm.applicationCredentials.find((each) =>
    id === undefined ? each.name === text(asked, "name") && each.user === user?.name : each.id === id
  )
  if (credential === undefined || credential.secret !== text(asked, "secret")) throw unauthorized()
  if (auth["scope"] !== undefined) throw unauthorized("Application credentials cannot request a scope.")
  const owner = realm.users.find((each) => each.name === credential.user)
  const project = realm.projects.find((each) => each.name === credential.project)
  if (owner === undefined || project === undefined) throw unauthorized()
  return scoped(owner, project, credential.roles ?? rolesOf(realm, owner, project), Number.POSITIVE_INFINITY)
}

const parse = (body: string): Json => {
  try {
    const value: unknown = JSON.parse(body)
    const auth = typeof value === "object" && value !== null ? object(value as Json, "auth") : undefined
    if (auth !== undefined) return auth
  } catch {
    // what is no JSON has no auth in it either
  }
  throw malformed("auth")
}

/** Judges a request for a token. Throws 400 and 401 as Keystone does. */
export const authenticate = (
  realm: Realm,
  body: string,
  knownToken: (id: string) => Token | undefined
): { readonly identity: Scoped; readonly methods: ReadonlyArray<string> } => {
  const auth = parse(body)
  const identity = object(auth, "identity")
  if (identity === undefined) throw malformed("identity")
  const methods = identity["methods"]
  if (!Array.isArray(methods) || methods.length === 0) throw malformed("methods")
  const method = String(methods[0])
  const asked = object(identity, method)
  if (asked === undefined) throw malformed(method)
  switch (method) {
    case "password": {
      const named = object(asked, "user")
      if (named === undefined) throw malformed("user")
      const user = findUser(realm, named)
      if (user === undefined || user.password !== text(named, "password")) throw unauthorized()
      const project = wantedProject(realm, user, auth)
      const roles = project === undefined ? [] : rolesOf(realm, user, project)
      return { identity: scoped(user, project, roles, Number.POSITIVE_INFINITY), methods: ["password"] }
    }
    case "token": {
      const before = knownToken(text(asked, "id") ?? "")
      const user = realm.users.find((each) => before !== undefined && userId(each) === before.userId)
      if (before === undefined || user === undefined) throw unauthorized()
      const project = wantedProject(realm, user, auth)
      const roles = project === undefined ? [] : rolesOf(realm, user, project)
      return {
        identity: scoped(user, project, roles, before.expiresAt),
        methods: [...new Set(["token", ...before.methods])]
      }
    }
    case "application_credential":
      return { identity: byApplicationCredential(realm, auth, asked), methods: ["application_credential"] }
    default:
      throw unauthorized()
  }
}

const instant = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}.000000Z`

const catalogView = (realm: Realm) =>
  realm.catalog.map((entry) => ({
    id: madeId("service", entry.name),
    type: entry.type,
    name: entry.name,
    endpoints: entry.endpoints.map((endpoint) => ({
      id: madeId("endpoint", `${entry.name} ${endpoint.interface} ${endpoint.region}`),
      interface: endpoint.interface,
      region: endpoint.region,
      region_id: endpoint.region,
      url: endpoint.url
    }))
  }))

/** A token as Keystone shows it. */
export const tokenView = (realm: Realm, token: Token, catalog: boolean): Record<string, unknown> => ({
  methods: token.methods,
  user: { domain: token.userDomain, id: token.userId, name: token.userName, password_expires_at: null },
  audit_ids: [token.auditId],
  expires_at: instant(token.expiresAt),
  issued_at: instant(token.issuedAt),
  ...(token.project === undefined
    ? {}
    : {
        project: token.project,
        is_domain: false,
        roles: token.roles.map((role) => ({ id: madeId("role", role), name: role })),
        ...(catalog ? { catalog: catalogView(realm) } : {})
      })
})
