/**
 * What of an image's metadata a new image in another cloud gets. What only the service sets, and what is true only
 * where the image was, is left out; rules of one's own rename, drop and set further properties.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import { type Description, isProperty } from "@headrace/glance/GlanceImages"
import { isId } from "@headrace/glance/GlanceUri"
import * as KeyPattern from "./internal/keyPattern.ts"

/**
 * Rules for properties, in the order in which they hold: drop, rename, set.
 *
 * @since 0.1.0
 * @category models
 */
export interface Rules {
  /** Keys that are left out; a `*` stands for any text. */
  readonly drop: ReadonlyArray<string>
  /** New keys by old ones; the text of a `*` in the old key goes where the new key has its `*`. */
  readonly rename: Readonly<Record<string, string>>
  /** Properties that each image gets. */
  readonly set: Readonly<Record<string, string>>
}

/**
 * What is wrong with rules.
 *
 * @since 0.1.0
 * @category errors
 */
export class MappingError extends Data.TaggedError("MappingError")<{
  /** `rename.old_*`, `drop[0]`; `rules` for all of them. */
  readonly field: string
  /** What is allowed. */
  readonly message: string
}> {}

/**
 * A property whose value is another image's id.
 *
 * @since 0.1.0
 * @category models
 */
export interface Reference {
  readonly key: string
  readonly id: string
}

/**
 * A property of the source that the new image does not have under that key.
 *
 * @since 0.1.0
 * @category models
 */
export interface Dropped {
  readonly key: string
  /** `default`: no new image gets it; `rule`: it was dropped or renamed by the rules. */
  readonly by: "default" | "rule"
}

/**
 * What a new image gets.
 *
 * @since 0.1.0
 * @category models
 */
export interface Mapped {
  readonly properties: Readonly<Record<string, string>>
  readonly tags: ReadonlyArray<string>
  readonly diskFormat: string | undefined
  readonly containerFormat: string | undefined
  /** GiB. */
  readonly minDisk: number
  /** MiB. */
  readonly minRam: number
  readonly hidden: boolean
  readonly protected: boolean
  readonly visibility: string | undefined
  /** Those of `properties` that have to follow the images that they name. */
  readonly references: ReadonlyArray<Reference>
  readonly dropped: ReadonlyArray<Dropped>
  /** Why a service would not take the properties, each in one line; empty where it would. */
  readonly refused: ReadonlyArray<string>
}

/**
 * No rules.
 *
 * @since 0.1.0
 * @category constructors
 */
export const none: Rules = { drop: [], rename: {}, set: {} }

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const fields = ["rename", "drop", "set"]
const shape = `a JSON object with ${fields.join(", ")}, as {"rename":{"old_*":"new_*"},"drop":["hw_*"],"set":{"key":"value"}}`

const longestKey = 255
/** What the service's database keeps of a value (MySQL's TEXT). */
const longestValue = 65_535

/** As the service counts them: an emoji is one character. */
const characters = (text: string): number => [...text].length

const bytes = (text: string): number => new TextEncoder().encode(text).byteLength

const wrong = (field: string, message: string) => Result.fail(new MappingError({ field, message }))

/**
 * Why a key can be no property's; `undefined` when it can.
 *
 * @since 0.1.0
 * @category guards
 */
export const unusable = (key: string): string | undefined => {
  if (key === "") return "allowed: a key of 1 to 255 characters"
  if (characters(key) > longestKey) return "allowed: a key of 1 to 255 characters"
  if (!isProperty(key))
    return `allowed: keys of properties; "${key}" is an attribute of every image, or the service's own`
  return undefined
}

const drops = (given: unknown): Result.Result<Rules["drop"], MappingError> => {
  if (!Array.isArray(given)) return wrong("drop", 'allowed: a list of keys, as ["hw_*"]')
  for (const [index, key] of given.entries()) {
    if (typeof key !== "string" || key === "") return wrong(`drop[${index}]`, "allowed: a key, in which * is any text")
  }
  return Result.succeed(given as ReadonlyArray<string>)
}

const renames = (given: unknown): Result.Result<Rules["rename"], MappingError> => {
  if (!isRecord(given)) return wrong("rename", 'allowed: an object of keys, as {"old_*":"new_*"}')
  for (const [from, to] of Object.entries(given)) {
    const field = `rename.${from}`
    if (from === "") return wrong("rename", "allowed: keys of 1 to 255 characters, in which * is any text")
    if (typeof to !== "string") return wrong(field, "allowed: the new key, as text")
    const why = unusable(to)
    if (why !== undefined) return wrong(field, why)
    if (KeyPattern.stars(to) > KeyPattern.stars(from)) {
      return wrong(field, `allowed: no more * in the new key than in the old one, which has ${KeyPattern.stars(from)}`)
    }
  }
  return Result.succeed(given as Rules["rename"])
}

const sets = (given: unknown): Result.Result<Rules["set"], MappingError> => {
  if (!isRecord(given)) return wrong("set", 'allowed: an object of texts, as {"key":"value"}')
  for (const [key, value] of Object.entries(given)) {
    const why = unusable(key)
    if (why !== undefined) return wrong(`set.${key}`, why)
    if (key.includes("*")) return wrong(`set.${key}`, "allowed: one key, without *")
    if (typeof value !== "string") return wrong(`set.${key}`, "allowed: a value, as text")
    if (bytes(value) > longestValue) return wrong(`set.${key}`, `allowed: a value of at most ${longestValue} bytes`)
  }
  return Result.succeed(given as Rules["set"])
}

