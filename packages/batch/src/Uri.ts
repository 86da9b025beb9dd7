/**
 * What people write for a source or a destination, sorted by its scheme. A text without a known `scheme://` is a path,
 * taken as it is; a URI is percent-decoded. Nothing is opened or asked here.
 *
 * @since 0.1.0
 */
import { fileURLToPath } from "node:url"

/**
 * A URI that cannot be used.
 *
 * @since 0.1.0
 * @category errors
 */
export class UriError extends Error {
  override readonly name = "UriError"
  readonly reason: "InvalidUri"
  /** The URI without secrets. */
  readonly uri: string

  constructor(reason: "InvalidUri", uri: string, message: string) {
    super(message)
    this.reason = reason
    this.uri = uri
  }
}

/**
 * Where bytes come from.
 *
 * @since 0.1.0
 * @category models
 */
export type SourceUri =
  | { readonly _tag: "Stdin" }
  | { readonly _tag: "File"; readonly path: string; readonly uri: string }
  | { readonly _tag: "Http"; readonly url: string }
  | { readonly _tag: "Glance" | "S3" | "Swift"; readonly uri: string }

/**
 * Where bytes go to.
 *
 * @since 0.1.0
 * @category models
 */
export type DestinationUri = Exclude<SourceUri, { readonly _tag: "Stdin" }>

const schemePattern = /^([A-Za-z][A-Za-z0-9+.-]*):\/\//

const ownQuery = new Set(["glance", "s3", "swift", "file"])

const schemeOf = (text: string): string | undefined => schemePattern.exec(text)?.[1]?.toLowerCase()

/**
 * The URI as it may be shown: without a user's name and password, and without the query where it may be a signature or
 * a token, which is everywhere but at the ends whose parameters are ours.
 *
 * @since 0.1.0
 * @category conversions
 */
export const shown = (text: string): string => {
  const scheme = schemeOf(text)
  if (scheme === undefined) return text
  const authority = text.slice(scheme.length + 3).split(/[/?#]/, 1)[0]!
  const at = authority.lastIndexOf("@")
  const clean = at < 0 ? text : `${scheme}://${text.slice(scheme.length + 3 + at + 1)}`
  return ownQuery.has(scheme) ? clean : clean.split(/[?#]/, 1)[0]!
}

const filePath = (text: string): string => {
  const fail = (message: string): never => {
    throw new UriError("InvalidUri", shown(text), message)
  }
  // A Node URL drops both silently, and the path would be another one.
  if (text.includes("?")) return fail("a file URI takes no query; write ? in a name as %3F")
  if (text.includes("#")) return fail("a file URI takes no fragment; write # in a name as %23")
  const authority = text.slice("file://".length).split("/", 1)[0]!
  if (authority !== "" && authority !== "localhost") {
    return fail(`a file URI is file:///PATH, with three slashes; "${authority}" stands where a host would`)
  }
  if (/%2f/i.test(text)) return fail("%2F cannot be part of a file's name")
  if (/%00/.test(text)) return fail("%00 cannot be part of a file's name")
  try {
    return fileURLToPath(text)
  } catch {
    return fail("this is not a file URI: a % is written as %25")
  }
}

const objects = "glance://CLOUD/IMAGE, s3://BUCKET/KEY, swift://CLOUD/CONTAINER/OBJECT"
const known = {
  source: `PATH, -, file:///…, http://…, https://…, ${objects}`,
  destination: `PATH, file:///…, http://…, https://…, ${objects}`
} as const

const parse = (text: string, end: keyof typeof known): DestinationUri => {
  if (text === "") throw new UriError("InvalidUri", '""', `the ${end} is empty; known: ${known[end]}`)
  if (text.includes("\0")) throw new UriError("InvalidUri", end, "a path cannot contain a zero byte")
  const scheme = schemeOf(text)
  switch (scheme) {
    case undefined:
      return { _tag: "File", path: text, uri: text }
    case "file":
      return { _tag: "File", path: filePath(text), uri: text }
    case "http":
    case "https":
      if (!URL.canParse(text)) throw new UriError("InvalidUri", shown(text), "this is not a URL")
      return { _tag: "Http", url: text }
    case "glance":
      return { _tag: "Glance", uri: text }
    case "s3":
      return { _tag: "S3", uri: text }
    case "swift":
      return { _tag: "Swift", uri: text }
    default:
      throw new UriError(
        "InvalidUri",
        shown(text),
        `unknown scheme "${scheme}"; known for a ${end}: ${known[end]} (a path with :// in it: write ./ before it)`
      )
  }
}

/**
 * Sorts a source. Throws `UriError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parseSource = (text: string): SourceUri => (text === "-" ? { _tag: "Stdin" } : parse(text, "source"))

/**
 * Sorts a destination. Throws `UriError`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const parseDestination = (text: string): DestinationUri => {
  if (text === "-") {
    throw new UriError("InvalidUri", "-", `standard output cannot be a destination; known: ${known.destination}`)
  }
  return parse(text, "destination")
}
