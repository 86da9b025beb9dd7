/**
 * What a progress display knows of a transfer, and how it says it: events in, lines of text out. Pure; the terminal is
 * `Progress.ts`.
 *
 * @since 0.1.0
 */
import * as Quantity from "@headrace/core/Quantity"
import type { TransferEvent } from "./Types.ts"
import * as Text from "./Text.ts"

/**
 * A destination as the display knows it.
 *
 * @since 0.1.0
 * @category models
 */
export interface End {
  readonly uri: string
  readonly sent: number
  readonly acknowledged: number
  /** The destination that the service copies it from; nothing is sent here then. */
  readonly copyOf?: string
  /** The attempt that runs now, from 1. */
  readonly attempt: number
  /** The failure that it waits after; `until` is in milliseconds of the display's own clock. */
  readonly retry?: { readonly why: string; readonly until: number }
  /** The verdict, once there is one. */
  readonly status?: string
}

/**
 * What is known of the transfer.
 *
 * @since 0.1.0
 * @category models
 */
export interface View {
  readonly source: string
  readonly size: number | null
  readonly ends: ReadonlyArray<End>
  readonly read: number
  readonly hashed: number
  readonly memory: number
  readonly bytesPerSecond: number
  readonly etaMs: number | null
}

/**
 * Before the first event.
 *
 * @since 0.1.0
 * @category constructors
 */
export const empty: View = {
  source: "",
  size: null,
  ends: [],
  read: 0,
  hashed: 0,
  memory: 0,
  bytesPerSecond: 0,
  etaMs: null
}

/**
 * The view after an event. `now` is any clock in milliseconds, the same for `lines`.
 *
 * @since 0.1.0
 * @category combinators
 */
export const update = (view: View, event: TransferEvent, now: number): View => {
  switch (event.type) {
    case "start":
      return {
        ...empty,
        source: event.source.uri,
        size: event.source.size,
        ends: event.destinations.map(({ copyOf, uri }) => ({
          uri,
          sent: 0,
          acknowledged: 0,
          ...(copyOf === undefined ? {} : { copyOf }),
          attempt: 1
        }))
      }
    case "progress":
      return {
        ...view,
        ends: view.ends.map((end) => {
          const { retry, ...rest } = end
          // Bytes that move again end the note on the attempt before.
          const keep = retry !== undefined && now < retry.until ? { retry } : {}
          return { ...rest, ...keep, ...event.destinations.find(({ uri }) => uri === end.uri) }
        }),
        read: event.read,
        hashed: event.hashed,
        memory: event.memory,
        bytesPerSecond: event.bytesPerSecond,
        etaMs: event.etaMs
      }
    case "retry": {
      const retry = { why: reasonText(event), until: now + event.waitMs }
      return {
        ...view,
        // Of one destination nothing moves now.
        ...(view.ends.length > 1 ? {} : { bytesPerSecond: 0, etaMs: null }),
        ends: view.ends.map((end) => (end.uri === event.uri ? { ...end, attempt: event.attempt + 1, retry } : end))
      }
    }
    case "verdict":
      return {
        ...view,
        ends: view.ends.map((end) => (end.uri === event.uri ? { ...end, status: event.status } : end))
      }
    case "receipt":
      return view
  }
}

const reasonText = (event: {
  readonly reason: string
  readonly message: string
  readonly status?: number | undefined
}): string => `${event.reason}${event.status === undefined ? "" : ` (${event.status})`}: ${event.message}`

const sentTo = (end: End): number => Math.max(end.sent, end.acknowledged)

/** Of the end that is furthest behind: what is not sent there is not sent. One that has failed gets nothing any more. */
const sentBytes = (view: View): number => {
  const open = view.ends.filter(
    ({ copyOf, status }) => copyOf === undefined && status !== "failed" && status !== "cancelled"
  )
  return open.length === 0 ? view.read : open.reduce((least, end) => Math.min(least, sentTo(end)), Infinity)
}

const allSent = (view: View): boolean => view.size !== null && view.size > 0 && sentBytes(view) >= view.size

/** Whole percents, and 100 only when it is all sent. */
const percentOf = (bytes: number, size: number | null): number | undefined =>
  size === null || size === 0 ? undefined : Math.min(100, Math.floor((bytes * 100) / size))

const percent = (view: View): number | undefined => percentOf(sentBytes(view), view.size)

const amount = (view: View): string =>
  view.size === null
    ? Quantity.formatBytes(sentBytes(view))
    : `${Quantity.formatBytes(sentBytes(view))} of ${Quantity.formatBytes(view.size)}`

const pace = (view: View): ReadonlyArray<string> => {
  if (allSent(view)) return ["all sent, waiting for the answer"]
  return [
    ...(view.bytesPerSecond > 0 ? [Quantity.formatRate(view.bytesPerSecond)] : []),
    ...(view.etaMs === null ? [] : [`${Quantity.formatDuration(view.etaMs)} left`])
  ]
}

const digests = (view: View): string => {
  const behind = view.read - view.hashed
  return behind > 0 ? `digests ${Quantity.formatBytes(behind)} behind` : "digests up to date"
}

const attempts = ({ attempt, retry }: End, now: number): ReadonlyArray<string> => {
  if (retry === undefined) return attempt > 1 ? [`attempt ${attempt}`] : []
  const when = retry.until > now ? ` in ${Quantity.formatDuration(retry.until - now)}` : ""
  return [`attempt ${attempt}${when} after ${retry.why}`]
}

