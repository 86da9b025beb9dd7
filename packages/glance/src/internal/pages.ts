/**
 * The list of images, a page at a time. It goes on where the last page ended, also when the image there was deleted
 * meanwhile; a page that is too large to be read is asked for in smaller ones.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Api } from "./api.ts"
import * as Description from "./description.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import type * as GlanceImages from "../GlanceImages.ts"

interface Position {
  /** Ids of the page before, in its order: any of them marks a place in the list. */
  readonly before: ReadonlyArray<string>
  readonly limit: number
}

interface Page {
  readonly images: ReadonlyArray<GlanceImages.Description>
  readonly ids: ReadonlyArray<string>
  readonly more: boolean
}

const what = "the images cannot be listed"

const decode = (json: unknown): Page | undefined => {
  const list = (json as { readonly images?: unknown } | undefined)?.images
  if (!Array.isArray(list)) return undefined
  const images = list.map(Description.decode).filter((image) => image !== undefined)
  const next = (json as { readonly next?: unknown }).next
  return { images, ids: images.map(({ id }) => id), more: typeof next === "string" && images.length > 0 }
}

const get = (api: Api, path: string, { before, limit }: Position): Effect.Effect<Page, Fault.Fault> =>
  Effect.gen(function* () {
    let marker = before.length - 1
    let size = limit
    while (true) {
      const mark = before[marker]
      const reply = yield* api.call({
        method: "GET",
        path: `${path}&limit=${size}${mark === undefined ? "" : `&marker=${encodeURIComponent(mark)}`}`,
        what,
        // Of a marker that is there no more.
        accept: mark === undefined ? [] : [400, 404]
      })
      if (reply.status >= 400) {
        if (marker === 0) {
          return yield* Fault.make("Rejected", `${what}: ${reply.words || `the service answered ${reply.status}`}`, {
            status: reply.status
          })
        }
        marker--
        continue
      }
      const page = decode(reply.json)
      if (page !== undefined) {
        const images = page.images.filter(({ id }) => !before.includes(id))
        if (images.length === 0 && page.more) {
          return yield* Fault.make("Rejected", `${what}: the service gives the same images again and again`)
        }
        return { ...page, images }
      }
      if (size === 1) {
        return yield* Fault.make("Rejected", "the list of images is not one; is this the image service's endpoint?")
      }
      size = Math.ceil(size / 10)
    }
  })

/** Oldest first: what is made meanwhile comes last. */
export const list = (api: Api, query: string, limit: number): Stream.Stream<GlanceImages.Description, Fault.Fault> => {
  const first: Position = { before: [], limit }
  return Stream.paginate(first, (position) =>
    Effect.map(get(api, `/v2/images?sort=created_at:asc${query}`, position), ({ ids, images, more }) => [
      images,
      more ? Option.some({ before: ids, limit }) : Option.none()
    ])
  )
}
