/**
 * `glance://CLOUD/IMAGE?…`, as people type it, for an image as a destination and as a source. Percent-decoded, the
 * path by segment and the query by pair; a `+` is a plus. What is not known is an error that lists what is.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import { attributeNames } from "./internal/attributeNames.ts"

/**
 * A URI that is wrong.
 *
 * @since 0.1.0
 * @category errors
 */
export class GlanceUriError extends Data.TaggedError("GlanceUriError")<{
  readonly reason: "InvalidUri"
  /** The URI as it may be shown. */
  readonly uri: string
  readonly message: string
}> {}

/**
 * Who may see an image.
 *
 * @since 0.1.0
 * @category models
 */
export type Visibility = "public" | "private" | "shared" | "community"

/**
 * An image to write to. With `id` it exists and is queued; without, it is made, with the id `newId` if there is one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destination {
  /** The URI as it may be shown. */
  readonly uri: string
  readonly cloud: string
  readonly id?: string
  readonly newId?: string
  readonly name?: string
  /** Several in the order in which they are named: the bytes go to the first, the service brings them to the others. */
  readonly store?: string | ReadonlyArray<string>
  readonly diskFormat?: string
  readonly containerFormat?: string
  readonly visibility?: Visibility
  readonly protected?: boolean
  readonly hidden?: boolean
  /** GiB. */
  readonly minDisk?: number
  /** MiB. */
  readonly minRam?: number
  readonly tags?: ReadonlyArray<string>
  readonly properties?: Readonly<Record<string, string>>
}

/**
 * An image to read from.
 *
 * @since 0.1.0
 * @category models
 */
export interface Origin {
  /** The URI as it may be shown. */
  readonly uri: string
  readonly cloud: string
  readonly image: { readonly id: string } | { readonly name: string }
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/**
 * Whether Glance takes a word as an image's id.
 *
 * @since 0.1.0
 * @category guards
 */
export const isId = (word: string): boolean => /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(word)

const visibilities: ReadonlyArray<string> = ["public", "private", "shared", "community"]

const known = {
  destination:
    "store, disk_format, container_format, visibility, protected, min_disk, min_ram, tag, hidden, id, name, property.KEY",
  source: "name"
}

interface Parts {
  /** As it may be shown: without a name and password that somebody wrote before the cloud. */
  readonly uri: string
  readonly cloud: string
  readonly image: string | undefined
  readonly pairs: ReadonlyArray<readonly [key: string, value: string]>
}

const scheme = /^glance:\/\//i

class Bad extends Data.TaggedError("Bad")<{ readonly why: string }> {}

const bad = (why: string): never => {
  throw new Bad({ why })
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return bad(`"${text}" is not percent-encoded UTF-8; a % is written as %25`)
  }
}

