/**
 * What is at a key now, asked of its service without writing anything.
 *
 * @since 0.1.0
 */
import type { Digests } from "@headrace/core/Digest"
import type { StoreError } from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Fault from "./internal/fault.ts"
import * as Look from "./internal/look.ts"
import { connect } from "./internal/site.ts"
import * as Target from "./internal/target.ts"
import * as S3Listing from "./S3Listing.ts"

/**
 * Which object, and how its service is reached; each as for a destination (`S3Store.Options`).
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Target.Place

/**
 * An object as its service describes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly size: number | undefined
  /** Without quotes. It is the MD5 of the bytes, of the parts' MD5s (then it ends with `-N`), or something else. */
  readonly etag: string | undefined
  /** Of the whole object; never taken from the ETag. */
  readonly digests: Digests
  /** Milliseconds since 1970. */
  readonly modified: number | undefined
}

/**
 * Looks at an object by one HEAD; `undefined` when there is none.
 *
 * Fails with `Forbidden` where the keys do not let it be seen, and with `NotFound` where there is no such bucket.
 *
 * @since 0.1.0
 * @category running
 */
export const look = (options: Options): Effect.Effect<Seen | undefined, StoreError, Transport> => {
  const looked = Effect.gen(function* () {
    const bad = Target.wrong(options)
    if (bad !== undefined) return yield* bad
    const found = yield* Look.at(yield* connect(options))
    if (found._tag === "Unseen") return yield* found.fault
    if (found._tag === "Absent") return undefined
    const { digests, etag, modified, size } = found
    return { size, etag: etag === undefined ? undefined : S3Listing.bare(etag), digests, modified }
  })
  return Effect.mapError(looked, (fault) => Fault.toStoreError(fault, Target.uriOf(options)))
}
