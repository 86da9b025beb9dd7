/**
 * What a report says, for a person at a terminal: a few lines, in the words of a run's summary.
 *
 * @since 0.1.0
 */
import type { Report } from "@headrace/batch/Report"
import * as Quantity from "@headrace/core/Quantity"
import * as Text from "../Text.ts"

/** Failures that are shown one by one. */
const mostFailures = 20
const mostSlow = 5

/** A name on a line of its own kind: what others have named may be long. */
const short = (name: string): string => Text.fit(Text.oneLine(name), 120)

const place = (uri: string): string => short(uri.split("?", 1)[0]!)

const lineCounts = ({ lines }: Report): string => {
  const kinds = [
    [lines.verified, "verified"],
    [lines.stored, "stored"],
    [lines.skipped, "there already"],
    [lines.failed, "failed"],
    [lines.cancelled, "cancelled"]
  ] as const
  const said = kinds.filter(([count]) => count > 0).map(([count, word]) => `${Text.count(count)} ${word}`)
  return said.length === 0 ? "no receipts" : said.join(", ")
}

const reasons = (counts: Report["retries"]): string =>
  counts.map(({ count, reason }) => `${reason} ${Text.count(count)}`).join(", ")

const times = ({ times: { count, max, p50, p90, p95, p99 } }: Report): ReadonlyArray<string> =>
  count === 0
    ? []
    : [
        `each took ${[
          ["p50", p50],
          ["p90", p90],
          ["p95", p95],
          ["p99", p99],
          ["max", max]
        ]
          .map(([name, ms]) => `${name} ${Quantity.formatDuration(ms as number)}`)
          .join(", ")}`
      ]

const places = (report: Report): ReadonlyArray<string> =>
  report.places.map(({ cancelled, failed, good, place, sent }) =>
    [
      `${place}: ${Text.count(good)} good`,
      ...(failed > 0 ? [`${Text.count(failed)} failed`] : []),
      ...(cancelled > 0 ? [`${Text.count(cancelled)} cancelled`] : []),
      `sent ${Quantity.formatBytes(sent)}`
    ].join(", ")
  )

const slow = ({ slowest }: Report): ReadonlyArray<string> =>
  slowest
    .slice(0, mostSlow)
    .map(
      ({ attempts, elapsedMs, id, uri }) =>
        `slow ${short(id)}: ${Quantity.formatDuration(elapsedMs)}${attempts > 1 ? `, ${attempts} attempts` : ""}, ${place(uri)}`
    )

const failures = ({ failures: { bestEffort, first, total } }: Report): ReadonlyArray<string> => {
  const shown = first.slice(0, mostFailures)
  const more = total - shown.length
  return [
    ...(bestEffort > 0 ? [`${Text.count(bestEffort)} failed on best effort`] : []),
    ...shown.map(
      ({ code, id, message, reason, required, status, uri }) =>
        `${status}${required ? "" : " on best effort"} ${short(id)}: ${place(uri)}: ${reason}${code === undefined ? "" : ` (${code})`}: ${message}`
    ),
    ...(shown.length > 0 && more > 0 ? [`and ${Text.count(more)} more failed`] : [])
  ]
}

/** What a reader must know of what was read, to judge the figures by it. */
export const remarks = ({ read }: Report): ReadonlyArray<string> => {
  const first = read.firstWrong[0]
  return [
    ...(read.wrong > 0 && first !== undefined
      ? [`${Text.count(read.wrong)} lines are wrong and left out, the first is line ${first.number}: ${first.why}`]
      : []),
    ...(read.cut === null ? [] : [`line ${read.cut}, the last, is cut off and left out`]),
    ...(read.other > 0 ? [`${Text.count(read.other)} lines are neither receipts nor events and left out`] : []),
    ...(read.repeated > 0
      ? [`${Text.count(read.repeated)} receipts are of lines that had one before: the last says how a line stands`]
      : []),
    ...(read.unchecked > 0
      ? [`${Text.count(read.unchecked)} receipts are counted without a look for an earlier one of the same line`]
      : [])
  ]
}

/** The first line: how it went. */
export const verdict = lineCounts

/** All lines. */
export const lines = (report: Report): ReadonlyArray<string> =>
  [
    lineCounts(report),
    ...(report.startedAt === null
      ? []
      : [
          [
            `${Quantity.formatBytes(report.bytes)} in ${Quantity.formatDuration(report.elapsedMs)}`,
            `sent ${Quantity.formatBytes(report.bytesSent)} at ${Quantity.formatRate(report.bytesPerSecond)}`,
            ...(report.retries.length > 0 ? [`retries ${reasons(report.retries)}`] : [])
          ].join(", "),
          ...times(report),
          ...places(report),
          ...(report.reasons.length > 0 ? [`failures ${reasons(report.reasons)}`] : [])
        ]),
    ...slow(report),
    ...failures(report),
    ...remarks(report)
  ].map(Text.oneLine)
