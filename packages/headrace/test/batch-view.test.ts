import type { BatchEvent, Summary } from "@headrace/batch/BatchEvent"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import * as BatchProgress from "../src/BatchProgress.ts"
import * as BatchText from "../src/BatchText.ts"
import * as View from "../src/BatchView.ts"
import * as Text from "../src/Text.ts"
import * as Screen from "./support/screen.ts"

const mebibyte = 1024 * 1024
const at = "2026-01-01T00:00:00.000Z"
const uri = "glance://new/disk?store=fast"

const batch = (lines: number, bytes: number, unsized = 0): BatchEvent => ({
  type: "batch",
  at,
  id: "run",
  lines,
  bytes,
  unsized,
  done: 0,
  failed: 0
})

const start = (id: string, size: number | null = mebibyte): BatchEvent => ({
  type: "start",
  at,
  id,
  source: { uri: `files/${id}`, size },
  destinations: [{ uri, required: true }]
})

const progress = (id: string, sent: number, bytesPerSecond = mebibyte): BatchEvent => ({
  type: "progress",
  at,
  id,
  read: sent,
  hashed: sent,
  destinations: [{ uri, sent, acknowledged: 0 }],
  bytesPerSecond,
  etaMs: null,
  memory: mebibyte
})

const end = { uri, required: true, attempts: 1, startedAt: at, elapsedMs: 10 } as const
const error = { reason: "QuotaExceeded", message: "it is full", retryable: false, status: 413, left: "none" } as const

const good = (id: string, size = mebibyte): BatchEvent => ({
  type: "receipt",
  at,
  id,
  source: { uri: `files/${id}`, size, digests: {} },
  destinations: [{ ...end, status: "verified", bytesSent: size }]
})

const bad = (id: string): BatchEvent => ({
  type: "receipt",
  at,
  id,
  source: { uri: `files/${id}`, size: mebibyte, digests: {} },
  destinations: [{ ...end, status: "failed", bytesSent: 0, error }]
})

const retry = (id: string): BatchEvent => ({
  type: "retry",
  at,
  id,
  uri,
  attempt: 1,
  reason: "ConnectionLost",
  message: "the connection was reset",
  waitMs: 3000
})

const wait = (over: boolean): BatchEvent => ({
  type: "wait",
  at,
  id: "run",
  place: "glance://new",
  why: "quota",
  message: "image_count_uploading is full",
  over
})

const viewOf = (events: ReadonlyArray<BatchEvent>, now = 0): View.View => {
  const view = View.make()
  for (const event of events) View.take(view, event, now)
  return view
}

const shown = (view: View.View, columns = 79, rows = 24, unicode = true, now = 0) =>
  BatchText.lines(view, { columns, rows, unicode, now })

