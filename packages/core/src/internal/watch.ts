/**
 * Turns a transfer's counters into `progress` events, four a second. Its rate, and the time that is left, are those of the
 * destination that will be the last.
 */
import * as Effect from "effect/Effect"
import * as Monotonic from "../Monotonic.ts"
import type { Moment } from "../Monotonic.ts"
import { BlockPool, blockBytes } from "../BlockPool.ts"
import { Meter } from "../Progress.ts"
import type { Content } from "../Store.ts"
import type { End, Follower } from "./end.ts"
import type { Untimed } from "./entry.ts"

const everyMs = 250

export interface Watched {
  readonly content: Content
  readonly ends: ReadonlyArray<Pick<End<never>, "uri" | "required" | "verdict" | "counters" | "copies">>
  readonly startedAt: Moment
  /** The read that several destinations share. */
  readonly shared: { readonly read: () => number; readonly hashed: () => number } | undefined
  readonly emit: (event: Untimed) => Effect.Effect<void>
}

/** Bytes of the destination that is furthest behind: of those that are still to come, of the required first. */
const sentBySlowest = ({ ends }: Watched): number => {
  const running = ends.filter((end) => end.verdict === undefined)
  const required = running.filter((end) => end.required)
  const behind = required.length > 0 ? required : running.length > 0 ? running : ends
  return Math.min(...behind.map((end) => end.counters.sent))
}

/** Nothing is sent for a copy, and the service has it whole or not at all. */
const copied = ({ uri, verdict }: Follower) => ({
  uri,
  sent: 0,
  acknowledged: verdict?._tag === "Good" ? (verdict.object.size ?? 0) : 0
})

const event = (watched: Watched, bytesPerSecond: number, memory: number): Untimed => {
  const { content, ends, shared } = watched
  // Nobody knows how long a service copies by itself, when that is all that is left.
  const copying = ends.every(({ verdict }) => verdict !== undefined)
  const left = content.size === undefined || copying ? undefined : Math.max(0, content.size - sentBySlowest(watched))
  return {
    type: "progress",
    read: Math.max(shared?.read() ?? 0, ...ends.map(({ counters }) => counters.read)),
    hashed: Math.max(shared?.hashed() ?? 0, ...ends.map(({ counters }) => counters.hashed())),
    destinations: ends.flatMap(({ copies, counters, uri }) =>
      [{ uri, sent: counters.sent, acknowledged: counters.acknowledged }].concat(copies.map(copied))
    ),
    bytesPerSecond: Math.round(bytesPerSecond),
    etaMs: left === undefined || bytesPerSecond <= 0 ? null : Math.round((left * 1000) / bytesPerSecond),
    memory
  }
}

const memoryInUse = Effect.map(BlockPool, (pool) => pool.stats().inUse * blockBytes)

/** Reports for as long as it runs. */
export const report = (watched: Watched): Effect.Effect<never, never, BlockPool> =>
  Effect.gen(function* () {
    const meter = new Meter()
    meter.mark(yield* Monotonic.now, 0)
    while (true) {
      yield* Effect.sleep(everyMs)
      meter.mark(yield* Monotonic.now, sentBySlowest(watched))
      yield* watched.emit(event(watched, meter.bytesPerSecond, yield* memoryInUse))
    }
  })

/** When a destination has ended well: the rate is that of the whole. */
export const last = (watched: Watched): Effect.Effect<Untimed, never, BlockPool> =>
  Effect.gen(function* () {
    const elapsed = Math.max(1, (yield* Monotonic.now) - watched.startedAt.since)
    return event(watched, (sentBySlowest(watched) * 1000) / elapsed, yield* memoryInUse)
  })
