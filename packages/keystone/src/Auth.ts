/**
 * How one signs in to a cloud: which identity is proven, for which scope. Pure: a configuration goes in, the body of
 * Keystone's `POST /v3/auth/tokens` comes out.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AuthOptions, Cloud } from "./CloudConfig.ts"
import * as KeystoneError from "./KeystoneError.ts"

/**
 * A domain by id or by name; the id wins.
 *
 * @since 0.1.0
 * @category models
 */
export interface Domain {
  readonly id?: string
  readonly name?: string
}

/**
 * A user by id, or by name in a domain.
 *
 * @since 0.1.0
 * @category models
 */
export type User = { readonly id: string } | { readonly name: string; readonly domain: Domain }

/**
 * What proves who is asking.
 *
 * @since 0.1.0
 * @category models
 */
export type Identity =
  | { readonly _tag: "Password"; readonly user: User; readonly password: Redacted.Redacted }
  | { readonly _tag: "Token"; readonly token: Redacted.Redacted }
  | {
      readonly _tag: "ApplicationCredential"
      readonly credential: { readonly id: string } | { readonly name: string; readonly user: User }
      readonly secret: Redacted.Redacted
    }

/**
 * What the token is to be good for. An application credential brings its own scope.
 *
 * @since 0.1.0
 * @category models
 */
export type Scope =
  | { readonly _tag: "Unsaid" }
  | { readonly _tag: "Project"; readonly id: string }
  | { readonly _tag: "ProjectName"; readonly name: string; readonly domain: Domain }
  | { readonly _tag: "Domain"; readonly domain: Domain }
  | { readonly _tag: "System" }

/**
 * Version 1 of signing in, which is Swift's own: `X-Auth-User` and `X-Auth-Key`. Its catalog is the account's address.
 *
 * @since 0.1.0
 * @category models
 */
export interface VersionOne {
  /** All of it, such as `https://swift.example.org/auth/v1.0`. */
  readonly authUrl: string
  readonly username: string
  readonly password: Redacted.Redacted
  /** Another account than the user's own, which `project_name` names. */
  readonly account: string | undefined
}

/**
 * A way to sign in. `None`: no token is sent. `Fixed`: this token, at this endpoint. `Keystone`: a token is asked for.
 * `VersionOne`: Swift itself is asked for one.
 *
 * @since 0.1.0
 * @category models
 */
export type Auth =
  | { readonly _tag: "None"; readonly endpoint: string | undefined }
  | { readonly _tag: "Fixed"; readonly token: Redacted.Redacted; readonly endpoint: string | undefined }
  | { readonly _tag: "Keystone"; readonly authUrl: string; readonly identity: Identity; readonly scope: Scope }
  | ({ readonly _tag: "VersionOne" } & VersionOne)

/**
 * The values of `auth_type` that are understood.
 *
 * @since 0.1.0
 * @category models
 */
export const types = [
  "password",
  "v3password",
  "token",
  "v3token",
  "v3applicationcredential",
  "v1password",
  "admin_token",
  "none"
] as const

const notHere =
  /^(v[12]|v3(totp|oidc|oauth|kerberos|samlpassword|adfs|multifactor|fed|tokenless|websso)|http_basic|gnocchi)/