describe("the table", () => {
  it("says how far all is by bytes, those that run included", () => {
    const view = viewOf([
      batch(4, 4 * mebibyte),
      start("a"),
      progress("a", mebibyte),
      good("a"),
      start("b"),
      progress("b", mebibyte / 2)
    ])
    const [bar, counts] = shown(view)
    expect(bar).toMatch(/^ 37 % █+░+ {2}1\.50 MiB of 4\.00 MiB$/)
    expect(counts).toBe("1 done · 0 failed · 1 running · 2 to do")
  })

  it("goes by lines where a size is not known", () => {
    const [bar] = shown(viewOf([batch(4, 3 * mebibyte, 1), start("a", null), good("a")]))
    expect(bar).toMatch(/^ 25 % █+░+ {2}1 of 4 lines$/)
  })

  it("tells the pace of the last seconds and of the whole, and what is left", () => {
    const view = viewOf([batch(100, 100 * mebibyte)])
    for (let second = 1; second <= 20; second++) {
      const id = `line-${second}`
      View.rates(view, second * 1000)
      // Slow at first, then four times as fast.
      if (second > 10 || second % 4 === 0) {
        View.take(view, start(id), second * 1000)
        View.take(view, good(id), second * 1000)
      }
    }
    const [bar, , pace] = shown(view, 100, 24, true, 20_000)
    expect(bar).toMatch(/12\.0 MiB of 100 MiB {2}2m27s left$/)
    expect(pace).toBe("1.00 MiB/s now, 614 KiB/s on the whole · 1 lines/s · sent 12.0 MiB")
  })

  it("counts bytes of failed attempts as sent, and not as done", () => {
    const view = viewOf([
      batch(1, mebibyte),
      start("a"),
      progress("a", mebibyte / 2),
      retry("a"),
      progress("a", mebibyte / 4)
    ])
    expect(view.sent).toBe(0.75 * mebibyte)
    expect(view.moved).toBe(0.25 * mebibyte)
    expect(shown(view).join("\n")).toMatch(/retries ConnectionLost 1[\s\S]*attempt 2/)
    const [done] = shown(viewOf([batch(1, mebibyte), bad("a")]))
    expect(done).toMatch(/^ {0,2}100 %/)
  })

  it("shows waits with their reason and how long, until they are over", () => {
    const view = viewOf([batch(1, 1), wait(false)])
    expect(shown(view, 100, 24, true, 5000)[3]).toBe(
      "glance://new is waited for (quota) since 5.0s: image_count_uploading is full"
    )
    View.take(view, wait(true), 6000)
    expect(shown(view).join("\n")).not.toContain("waited")
  })

  it("names the slowest first, and those that have just begun last", () => {
    const view = viewOf([batch(3, 3 * mebibyte), start("fast"), start("slow"), start("new")])
    View.take(view, progress("fast", 10, 1000), 0)
    View.take(view, progress("slow", 10, 10), 0)
    expect(View.slowest(view, 3, 100).map(({ id }) => id)).toEqual(["slow", "fast", "new"])
    expect(View.slowest(view, 3, 5000).map(({ id }) => id)).toEqual(["new", "slow", "fast"])
  })

  it.each([
    [80, 24],
    [40, 12],
    [200, 50],
    [20, 5],
    [10, 3],
    [1, 1]
  ])("fits %i columns and %i rows, whatever there is to show", (columns, rows) => {
    const events = [batch(1000, 1000 * mebibyte), wait(false)]
    for (let i = 0; i < 60; i++) events.push(start(`a very long name 図 of a line ${i}`), retry(`x${i}`), bad(`b${i}`))
    for (const unicode of [true, false]) {
      const lines = shown(viewOf(events), columns, rows, unicode)
      expect(lines.length).toBeLessThanOrEqual(Math.max(1, rows - 2))
      expect(Math.max(...lines.map(Text.width))).toBeLessThanOrEqual(columns)
      expect(rows < 24 || lines.some((line) => line.startsWith("failed b59"))).toBe(true)
    }
  })

  it("keeps to ASCII where the terminal does, also where a line is cut", () => {
    const view = viewOf([batch(10, 10), start("a".repeat(100)), bad("b".repeat(100))])
    expect(shown(view, 40, 24, false).join("")).toMatch(/^[ -~]*$/)
  })

  it("does not let names write to the terminal", () => {
    const view = viewOf([batch(10, 10), start("a\u001b[2J"), bad("b\nc\u202e")])
    // oxlint-disable-next-line no-control-regex -- this is what must not be there
    expect(shown(view).join("")).not.toMatch(/[\u0000-\u001f\u202e]/)
  })
})

describe("a million lines", () => {
  it("take little time, and no memory beyond what runs", () => {
    const view = viewOf([batch(1_000_000, 1_000_000 * mebibyte)])
    const began = performance.now()
    for (let i = 0; i < 1_000_000; i++) {
      const id = String(i)
      View.take(view, start(id), i / 100)
      View.take(view, progress(id, mebibyte), i / 100)
      View.take(view, i % 1000 === 0 ? bad(id) : good(id), i / 100)
    }
    expect(view.running.size).toBe(0)
    expect(view.done + view.failed).toBe(1_000_000)
    expect([view.firstFailed.length, view.lastFailed.length, view.samples.length]).toEqual([20, 8, 10])
    // 100,000 events a second, with much to spare for a machine that is busy.
    expect(performance.now() - began).toBeLessThan(30_000)
  }, 60_000)
})

const summaryOf = (more: Partial<Summary> = {}): Summary => ({
  type: "summary",
  at,
  id: "run",
  verified: 900,
  stored: 0,
  skipped: 4,
  failed: 0,
  cancelled: 0,
  remaining: 0,
  bytes: 900 * mebibyte,
  bytesSent: 1000 * mebibyte,
  elapsedMs: 10_000,
  ...more
})

