/**
 * Swift as a store: one object, written as one body, or as segments and a manifest (a static large object).
 *
 * Up to `segmentSize` an object whose size is known is one PUT, and its MD5 is compared. What is larger, or of unknown
 * size, is sent as segments, several at a time; an upload of segments can be gone on with.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import { formatBytes } from "@headrace/core/Quantity"
import type { Capabilities, Content, Plan, Session, Store } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Api from "./internal/api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Limits from "./internal/limits.ts"
import * as Names from "./internal/names.ts"
import * as Objects from "./internal/objects.ts"
import type { Target } from "./internal/place.ts"
import * as Platform from "./internal/platform.ts"
import * as Segments from "./internal/segments.ts"
import * as Uploads from "./internal/uploads.ts"
import * as Whole from "./internal/whole.ts"
import * as SwiftAccess from "./SwiftAccess.ts"
import * as SwiftUri from "./SwiftUri.ts"

/**
 * What an object is to be.
 *
 * @since 0.1.0
 * @category models
 */
export interface ObjectOptions {
  /** Made when there is none. */
  readonly container: string
  /** Slashes and all; up to 1024 bytes. */
  readonly object: string
  /**
   * Bytes: larger objects are cut into segments of so many, or of more where there would be too many (1000, unless the
   * service says otherwise). Left out: objects above 1 GiB, into segments of 32 MiB.
   */
  readonly segmentSize?: number | undefined
  /** Where segments go (`CONTAINER_segments`). Made when there is none. */
  readonly segmentContainer?: string | undefined
  /** `Content-Type` (`application/octet-stream`). */
  readonly contentType?: string | undefined
  /** How the destination is called in receipts and errors. */
  readonly uri?: string | undefined
}

const mib = 1024 * 1024

/** Up to here one PUT, whose MD5 proves the whole: a large object has no digest. */
const wholeBytes = 1024 * mib

/** In the memory that a transfer has by default one is on its way while most of the next is collected. */
const segmentBytes = 32 * mib

const uriOf = (options: SwiftAccess.Place & ObjectOptions): string => {
  const { container, object } = options
  return options.uri ?? `swift://${SwiftAccess.nameOf(options)}${Names.pathOf(container, object)}`
}

const bytesOf = (text: string): number => Platform.utf8(text).byteLength

interface Prepared {
  readonly target: Target
  /** Absent: as one body. */
  readonly cut: Segments.Cut | undefined
}

const checkNames = ({ container, object }: ObjectOptions, segmentContainer: string, limits: Limits.Limits) => {
  for (const name of [container, segmentContainer]) {
    if (name === "" || name.includes("/") || bytesOf(name) > 256) {
      return Fault.make("InvalidUri", `"${name}" is no container's name: 1 to 256 bytes, without a slash`)
    }
  }
  const unreachable = Names.unreachable(object)
  if (unreachable !== undefined) return Fault.make("InvalidUri", unreachable)
  const length = bytesOf(object)
  return length === 0 || length > limits.maxNameBytes
    ? Fault.make("InvalidUri", `an object's name has 1 to ${limits.maxNameBytes} bytes, this one has ${length}`)
    : undefined
}

const cutOf = (
  options: ObjectOptions,
  limits: Limits.Limits,
  size: number | undefined
): Segments.Cut | Fault.Fault | undefined => {
  const { object, segmentSize } = options
  const { maxBytes, slo } = limits
  if (segmentSize !== undefined && (!Number.isSafeInteger(segmentSize) || segmentSize < 1 || segmentSize > maxBytes)) {
    return Fault.make("InvalidConfig", `segments have 1 to ${maxBytes} bytes, not ${segmentSize}`)
  }
  if (slo === undefined) {
    return size === undefined || size <= maxBytes
      ? undefined
      : Fault.make("TooLarge", `an object has at most ${maxBytes} bytes, and this service has no large objects`)
  }
  if (size !== undefined && size <= Math.min(segmentSize ?? wholeBytes, maxBytes)) return undefined
  if (segmentSize !== undefined && segmentSize < slo.minBytes) {
    return Fault.make("InvalidConfig", `segments have at least ${slo.minBytes} bytes here, not ${segmentSize}`)
  }
  if (size !== undefined && size > maxBytes * slo.maxSegments) {
    return Fault.make("TooLarge", `an object has at most ${slo.maxSegments} segments of ${maxBytes} bytes`)
  }
  if (bytesOf(object) + Names.suffixBytes > limits.maxNameBytes) {
    const most = limits.maxNameBytes - Names.suffixBytes
    return Fault.make("InvalidUri", `the name of an object in segments has at most ${most} bytes`)
  }
  const preferredBytes = Math.max(Math.min(segmentSize ?? segmentBytes, maxBytes), slo.minBytes)
  return { minBytes: slo.minBytes, maxBytes, maxSegments: slo.maxSegments, preferredBytes }
}

interface Signed {
  readonly api: Api.Api
  readonly limits: Limits.Limits
}

const capabilitiesOf = (options: Partial<ObjectOptions>, { api, limits }: Signed): Capabilities => {
  const { slo } = limits
  const learnt = limits.told ? "probed" : "assumed"
  return {
    shape: slo === undefined ? "whole" : "parts",
    maxObjectBytes: slo === undefined ? limits.maxBytes : limits.maxBytes * slo.maxSegments,
    reports: ["md5"],
    rangedRead: true,
    needsSize: false,
    sharedMemory: true,
    ...(slo === undefined
      ? undefined
      : {
          parts: {
            minBytes: slo.minBytes,
            maxBytes: limits.maxBytes,
            maxParts: slo.maxSegments,
            preferredBytes: options.segmentSize ?? segmentBytes
          }
        }),
    checks: { whole: ["md5"], part: slo === undefined ? [] : ["md5"] },
    conditionalCreate: false,
    serverSideCopy: false,
    unfinished: { list: slo !== undefined, abort: slo !== undefined, resume: slo !== undefined },
    places: [],
    learnt: {
      shape: learnt,
      maxObjectBytes: learnt,
      parts: learnt,
      reports: "profile",
      checks: "profile",
      rangedRead: "profile",
      unfinished: "configured",
      sharedMemory: "configured"
    },
    details: {
      endpoint: api.access.base,
      version: limits.version ?? "not told",
      "bulk delete": limits.bulkDelete === undefined ? "no" : `${limits.bulkDelete} objects at once`
    }
  }
}

