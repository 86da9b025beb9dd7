/**
 * Images that an earlier upload has made, known by the ids that they were given before: what has become of them, and how
 * they are brought to an end when their upload is no more.
 *
 * @since 0.1.0
 */
import type { Digests } from "@headrace/core/Digest"
import * as Monotonic from "@headrace/core/Monotonic"
import type { Host } from "@headrace/core/Host"
import type { StoredObject } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Effect from "effect/Effect"
import * as GlanceAccess from "./GlanceAccess.ts"
import type { ImageOptions } from "./GlanceStore.ts"
import * as Api from "./internal/api.ts"
import * as Attributes from "./internal/attributes.ts"
import * as Image from "./internal/image.ts"
import * as Places from "./internal/places.ts"
import * as Preflight from "./internal/preflight.ts"

/**
 * What has become of an image: nothing is there, it has no data or not all of it, or it is complete.
 *
 * @since 0.1.0
 * @category models
 */
export type Made =
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Unfinished"; readonly status: string }
  | { readonly _tag: "Complete"; readonly object: StoredObject }

const withApi = <A>(
  place: GlanceAccess.Place,
  uri: string,
  id: string,
  use: (api: Api.Api) => Effect.Effect<A, Fault.Fault>
): Effect.Effect<A, StoreError.StoreError, Transport | Host> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const access = yield* Effect.mapError(GlanceAccess.of(place), Fault.fromKeystone)
    return yield* use(Api.make(access, transport))
  }).pipe(Effect.mapError((fault) => Fault.toStoreError(fault, uri, id)))

const path = (id: string): string => `/v2/images/${encodeURIComponent(id)}`

/**
 * Looks at an image by its id.
 *
 * @since 0.1.0
 * @category reading
 */
export const look = (
  place: GlanceAccess.Place,
  { id, uri }: { readonly id: string; readonly uri: string }
): Effect.Effect<Made, StoreError.StoreError, Transport | Host> =>
  withApi(place, uri, id, (api) =>
    Effect.map(Preflight.get(api, id, `image ${id} cannot be looked at`), (record): Made => {
      if (record === undefined) return { _tag: "Absent" }
      const found = Image.inspection(record)
      if (found._tag === "Absent") return { _tag: "Absent" }
      return found._tag === "Stored" && record.status === "active"
        ? { _tag: "Complete", object: found.object }
        : { _tag: "Unfinished", status: record.status }
    })
  )

const lookEveryMs = 500

/**
 * As `look`, but an image that is `saving` is given 15 s to come to rest: its upload may just be ending, and an image that
 * is deleted at that moment stays in Glance's list for ever, with the status `deleted`.
 *
 * @since 0.1.0
 * @category reading
 */
export const atRest = (
  place: GlanceAccess.Place,
  named: { readonly id: string; readonly uri: string }
): Effect.Effect<Made, StoreError.StoreError, Transport | Host> =>
  Effect.gen(function* () {
    const deadline = (yield* Monotonic.now) + Image.restMs
    while (true) {
      const found = yield* look(place, named)
      const moves = found._tag === "Unfinished" && found.status === "saving"
      if (!moves || (yield* Monotonic.now) >= deadline) return found
      yield* Effect.sleep(lookEveryMs)
    }
  })

/**
 * Deletes an image, protected or not. Succeeds also when there is none; fails with `Conflict` when it is in use.
 *
 * @since 0.1.0
 * @category clean-up
 */
export const remove = (
  place: GlanceAccess.Place,
  { id, uri }: { readonly id: string; readonly uri: string }
): Effect.Effect<void, StoreError.StoreError, Transport | Host> =>
  withApi(place, uri, id, (api) =>
    Effect.gen(function* () {
      const what = `image ${id} cannot be deleted`
      const remove = Preflight.remove(api, id, what)
      let reply = yield* remove
      if (reply.status === 403) {
        yield* api.call({
          method: "PATCH",
          path: path(id),
          what,
          json: [{ op: "replace", path: "/protected", value: false }],
          contentType: Attributes.patchType
        })
        reply = yield* remove
      }
      if (reply.status === 403) return yield* Fault.make("Forbidden", what, { status: 403 })
      if (reply.status === 409) return yield* Fault.make("Conflict", `${what}: it is in use`, { status: 409 })
    })
  )

/**
 * Sets what is set last, when the data is proven, of an image whose upload may have been cut off just before.
 *
 * @since 0.1.0
 * @category clean-up
 */
export const finish = (
  options: GlanceAccess.Place & ImageOptions,
  { id, uri }: { readonly id: string; readonly uri: string }
): Effect.Effect<void, StoreError.StoreError, Transport | Host> =>
  withApi(options, uri, id, (api) => {
    const operations = Attributes.final(Places.wanted(options), options.id !== undefined)
    return operations.length === 0
      ? Effect.void
      : Effect.asVoid(
          api.call({
            method: "PATCH",
            path: path(id),
            what: `image ${id} holds the data, but cannot be finished`,
            json: operations,
            contentType: Attributes.patchType
          })
        )
  })

/**
 * Sets a property of an image.
 *
 * @since 0.1.0
 * @category changing
 */
export const set = (
  place: GlanceAccess.Place,
  { id, key, uri, value }: { readonly id: string; readonly uri: string; readonly key: string; readonly value: string }
): Effect.Effect<void, StoreError.StoreError, Transport | Host> =>
  withApi(place, uri, id, (api) =>
    Effect.asVoid(
      api.call({
        method: "PATCH",
        path: path(id),
        what: `image ${id} cannot be given another ${key}`,
        json: [Attributes.property(key, value)],
        contentType: Attributes.patchType
      })
    )
  )

/**
 * The first of our digests that the image has as well and that is the same: `undefined` when there is none, or one
 * differs.
 *
 * @since 0.1.0
 * @category reading
 */
export const proof = (
  object: StoredObject,
  expected: { readonly size: number | undefined; readonly digests: Digests }
): keyof Digests | undefined => {
  if (expected.size !== undefined && object.size !== expected.size) return undefined
  const common = (Object.keys(expected.digests) as ReadonlyArray<keyof Digests>).filter(
    (name) => object.digests[name] !== undefined
  )
  return common.every((name) => object.digests[name] === expected.digests[name]) ? common[0] : undefined
}
