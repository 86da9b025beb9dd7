/**
 * An object of S3, or of what speaks its protocol, as a destination. Objects above one part are sent as parts, several at
 * a time; smaller ones by one PUT. Every part is sent with its checksum in front of it, so that the service refuses other
 * bytes, and the whole is compared by the best digest that the service has of it.
 *
 * @since 0.1.0
 */
import type { StorageClass } from "@aws-sdk/client-s3"
import type { Capabilities, Content, PartsSession, Plan, Store } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as S3Uri from "./S3Uri.ts"
import { isVendor, profiles, type Vendor } from "./Profile.ts"
import * as Fault from "./internal/fault.ts"
import * as Look from "./internal/look.ts"
import * as Multipart from "./internal/multipart.ts"
import * as Proof from "./internal/proof.ts"
import { replaces, type Setting, there } from "./internal/setting.ts"
import * as Single from "./internal/single.ts"
import { connect, type Site } from "./internal/site.ts"
import * as Target from "./internal/target.ts"
import * as Uploads from "./internal/uploads.ts"

/**
 * Keys to sign with. Secrets may be `Redacted`.
 *
 * @since 0.1.0
 * @category models
 */
export type Keys = Target.Keys

/**
 * Where an object goes, and how. Where nothing is said, the value in brackets holds; what the AWS tools read from the
 * environment and from the shared files is read here too.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options extends Target.Place {
  readonly bucket: string
  readonly key: string
  /** `http://` or `https://` (`AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, the profile's, else AWS). */
  readonly endpoint?: string | undefined
  /** (`AWS_REGION`, the profile's, else `us-east-1`; where AWS says that the bucket is elsewhere, it is followed.) */
  readonly region?: string | undefined
  /** Of the shared config and credentials files (`AWS_PROFILE`, `default`). */
  readonly profile?: string | undefined
  /** Keys, or whoever fetches them: asked again when the service says that they have ended (as the AWS tools find them). */
  readonly credentials?: Target.Place["credentials"]
  /** The bucket's name in the path instead of the host's name (true unless it is AWS and the name can be a host's). */
  readonly pathStyle?: boolean | undefined
  readonly tls?: Target.Place["tls"]
  /** Bytes of each part, from 5 MiB to 5 GiB; more where 10,000 of them would not do (8 MiB). */
  readonly partSize?: number | undefined
  /** As the service names them: `STANDARD_IA`. */
  readonly storageClass?: string | undefined
  /** `application/octet-stream` */
  readonly contentType?: string | undefined
  /** Only make a new object: `If-None-Match: *`. Fails with `Conflict` when there is one (false). */
  readonly ifNoneMatch?: boolean | undefined
  /** What the service is, where it does not show it. */
  readonly vendor?: Vendor | undefined
}

const mib = 1024 * 1024

const defaultPartBytes = 8 * mib

const wrong = (options: Options): Fault.Fault | undefined => {
  const { contentType, partSize, storageClass, vendor } = options
  const bad = (message: string) => Fault.make("InvalidConfig", message)
  const { maxBytes, minBytes } = Multipart.limits
  if (partSize !== undefined && !(Number.isInteger(partSize) && partSize >= minBytes && partSize <= maxBytes)) {
    return bad(`a part has ${minBytes} (5 MiB) to ${maxBytes} (5 GiB) bytes, not ${partSize}`)
  }
  if (storageClass !== undefined && !/^[A-Za-z0-9_-]+$/.test(storageClass))
    return bad("the storage class is not a word")
  if (contentType !== undefined && !/^[\x21-\x7e][\x20-\x7e]*$/.test(contentType))
    return bad("the content type is not one")
  if (vendor !== undefined && !isVendor(vendor)) {
    return bad(`'${String(vendor)}' is no known vendor (known: ${Object.keys(profiles).join(", ")})`)
  }
  return Target.wrong(options)
}

const vendorOf = (options: Partial<Options>, site: Site): Vendor => options.vendor ?? site.service.vendor

const describe = (look: Look.Looked): string => {
  switch (look._tag) {
    case "Found":
      return look.size === undefined ? "of unknown size" : `${look.size} bytes`
    case "Absent":
      return "none"
    case "Unseen":
      return "cannot be looked at with these keys"
  }
}

