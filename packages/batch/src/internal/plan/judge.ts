/**
 * Whether an image is planned, judged as soon as it is listed.
 */
import * as Effect from "effect/Effect"
import type { Description } from "@headrace/glance/GlanceImages"
import * as Filter from "../../Filter.ts"
import * as Mapping from "../../Mapping.ts"
import type { Options, SkipKind } from "../../Plan.ts"
import type * as Catalogue from "./catalogue.ts"
import type { End } from "./compose.ts"
import * as Existing from "./existing.ts"

/** A destination that is a cloud, and what it wants. */
export interface Cloud extends End {
  readonly wants: ReadonlyArray<string>
}

const skip = (kind: SkipKind, why: string): Catalogue.Skip => ({ kind, why })

/** Why an image has nothing that could be read. */
const unreadable = (image: Description): Catalogue.Skip | undefined => {
  if (image.status === "deactivated") return skip("deactivated", "it is deactivated: nobody may read its data")
  if (image.status !== "active") return skip("inactive", `it is ${image.status}: only an active image has data to read`)
  if (image.size !== 0) return undefined
  return "block_device_mapping" in image.properties
    ? skip("empty", "it has no data, but stands for snapshots of volumes")
    : skip("empty", "it has no data: 0 bytes")
}

/** Keys of an image that its creation always gives. */
const always: ReadonlySet<string> = new Set(
  "id name disk_format container_format visibility min_disk min_ram".split(" ")
)

export const missing = ({ target, wants }: Cloud, mapped: Mapping.Mapped): ReadonlyArray<string> =>
  wants.filter(
    (key) =>
      !always.has(key) &&
      !Object.hasOwn(mapped.properties, key) &&
      !(key === "tags" && mapped.tags.length + (target.glance?.tags?.length ?? 0) > 0) &&
      !Object.hasOwn(target.glance?.properties ?? {}, key)
  )

export const lacks = (cloud: Cloud, keys: ReadonlyArray<string>): string =>
  `${cloud.target.uri} wants ${keys.length === 1 ? "the property" : "the properties"} ${keys.join(", ")}, ` +
  `which this image lacks: give ${keys.length === 1 ? "it" : "them"} by set in --map, or as property.KEY in the destination`

/** What cannot be set: release 33 takes no change of an image where it wants properties, as each lacks the others. */
export const fixed = ({ target, wants }: Cloud, mapped: Mapping.Mapped): ReadonlyArray<string> => {
  if (wants.length === 0) return []
  const set = [
    ...((target.glance?.protected ?? mapped.protected) ? ["protected"] : []),
    ...((target.glance?.hidden ?? mapped.hidden) ? ["hidden"] : [])
  ]
  return set.length === 0
    ? []
    : [`${target.uri} wants properties, and may refuse to make it ${set.join(" and ")} when its data is proven`]
}

const shownName = (name: string | undefined): string => (name === undefined || name === "" ? "" : ` "${name}"`)

/** What is judged as soon as an image is listed: whether it is planned, and what it refers to. */
export const judge = (
  catalogue: Catalogue.Catalogue,
  image: Description,
  clouds: ReadonlyArray<Cloud>,
  ends: ReadonlyArray<End>,
  options: Pick<Options, "filters" | "rules" | "skipExisting">
) =>
  Effect.gen(function* () {
    const reason = unreadable(image)
    const { filters = [], rules, skipExisting = "hash" } = options
    const at: Array<string> = []
    const present: Array<number> = []
    if (reason === undefined && skipExisting !== "none") {
      // Also of images that are not meant: those that are may refer to them.
      for (const { place, required, target } of clouds) {
        const { found } = yield* Existing.look(catalogue, place, image, skipExisting)
        if (found === undefined) continue
        present.push(place)
        if (required) {
          at.push(
            `${target.uri} as image ${found.id}${found.name === image.name ? "" : shownName(found.name)} (same ${found.algorithm} and size)`
          )
        }
      }
    }
    if (!Filter.holds(filters, image)) return false
    const mapped = Mapping.image(image, rules)
    const references = mapped.references.map(({ id }) => id)
    const add = (reason: Catalogue.Skip | undefined) =>
      Effect.as(catalogue.add({ image, skip: reason }, reason === undefined ? references : []), true)
    if (reason !== undefined) return yield* add(reason)
    if (ends.every(({ place, required }) => !required || present.includes(place))) {
      return yield* add(skip("existing", `it is there already: ${at.join("; ")}`))
    }
    const lacking = clouds
      .filter(({ place, required }) => required && !present.includes(place))
      .map((cloud) => ({ cloud, keys: missing(cloud, mapped) }))
      .find(({ keys }) => keys.length > 0)
    if (lacking !== undefined) return yield* add(skip("required", lacks(lacking.cloud, lacking.keys)))
    const becomesImage = clouds.length > 0
    return yield* add(becomesImage && mapped.refused[0] !== undefined ? skip("refused", mapped.refused[0]) : undefined)
  })
