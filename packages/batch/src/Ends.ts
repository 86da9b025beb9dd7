/**
 * Sources and destinations by their URIs. Each kind is loaded when it is first asked for.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import { realpathSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import type { Store } from "@headrace/core/Store"
import type { Transport } from "@headrace/core/Transport"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import * as AwsEnvironment from "./internal/awsEnvironment.ts"
import * as Uri from "./Uri.ts"

/**
 * A source or destination that cannot be used as it is written.
 *
 * @since 0.1.0
 * @category errors
 */
export class EndError extends Data.TaggedError("EndError")<{
  readonly reason: "InvalidUri" | "Unsupported"
  /** The URI without secrets. */
  readonly uri: string
  readonly message: string
}> {}

/**
 * Where relative paths begin and where settings are found, when it is not the process that says so.
 *
 * @since 0.1.0
 * @category models
 */
export interface Surroundings {
  readonly cwd?: string | undefined
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

/**
 * A store as it is found by a URI.
 *
 * @since 0.1.0
 * @category models
 */
export type AnyStore = Store<Transport | Host>

/**
 * Makes a store of a new image, for whoever has something to add to what its URI says. `place` is its place among `to` and
 * then `also`.
 *
 * @since 0.1.0
 * @category models
 */
export type NewImage = (image: GlanceUri.Destination, place: number) => Effect.Effect<AnyStore>

const fromUriError = (error: unknown): EndError => {
  if (error instanceof Uri.UriError) {
    return new EndError({ reason: error.reason, uri: error.uri, message: error.message })
  }
  throw error
}

const parsed = <A>(parse: () => A): Effect.Effect<A, EndError> => Effect.try({ try: parse, catch: fromUriError })

const fromResult = <A>(
  result: Result.Result<
    A,
    { readonly reason: "InvalidUri" | "Unsupported"; readonly uri: string; readonly message: string }
  >
): Effect.Effect<A, EndError> =>
  Effect.mapError(
    Effect.fromResult(result),
    ({ message, reason, uri }) => new EndError({ reason, uri: Uri.shown(uri), message })
  )

const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

const within = ({ cwd }: Surroundings, path: string): string => (cwd === undefined ? path : resolve(cwd, path))

/**
 * The source that a text names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const source = (
  text: string,
  surroundings: Surroundings = {}
): Effect.Effect<Source<Transport | Host>, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseSource(text))
    switch (uri._tag) {
      case "Stdin":
        return (yield* load(() => import("@headrace/node/StdinSource"))).make()
      case "File":
        return (yield* load(() => import("@headrace/node/FileSource"))).make(within(surroundings, uri.path))
      case "Http":
        return (yield* load(() => import("@headrace/node/HttpSource"))).make(uri.url)
      case "Glance":
        return yield* fromResult((yield* load(() => import("@headrace/glance/GlanceSource"))).fromUri(uri.uri))
      case "Swift":
        return yield* fromResult((yield* load(() => import("@headrace/swift/SwiftSource"))).fromUri(uri.uri))
      case "S3": {
        const { sourceFrom } = yield* load(() => import("@headrace/s3/S3Uri"))
        const origin = yield* fromResult(sourceFrom(uri.uri))
        const { object } = yield* load(() => import("@headrace/s3/S3Source"))
        return object(AwsEnvironment.into(origin, surroundings.env))
      }
    }
  })

/**
 * The destination that a text names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const destination = (text: string, surroundings: Surroundings = {}): Effect.Effect<AnyStore, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseDestination(text))
    switch (uri._tag) {
      case "File": {
        const { file } = yield* load(() => import("@headrace/fs/FileStore"))
        return file(within(surroundings, uri.path), { uri: uri.uri })
      }
      case "Http":
        return (yield* load(() => import("@headrace/http/HttpStore"))).put({ url: uri.url })
      case "Glance":
        return yield* fromResult((yield* load(() => import("@headrace/glance/GlanceStore"))).fromUri(uri.uri))
      case "Swift":
        return yield* fromResult((yield* load(() => import("@headrace/swift/SwiftStore"))).fromUri(uri.uri))
      case "S3": {
        const { destinationFrom } = yield* load(() => import("@headrace/s3/S3Uri"))
        const place = yield* fromResult(destinationFrom(uri.uri))
        const { object } = yield* load(() => import("@headrace/s3/S3Store"))
        return object(AwsEnvironment.into(place, surroundings.env))
      }
    }
  })

/** As `destination`, but that new images are made by `newImage`. */
const destinationWith = (
  text: string,
  place: number,
  surroundings: Surroundings,
  newImage: NewImage | undefined
): Effect.Effect<AnyStore, EndError> =>
  Effect.gen(function* () {
    if (newImage === undefined || (yield* parsed(() => Uri.parseDestination(text)))._tag !== "Glance") {
      return yield* destination(text, surroundings)
    }
    const { destinationFrom } = yield* load(() => import("@headrace/glance/GlanceUri"))
    const image = yield* fromResult(destinationFrom(text))
    return image.id === undefined ? yield* newImage(image, place) : yield* destination(text, surroundings)
  })

/** A file by its real name: folders, and files themselves, may be links to others. */
const realFile = (path: string): string => {
  try {
    return realpathSync(path)
  } catch {
    try {
      return join(realpathSync(dirname(path)), basename(path))
    } catch {
      return path
    }
  }
}

/** Two destinations with the same one of these are the same place. A new image is another one each time. */
const placeOf = (text: string, store: AnyStore, surroundings: Surroundings): string => {
  const uri = Uri.parseDestination(text)
  switch (uri._tag) {
    case "File":
      return realFile(resolve(within(surroundings, uri.path)))
    case "Http":
      return new URL(uri.url).href
    case "S3":
      return store.uri
    case "Swift":
      return store.uri.split("?", 1)[0]!
    case "Glance":
      return text
  }
}

/**
 * What an upload goes to.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destinations {
  /** Those that must succeed: one at least. */
  readonly to: ReadonlyArray<AnyStore>
  /** Those on best effort. */
  readonly also: ReadonlyArray<AnyStore>
}

