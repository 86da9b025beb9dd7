/**
 * Sizes, rates, durations and timetables as people write and read them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Result from "effect/Result"
import type { Rate } from "./Rate.ts"
import type { Entry, Timetable } from "./Timetable.ts"

/**
 * A word that is no such quantity; the message says what is allowed.
 *
 * @since 0.1.0
 * @category errors
 */
export class QuantityError extends Data.TaggedError("QuantityError")<{ readonly message: string }> {}

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40
}

const bitUnits: Readonly<Record<string, number>> = { bit: 1 / 8, kbit: 1e3 / 8, Mbit: 1e6 / 8, Gbit: 1e9 / 8 }

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000
}

const wrong = (text: string, kind: string, allowed: string) =>
  Result.fail(new QuantityError({ message: `"${text}" is not a ${kind}: write ${allowed}` }))

const allowedSizes = "a number of bytes, or one with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB, such as 64MiB"
const allowedRates = "a size a second, such as 50MiB/s, or bits, such as 400Mbit/s (bit, kbit, Mbit, Gbit), or off"
const allowedDurations = "numbers with ms, s, m, h or d, such as 60s or 1h30m"
const allowedTimetables = "times with rates, such as 08:00,50MiB/s 19:00,off"

/** A number and its unit, with or without a space between; the number is infinite when it is too large. */
const split = (text: string): { readonly value: number; readonly unit: string } | undefined => {
  const match = /^(\d+(?:\.\d+)?|\.\d+) ?([A-Za-z]*)$/.exec(text.trim())
  return match === null ? undefined : { value: Number(match[1]), unit: match[2]! }
}

/**
 * Reads a size: bytes, rounded to a whole number.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseSize = (text: string): Result.Result<number, QuantityError> => {
  const parts = split(text)
  const unit = parts === undefined ? undefined : sizeUnits[parts.unit === "" ? "B" : parts.unit]
  if (parts === undefined || unit === undefined) return wrong(text, "size", allowedSizes)
  const bytes = Math.round(parts.value * unit)
  return Number.isSafeInteger(bytes) ? Result.succeed(bytes) : wrong(text, "size", "less than 8192TiB")
}

/**
 * Reads a rate: bytes per second, or `off`.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseRate = (text: string): Result.Result<Rate, QuantityError> => {
  const trimmed = text.trim()
  if (trimmed === "off") return Result.succeed("off")
  const parts = trimmed.endsWith("/s") ? split(trimmed.slice(0, -2)) : undefined
  const unit =
    parts === undefined ? undefined : (bitUnits[parts.unit] ?? sizeUnits[parts.unit === "" ? "B" : parts.unit])
  if (parts === undefined || unit === undefined) return wrong(text, "rate", allowedRates)
  const rate = parts.value * unit
  return rate > 0 && Number.isSafeInteger(Math.ceil(rate))
    ? Result.succeed(rate)
    : wrong(text, "rate", "more than 0 and less than 8192TiB/s, or off for no limit")
}

/**
 * Reads a duration: milliseconds.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseDuration = (text: string): Result.Result<number, QuantityError> => {
  const trimmed = text.trim()
  if (!/^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+$/.test(trimmed)) return wrong(text, "duration", allowedDurations)
  let millis = 0
  for (const [, value, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) {
    millis += Number(value) * durationUnits[unit!]!
  }
  return Number.isSafeInteger(Math.ceil(millis))
    ? Result.succeed(millis)
    : wrong(text, "duration", "less than 100000000d")
}

/**
 * Reads a timetable: entries of a time of day and a rate, between spaces.
 *
 * @since 0.1.0
 * @category parsing
 */
export const parseTimetable = (text: string): Result.Result<Timetable, QuantityError> =>
  Result.gen(function* () {
    const entries: Array<Entry> = []
    for (const word of text.split(/\s+/).filter((word) => word !== "")) {
      const match = /^(\d{1,2}):(\d{2}),(.+)$/.exec(word)
      const minute = match === null ? NaN : Number(match[1]) * 60 + Number(match[2])
      if (match === null || Number(match[1]) > 23 || Number(match[2]) > 59) {
        return yield* wrong(word, "timetable's entry", allowedTimetables)
      }
      if (entries.some((entry) => entry.minute === minute)) {
        return yield* wrong(text, "timetable", `each time once, not ${match[1]}:${match[2]} twice`)
      }
      entries.push({ minute, rate: yield* parseRate(match[3]!) })
    }
    const [first, ...rest] = entries.sort((a, b) => a.minute - b.minute)
    return first === undefined ? yield* wrong(text, "timetable", allowedTimetables) : [first, ...rest]
  })

/**
 * Writes a number of bytes with three or four figures: `1.50 GiB`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const formatBytes = (bytes: number): string => {
  let value = bytes
  let unit = 0
  // 1023.5 KiB would be written with the four figures of 1024.
  while (value >= (unit === 0 ? 1024 : 1023.5) && unit < 4) {
    value /= 1024
    unit++
  }
  if (unit === 0) return `${Math.round(value)} B`
  const digits = value < 9.995 ? 2 : value < 99.95 ? 1 : 0
  return `${value.toFixed(digits)} ${["KiB", "MiB", "GiB", "TiB"][unit - 1]!}`
}

/**
 * Writes a rate: `50.0 MiB/s`, `off`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const formatRate = (rate: Rate): string => (rate === "off" ? "off" : `${formatBytes(rate)}/s`)

/**
 * Writes milliseconds, in the two largest units: `350ms`, `5.1s`, `2m05s`, `1h02m`, `3d04h`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const formatDuration = (millis: number): string => {
  const ms = Math.round(millis)
  if (ms < 1000) return `${ms}ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`
  const pair = (large: number, largeName: string, small: number, smallName: string): string => {
    const count = Math.round(ms / small)
    const perLarge = large / small
    return `${Math.floor(count / perLarge)}${largeName}${String(count % perLarge).padStart(2, "0")}${smallName}`
  }
  if (ms < 3_599_500) return pair(60_000, "m", 1000, "s")
  if (ms < 86_370_000) return pair(3_600_000, "h", 60_000, "m")
  return pair(86_400_000, "d", 3_600_000, "h")
}
