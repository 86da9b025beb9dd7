/**
 * What a display knows of a batch while it runs: counts, what runs now, and the last few things of note. It takes events
 * in where they come, a hundred thousand a second if need be, and does not grow with the number of lines. How it is
 * said is `BatchText.ts`; the terminal is `BatchProgress.ts`.
 *
 * @since 0.1.0
 */
import type { Batch, BatchEvent, Summary, Wait } from "@headrace/batch/BatchEvent"
import type { Destination, Receipt, TransferEvent } from "./Types.ts"

/**
 * A line that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Running {
  readonly id: string
  /** Its first destination. */
  readonly to: string
  readonly size: number | null
  readonly since: number
  /** Of the destination that is furthest behind. */
  sent: number
  /** Body bytes that are counted for it, of all destinations and attempts. */
  counted: number
  /** Of the progress before, to see how many came. */
  before: number
  bytesPerSecond: number
  attempt: number
}

/**
 * A line that failed, and why.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failed {
  readonly id: string
  readonly why: string
}

/**
 * A place to which nothing is begun.
 *
 * @since 0.1.0
 * @category models
 */
export interface Waiting {
  readonly place: string
  readonly why: Wait["why"]
  readonly message: string
  readonly since: number
}

/** What stood at a moment. */
interface Sample {
  readonly at: number
  readonly sent: number
  readonly moved: number
  readonly ended: number
}

/**
 * What is known; changed in place by `take`.
 *
 * @since 0.1.0
 * @category models
 */
export interface View {
  /** What there is to do; nothing before the first event. */
  batch: Batch | undefined
  summary: Summary | undefined
  startedAt: number
  /** Lines that came to an end in this run: well, badly, and cut. */
  done: number
  failed: number
  cancelled: number
  /** Destinations on best effort that failed. */
  alsoFailed: number
  /** Source bytes that are done with, those of running lines included. */
  moved: number
  /** Body bytes, of all destinations and attempts. */
  sent: number
  memory: number
  readonly running: Map<string, Running>
  readonly waits: Map<string, Waiting>
  /** Failed attempts by reason; the one that came last is last. */
  readonly retries: Map<string, number>
  readonly firstFailed: Array<Failed>
  readonly lastFailed: Array<Failed>
  readonly samples: Array<Sample>
}

/** Failures that are kept from the beginning, for the summary, and of the last. */
const firstKept = 20
const lastKept = 8

const sampleMs = 1000
const samplesKept = 61

/**
 * Before the first event.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): View => ({
  batch: undefined,
  summary: undefined,
  startedAt: 0,
  done: 0,
  failed: 0,
  cancelled: 0,
  alsoFailed: 0,
  moved: 0,
  sent: 0,
  memory: 0,
  running: new Map(),
  waits: new Map(),
  retries: new Map(),
  firstFailed: [],
  lastFailed: [],
  samples: []
})

/**
 * Why something failed, in one piece: `Conflict (409): the words`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const reasonText = (event: {
  readonly reason: string
  readonly message: string
  readonly status?: number | undefined
}): string => `${event.reason}${event.status === undefined ? "" : ` (${event.status})`}: ${event.message}`

/**
 * Takes an event in. `now` is any clock in milliseconds, the same for all functions of a view.
 *
 * @since 0.1.0
 * @category combinators
 */
export const take = (view: View, event: BatchEvent, now: number): void => {
  switch (event.type) {
    case "batch":
      view.batch = event
      view.startedAt = now
      break
    case "wait": {
      const key = `${event.why} ${event.place}`
      const since = view.waits.get(key)?.since ?? now
      if (event.over) view.waits.delete(key)
      else view.waits.set(key, { place: event.place, why: event.why, message: event.message, since })
      break
    }
    case "summary":
      view.summary = event
      break
    case "plan":
      // Of a dry run: nothing runs.
      break
    default:
      takeOfTransfer(view, event, now)
  }
  sample(view, now)
}

const takeOfTransfer = (view: View, event: TransferEvent, now: number): void => {
  switch (event.type) {
    case "start":
      view.running.set(event.id, {
        id: event.id,
        to: event.destinations[0]?.uri ?? "",
        size: event.source.size,
        since: now,
        sent: 0,
        counted: 0,
        before: 0,
        bytesPerSecond: 0,
        attempt: 1
      })
      break
    case "progress": {
      view.memory = event.memory
      const line = view.running.get(event.id)
      if (line !== undefined) moveOn(view, line, event)
      break
    }
    case "retry": {
      const count = view.retries.get(event.reason) ?? 0
      view.retries.delete(event.reason)
      view.retries.set(event.reason, count + 1)
      const line = view.running.get(event.id)
      if (line === undefined) break
      line.attempt = event.attempt + 1
      line.bytesPerSecond = 0
      break
    }
    case "receipt":
      conclude(view, event)
      break
    case "verdict":
      break
  }
}

const moveOn = (view: View, line: Running, event: Extract<TransferEvent, { readonly type: "progress" }>): void => {
  let least = Infinity
  let all = 0
  for (const { acknowledged, sent } of event.destinations) {
    const far = Math.max(sent, acknowledged)
    least = Math.min(least, far)
    all += sent
  }
  if (least === Infinity) least = 0
  view.moved += least - line.sent
  line.sent = least
  // After a failed attempt it counts from its beginning again.
  const more = all >= line.before ? all - line.before : all
  line.before = all
  line.counted += more
  view.sent += more
  line.bytesPerSecond = event.bytesPerSecond
}

