/**
 * The plots: lines and areas in SVG that fill whatever width there is, and marks around them as text, which keeps its size.
 */
import type { Report } from "../../Report.ts"
import * as Axes from "./axes.ts"
import * as Quantity from "@headrace/core/Quantity"
import { round, text } from "./markup.ts"

/** What all plots are drawn in; the page stretches it. */
const width = 1000
const height = 200

const x = (share: number): string => round(share * width)
const y = (share: number): string => round((1 - share) * height)

interface Plot {
  readonly label: string
  readonly className: string
  readonly body: string
  readonly rows: ReadonlyArray<Axes.Mark>
  readonly columns: ReadonlyArray<Axes.Mark>
  /** Drawn over the plot. */
  readonly over?: string
}

const plot = ({ body, className, columns, label, over = "", rows }: Plot): string => {
  const rowLines = rows.map(({ at }) => `<path class="grid" d="M0 ${y(at)}H${width}"/>`).join("")
  const columnLines = columns.map(({ at }) => `<path class="tick" d="M${x(at)} ${height}v-6"/>`).join("")
  const rowLabels = rows.map(({ at, label }) => `<span style="top:${round(100 * (1 - at))}%">${text(label)}</span>`)
  const columnLabels = columns.map(({ at, label }, index) => {
    // On a narrow screen there is room for every second one; the last must not stand beyond the page.
    const classes = [...(index % 2 === 1 ? ["odd"] : []), ...(at > 0.94 ? ["last"] : [])].join(" ")
    return `<span style="left:${round(100 * at)}%"${classes === "" ? "" : ` class="${classes}"`}>${text(label)}</span>`
  })
  return (
    `<div class="plot ${className}"><div class="rows" aria-hidden="true">${rowLabels.join("")}</div><div class="area">` +
    `<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img" aria-label="${text(label)}">` +
    `${rowLines}${columnLines}${body}</svg>${over}</div>` +
    `<div class="columns" aria-hidden="true">${columnLabels.join("")}</div></div>\n`
  )
}

/** An area of steps between shares of the width, each as high as its share of the height. */
const steps = (values: ReadonlyArray<{ readonly from: number; readonly to: number; readonly high: number }>): string =>
  values
    .filter(({ high }) => high > 0)
    .map(({ from, high, to }) => `M${x(from)} ${height}V${y(high)}H${x(to)}V${height}`)
    .join("")

/** The line on top of such an area. */
const outline = (values: ReadonlyArray<{ readonly from: number; readonly to: number; readonly high: number }>) =>
  `M0 ${height}${values.map(({ from, high, to }) => `H${x(from)}V${y(high)}H${x(to)}`).join("")}V${height}`

/** A span of the time that the receipts are of. */
export interface Moment {
  readonly from: number
  readonly to: number
  readonly bytesPerSecond: number
  readonly sent: number
  readonly ended: number
  readonly failed: number
}

/** The spans, cut where the first begins and the last ends; `most` at most, by putting neighbours together. */
export const moments = ({ endedAt, startedAt, timeline }: Report, most = Infinity): ReadonlyArray<Moment> => {
  if (startedAt === null || endedAt === null || timeline.from === null) return []
  const [begin, end, first] = [Date.parse(startedAt), Date.parse(endedAt), Date.parse(timeline.from)]
  const together = Math.max(1, Math.ceil(timeline.spans.length / most))
  const found: Array<Moment> = []
  for (let index = 0; index < timeline.spans.length; index += together) {
    const spans = timeline.spans.slice(index, index + together)
    const from = Math.max(begin, first + index * timeline.spanMs)
    const to = Math.min(end, first + (index + spans.length) * timeline.spanMs)
    const sum = (key: "sent" | "ended" | "failed") => spans.reduce((total, span) => total + span[key], 0)
    const sent = sum("sent")
    found.push({
      from,
      to: Math.max(from, to),
      bytesPerSecond: to > from ? (sent * 1000) / (to - from) : 0,
      sent,
      ended: sum("ended"),
      failed: sum("failed")
    })
  }
  return found
}

