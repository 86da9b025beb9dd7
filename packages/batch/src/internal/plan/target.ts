/**
 * Destinations of a plan: a cloud, or a folder of some kind. Each image gets a URI of its own there.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Description } from "@headrace/glance/GlanceImages"
import * as GlanceUri from "@headrace/glance/GlanceUri"
import * as S3Uri from "@headrace/s3/S3Uri"
import * as SwiftUri from "@headrace/swift/SwiftUri"
import { EndError } from "../../Ends.ts"
import type { Mapped } from "../../Mapping.ts"
import * as Uri from "../../Uri.ts"
import * as Names from "./names.ts"

export interface Planned {
  readonly image: Description
  readonly mapped: Mapped
  /** Whether no other planned image becomes a file of that name. */
  readonly uniqueFile: boolean
  /** Ids of images that are at the destination already, by the properties that refer to them. */
  readonly referred: Readonly<Record<string, string>>
}

export interface Target {
  /** As it was written. */
  readonly text: string
  /** As it is shown: a cloud without the parameters of its images. */
  readonly uri: string
  /** What was given for all images, where they become images. */
  readonly glance: GlanceUri.Destination | undefined
  readonly uriOf: (planned: Planned) => string
  /** Why the URI cannot be used; `undefined` when it can. */
  readonly wrong: (uri: string) => string | undefined
}

const encode = (text: string): string => encodeURIComponent(text.toWellFormed())

const messageOf = (result: Result.Result<unknown, { readonly message: string }>): string | undefined =>
  Result.isFailure(result) ? result.failure.message : undefined

const invalid = (text: string, message: string) =>
  Effect.fail(new EndError({ reason: "InvalidUri", uri: Uri.shown(text), message }))

/** What was given goes before what the image has, except tags, of which the image gets all. */
const imageQuery = (given: GlanceUri.Destination, { mapped, referred }: Planned): ReadonlyArray<string> => {
  const unless = (value: unknown, key: string, own: string | number | boolean | undefined) =>
    value !== undefined || own === undefined ? [] : [`${key}=${encode(String(own))}`]
  return [
    ...unless(given.visibility, "visibility", mapped.visibility),
    ...unless(given.protected, "protected", mapped.protected),
    ...unless(given.hidden, "hidden", mapped.hidden),
    ...unless(given.diskFormat, "disk_format", mapped.diskFormat),
    ...unless(given.containerFormat, "container_format", mapped.containerFormat),
    ...unless(given.minDisk, "min_disk", mapped.minDisk),
    ...unless(given.minRam, "min_ram", mapped.minRam),
    ...mapped.tags.filter((tag) => given.tags?.includes(tag) !== true).map((tag) => `tag=${encode(tag)}`),
    ...Object.entries(referred)
      .filter(([key]) => given.properties === undefined || !Object.hasOwn(given.properties, key))
      .map(([key, id]) => `property.${encode(key)}=${id}`)
  ]
}

const glance = (text: string): Effect.Effect<Target, EndError> =>
  Effect.gen(function* () {
    const parts = /^(glance:\/\/[^/?#]*)\/?(?:\?([^#]*))?$/i.exec(text)
    if (parts === null) {
      return yield* invalid(text, "the images keep their names: write glance://CLOUD?PARAMETERS, without an image")
    }
    const base = parts[1]!
    const query = (parts[2] ?? "").split("&").filter((pair) => pair !== "")
    const own = query.find((pair) => /^(?:id|name)=/.test(pair))
    if (own !== undefined) return yield* invalid(text, `${own.split("=", 1)[0]} is one image's, not all images'`)
    const given = GlanceUri.destinationFrom([`${base}/any`, ...(query.length === 0 ? [] : [query.join("&")])].join("?"))
    if (Result.isFailure(given)) return yield* invalid(given.failure.uri.replace("/any", ""), given.failure.message)
    return {
      text,
      uri: base,
      glance: given.success,
      uriOf: (planned) => {
        const name = Names.imageName(planned.image)
        const pairs = [...query, ...imageQuery(given.success, planned)]
        // In the path it would be an image that is there.
        return GlanceUri.isId(name)
          ? `${base}?${[`name=${name}`, ...pairs].join("&")}`
          : `${base}/${encode(name)}?${pairs.join("&")}`
      },
      wrong: (uri) => messageOf(GlanceUri.destinationFrom(uri))
    }
  })

const folder = (
  text: string,
  prefix: string,
  query: string,
  { file = encode, wrong }: { readonly file?: (name: string) => string; readonly wrong: Target["wrong"] }
): Effect.Effect<Target, EndError> => {
  const uriOf = (name: string) => `${prefix}${file(name)}${query}`
  const why = prefix.endsWith("/")
    ? wrong(uriOf("any"))
    : `images become files there: end it in a slash, as in ${Uri.shown(`${prefix}/`)}`
  return why === undefined
    ? Effect.succeed({
        text,
        uri: Uri.shown(text),
        glance: undefined,
        uriOf: ({ image, uniqueFile }) => uriOf(Names.fileName(image, uniqueFile)),
        wrong
      })
    : // A parameter that nobody knows here may be a password.
      invalid(text.split("?", 1)[0]!, why)
}

const wrongUri = (uri: string): string | undefined => {
  try {
    Uri.parseDestination(uri)
    return undefined
  } catch (error) {
    if (error instanceof Uri.UriError) return error.message
    throw error
  }
}

/** Splits `SCHEME://A/B…?QUERY` behind so many of its segments. */
const split = (text: string, segments: number): readonly [prefix: string, query: string] => {
  const mark = text.indexOf("?")
  const path = mark < 0 ? text : text.slice(0, mark)
  const alone = path.split("/").length === 2 + segments
  return [alone ? `${path}/` : path, mark < 0 ? "" : text.slice(mark)]
}

export const parse = (text: string): Effect.Effect<Target, EndError> =>
  Effect.gen(function* () {
    const uri = yield* Effect.try({
      try: () => Uri.parseDestination(text),
      catch: (error) => {
        if (!(error instanceof Uri.UriError)) throw error
        return new EndError({ reason: error.reason, uri: error.uri, message: error.message })
      }
    })
    switch (uri._tag) {
      case "Glance":
        return yield* glance(text)
      case "S3":
        return yield* folder(text, ...split(text, 1), { wrong: (uri) => messageOf(S3Uri.destinationFrom(uri)) })
      case "Swift": {
        const container = messageOf(SwiftUri.containerFrom(text))
        if (container !== undefined) return yield* invalid(text.split("?", 1)[0]!, container)
        return yield* folder(text, ...split(text, 2), { wrong: (uri) => messageOf(SwiftUri.destinationFrom(uri)) })
      }
      case "File":
        return yield* folder(text, text, "", {
          ...(text.startsWith("file:") ? undefined : { file: (name: string) => name }),
          wrong: wrongUri
        })
      case "Http":
        return yield* new EndError({
          reason: "Unsupported",
          uri: Uri.shown(text),
          message: "a plan goes to glance://CLOUD, s3://BUCKET/PREFIX/, swift://CLOUD/CONTAINER/PREFIX/ or FOLDER/"
        })
    }
  })
