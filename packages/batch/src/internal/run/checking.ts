/**
 * What is wrong with the URIs of a manifest's lines, as far as it can be seen without asking anybody.
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Read } from "../../Manifest.ts"
import * as Mapping from "../../Mapping.ts"
import * as Uri from "../../Uri.ts"

type Parse = (uri: string) => Result.Result<unknown, { readonly message: string }>

interface Parsers {
  readonly source: Parse
  readonly destination: Parse
}

const parsersOf = async (tag: Uri.DestinationUri["_tag"]): Promise<Parsers | undefined> => {
  switch (tag) {
    case "Glance": {
      const { destinationFrom, sourceFrom } = await import("@headrace/glance/GlanceUri")
      return { source: sourceFrom, destination: destinationFrom }
    }
    case "S3": {
      const { destinationFrom, sourceFrom } = await import("@headrace/s3/S3Uri")
      return { source: sourceFrom, destination: destinationFrom }
    }
    case "Swift": {
      const { destinationFrom, sourceFrom } = await import("@headrace/swift/SwiftUri")
      return { source: sourceFrom, destination: destinationFrom }
    }
    default:
      return undefined
  }
}

type Known = Map<Uri.DestinationUri["_tag"], Parsers | undefined>

/** Loads what reads the URIs, each when it is first met. */
const checked = (text: string, end: keyof Parsers, known: Known): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    const sorted = Result.try({
      try: () => (end === "source" ? Uri.parseSource(text) : Uri.parseDestination(text)),
      catch: (error) => error as Uri.UriError
    })
    if (Result.isFailure(sorted)) return sorted.failure.message
    const uri = sorted.success
    if (uri._tag === "Stdin") return "standard input cannot be a line's source"
    if (!("uri" in uri) || uri._tag === "File") return undefined
    if (!known.has(uri._tag)) known.set(uri._tag, yield* Effect.promise(() => parsersOf(uri._tag)))
    const parsed = known.get(uri._tag)?.[end](uri.uri)
    return parsed !== undefined && Result.isFailure(parsed) ? parsed.failure.message : undefined
  })

const check = (read: Read, known: Known): Effect.Effect<Read> =>
  Effect.gen(function* () {
    if (read._tag === "Wrong") return read
    const { also, source, to } = read.line
    const fields: ReadonlyArray<readonly [field: string, text: string, end: keyof Parsers]> = [
      ["source", source, "source"],
      ...to.map((text, at) => [`to[${at}]`, text, "destination"] as const),
      ...also.map((text, at) => [`also[${at}]`, text, "destination"] as const)
    ]
    const seen = new Set<string>()
    for (const [field, text, end] of fields) {
      if (seen.has(text)) {
        const message = text === source ? "this is the source itself" : "this destination is given twice"
        return { _tag: "Wrong", number: read.number, field, message }
      }
      seen.add(text)
      const message = yield* checked(text, end, known)
      if (message !== undefined) return { _tag: "Wrong", number: read.number, field, message }
    }
    for (const key of Object.keys(read.line.properties)) {
      const message = Mapping.unusable(key)
      if (message !== undefined) return { _tag: "Wrong", number: read.number, field: `properties.${key}`, message }
    }
    return read
  })

/** A check of lines: those with a URI or a property that cannot be meant are wrong, by the field's name. */
export const make = (): ((
  reads: Arr.NonEmptyReadonlyArray<Read>
) => Effect.Effect<Arr.NonEmptyReadonlyArray<Read>>) => {
  const known: Known = new Map()
  return (reads) => Effect.forEach(reads, (read) => check(read, known))
}
