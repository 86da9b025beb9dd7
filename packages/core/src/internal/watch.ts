/**
 * Turns a transfer's counters into `progress` events, four a second.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { BlockPool, blockBytes } from "../BlockPool.ts"
import { Meter } from "../Progress.ts"
import type { Content } from "../Store.ts"
import type { Counters } from "./attempt.ts"
import type { Untimed } from "./entry.ts"

const everyMs = 250

interface Watched {
  readonly uri: string
  readonly content: Content
  readonly counters: Counters
}

const event = (watched: Watched, acknowledged: number, bytesPerSecond: number, memory: number): Untimed => {
  const { content, counters, uri } = watched
  const left = content.size === undefined ? undefined : content.size - counters.sent
  return {
    type: "progress",
    read: counters.read,
    hashed: counters.hashed(),
    destinations: [{ uri, sent: counters.sent, acknowledged }],
    bytesPerSecond: Math.round(bytesPerSecond),
    etaMs: left === undefined || bytesPerSecond <= 0 ? null : Math.round((left * 1000) / bytesPerSecond),
    memory
  }
}

const memoryInUse = Effect.map(BlockPool, (pool) => pool.stats().inUse * blockBytes)

/** Reports for as long as it runs. */
export const report = (
  watched: Watched & { readonly emit: (event: Untimed) => Effect.Effect<void> }
): Effect.Effect<never, never, BlockPool> =>
  Effect.gen(function* () {
    const meter = new Meter()
    meter.mark(yield* Clock.currentTimeMillis, 0)
    while (true) {
      yield* Effect.sleep(everyMs)
      meter.mark(yield* Clock.currentTimeMillis, watched.counters.sent)
      yield* watched.emit(event(watched, watched.counters.acknowledged, meter.bytesPerSecond, yield* memoryInUse))
    }
  })

/** The last one, of a transfer that ended well: everything is acknowledged, and the rate is that of the whole. */
export const last = (watched: Watched & { readonly startedAt: number }): Effect.Effect<Untimed, never, BlockPool> =>
  Effect.gen(function* () {
    const elapsed = Math.max(1, (yield* Clock.currentTimeMillis) - watched.startedAt)
    const sent = watched.counters.sent
    return event(watched, sent, (sent * 1000) / elapsed, yield* memoryInUse)
  })
