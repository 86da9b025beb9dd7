/**
 * How a batch's state is said: the live table, the lines of a log, and the summary at the end. Pure.
 *
 * @since 0.1.0
 */
import type { BatchEvent, Summary } from "@headrace/batch/BatchEvent"
import * as Quantity from "@headrace/core/Quantity"
import * as View from "./BatchView.ts"
import * as Text from "./Text.ts"

const percentOf = (share: number): string => `${Math.floor(share * 100)} %`

const bar = (share: number, columns: number, unicode: boolean): string => {
  const [full, empty] = unicode ? ["█", "░"] : ["#", "-"]
  const filled = Math.floor(share * columns)
  return full!.repeat(filled) + empty!.repeat(columns - filled)
}

/** How far, and how long still. */
const far = (view: View.View, now: number): ReadonlyArray<string> => {
  const { bytes, lines, unsized } = view.batch!
  const moved = Quantity.formatBytes(Math.max(0, view.moved))
  const leftMs = View.left(view, now)
  return [
    unsized === 0 && bytes > 0
      ? `${moved} of ${Quantity.formatBytes(bytes)}`
      : `${Text.count(View.ended(view))} of ${Text.count(lines)} lines`,
    ...(leftMs === undefined ? [] : [`${Quantity.formatDuration(leftMs)} left`])
  ]
}

/** Lines by what became of them. */
const counts = (view: View.View): ReadonlyArray<string> => {
  const { done, failed, lines } = view.batch!
  const running = view.running.size
  const before = [
    ...(done > 0 ? [`${Text.count(done)} done`] : []),
    ...(failed > 0 ? [`${Text.count(failed)} failed`] : [])
  ]
  return [
    `${Text.count(view.done)} done`,
    `${Text.count(view.failed)} failed`,
    ...(view.cancelled > 0 ? [`${Text.count(view.cancelled)} cancelled`] : []),
    ...(view.alsoFailed > 0 ? [`${Text.count(view.alsoFailed)} failed on best effort`] : []),
    `${Text.count(running)} running`,
    `${Text.count(Math.max(0, lines - View.ended(view) - running))} to do`,
    ...(before.length > 0 ? [`earlier ${before.join(" and ")}`] : [])
  ]
}

const retries = (view: View.View): ReadonlyArray<string> =>
  view.retries.size === 0
    ? []
    : [
        `retries ${[...view.retries]
          .toReversed()
          .map(([reason, count]) => `${reason} ${Text.count(count)}`)
          .join(", ")}`
      ]

const pace = (view: View.View, now: number): ReadonlyArray<string> => {
  const { lines, recent, whole } = View.rates(view, now)
  return [
    `${Quantity.formatRate(recent)} now, ${Quantity.formatRate(whole)} on the whole`,
    ...(lines >= 1 ? [`${Text.count(Math.round(lines))} lines/s`] : []),
    `sent ${Quantity.formatBytes(view.sent)}`
  ]
}

const waitText = ({ message, place, since, why }: View.Waiting, now: number): string =>
  `${place} is waited for (${why}) since ${Quantity.formatDuration(now - since)}: ${message}`

const withoutQuery = (uri: string): string => uri.split("?", 1)[0]!

/** What runs, in columns: how far, how fast, which line, where to. */
const runningLine = (line: View.Running, idColumns: number): string => {
  const share =
    line.size === null || line.size === 0 ? "     " : percentOf(Math.min(1, line.sent / line.size)).padStart(5)
  const id = Text.fit(Text.oneLine(line.id), idColumns)
  return [
    share,
    Quantity.formatRate(line.bytesPerSecond).padStart(10),
    `${id}${" ".repeat(idColumns - Text.width(id))}`,
    `${line.attempt > 1 ? `attempt ${line.attempt}, ` : ""}${withoutQuery(line.to)}`
  ].join("  ")
}

const runningLines = (view: View.View, most: number, columns: number, now: number): ReadonlyArray<string> => {
  const slowest = View.slowest(view, most, now)
  const longest = Math.max(0, ...slowest.map(({ id }) => Text.width(Text.oneLine(id))))
  const idColumns = Math.max(1, Math.min(longest, Math.floor(columns / 3)))
  return slowest.map((line) => runningLine(line, idColumns))
}

const failedLine = ({ id, why }: View.Failed): string => `failed ${id}: ${why}`

/** Lines that waits, and failures, have at most of a screen. */
const mostWaits = 3
const mostFailed = 5
const mostRunning = 10

/**
 * The live table: at most `rows - 2` lines, each at most `columns` cells wide. Where there is little room, what comes
 * last is left out.
 *
 * @since 0.1.0
 * @category formatting
 */