/** The source's place, where it is a file. */
const fileOf = (source: string | undefined, surroundings: Surroundings): string | undefined => {
  if (source === undefined) return undefined
  const uri = Uri.parseSource(source)
  return uri._tag === "File" ? realFile(resolve(within(surroundings, uri.path))) : undefined
}

/**
 * The destinations that must succeed and those on best effort. None may be given twice, nor be the file that is the
 * `source`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const destinations = (
  to: ReadonlyArray<string>,
  also: ReadonlyArray<string>,
  surroundings: Surroundings = {},
  source?: string,
  newImage?: NewImage
): Effect.Effect<Destinations, EndError> =>
  Effect.gen(function* () {
    if (to.length === 0) {
      const message = "there is no destination that must succeed"
      return yield* new EndError({ reason: "InvalidUri", uri: "to", message })
    }
    const texts = [...to, ...also]
    const stores = yield* Effect.forEach(texts, (text, place) => destinationWith(text, place, surroundings, newImage))
    const places = new Set<string>()
    const from = yield* parsed(() => fileOf(source, surroundings))
    for (const [index, store] of stores.entries()) {
      const place = placeOf(texts[index]!, store, surroundings)
      if (place === from) {
        const message = "this is the source itself"
        return yield* new EndError({ reason: "InvalidUri", uri: store.uri, message })
      }
      if (places.has(place)) {
        const message = "this destination is given twice; two writers of one object would get in each other's way"
        return yield* new EndError({ reason: "InvalidUri", uri: store.uri, message })
      }
      places.add(place)
    }
    return { to: stores.slice(0, to.length), also: stores.slice(to.length) }
  })

/**
 * A store, for what it can do or for what was left there: a cloud without an image, a bucket or a container without an
 * object, and a folder will do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const store = (text: string, surroundings: Surroundings = {}): Effect.Effect<AnyStore, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseDestination(text))
    switch (uri._tag) {
      case "Glance": {
        if (!/^glance:\/\/[^/?#]+\/?$/i.test(uri.uri)) return yield* destination(text)
        const { image } = yield* load(() => import("@headrace/glance/GlanceStore"))
        const GlanceUri = yield* load(() => import("@headrace/glance/GlanceUri"))
        // Any image will do to read the cloud's name as everywhere else.
        const { cloud } = yield* fromResult(GlanceUri.destinationFrom(`${uri.uri.replace(/\/$/, "")}/any`))
        return image({ cloud, uri: uri.uri })
      }
      case "Swift": {
        const { containerFrom } = yield* load(() => import("@headrace/swift/SwiftUri"))
        const found = yield* fromResult(containerFrom(uri.uri))
        if (found === undefined) return yield* destination(text)
        return (yield* load(() => import("@headrace/swift/SwiftStore"))).container(found)
      }
      case "S3": {
        const { bucketFrom } = yield* load(() => import("@headrace/s3/S3Uri"))
        const found = yield* fromResult(bucketFrom(uri.uri))
        if (found === undefined) return yield* destination(text, surroundings)
        const { bucket } = yield* load(() => import("@headrace/s3/S3Store"))
        return bucket(AwsEnvironment.into(found, surroundings.env))
      }
      default:
        return yield* destination(text, surroundings)
    }
  })