const capabilitiesOf = (options: Partial<Options>, site: Site, look: Look.Looked | undefined): Capabilities => {
  const profile = profiles[vendorOf(options, site)]
  const known = options.vendor === undefined ? "profile" : "configured"
  const probed = profile.checksums === "probe"
  const proof = Proof.candidates(profile)[0]!
  return {
    shape: "parts",
    maxObjectBytes: profile.maxObjectBytes,
    reports: probed ? [] : [proof.algorithm],
    rangedRead: true,
    needsSize: false,
    sharedMemory: true,
    parts: { ...Multipart.limits, preferredBytes: options.partSize ?? defaultPartBytes },
    checks: {
      whole: profile.checksums === "full" ? ["crc64nvme"] : [],
      part: probed ? ["md5"] : [proof.algorithm]
    },
    ...(profile.conditionalCreate === undefined ? undefined : { conditionalCreate: profile.conditionalCreate }),
    serverSideCopy: true,
    unfinished: { list: true, abort: true, resume: true },
    continues: true,
    places: [],
    learnt: {
      maxObjectBytes: known,
      reports: probed ? "assumed" : known,
      parts: known,
      checks: probed ? "assumed" : known,
      conditionalCreate: profile.conditionalCreate === undefined ? "assumed" : known,
      rangedRead: "assumed",
      serverSideCopy: "assumed",
      unfinished: "assumed",
      continues: "assumed"
    },
    details: {
      service: profile.name,
      host: site.service.host,
      ...(look === undefined ? undefined : { object: describe(look) })
    }
  }
}

const tooLarge = ({ content, profile }: Setting): Fault.Fault | undefined =>
  content.size !== undefined && content.size > profile.maxObjectBytes
    ? Fault.make(
        "TooLarge",
        `${content.size} bytes are more than an object of ${profile.name} can have (${profile.maxObjectBytes})`
      )
    : undefined

/** Whether the object fits into one part. */
const isSingle = ({ content, partBytes }: Pick<Setting, "content" | "partBytes">): boolean =>
  content.size !== undefined && content.size <= partBytes

/**
 * Whether it can be left to the writing to find out what was there before, so that nobody has to look: by one PUT of what
 * must be new, to a service that knows the condition and has been looked at before.
 */
const findsOut = (options: Options, content: Content, service: Site["service"]): boolean => {
  const { ifNoneMatch, partSize, vendor } = options
  const { conditionalCreate } = profiles[vendor ?? service.vendor]
  const single = isSingle({ content, partBytes: partSize ?? defaultPartBytes })
  return single && conditionalCreate === true && service.believed && !service.replacing && ifNoneMatch !== true
}

const bucketThere = ({ call, place }: Site): Effect.Effect<unknown, Fault.Fault> =>
  call("the bucket cannot be looked at", (s3, { HeadBucketCommand }, options) =>
    s3.send(new HeadBucketCommand({ Bucket: place.bucket }), options)
  ).pipe(
    Effect.catch((fault) =>
      fault.status === 404
        ? Effect.fail(Fault.make("NotFound", "there is no such bucket", { status: 404 }))
        : // Who may write need not be allowed to look.
          fault.status === 403
          ? Effect.void
          : Effect.fail(fault)
    )
  )

const planned = (setting: Setting): Plan => {
  const { before } = setting
  const how = isSingle(setting) ? "by one PUT" : "in parts"
  if (replaces(setting)) return { action: "fail", why: there }
  switch (before._tag) {
    case "Found":
      return { action: "create", why: `replaces ${before.size ?? "an unknown number of"} bytes, ${how}` }
    case "Absent":
      return { action: "create", why: `a new object, ${how}` }
    case "Unknown":
    case "Unseen":
      return { action: "create", why: `these keys do not let it be seen what is there; ${how}` }
  }
}

