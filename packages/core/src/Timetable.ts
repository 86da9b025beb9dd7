/**
 * Rates by the time of day.
 *
 * @since 0.1.0
 */
import type { Rate } from "./Rate.ts"

/**
 * From this minute of the day on, this rate.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  /** Minutes since midnight, 0 to 1439, local time. */
  readonly minute: number
  readonly rate: Rate
}

/**
 * At least one entry, by time, no time twice. The last one holds over midnight until the first.
 *
 * @since 0.1.0
 * @category models
 */
export type Timetable = readonly [Entry, ...Array<Entry>]

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

/** Milliseconds since midnight on the wall. */
const timeOfDay = (millis: number, timeZone: string | undefined): number => {
  const withinMinute = millis - Math.floor(millis / minuteMs) * minuteMs
  if (timeZone === undefined) {
    const date = new Date(millis)
    return (date.getHours() * 60 + date.getMinutes()) * minuteMs + withinMinute
  }
  const format = new Intl.DateTimeFormat("en-GB", { timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" })
  let minutes = 0
  for (const part of format.formatToParts(millis)) {
    if (part.type === "hour") minutes += Number(part.value) * 60
    if (part.type === "minute") minutes += Number(part.value)
  }
  return minutes * minuteMs + withinMinute
}

/**
 * The rate that holds at a time, in milliseconds since the epoch: of the latest entry before it, which may be
 * yesterday's. Local to the process's time zone, or to the one given.
 *
 * @since 0.1.0
 * @category getters
 */
export const rateAt = (timetable: Timetable, millis: number, timeZone?: string): Rate => {
  const time = timeOfDay(millis, timeZone)
  const latest = timetable.findLast((entry) => entry.minute * minuteMs <= time)
  return (latest ?? timetable[timetable.length - 1]!).rate
}

/**
 * Milliseconds from a time to the next entry, as if the clock on the wall went evenly.
 *
 * @since 0.1.0
 * @category getters
 */
export const untilNext = (timetable: Timetable, millis: number, timeZone?: string): number => {
  const time = timeOfDay(millis, timeZone)
  const next = timetable.find((entry) => entry.minute * minuteMs > time)
  return next === undefined ? timetable[0].minute * minuteMs + dayMs - time : next.minute * minuteMs - time
}
