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
  /** The attempt that runs now, from 1. */
  readonly attempt: number
  /** The failure that the transfer waits after; `until` is in milliseconds of the display's own clock. */
  readonly retry?: { readonly why: string; readonly until: number }
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
  etaMs: null,
  attempt: 1
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
        ends: event.destinations.map(({ uri }) => ({ uri, sent: 0, acknowledged: 0 }))
      }
    case "progress": {
      const { retry: _, ...rest } = view
      // Bytes that move again end the note on the attempt before.
      const keep = view.retry !== undefined && now < view.retry.until ? { retry: view.retry } : {}
      return {
        ...rest,
        ...keep,
        ends: view.ends.map((end) => ({ ...end, ...event.destinations.find(({ uri }) => uri === end.uri) })),
        read: event.read,
        hashed: event.hashed,
        memory: event.memory,
        bytesPerSecond: event.bytesPerSecond,
        etaMs: event.etaMs
      }
    }
    case "retry":
      return {
        ...view,
        attempt: event.attempt + 1,
        bytesPerSecond: 0,
        etaMs: null,
        retry: { why: reasonText(event), until: now + event.waitMs }
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

/** The end that is furthest behind: what is not sent there is not sent. */
const slowest = (view: View): number =>
  view.ends.reduce((least, end) => Math.min(least, Math.max(end.sent, end.acknowledged)), Infinity)

const sentBytes = (view: View): number => (view.ends.length === 0 ? view.read : slowest(view))

const allSent = (view: View): boolean => view.size !== null && view.size > 0 && sentBytes(view) >= view.size

/** Whole percents, and 100 only when it is all sent. */
const percent = (view: View): number | undefined =>
  view.size === null || view.size === 0 ? undefined : Math.min(100, Math.floor((sentBytes(view) * 100) / view.size))

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

const state = (view: View, now: number): ReadonlyArray<string> => [
  ...(view.retry === undefined
    ? view.attempt > 1
      ? [`attempt ${view.attempt}`]
      : []
    : [
        view.retry.until > now
          ? `attempt ${view.attempt} in ${Quantity.formatDuration(view.retry.until - now)} after ${view.retry.why}`
          : `attempt ${view.attempt} after ${view.retry.why}`
      ]),
  digests(view),
  `memory ${Quantity.formatBytes(view.memory)}`
]

/** The last part of a path or URI, without query: what a person calls the thing. */
const shortName = (uri: string): string => {
  const path = uri.split("?", 1)[0]!.replace(/\/+$/, "")
  return path.slice(path.lastIndexOf("/") + 1) || uri
}

const title = (view: View, arrow: string): string =>
  `${view.source === "-" ? "standard input" : shortName(view.source)} ${arrow} ${view.ends
    .map(({ uri }) => uri.split("?", 1)[0]!)
    .join(", ")}`

const bar = (share: number, columns: number, unicode: boolean): string => {
  const [full, empty] = unicode ? ["█", "░"] : ["#", "-"]
  const filled = Math.floor(share * columns)
  return full!.repeat(filled) + empty!.repeat(columns - filled)
}

/**
 * The live display: three lines, each at most `columns` cells wide. Without a size there is no bar and no percent.
 *
 * @since 0.1.0
 * @category formatting
 */
export const lines = (
  view: View,
  options: { readonly columns: number; readonly unicode: boolean; readonly now: number }
): ReadonlyArray<string> => {
  if (view.source === "") return []
  const dot = options.unicode ? " · " : ", "
  const share = percent(view)
  const facts = [amount(view), ...pace(view)].join("  ")
  const head = share === undefined ? "" : `${share.toString().padStart(3)} % `
  const room = Math.min(40, options.columns - head.length - Text.width(facts) - 2)
  const meter =
    share === undefined || room < 5 ? `${head}${facts}` : `${head}${bar(share / 100, room, options.unicode)}  ${facts}`
  return [title(view, options.unicode ? "→" : "->"), meter, state(view, options.now).join(dot)].map((line) =>
    Text.fit(Text.oneLine(line), options.columns)
  )
}

/**
 * The same in one line, for logs.
 *
 * @since 0.1.0
 * @category formatting
 */
export const logLine = (view: View, now: number): string => {
  const share = percent(view)
  const facts = [amount(view), ...(share === undefined ? [] : [`${share} %`]), ...pace(view), ...state(view, now)]
  return Text.oneLine(`${view.source === "-" ? "standard input" : shortName(view.source)}: ${facts.join(", ")}`)
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
