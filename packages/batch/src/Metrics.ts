/**
 * What a batch counts of itself, with Effect's `Metric`: whoever exports these, as Prometheus text or by OTLP, sees them.
 * The names are in `docs/metrics.md`. Labels are places, reasons and statuses, never ids or URIs, so that a million lines
 * make no more series than ten.
 *
 * @since 0.1.0
 */
import type { Stats } from "@headrace/core/BlockPool"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type * as Scope from "effect/Scope"
import type { BatchEvent, Wait } from "./BatchEvent.ts"
import { Series } from "./internal/series.ts"
import * as Uri from "./Uri.ts"

/**
 * The counters of a run.
 *
 * @since 0.1.0
 * @category models
 */
export interface Metrics {
  /** Counts an event. */
  readonly event: (event: BatchEvent) => void
  /** Counts commits of the journal. */
  readonly committed: (commits: number) => void
}

/**
 * Where a URI leads, as a label: scheme and authority, nothing of a user or a query. A path is `file://`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const placeOf = (uri: string): string => {
  const match = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)/i.exec(Uri.shown(uri))
  return match === null ? "file://" : `${match[1]!.toLowerCase()}://${match[2]!}`
}

/** What is counted of a line that runs. */
interface Running {
  read: number
  /** By destination. */
  readonly ends: Map<string, { sent: number; counted: number; acknowledged: number }>
}

const seconds = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200]

/** Bytes that came since; fewer than before means that another attempt has begun. */
const more = (now: number, before: number): number => (now >= before ? now - before : now)

/**
 * Makes the counters; `pool` is asked when somebody looks.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: { readonly pool?: () => Stats }): Effect.Effect<Metrics, never, Scope.Scope> =>
  Effect.gen(function* () {
    const context = yield* Effect.context<never>()
    const clock = yield* Clock.Clock
    const counter = (name: string, description: string, labels: ReadonlyArray<string> = []) =>
      new Series((attributes) => Metric.counter(name, { description, attributes, incremental: true }), labels, context)
    const gauge = (name: string, description: string) => Metric.gauge(name, { description })

    const read = counter("headrace_read_bytes_total", "Bytes read from sources, retries included")
    const sent = counter("headrace_sent_bytes_total", "Body bytes handed to sockets, retries included", ["place"])
    const acknowledged = counter("headrace_acknowledged_bytes_total", "Bytes that stores have said they hold", [
      "place"
    ])
    const transfers = counter("headrace_transfers_total", "Transfers by what became of them", ["status"])
    const ends = counter("headrace_destinations_total", "Verdicts by place", ["place", "status"])
    const retries = counter("headrace_retries_total", "Failed attempts that were followed by another", [
      "place",
      "reason"
    ])
    const waits = counter("headrace_wait_seconds_total", "Time in which nothing was begun at a place", ["place", "why"])
    const commits = counter("headrace_journal_commits_total", "Commits of the journal")
    const duration = Metric.histogram("headrace_transfer_duration_seconds", {
      description: "Time from a transfer's first request to its last verdict",
      boundaries: seconds
    })

    const lines = new Map<string, Running>()
    const waiting = new Map<string, { readonly wait: Wait; since: number }>()

    /** A gauge that is read when somebody looks, and is gone with the run. */
    const watch = (name: string, description: string, value: () => number) =>
      Effect.acquireRelease(
        Effect.sync(() =>
          Metric.registerUnsafe(gauge(name, description), context, {
            get: () => ({ value: value() }),
            update: () => {},
            modify: () => {}
          })
        ),
        (registration) => Effect.sync(() => registration.remove())
      )
    yield* watch("headrace_transfers_running", "Transfers that run now", () => lines.size)
    yield* watch("headrace_places_waiting", "Places at which nothing is begun for now", () => waiting.size)
    const { pool } = options ?? {}
    if (pool !== undefined) {
      yield* watch("headrace_pool_blocks_in_use", "Blocks of memory in use", () => pool().inUse)
      yield* watch("headrace_pool_blocks_capacity", "Blocks of memory that there are", () => pool().capacity)
      yield* watch("headrace_pool_waiters", "Readers that wait for a block of memory", () => pool().waiters)
    }

    const begin = (event: Extract<TransferEvent, { readonly type: "start" }>) => {
      const counted = event.destinations.map(({ uri }) => [uri, { sent: 0, counted: 0, acknowledged: 0 }] as const)
      lines.set(event.id, { read: 0, ends: new Map(counted) })
    }

    const moved = (event: Extract<TransferEvent, { readonly type: "progress" }>) => {
      const line = lines.get(event.id)
      if (line === undefined) return
      read.add(more(event.read, line.read))
      line.read = event.read
      for (const one of event.destinations) {
        const end = line.ends.get(one.uri)
        if (end === undefined) continue
        const place = placeOf(one.uri)
        const bytes = more(one.sent, end.sent)
        sent.add(bytes, place)
        acknowledged.add(more(one.acknowledged, end.acknowledged), place)
        end.sent = one.sent
        end.counted += bytes
        end.acknowledged = one.acknowledged
      }
    }

    const conclude = (event: Extract<TransferEvent, { readonly type: "receipt" }>) => {
      const line = lines.get(event.id)
      lines.delete(event.id)
      let longest = 0
      for (const { bytesSent, elapsedMs, status, uri } of event.destinations) {
        const place = placeOf(uri)
        ends.add(1, place, status)
        // What no progress has told, as that of an attempt between two looks.
        sent.add(Math.max(0, bytesSent - (line?.ends.get(uri)?.counted ?? 0)), place)
        longest = Math.max(longest, elapsedMs)
      }
      const required = new Set(event.destinations.filter((end) => end.required).map(({ status }) => status))
      const worst = (["failed", "cancelled", "stored"] as const).find((status) => required.has(status))
      transfers.add(1, worst ?? "verified")
      duration.updateUnsafe(longest / 1000, context)
    }

    /** Time that has passed is counted as it passes, not only at a wait's end. */
    const pass = () => {
      const now = clock.currentTimeMillisUnsafe()
      for (const entry of waiting.values()) {
        waits.add(Math.max(0, now - entry.since) / 1000, placeOf(entry.wait.place), entry.wait.why)
        entry.since = now
      }
    }

    const waited = (wait: Wait) => {
      pass()
      const key = `${wait.why} ${wait.place}`
      if (wait.over) waiting.delete(key)
      else if (!waiting.has(key)) waiting.set(key, { wait, since: clock.currentTimeMillisUnsafe() })
    }

    yield* Effect.sleep(1000).pipe(Effect.andThen(Effect.sync(pass)), Effect.forever, Effect.forkScoped)

    return {
      committed: (count) => commits.add(count),
      event: (event) => {
        switch (event.type) {
          case "start":
            return begin(event)
          case "progress":
            return moved(event)
          case "retry":
            return retries.add(1, placeOf(event.uri), event.reason)
          case "receipt":
            return conclude(event)
          case "wait":
            return waited(event)
          default:
            return
        }
      }
    }
  })