/** Spans that a plot shows: more are no wider than a pixel. */
const shownSpans = 300

const shares = (all: ReadonlyArray<Moment>, top: number, of: (moment: Moment) => number, least = 0) => {
  const [from, to] = [all[0]!.from, Math.max(all.at(-1)!.to, all[0]!.from + 1)]
  return all.map((moment) => ({
    from: (moment.from - from) / (to - from),
    to: (moment.to - from) / (to - from),
    high: of(moment) > 0 ? Math.max(least, of(moment) / top) : 0
  }))
}

/** Few failures among many ends are to be seen as well. */
const leastHigh = 0.14

/** The highest rate that the plot shows. */
export const peakOf = (report: Report): number =>
  Math.max(0, ...moments(report, shownSpans).map(({ bytesPerSecond }) => bytesPerSecond))

export const throughput = (report: Report): string => {
  const all = moments(report, shownSpans)
  if (all.length === 0) return ""
  const peak = peakOf(report)
  const { marks, top } = Axes.amounts(peak, "/s", true)
  const values = shares(all, top, ({ bytesPerSecond }) => bytesPerSecond)
  const mean = Math.min(1, report.bytesPerSecond / top)
  return plot({
    className: "tall",
    label: `Throughput over time: ${Quantity.formatRate(report.bytesPerSecond)} on the whole, ${Quantity.formatRate(peak)} at most`,
    body:
      `<path class="fill" d="${steps(values)}"/><path class="line" d="${outline(values)}"/>` +
      `<path class="mean" d="M0 ${y(mean)}H${width}"/>`,
    rows: marks,
    columns: Axes.times(all[0]!.from, all.at(-1)!.to)
  })
}

export const ends = (report: Report): string => {
  const all = moments(report, 150)
  if (all.length === 0) return ""
  const { marks, top } = Axes.amounts(Math.max(...all.map(({ ended }) => ended)), "", false)
  const failed = all.reduce((total, moment) => total + moment.failed, 0)
  return plot({
    className: "low",
    label: `Transfers that ended over time, ${failed} of them badly`,
    body:
      `<path class="quiet" d="${steps(shares(all, top, ({ ended }) => ended))}"/>` +
      `<path class="bad" d="${steps(shares(all, top, ({ failed }) => failed, leastHigh))}"/>`,
    rows: [marks[0]!, marks.at(-1)!],
    columns: Axes.times(all[0]!.from, all.at(-1)!.to)
  })
}

export const timesTaken = ({ times }: Report): string => {
  const bars = times.histogram.filter(({ to }) => to > 1)
  if (bars.length === 0) return ""
  const [from, to] = [Math.max(1, bars[0]!.from), bars.at(-1)!.to]
  const place = (ms: number) => Math.log(Math.max(from, ms) / from) / Math.log(to / from)
  const { marks, top } = Axes.amounts(Math.max(...times.histogram.map(({ count }) => count)), "", false)
  const lines = [
    ["p50", times.p50],
    ["p95", times.p95],
    ["p99", times.p99]
  ] as const
  const values = bars.map((one) => ({ from: place(one.from), to: place(one.to), high: one.count / top }))
  return plot({
    className: "marked",
    label: `Distribution of times: half took at most ${Quantity.formatDuration(times.p50)}, 99 % at most ${Quantity.formatDuration(times.p99)}`,
    body:
      `<path class="bars" d="${steps(values)}"/>` +
      lines.map(([, ms]) => `<path class="mark" d="M${x(place(ms))} 0V${height}"/>`).join(""),
    rows: marks,
    columns: Axes.logarithmic(from, to),
    // The lower one comes last: its words are over the line of a higher one.
    over: lines
      .map(
        ([name, ms], level) =>
          `<span class="flag level${level}${place(ms) > 0.7 ? " left" : ""}" style="left:${round(100 * place(ms))}%" aria-hidden="true">${name} ${Quantity.formatDuration(ms)}</span>`
      )
      .toReversed()
      .join("")
  })
}
