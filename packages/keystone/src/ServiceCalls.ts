/**
 * Control calls to a service of a cloud: sent with a token, again where the connection was lost or the service is away,
 * and once more with a new token where the old one was refused.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { KeystoneError } from "./KeystoneError.ts"
import * as Fault from "./ServiceFault.ts"

/**
 * Where tokens come from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tokens {
  /** A token with enough life left to begin a request; `undefined` where the service wants none. */
  readonly token: Effect.Effect<Redacted.Redacted | undefined, KeystoneError>
  /** Says that a token was refused. True when `token` gives another one now. */
  readonly renew: (refused: Redacted.Redacted) => Effect.Effect<boolean, KeystoneError>
}

/**
 * What a request is sent with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Signed {
  readonly headers: Readonly<Record<string, string>>
  readonly token: Redacted.Redacted | undefined
}

/** A service that asks for more than this is left to the engine, which waits longer. */
const longestWaitMs = 5000

/**
 * Says that a token was refused; true when there is another one.
 *
 * @since 0.1.0
 * @category combinators
 */
export const renewing =
  (tokens: Tokens) =>
  (token: Redacted.Redacted | undefined): Effect.Effect<boolean, Fault.Fault> =>
    token === undefined ? Effect.succeed(false) : Effect.mapError(tokens.renew(token), Fault.fromKeystone)

/**
 * Sends a call until it has an answer, `tries` times at most (3).
 *
 * @since 0.1.0
 * @category running
 */
export const run = <A>(call: {
  readonly sign: Effect.Effect<Signed, Fault.Fault>
  readonly renew: (token: Redacted.Redacted | undefined) => Effect.Effect<boolean, Fault.Fault>
  readonly once: (signed: Signed) => Effect.Effect<A, Fault.Fault, Scope.Scope>
  readonly tries?: number | undefined
}): Effect.Effect<A, Fault.Fault> =>
  Effect.gen(function* () {
    const { once, renew, sign, tries = 3 } = call
    let failures = 0
    let renewed = false
    while (true) {
      const signed = yield* sign
      const result = yield* Effect.result(Effect.scoped(once(signed)))
      if (result._tag === "Success") return result.success
      const fault = result.failure
      if (fault.reason === "Unauthorized" && !renewed) {
        renewed = true
        if (yield* renew(signed.token)) continue
      }
      failures++
      // A stall has taken a minute already; whoever waits for the call decides about another one.
      if (!fault.retryable || fault.reason === "Stalled" || failures >= tries) return yield* fault
      const wait = Math.max(fault.retryAfterMs ?? 0, 200 * 2 ** (failures - 1))
      if (wait > longestWaitMs) return yield* fault
      yield* Effect.sleep(Math.round(wait * (1 + (yield* Random.next) / 4)))
    }
  })
