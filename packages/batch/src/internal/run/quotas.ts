/**
 * The limits of the image services that a run writes to: each is looked at from when its first line begins.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import type { Line } from "../../Line.ts"
import * as Pace from "../../Pace.ts"
import * as Quota from "../../Quota.ts"
import * as Uri from "../../Uri.ts"

export interface Quotas {
  /** Begins to look at the services that a line goes to. */
  readonly watch: (line: Line) => Effect.Effect<void, never, Transport | Host>
  /**
   * A destination has said that a quota is full: nothing begins there until there is room. False where there never will
   * be, as the object is larger than all that the project may have.
   */
  readonly full: (
    uri: string,
    bytes: number | undefined,
    message: string
  ) => Effect.Effect<boolean, never, Transport | Host>
}

const cloudOf = (text: string) =>
  Effect.gen(function* () {
    const uri = Result.getOrUndefined(Result.try(() => Uri.parseDestination(text)))
    if (uri?._tag !== "Glance") return undefined
    const { destinationFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
    return Result.getOrUndefined(destinationFrom(uri.uri))?.cloud
  })

export const make = (pace: Pace.Pace): Effect.Effect<Quotas, never, Scope.Scope> =>
  Effect.map(Effect.scope, (scope) => {
    const kept = new Map<string, Effect.Effect<Quota.Quota | undefined, never, Transport | Host>>()

    /** Found by the place's name, so that not every line's URI has to be read. */
    const of = (text: string) =>
      Effect.gen(function* () {
        const place = Pace.placeOf(text)
        if (!place.startsWith("glance:")) return undefined
        let quota = kept.get(place)
        if (quota === undefined) {
          quota = yield* Effect.cached(
            Effect.flatMap(cloudOf(text), (cloud) =>
              cloud === undefined ? Effect.undefined : Scope.provide(Quota.keep({ pace, place, at: { cloud } }), scope)
            )
          )
          kept.set(place, quota)
        }
        return yield* quota
      })

    return {
      watch: (line) => Effect.forEach([...line.to, ...line.also], of, { discard: true }),
      full: (uri, bytes, message) =>
        Effect.gen(function* () {
          const quota = yield* of(uri)
          if (quota !== undefined) return (yield* quota.full(bytes, message))._tag !== "Never"
          // Another store says nothing of its limits: it is tried again after a while.
          yield* pace.pause(Pace.placeOf(uri), { why: "quota", message, retryAfterMs: 30_000 })
          return true
        })
    }
  })
