/**
 * Which images are meant: `KEY=VALUE`, `KEY!=VALUE`, `KEY~REGEX`, `KEY>VALUE`, `KEY<VALUE`, where KEY is an attribute of
 * an image or one of its properties. Sizes and ISO dates compare as such.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Quantity from "@headrace/core/Quantity"
import type { Description } from "@headrace/glance/GlanceImages"

/**
 * A condition that an image meets or does not.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  /** As it was written. */
  readonly text: string
  readonly test: (image: Description) => boolean
}

/**
 * A text that is no condition; the message says what is allowed.
 *
 * @since 0.1.0
 * @category errors
 */
export class FilterError extends Data.TaggedError("FilterError")<{ readonly message: string }> {}

type Operator = "=" | "!=" | "~" | ">" | "<"

/** What an image has under a key: none, one, or, of tags, several. */
type Values = ReadonlyArray<string | number | boolean>

const one = (value: string | number | boolean | undefined | null): Values =>
  value === undefined || value === null ? [] : [value]

const attributes: Readonly<Record<string, (image: Description) => Values>> = {
  id: ({ id }) => [id],
  name: ({ name }) => one(name),
  status: ({ status }) => [status],
  size: ({ size }) => one(size),
  visibility: ({ visibility }) => one(visibility),
  protected: (image) => [image.protected],
  hidden: ({ hidden }) => [hidden],
  os_hidden: ({ hidden }) => [hidden],
  owner: ({ owner }) => one(owner),
  min_disk: ({ minDisk }) => [minDisk],
  min_ram: ({ minRam }) => [minRam],
  disk_format: ({ diskFormat }) => one(diskFormat),
  container_format: ({ containerFormat }) => one(containerFormat),
  tag: ({ tags }) => tags,
  tags: ({ tags }) => tags,
  store: ({ stores }) => stores,
  stores: ({ stores }) => stores,
  checksum: ({ digests }) => one(digests["md5"]),
  os_hash_value: ({ digests }) => Object.entries(digests).flatMap(([name, value]) => (name === "md5" ? [] : [value])),
  created_at: ({ createdAt }) => one(createdAt),
  updated_at: ({ updatedAt }) => one(updatedAt)
}

/** Keys whose values are of one kind, whatever is written. */
const kinds: Readonly<Record<string, "size" | "number" | "date" | "boolean">> = {
  size: "size",
  min_disk: "number",
  min_ram: "number",
  created_at: "date",
  updated_at: "date",
  protected: "boolean",
  hidden: "boolean",
  os_hidden: "boolean"
}

const visibilities = ["public", "private", "shared", "community"]

const property = (key: string) => (image: Description) =>
  Object.hasOwn(image.properties, key) ? one(image.properties[key]) : []

const valuesOf = (key: string): ((image: Description) => Values) =>
  key.startsWith("property.")
    ? property(key.slice("property.".length))
    : Object.hasOwn(attributes, key)
      ? attributes[key]!
      : property(key)

const wrong = (text: string, allowed: string) =>
  Result.fail(new FilterError({ message: `${JSON.stringify(text)}: ${allowed}` }))

const sizeOf = (value: string | number | boolean): number | undefined => {
  if (typeof value === "number") return value
  const size = Quantity.parseSize(String(value))
  return Result.isSuccess(size) ? size.success : undefined
}

const numberOf = (value: string | number | boolean): number | undefined => {
  if (typeof value === "number") return value
  return typeof value === "string" && /^[+-]?\d+(?:\.\d+)?$/.test(value) ? Number(value) : undefined
}

/** ISO 8601: a day, or a moment of it. Without a zone it is UTC. */
const isoDate = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/

const dateOf = (value: string | number | boolean): number | undefined => {
  if (typeof value !== "string" || !isoDate.test(value)) return undefined
  const text = value.replace(" ", "T")
  const at = Date.parse(/T.*(?:Z|[+-]\d{2}:?\d{2})$/.test(text) || !text.includes("T") ? text : `${text}Z`)
  return Number.isNaN(at) ? undefined : at
}

const dayMs = 86_400_000

type Read = (value: string | number | boolean) => number | undefined