/** The URI as it may be shown. */
const show = (uri: string): string => uri.replace(/^([^/]*:\/\/)[^/?#]*@/, "$1")

const isKnown = (key: string): boolean => key.startsWith("property.") || known.destination.split(", ").includes(key)

/** A URI that is wrong: the value of what nobody knows here may be a password, meant for somebody else. */
const showWrong = (uri: string): string =>
  show(uri).replace(/([?&])([^=&]*)=[^&]+/g, (pair, mark: string, key: string) =>
    isKnown(key) ? pair : `${mark}${key}=…`
  )

const split = (uri: string): Parts => {
  if (!scheme.test(uri)) return bad("an image is written glance://CLOUD/IMAGE")
  if (uri.includes("#")) return bad("a # in a name is written as %23")
  const rest = uri.replace(scheme, "")
  const mark = rest.indexOf("?")
  const path = mark < 0 ? rest : rest.slice(0, mark)
  const query = mark < 0 ? "" : rest.slice(mark + 1)
  const [authority = "", ...segments] = path.split("/")
  if (authority.includes("@"))
    return bad("a cloud is named, without user and password; these are in clouds.yaml or OS_*")
  const cloud = decode(authority)
  if (cloud === "") return bad("the cloud is missing: glance://CLOUD/IMAGE")
  if (segments.length > 1) return bad("an image is one segment; a / in its name is written as %2F")
  const pairs = query
    .split("&")
    .filter((pair) => pair !== "")
    .map((pair) => {
      const at = pair.indexOf("=")
      return at < 0
        ? bad(`"${decode(pair)}" has no value`)
        : ([decode(pair.slice(0, at)), decode(pair.slice(at + 1))] as const)
    })
  const image = decode(segments[0] ?? "")
  return { uri: show(uri), cloud, image: image === "" ? undefined : image, pairs }
}

const unknown = (key: string, end: keyof typeof known): never =>
  bad(`unknown parameter "${key}"; known for a ${end}: ${known[end]}`)

const boolean = (key: string, value: string): boolean =>
  value === "true" ? true : value === "false" ? false : bad(`${key} is "${value}"; allowed: true, false`)

const whole = (key: string, value: string, unit: string): number => {
  const number = Number(value)
  return /^\d+$/.test(value) && number <= 2_147_483_647
    ? number
    : bad(`${key} is "${value}"; allowed: a whole number of ${unit}, from 0`)
}

const word = (key: string, value: string): string => (value === "" ? bad(`${key} is empty`) : value)

const imageName = (value: string): string =>
  value.length > 255 ? bad("an image's name has at most 255 characters") : word("name", value)

const repeatable: ReadonlySet<string> = new Set(["store", "tag"])

const destination = (parts: Parts): Destination => {
  const given = new Set<string>()
  const options: Mutable<Destination> = { uri: parts.uri, cloud: parts.cloud }
  const tags: Array<string> = []
  const stores: Array<string> = []
  const properties: Record<string, string> = {}
  for (const [key, value] of parts.pairs) {
    if (!repeatable.has(key) && given.has(key)) return bad(`${key} is given twice`)
    given.add(key)
    switch (key) {
      case "store":
        if (stores.includes(value)) bad(`the store "${value}" is named twice`)
        stores.push(word(key, value))
        break
      case "disk_format":
        options.diskFormat = word(key, value)
        break
      case "container_format":
        options.containerFormat = word(key, value)
        break
      case "visibility":
        if (!visibilities.includes(value)) bad(`visibility is "${value}"; allowed: ${visibilities.join(", ")}`)
        options.visibility = value as Visibility
        break
      case "protected":
        options.protected = boolean(key, value)
        break
      case "hidden":
        options.hidden = boolean(key, value)
        break
      case "min_disk":
        options.minDisk = whole(key, value, "GiB")
        break
      case "min_ram":
        options.minRam = whole(key, value, "MiB")
        break
      case "tag":
        if (value.length > 255) bad("a tag has at most 255 characters")
        if (!tags.includes(value)) tags.push(word(key, value))
        break
      case "id":
        if (!isId(value)) bad(`id is "${value}"; allowed: a UUID`)
        options.newId = value
        break
      case "name":
        options.name = imageName(value)
        break
      default: {
        if (!key.startsWith("property.")) return unknown(key, "destination")
        const name = key.slice("property.".length)
        if (name === "" || name.length > 255) bad("a property's name has 1 to 255 characters: property.KEY=VALUE")
        if (attributeNames.has(name)) bad(`"${name}" is an attribute of every image, not a property`)
        if (name.startsWith("os_glance")) bad(`properties that begin with os_glance are the service's own`)
        properties[name] = value
      }
    }
  }
  if (stores.length > 0) options.store = stores.length === 1 ? stores[0]! : stores
  if (tags.length > 0) options.tags = tags
  if (Object.keys(properties).length > 0) options.properties = properties
  if (parts.image === undefined) {
    if (options.name === undefined) bad("the image's name is missing: glance://CLOUD/IMAGE")
  } else if (isId(parts.image)) {
    if (options.newId !== undefined) {
      bad("a UUID in the path is an existing image; for a new one with a preset id give its name in the path")
    }
    options.id = parts.image
  } else {
    if (options.name !== undefined) bad("the name is given twice, in the path and as a parameter")
    options.name = imageName(parts.image)
  }
  return options
}

const origin = (parts: Parts): Origin => {
  let name: string | undefined
  for (const [key, value] of parts.pairs) {
    if (key !== "name") return unknown(key, "source")
    if (name !== undefined) return bad("name is given twice")
    name = word(key, value)
  }
  const { cloud, image, uri } = parts
  if (image !== undefined && name !== undefined) return bad("the name is given twice, in the path and as a parameter")
  if (name !== undefined) return { uri, cloud, image: { name } }
  if (image === undefined) return bad("the image is missing: glance://CLOUD/IMAGE")
  return { uri, cloud, image: isId(image) ? { id: image } : { name: image } }
}

const parse = <A>(uri: string, read: (parts: Parts) => A): Result.Result<A, GlanceUriError> => {
  try {
    return Result.succeed(read(split(uri)))
  } catch (error) {
    if (!(error instanceof Bad)) throw error
    return Result.fail(new GlanceUriError({ reason: "InvalidUri", uri: showWrong(uri), message: error.why }))
  }
}

/**
 * Reads a destination. A UUID in the path is an existing image's id; any other word is the name of a new one.
 *
 * @since 0.1.0
 * @category parsing
 */
export const destinationFrom = (uri: string): Result.Result<Destination, GlanceUriError> => parse(uri, destination)

/**
 * Reads a source. A UUID in the path is an image's id; for a name that looks like one: `glance://CLOUD?name=…`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const sourceFrom = (uri: string): Result.Result<Origin, GlanceUriError> => parse(uri, origin)
