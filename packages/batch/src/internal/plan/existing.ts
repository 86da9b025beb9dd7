/**
 * Whether an image is at a destination already: the same content, as the services' own digests and sizes prove.
 */
import * as Effect from "effect/Effect"
import type { Description } from "@headrace/glance/GlanceImages"
import type { Catalogue, CatalogueError, There } from "./catalogue.ts"
import * as Names from "./names.ts"

/** All digests that both have are alike, and there is one at least. */
const proof = (one: Description["digests"], other: Description["digests"]): string | undefined => {
  const common = Object.keys(one).filter((name) => other[name] !== undefined)
  if (common.length === 0 || common.some((name) => one[name] !== other[name])) return undefined
  return common.find((name) => name !== "md5") ?? "md5"
}

export interface Found extends There {
  /** The digest that proves it. */
  readonly algorithm: string
}

/** Images there with the same content; those with the same name come first. */
const alike = (catalogue: Catalogue, place: number, image: Description) =>
  Effect.map(catalogue.there(place, image), (all) =>
    all
      .flatMap((there): ReadonlyArray<Found> => {
        const algorithm = proof(image.digests, there.digests)
        return algorithm === undefined ? [] : [{ ...there, algorithm }]
      })
      .sort((one, other) => Number(other.name === image.name) - Number(one.name === image.name))
  )

export interface Verdict {
  /** The image that it need not be sent for. */
  readonly found: Found | undefined
  /** Images of the same name and other content. */
  readonly namesakes: ReadonlyArray<There>
}

/** Looks at one destination. What is found there is noted for images that refer to this one. */
export const look = (
  catalogue: Catalogue,
  place: number,
  image: Description,
  by: "name" | "hash"
): Effect.Effect<Verdict, CatalogueError> =>
  Effect.gen(function* () {
    const same = yield* alike(catalogue, place, image)
    if (same[0] !== undefined) yield* catalogue.addFound(place, image.id, same[0].id)
    if (by === "hash") return { found: same[0], namesakes: [] }
    const name = Names.imageName(image)
    const found = same.find((there) => there.name === name)
    const namesakes = found === undefined ? yield* catalogue.named(place, name) : []
    return { found, namesakes }
  })