/** How values of this kind are read, and the one that is written; `undefined` where it is no such value. */
const readers: ReadonlyArray<{ readonly kind: "size" | "number" | "date"; readonly read: Read }> = [
  { kind: "number", read: numberOf },
  { kind: "size", read: sizeOf },
  { kind: "date", read: dateOf }
]

const words = {
  size: "its value is a size, such as 1GiB",
  number: "its value is a number, such as 512",
  date: "its value is an ISO date, such as 2025-01-31 or 2025-01-31T12:00:00Z"
} as const

const compare = (
  key: string,
  operator: Operator,
  written: string,
  text: string
): Result.Result<Filter, FilterError> => {
  const kind = kinds[key] as keyof typeof words | undefined
  const known = readers.filter((reader) => kind === undefined || reader.kind === kind)
  const reader = known.find(({ read }) => read(written) !== undefined)
  if (reader === undefined) {
    return wrong(text, kind === undefined ? "< and > compare numbers, sizes and ISO dates" : words[kind])
  }
  const bound = reader.read(written)!
  const values = valuesOf(key)
  // A day is all of its moments: what is later than it begins with the next one.
  const whole = reader.kind === "date" && !/[T ]/.test(written) ? dayMs : 0
  const holds = (value: number): boolean => {
    switch (operator) {
      case ">":
        return whole === 0 ? value > bound : value >= bound + whole
      case "<":
        return value < bound
      default:
        return whole === 0 ? value === bound : value >= bound && value < bound + whole
    }
  }
  const any = (image: Description) =>
    values(image).some((value) => {
      const read = reader.read(value)
      return read !== undefined && holds(read)
    })
  return Result.succeed({ text, test: operator === "!=" ? (image) => !any(image) : any })
}

const match = (key: string, written: string, text: string): Result.Result<Filter, FilterError> => {
  const values = valuesOf(key)
  try {
    const expression = new RegExp(written, "u")
    return Result.succeed({ text, test: (image) => values(image).some((value) => expression.test(String(value))) })
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, "") : ""
    return wrong(text, `${why} is no regular expression`)
  }
}

const equals = (key: string, operator: "=" | "!=", written: string, text: string): Filter => {
  const values = valuesOf(key)
  // What is not there is as good as empty.
  const any = (image: Description) => {
    const found = values(image)
    return found.length === 0 ? written === "" : found.some((value) => String(value) === written)
  }
  return { text, test: operator === "!=" ? (image) => !any(image) : any }
}

const allowed =
  "write KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY>VALUE or KEY<VALUE, where KEY is an attribute of an image or a property"

/**
 * Reads a condition. What an image does not have equals only the empty text, and matches and compares with nothing. Of
 * several tags or stores one is enough.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parse = (text: string): Result.Result<Filter, FilterError> => {
  const parts = /^([^=!~<>]+)(!=|=|~|>|<)(.*)$/s.exec(text)
  if (parts === null) return wrong(text, allowed)
  const key = parts[1]!.trim()
  const operator = parts[2] as Operator
  const value = parts[3]!
  if (key === "" || key === "property.") return wrong(text, allowed)
  if (value.startsWith("=") && operator !== "~") return wrong(text, `there is no "${operator}="; ${allowed}`)
  if (operator === "~") return match(key, value, text)
  if (operator === ">" || operator === "<") {
    return kinds[key] === "boolean"
      ? wrong(text, "true and false are not more or less")
      : compare(key, operator, value, text)
  }
  if (kinds[key] === "boolean" && value !== "true" && value !== "false") {
    return wrong(text, "its value is true or false")
  }
  if (key === "visibility" && !visibilities.includes(value)) {
    return wrong(text, `its value is one of ${visibilities.join(", ")}`)
  }
  return kinds[key] === undefined || kinds[key] === "boolean"
    ? Result.succeed(equals(key, operator, value, text))
    : compare(key, operator, value, text)
}

/**
 * Whether an image meets all of them.
 *
 * @since 0.1.0
 * @category guards
 */
export const holds = (filters: ReadonlyArray<Filter>, image: Description): boolean =>
  filters.every(({ test }) => test(image))
