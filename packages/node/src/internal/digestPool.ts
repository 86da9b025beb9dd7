/**
 * The digest workers of a process: made when they are needed, used by one hashing after the other, ended with the
 * scope. There are no more of one kind than the machine has processors; beyond that, hashings share a worker.
 */
import { availableParallelism } from "node:os"
import type { Algorithm } from "@headrace/core/Digest"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { Lane } from "./digestLane.ts"
import type { Engine } from "./digestRing.ts"

export interface Pool {
  /** The worker for an algorithm that has the least to do. */
  readonly lane: (engine: Engine, algorithm: Algorithm) => Lane
}

export const make: Effect.Effect<Pool, never, Scope.Scope> = Effect.gen(function* () {
  const kinds = new Map<string, Set<Lane>>()
  const most = availableParallelism()
  yield* Effect.addFinalizer(() =>
    Effect.promise(() =>
      Promise.all([...kinds.values()].flatMap((lanes) => Array.from(lanes, (lane) => lane.terminate())))
    )
  )
  return {
    lane: (engine, algorithm) => {
      const kind = `${engine} ${algorithm}`
      const lanes = kinds.get(kind) ?? new Set<Lane>()
      kinds.set(kind, lanes)
      let best: Lane | undefined
      for (const lane of lanes) if (best === undefined || lane.load < best.load) best = lane
      if (best !== undefined && (best.load === 0 || lanes.size >= most)) return best
      const made: Lane = new Lane(engine, algorithm, () => lanes.delete(made))
      lanes.add(made)
      return made
    }
  }
})