/** What became of a line: the worst of what it must reach. */
const outcome = (ends: ReadonlyArray<Destination>): "done" | "failed" | "cancelled" => {
  let worst: "done" | "failed" | "cancelled" = "done"
  for (const { required, status } of ends) {
    if (required && status === "failed") return "failed"
    if (required && status === "cancelled") worst = "cancelled"
  }
  return worst
}

const conclude = (view: View, receipt: Receipt): void => {
  const line = view.running.get(receipt.id)
  view.running.delete(receipt.id)
  const ends = receipt.destinations
  const sent = ends.reduce((sum, end) => sum + end.bytesSent, 0)
  view.sent += Math.max(0, sent - (line?.counted ?? 0))
  // What has failed is done with too: a bar that waits for it would never be full.
  view.moved += (receipt.source.size ?? line?.size ?? line?.sent ?? 0) - (line?.sent ?? 0)
  const became = outcome(ends)
  view[became]++
  for (const { required, status } of ends) if (!required && status === "failed") view.alsoFailed++
  if (became !== "failed") return
  const error = ends.find(({ required, status }) => required && status === "failed")?.error
  const failed = { id: receipt.id, why: error === undefined ? "failed" : reasonText(error) }
  if (view.firstFailed.length < firstKept) view.firstFailed.push(failed)
  view.lastFailed.push(failed)
  if (view.lastFailed.length > lastKept) view.lastFailed.shift()
}

/** Notes how it stands, once a second. */
const sample = (view: View, now: number): void => {
  const { samples } = view
  const last = samples[samples.length - 1]
  if (last !== undefined && now - last.at < sampleMs) return
  samples.push({ at: now, sent: view.sent, moved: view.moved, ended: ended(view) })
  if (samples.length > samplesKept) samples.shift()
}

/**
 * Lines that came to an end in this run.
 *
 * @since 0.1.0
 * @category getters
 */
export const ended = (view: View): number => view.done + view.failed + view.cancelled

/**
 * How far the whole is, from 0 to 1: by bytes, or by lines where sizes are not known.
 *
 * @since 0.1.0
 * @category getters
 */
export const share = (view: View): number => {
  const { batch } = view
  if (batch === undefined) return 0
  if (batch.lines === 0) return 1
  return Math.min(1, Math.max(0, byBytes(batch) ? view.moved / batch.bytes : ended(view) / batch.lines))
}

const byBytes = (batch: Batch): boolean => batch.unsized === 0 && batch.bytes > 0

/** The oldest sample that is no older than so many milliseconds, or the youngest of those that are. */
const sampleOf = (view: View, milliseconds: number, now: number): Sample | undefined => {
  const { samples } = view
  for (let i = samples.length - 1; i >= 0; i--) if (now - samples[i]!.at >= milliseconds) return samples[i]
  return samples[0]
}

const perSecond = (from: Sample | undefined, now: number, value: number, get: (sample: Sample) => number): number =>
  from === undefined || now - from.at < 1 ? 0 : Math.max(0, ((value - get(from)) * 1000) / (now - from.at))

/**
 * Bytes and lines a second: of the last ten seconds, and of the whole run.
 *
 * @since 0.1.0
 * @category getters
 */
export const rates = (
  view: View,
  now: number
): { readonly recent: number; readonly whole: number; readonly lines: number } => {
  sample(view, now)
  const from = sampleOf(view, 10_000, now)
  const elapsed = now - view.startedAt
  return {
    recent: perSecond(from, now, view.sent, ({ sent }) => sent),
    whole: elapsed < 1 ? 0 : (view.sent * 1000) / elapsed,
    lines: perSecond(from, now, ended(view), (one) => one.ended)
  }
}

/**
 * Milliseconds that are left, at the pace of the last minute; nothing where there is none.
 *
 * @since 0.1.0
 * @category getters
 */
export const left = (view: View, now: number): number | undefined => {
  const { batch } = view
  if (batch === undefined || now - view.startedAt < 2000) return undefined
  const from = sampleOf(view, 60_000, now)
  const [total, value, pace] = byBytes(batch)
    ? [batch.bytes, view.moved, perSecond(from, now, view.moved, ({ moved }) => moved)]
    : [batch.lines, ended(view), perSecond(from, now, ended(view), (one) => one.ended)]
  return pace <= 0 || value >= total ? undefined : ((total - value) * 1000) / pace
}

/** Milliseconds that a line is given before it counts as slow. */
const graceMs = 2000

/**
 * The slowest of those that run, slowest first; those that have just begun come last.
 *
 * @since 0.1.0
 * @category getters
 */
export const slowest = (view: View, most: number, now: number): ReadonlyArray<Running> => {
  const isNew = ({ bytesPerSecond, since }: Running) => bytesPerSecond === 0 && now - since < graceMs
  return [...view.running.values()]
    .sort((a, b) => Number(isNew(a)) - Number(isNew(b)) || a.bytesPerSecond - b.bytesPerSecond || a.since - b.since)
    .slice(0, most)
}
