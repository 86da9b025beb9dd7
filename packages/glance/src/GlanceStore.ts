/**
 * An image service as a store: one image, made or given, written as one body.
 *
 * After the first image of a cloud an upload is three requests: the image is made, filled, and looked at. What else
 * has to be known of the service (versions, stores, its hash, limits) is asked once and remembered for ten minutes,
 * limits for five seconds.
 *
 * @since 0.1.0
 */
import type { Copy } from "@headrace/core/Copies"
import type { Algorithm } from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import type { Capabilities, Content, Plan, Store, WholeSession } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as GlanceAccess from "./GlanceAccess.ts"
import * as GlanceUri from "./GlanceUri.ts"
import * as Api from "./internal/api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Places from "./internal/places.ts"
import * as Preflight from "./internal/preflight.ts"
import * as Session from "./internal/session.ts"
import * as Site from "./internal/site.ts"
import * as Unfinished from "./internal/unfinished.ts"
import * as Ways from "./internal/ways.ts"

/**
 * What an image is to be.
 *
 * @since 0.1.0
 * @category models
 */
export interface ImageOptions {
  /** An existing image to write to. It must be queued; it is never deleted. */
  readonly id?: string | undefined
  /** The UUID that a new image is to have. */
  readonly newId?: string | undefined
  /**
   * Gives the UUID of each image that is to be made, before it is made: whoever keeps books of what was begun notes it
   * there. Another one is asked for when an image has to be made anew.
   */
  readonly newIds?: Effect.Effect<string, StoreError.StoreError> | undefined
  readonly name?: string | undefined
  /**
   * The store within the service that the data is to go to. Several: the bytes are sent once, and each store has a
   * verdict of its own. They go to the first, and when the image is proven, the service itself copies it to the others
   * (`copy-image`). Where that is not allowed they are staged, and the service imports them into all (`glance-direct`).
   */
  readonly store?: string | ReadonlyArray<string> | undefined
  /** `disk_format`. Unless given: what the image or the source says, else what the first bytes are. */
  readonly diskFormat?: string | undefined
  /** `container_format` (`bare`). */
  readonly containerFormat?: string | undefined
  readonly visibility?: GlanceUri.Visibility | undefined
  /** Set once the data is proven, as an image that is protected cannot be tidied up. */
  readonly protected?: boolean | undefined
  /** Left out of lists (`os_hidden`). Set once the data is proven. */
  readonly hidden?: boolean | undefined
  /** GiB. */
  readonly minDisk?: number | undefined
  /** MiB. */
  readonly minRam?: number | undefined
  readonly tags?: ReadonlyArray<string> | undefined
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** How the destination is called in receipts and errors. */
  readonly uri?: string | undefined
}

const uriOf = (options: GlanceAccess.Place & ImageOptions, { copyTo, store }: Places.Wanted): string => {
  if (options.uri !== undefined) {
    return store === undefined || copyTo.length === 0 ? options.uri : Places.uriAt(options.uri, store)
  }
  const image = encodeURIComponent(options.id ?? options.name ?? options.newId ?? "")
  const uri = `glance://${GlanceAccess.nameOf(options)}/${image}`
  return store === undefined ? uri : Places.uriAt(uri, store)
}

interface Signed {
  readonly api: Api.Api
  readonly site: Site.Site
}

const signIn = (place: GlanceAccess.Place): Effect.Effect<Signed, Fault.Fault, Transport | Host> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const access = yield* Effect.mapError(GlanceAccess.of(place), Fault.fromKeystone)
    const api = Api.make(access, transport)
    return { api, site: yield* Site.of(api) }
  })

/**
 * The digests that an image can be checked against. Before any image tells the service's hash, the usual one and MD5,
 * which every release keeps as `checksum`.
 */
const wantedOf = (hash: Algorithm | "other" | undefined): ReadonlyArray<Algorithm> =>
  hash === undefined ? ["sha512", "md5"] : hash === "other" ? ["md5"] : [hash]

