/**
 * What transfers run in, made of settings: memory, digests, transport, the machine, and the limit of the process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Bandwidth from "@headrace/core/Bandwidth"
import * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import type { Settings } from "./Settings.ts"

/**
 * A tree of limits with this one at its root.
 *
 * @since 0.1.0
 * @category layers
 */
export const limit = (given: Settings["limit"]): Layer.Layer<never> =>
  given === undefined || given === "off"
    ? Layer.empty
    : Layer.effect(
        Bandwidth.Root,
        Effect.gen(function* () {
          const root = yield* Bandwidth.make({ bytesPerSecond: typeof given === "number" ? given : "off" })
          if (typeof given !== "number") yield* Bandwidth.follow(root, given)
          return root
        })
      )

/**
 * Everything, as the settings want it.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (settings: Settings): Layer.Layer<NodeHeadrace.Services> =>
  Layer.merge(
    NodeHeadrace.layerWith({
      ...(settings.memoryBytes === undefined ? undefined : { memoryBytes: settings.memoryBytes }),
      ...(settings.hasher === undefined ? undefined : { hasher: settings.hasher })
    }),
    limit(settings.limit)
  )
