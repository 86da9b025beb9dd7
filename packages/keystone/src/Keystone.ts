/**
 * Keystone's version 3 over HTTP: finding it, asking for a token, looking at a token that is there already.
 *
 * Calls are bounded: 30 s each, and a service that is away (no connection, 429, 502, 503, 504) is asked three times more,
 * as late as its `Retry-After` says. A refusal is final.
 *
 * @since 0.1.0
 */
import type { Tls, Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Auth from "./Auth.ts"
import * as Catalog from "./Catalog.ts"
import * as Discovery from "./internal/discovery.ts"
import { field, parseJson, property } from "./internal/json.ts"
import { call, type Answer } from "./internal/call.ts"
import * as KeystoneError from "./KeystoneError.ts"

/**
 * What is needed to talk to one cloud's Keystone.
 *
 * @since 0.1.0
 * @category models
 */
export interface Client {
  readonly cloud: string
  readonly transport: Transport["Service"]
  readonly tls: Tls
  /** Never to be seen in a message, whoever writes it. */
  readonly secrets: ReadonlyArray<Redacted.Redacted>
}

/**
 * Whom a token is for, as far as Keystone says.
 *
 * @since 0.1.0
 * @category models
 */
export interface Owner {
  readonly userId?: string
  readonly projectId?: string
  readonly projectName?: string
  readonly projectDomain?: Auth.Domain
}

/**
 * A token and what came with it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Token {
  readonly value: Redacted.Redacted
  /** Milliseconds that it was good for when it came; absent for one that never ends, as far as is known. */
  readonly lifeMs?: number
  readonly catalog: Catalog.Catalog
  readonly owner: Owner
}

/**
 * The base URL of version 3, ending in `/v3`. An `auth_url` that ends so is taken at its word.
 *
 * @since 0.1.0
 * @category requests
 */
export const discover = Effect.fnUntraced(function* (
  client: Client,
  authUrl: string
): Effect.fn.Return<string, KeystoneError.KeystoneError> {
  const said = Discovery.versionThree(authUrl)
  if (said !== undefined) return said
  const url = Discovery.root(authUrl)
  const answer = yield* call(client, { method: "GET", url: `${url}/`, headers: { accept: "application/json" } })
  const found = Discovery.choose(url, parseJson(answer.text))
  // No versions document: some proxies hide it, and version 3 is there all the same.
  if (found === undefined) return `${url}/v3`
  if ("base" in found) return found.base
  return yield* KeystoneError.make("Unsupported", {
    cloud: client.cloud,
    message: `${url} offers only ${found.offered.join(", ")}: version 3 of Keystone is needed`
  })
})

/**
 * Asks for a token.
 *
 * @since 0.1.0
 * @category requests
 */
export const issue = Effect.fnUntraced(function* (
  client: Client,
  base: string,
  identity: Auth.Identity,
  scope: Auth.Scope
): Effect.fn.Return<Token, KeystoneError.KeystoneError> {
  const answer = yield* call(client, {
    method: "POST",
    url: `${base}/auth/tokens`,
    headers: { accept: "application/json", "content-type": "application/json" },
    body: new TextEncoder().encode(Redacted.value(Auth.tokenRequest(identity, scope)))
  })
  if (answer.status === 401 && answer.headers["openstack-auth-receipt"] !== undefined) {
    return yield* KeystoneError.make("Unsupported", {
      cloud: client.cloud,
      message: "this user must give a second factor, which is not supported: use an application credential",
      status: 401
    })
  }
  if (answer.status !== 200 && answer.status !== 201) {
    // A token that it cannot read is a 404 to Keystone, in its own JSON.
    const unread = identity._tag === "Token" && property(parseJson(answer.text), "error", "code") === 404
    return yield* refusal(client, base, answer, Auth.describe(identity, scope), unread || answer.status === 401)
  }
  const value = answer.headers["x-subject-token"]
  const token = value === undefined ? undefined : read(Redacted.make(value), answer)
  return token ?? (yield* notKeystone(client, base, answer))
})

/**
 * Looks at a token by itself: its scope, its end, its catalog.
 *
 * @since 0.1.0
 * @category requests
 */
