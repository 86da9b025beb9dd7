/**
 * What a project may have at an image service, and what it has: Keystone's unified limits as Glance applies them.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import type { StoreError } from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Effect from "effect/Effect"
import * as GlanceAccess from "./GlanceAccess.ts"
import * as Api from "./internal/api.ts"
import * as Site from "./internal/site.ts"

/**
 * One limit, and what is used of it: MiB for sizes, images for counts. A limit of -1 is none.
 *
 * @since 0.1.0
 * @category models
 */
export interface Limit {
  readonly limit: number
  readonly usage: number
}

/**
 * The limits by name: `image_size_total`, `image_stage_total`, `image_count_total`, `image_count_uploading`. Empty where
 * the service has none, or does not tell them.
 *
 * @since 0.1.0
 * @category models
 */
export type Usage = Readonly<Record<string, Limit>>

/**
 * Asks for the limits and what is used of them now.
 *
 * @since 0.1.0
 * @category running
 */
export const read = (place: GlanceAccess.Place): Effect.Effect<Usage, StoreError, Transport | Host> =>
  Effect.gen(function* () {
    const access = yield* Effect.mapError(GlanceAccess.of(place), Fault.fromKeystone)
    const site = yield* Site.of(Api.make(access, yield* Transport))
    return yield* site.usage(true)
  }).pipe(Effect.mapError((fault) => Fault.toStoreError(fault, `glance://${GlanceAccess.nameOf(place)}`)))