/**
 * An image of a cloud as a destination.
 *
 * With several stores it is several destinations, one a store: see `Store.copies` of `@headrace/core`.
 *
 * Its `unfinished` are the images of that name or id, or without either all of the account's project, that are `queued`,
 * `saving`, `uploading` or `importing`, whoever began them. `abort` looks and then deletes, as Glance deletes under no
 * condition: an upload that ends between the two is lost. A token alone does not tell its project; give it then.
 *
 * Fails before the first byte with `UnknownStore`, `UnsupportedFormat`, `QuotaExceeded`, `NotFound` or `Conflict`
 * where it can be known by then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const image = (options: GlanceAccess.Place & ImageOptions): Store<Transport | Host, WholeSession> => {
  const wanted = Places.wanted(options)
  const uri = uriOf(options, wanted)
  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri, options.id))

  /** How the image comes to its stores; one that goes to a single store is sent there. */
  const wayOf = (site: Site.Site): Effect.Effect<Ways.Way, Fault.Fault> =>
    wanted.copyTo.length === 0 ? Effect.succeed({ _tag: "Copy" }) : Ways.choose(site)

  const open = (content: Content) =>
    asStoreError(
      Effect.gen(function* () {
        yield* Places.check(options)
        const { api, site } = yield* signIn(options)
        const digests = wantedOf(yield* site.hash)
        const cloud = GlanceAccess.nameOf(options)
        const way = yield* wayOf(site)
        return Session.make(api, site, { uri, cloud, image: wanted, content, wanted: digests, way })
      })
    )

  const plan = (content: Content): Effect.Effect<Plan, StoreError.StoreError, Transport | Host> =>
    asStoreError(
      Effect.gen(function* () {
        yield* Places.check(options)
        const { api, site } = yield* signIn(options)
        yield* site.hash
        const staged = (yield* wayOf(site))._tag === "Import"
        const ready = yield* Preflight.run(api, site, wanted, content, staged)
        yield* Preflight.checkNames(api, wanted)
        const as = `${ready.diskFormat} in ${ready.containerFormat}`
        const imported = staged
          ? `, staged and imported into the stores ${[wanted.store, ...wanted.copyTo].join(", ")}`
          : ""
        const where = staged || wanted.store === undefined ? imported : `, store ${wanted.store}`
        const notes = ready.notes.map((note) => `; ${note}`).join("")
        return ready.given === undefined
          ? {
              action: "create",
              why: `a new image${options.name === undefined ? "" : ` "${options.name}"`}, ${as}${where}${notes}`
            }
          : { action: "use", why: `image ${ready.given.id} is queued, ${as}${where}${notes}` }
      })
    )

  const capabilities = asStoreError(
    Effect.gen(function* () {
      const { api, site } = yield* signIn(options)
      const versions = yield* site.versions
      const stores = yield* site.stores
      const hash = yield* site.hash
      const usage = yield* site.usage(true)
      const importMethods = yield* site.importMethods
      return describe(api.access.base, { versions, stores, hash, usage, importMethods })
    })
  )

  const copies = wanted.copyTo.map((place): Copy<Transport | Host> => {
    const placeUri = Places.uriAt(uri, place)
    const planned = Effect.gen(function* () {
      yield* Places.check(options)
      const { site } = yield* signIn(options)
      yield* Preflight.checkStore(site, place)
      const way = yield* wayOf(site)
      if (way._tag === "Neither") return yield* way.fault
      return {
        action: "create",
        why:
          way._tag === "Import"
            ? `the service imports the image there from what is staged: ${way.why}`
            : `the service copies the image there from the store ${wanted.store}`
      } as const
    })
    const plan = Effect.mapError(planned, (fault) => Fault.toStoreError(fault, placeUri, options.id))
    return { uri: placeUri, place, plan }
  })

  const scope = { image: wanted, uri, cloud: GlanceAccess.nameOf(options) }
  const unfinished = Stream.unwrap(
    Effect.map(asStoreError(signIn(options)), ({ api }) => Unfinished.list(api, scope))
  ).pipe(Stream.mapError((error) => (error instanceof Fault.Fault ? Fault.toStoreError(error, uri) : error)))
  const abort = (token: string) =>
    asStoreError(Effect.flatMap(signIn(options), ({ api }) => Unfinished.abort(api, scope, token)))

  return { uri, capabilities, plan, open, unfinished, abort, ...(copies.length === 0 ? undefined : { copies }) }
}

const describe = (
  endpoint: string,
  {
    hash,
    importMethods,
    stores,
    usage,
    versions
  }: {
    readonly versions: ReadonlySet<string> | undefined
    readonly stores: ReadonlyArray<Site.Place> | undefined
    readonly hash: Algorithm | "other" | undefined
    readonly usage: Site.Usage
    readonly importMethods: ReadonlyArray<string> | undefined
  }
): Capabilities => ({
  shape: "whole",
  maxObjectBytes: undefined,
  reports: hash === undefined ? ["sha512", "md5"] : hash === "other" || hash === "md5" ? ["md5"] : [hash, "md5"],
  // Some back ends can, others answer 400; which one holds an image is seen when it is read.
  rangedRead: undefined,
  needsSize: false,
  sharedMemory: true,
  unfinished: { list: true, abort: true, resume: false },
  // Whether this user may have it do so is only known when it is asked.
  ...(importMethods === undefined
    ? undefined
    : { serverSideCopy: stores !== undefined && importMethods.includes("copy-image") }),
  places: stores ?? [],
  learnt: {
    reports: hash === undefined ? "assumed" : "probed",
    places: "probed",
    ...(importMethods === undefined ? undefined : { serverSideCopy: "probed" as const }),
    rangedRead: "assumed",
    unfinished: "configured",
    sharedMemory: "configured"
  },
  details: {
    endpoint,
    versions: versions === undefined ? "not told" : [...versions].join(" "),
    stores: stores === undefined ? "one, without a name" : stores.map(({ id }) => id).join(", "),
    hash:
      hash === undefined
        ? "not known before the first image"
        : hash === "other"
          ? "one that cannot be computed here"
          : hash,
    ...Object.fromEntries(
      Object.entries(usage).map(([name, { limit, usage }]) => [
        name,
        limit < 0 ? `${usage}, no limit` : `${usage} of ${limit}`
      ])
    )
  }
})

/**
 * The destination that a `glance://CLOUD/IMAGE?…` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Store<Transport | Host, WholeSession>, GlanceUri.GlanceUriError> =>
  Result.map(GlanceUri.destinationFrom(uri), image)