const state = (view: View, now: number): ReadonlyArray<string> => [
  ...(view.ends.length === 1 ? attempts(view.ends[0]!, now) : []),
  digests(view),
  `memory ${Quantity.formatBytes(view.memory)}`
]

/** The last part of a path or URI, without query: what a person calls the thing. */
const shortName = (uri: string): string => {
  const path = uri.split("?", 1)[0]!.replace(/\/+$/, "")
  return path.slice(path.lastIndexOf("/") + 1) || uri
}

const nameOf = (view: View): string => (view.source === "-" ? "standard input" : shortName(view.source))

/** Several places of one object are told apart by what is behind the name. */
const place = ({ copyOf, uri }: End): string => (copyOf === undefined ? uri.split("?", 1)[0]! : uri)

const title = (view: View, arrow: string): string =>
  `${nameOf(view)} ${arrow} ${view.ends.length > 1 ? `${view.ends.length} destinations` : view.ends.map(place).join("")}`

const bar = (share: number, columns: number, unicode: boolean): string => {
  const [full, empty] = unicode ? ["█", "░"] : ["#", "-"]
  const filled = Math.floor(share * columns)
  return full!.repeat(filled) + empty!.repeat(columns - filled)
}

/** How wide the bar of one of several destinations is. */
const barColumns = 16

/** How it stands with one of several destinations. */
const standing = (end: End, view: View, now: number): string => {
  if (end.status !== undefined) return end.status
  const words = attempts(end, now)
  if (words.length > 0) return words.join("")
  if (end.copyOf !== undefined) return "not copied yet"
  return view.size !== null && view.size > 0 && sentTo(end) >= view.size ? "all sent, waiting for the answer" : ""
}

/** A line for each of several destinations, as many as there is room for. */
const endLines = (view: View, options: { readonly rows: number; readonly unicode: boolean; readonly now: number }) => {
  const { now, rows, unicode } = options
  const shown = view.ends.length <= rows ? view.ends : view.ends.slice(0, Math.max(0, rows - 1))
  const column = Math.max(0, ...shown.map((end) => Text.width(place(end))))
  const lines = shown.map((end) => {
    const share = percentOf(sentTo(end), view.size)
    const name = `${place(end)}${" ".repeat(column - Text.width(place(end)))}`
    const far =
      share === undefined ? "" : `${share.toString().padStart(3)} % ${bar(share / 100, barColumns, unicode)}  `
    const meter = `${far}${Quantity.formatBytes(sentTo(end)).padStart(8)}`
    // Nobody knows how far a service is that copies by itself.
    const shown = end.copyOf === undefined ? meter : " ".repeat(Text.width(meter))
    return `${shown}  ${name}  ${standing(end, view, now)}`.trimEnd()
  })
  return shown.length === view.ends.length ? lines : [...lines, `and ${view.ends.length - shown.length} more`]
}

/**
 * The live display, each line at most `columns` cells wide: three lines, and one more for each of several destinations,
 * as far as `rows` has room for. Without a size there is no bar and no percent.
 *
 * @since 0.1.0
 * @category formatting
 */
export const lines = (
  view: View,
  options: { readonly columns: number; readonly rows?: number; readonly unicode: boolean; readonly now: number }
): ReadonlyArray<string> => {
  if (view.source === "") return []
  const { columns, now, rows = 24, unicode } = options
  const dot = unicode ? " · " : ", "
  const share = percent(view)
  const facts = [amount(view), ...pace(view)].join("  ")
  const head = share === undefined ? "" : `${share.toString().padStart(3)} % `
  const several = view.ends.length > 1
  const room = Math.min(several ? barColumns : 40, columns - head.length - Text.width(facts) - 2)
  const meter =
    share === undefined || room < 5 ? `${head}${facts}` : `${head}${bar(share / 100, room, unicode)}  ${facts}`
  return [
    title(view, unicode ? "→" : "->"),
    meter,
    ...(several ? endLines(view, { rows: rows - 4, unicode, now }) : []),
    state(view, now).join(dot)
  ].map((line) => Text.fit(Text.oneLine(line), columns))
}

/**
 * The same in one line, for logs.
 *
 * @since 0.1.0
 * @category formatting
 */
export const logLine = (view: View, now: number): string => {
  const share = percent(view)
  const each =
    view.ends.length < 2
      ? []
      : view.ends.map((end) => {
          const words = standing(end, view, now)
          if (end.copyOf !== undefined) return `${place(end)} ${words}`
          const far = percentOf(sentTo(end), view.size)
          const sent = far === undefined ? Quantity.formatBytes(sentTo(end)) : `${far} %`
          return `${place(end)} ${sent}${words === "" ? "" : ` (${words})`}`
        })
  const facts = [
    amount(view),
    ...(share === undefined ? [] : [`${share} %`]),
    ...pace(view),
    ...each,
    ...state(view, now)
  ]
  return Text.oneLine(`${nameOf(view)}: ${facts.join(", ")}`)
}

/**
 * A line for an event that a log should have at once: a retry, a good verdict. `undefined` for the others.
 *
 * @since 0.1.0
 * @category formatting
 */
export const eventLine = (event: TransferEvent): string | undefined => {
  switch (event.type) {
    case "retry":
      return Text.oneLine(
        `${event.uri}: attempt ${event.attempt} failed, ${reasonText(event)}; next in ${Quantity.formatDuration(event.waitMs)}`
      )
    case "verdict":
      // What failed is said by whoever runs the transfer, with what is left and what to do.
      return event.error === undefined ? Text.oneLine(`${event.uri}: ${event.status}`) : undefined
    default:
      return undefined
  }
}
