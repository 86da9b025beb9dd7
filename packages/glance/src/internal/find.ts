/**
 * An image by its name, which must be the name of one image only.
 */
import * as Effect from "effect/Effect"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"

/** Those that are hidden are in a list of their own. */
const list = (api: Api, name: string, hidden: boolean) =>
  Effect.gen(function* () {
    const reply = yield* api.call({
      method: "GET",
      path: `/v2/images?name=${encodeURIComponent(name)}&limit=100${hidden ? "&os_hidden=true" : ""}`,
      what: "the images cannot be listed"
    })
    const images = Image.decodeList(reply.json)
    if (images === undefined) {
      return yield* Fault.make("Rejected", "the list of images is not one; is this the image service's endpoint?")
    }
    return images.filter((image) => image.name === name)
  })

/** Its id. One that can be read goes before those that cannot. */
export const byName = (api: Api, name: string): Effect.Effect<string, Fault.Fault> =>
  Effect.gen(function* () {
    let images = yield* list(api, name, false)
    if (images.length === 0) images = yield* list(api, name, true)
    const readable = images.filter(({ status }) => status === "active")
    const [first, second] = readable.length > 0 ? readable : images
    if (first === undefined) return yield* Fault.make("NotFound", `there is no image "${name}"`)
    if (second !== undefined) {
      const ids = (readable.length > 0 ? readable : images).map(({ id }) => id)
      const shown = ids.length > 5 ? `${ids.slice(0, 5).join(", ")} and ${ids.length - 5} more` : ids.join(", ")
      return yield* Fault.make("Conflict", `${ids.length} images are called "${name}": give the id, one of ${shown}`)
    }
    return first.id
  })
