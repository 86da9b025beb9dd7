/**
 * `swift://CLOUD/CONTAINER/OBJECT?…`, as people type it, for an object as a destination and as a source. OBJECT may have
 * slashes. Percent-decoded, the path by segment and the query by pair; a `+` is a plus. What is not known is an error
 * that lists what is.
 *
 * @since 0.1.0
 */
import { parseSize } from "@headrace/core/Quantity"
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A URI that cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class SwiftUriError extends Data.TaggedError("SwiftUriError")<{
  readonly reason: "InvalidUri"
  /** The URI as it may be shown. */
  readonly uri: string
  readonly message: string
}> {}

/**
 * An object to read from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Origin {
  /** The URI as it may be shown. */
  readonly uri: string
  readonly cloud: string
  readonly container: string
  readonly object: string
}

/**
 * An object to write.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destination extends Origin {
  /** Bytes. */
  readonly segmentSize?: number
  readonly segmentContainer?: string
  readonly contentType?: string
}

/**
 * A container.
 *
 * @since 0.1.0
 * @category models
 */
export type Container = Omit<Destination, "object" | "segmentSize" | "contentType">

const known: Readonly<Record<"destination" | "source", ReadonlyArray<string>>> = {
  destination: ["segment_size", "segment_container", "content_type"],
  source: []
}

const scheme = /^swift:\/\//i

class Bad extends Data.TaggedError("Bad")<{ readonly why: string }> {}

const bad = (why: string): never => {
  throw new Bad({ why })
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return bad("it is not percent-encoded UTF-8; a % is written as %25")
  }
}

/** Without a name and password that somebody wrote before the cloud, and without values that nobody knows here. */
const show = (uri: string): string =>
  uri
    .replace(/^([^/]*:\/\/)[^/?#]*@/, "$1")
    .replace(/([?&])([^=&#]*)=[^&#]+/g, (pair, mark: string, key: string) =>
      known.destination.includes(key) ? pair : `${mark}${key}=…`
    )

const split = (uri: string, end: "destination" | "source") => {
  if (!scheme.test(uri)) return bad("an object is written swift://CLOUD/CONTAINER/OBJECT")
  if (uri.includes("#")) return bad("a # in a name is written as %23")
  const rest = uri.replace(scheme, "")
  const mark = rest.indexOf("?")
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? "" : rest.slice(mark + 1)
  const [authority = "", first, ...segments] = path.split("/")
  if (authority.includes("@"))
    return bad("a cloud is named, without user and password; these are in clouds.yaml or OS_*")
  const cloud = decode(authority)
  if (cloud === "") return bad("the cloud is missing: swift://CLOUD/CONTAINER/OBJECT")
  const container = decode(first ?? "")
  if (container === "") return bad("the container is missing: swift://CLOUD/CONTAINER/OBJECT")
  if (container.includes("/")) return bad("a container's name has no slash")
  const object = segments.map(decode).join("/")
  const pairs = new Map<string, string>()
  for (const pair of query.split("&")) {
    if (pair === "") continue
    const at = pair.indexOf("=")
    const key = decode(at < 0 ? pair : pair.slice(0, at))
    if (!known[end].includes(key)) {
      const list = known[end].length === 0 ? "there are none" : `known are ${known[end].join(", ")}`
      return bad(`unknown parameter "${key}" of a ${end}: ${list}`)
    }
    if (pairs.has(key)) return bad(`${key} is given twice`)
    const value = at < 0 ? "" : decode(pair.slice(at + 1))
    if (value === "") return bad(`${key} is empty`)
    pairs.set(key, value)
  }
  return { origin: { uri: show(uri), cloud, container, object } satisfies Origin, pairs }
}

const noObject = "the object is missing: swift://CLOUD/CONTAINER/OBJECT"

const destination = (uri: string): Destination => {
  const { origin, pairs } = split(uri, "destination")
  if (origin.object === "") return bad(noObject)
  const written = pairs.get("segment_size")
  const size = written === undefined ? undefined : parseSize(written)
  if (size !== undefined && (size._tag === "Failure" || size.success < 1)) {
    return bad(`segment_size is "${written}"; allowed: a size from 1 byte, such as 64MiB`)
  }
  const segmentContainer = pairs.get("segment_container")
  if (segmentContainer?.includes("/") === true) return bad("segment_container has no slash")
  const contentType = pairs.get("content_type")
  return {
    ...origin,
    ...(size?._tag === "Success" ? { segmentSize: size.success } : undefined),
    ...(segmentContainer === undefined ? undefined : { segmentContainer }),
    ...(contentType === undefined ? undefined : { contentType })
  }
}

const parse = <A>(uri: string, read: (uri: string) => A): Result.Result<A, SwiftUriError> => {
  try {
    return Result.succeed(read(uri))
  } catch (error) {
    if (!(error instanceof Bad)) throw error
    return Result.fail(new SwiftUriError({ reason: "InvalidUri", uri: show(uri), message: error.why }))
  }
}

/**
 * Reads a destination.
 *
 * @since 0.1.0
 * @category parsing
 */
export const destinationFrom = (uri: string): Result.Result<Destination, SwiftUriError> => parse(uri, destination)

/**
 * Reads a source.
 *
 * @since 0.1.0
 * @category parsing
 */
export const sourceFrom = (uri: string): Result.Result<Origin, SwiftUriError> =>
  parse(uri, (text) => {
    const { origin } = split(text, "source")
    return origin.object === "" ? bad(noObject) : origin
  })

/**
 * Reads a container, `swift://CLOUD/CONTAINER`: options for `SwiftStore.container`. Nothing where an object is named.
 *
 * @since 0.1.0
 * @category parsing
 */
export const containerFrom = (uri: string): Result.Result<Container | undefined, SwiftUriError> =>
  parse(uri, (text) => {
    const { origin, pairs } = split(text, "destination")
    if (origin.object !== "") return undefined
    const { cloud, container } = origin
    const segmentContainer = pairs.get("segment_container")
    const shown = origin.uri.replace(/\/?(?=\?|$)/, "")
    return { uri: shown, cloud, container, ...(segmentContainer === undefined ? undefined : { segmentContainer }) }
  })
