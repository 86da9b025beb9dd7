/**
 * Keeps one token fresh for many users: one request at a time however many ask, ahead of the token's end, and once
 * after a refusal.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Semaphore from "effect/Semaphore"
import * as Monotonic from "@headrace/core/Monotonic"
import * as KeystoneError from "../KeystoneError.ts"
import type { Token } from "../Keystone.ts"

/** What a session needs of it. */
export interface TokenKeeper {
  /** A token with at least `minMs` left, where the service gives such long ones. */
  readonly get: (minMs: number) => Effect.Effect<Token, KeystoneError.KeystoneError>
  readonly invalidate: (value: Redacted.Redacted) => Effect.Effect<void, KeystoneError.KeystoneError>
}

interface Held {
  readonly token: Token
  readonly since: number
  /** It came in place of one that a service had refused. */
  readonly replacement: boolean
  /** A service has refused it. */
  refused: boolean
}

/** Milliseconds before its end at which a token is renewed; a fifth of its life when that is less. */
const ahead = 120_000

/** A refusal of a replacement within so many milliseconds is final. */
const justGiven = 60_000

/** When a renewal ahead of the end failed: how long the old token serves on, and what it must have left. */
const quiet = 15_000
const least = 10_000

/** A sign-in that was refused so often in a row is not tried again for so long: a thousand of them lock an account. */
const mostRefusals = 3
const refusedFor = 30_000

/** Who gives tokens. */
export type Giver = "Keystone" | "the sign-in of Swift"

/** A service refuses what Keystone has just given: another token would not help. */
export const refusedAgain = (cloud: string, giver: Giver): KeystoneError.KeystoneError =>
  KeystoneError.make("Unauthorized", {
    cloud,
    message:
      `the service refuses a token that ${giver} gave a moment ago (status 401):` +
      ` check that the service's endpoint belongs to this cloud${giver === "Keystone" ? ", and that the service can reach Keystone" : ""}`,
    status: 401
  })

export const make = (
  cloud: string,
  renew: Effect.Effect<Token, KeystoneError.KeystoneError>,
  giver: Giver = "Keystone"
): TokenKeeper => {
  const turn = Semaphore.makeUnsafe(1)
  let held: Held | undefined
  let quietUntil = 0
  // Ended attempts, and the last failure with its number: whoever came before it shares it, and does not ask again.
  let attempts = 0
  let failure:
    | { readonly number: number; readonly since: number; readonly error: KeystoneError.KeystoneError }
    | undefined

  const left = ({ since, token }: Held, now: number): number =>
    token.lifeMs === undefined ? Number.POSITIVE_INFINITY : since + token.lifeMs - now

  const usable = (now: number, minMs: number): Token | undefined => {
    if (held === undefined || held.refused) return undefined
    const remaining = left(held, now)
    if (now < quietUntil && remaining > least) return held.token
    const life = held.token.lifeMs ?? 0
    // A service whose tokens are shorter than what is asked must not be asked for one at every call.
    const needed = Math.max(Math.min(ahead, life / 5), Math.min(minMs, (life * 4) / 5))
    return remaining > needed ? held.token : undefined
  }

  let refusals = 0
  const isFinal = ({ since }: NonNullable<typeof failure>) =>
    refusals >= mostRefusals ? Effect.map(Monotonic.now, (now) => now - since < refusedFor) : Effect.succeed(false)

  const request = Effect.gen(function* () {
    const result = yield* Effect.result(renew)
    const now = yield* Clock.currentTimeMillis
    attempts++
    if (result._tag === "Success") {
      refusals = 0
      held = { token: result.success, since: now, replacement: held?.refused ?? false, refused: false }
      return held.token
    }
    const error = result.failure
    if (error.reason._tag === "Unauthorized" && !error.retryable) refusals++
    failure = { number: attempts, since: yield* Monotonic.now, error }
    if (error.retryable && held !== undefined && !held.refused && left(held, now) > least) {
      quietUntil = now + quiet
      return held.token
    }
    return yield* error
  })

  const get = Effect.fnUntraced(function* (minMs: number): Effect.fn.Return<Token, KeystoneError.KeystoneError> {
    const token = usable(yield* Clock.currentTimeMillis, minMs)
    if (token !== undefined) return token
    const came = attempts
    return yield* turn.withPermits(1)(
      Effect.gen(function* () {
        const token = usable(yield* Clock.currentTimeMillis, minMs)
        if (token !== undefined) return token
        if (failure !== undefined && (failure.number > came || (yield* isFinal(failure)))) return yield* failure.error
        return yield* request
      })
    )
  })

  const invalidate = Effect.fnUntraced(function* (
    value: Redacted.Redacted
  ): Effect.fn.Return<void, KeystoneError.KeystoneError> {
    // Somebody else has said so already: the token that is there now has not been refused.
    if (held === undefined || held.refused || Redacted.value(held.token.value) !== Redacted.value(value)) return
    const now = yield* Clock.currentTimeMillis
    if (held.replacement && now - held.since < justGiven) {
      return yield* refusedAgain(cloud, giver)
    }
    held.refused = true
  })

  return { get, invalidate }
}