export const lines = (
  view: View.View,
  options: { readonly columns: number; readonly rows: number; readonly unicode: boolean; readonly now: number }
): ReadonlyArray<string> => {
  if (view.batch === undefined) return []
  const { columns, now, rows, unicode } = options
  const dot = unicode ? " · " : ", "
  const share = View.share(view)
  const facts = far(view, now).join("  ")
  const head = `${percentOf(share).padStart(5)} `
  const room = Math.min(40, columns - head.length - Text.width(facts) - 2)
  const all = Math.max(1, rows - 2)
  const top = [
    room < 5 ? `${head}${facts}` : `${head}${bar(share, room, unicode)}  ${facts}`,
    counts(view).join(dot),
    pace(view, now).join(dot),
    ...retries(view)
  ]
  const waits = [...view.waits.values()].slice(0, Math.min(mostWaits, Math.max(0, all - top.length)))
  const free = Math.max(0, all - top.length - waits.length)
  const mostNow = Math.min(mostFailed, Math.floor(free / 2))
  const failed = mostNow === 0 ? [] : view.lastFailed.slice(-mostNow)
  const running = runningLines(view, Math.min(mostRunning, free - failed.length), columns, now)
  return [...top, ...waits.map((wait) => waitText(wait, now)), ...running, ...failed.map(failedLine)]
    .slice(0, all)
    .map((line) => {
      const cut = Text.fit(Text.oneLine(line), columns)
      return unicode ? cut : cut.replaceAll("…", "~")
    })
}

/**
 * The whole in one line, for logs.
 *
 * @since 0.1.0
 * @category formatting
 */
export const logLine = (view: View.View, now: number): string =>
  Text.oneLine(
    [
      percentOf(View.share(view)),
      ...far(view, now),
      ...counts(view),
      ...pace(view, now),
      ...retries(view),
      ...[...view.waits.values()].map((wait) => waitText(wait, now))
    ].join(", ")
  )

/** Batches of no more lines have each good verdict in the log too. */
const fewLines = 20

/**
 * A line for an event that a log should have at once: a failure, a retry, a wait, and in a small batch each verdict.
 * `undefined` for the others.
 *
 * @since 0.1.0
 * @category formatting
 */
export const eventLine = (view: View.View, event: BatchEvent): string | undefined => {
  switch (event.type) {
    case "retry":
      return Text.oneLine(
        `${event.id}: ${event.uri}: attempt ${event.attempt} failed, ${View.reasonText(event)}; next in ${Quantity.formatDuration(event.waitMs)}`
      )
    case "wait":
      return Text.oneLine(
        event.over
          ? `${event.place}: goes on (${event.why})`
          : `${event.place}: nothing is begun for now (${event.why}): ${event.message}`
      )
    case "verdict": {
      const where = `${event.id}: ${event.uri}: `
      if (event.error !== undefined) {
        const how = event.required ? event.status : `${event.status}, on best effort`
        return Text.oneLine(`${where}${how}, ${View.reasonText(event.error)}`)
      }
      return (view.batch?.lines ?? Infinity) <= fewLines ? Text.oneLine(`${where}${event.status}`) : undefined
    }
    default:
      return undefined
  }
}

/**
 * What is said at the end: counts, bytes, time, retries, what failed and why, and what can be done about it.
 *
 * @since 0.1.0
 * @category formatting
 */
export const summary = (
  view: View.View,
  event: Summary,
  options: {
    /** What would do the failed lines again: `the same command with --retry-failed`. */
    readonly again?: string
    /** The one that looks for what is missing: `headrace repair move.ndjson.journal`. */
    readonly repair?: string
  } = {}
): ReadonlyArray<string> => {
  const kinds = [
    [event.verified, "verified"],
    [event.stored, "stored"],
    [event.skipped, "there already"],
    [event.failed, "failed"],
    [event.cancelled, "cancelled"],
    [event.remaining, "not begun"]
  ] as const
  const said = kinds.filter(([count]) => count > 0).map(([count, word]) => `${Text.count(count)} ${word}`)
  const rate = event.elapsedMs < 1 ? 0 : (event.bytesSent * 1000) / event.elapsedMs
  const more = event.failed - view.firstFailed.length
  const unfinished = event.failed + event.cancelled + event.remaining > 0
  return [
    said.length === 0 ? "nothing to do" : said.join(", "),
    [
      `${Quantity.formatBytes(event.bytes)} in ${Quantity.formatDuration(event.elapsedMs)}`,
      `sent ${Quantity.formatBytes(event.bytesSent)} at ${Quantity.formatRate(rate)}`,
      ...retries(view)
    ].join(", "),
    ...(view.alsoFailed > 0 ? [`${Text.count(view.alsoFailed)} failed on best effort`] : []),
    ...view.firstFailed.map(failedLine),
    ...(view.firstFailed.length > 0 && more > 0 ? [`and ${Text.count(more)} more failed`] : []),
    ...(event.failed > 0 && options.again !== undefined ? [`to do the failed lines again: ${options.again}`] : []),
    ...(event.remaining > 0 ? ["what was not begun, or was cut off: the same command goes on with it"] : []),
    ...(unfinished && options.repair !== undefined
      ? [`to look at what is there, and redo what is missing: ${options.repair}`]
      : [])
  ].map(Text.oneLine)
}