describe("the summary", () => {
  it("of a run where all went well is two lines", () => {
    const view = viewOf([batch(904, 1)])
    expect(BatchText.summary(view, summaryOf(), { again: "again", repair: "repair" })).toEqual([
      "900 verified, 4 there already",
      "900 MiB in 10.0s, sent 1000 MiB at 100 MiB/s"
    ])
  })

  it("lists twenty failures, says how many more, and what to do next", () => {
    const events = [batch(30, 1), retry("l0")]
    for (let i = 0; i < 25; i++) events.push(bad(`l${i}`))
    const lines = BatchText.summary(viewOf(events), summaryOf({ failed: 25, remaining: 1 }), {
      again: "headrace run m.ndjson --retry-failed",
      repair: "headrace repair m.ndjson.journal"
    })
    expect(lines[1]).toMatch(/, retries ConnectionLost 1$/)
    expect(lines.filter((line) => line.startsWith("failed "))).toHaveLength(20)
    expect(lines[2]).toBe("failed l0: QuotaExceeded (413): it is full")
    expect(lines.slice(-4)).toEqual([
      "and 5 more failed",
      "to do the failed lines again: headrace run m.ndjson --retry-failed",
      "what was not begun, or was cut off: the same command goes on with it",
      "to look at what is there, and redo what is missing: headrace repair m.ndjson.journal"
    ])
  })
})

describe("the display", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] })
    vi.stubEnv("LC_ALL", "C.UTF-8")
    vi.stubEnv("TERM", "xterm")
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllEnvs()
  })

  it("redraws at most ten times a second and leaves nothing at the end", () => {
    const screen = Screen.make(80)
    let writes = 0
    const display = BatchProgress.make({ output: { ...screen, write: (text) => (writes++, screen.write(text)) } })
    display.event(batch(1000, 1000 * mebibyte))
    for (let i = 0; i < 1000; i++) {
      vi.advanceTimersByTime(2)
      display.event(start(`l${i}`))
      display.event(good(`l${i}`))
    }
    expect(screen.shown()[0]).toMatch(/^ {0,3}\d+ % █/)
    display.end()
    expect(writes).toBeGreaterThan(10)
    expect(writes).toBeLessThanOrEqual(22)
    expect(screen.shown().join("")).toBe("")
  })

  const logged = (lines: number) => {
    let text = ""
    const display = BatchProgress.make({ output: { write: (more) => (text += more) } })
    display.event(batch(lines, lines * mebibyte))
    display.event(start("a"))
    display.event(retry("a"))
    display.event(wait(false))
    display.event({ type: "verdict", at, id: "a", ...end, status: "verified", bytesSent: 1 })
    display.event({ type: "verdict", at, id: "b", ...end, status: "failed", bytesSent: 1, error })
    vi.advanceTimersByTime(10_500)
    display.end()
    return text.split("\n").slice(0, -1)
  }

  it("in a log tells failures, retries and waits at once, and the whole each ten seconds", () => {
    const [retried, waits, failed, whole, ...rest] = logged(1000)
    expect(retried).toBe(`a: ${uri}: attempt 1 failed, ConnectionLost: the connection was reset; next in 3.0s`)
    expect(waits).toBe("glance://new: nothing is begun for now (quota): image_count_uploading is full")
    expect(failed).toBe(`b: ${uri}: failed, QuotaExceeded (413): it is full`)
    expect(whole).toMatch(/^0 %, 0 B of 1000 MiB, 0 done, 0 failed, 1 running, 999 to do, .*since 10\.\ds/)
    expect(rest).toEqual([])
  })

  it("in a log of few lines tells each verdict", () => {
    expect(logged(20)[2]).toBe(`a: ${uri}: verified`)
  })

  it("knows the summary also where it shows nothing", () => {
    let text = ""
    const display = BatchProgress.make({ mode: "none", output: { write: (more) => (text += more) } })
    display.event(batch(1, 1))
    display.event(bad("a"))
    expect(display.summary(summaryOf({ failed: 1 })).at(-1)).toBe("failed a: QuotaExceeded (413): it is full")
    expect(text).toBe("")
  })
})