/**
 * The way to sign in that a configuration means. Fails with `InvalidConfig`, or with `Unsupported` for what OpenStack
 * knows and this package does not.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromCloud = (cloud: Cloud): Result.Result<Auth, KeystoneError.KeystoneError> => {
  const fail = (message: string, reason: "InvalidConfig" | "Unsupported" = "InvalidConfig") =>
    Result.fail(KeystoneError.make(reason, { cloud: cloud.name, message: `${message} (${whereOf(cloud)})` }))
  const { auth } = cloud
  if (/^v?2/.test(cloud.identityApiVersion ?? "")) {
    return fail("identity_api_version 2 is not supported: only 3 is", "Unsupported")
  }
  const type = typeOf(cloud)
  switch (type) {
    case "none":
    case "None":
      return Result.succeed({ _tag: "None", endpoint: auth.endpoint })
    case "admin_token":
    case "token_endpoint":
      return auth.token === undefined
        ? fail(`auth_type ${type} needs token`)
        : Result.succeed({ _tag: "Fixed", token: auth.token, endpoint: auth.endpoint })
    case "v1password": {
      const { authUrl, password, username } = auth
      if (authUrl === undefined) return fail("auth_url is missing")
      if (username === undefined) return fail(`auth_type ${type} needs username`)
      if (password === undefined) return fail(`auth_type ${type} needs password`)
      return Result.succeed({ _tag: "VersionOne", authUrl, username, password, account: auth.projectName })
    }
    case "password":
    case "v3password":
    case "token":
    case "v3token":
    case "v3applicationcredential":
      break
    default:
      return notHere.test(type)
        ? fail(`auth_type ${type} is not supported: use one of ${types.join(", ")}`, "Unsupported")
        : fail(`auth_type ${type} is unknown: use one of ${types.join(", ")}`)
  }
  if (auth.trustId !== undefined) return fail("trust_id is not supported", "Unsupported")
  if (auth.passcode !== undefined) return fail("passcode (a second factor) is not supported", "Unsupported")
  const { authUrl } = auth
  if (authUrl === undefined) return fail("auth_url is missing")
  return Result.gen(function* () {
    const identity = yield* Result.mapError(identityOf(type, cloud), (message) =>
      KeystoneError.make("InvalidConfig", { cloud: cloud.name, message: `${message} (${whereOf(cloud)})` })
    )
    const scope = yield* Result.mapError(scopeOf(identity, auth), (message) =>
      KeystoneError.make("InvalidConfig", { cloud: cloud.name, message: `${message} (${whereOf(cloud)})` })
    )
    return { _tag: "Keystone", authUrl, identity, scope } as const
  })
}

const whereOf = (cloud: Cloud): string => cloud.file ?? "OS_* variables"

const typeOf = ({ auth, authType }: Cloud): string => {
  if (authType !== undefined) return authType
  // A token without a password can mean nothing else; the openstack command reads it so too.
  if (auth.token === undefined || auth.password !== undefined) return "password"
  return auth.endpoint !== undefined && auth.authUrl === undefined ? "admin_token" : "token"
}

type KeystoneType = "password" | "v3password" | "token" | "v3token" | "v3applicationcredential"

const identityOf = (type: KeystoneType, { auth, authType }: Cloud): Result.Result<Identity, string> => {
  switch (type) {
    case "password":
    case "v3password": {
      const user = userOf(auth)
      const credential = auth.applicationCredentialId ?? auth.applicationCredentialName
      if (auth.password === undefined && credential !== undefined) {
        return Result.fail(
          authType === undefined
            ? "an application credential is given, but auth_type is not: set auth_type to v3applicationcredential"
            : `auth_type is ${type}, but an application credential is given: set it to v3applicationcredential`
        )
      }
      if (user === undefined) return Result.fail(`auth_type ${type} needs username or user_id`)
      if (auth.password === undefined) return Result.fail(`auth_type ${type} needs password`)
      return Result.succeed({ _tag: "Password", user, password: auth.password })
    }
    case "token":
    case "v3token":
      return auth.token === undefined
        ? Result.fail(`auth_type ${type} needs token`)
        : Result.succeed({ _tag: "Token", token: auth.token })
    case "v3applicationcredential": {
      const secret = auth.applicationCredentialSecret
      if (secret === undefined) return Result.fail(`auth_type ${type} needs application_credential_secret`)
      if (auth.applicationCredentialId !== undefined) {
        const credential = { id: auth.applicationCredentialId }
        return Result.succeed({ _tag: "ApplicationCredential", credential, secret })
      }
      const name = auth.applicationCredentialName
      const user = userOf(auth)
      if (name === undefined) {
        return Result.fail(`auth_type ${type} needs application_credential_id or application_credential_name`)
      }
      if (user === undefined) {
        return Result.fail("application_credential_name needs username or user_id beside it")
      }
      return Result.succeed({ _tag: "ApplicationCredential", credential: { name, user }, secret })
    }
  }
}

const userOf = (auth: AuthOptions): User | undefined => {
  if (auth.userId !== undefined) return { id: auth.userId }
  if (auth.username === undefined) return undefined
  return { name: auth.username, domain: domainOf(auth.userDomainId, auth.userDomainName, auth) }
}

// The last resort is the domain of every installation, as for the openstack command.
const domainOf = (id: string | undefined, name: string | undefined, auth: AuthOptions): Domain => {
  if (id !== undefined) return { id }
  if (name !== undefined) return { name }
  if (auth.defaultDomainId !== undefined) return { id: auth.defaultDomainId }
  if (auth.defaultDomainName !== undefined) return { name: auth.defaultDomainName }
  return { id: "default" }
}

const scopeOf = (identity: Identity, auth: AuthOptions): Result.Result<Scope, string> => {
  if (identity._tag === "ApplicationCredential") return Result.succeed({ _tag: "Unsaid" })
  const project = auth.projectId ?? auth.projectName
  const domain = auth.domainId ?? auth.domainName
  const said = [
    ...(project === undefined ? [] : ["a project"]),
    ...(domain === undefined ? [] : ["a domain"]),
    ...(auth.systemScope === undefined ? [] : ["system_scope"])
  ]
  if (said.length > 1) return Result.fail(`a token is for one scope, but ${said.join(" and ")} are given`)
  if (auth.systemScope !== undefined && auth.systemScope !== "all") {
    return Result.fail('system_scope: only "all" is possible')
  }
  if (auth.projectId !== undefined) return Result.succeed({ _tag: "Project", id: auth.projectId })
  if (auth.projectName !== undefined) {
    const inDomain = domainOf(auth.projectDomainId, auth.projectDomainName, auth)
    return Result.succeed({ _tag: "ProjectName", name: auth.projectName, domain: inDomain })
  }
  if (domain !== undefined) {
    return Result.succeed({
      _tag: "Domain",
      domain: auth.domainId === undefined ? { name: domain } : { id: auth.domainId }
    })
  }
  return Result.succeed(auth.systemScope === undefined ? { _tag: "Unsaid" } : { _tag: "System" })
}

/**
 * The body of `POST /v3/auth/tokens`, as JSON text. It holds the secret: send it, show it to nobody.
 *
 * @since 0.1.0
 * @category requests
 */
