/**
 * What a transfer needs of a cloud: a valid token, the endpoints, how to secure connections. One session serves all
 * transfers of a process to that cloud; it asks Keystone for a token once, renews it ahead of its end, and once when a
 * service refuses it.
 *
 * @since 0.1.0
 */
import { Transport, type Tls } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Auth from "./Auth.ts"
import * as Catalog from "./Catalog.ts"
import type { Cloud, ServiceOptions } from "./CloudConfig.ts"
import * as TokenKeeper from "./internal/tokenKeeper.ts"
import * as VersionOne from "./internal/versionOne.ts"
import * as Keystone from "./Keystone.ts"
import * as KeystoneError from "./KeystoneError.ts"

/**
 * The value of `X-Auth-Token`; `undefined` for a cloud that takes none.
 *
 * @since 0.1.0
 * @category models
 */
export type TokenValue = Redacted.Redacted | undefined

/**
 * Header fields of a request.
 *
 * @since 0.1.0
 * @category models
 */
export type Headers = Readonly<Record<string, string>>

/**
 * A signed-in cloud; signing in happens at the first need.
 *
 * @since 0.1.0
 * @category models
 */
export interface CloudSession {
  /** The cloud's name. */
  readonly cloud: string
  /** For requests to this cloud's services. */
  readonly tls: Tls
  /** A token that is good for two minutes or more, or a fifth of its life when that is shorter. */
  readonly token: Effect.Effect<TokenValue, KeystoneError.KeystoneError>
  /**
   * A token with at least so many milliseconds left, for a request of which the end is judged as well as the start.
   * Where the service gives shorter ones, the freshest within reason.
   */
  readonly tokenWithLife: (minMs: number) => Effect.Effect<TokenValue, KeystoneError.KeystoneError>
  /**
   * Says that a service answered 401 to this token. The next one asked for is new, however many say so of the same
   * token. Fails with `Unauthorized` when no other can be had, or when the token was itself new a moment ago.
   */
  readonly invalidate: (token: TokenValue) => Effect.Effect<void, KeystoneError.KeystoneError>
  /** The header fields that carry a token. */
  readonly authHeaders: (token: TokenValue) => Headers
  /**
   * Makes a call with a valid token, and once more with a new one if the answer says that the token was refused.
   */
  readonly withToken: <A, E, R>(
    use: (headers: Headers) => Effect.Effect<A, E, R>,
    refused: (answer: A) => boolean
  ) => Effect.Effect<A, E | KeystoneError.KeystoneError, R>
  /**
   * The endpoint of a service by its type, such as `image`: what the configuration says, else the catalog's. As it is
   * written there: see `Catalog.imageBase`. Fails with `NotFound` when there is none, with `InvalidConfig` when what is
   * written about it cannot be used.
   */
  readonly endpoint: (type: string) => Effect.Effect<string, KeystoneError.KeystoneError>
  /** Whom the token is for. */
  readonly owner: Effect.Effect<Keystone.Owner, KeystoneError.KeystoneError>
}

/**
 * Makes a session of a configuration. Asks nobody; fails with `InvalidConfig` or `Unsupported` when one cannot sign
 * in with it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = Effect.fnUntraced(function* (
  cloud: Cloud
): Effect.fn.Return<CloudSession, KeystoneError.KeystoneError, Transport> {
  const transport = yield* Transport
  const auth = yield* Effect.fromResult(Auth.fromCloud(cloud))
  const { tls: options } = cloud
  const tls: Tls = {
    verify: options.verify,
    ...(options.ca === undefined ? {} : { ca: options.ca }),
    ...(options.cert === undefined ? {} : { cert: options.cert }),
    ...(options.key === undefined ? {} : { key: Redacted.value(options.key) })
  }
  const { applicationCredentialSecret, passcode, password, token } = cloud.auth
  const secrets = [applicationCredentialSecret, passcode, password, token].filter((secret) => secret !== undefined)
  const session =
    auth._tag === "Keystone" || auth._tag === "VersionOne"
      ? signedIn(cloud, auth, { cloud: cloud.name, transport, tls, secrets })
      : plain(cloud, auth)
  // The private key is in there: behind the prototype no log finds it that shows a session.
  const hidden: Pick<CloudSession, "tls"> = {
    get tls() {
      return tls
    }
  }
  return Object.assign(Object.create(hidden) as typeof hidden, session)
})

/** The ways to sign in that ask somebody. */
type Asking = Extract<Auth.Auth, { readonly _tag: "Keystone" | "VersionOne" }>

