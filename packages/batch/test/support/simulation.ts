/**
 * A service as arithmetic, and a scheduler that keeps it as busy as a pace lets it. All on the test clock.
 */
import type { Receipt } from "@headrace/core/Receipt"
import type { Reason } from "@headrace/core/Reason"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Pace from "../../src/Pace.ts"

export const MiB = 1024 * 1024

export interface Service {
  /** The place's name, `glance://a`. */
  readonly place: string
  /** Where the items come from, where that is a place as well. */
  readonly source?: string
  /** Units a second that `running` transfers get together. A unit is a byte; each transfer has 1 MiB of them besides. */
  readonly rate: (running: number, atMs: number) => number
  /** How many it takes at once; it answers 429 to the others, and `Retry-After`. */
  readonly most?: number
  readonly retryAfterMs?: number
  /** Whether it refuses all connections. */
  readonly away?: (atMs: number) => boolean
  /** The size of item `n`. */
  readonly size: (n: number) => number
}

interface Running {
  readonly ticket: Pace.Ticket
  readonly size: number
  left: number
  attempt: number
  told: number
  /** Until when it waits to try again, when it has not been taken. */
  waitsUntil: number
  taken: boolean
}

export interface Simulated {
  readonly service: Service
  running: number
  /** Units done, and what it could have done at best. */
  done: number
  ended: number
  refused: number
  failed: number
  /** Limits by second. */
  readonly limits: Array<number>
  /** Units by second. */
  readonly bySecond: Array<number>
}

const stepMs = 50

const receipt = (
  uri: string,
  size: number,
  error?: { readonly reason: Reason; readonly message: string }
): Receipt => ({
  id: "x",
  source: { uri: "file:///x", size, digests: {} },
  destinations: [
    {
      uri,
      required: true,
      status: error === undefined ? "stored" : "failed",
      attempts: 1,
      bytesSent: size,
      startedAt: "",
      elapsedMs: 0,
      ...(error === undefined ? undefined : { error: { ...error, retryable: true, left: "none" } })
    }
  ]
})

const common = { at: "", id: "x" }

/** Runs items against a service until the fiber is interrupted. `retries` is how often a transfer tries by itself. */
export const run = (pace: Pace.Pace, service: Service, retries = 5) => {
  const state: Simulated = { service, running: 0, done: 0, ended: 0, refused: 0, failed: 0, limits: [], bySecond: [] }
  const { place } = service
  const uri = `${place}/x`
  const source = service.source === undefined ? "file:///x" : `${service.source}/x`
  const places = service.source === undefined ? [place] : [service.source, place]
  const running = new Set<Running>()
  let next = 0
  /** What transfers that ended left of their share, for those that follow them. */
  let spare = 0

  const begin = (now: number) => {
    const size = service.size(next++)
    const ticket = pace.begin(places, { size })
    ticket.event({ ...common, type: "start", source: { uri: source, size }, destinations: [] })
    running.add({ ticket, size, left: size + MiB, attempt: 0, told: now, waitsUntil: now, taken: false })
  }

  const fails = (item: Running, now: number, failure: { reason: Reason; message: string; status?: number }) =>
    Effect.suspend(() => {
      item.attempt++
      item.taken = false
      item.left = item.size + MiB
      if (item.attempt > retries) {
        running.delete(item)
        state.failed++
        item.ticket.event({ ...common, type: "receipt", ...receipt(uri, item.size, failure) })
        return item.ticket.end("requeued")
      }
      const waitMs = failure.status === 429 ? (service.retryAfterMs ?? 1000) : 500 * 2 ** (item.attempt - 1)
      item.waitsUntil = now + waitMs
      item.ticket.event({ ...common, type: "retry", uri, attempt: item.attempt, ...failure, waitMs })
      return Effect.void
    })

  const tried = (item: Running, now: number) => {
    if (item.taken || now < item.waitsUntil) return Effect.void
    if (service.away?.(now) === true) return fails(item, now, { reason: "ConnectionLost", message: "refused" })
    if (state.running >= (service.most ?? Infinity)) {
      state.refused++
      return fails(item, now, { reason: "Unavailable", message: "too many", status: 429 })
    }
    item.taken = true
    const units = Math.min(spare, item.left - 1)
    spare -= units
    item.left -= units
    state.done += units
    state.running++
    return Effect.void
  }

  const step = Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    for (const item of running) {
      if (item.taken && service.away?.(now) === true) {
        state.running--
        yield* fails(item, now, { reason: "ConnectionLost", message: "reset" })
      } else yield* tried(item, now)
    }
    const share = (service.rate(state.running, now) * stepMs) / 1000 / Math.max(1, state.running)
    for (const item of running) {
      if (!item.taken) continue
      const units = Math.min(share, item.left)
      spare += share - units
      item.left -= units
      state.done += units
      const sent = Math.max(0, Math.floor(item.size - item.left))
      if (now - item.told >= 250 && sent > 0) {
        item.told = now
        const destinations = [{ uri, sent, acknowledged: 0 }]
        const rest = { read: sent, hashed: sent, bytesPerSecond: 0, etaMs: null, memory: 0 }
        item.ticket.event({ ...common, type: "progress", destinations, ...rest })
      }
      if (item.left > 0) continue
      running.delete(item)
      state.running--
      state.ended++
      item.ticket.event({ ...common, type: "receipt", ...receipt(uri, item.size) })
      yield* item.ticket.end("good")
    }
  })

  const seconds = Effect.gen(function* () {
    let before = 0
    while (true) {
      yield* Effect.sleep(1000)
      state.bySecond.push(state.done - before)
      before = state.done
      state.limits.push(pace.standing().find((s) => s.place === place)?.limit ?? 0)
    }
  })

  const schedule = Effect.gen(function* () {
    while (true) {
      while (pace.admits(places)) begin(yield* Clock.currentTimeMillis)
      yield* pace.changed
    }
  })

  return Effect.gen(function* () {
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(stepMs), step)))
    yield* Effect.forkScoped(seconds)
    yield* Effect.forkScoped(schedule)
    return state
  })
}

/** Units a second from one second to another. */
export const rateOf = ({ bySecond }: Simulated, from: number, to: number): number =>
  bySecond.slice(from, to).reduce((sum, units) => sum + units, 0) / (to - from)

/** Grows with each transfer up to `k`, and falls after it: with twice as many, to `2 ** -fall`. */
export const peak =
  (k: number, fall = 1, perTransfer = 4 * MiB) =>
  (running: number): number =>
    perTransfer * (running <= k ? running : k * (k / running) ** fall)