/**
 * Reads rules as a file has them.
 *
 * @since 0.1.0
 * @category parsing
 */
export const decode = (json: unknown): Result.Result<Rules, MappingError> =>
  Result.gen(function* () {
    if (!isRecord(json)) return yield* wrong("rules", `allowed: ${shape}`)
    const unknown = Object.keys(json).find((key) => !fields.includes(key))
    if (unknown !== undefined) return yield* wrong(unknown, `unknown field; known: ${fields.join(", ")}`)
    return {
      drop: yield* drops(json["drop"] ?? []),
      rename: yield* renames(json["rename"] ?? {}),
      set: yield* sets(json["set"] ?? {})
    }
  })

/**
 * Reads the text of a file of rules: one JSON object.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (text: string): Result.Result<Rules, MappingError> => {
  try {
    return decode(JSON.parse(text.replace(/^\uFEFF/, "")))
  } catch {
    return wrong("rules", `this is no JSON; allowed: ${shape}`)
  }
}

/** True only where the image was: where its data is, whose it is, and what its uploader's tools noted. */
const isLocal = (key: string): boolean => key.startsWith("owner_specified.") || key === "validation_data"

/** `kernel_id`, `ramdisk_id`, `base_image_ref`, `image_ref`, `image_id`, and what ends so. */
const refers = /^(?:kernel_id|ramdisk_id|(?:.*_)?image_(?:ref|id|uuid))$/

/**
 * Whether a property's value is the id of another image.
 *
 * @since 0.1.0
 * @category guards
 */
export const isReference = (key: string, value: string): boolean => refers.test(key) && isId(value)

/**
 * The properties that have to follow the images that they name.
 *
 * @since 0.1.0
 * @category getters
 */
export const references = (properties: Readonly<Record<string, string>>): ReadonlyArray<Reference> =>
  Object.entries(properties)
    .filter(([key, value]) => isReference(key, value))
    .map(([key, value]) => ({ key, id: value }))

const shown = (key: string): string => {
  const all = [...key]
  return JSON.stringify(all.length > 40 ? `${all.slice(0, 40).join("")}…` : key)
}

const refusal = (key: string, value: string): string | undefined => {
  if (key === "") return "a property has an empty key"
  if (characters(key) > longestKey) {
    return `the key of property ${shown(key)} has ${characters(key)} characters, more than ${longestKey}`
  }
  if (bytes(value) > longestValue) return `property ${shown(key)} has ${bytes(value)} bytes, more than ${longestValue}`
  return undefined
}

const refusals = (properties: ReadonlyMap<string, string>): ReadonlyArray<string> =>
  Array.from(properties, ([key, value]) => refusal(key, value)).filter((why) => why !== undefined)

/** What the rules make of properties, and what could not be as they say. */
const apply = (rules: Rules, given: ReadonlyMap<string, string>) => {
  const drop = rules.drop.map(KeyPattern.make)
  const rename = Object.entries(rules.rename).map(([from, to]) => ({ from: KeyPattern.make(from), to }))
  const properties = new Map<string, string>()
  const renamed = new Map<string, { readonly from: string; readonly value: string }>()
  const clashes: Array<string> = []
  for (const [key, value] of given) {
    if (drop.some(({ match }) => match(key) !== undefined)) continue
    let to: string | undefined
    for (const rule of rename) {
      const stands = rule.from.match(key)
      if (stands === undefined) continue
      to = KeyPattern.fill(rule.to, stands)
      break
    }
    if (to === undefined || to === key) {
      properties.set(key, value)
      continue
    }
    const other = renamed.get(to)
    if (other !== undefined && other.value !== value) {
      clashes.push(`the rules rename both ${shown(other.from)} and ${shown(key)} to ${shown(to)}`)
    } else if (!isProperty(to)) {
      clashes.push(`the rules rename ${shown(key)} to ${shown(to)}, which is no property's key`)
    }
    renamed.set(to, { from: key, value })
  }
  // What was renamed goes before what had the key already: that is what the rule is for.
  for (const [key, { value }] of renamed) properties.set(key, value)
  for (const [key, value] of Object.entries(rules.set)) properties.set(key, value)
  return { properties, clashes }
}

/**
 * What a new image gets of one that is described.
 *
 * @since 0.1.0
 * @category conversions
 */
export const image = (description: Description, rules: Rules = none): Mapped => {
  const all = Object.entries(description.properties)
  const carried = new Map(all.filter(([key]) => isProperty(key) && !isLocal(key)))
  const { clashes, properties } = apply(rules, carried)
  const dropped = all.flatMap(([key]): ReadonlyArray<Dropped> =>
    !carried.has(key) ? [{ key, by: "default" }] : properties.has(key) ? [] : [{ key, by: "rule" }]
  )
  const found = Object.fromEntries(properties)
  return {
    properties: found,
    tags: description.tags,
    diskFormat: description.diskFormat,
    containerFormat: description.containerFormat,
    minDisk: description.minDisk,
    minRam: description.minRam,
    hidden: description.hidden,
    protected: description.protected,
    visibility: description.visibility,
    references: references(found),
    dropped,
    refused: [...clashes, ...refusals(properties)]
  }
}
