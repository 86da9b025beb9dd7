/**
 * The objects of a bucket in the order of their keys, a page at a time.
 *
 * @since 0.1.0
 */
import type { StoreError } from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Fault from "./internal/fault.ts"
import { connect } from "./internal/site.ts"
import * as Target from "./internal/target.ts"

/**
 * Which bucket, and how its service is reached; each as for a destination (`S3Store.Options`).
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Omit<Target.Place, "key">

/**
 * What of it is listed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Range {
  /** Only keys that begin so. */
  readonly prefix?: string | undefined
  /** Only keys behind this one, which need not be there. */
  readonly after?: string | undefined
  /** Objects of a page (1000, which is the most that a service gives). */
  readonly limit?: number | undefined
}

/**
 * An object as a list tells it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listed {
  readonly key: string
  readonly size: number | undefined
  /** Without quotes. */
  readonly etag: string | undefined
  /** Milliseconds since 1970. */
  readonly modified: number | undefined
}

/**
 * A page. Most services order keys by their UTF-8 bytes; some have another order, or none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly objects: ReadonlyArray<Listed>
  readonly more: boolean
}

/**
 * An ETag without its quotes.
 *
 * @since 0.1.0
 * @category conversions
 */
export const bare = (etag: string): string => etag.replace(/^"(.*)"$/, "$1")

/**
 * Whether a key can stand in a list, which is XML and has no control characters.
 *
 * @since 0.1.0
 * @category guards
 */
export const isListable = (key: string): boolean => key.isWellFormed() && !/[\p{Cc}\ufffe\uffff]/u.test(key)

const what = "the bucket cannot be listed"

/**
 * Asks for a page.
 *
 * Fails with `NotFound` where there is no such bucket, and with `Forbidden` where the keys do not let it be listed.
 *
 * @since 0.1.0
 * @category running
 */
export const page = (options: Options, range: Range = {}): Effect.Effect<Page, StoreError, Transport> => {
  const { after, limit = 1000, prefix } = range
  const listed = Effect.gen(function* () {
    const bad = Target.wrongBucket({ ...options, key: "" })
    if (bad !== undefined) return yield* bad
    // Any key will do to find the service.
    const { call } = yield* connect({ ...options, key: "any" })
    const { Contents, IsTruncated } = yield* call(what, (s3, { ListObjectsV2Command }, callOptions) =>
      s3.send(
        new ListObjectsV2Command({
          Bucket: options.bucket,
          MaxKeys: limit,
          ...(prefix === undefined || prefix === "" ? undefined : { Prefix: prefix }),
          ...(after === undefined || after === "" ? undefined : { StartAfter: after })
        }),
        callOptions
      )
    )
    const objects = (Contents ?? []).flatMap(({ ETag, Key, LastModified, Size }): ReadonlyArray<Listed> =>
      Key === undefined
        ? []
        : [
            {
              key: Key,
              size: Size,
              etag: ETag === undefined ? undefined : bare(ETag),
              modified: LastModified?.getTime()
            }
          ]
    )
    return { objects, more: IsTruncated === true }
  })
  const uri = Target.uriOf({ ...options, key: prefix ?? "" })
  return Effect.mapError(listed, (fault) => Fault.toStoreError(fault, uri))
}
