/**
 * What a URL holds now, asked without writing anything.
 *
 * @since 0.1.0
 */
import type { Digests } from "@headrace/core/Digest"
import * as StoreError from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Look from "./internal/look.ts"
import * as Session from "./internal/session.ts"
import * as Target from "./internal/target.ts"
import * as Words from "./internal/words.ts"

/**
 * What a server tells of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly size: number | undefined
  readonly digests: Digests
}

/**
 * Looks at a URL by HEAD, or by a GET of one byte where HEAD is not answered; `undefined` when nothing is there.
 *
 * Fails with `Unauthorized` or `Forbidden` where the server says so, and with `Unavailable` or `Rejected` where it does
 * not let itself be asked.
 *
 * @since 0.1.0
 * @category running
 */
export const look = (options: {
  readonly url: string
}): Effect.Effect<Seen | undefined, StoreError.StoreError, Transport> =>
  Effect.gen(function* () {
    const target = Target.of(options)
    if ("_tag" in target) {
      const { message, reason, uri } = target
      return yield* StoreError.make(reason, { uri, message })
    }
    const found = yield* Look.at(yield* Transport, Session.spotOf(target, undefined), true)
    switch (found._tag) {
      case "Found":
        return { size: found.size, digests: found.digests }
      case "Absent":
        return undefined
      case "Unasked": {
        const { away, status } = found
        const reason =
          status === 401 ? "Unauthorized" : status === 403 ? "Forbidden" : away ? "Unavailable" : "Rejected"
        const message = `the server does not say what is there (${Words.status(status)})`
        return yield* StoreError.make(reason, { uri: target.uri, message, status, retryable: away })
      }
    }
  })
