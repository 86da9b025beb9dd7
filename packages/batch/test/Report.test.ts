import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Receipt from "@headrace/core/Receipt"
import { Readable } from "node:stream"
import { describe, expect, it } from "vitest"
import * as Report from "../src/Report.ts"

const begin = Date.parse("2026-03-01T10:00:00.000Z")

type Given = Partial<Receipt.Destination> & { readonly at?: number }

/** A destination that began so many milliseconds after the others' beginning. */
const end = ({ at = 0, ...more }: Given = {}): Receipt.Destination => ({
  uri: "glance://new/one",
  required: true,
  status: "verified",
  attempts: 1,
  bytesSent: 1000,
  startedAt: new Date(begin + at).toISOString(),
  elapsedMs: 100,
  ...more
})

const failed = (reason: Receipt.Failure["reason"], more: Given = {}): Receipt.Destination =>
  end({
    status: "failed",
    error: { reason, message: `it was ${reason}`, retryable: false, left: "none" },
    ...more
  })

const receipt = (id: string, ends: ReadonlyArray<Receipt.Destination> = [end()], size: number | null = 1000) => ({
  id,
  source: { uri: `glance://old/${id}`, size, digests: {} },
  destinations: ends
})

const of = (...values: ReadonlyArray<unknown>) => Effect.runPromise(Report.fromValues(Stream.fromIterable(values)))

const ofText = (text: string | ReadonlyArray<string>) =>
  Effect.runPromise(
    Report.fromReadable(
      () => Readable.from(typeof text === "string" ? [Buffer.from(text)] : text.map((one) => Buffer.from(one))),
      "some.ndjson"
    )
  )

const refused = (text: string) =>
  Effect.runPromise(Effect.flip(Report.fromReadable(() => Readable.from([Buffer.from(text)]), "some.ndjson")))