type Unsecured = Omit<CloudSession, "tls">

const authHeaders = (token: TokenValue): Headers =>
  token === undefined ? {} : { "x-auth-token": Redacted.value(token) }

/** A cloud without Keystone: nothing to ask, nothing to renew. */
const plain = (cloud: Cloud, auth: Exclude<Auth.Auth, Asking>): Unsecured => {
  const value = auth._tag === "Fixed" ? auth.token : undefined
  const token = Effect.succeed(value)
  const refusal = KeystoneError.make("Unauthorized", {
    cloud: cloud.name,
    message:
      value === undefined
        ? "the service wants a token (status 401), and auth_type none has none: sign in another way"
        : "the service refuses the token given (status 401), and there is no auth_url to get another",
    status: 401
  })
  return {
    cloud: cloud.name,
    token,
    tokenWithLife: () => token,
    invalidate: () => Effect.fail(refusal),
    authHeaders,
    withToken: (use, refused) =>
      Effect.flatMap(use(authHeaders(value)), (answer) =>
        refused(answer) ? Effect.fail(refusal) : Effect.succeed(answer)
      ),
    endpoint: Effect.fnUntraced(function* (type: string): Effect.fn.Return<string, KeystoneError.KeystoneError> {
      const endpoint = (yield* optionsOf(cloud, type)).endpoint ?? auth.endpoint
      if (endpoint !== undefined) return endpoint
      return yield* KeystoneError.make("InvalidConfig", {
        cloud: cloud.name,
        message: `no endpoint for ${type}: set endpoint under auth, or ${underscored(type)}_endpoint_override`
      })
    }),
    owner: Effect.succeed({})
  }
}

const signedIn = (cloud: Cloud, auth: Asking, client: Keystone.Client): Unsecured => {
  let base: string | undefined
  const renew = Effect.gen(function* () {
    if (auth._tag === "VersionOne") return yield* VersionOne.signIn(client, auth)
    base ??= yield* Keystone.discover(client, auth.authUrl)
    return yield* obtain(client, base, auth)
  })
  const giver = auth._tag === "VersionOne" ? "the sign-in of Swift" : "Keystone"
  const keeper = TokenKeeper.make(cloud.name, renew, giver)
  const token = Effect.map(keeper.get(0), ({ value }) => value)
  const invalidate: CloudSession["invalidate"] = (token) =>
    token === undefined ? Effect.void : keeper.invalidate(token)

  const withToken: CloudSession["withToken"] = Effect.fnUntraced(function* (use, refused) {
    for (let attempt = 1; attempt <= 2; attempt++) {
      const value = yield* token
      const answer = yield* use(authHeaders(value))
      if (!refused(answer)) return answer
      yield* invalidate(value)
    }
    return yield* TokenKeeper.refusedAgain(cloud.name, giver)
  })

  const endpoint = Effect.fnUntraced(function* (type: string): Effect.fn.Return<string, KeystoneError.KeystoneError> {
    const options = yield* optionsOf(cloud, type)
    if (options.endpoint !== undefined && !options.endpoint.includes("%(")) return options.endpoint
    const { catalog, owner } = yield* keeper.get(0)
    if (options.endpoint !== undefined) return filled(options.endpoint, owner)
    const filter = {
      type: options.type ?? type,
      interfaces: options.interfaces ?? cloud.interfaces,
      region: options.region ?? cloud.region,
      name: options.name
    }
    // There is one address, of every region and for everybody.
    const all = auth._tag === "VersionOne" ? { type: filter.type, interfaces: ["public"] as const } : filter
    return Catalog.choose(catalog, all) ?? (yield* missing(cloud, catalog, filter))
  })

  return {
    cloud: cloud.name,
    token,
    tokenWithLife: (minMs) => Effect.map(keeper.get(minMs), ({ value }) => value),
    invalidate,
    authHeaders,
    withToken,
    endpoint,
    owner: Effect.map(keeper.get(0), ({ owner }) => owner)
  }
}