/**
 * An object as a destination. Nothing is thrown: what is wrong with the options is the error (`InvalidUri`,
 * `InvalidConfig`) of whatever is asked of the store.
 *
 * Fails with `NotFound` where there is no such bucket, `Forbidden` and `Unauthorized` as the service says, `Conflict`
 * where `ifNoneMatch` finds an object or another writer's came in between, `TooLarge` above the service's limits, and
 * `DigestMismatch` when it holds other bytes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const object = (options: Options): Store<Transport, PartsSession> => {
  const uri = Target.uriOf(options)
  const bad = wrong(options)
  const site = bad === undefined ? connect(options) : Effect.fail(bad)
  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))

  const settle = (content: Content, looks: boolean): Effect.Effect<Setting, Fault.Fault, Transport> =>
    Effect.gen(function* () {
      const found = yield* site
      const { service } = found
      const before =
        looks || !findsOut(options, content, service) ? yield* Look.at(found) : { _tag: "Unknown" as const }
      if (before._tag !== "Unknown") service.replacing = before._tag === "Found"
      const { contentType, storageClass } = options
      const setting: Setting = {
        site: found,
        uri,
        profile: profiles[vendorOf(options, found)],
        known: options.vendor === undefined ? "profile" : "configured",
        content,
        before,
        partBytes: options.partSize ?? defaultPartBytes,
        ifNoneMatch: options.ifNoneMatch ?? false,
        metadata: {
          ContentType: contentType ?? "application/octet-stream",
          // The service knows its classes; the SDK's list is AWS's.
          ...(storageClass === undefined ? undefined : { StorageClass: storageClass as StorageClass })
        }
      }
      return yield* tooLarge(setting) ?? Effect.succeed(setting)
    })

  return {
    uri,
    capabilities: asStoreError(
      Effect.gen(function* () {
        const found = yield* site
        const look = yield* Look.at(found)
        if (look._tag === "Absent") yield* bucketThere(found)
        return capabilitiesOf(options, found, look)
      })
    ),
    plan: (content) =>
      asStoreError(
        Effect.gen(function* () {
          const setting = yield* settle(content, true)
          if (setting.before._tag === "Absent") yield* bucketThere(setting.site)
          return planned(setting)
        })
      ),
    open: (content) =>
      asStoreError(
        Effect.map(settle(content, false), (setting) =>
          isSingle(setting) ? Single.make(setting) : Multipart.make(setting)
        )
      ),
    unfinished: Stream.unwrap(Effect.map(site, Uploads.unfinished)).pipe(
      Stream.mapError((fault) => Fault.toStoreError(fault, uri))
    ),
    abort: (token) => asStoreError(Effect.flatMap(site, (found) => Uploads.abort(found, token)))
  }
}

/**
 * A bucket, for what its service can do and for the uploads that were left in it: of all objects, or of those whose keys
 * begin with `prefix`. Nothing is written to it: who wants to gets `InvalidUri`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const bucket = (options: Omit<Options, "key"> & { readonly prefix?: string | undefined }): Store<Transport> => {
  const { prefix = "", ...rest } = options
  const place = { ...rest, key: prefix }
  const uri = Target.uriOf(place)
  const bad = Target.wrongBucket(place)
  // Any key will do to find the service.
  const site =
    bad === undefined
      ? Effect.map(connect({ ...rest, key: "any" }), (found): Site => ({ ...found, place }))
      : Effect.fail(bad)
  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))
  const noKey = asStoreError(Effect.fail(Fault.make("InvalidUri", "the object's key is missing: s3://BUCKET/KEY")))

  return {
    uri,
    capabilities: asStoreError(
      Effect.gen(function* () {
        const found = yield* site
        yield* bucketThere(found)
        return capabilitiesOf(rest, found, undefined)
      })
    ),
    plan: () => noKey,
    open: () => noKey,
    unfinished: Stream.unwrap(Effect.map(site, (found) => Uploads.unfinished(found, true))).pipe(
      Stream.mapError((fault) => Fault.toStoreError(fault, uri))
    ),
    abort: (token, of) =>
      asStoreError(
        Effect.gen(function* () {
          const found = yield* site
          const named = of === undefined ? undefined : S3Uri.destinationFrom(of)
          if (named === undefined || Result.isFailure(named)) {
            return yield* Fault.make("InvalidUri", "it is not said of which object the upload is")
          }
          return yield* Uploads.abort({ ...found, place: { ...place, key: named.success.key } }, token)
        })
      )
  }
}

/**
 * The destination that an `s3://BUCKET/KEY` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Store<Transport, PartsSession>, S3Uri.S3UriError> =>
  Result.map(S3Uri.destinationFrom(uri), object)
