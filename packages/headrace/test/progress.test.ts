import * as Progress from "headrace/Progress"
import type { TransferEvent } from "headrace"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import * as Screen from "./support/screen.ts"

const mebibyte = 1024 * 1024
const uri = "glance://prod/disk?store=fast"
const common = { at: "2026-01-01T00:00:00.000Z", id: "one" }

const start = (size: number | null, source = "images/disk.qcow2"): TransferEvent => ({
  type: "start",
  ...common,
  source: { uri: source, size },
  destinations: [{ uri, required: true }]
})

const progress = (sent: number, more?: Partial<TransferEvent>): TransferEvent =>
  ({
    type: "progress",
    ...common,
    read: sent + 3 * mebibyte,
    hashed: sent,
    destinations: [{ uri, sent, acknowledged: 0 }],
    bytesPerSecond: 50 * mebibyte,
    etaMs: 12_000,
    memory: 5 * mebibyte,
    ...more
  }) as TransferEvent

const retry: TransferEvent = {
  type: "retry",
  ...common,
  uri,
  attempt: 1,
  reason: "ConnectionLost",
  message: "the connection was reset",
  waitMs: 3000
}

/** Long enough for the next frame. */
const settle = () => vi.advanceTimersByTime(400)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] })
  vi.stubEnv("LC_ALL", "C.UTF-8")
  vi.stubEnv("TERM", "xterm")
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
})

describe("on a terminal", () => {
  it("shows what, how far, how fast, how long, digests and memory", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte))
    vi.advanceTimersByTime(250)
    display.event(progress(300 * mebibyte))
    settle()
    const [title, bar, state, ...rest] = screen.shown()
    expect(title).toBe("disk.qcow2 → glance://prod/disk")
    expect(bar).toMatch(/^ 50 % █+░+ {2}300 MiB of 600 MiB {2}50\.0 MiB\/s {2}12\.0s left$/)
    expect(Math.abs(bar!.split("█").length - bar!.split("░").length)).toBeLessThanOrEqual(1)
    expect(state).toBe("digests 3.00 MiB behind · memory 5.00 MiB")
    expect(rest).toEqual([])
    display.end()
  })

  it("redraws at most ten times a second, in one write each", () => {
    const screen = Screen.make(80)
    let writes = 0
    const display = Progress.make({ output: { ...screen, write: (text) => (writes++, screen.write(text)) } })
    display.event(start(100 * mebibyte))
    for (let i = 0; i < 1000; i++) {
      vi.advanceTimersByTime(2)
      display.event(progress(i * 100_000))
    }
    display.end()
    expect(writes).toBeGreaterThan(10)
    expect(writes).toBeLessThanOrEqual(22)
  })

  it("counts down to the next attempt, then tells which one runs", () => {
    const screen = Screen.make(100)
    const display = Progress.make({ output: screen })
    display.event(start(100 * mebibyte))
    display.event(retry)
    expect(screen.shown()[2]).toMatch(/^attempt 2 in 3\.0s after ConnectionLost: the connection was reset · /)
    vi.advanceTimersByTime(2000)
    expect(screen.shown()[2]).toMatch(/^attempt 2 in 1\.0s after /)
    vi.advanceTimersByTime(1500)
    display.event(progress(mebibyte))
    expect(screen.shown()[2]).toMatch(/^attempt 2 · digests/)
    display.end()
  })

  it("without a size there is no bar and no percent", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(start(null, "-"))
    vi.advanceTimersByTime(250)
    display.event(progress(3 * mebibyte, { etaMs: null }))
    settle()
    expect(screen.shown().slice(0, 2)).toEqual(["standard input → glance://prod/disk", "3.00 MiB  50.0 MiB/s"])
    display.end()
  })

  it("says that all is sent when the answer is waited for, and 100 % not before", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(start(100 * mebibyte))
    vi.advanceTimersByTime(250)
    display.event(progress(100 * mebibyte - 1))
    settle()
    expect(screen.shown()[1]).toMatch(/^ 99 %/)
    vi.advanceTimersByTime(250)
    display.event(progress(100 * mebibyte))
    settle()
    expect(screen.shown()[1]).toMatch(/^100 % █+ .*all sent, waiting for the answer$/)
    display.end()
  })

  it("fits the terminal's width, also when it is made narrower meanwhile", () => {
    const screen = Screen.make(80)
    screen.write("$ headrace\n")
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte, "a-very-long-name-of-a-disk-image-that-takes-much-room-日本語.qcow2"))
    for (const columns of [80, 40, 21, 10, 60]) {
      screen.columns = columns
      vi.advanceTimersByTime(250)
      display.event(progress(300 * mebibyte))
      settle()
      for (const row of screen.shown().slice(1)) expect(row.length).toBeLessThan(columns)
    }
    display.end()
  })

  it("takes a terminal that does not know its size for one of 80 columns", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: { ...screen, columns: 0 } })
    display.event(start(600 * mebibyte))
    vi.advanceTimersByTime(250)
    display.event(progress(300 * mebibyte))
    settle()
    expect(screen.raw()).not.toContain("Infinity")
    expect(screen.shown()[0]).toBe("disk.qcow2 → glance://prod/disk")
    expect(screen.shown()).toHaveLength(3)
    display.end()
  })

  it("leaves a clean screen, and the cursor as it was", () => {
    const screen = Screen.make(80)
    screen.write("$ headrace\n")
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte))
    display.event(progress(mebibyte))
    display.end()
    display.end()
    display.event(progress(2 * mebibyte))
    vi.advanceTimersByTime(5000)
    expect(screen.shown()).toEqual(["$ headrace", ""])
    expect(screen.raw()).not.toContain("?25")
  })

  it("writes notes above the live lines", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte))
    display.note("a note")
    expect(screen.shown()[0]).toBe("a note")
    expect(screen.shown()[1]).toBe("disk.qcow2 → glance://prod/disk")
    expect(screen.shown()).toHaveLength(4)
    display.end()
  })

  it("starts anew below what the shell has written after a stop", () => {
    const screen = Screen.make(80)
    const listeners = process.listenerCount("SIGCONT")
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte))
    screen.write("\nStopped\n")
    process.emit("SIGCONT", "SIGCONT")
    vi.advanceTimersByTime(250)
    expect(screen.shown()).toContain("Stopped")
    display.end()
    expect(process.listenerCount("SIGCONT")).toBe(listeners)
  })

  it("keeps to ASCII where the locale knows no more, and no control character reaches the terminal", () => {
    vi.stubEnv("LC_ALL", "C")
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(start(600 * mebibyte, "evil\u001b[2J\nname"))
    vi.advanceTimersByTime(250)
    display.event(progress(300 * mebibyte))
    settle()
    expect(screen.shown()[0]).toBe("evil\\u001b[2J name -> glance://prod/disk")
    expect(screen.shown()[1]).toMatch(/^ 50 % #+-+ /)
    display.end()
  })
})

