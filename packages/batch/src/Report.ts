/**
 * Sums up what receipts say: how much, how fast, what failed and why, and what took longest. Receipts come as lines of
 * NDJSON, from a file of receipts or among the events that `--json` prints, or from a journal. They are looked at once,
 * while they pass; memory does not grow with their number.
 *
 * Where a line has several receipts, as one has that failed and was done again, the last says how it stands; bytes that
 * were sent, times and retries are those of all of them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Receipt from "@headrace/core/Receipt"
import type { Readable } from "node:stream"
import { Collector } from "./internal/report/collector.ts"
import type { Count } from "./internal/report/counts.ts"
import * as Reading from "./internal/report/reading.ts"
import type { Bar, Percentiles } from "./internal/report/spread.ts"
import type { JournalError, Noted } from "./Journal.ts"

/**
 * Receipts that cannot be read, or that are none.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReportError extends Data.TaggedError("ReportError")<{
  /** The file, or what was given instead of one. */
  readonly name: string
  readonly message: string
}> {}

/**
 * A destination that failed or was cancelled.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  /** Of the manifest's line, or of the transfer. */
  readonly id: string
  readonly uri: string
  /** False: on best effort. */
  readonly required: boolean
  readonly status: "failed" | "cancelled"
  readonly reason: string
  readonly message: string
  /** HTTP's. */
  readonly code?: number
  /** The source, or its service, is at fault. */
  readonly ofSource?: boolean
  readonly attempts: number
  /** What exists there now. */
  readonly left: string
}

/**
 * A destination that took long.
 *
 * @since 0.1.0
 * @category models
 */
export interface Slow {
  readonly id: string
  readonly uri: string
  readonly status: Receipt.Status
  /** Of the source; `null` where it was not read to its end. */
  readonly size: number | null
  readonly bytesSent: number
  readonly attempts: number
  readonly retries: number
  readonly elapsedMs: number
}

/**
 * What a service or a disk was sent.
 *
 * @since 0.1.0
 * @category models
 */
export interface Place {
  /** Scheme and authority; `others` for those beyond the first 200. */
  readonly place: string
  readonly good: number
  readonly failed: number
  readonly cancelled: number
  readonly sent: number
  readonly retries: number
  /** Milliseconds that those took that came to a good end. */
  readonly p50: number
  readonly p95: number
  readonly max: number
}

/**
 * Sources of a size from (included) and to (not included), in bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Size {
  readonly from: number
  readonly to: number
  readonly count: number
  readonly bytes: number
}

/**
 * The sums.
 *
 * @since 0.1.0
 * @category models
 */
export interface Report {
  /** What was read. */
  readonly read: {
    readonly receipts: number
    /** Events of other types, and JSON that is none: both left out. */
    readonly events: number
    readonly other: number
    /** Receipts of lines that had one before. */
    readonly repeated: number
    /** Receipts that came when there was no room to look for an earlier one of the line: beyond three million lines. */
    readonly unchecked: number
    /** Lines that are wrong, and the first 20 of them. */
    readonly wrong: number
    readonly firstWrong: ReadonlyArray<{ readonly number: number; readonly why: string }>
    /** The number of the last line, where it was cut off. */
    readonly cut: number | null
  }
  /** Lines by how they stand; `skipped` were there already, and proven. */
  readonly lines: {
    readonly total: number
    readonly verified: number
    readonly stored: number
    readonly skipped: number
    readonly failed: number
    readonly cancelled: number
  }
  /** Bytes of the sources that were brought to a good end. */
  readonly bytes: number
  /** Body bytes, of all destinations and attempts. */
  readonly bytesSent: number
  readonly attempts: number
  /** From the first beginning to the last end; `null` where there is no receipt. */
  readonly startedAt: string | null
  readonly endedAt: string | null
  readonly elapsedMs: number
  /** Of `bytesSent`. */
  readonly bytesPerSecond: number
  /** At most 600 spans; what a transfer sent is spread evenly over the time that it took. */
  readonly timeline: {
    readonly from: string | null
    readonly spanMs: number
    readonly spans: ReadonlyArray<{ readonly sent: number; readonly ended: number; readonly failed: number }>
  }
  /** Milliseconds that a destination took, of those that came to a good end; percentiles are off by `within` at most. */
  readonly times: Percentiles & { readonly within: number; readonly histogram: ReadonlyArray<Bar> }
  readonly sizes: ReadonlyArray<Size>
  /** Good lines whose size is not known. */
  readonly unsized: number
  /** Those that were sent the most come first. */
  readonly places: ReadonlyArray<Place>
  /** Attempts that failed and were made again. */
  readonly retries: ReadonlyArray<Count>
  /** Lines that failed or were cancelled. */
  readonly reasons: ReadonlyArray<Count>
  /** The slowest 20. */
  readonly slowest: ReadonlyArray<Slow>
  /** Destinations that failed or were cancelled; those on best effort are among them. Ten thousand are kept. */
  readonly failures: {
    readonly total: number
    readonly bestEffort: number
    readonly first: ReadonlyArray<Failure>
  }
}

const collect = <E, R>(lines: Stream.Stream<Reading.Read, E, R>): Effect.Effect<Report, E, R> =>
  Effect.suspend(() => {
    const collector = new Collector()
    return Effect.map(
      Stream.runForEachArray(lines, (reads) =>
        Effect.sync(() => {
          for (const read of reads) collector.add(read)
        })
      ),
      () => collector.report()
    )
  })

/**
 * Of values, as JSON has them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromValues = <E, R>(values: Stream.Stream<unknown, E, R>): Effect.Effect<Report, E, R> =>
  collect(Stream.zipWithIndex(values).pipe(Stream.map(([value, at]) => ({ _tag: "Value", number: at + 1, value }))))

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a folder"
}

const unreadable = (name: string, cause: unknown): ReportError => {
  const { code, message } = cause as NodeJS.ErrnoException
  return new ReportError({ name, message: `it cannot be read: ${words[code ?? ""] ?? message}` })
}

/** Whoever has named another file wants to know it. */
const checked = (name: string, report: Report): Effect.Effect<Report, ReportError> => {
  const { events, firstWrong, other, receipts, wrong } = report.read
  if (receipts + events > 0 || other + wrong === 0) return Effect.succeed(report)
  const first = firstWrong[0]
  const why = first === undefined ? "" : ` (line ${first.number}: ${first.why})`
  return Effect.fail(
    new ReportError({ name, message: `it holds no receipts as run --receipts or --json writes${why}` })
  )
}

/**
 * Of lines of NDJSON from a Node stream, which is closed at the end. Fails where there are lines, and neither receipts
 * nor events among them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromReadable = (open: () => Readable, name: string): Effect.Effect<Report, ReportError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const readable = yield* Effect.acquireRelease(Effect.sync(open), (readable) =>
        Effect.sync(() => void readable.destroy())
      )
      const batches = Stream.fromAsyncIterable(Reading.batches(readable), (cause) => unreadable(name, cause))
      return yield* checked(name, yield* collect(Stream.flattenIterable(batches)))
    })
  )

/**
 * Of a journal's receipts, as `SqliteJournal.readReceipts` gives them.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromJournal = (receipts: Stream.Stream<Noted, JournalError>): Effect.Effect<Report, JournalError> =>
  collect(
    Stream.map(receipts, ({ order, receipt }): Reading.Read => ({
      _tag: "Value",
      number: order,
      value: JSON.parse(receipt) as unknown
    }))
  )
