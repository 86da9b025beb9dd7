/**
 * The source and the destinations of a line, as the run writes them: new images have ids that the journal knows, and what
 * the line and the source say of their properties.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import type { Description } from "@headrace/glance/GlanceImages"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import { randomUUID } from "node:crypto"
import * as Ends from "../../Ends.ts"
import type { JournalError } from "../../Journal.ts"
import type { Line } from "../../Line.ts"
import * as Mapping from "../../Mapping.ts"
import * as Uri from "../../Uri.ts"
import type * as Again from "./again.ts"
import * as Metadata from "./metadata.ts"

/** How what users write becomes sources and stores; a program may have its own. */
export interface Resolver {
  readonly source: (line: Line) => Effect.Effect<Source<Transport | Host>, Ends.EndError>
  readonly destinations: (line: Line, newImage: Ends.NewImage) => Effect.Effect<Ends.Destinations, Ends.EndError>
}

export const resolver = (surroundings: Ends.Surroundings): Resolver => ({
  source: (line) => Ends.source(line.source, surroundings),
  destinations: (line, newImage) => Ends.destinations(line.to, line.also, surroundings, line.source, newImage)
})

/** Notes the id of an image that is about to be made; false when it cannot be noted. */
export type Note = (place: number, id: string) => Effect.Effect<boolean>

/** Ids that are noted before their image is made. */
const noting = (
  note: Note,
  place: number,
  { newId, uri }: GlanceUri.Destination
): Effect.Effect<string, StoreError.StoreError> => {
  let used = false
  const refuse = (reason: "Unavailable" | "Conflict", message: string) =>
    Effect.fail(StoreError.make(reason, { uri, message, clear: true, retryable: false }))
  return Effect.suspend(() => {
    if (newId !== undefined && used) {
      return refuse("Conflict", `image ${newId} would have to be made anew, and its id cannot be used a second time`)
    }
    used = true
    const id = newId ?? randomUUID()
    return Effect.flatMap(note(place, id), (noted) =>
      noted ? Effect.succeed(id) : refuse("Unavailable", "the image was not made: the journal cannot be written")
    )
  })
}

/** A new image among a line's destinations. */
export interface NewImage {
  /** Its destination's place among `to` and then `also`. */
  readonly place: number
  readonly image: GlanceUri.Destination
}

/** A line's source and destinations. */
export interface Opened extends Ends.Destinations {
  readonly source: Source<Transport | Host>
  /** The image that is the source. */
  readonly description: Description | undefined
  readonly images: ReadonlyArray<NewImage>
  /** What a person should know of what the images take over. */
  readonly notes: ReadonlyArray<string>
}

/** References that name an image of the source's cloud, and go on naming it at another one. */
const strangersOf = (images: ReadonlyArray<NewImage>, had: Metadata.Had, source: string): ReadonlyArray<string> => [
  ...new Set(
    images.flatMap(({ image }) =>
      source.startsWith(`glance://${image.cloud}/`)
        ? []
        : Mapping.references(image.properties ?? {}).flatMap(({ id, key }) =>
            had.properties[key] === id
              ? [`${key} names image ${id} of the source's cloud, which no line brings: it is taken over as it is`]
              : []
          )
    )
  )
]

const newImagesOf = (line: Line) =>
  Effect.gen(function* () {
    const found: Array<NewImage> = []
    for (const [place, text] of [...line.to, ...line.also].entries()) {
      const uri = Result.getOrUndefined(Result.try(() => Uri.parseDestination(text)))
      if (uri?._tag !== "Glance") continue
      const { destinationFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
      const image = Result.getOrUndefined(destinationFrom(uri.uri))
      if (image !== undefined && image.id === undefined) found.push({ place, image })
    }
    return found
  })

/** Finds a line's ends. Without `note` nothing is going to be made. */
export const open = (
  { line, placeOf }: Again.Again,
  resolver: Resolver,
  metadata: Metadata.Metadata,
  note: Note | undefined
): Effect.Effect<Opened, Ends.EndError | Metadata.Unready | Metadata.Waits | JournalError, Transport | Host> =>
  Effect.gen(function* () {
    const source = yield* resolver.source(line)
    const named = yield* newImagesOf(line)
    const description = named.length === 0 ? undefined : yield* metadata.describe(line)
    const had = yield* metadata.had(description)
    const images = yield* Effect.forEach(named, ({ image, place }) =>
      Effect.map(metadata.finish(Metadata.imageOf(image, line, had)), (finished) => ({
        place: placeOf(place),
        image: finished
      }))
    )
    const newImage: Ends.NewImage = (image, place) =>
      Effect.map(
        Effect.promise(() => import("@headrace/glance/GlanceStore")),
        ({ image: store }) => {
          const whole = images.find((one) => one.place === placeOf(place))?.image ?? image
          if (note === undefined) return store(whole)
          const { newId: _, ...rest } = whole
          return store({ ...rest, newIds: noting(note, placeOf(place), whole) })
        }
      )
    const notes = strangersOf(images, had, line.source)
    return { source, description, images, notes, ...(yield* resolver.destinations(line, newImage)) }
  })