describe("several destinations", () => {
  const uris = ["glance://prod/disk?store=fast", "glance://prod/disk?store=slow", "s3://images/disk", "backup/disk.raw"]
  const begin: TransferEvent = {
    type: "start",
    ...common,
    source: { uri: "disk.raw", size: 100 * mebibyte },
    destinations: uris.map((uri, index) => ({ uri, required: true, ...(index === 1 ? { copyOf: uris[0]! } : {}) }))
  }
  const sent = (...mebibytes: ReadonlyArray<number>) =>
    progress(0, {
      read: 60 * mebibyte,
      hashed: 60 * mebibyte,
      destinations: uris.map((uri, index) => ({ uri, sent: mebibytes[index]! * mebibyte, acknowledged: 0 }))
    })
  const failed: TransferEvent = {
    type: "verdict",
    ...common,
    uri: uris[3]!,
    required: false,
    status: "failed",
    attempts: 1,
    bytesSent: 0,
    startedAt: common.at,
    elapsedMs: 1,
    error: { reason: "QuotaExceeded", message: "no room", retryable: false, left: "none" }
  }

  it("have a line each; what the service copies by itself has no bar, and what failed holds nothing back", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: screen })
    display.event(begin)
    vi.advanceTimersByTime(250)
    display.event(sent(50, 0, 25, 10))
    display.event(failed)
    display.event({ ...retry, uri: uris[2]! })
    settle()
    const rows = screen.shown()
    expect(rows[0]).toBe("disk.raw → 4 destinations")
    expect(rows[1]).toMatch(/^ 25 % █{4}░{12} {2}25\.0 MiB of 100 MiB {2}/)
    expect(rows.slice(2, 6)).toEqual([
      " 50 % ████████░░░░░░░░  50.0 MiB  glance://prod/disk",
      `${" ".repeat(34)}glance://prod/disk?store=slow  not copied yet`,
      expect.stringMatching(/^ 25 % ████░{12} {2}25\.0 MiB {2}s3:\/\/images\/disk +attempt 2 in/) as unknown,
      " 10 % █░░░░░░░░░░░░░░░  10.0 MiB  backup/disk.raw                failed"
    ])
    expect(rows[6]).toBe("digests up to date · memory 5.00 MiB")
    expect(rows).toHaveLength(7)
    display.end()
  })

  it("are as many as the terminal has room for", () => {
    const screen = Screen.make(80)
    const display = Progress.make({ output: { ...screen, rows: 7 } })
    display.event(begin)
    vi.advanceTimersByTime(250)
    display.event(sent(50, 0, 25, 10))
    settle()
    expect(screen.shown().slice(2, 5)).toEqual([
      expect.stringContaining("glance://prod/disk") as unknown,
      expect.stringContaining("glance://prod/disk?store=slow") as unknown,
      "and 2 more"
    ])
    expect(screen.shown()).toHaveLength(6)
    display.end()
  })

  it("are each in a log's line", () => {
    let text = ""
    const display = Progress.make({ mode: "plain", output: { write: (more) => (text += more) } })
    display.event(begin)
    display.event(sent(50, 0, 25, 10))
    vi.advanceTimersByTime(10_000)
    expect(text).toContain(
      ", glance://prod/disk 50 %, glance://prod/disk?store=slow not copied yet, s3://images/disk 25 %, backup/disk.raw 10 %, digests"
    )
    display.end()
  })
})

