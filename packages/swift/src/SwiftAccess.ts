/**
 * How an account of Swift is reached: its address and where tokens come from. A cloud of `clouds.yaml` gives one, by
 * Keystone or by `v1password`, and so does an endpoint with a token; a program that has tokens from elsewhere makes its
 * own.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import type { Tls, Transport } from "@headrace/core/Transport"
import * as Clouds from "@headrace/keystone/Clouds"
import type { KeystoneError } from "@headrace/keystone/KeystoneError"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"

/**
 * Access to one account.
 *
 * @since 0.1.0
 * @category models
 */
export interface SwiftAccess {
  /** The account's address without a slash at its end: `https://swift.example.org/v1/AUTH_demo`. */
  readonly base: string
  /** A token with enough life left to begin a request; `undefined` where the service wants none. */
  readonly token: Effect.Effect<Redacted.Redacted | undefined, KeystoneError>
  /** Says that a token was refused. True when `token` gives another one now. */
  readonly renew: (refused: Redacted.Redacted) => Effect.Effect<boolean, KeystoneError>
  readonly tls: Tls | undefined
}

/**
 * Where an account is: a cloud by its name in `clouds.yaml` (or `envvars`), the account's address, or an access of one's
 * own.
 *
 * @since 0.1.0
 * @category models
 */
export type Place =
  | { readonly cloud: string }
  | {
      readonly endpoint: string
      readonly token?: Redacted.Redacted | undefined
      readonly tls?: Tls | undefined
    }
  | { readonly access: SwiftAccess }

const trimmed = (url: string): string => url.replace(/[?#].*$/, "").replace(/\/+$/, "")

/**
 * A known account, with a token that nobody can renew or with none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly endpoint: string
  readonly token?: Redacted.Redacted | undefined
  readonly tls?: Tls | undefined
}): SwiftAccess => ({
  base: trimmed(options.endpoint),
  token: Effect.succeed(options.token),
  renew: () => Effect.succeed(false),
  tls: options.tls
})

/**
 * A cloud's account, found in its configuration or catalog (`object-store`). All who ask for the same cloud share its
 * tokens.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromCloud = Effect.fnUntraced(function* (
  cloud: string
): Effect.fn.Return<SwiftAccess, KeystoneError, Transport | Host> {
  const session = yield* Clouds.session(cloud)
  const endpoint = yield* session.endpoint("object-store")
  return {
    base: trimmed(endpoint),
    token: session.token,
    renew: (refused) => Effect.as(session.invalidate(refused), true),
    tls: session.tls
  }
})

/**
 * The access to a place.
 *
 * @since 0.1.0
 * @category constructors
 */
export const of = (place: Place): Effect.Effect<SwiftAccess, KeystoneError, Transport | Host> =>
  "cloud" in place ? fromCloud(place.cloud) : Effect.succeed("access" in place ? place.access : make(place))

/**
 * A place as it stands in a URI that is shown: a cloud's name, or the endpoint's host.
 *
 * @since 0.1.0
 * @category conversions
 */
export const nameOf = (place: Place): string =>
  "cloud" in place
    ? encodeURIComponent(place.cloud)
    : ("access" in place ? place.access.base : place.endpoint)
        .replace(/^[a-z]+:\/\//i, "")
        .replace(/^[^/]*@|[/?#].*$/g, "")