/**
 * A token given is exchanged for one of the scope that is asked for, which is what keystoneauth does. Where no scope is
 * asked for, or Keystone allows no exchange, it is used as it is if it is good for something.
 */
const obtain = (
  client: Keystone.Client,
  base: string,
  { identity, scope }: Extract<Auth.Auth, { readonly _tag: "Keystone" }>
): Effect.Effect<Keystone.Token, KeystoneError.KeystoneError> => {
  const issue = Keystone.issue(client, base, identity, scope)
  if (identity._tag !== "Token") return issue
  const asItIs = Keystone.inspect(client, base, identity.token)
  if (scope._tag === "Unsaid") {
    return Effect.flatMap(asItIs, (token) => (token.catalog.length > 0 ? Effect.succeed(token) : issue))
  }
  return Effect.catch(issue, (refusal) =>
    refusal.reason._tag !== "Forbidden" && refusal.reason._tag !== "Unauthorized"
      ? Effect.fail(refusal)
      : Effect.flatMap(
          Effect.mapError(asItIs, () => refusal),
          (token) => (isOf(scope, token) ? Effect.succeed(token) : Effect.fail(refusal))
        )
  )
}

const isOf = (scope: Auth.Scope, { owner: { projectDomain, projectId, projectName } }: Keystone.Token): boolean => {
  if (scope._tag === "Project") return projectId === scope.id
  if (scope._tag !== "ProjectName" || projectName !== scope.name) return false
  const { id, name } = scope.domain
  return id === undefined ? projectDomain?.name === name : projectDomain?.id === id
}

const underscored = (type: string): string => type.replaceAll("-", "_")

/** What the configuration says about a service, under whichever of its names. */
const optionsOf = (cloud: Cloud, type: string): Effect.Effect<ServiceOptions, KeystoneError.KeystoneError> => {
  const names = [type, ...Catalog.namesOf(type)].toReversed()
  const options: ServiceOptions = Object.assign({}, ...names.map((name) => cloud.services[underscored(name)]))
  return options.fault === undefined
    ? Effect.succeed(options)
    : Effect.fail(
        KeystoneError.make("InvalidConfig", {
          cloud: cloud.name,
          message: `${options.fault} (${cloud.file ?? "OS_* variables"})`
        })
      )
}

/** `%(project_id)s` and the like, as the SDK allows them in an override. */
const filled = (url: string, owner: Keystone.Owner): string =>
  url.replace(/%\((\w+)\)s/g, (whole, key: string) => {
    if (key === "project_id" || key === "tenant_id") return owner.projectId ?? whole
    return key === "user_id" ? (owner.userId ?? whole) : whole
  })

const missing = (cloud: Cloud, catalog: Catalog.Catalog, filter: Catalog.Filter): KeystoneError.KeystoneError => {
  const wanted = [
    filter.interfaces.join(" or "),
    ...(filter.region === undefined ? [] : [`in region ${filter.region}`])
  ]
  const scope = catalog.length === 0 ? "; the token is for no project: set project_id or project_name" : ""
  return KeystoneError.make("NotFound", {
    cloud: cloud.name,
    message: `no ${wanted.join(" ")} endpoint for ${filter.type}: ${Catalog.describe(catalog, filter.type)}${scope}`
  })
}
