/**
 * One line of a manifest: a transfer, from its source to its destinations. What is wrong with what users write is said by
 * the field's name, with what is allowed.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { type Algorithm, algorithms, type Digests, hexDigits } from "@headrace/core/Digest"

/**
 * A line as it is used.
 *
 * @since 0.1.0
 * @category models
 */
export interface Line {
  /** What makes it the same line in a later run. Unless given, its number in the file. */
  readonly id: string
  readonly source: string
  /** Destinations that must succeed: one at least. */
  readonly to: ReadonlyArray<string>
  /** Destinations on best effort. */
  readonly also: ReadonlyArray<string>
  /** Bytes, where whoever wrote the line knew: for the order and for estimates. The source decides. */
  readonly size: number | undefined
  /** Digests that the source must have, in lower-case hex. */
  readonly expect: Digests
  /**
   * Properties of an image: they go before what the source has, and after the destination's `property.KEY`. `null` leaves
   * out what the source has.
   */
  readonly properties: Readonly<Record<string, string | null>>
}

/**
 * What is wrong with a field of a line.
 *
 * @since 0.1.0
 * @category errors
 */
export class LineError extends Data.TaggedError("LineError")<{
  /** `to[0]`, `expect.sha512`; `line` for the line as a whole. */
  readonly field: string
  /** What is allowed. */
  readonly message: string
}> {}

const uri = Schema.String.check(Schema.isMinLength(1))

const hex = (digits: number) => Schema.String.check(Schema.isPattern(new RegExp(`^[0-9a-fA-F]{${digits}}$`)))

const fields = {
  id: Schema.optionalKey(Schema.String.check(Schema.isPattern(/^[^\0]{1,1024}$/s))),
  source: uri,
  to: Schema.Array(uri),
  also: Schema.optionalKey(Schema.Array(uri)),
  size: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER }))),
  expect: Schema.optionalKey(
    Schema.Struct(Object.fromEntries(algorithms.map((name) => [name, Schema.optionalKey(hex(hexDigits[name]))])))
  ),
  properties: Schema.optionalKey(Schema.Record(Schema.String, Schema.NullOr(Schema.String)))
}

const decodeLine = Schema.decodeUnknownResult(Schema.Struct(fields), { onExcessProperty: "error" })

const known = Object.keys(fields).join(", ")

type Segment = PropertyKey | { readonly key: PropertyKey }

const keysOf = (path: ReadonlyArray<Segment>): ReadonlyArray<PropertyKey> =>
  path.map((segment) => (typeof segment === "object" ? segment.key : segment))

const pathOf = (path: ReadonlyArray<PropertyKey>): string =>
  path.reduce<string>(
    (text, key) => (typeof key === "number" ? `${text}[${key}]` : `${text === "" ? "" : `${text}.`}${String(key)}`),
    ""
  )

const toStandard = SchemaIssue.makeFormatterStandardSchemaV1()

/** What is allowed where something else stands. */
const allowedAt = (path: ReadonlyArray<PropertyKey>): string => {
  const [name, key] = path
  switch (name) {
    case "id":
      return "a string of 1 to 1024 characters"
    case "source":
      return "a path or a URI, as text"
    case "to":
    case "also":
      return key === undefined ? "a list of paths or URIs" : "a path or a URI, as text"
    case "size":
      return "a whole number of bytes, from 0"
    case "expect":
      return key === undefined
        ? 'an object of digests, as {"sha512":"…"}'
        : `${hexDigits[key as Algorithm]} hexadecimal digits`
    case "properties":
      return key === undefined ? 'an object of strings, as {"os_distro":"…"}' : "a string, or null to leave it out"
    default:
      return `a JSON object with ${known}`
  }
}

const describe = (issue: SchemaIssue.Issue): LineError => {
  const first = toStandard(issue).issues[0]
  const path = keysOf(first?.path ?? [])
  const field = pathOf(path) || "line"
  const message = first?.message ?? ""
  if (/missing key/i.test(message)) return new LineError({ field, message: `missing; allowed: ${allowedAt(path)}` })
  if (/excess property/i.test(message)) {
    const allowed = path[0] === "expect" ? algorithms.join(", ") : known
    return new LineError({ field, message: `unknown field; known: ${allowed}` })
  }
  return new LineError({ field, message: `allowed: ${allowedAt(path)}` })
}

const lowerCase = (digests: Digests): Digests =>
  Object.fromEntries(Object.entries(digests).map(([name, value]) => [name, value.toLowerCase()]))

/**
 * Reads a line's JSON. `number` is the line's in its file, from 1.
 *
 * @since 0.1.0
 * @category parsing
 */
export const decode = (json: unknown, number: number): Result.Result<Line, LineError> => {
  const decoded = decodeLine(json)
  if (Result.isFailure(decoded)) return Result.fail(describe(decoded.failure.issue))
  const { also, expect, id, properties, size, source, to } = decoded.success
  if (to.length === 0) {
    return Result.fail(new LineError({ field: "to", message: "allowed: one destination at least" }))
  }
  return Result.succeed({
    id: id ?? String(number),
    source,
    to,
    also: also ?? [],
    size,
    expect: lowerCase(expect ?? {}),
    properties: properties ?? {}
  })
}

/**
 * The line as it is written in a manifest.
 *
 * @since 0.1.0
 * @category formatting
 */
export const encode = ({ also, expect, id, properties, size, source, to }: Line): string =>
  JSON.stringify({
    id,
    source,
    to,
    ...(also.length === 0 ? undefined : { also }),
    ...(size === undefined ? undefined : { size }),
    ...(Object.keys(expect).length === 0 ? undefined : { expect }),
    ...(Object.keys(properties).length === 0 ? undefined : { properties })
  })

/**
 * A line that `encode` has written, read again: it was checked before, and is not a second time.
 *
 * @since 0.1.0
 * @category parsing
 */
export const restore = (json: string): Line => {
  const line = JSON.parse(json) as Partial<Line> & Pick<Line, "id" | "source" | "to">
  return { also: [], size: undefined, expect: {}, properties: {}, ...line }
}
