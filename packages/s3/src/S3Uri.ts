/**
 * `s3://BUCKET/KEY?…`, as people type it, for an object as a destination and as a source. Percent-decoded, the path by
 * segment and the query by pair; a `+` is a plus. What is not known is an error that lists what is, and never repeats a
 * value.
 *
 * @since 0.1.0
 */
import * as Quantity from "@headrace/core/Quantity"
import * as Data from "effect/Data"
import * as Result from "effect/Result"

/**
 * A URI that cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class S3UriError extends Data.TaggedError("S3UriError")<{
  readonly reason: "InvalidUri"
  /** The URI as it may be shown: without its query. */
  readonly uri: string
  readonly message: string
}> {}

/**
 * An object to read.
 *
 * @since 0.1.0
 * @category models
 */
export interface Origin {
  readonly bucket: string
  readonly key: string
  readonly endpoint?: string
  readonly region?: string
  readonly profile?: string
}

/**
 * An object to write.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destination extends Origin {
  /** Bytes. */
  readonly partSize?: number
  readonly storageClass?: string
  readonly ifNoneMatch?: boolean
}

/**
 * A bucket, or what is in it under a prefix.
 *
 * @since 0.1.0
 * @category models
 */
export interface Bucket extends Omit<Origin, "key"> {
  /** Ends with a slash. */
  readonly prefix?: string
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

const known = {
  destination: ["endpoint", "region", "profile", "part_size", "storage_class", "if_none_match"],
  source: ["endpoint", "region", "profile"]
} as const

const scheme = /^s3:\/\//i

class Bad extends Data.TaggedError("Bad")<{ readonly why: string }> {}

const bad = (why: string): never => {
  throw new Bad({ why })
}

const decode = (text: string, what: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return bad(`${what} is not percent-encoded UTF-8; a % is written as %25`)
  }
}

interface Parts {
  readonly bucket: string
  readonly key: string
  readonly pairs: ReadonlyArray<readonly [name: string, value: string]>
}

const split = (uri: string): Parts => {
  if (!scheme.test(uri)) return bad("an object is written s3://BUCKET/KEY")
  if (uri.includes("#")) return bad("a # in a key is written as %23")
  const rest = uri.replace(scheme, "")
  const mark = rest.indexOf("?")
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? "" : rest.slice(mark + 1)
  const [authority = "", ...segments] = path.split("/")
  if (authority.includes("@")) return bad("a bucket is named without keys; these are in AWS_* or in a profile")
  const bucket = decode(authority, "the bucket")
  if (bucket === "" || bucket.includes("/")) return bad("the bucket is missing: s3://BUCKET/KEY")
  const key = segments.map((segment) => decode(segment, "the key")).join("/")
  const pairs = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=")
      const name = decode(at < 0 ? pair : pair.slice(0, at), "a parameter's name")
      return at < 0 ? bad(`"${name}" has no value`) : ([name, decode(pair.slice(at + 1), name)] as const)
    })
  return { bucket, key, pairs }
}

const endpoint = (value: string): string => {
  const url = URL.canParse(value) ? new URL(value) : undefined
  if (url === undefined || (url.protocol !== "http:" && url.protocol !== "https:")) {
    return bad("endpoint is no http:// or https:// URL")
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    return bad("endpoint has a user, a query or a fragment, which it cannot have")
  }
  return value
}

const partSize = (value: string): number => {
  const size = Quantity.parseSize(value)
  return Result.isSuccess(size) ? size.success : bad("part_size is no size; as in part_size=64MiB")
}

const boolean = (name: string, value: string): boolean =>
  value === "true" ? true : value === "false" ? false : bad(`${name} is true or false`)

const word = (name: string, value: string): string => (value === "" ? bad(`${name} is empty`) : value)

const read = (end: keyof typeof known, { bucket, key, pairs }: Parts): Destination => {
  if (key === "") return bad("the object's key is missing: s3://BUCKET/KEY")
  return settings(end, { bucket, key, pairs })
}

const settings = (end: keyof typeof known, { bucket, key, pairs }: Parts): Destination => {
  const found: Mutable<Destination> = { bucket, key }
  const given = new Set<string>()
  const names: ReadonlyArray<string> = known[end]
  for (const [name, value] of pairs) {
    if (!names.includes(name)) {
      return bad(`unknown parameter "${name.slice(0, 40)}"; known for a ${end}: ${names.join(", ")}`)
    }
    if (given.has(name)) return bad(`${name} is given twice`)
    given.add(name)
    switch (name) {
      case "endpoint":
        found.endpoint = endpoint(value)
        break
      case "region":
        found.region = word(name, value)
        break
      case "profile":
        found.profile = word(name, value)
        break
      case "part_size":
        found.partSize = partSize(value)
        break
      case "storage_class":
        found.storageClass = word(name, value)
        break
      default:
        found.ifNoneMatch = boolean(name, value)
    }
  }
  return found
}

/** A query may hold what is meant for somebody else, and a user before the bucket is a key. */
const show = (uri: string): string => uri.replace(/^([^/]*:\/\/)[^/?#]*@/, "$1").replace(/[?#].*$/s, "")

const parse = <A>(uri: string, from: (parts: Parts) => A): Result.Result<A, S3UriError> => {
  try {
    return Result.succeed(from(split(uri)))
  } catch (error) {
    if (!(error instanceof Bad)) throw error
    return Result.fail(new S3UriError({ reason: "InvalidUri", uri: show(uri), message: error.why }))
  }
}

/**
 * Reads a destination: options for `S3Store.object`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const destinationFrom = (uri: string): Result.Result<Destination, S3UriError> =>
  parse(uri, (parts) => read("destination", parts))

/**
 * Reads a source: options for `S3Source.object`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const sourceFrom = (uri: string): Result.Result<Origin, S3UriError> =>
  parse(uri, (parts) => read("source", parts))

/**
 * Reads a bucket, `s3://BUCKET`, or a prefix in it that ends with a slash: options for `S3Store.bucket`. Nothing where
 * an object is named.
 *
 * @since 0.1.0
 * @category parsing
 */
export const bucketFrom = (uri: string): Result.Result<Bucket | undefined, S3UriError> =>
  parse(uri, (parts) => {
    if (parts.key !== "" && !parts.key.endsWith("/")) return undefined
    const { key, ...bucket } = settings("source", parts)
    return key === "" ? bucket : { ...bucket, prefix: key }
  })
