/**
 * Images that a destination has already, by name or by content, as the services' own sizes and digests prove. A cloud's
 * images are listed once for a run, when they are first asked for.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import type { Description } from "@headrace/glance/GlanceImages"
import type { Line } from "../../Line.ts"
import * as Catalogue from "../plan/catalogue.ts"
import * as Look from "../plan/existing.ts"
import type * as RunEnds from "./ends.ts"

/** What stands for each of a line's destinations, in their order. */
export type Found = ReadonlyArray<Look.Found & { readonly size: number | undefined }>

export interface Existing {
  /** What stands for all of a line's destinations; `undefined` where one of them has to be made, or cannot be asked. */
  readonly find: (line: Line, opened: RunEnds.Opened) => Effect.Effect<Found | undefined, never, Transport | Host>
}

/** Nobody asked for it. */
export const none: Existing = { find: () => Effect.undefined }

const blank = {
  id: "",
  status: "",
  visibility: undefined,
  protected: false,
  hidden: false,
  owner: null,
  minDisk: 0,
  minRam: 0,
  diskFormat: undefined,
  containerFormat: undefined,
  tags: [],
  stores: [],
  createdAt: undefined,
  updatedAt: undefined,
  properties: {}
} as const

export const make = (
  by: "name" | "hash"
): Effect.Effect<Existing, Catalogue.CatalogueError, Scope.Scope | Transport | Host> =>
  Effect.gen(function* () {
    const catalogue = yield* Catalogue.open
    const clouds: Array<string> = []
    const listings = new Map<string, Effect.Effect<boolean, never, Transport | Host>>()

    const list = (cloud: string, place: number): Effect.Effect<boolean, never, Transport | Host> =>
      Effect.gen(function* () {
        const { list } = yield* Effect.promise(() => import("@headrace/glance/GlanceImages"))
        yield* Stream.runForEach(list({ cloud }, { status: ["active"] }), (image) => catalogue.addThere(place, image))
        return true
      }).pipe(Effect.orElseSucceed(() => false))

    const listed = (cloud: string) =>
      Effect.gen(function* () {
        let listing = listings.get(cloud)
        if (listing === undefined) {
          const place = clouds.push(cloud) - 1
          listing = yield* Effect.cached(list(cloud, place))
          listings.set(cloud, listing)
        }
        return (yield* listing) ? clouds.indexOf(cloud) : undefined
      })

    return {
      find: (line, { description, images }) =>
        Effect.gen(function* () {
          if (images.length === 0 || images.length < line.to.length + line.also.length) return undefined
          const digests = { ...description?.digests, ...line.expect } as Description["digests"]
          const size = description?.size ?? line.size
          if (Object.keys(digests).length === 0 || size === undefined) return undefined
          const found: Array<Look.Found & { readonly size: number | undefined }> = []
          for (const { image } of images) {
            const place = yield* listed(image.cloud)
            if (place === undefined) return undefined
            const wanted: Description = { ...blank, name: image.name, size, digests }
            const { found: one } = yield* Look.look(catalogue, place, wanted, by)
            if (one === undefined) return undefined
            found.push({ ...one, size })
          }
          return found
        }).pipe(Effect.orElseSucceed(() => undefined))
    }
  })
