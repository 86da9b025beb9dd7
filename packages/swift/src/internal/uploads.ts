/**
 * Uploads of segments that were begun and not finished: all segments of an object that its manifest does not name.
 */
import type { UnfinishedUpload } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import type { Limits } from "./limits.ts"
import * as Manifest from "./manifest.ts"
import * as Names from "./names.ts"
import * as Objects from "./objects.ts"

export interface Spot {
  readonly container: string
  readonly object: string
  readonly segmentContainer: string
  readonly uri: string
}

/** Prefixes of the uploads that the object there is made of. */
export const inUse = (api: Api, { container, object, segmentContainer }: Spot) =>
  Effect.gen(function* () {
    const found = yield* Objects.look(api, container, object)
    if (found?.kind !== "slo") return new Set<string>()
    const start = `${segmentContainer}/`
    return new Set(
      Manifest.segmentsOf(yield* Objects.manifest(api, container, object)).flatMap((path) => {
        const name = path.startsWith(start) ? path.slice(start.length) : ""
        return Names.parseSegment(object, name)?.prefix ?? []
      })
    )
  })

export const unfinished = (api: Api, spot: Spot): Effect.Effect<ReadonlyArray<UnfinishedUpload>, Fault.Fault> =>
  Effect.gen(function* () {
    const { object, segmentContainer, uri } = spot
    const found = new Map<string, { readonly startedAt: number; bytes: number }>()
    for (const { bytes, name } of yield* Objects.list(api, segmentContainer, Names.uploadsOf(object))) {
      const segment = Names.parseSegment(object, name)
      if (segment === undefined) continue
      const upload = found.get(segment.prefix) ?? { startedAt: segment.startedAt, bytes: 0 }
      if (!segment.manifest) upload.bytes += bytes
      found.set(segment.prefix, upload)
    }
    if (found.size === 0) return []
    // Asked last: an upload that is finished meanwhile is not unfinished.
    const used = yield* inUse(api, spot)
    return [...found].flatMap(([prefix, { bytes, startedAt }]) =>
      used.has(prefix) ? [] : [{ token: Names.tokenOf({ container: segmentContainer, prefix }), uri, startedAt, bytes }]
    )
  })

/** The same of all objects of a container. */
export const unfinishedOfAll = (
  api: Api,
  place: Omit<Spot, "object" | "uri">,
  uriOf: (object: string) => string
): Effect.Effect<ReadonlyArray<UnfinishedUpload>, Fault.Fault> =>
  Effect.gen(function* () {
    const segments = yield* Objects.list(api, place.segmentContainer, "")
    const objects = new Set(segments.flatMap(({ name }) => Names.objectOf(name) ?? []))
    const found: Array<UnfinishedUpload> = []
    for (const object of objects) found.push(...(yield* unfinished(api, { ...place, object, uri: uriOf(object) })))
    return found
  })

export const abort = (api: Api, limits: Limits, spot: Spot, token: string): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const { object, segmentContainer } = spot
    const upload = Names.parseToken(segmentContainer, object, token)
    if (upload === undefined) {
      return yield* Fault.make("InvalidConfig", `"${token}" is no upload of this object in "${segmentContainer}"`)
    }
    if ((yield* inUse(api, spot)).has(upload.prefix)) {
      return yield* Fault.make("Conflict", `the upload ${token} is finished: the object is made of its segments`)
    }
    const segments = yield* Objects.list(api, segmentContainer, upload.prefix)
    const names = segments.map(({ name }) => name)
    yield* Objects.removeAll(api, limits, segmentContainer, names)
  })