export const inspect = Effect.fnUntraced(function* (
  client: Client,
  base: string,
  token: Redacted.Redacted
): Effect.fn.Return<Token, KeystoneError.KeystoneError> {
  const value = Redacted.value(token)
  const answer = yield* call(client, {
    method: "GET",
    url: `${base}/auth/tokens`,
    headers: { accept: "application/json", "x-auth-token": value, "x-subject-token": value }
  })
  if (answer.status !== 200) return yield* refusal(client, base, answer, "the token given")
  return read(token, answer) ?? (yield* notKeystone(client, base, answer))
})

const read = (value: Redacted.Redacted, answer: Answer): Token | undefined => {
  const token = property(parseJson(answer.text), "token")
  if (token === undefined) return undefined
  const lifeMs = lifeOf(token, answer)
  return {
    value,
    ...(lifeMs === undefined ? {} : { lifeMs }),
    catalog: Catalog.fromJson(property(token, "catalog")),
    owner: ownerOf(token)
  }
}

const ownerOf = (token: unknown): Owner => {
  const userId = field(token, "user", "id")
  const projectId = field(token, "project", "id")
  const projectName = field(token, "project", "name")
  const domainId = field(token, "project", "domain", "id")
  const domainName = field(token, "project", "domain", "name")
  return {
    ...(userId === undefined ? {} : { userId }),
    ...(projectId === undefined ? {} : { projectId }),
    ...(projectName === undefined ? {} : { projectName }),
    ...(projectId === undefined
      ? {}
      : {
          projectDomain: {
            ...(domainId === undefined ? {} : { id: domainId }),
            ...(domainName === undefined ? {} : { name: domainName })
          }
        })
  }
}

// Told by the service's own clock: a clock that is wrong on this side must not make a token look ended, or fresh.
const lifeOf = (token: unknown, answer: Answer): number | undefined => {
  const end = Date.parse(field(token, "expires_at") ?? "")
  const now = [answer.headers["date"], field(token, "issued_at")]
    .map((text) => Date.parse(text ?? ""))
    .find((at) => !Number.isNaN(at))
  return Number.isNaN(end) || now === undefined ? undefined : end - now
}

const notKeystone = (client: Client, base: string, answer: Answer): KeystoneError.KeystoneError =>
  KeystoneError.make("Rejected", {
    cloud: client.cloud,
    message: `${base} does not answer as Keystone does (status ${answer.status}): check auth_url`,
    status: answer.status,
    ...requestIdOf(answer)
  })

const refusal = (
  client: Client,
  base: string,
  answer: Answer,
  asked: string,
  wrongIdentity = answer.status === 401
): KeystoneError.KeystoneError => {
  const { status, words } = answer
  const fields = { cloud: client.cloud, status, ...requestIdOf(answer) }
  const said = `status ${status}${words === "" ? "" : `: ${words}`}`
  const location = URL.parse(answer.headers["location"] ?? "", base)
  if (wrongIdentity) {
    return KeystoneError.make("Unauthorized", {
      ...fields,
      message: `sign-in refused (${said}); check ${asked}, and auth_url ${base}`
    })
  }
  switch (status) {
    case 403:
      return KeystoneError.make("Forbidden", { ...fields, message: `sign-in forbidden (${said}); check ${asked}` })
    case 404:
      return KeystoneError.make("NotFound", { ...fields, message: `no Keystone at ${base} (${said}); check auth_url` })
    case 500:
      return KeystoneError.make("Unavailable", { ...fields, message: `Keystone at ${base} failed (${said})` })
    default:
      return status >= 300 && status < 400 && location !== null
        ? KeystoneError.make("Rejected", {
            ...fields,
            message: `${base} is moved to ${location.origin}${location.pathname} (status ${status}): correct auth_url`
          })
        : KeystoneError.make("Rejected", {
            ...fields,
            message: `Keystone at ${base} rejects the request (${said}); check ${asked}`
          })
  }
}

const requestIdOf = (answer: Answer): { readonly requestId?: string } => {
  const requestId = answer.headers["x-openstack-request-id"]
  return requestId === undefined ? {} : { requestId }
}