describe("elsewhere", () => {
  const log = (mode?: Progress.Mode) => {
    let text = ""
    const display = Progress.make({
      ...(mode === undefined ? {} : { mode }),
      output: { write: (more) => (text += more) }
    })
    return { display, lines: () => text.split("\n").slice(0, -1) }
  }

  it("writes a line each ten seconds", () => {
    const { display, lines } = log()
    display.event(start(600 * mebibyte))
    for (let i = 0; i < 100; i++) {
      vi.advanceTimersByTime(250)
      display.event(progress(300 * mebibyte))
    }
    expect(lines()).toHaveLength(2)
    expect(lines()[0]).toBe(
      "disk.qcow2: 300 MiB of 600 MiB, 50 %, 50.0 MiB/s, 12.0s left, digests 3.00 MiB behind, memory 5.00 MiB"
    )
    display.end()
    vi.advanceTimersByTime(60_000)
    expect(lines()).toHaveLength(2)
  })

  it("writes retries and good verdicts at once", () => {
    const { display, lines } = log("plain")
    display.event(start(600 * mebibyte))
    display.event(retry)
    const verdict = { uri, required: true, attempts: 2, bytesSent: 1, startedAt: common.at, elapsedMs: 1 }
    display.event({ type: "verdict", ...common, ...verdict, status: "verified" })
    expect(lines()).toEqual([
      `${uri}: attempt 1 failed, ConnectionLost: the connection was reset; next in 3.0s`,
      `${uri}: verified`
    ])
    display.end()
  })

  it("plain is plain on a terminal too, a dumb terminal is none, none writes nothing", () => {
    const screen = Screen.make(80)
    const plain = Progress.make({ mode: "plain", output: screen })
    plain.event(start(1))
    plain.event(retry)
    expect(screen.raw()).not.toContain("\u001b")
    plain.end()
    vi.stubEnv("TERM", "dumb")
    const dumb = Progress.make({ output: screen })
    dumb.event(start(1))
    expect(screen.raw()).not.toContain("\u001b")
    dumb.end()
    const { display, lines } = log("none")
    display.event(start(1))
    display.event(retry)
    vi.advanceTimersByTime(60_000)
    expect(lines()).toEqual([])
  })
})
