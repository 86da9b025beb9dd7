import type { BatchEvent } from "@headrace/batch/BatchEvent"
import * as Metrics from "@headrace/batch/Metrics"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { describe, expect, it } from "vitest"

const at = "2026-01-01T00:00:00.000Z"
const uri = "glance://new/disk?store=fast"
const signed = "https://user:secret@web.test:8443/x?signature=secret"

const run = (test: Effect.Effect<void, never, Scope.Scope>) =>
  Effect.runPromise(
    Effect.scoped(test).pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Effect.provide(TestClock.layer()))
  )

const start = (id: string): BatchEvent => ({
  type: "start",
  at,
  id,
  source: { uri: "disk", size: 100 },
  destinations: [uri, signed].map((uri) => ({ uri, required: true }))
})

const progress = (id: string, read: number, sent: number, acknowledged = 0): BatchEvent => ({
  type: "progress",
  at,
  id,
  read,
  hashed: read,
  destinations: [{ uri, sent, acknowledged }],
  bytesPerSecond: 1,
  etaMs: null,
  memory: 0
})

const end = { required: true, attempts: 1, startedAt: at, elapsedMs: 700 } as const

const receipt = (id: string, bytesSent = 100): BatchEvent => ({
  type: "receipt",
  at,
  id,
  source: { uri: "disk", size: 100, digests: {} },
  destinations: [
    { ...end, uri, status: "verified", bytesSent },
    { ...end, uri: signed, status: "stored", bytesSent: 100 }
  ]
})

const wait = (over: boolean): BatchEvent => ({
  type: "wait",
  at,
  id: "run",
  place: "glance://new",
  why: "quota",
  message: "full",
  over
})

describe("counters", () => {
  it("count bytes, verdicts, retries and time, by place, and what runs now", () =>
    run(
      Effect.gen(function* () {
        const metrics = yield* Metrics.make()
        metrics.event(start("a"))
        metrics.event(progress("a", 80, 60))
        metrics.event({
          type: "retry",
          at,
          id: "a",
          uri,
          attempt: 1,
          reason: "ConnectionLost",
          message: "secret",
          waitMs: 1
        })
        metrics.event(progress("a", 40, 30))
        expect(yield* PrometheusMetrics.format()).toContain("\nheadrace_transfers_running 1\n")
        metrics.event(progress("a", 100, 100, 100))
        metrics.event(receipt("a", 160))
        metrics.committed(3)
        const text = yield* PrometheusMetrics.format()
        for (const line of [
          "headrace_read_bytes_total 180",
          'headrace_sent_bytes_total{place="glance://new"} 160',
          'headrace_sent_bytes_total{place="https://web.test:8443"} 100',
          'headrace_acknowledged_bytes_total{place="glance://new"} 100',
          'headrace_transfers_total{status="stored"} 1',
          'headrace_destinations_total{place="glance://new",status="verified"} 1',
          'headrace_retries_total{place="glance://new",reason="ConnectionLost"} 1',
          "headrace_transfers_running 0",
          "headrace_journal_commits_total 3",
          'headrace_transfer_duration_seconds_bucket{le="0.5"} 0',
          'headrace_transfer_duration_seconds_bucket{le="1"} 1',
          "headrace_transfer_duration_seconds_sum 0.7"
        ]) {
          expect(text.split("\n")).toContain(line)
        }
        expect(text).not.toContain("secret")
      })
    ))

  it("count a wait while it lasts", () =>
    run(
      Effect.gen(function* () {
        const metrics = yield* Metrics.make()
        metrics.event(wait(false))
        yield* TestClock.adjust(5000)
        const line = 'headrace_wait_seconds_total{place="glance://new",why="quota"}'
        expect(yield* PrometheusMetrics.format()).toContain(`${line} 5\n`)
        expect(yield* PrometheusMetrics.format()).toContain("headrace_places_waiting 1\n")
        metrics.event(wait(true))
        yield* TestClock.adjust(5000)
        expect(yield* PrometheusMetrics.format()).toContain(`${line} 5\n`)
        expect(yield* PrometheusMetrics.format()).toContain("headrace_places_waiting 0\n")
      })
    ))

  it("ask the pool when somebody looks", () =>
    run(
      Effect.gen(function* () {
        const pool = yield* BlockPool.make({ bytes: 4 * 1024 * 1024 })
        yield* Metrics.make({ pool: pool.stats })
        const share = yield* pool.share(1)
        const block = yield* share.take
        expect(yield* PrometheusMetrics.format()).toContain("headrace_pool_blocks_in_use 1\n")
        block.release()
        const text = yield* PrometheusMetrics.format()
        expect(text).toContain("headrace_pool_blocks_in_use 0\n")
        expect(text).toContain("headrace_pool_blocks_capacity 4\n")
      })
    ))

  it("are no more than a few, whatever the number of places and lines", () =>
    run(
      Effect.gen(function* () {
        const metrics = yield* Metrics.make()
        for (let i = 0; i < 1000; i++) {
          const to = `https://host-${i}.test/x`
          metrics.event({ ...start(`l${i}`), destinations: [{ uri: to, required: true }] } as BatchEvent)
          metrics.event({
            ...receipt(`l${i}`),
            destinations: [{ ...end, uri: to, status: "stored", bytesSent: 1 }]
          } as BatchEvent)
        }
        const text = yield* PrometheusMetrics.format()
        const series = text.split("\n").filter((line) => line.startsWith("headrace_sent_bytes_total"))
        expect(series.length).toBe(201)
        expect(series).toContain('headrace_sent_bytes_total{place="other"} 800')
      })
    ))
})
