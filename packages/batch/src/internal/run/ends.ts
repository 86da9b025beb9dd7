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
import type { Books } from "./books.ts"

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

/** Stores of new images, each with an id that is noted before the image is made. */
export const newImages =
  (item: Item, books: Books, had: Had): Ends.NewImage =>
  (image, place) =>
    Effect.gen(function* () {
      const { image: store } = yield* Effect.promise(() => import("@headrace/glance/GlanceStore"))
      const note = (object: string) => books.note(books.journal.make(item.seq, { place, object }))
      const noted = (object: string) =>
        Effect.flatMap(note(object), (well) =>
          well
            ? Effect.succeed(object)
            : Effect.fail(
                StoreError.make("Unavailable", {
                  uri: image.uri,
                  message: "the image was not made: the journal cannot be written",
                  clear: true,
                  retryable: false
                })
              )
        )
      const { newId, ...rest } = imageOf(image, item.line, had)
      // One that the user wants is noted as well, and is made once.
      return newId === undefined
        ? store({ ...rest, newIds: Effect.suspend(() => noted(randomUUID())) })
        : store({ ...rest, newIds: once(newId, noted, image.uri) })
    })

const once = (
  id: string,
  noted: (id: string) => Effect.Effect<string, StoreError.StoreError>,
  uri: string
): Effect.Effect<string, StoreError.StoreError> => {
  let used = false
  return Effect.suspend(() => {
    if (used) {
      return Effect.fail(
        StoreError.make("Conflict", {
          uri,
          message: `image ${id} would have to be made anew, and its id cannot be used a second time`,
          clear: true
        })
      )
    }
    used = true
    return noted(id)
  })
}
