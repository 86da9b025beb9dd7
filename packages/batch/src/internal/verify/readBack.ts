/**
 * Reads an object back, as any source is read, and computes its digests.
 */
import type { BlockPool } from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import { digestsOf } from "../digesting.ts"
import type { Claim } from "./claim.ts"
import { type Found, ofFailure, type There } from "./found.ts"
import type { Target } from "./target.ts"

const sourceOf = (target: Target): Effect.Effect<Source<Transport | Host>> => {
  switch (target._tag) {
    case "Glance": {
      const { cloud, key } = target
      return Effect.map(
        Effect.promise(() => import("@headrace/glance/GlanceSource")),
        ({ image }) => image({ cloud, image: { id: key } })
      )
    }
    case "S3":
      return Effect.map(
        Effect.promise(() => import("@headrace/s3/S3Source")),
        ({ object }) => object(target.place)
      )
    case "Swift": {
      const { cloud, container, key } = target
      return Effect.map(
        Effect.promise(() => import("@headrace/swift/SwiftSource")),
        ({ object }) => object({ cloud, container, object: key })
      )
    }
    case "File":
      return Effect.map(
        Effect.promise(() => import("@headrace/node/FileSource")),
        ({ make }) => make(target.key)
      )
    case "Http":
      return Effect.map(
        Effect.promise(() => import("@headrace/node/HttpSource")),
        ({ make }) => make(target.key)
      )
  }
}

/** What was found before, `seen`, with what is found by reading. */
export const readBack = (
  target: Target,
  { digests }: Claim,
  seen: There
): Effect.Effect<Found, never, Transport | Host | BlockPool> =>
  Effect.gen(function* () {
    const source = yield* sourceOf(target)
    const algorithms = Digest.algorithms.filter((name) => digests[name] !== undefined)
    const read = yield* digestsOf(source, algorithms)
    const mute = algorithms.length === 0 ? "the receipt has no digest" : undefined
    return { ...seen, how: "read" as const, size: read.size, digests: read.digests, mute }
  }).pipe(
    Effect.catch((error): Effect.Effect<Found> => {
      const { message } = error
      if (error._tag === "DigestError")
        return Effect.succeed({ _tag: "Unasked", how: "read", why: message, away: false })
      // Of an object whose segments are not all there.
      return Effect.succeed(
        error.reason._tag === "Conflict" ? { ...seen, how: "read", wrong: message } : ofFailure(error, "read")
      )
    })
  )