export const tokenRequest = (identity: Identity, scope: Scope): Redacted.Redacted => {
  const body = scopeBody(scope)
  return Redacted.make(
    JSON.stringify({ auth: { identity: identityBody(identity), ...(body === undefined ? {} : { scope: body }) } })
  )
}

const identityBody = (identity: Identity): object => {
  switch (identity._tag) {
    case "Password":
      return {
        methods: ["password"],
        password: { user: { ...identity.user, password: Redacted.value(identity.password) } }
      }
    case "Token":
      return { methods: ["token"], token: { id: Redacted.value(identity.token) } }
    case "ApplicationCredential":
      return {
        methods: ["application_credential"],
        application_credential: { ...identity.credential, secret: Redacted.value(identity.secret) }
      }
  }
}

const scopeBody = (scope: Scope): object | undefined => {
  switch (scope._tag) {
    case "Unsaid":
      return undefined
    case "Project":
      return { project: { id: scope.id } }
    case "ProjectName":
      return { project: { name: scope.name, domain: scope.domain } }
    case "Domain":
      return { domain: scope.domain }
    case "System":
      return { system: { all: true } }
  }
}

/**
 * Who asks and for what, in words for an error: no secret in it.
 *
 * @since 0.1.0
 * @category errors
 */
export const describe = (identity: Identity, scope: Scope): string =>
  [describeIdentity(identity), ...describeScope(scope)].join(", ")

const describeIdentity = (identity: Identity): string => {
  switch (identity._tag) {
    case "Password":
      return `${describeUser(identity.user)} and its password`
    case "Token":
      return "the token given"
    case "ApplicationCredential":
      return "id" in identity.credential
        ? `application credential ${identity.credential.id} and its secret`
        : `application credential "${identity.credential.name}" of ${describeUser(identity.credential.user)}, and its secret`
  }
}

const describeUser = (user: User): string =>
  "id" in user ? `user ${user.id}` : `user "${user.name}" in domain ${describeDomain(user.domain)}`

const describeDomain = (domain: Domain): string => (domain.id === undefined ? `"${domain.name}"` : domain.id)

const describeScope = (scope: Scope): ReadonlyArray<string> => {
  switch (scope._tag) {
    case "Unsaid":
      return []
    case "Project":
      return [`project ${scope.id}`]
    case "ProjectName":
      return [`project "${scope.name}" in domain ${describeDomain(scope.domain)}`]
    case "Domain":
      return [`domain ${describeDomain(scope.domain)}`]
    case "System":
      return ["the system scope"]
  }
}
