/**
 * Whether this account may have images copied to further stores (policy `copy_image`), found out without copying: it has
 * to be known before the bytes are sent. The service tells it of an image only that is active; of one that is queued it
 * says nothing but that (`glance/api/v2/images.py`, `import_image`, up to release 33).
 */
import * as Effect from "effect/Effect"
import type { Api } from "./api.ts"
import type * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import * as Imports from "./imports.ts"

export type CopyRight = "yes" | "no" | "unknown"

/** No store is called so: in Glance's configuration the name ends at the colon. So nothing comes of a copy to it. */
const nowhere = "no:store"

const listed = [400, 403, 404, 405, 410, 501]

/** An image to ask about: a newer one of the account's own rather than a public one, and none that an import has locked. */
const example = (api: Api): Effect.Effect<Image.ImageRecord | undefined, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "GET",
      path: "/v2/images?limit=20&status=active&sort=created_at:desc",
      what: "the images cannot be listed",
      accept: listed
    }),
    (reply) => {
      const images = (Image.decodeList(reply.json) ?? []).filter(({ importTask }) => importTask === undefined)
      return images.find(({ visibility }) => visibility === "private" || visibility === "shared") ?? images[0]
    }
  )

/** The right is looked at before the store is. */
const ofImage = (api: Api, id: string): Effect.Effect<CopyRight, Fault.Fault> =>
  Effect.map(
    Imports.request(api, {
      id,
      method: Imports.copyImage,
      stores: [nowhere],
      what: "it cannot be found out whether images may be copied to further stores"
    }),
    ({ status, words }) =>
      status === 403 && /copy_image/.test(words)
        ? "no"
        : status === 409 && /store for identifier .* not found|active task/i.test(words)
          ? "yes"
          : "unknown"
  )

/** Where there is no image to ask about: another right that the same people have unless the policy says otherwise. */
const ofStores = (api: Api): Effect.Effect<CopyRight, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "GET",
      path: "/v2/info/stores/detail",
      what: "it cannot be found out whether images may be copied to further stores",
      accept: listed
    }),
    ({ status }) => (status === 200 ? "yes" : status === 403 ? "no" : "unknown")
  )

export const ask = (api: Api): Effect.Effect<CopyRight, Fault.Fault> =>
  Effect.gen(function* () {
    const image = yield* example(api)
    const right = image === undefined ? "unknown" : yield* ofImage(api, image.id)
    return right === "unknown" ? yield* ofStores(api) : right
  })