const signInTo = (place: SwiftAccess.Place): Effect.Effect<Signed, Fault.Fault, Transport | Host> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const access = yield* Effect.mapError(SwiftAccess.of(place), Fault.fromKeystone)
    const api = Api.make(access, transport)
    return { api, limits: yield* Limits.of(api) }
  })

/**
 * An object of a cloud as a destination.
 *
 * Fails before the first byte with `InvalidUri`, `InvalidConfig` or `TooLarge` where it can be known by then.
 *
 * @since 0.1.0
 * @category constructors
 */
export const object = (options: SwiftAccess.Place & ObjectOptions): Store<Transport | Host> => {
  const uri = uriOf(options)
  const { container, contentType = "application/octet-stream", object } = options
  const segmentContainer = options.segmentContainer ?? `${container}_segments`
  const spot: Uploads.Spot = { container, object, segmentContainer, uri }

  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))

  const signIn = Effect.flatMap(
    signInTo(options),
    (signed): Effect.Effect<Signed, Fault.Fault> =>
      checkNames(options, segmentContainer, signed.limits) ?? Effect.succeed(signed)
  )

  const prepare = (content: Content): Effect.Effect<Prepared, Fault.Fault, Transport | Host> =>
    Effect.gen(function* () {
      const { api, limits } = yield* signIn
      const cut = cutOf(options, limits, content.size)
      if (cut instanceof Fault.Fault) return yield* cut
      const before = yield* Objects.look(api, container, object)
      // Of a container that holds an object only the segments' one wants to know more.
      const policy = before !== undefined && cut === undefined ? "" : yield* Objects.policyOf(api, container)
      return { target: { ...spot, api, limits, contentType, before, policy }, cut }
    })

  const open = (content: Content): Effect.Effect<Session, StoreError.StoreError, Transport | Host> =>
    asStoreError(
      Effect.map(prepare(content), ({ cut, target }) =>
        cut === undefined ? Whole.make(target, content) : Segments.make(target, content, cut)
      )
    )

  const plan = (content: Content): Effect.Effect<Plan, StoreError.StoreError, Transport | Host> =>
    asStoreError(
      Effect.map(prepare(content), ({ cut, target: { before, policy } }) => {
        const how = cut === undefined ? "as one body" : `in segments, in the container "${segmentContainer}"`
        const container_ = policy === undefined ? `; the container "${container}" is made` : ""
        const { size } = before ?? {}
        const whatever = size === undefined ? "an object" : `an object of ${formatBytes(size)}`
        return {
          action: "create",
          why: `${before === undefined ? "a new object" : `replaces ${whatever}`}, ${how}${container_}`
        }
      })
    )

  const capabilities = asStoreError(Effect.map(signIn, (found) => capabilitiesOf(options, found)))

  return {
    uri,
    capabilities,
    plan,
    open,
    unfinished: Stream.unwrap(
      Effect.map(asStoreError(Effect.flatMap(signIn, ({ api }) => Uploads.unfinished(api, spot))), Stream.fromIterable)
    ),
    abort: (token) => asStoreError(Effect.flatMap(signIn, ({ api, limits }) => Uploads.abort(api, limits, spot, token)))
  }
}

/**
 * A container, for what its service can do and for the uploads of segments that were left of its objects. Nothing is
 * written to it: who wants to gets `InvalidUri`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const container = (
  options: SwiftAccess.Place & Pick<ObjectOptions, "container" | "segmentContainer" | "uri">
): Store<Transport | Host> => {
  const { container } = options
  const segmentContainer = options.segmentContainer ?? `${container}_segments`
  const parent = `swift://${SwiftAccess.nameOf(options)}${Names.pathOf(container)}`
  const uri = options.uri ?? parent
  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))
  const signIn = signInTo(options)
  const noObject = asStoreError(
    Effect.fail(Fault.make("InvalidUri", "the object is missing: swift://CLOUD/CONTAINER/OBJECT"))
  )
  const place = { container, segmentContainer }
  return {
    uri,
    capabilities: asStoreError(Effect.map(signIn, (signed) => capabilitiesOf({}, signed))),
    plan: () => noObject,
    open: () => noObject,
    unfinished: Stream.unwrap(
      Effect.map(
        asStoreError(
          Effect.flatMap(signIn, ({ api }) =>
            Uploads.unfinishedOfAll(api, place, (object) => `${parent}/${Names.encode(object)}`)
          )
        ),
        Stream.fromIterable
      )
    ),
    abort: (token) =>
      asStoreError(
        Effect.gen(function* () {
          const object = Names.objectOfToken(segmentContainer, token)
          if (object === undefined) {
            return yield* Fault.make("InvalidConfig", `"${token}" is no upload of segments in "${segmentContainer}"`)
          }
          const { api, limits } = yield* signIn
          return yield* Uploads.abort(api, limits, { ...place, object, uri }, token)
        })
      )
  }
}

/**
 * The destination that a `swift://CLOUD/CONTAINER/OBJECT?…` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Store<Transport | Host>, SwiftUri.SwiftUriError> =>
  Result.map(SwiftUri.destinationFrom(uri), object)