describe("a report", () => {
  it("counts lines by how they stand, bytes, and the time from the first beginning to the last end", async () => {
    const report = await of(
      receipt("a", [end({ at: 500, elapsedMs: 1500 })], 3000),
      receipt("b", [end({ status: "stored", bytesSent: 700 }), end({ required: false, uri: "s3://bucket/b" })], 700),
      receipt("c", [end({ attempts: 0, bytesSent: 0, elapsedMs: 3 })], 50),
      receipt("d", [failed("Conflict", { bytesSent: 10 })], null),
      receipt("e", [failed("Interrupted", { status: "cancelled", bytesSent: 0 })], null),
      receipt("f", [end(), failed("Forbidden", { required: false, uri: "s3://bucket/f", bytesSent: 0 })])
    )
    expect(report.lines).toEqual({ total: 6, verified: 2, stored: 1, skipped: 1, failed: 1, cancelled: 1 })
    expect([report.bytes, report.bytesSent, report.attempts]).toEqual([4750, 1000 + 700 + 1000 + 10 + 1000, 7])
    expect([report.startedAt, report.endedAt, report.elapsedMs]).toEqual([
      "2026-03-01T10:00:00.000Z",
      "2026-03-01T10:00:02.000Z",
      2000
    ])
    expect(report.bytesPerSecond).toBe(3710 / 2)
    expect(report.reasons).toEqual([
      { reason: "Conflict", count: 1 },
      { reason: "Interrupted", count: 1 }
    ])
    expect([report.failures.total, report.failures.bestEffort]).toEqual([3, 1])
    expect(report.failures.first.map(({ id, reason, required, status }) => [id, reason, required, status])).toEqual([
      ["d", "Conflict", true, "failed"],
      ["e", "Interrupted", true, "cancelled"],
      ["f", "Forbidden", false, "failed"]
    ])
    expect(report.places.map(({ cancelled, failed, good, place }) => [place, good, failed, cancelled])).toEqual([
      ["glance://new", 4, 1, 1],
      ["s3://bucket", 1, 1, 0]
    ])
    // Of 50, 700, 1000 bytes, and of 3000: to 1 KiB, and from 1 to 4 KiB.
    expect(report.sizes).toEqual([
      { from: 1, to: 1024, count: 3, bytes: 1750 },
      { from: 1024, to: 4096, count: 1, bytes: 3000 }
    ])
  })

  it("adds retries up by reason, of all destinations", async () => {
    const report = await of(
      receipt("a", [end({ retried: { Unavailable: 2, Stalled: 1 }, attempts: 4 })]),
      receipt("b", [end({ retried: { Stalled: 3 } }), end({ uri: "s3://bucket/b", retried: { Gone: 1 } })])
    )
    expect(report.retries).toEqual([
      { reason: "Stalled", count: 4 },
      { reason: "Unavailable", count: 2 },
      { reason: "Gone", count: 1 }
    ])
    expect(report.places.map(({ place, retries }) => [place, retries])).toEqual([
      ["glance://new", 6],
      ["s3://bucket", 1]
    ])
  })

  it("lets the last receipt of a line say how it stands, and counts what was sent for all", async () => {
    const report = await of(
      receipt("a", [failed("Unavailable"), failed("Forbidden", { required: false })], null),
      receipt("b", [failed("Conflict")], null),
      receipt("c"),
      receipt("a"),
      receipt("b", [failed("Gone")], null),
      receipt("c")
    )
    expect(report.lines).toEqual({ total: 3, verified: 2, stored: 0, skipped: 0, failed: 1, cancelled: 0 })
    expect(report.read).toMatchObject({ receipts: 6, repeated: 3, unchecked: 0 })
    expect(report.reasons).toEqual([{ reason: "Gone", count: 1 }])
    expect(report.failures).toMatchObject({ total: 1, bestEffort: 0 })
    expect(report.failures.first.map(({ id, reason }) => [id, reason])).toEqual([["b", "Gone"]])
    expect([report.bytes, report.bytesSent]).toEqual([2000, 7000])
  })

  it("tells percentiles within what it says, of thousands of times", async () => {
    // 1 ms to 10 s, evenly, in a jumble.
    const times = Array.from({ length: 10_000 }, (_, index) => 1 + ((index * 7919) % 10_000))
    const { times: told } = await of(...times.map((elapsedMs, index) => receipt(`${index}`, [end({ elapsedMs })])))
    expect(told.count).toBe(10_000)
    for (const [value, exact] of [
      [told.p50, 5000],
      [told.p90, 9000],
      [told.p95, 9500],
      [told.p99, 9900]
    ] as const) {
      expect(Math.abs(value / exact - 1)).toBeLessThanOrEqual(told.within + 0.0005)
    }
    expect(told.max).toBe(10_000)
    expect(told.histogram.reduce((sum, { count }) => sum + count, 0)).toBe(10_000)
    for (const [index, bar] of told.histogram.slice(1).entries()) expect(bar.from).toBe(told.histogram[index]!.to)
  })

  it("does not count what failed, or was there already, among the times", async () => {
    const { times } = await of(
      receipt("a", [end({ elapsedMs: 40 })]),
      receipt("b", [failed("Stalled", { elapsedMs: 60_000 })]),
      receipt("c", [end({ attempts: 0, bytesSent: 0, elapsedMs: 1 })])
    )
    expect(times).toMatchObject({ count: 1, p50: 40, p99: 40, max: 40 })
  })

  it("spreads what was sent over the time that it took, in spans that stay few", async () => {
    const hour = 3_600_000
    for (const length of [50, 1000, hour, 9000 * hour]) {
      const report = await of(
        // The later one comes first: receipts come in the order of their ends at best.
        receipt("b", [end({ at: length / 2, elapsedMs: length / 2, bytesSent: 3_000_000 })]),
        receipt("a", [end({ elapsedMs: length / 2, bytesSent: 1_000_000 })])
      )
      const { from, spanMs, spans } = report.timeline
      expect(spans.length).toBeLessThanOrEqual(600)
      expect(spans.reduce((sum, { sent }) => sum + sent, 0)).toBeCloseTo(4_000_000, -3)
      expect(spans.reduce((sum, { ended }) => sum + ended, 0)).toBe(2)
      expect(Date.parse(from!)).toBeLessThanOrEqual(begin)
      expect(Date.parse(from!) + spans.length * spanMs).toBeGreaterThanOrEqual(begin + length)
      if (length < 1000) continue
      const middle = Math.floor((begin + length / 2 - Date.parse(from!)) / spanMs)
      const before = spans.slice(0, middle).reduce((sum, { sent }) => sum + sent, 0)
      // But for the span in which the middle is.
      expect(Math.abs(before - 1_000_000)).toBeLessThan((3_000_000 * spanMs) / (length / 2) + 2)
    }
  })

  it("keeps the slowest, the slowest first, and of failures ten thousand", async () => {
    const ends = Array.from({ length: 12_000 }, (_, index) =>
      receipt(`line ${index}`, [failed("Unavailable", { elapsedMs: (index * 7919) % 12_000, attempts: 3 })], null)
    )
    const report = await of(...ends)
    expect(report.slowest.map(({ elapsedMs }) => elapsedMs)).toEqual(
      Array.from({ length: 20 }, (_, index) => 11_999 - index)
    )
    expect(report.failures.total).toBe(12_000)
    expect(report.failures.first).toHaveLength(10_000)
    expect(report.failures.first.at(-1)!.id).toBe("line 9999")
    expect(report.reasons).toEqual([{ reason: "Unavailable", count: 12_000 }])
    // All but one are done again: nothing of them is left, also of those that were not kept.
    const again = await of(...ends, ...ends.slice(1).map(({ id }) => receipt(id)))
    expect(again.lines).toMatchObject({ total: 12_000, verified: 11_999, failed: 1 })
    expect(again.reasons).toEqual([{ reason: "Unavailable", count: 1 }])
    expect([again.failures.total, again.failures.first.map(({ id }) => id)]).toEqual([1, ["line 0"]])
  })

  it("shows no secret of a URI, and cuts a message that has no end", async () => {
    const report = await of(
      receipt("a", [
        failed("Forbidden", {
          uri: "https://user:secret@host/a?X-Signature=secret",
          error: { reason: "Forbidden", message: "x".repeat(100_000), retryable: false, status: 403, left: "none" }
        })
      ])
    )
    expect(JSON.stringify(report)).not.toContain("secret")
    expect(report.places[0]!.place).toBe("https://host")
    expect(report.failures.first[0]!.message.length).toBe(1001)
    expect(report.failures.first[0]!.code).toBe(403)
  })

  it("of nothing is a report of nothing", async () => {
    const report = await ofText("")
    expect(report.lines.total).toBe(0)
    expect([report.startedAt, report.elapsedMs, report.bytesPerSecond, report.timeline.spans]).toEqual([null, 0, 0, []])
  })
})

