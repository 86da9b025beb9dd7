/**
 * How an image comes to several stores of one service. It is decided before the bytes are sent, as they are sent once:
 *
 * - `Copy`: they go to the first store, and the proven image is copied to the others (`copy-image`). By default that is
 *   for administrators.
 * - `Import`: they go to the staging area, from where the service imports them into all stores (`glance-direct`). That is
 *   for everybody, and costs the service a write more.
 *
 * Where neither can be, the image is sent to the first store, and the copies fail with what is said here.
 */
import * as Effect from "effect/Effect"
import * as Copying from "./copying.ts"
import * as Imports from "./imports.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import type { Site } from "./site.ts"

export type Way =
  | { readonly _tag: "Copy" }
  | {
      readonly _tag: "Import"
      /** Why the image is not copied. */
      readonly why: string
    }
  | { readonly _tag: "Neither"; readonly fault: Fault.Fault }

export const choose = (site: Site): Effect.Effect<Way, Fault.Fault> =>
  Effect.gen(function* () {
    const methods = yield* site.importMethods
    const stages = methods?.includes(Imports.glanceDirect) === true
    const copies = yield* Effect.result(Copying.checkOffered(site))
    // Without stores by name there is nowhere to copy to, and whoever names some is told so.
    if ((yield* site.stores) === undefined) return { _tag: "Copy" }
    if (copies._tag === "Failure") {
      return stages
        ? { _tag: "Import", why: `the service has no ${Imports.copyImage} import` }
        : { _tag: "Neither", fault: copies.failure }
    }
    const right = yield* site.copyRight
    if (right === "yes") return { _tag: "Copy" }
    if (stages) {
      const why =
        right === "no"
          ? "this account may not have images copied"
          : "the service does not say whether this account may have images copied"
      return { _tag: "Import", why }
    }
    if (right === "unknown") return { _tag: "Copy" }
    return {
      _tag: "Neither",
      fault: Fault.make("Forbidden", `${Copying.forAdministrators}, and ${Copying.unstageable}`, { status: 403 })
    }
  })
