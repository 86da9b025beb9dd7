/**
 * How an image service is reached: its address and where tokens come from. A cloud of `clouds.yaml` gives one, and so
 * does an endpoint with a token; a program that has tokens from elsewhere makes its own.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import type { Tls, Transport } from "@headrace/core/Transport"
import * as Catalog from "@headrace/keystone/Catalog"
import * as Clouds from "@headrace/keystone/Clouds"
import type { KeystoneError } from "@headrace/keystone/KeystoneError"
import * as Effect from "effect/Effect"
import * as Hash from "effect/Hash"
import * as Redacted from "effect/Redacted"

/**
 * Access to one image service with one account.
 *
 * @since 0.1.0
 * @category models
 */
export interface GlanceAccess {
  /** The endpoint without `/v2` and without a slash at its end. */
  readonly base: string
  /** Tells accounts apart: what is learnt of a service with one is not taken for true with another. Holds no secret. */
  readonly account: string
  /** A token with enough life left to begin a request; `undefined` where the service wants none. */
  readonly token: Effect.Effect<Redacted.Redacted | undefined, KeystoneError>
  /** Says that a token was refused. True when `token` gives another one now. */
  readonly renew: (refused: Redacted.Redacted) => Effect.Effect<boolean, KeystoneError>
  readonly tls: Tls | undefined
  /** The id of the project that the token is for, where that is known. Absent: it is not. */
  readonly project?: Effect.Effect<string | undefined, KeystoneError>
}

/**
 * Where an image service is: a cloud by its name in `clouds.yaml` (or `envvars`), an endpoint, or an access of one's
 * own.
 *
 * @since 0.1.0
 * @category models
 */
export type Place =
  | { readonly cloud: string }
  | {
      /** With or without `/v2`. */
      readonly endpoint: string
      readonly token?: Redacted.Redacted | undefined
      readonly tls?: Tls | undefined
      /** The id of the project that the token is for: only what lists the project's images wants it. */
      readonly project?: string | undefined
    }
  | { readonly access: GlanceAccess }

/**
 * A known endpoint, with a token that nobody can renew or with none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly endpoint: string
  readonly token?: Redacted.Redacted | undefined
  readonly tls?: Tls | undefined
  /** The id of the project that the token is for. */
  readonly project?: string | undefined
}): GlanceAccess => ({
  base: Catalog.imageBase(options.endpoint),
  account: options.token === undefined ? "" : String(Hash.string(Redacted.value(options.token))),
  token: Effect.succeed(options.token),
  renew: () => Effect.succeed(false),
  tls: options.tls,
  project: Effect.succeed(options.project)
})

/**
 * A cloud's image service, found in its configuration or catalog. All who ask for the same cloud share its tokens.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromCloud = Effect.fnUntraced(function* (
  cloud: string
): Effect.fn.Return<GlanceAccess, KeystoneError, Transport | Host> {
  const session = yield* Clouds.session(cloud)
  const endpoint = yield* session.endpoint("image")
  return {
    base: Catalog.imageBase(endpoint),
    account: session.cloud,
    token: session.token,
    renew: (refused) => Effect.as(session.invalidate(refused), true),
    tls: session.tls,
    project: Effect.map(session.owner, ({ projectId }) => projectId)
  }
})

/**
 * The access to a place.
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = (place: Place): Effect.Effect<GlanceAccess, KeystoneError, Transport | Host> =>
  "cloud" in place ? fromCloud(place.cloud) : Effect.succeed("access" in place ? place.access : make(place))

/**
 * A place as it may be shown: a cloud's name, or the endpoint's host.
 *
 * @since 0.1.0
 * @category conversions
 */
export const nameOf = (place: Place): string =>
  "cloud" in place
    ? place.cloud
    : ("access" in place ? place.access.base : place.endpoint)
        .replace(/^[a-z]+:\/\//i, "")
        .replace(/^[^/]*@|\/.*$/g, "")