describe("lines that are read", () => {
  const json = (value: unknown) => `${JSON.stringify(value)}\n`

  it("may be receipts or events; other events are left out, wrong lines are told by number", async () => {
    const at = "2026-03-01T10:00:00.000Z"
    const report = await ofText(
      json({ type: "batch", at, id: "run", lines: 2 }) +
        json({ type: "receipt", at, ...receipt("a") }) +
        "{nonsense\n" +
        "\r\n" +
        json({ type: "tomorrow", at, id: "x" }) +
        json(receipt("b")) +
        json({ id: "c", source: { uri: "x", size: 1 }, destinations: [{ uri: "y", required: true, status: "fine" }] }) +
        json(["a"]) +
        json({ ...receipt("d"), destinations: [{ ...end(), elapsedMs: -1 }] }) +
        json({ ...receipt("e"), destinations: [{ ...end(), status: "failed" }] }) +
        `${JSON.stringify(receipt("z"))} {}\n`
    )
    expect(report.lines.total).toBe(2)
    expect(report.read).toMatchObject({ receipts: 2, events: 2, other: 1, wrong: 5, cut: null })
    expect(report.read.firstWrong.map(({ number, why }) => `${number}: ${why}`)).toEqual([
      expect.stringMatching(/^3: this is not JSON: /),
      "7: destinations[0].status: verified, stored, failed or cancelled is allowed",
      "9: destinations[0].elapsedMs: a number from 0 is allowed",
      "10: destinations[0].error: what failed has an error, as an object",
      expect.stringMatching(/^11: this is not JSON: /)
    ])
  })

  it("may be cut off at the end, wherever the chunks of the file end", async () => {
    const whole = json(receipt("a")) + json(receipt("b")) + json(receipt("c"))
    const text = whole.slice(0, -40)
    for (const size of [1, 7, 64, 1000]) {
      const chunks: Array<string> = []
      for (let at = 0; at < text.length; at += size) chunks.push(text.slice(at, at + size))
      const { read } = await ofText(chunks)
      expect(read).toMatchObject({ receipts: 2, wrong: 0, cut: 3 })
    }
    // Without its line end, but whole.
    expect((await ofText(whole.trimEnd())).read).toMatchObject({ receipts: 3, wrong: 0, cut: null })
  })

  it("with none that is a receipt or an event are refused", async () => {
    const manifest = json({ id: "a", source: "/a", to: ["/b"] })
    expect(await refused(manifest)).toMatchObject({
      name: "some.ndjson",
      message: "it holds no receipts as run --receipts or --json writes"
    })
    expect((await refused("PNG\n\u0000\n")).message).toMatch(/writes \(line 1: this is not JSON: /)
  })

  it("that cannot be read any more are an error", async () => {
    const broken = () =>
      Readable.from(
        (async function* () {
          yield Buffer.from(json(receipt("a")))
          throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" })
        })()
      )
    const error = await Effect.runPromise(Effect.flip(Report.fromReadable(broken, "some.ndjson")))
    expect(error.message).toBe("it cannot be read: EIO: i/o error, read")
  })
})
