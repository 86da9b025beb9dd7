/**
 * What a new image takes over from an image that is its source, and what its service wants of it: looked at before a byte
 * is sent.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Host } from "@headrace/core/Host"
import type { Reason } from "@headrace/core/Reason"
import type * as Receipt from "@headrace/core/Receipt"
import type { Transport } from "@headrace/core/Transport"
import type { Description } from "@headrace/glance/GlanceImages"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import type { Journal, JournalError } from "../../Journal.ts"
import type { Line } from "../../Line.ts"
import * as Mapping from "../../Mapping.ts"
import * as Pace from "../../Pace.ts"
import * as Uri from "../../Uri.ts"

/** A line that cannot be begun. */
export class Unready extends Data.TaggedError("Unready")<{
  readonly reason: Reason
  readonly message: string
  readonly retryable: boolean
}> {}

/** A line that has to wait for another one, whose image it refers to. */
export class Waits extends Data.TaggedError("Waits")<{ readonly line: string; readonly message: string }> {}

/** What a new image takes over, where its source is an image as well. */
export interface Had {
  readonly properties: Readonly<Record<string, string>>
  readonly tags?: ReadonlyArray<string>
  readonly minDisk?: number
  readonly minRam?: number
  readonly hidden?: boolean
  readonly protected?: boolean
}

export const nothing: Had = { properties: {} }

/** What the line says goes before what the source has, and after what the URI says. */
const propertiesOf = (
  line: Line,
  had: Readonly<Record<string, string>>,
  said: Readonly<Record<string, string>> | undefined
): Readonly<Record<string, string>> => {
  const all: Record<string, string | null> = { ...had, ...line.properties, ...said }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null))
}

/** What a new image is to be. */
export const imageOf = (image: GlanceUri.Destination, line: Line, had: Had): GlanceUri.Destination => {
  const properties = propertiesOf(line, had.properties, image.properties)
  const { properties: _, ...rest } = had
  return { ...rest, ...image, ...(Object.keys(properties).length === 0 ? undefined : { properties }) }
}

export interface Metadata {
  /** The image that is a line's source; `undefined` where it is none. */
  readonly describe: (line: Line) => Effect.Effect<Description | undefined, Unready, Transport | Host>
  readonly had: (description: Description | undefined) => Effect.Effect<Had, Unready>
  /** The image as it is to be made: references follow the images that they name, and what the service wants is there. */
  readonly finish: (
    image: GlanceUri.Destination
  ) => Effect.Effect<GlanceUri.Destination, Unready | Waits | JournalError, Transport | Host>
}

const originOf = (source: string) =>
  Effect.gen(function* () {
    const uri = Result.getOrUndefined(Result.try(() => Uri.parseSource(source)))
    if (uri?._tag !== "Glance") return undefined
    const { sourceFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
    return Result.getOrUndefined(sourceFrom(uri.uri))
  })

export const make = (journal: Journal, rules: Mapping.Rules): Metadata => {
  const required = new Map<string, ReadonlyArray<string>>()

  /** Asked once for each cloud: what a thousand images need is the same. */
  const requiredBy = (cloud: string) =>
    Effect.gen(function* () {
      const known = required.get(cloud)
      if (known !== undefined) return known
      const { requiredProperties } = yield* Effect.promise(() => import("@headrace/glance/GlanceImages"))
      // Whoever cannot be asked says so when the image is made.
      const found = yield* Effect.orElseSucceed(requiredProperties({ cloud }), () => undefined)
      if (found !== undefined) required.set(cloud, found)
      return found ?? []
    })

  /** The id that another line has given, or is going to give, to an image at a cloud. */
  const newIdOf = (id: string, key: string, cloud: string): Effect.Effect<string, Unready | Waits | JournalError> =>
    Effect.gen(function* () {
      const place = `glance://${cloud}`
      const isThere = (uri: string) => Pace.placeOf(uri) === place
      for (const { line, receipt, state } of yield* journal.ofImage(id)) {
        if (![...line.to, ...line.also].some(isThere)) continue
        if (state === "open") {
          return yield* new Waits({ line: line.id, message: `${key} is the image of the line "${line.id}"` })
        }
        const ends = receipt === undefined ? [] : (JSON.parse(receipt) as Receipt.Receipt).destinations
        const made = ends.find(({ error, object, uri }) => error === undefined && object !== undefined && isThere(uri))
        if (made?.object !== undefined) return made.object.id
        const message = `${key} refers to the image of the line "${line.id}", which has failed`
        return yield* new Unready({ reason: "InvalidConfig", message, retryable: false })
      }
      return id
    })

  return {
    describe: (line) =>
      Effect.gen(function* () {
        const origin = yield* originOf(line.source)
        if (origin === undefined) return undefined
        const { describe } = yield* Effect.promise(() => import("@headrace/glance/GlanceImages"))
        const { cloud, image, uri } = origin
        return yield* Effect.mapError(
          describe({ cloud, image, uri }),
          ({ message, reason, retryable }) => new Unready({ reason: reason._tag, message, retryable })
        )
      }),
    had: (description) =>
      Effect.gen(function* () {
        if (description === undefined) return nothing
        const mapped = Mapping.image(description, rules)
        if (mapped.refused.length > 0) {
          return yield* new Unready({ reason: "InvalidConfig", message: mapped.refused.join("; "), retryable: false })
        }
        return {
          properties: mapped.properties,
          ...(mapped.tags.length === 0 ? undefined : { tags: mapped.tags }),
          ...(mapped.minDisk === 0 ? undefined : { minDisk: mapped.minDisk }),
          ...(mapped.minRam === 0 ? undefined : { minRam: mapped.minRam }),
          ...(mapped.hidden ? { hidden: true } : undefined),
          ...(mapped.protected ? { protected: true } : undefined)
        }
      }),
    finish: (image) =>
      Effect.gen(function* () {
        const properties: Record<string, string> = { ...image.properties }
        for (const { id, key } of Mapping.references(properties)) properties[key] = yield* newIdOf(id, key, image.cloud)
        const missing = (yield* requiredBy(image.cloud)).filter((key) => properties[key] === undefined)
        if (missing.length > 0) {
          const message = `${image.uri}: the service wants the properties ${missing.join(", ")}, which this image lacks`
          return yield* new Unready({ reason: "InvalidConfig", message, retryable: false })
        }
        return Object.keys(properties).length === 0 ? image : { ...image, properties }
      })
  }
}
