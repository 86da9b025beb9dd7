/**
 * The line of a planned image, checked as a run will read it, with what a person should know of it.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Digests, isAlgorithm } from "@headrace/core/Digest"
import type { Description } from "@headrace/glance/GlanceImages"
import * as Line from "../../Line.ts"
import * as Mapping from "../../Mapping.ts"
import type { Catalogue, CatalogueError, Skip } from "./catalogue.ts"
import * as Names from "./names.ts"
import type { Target } from "./target.ts"

/** A destination of all images. */
export interface End {
  readonly target: Target
  /** Its number in the catalogue. */
  readonly place: number
  readonly required: boolean
}

export interface Composed {
  readonly line: Line.Line
  readonly text: string
  readonly notes: ReadonlyArray<string>
}

/** The service's strongest digest of those that can be computed here. */
const expected = ({ digests }: Description): Digests => {
  const known = Object.keys(digests).filter(isAlgorithm)
  const name = known.find((name) => name === "sha512") ?? known.find((name) => name !== "md5") ?? known[0]
  return name === undefined ? {} : { [name]: digests[name]! }
}

/** All that the image is to have, so that nothing is added unseen; what the rules drop is left out by `null`. */
const propertiesOf = ({ dropped, properties }: Mapping.Mapped): Line.Line["properties"] => ({
  ...properties,
  ...Object.fromEntries(dropped.filter(({ by }) => by === "rule").map(({ key }) => [key, null]))
})

const longestLine = 1024 * 1024

const wrong = (line: Line.Line, text: string, ends: ReadonlyArray<End>): string | undefined => {
  if (Buffer.byteLength(text) > longestLine) return "its line would be longer than 1 MiB"
  for (const [index, { target }] of ends.entries()) {
    const why = target.wrong([...line.to, ...line.also][index]!)
    if (why !== undefined) return `it cannot be written as a destination: ${why}`
  }
  const read = Line.decode(JSON.parse(text), 1)
  return Result.isFailure(read)
    ? `it cannot be written as a line: ${read.failure.field}: ${read.failure.message}`
    : undefined
}

interface Referred {
  /** By property: the image that is at this destination already. */
  readonly there: Readonly<Record<string, string>>
  readonly notes: ReadonlyArray<string>
}

/** Where the images are that this one refers to. */
const follow = (
  catalogue: Catalogue,
  { place, target }: End,
  references: ReadonlyArray<Mapping.Reference>
): Effect.Effect<Referred, CatalogueError> =>
  Effect.gen(function* () {
    const there: Record<string, string> = {}
    const notes: Array<string> = []
    for (const { id, key } of references) {
      const found = yield* catalogue.found(place, id)
      if (found !== undefined) there[key] = found
      else if (!(yield* catalogue.isPlanned(id))) {
        notes.push(`${key} refers to image ${id}, which is neither planned nor known at ${target.uri}`)
      }
    }
    return { there, notes }
  })

/** `ends` are those that the image is sent to: required ones first. */
export const compose = (
  catalogue: Catalogue,
  cloud: string,
  image: Description,
  rules: Mapping.Rules,
  ends: ReadonlyArray<End>
): Effect.Effect<Composed | Skip, CatalogueError> =>
  Effect.gen(function* () {
    const mapped = Mapping.image(image, rules)
    const uniqueFile = yield* catalogue.isUnique("file", image)
    const notes: Array<string> = []
    const uris: Array<string> = []
    for (const end of ends) {
      const { glance, uriOf } = end.target
      const { notes: more, there } =
        glance === undefined ? { notes: [], there: {} } : yield* follow(catalogue, end, mapped.references)
      uris.push(uriOf({ image, mapped, uniqueFile, referred: there }))
      notes.push(...more)
      if (glance === undefined) continue
      if (glance.visibility === undefined && mapped.visibility === "public") {
        notes.push(`visibility is public, for which ${end.target.uri} may want an administrator`)
      }
    }
    const becomesImage = ends.some(({ target }) => target.glance !== undefined)
    if (becomesImage && (image.name ?? "") === "") notes.push(`it has no name, and gets "${Names.imageName(image)}"`)
    const count = ends.filter(({ required }) => required).length
    const line: Line.Line = {
      id: Names.lineId(image, yield* catalogue.isUnique("name", image)),
      source: `glance://${encodeURIComponent(cloud)}/${image.id}`,
      to: uris.slice(0, count),
      also: uris.slice(count),
      size: image.size,
      expect: expected(image),
      properties: becomesImage ? propertiesOf(mapped) : {}
    }
    const text = Line.encode(line)
    const why = wrong(line, text, ends)
    return why === undefined ? { line, text, notes } : { kind: "refused", why }
  })
