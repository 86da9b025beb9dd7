/**
 * The source and the destinations of a line, as the run writes them: new images have ids that the journal knows, and what
 * the line says of their properties.
 */
import * as Effect from "effect/Effect"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import { randomUUID } from "node:crypto"
import * as Ends from "../../Ends.ts"
import type { Item } from "../../Journal.ts"
import type { Line } from "../../Line.ts"

/** How what users write becomes sources and stores; a program may have its own. */
export interface Resolver {
  readonly source: (line: Line) => Effect.Effect<Source<Transport | Host>, Ends.EndError>
  readonly destinations: (line: Line, newImage: Ends.NewImage) => Effect.Effect<Ends.Destinations, Ends.EndError>
}

export const resolver = (surroundings: Ends.Surroundings): Resolver => ({
  source: (line) => Ends.source(line.source, surroundings),
  destinations: (line, newImage) => Ends.destinations(line.to, line.also, surroundings, line.source, newImage)
})

/** What the line says goes before what the source has, and after what the URI says. */
const propertiesOf = (
  line: Line,
  had: Readonly<Record<string, string>>,
  said: Readonly<Record<string, string>> | undefined
): Readonly<Record<string, string>> => {
  const all: Record<string, string | null> = { ...had, ...line.properties, ...said }
  return Object.fromEntries(Object.entries(all).filter((entry): entry is [string, string] => entry[1] !== null))
}

/** What a new image takes over from its source, where that is an image as well. */
export interface Had {
  readonly properties: Readonly<Record<string, string>>
  readonly tags?: ReadonlyArray<string>
  readonly minDisk?: number
  readonly minRam?: number
}

export const nothingHad: Had = { properties: {} }

/** What a new image is to be. */
export const imageOf = (image: GlanceUri.Destination, line: Line, had: Had): GlanceUri.Destination => {
  const properties = propertiesOf(line, had.properties, image.properties)
  const { properties: _, ...rest } = had
  return {
    ...rest,
    ...image,
    ...(Object.keys(properties).length === 0 ? undefined : { properties })
  }
}

/** Notes the id of an image that is about to be made; false when it cannot be noted. */
export type Note = (place: number, id: string) => Effect.Effect<boolean>

/** Ids that are noted before their image is made. */
const noting = (
  note: Note,
  place: number,
  image: GlanceUri.Destination
): Effect.Effect<string, StoreError.StoreError> => {
  const { newId, uri } = image
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

const newImage =
  (line: Line, had: Had, note: Note | undefined): Ends.NewImage =>
  (image, place) =>
    Effect.map(
      Effect.promise(() => import("@headrace/glance/GlanceStore")),
      ({ image: store }) => {
        const whole = imageOf(image, line, had)
        if (note === undefined) return store(whole)
        const { newId: _, ...rest } = whole
        return store({ ...rest, newIds: noting(note, place, whole) })
      }
    )

/** A line's source and destinations. */
export interface Opened extends Ends.Destinations {
  readonly source: Source<Transport | Host>
  readonly had: Had
}

/** Finds a line's ends. Without `note` nothing is going to be made. */
export const open = (
  { line }: Item,
  resolver: Resolver,
  note: Note | undefined
): Effect.Effect<Opened, Ends.EndError> =>
  Effect.gen(function* () {
    const source = yield* resolver.source(line)
    const had = nothingHad
    return { source, had, ...(yield* resolver.destinations(line, newImage(line, had, note))) }
  })
