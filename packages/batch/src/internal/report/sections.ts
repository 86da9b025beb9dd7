/**
 * The parts of the page, from the verdict to the last failure.
 */
import type { Failure, Report } from "../../Report.ts"
import * as Quantity from "@headrace/core/Quantity"
import type { Count } from "./counts.ts"
import { bar, count, list, name, plural, round, table, text } from "./markup.ts"
import * as Plots from "./plots.ts"

const ways = [
  ["verified", "verified"],
  ["stored", "stored"],
  ["skipped", "there already"],
  ["failed", "failed"],
  ["cancelled", "cancelled"]
] as const

const moment = (iso: string): string => `${iso.slice(0, 10)} ${iso.slice(11, 19)}`

/** How it went, in a few words. */
export const headline = ({ lines: { cancelled, failed, total } }: Report): string => {
  if (total === 0) return "No transfer has come to an end"
  const all = plural(total, "line", "lines")
  if (failed + cancelled === 0) return total === 1 ? "The one line has arrived" : `All ${all} have arrived`
  const bad = [
    ...(failed > 0 ? [`${count(failed)} of ${all} failed`] : []),
    ...(cancelled > 0 ? [failed > 0 ? `${count(cancelled)} cancelled` : `${count(cancelled)} of ${all} cancelled`] : [])
  ]
  return bad.join(", ")
}

const proofs = ({ failures, lines: { skipped, stored, verified } }: Report): string =>
  [
    ...(verified > 0 ? [`${count(verified)} verified: what is there equals what was read, digest by digest.`] : []),
    ...(stored > 0 ? [`${count(stored)} stored, where the store has nothing to compare but the size.`] : []),
    ...(skipped > 0 ? [`${count(skipped)} there already.`] : []),
    ...(failures.bestEffort > 0 ? [`${count(failures.bestEffort)} destinations on best effort failed.`] : [])
  ].join(" ")

/** All lines as one bar, in parts by how they stand. */
const shares = ({ lines }: Report): string => {
  // The smallest part is to be seen as well.
  const widths = ways.map(([way]) => (lines[way] === 0 ? 0 : Math.max(0.5, (100 * lines[way]) / lines.total)))
  const whole = widths.reduce((sum, width) => sum + width, 0)
  let from = 0
  const parts = ways.map(([way], index) => {
    const wide = (100 * widths[index]!) / whole
    const part = `<rect class="${way}" x="${round(from)}" width="${round(wide)}" height="10"/>`
    from += wide
    return part
  })
  const keys = ways
    .filter(([way]) => lines[way] > 0)
    .map(
      ([way, words]) =>
        `<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="${way}" width="10" height="10" rx="2"/></svg>${count(lines[way])} ${words}</li>`
    )
  return (
    `<svg class="shares" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">${parts.join("")}</svg>` +
    `<ul class="legend" aria-label="Lines by how they stand">${keys.join("")}</ul>\n`
  )
}

const figures = (report: Report): string => {
  const { bytes, bytesPerSecond, bytesSent, elapsedMs, lines, times } = report
  const retried = report.retries.reduce((total, one) => total + one.count, 0)
  const perSecond = elapsedMs > 0 ? (lines.total * 1000) / elapsedMs : 0
  const all: ReadonlyArray<readonly [string, string, string]> = [
    ["Lines", count(lines.total), perSecond >= 1 ? `${count(Math.round(perSecond))} a second` : ""],
    ["Arrived", Quantity.formatBytes(bytes), "bytes of the sources"],
    ["Sent", Quantity.formatBytes(bytesSent), "to all destinations, retries included"],
    ["Time", Quantity.formatDuration(elapsedMs), "from the first beginning to the last end"],
    ["Rate", Quantity.formatRate(bytesPerSecond), "of what was sent, on the whole"],
    ["Half took at most", times.count > 0 ? Quantity.formatDuration(times.p50) : "–", "a transfer to one destination"],
    [
      "99 % took at most",
      times.count > 0 ? Quantity.formatDuration(times.p99) : "–",
      `longest ${Quantity.formatDuration(times.max)}`
    ],
    ["Retries", count(retried), `in ${plural(report.attempts, "attempt", "attempts")}`]
  ]
  const cells = all.map(
    ([label, value, more]) => `<div><dt>${label}</dt><dd>${value}<span class="more">${more}</span></dd></div>`
  )
  return `<dl class="figures">${cells.join("")}</dl>\n`
}

export function* verdict(report: Report, of: string): Generator<string> {
  const { cancelled, failed, total } = report.lines
  const kind = failed > 0 ? "bad" : cancelled > 0 || total === 0 ? "half" : "ok"
  const { endedAt, failures, startedAt } = report
  yield `<header class="verdict ${kind}"><p class="over">Headrace report of ${name(of)}</p><h1>${text(headline(report))}</h1>`
  if (total > 0) yield `<p class="lead">${text(proofs(report))}</p>`
  if (startedAt !== null && endedAt !== null) {
    yield `<p class="over">${moment(startedAt)} to ${moment(endedAt)} UTC</p>`
  }
  if (failures.total > 0) yield '<p class="over"><a href="#failures">What failed, and why</a></p>'
  yield "</header>\n"
  if (total === 0) return
  yield shares(report)
  yield figures(report)
}

export function* overTime(report: Report): Generator<string> {
  if (report.startedAt === null) return
  yield "<section><h2>Throughput over time</h2>"
  yield `<p class="note">Body bytes sent to all destinations; what a transfer sent is spread evenly over the time that it took. The dotted line is the mean, ${Quantity.formatRate(report.bytesPerSecond)}; the peak is ${Quantity.formatRate(Plots.peakOf(report))}. Times are UTC.</p>`
  yield Plots.throughput(report)
  yield "<h3>Transfers that ended; red where some failed</h3>"
  yield Plots.ends(report)
  yield "<details><summary>The same as a table</summary>"
  const columns = [
    { head: "From (UTC)" },
    { head: "Sent", number: true },
    { head: "Rate", number: true },
    { head: "Ended", number: true },
    { head: "Failed", number: true }
  ]
  yield* table(
    { caption: "Throughput over time", columns },
    Plots.moments(report, 60).map(({ bytesPerSecond, ended, failed, from, sent }) => [
      moment(new Date(from).toISOString()),
      Quantity.formatBytes(sent),
      Quantity.formatRate(bytesPerSecond),
      count(ended),
      count(failed)
    ])
  )
  yield "</details></section>\n"
}

export function* taken(report: Report): Generator<string> {
  const { times } = report
  if (times.count === 0) return
  const percent = round(100 * times.within)
  yield "<section><h2>How long a transfer took</h2>"
  yield `<p class="note">${plural(times.count, "transfer", "transfers")} to a destination that came to a good end, retries and waits included; the axis is logarithmic, the percentiles are within ${percent} %.</p>`
  yield Plots.timesTaken(report)
  const names = ["p50", "p90", "p95", "p99", "max"] as const
  yield* table(
    {
      caption: "Percentiles of the time that a transfer took",
      columns: [{ head: "" }, ...names.map((head) => ({ head, number: true }))]
    },
    [["Time", ...names.map((key) => Quantity.formatDuration(times[key]))]]
  )
  yield "<details><summary>The plot as a table</summary>"
  yield* table(
    {
      caption: "Transfers by the time that they took",
      columns: [{ head: "From" }, { head: "To", number: true }, { head: "Transfers", number: true }]
    },
    times.histogram.map(({ count: found, from, to }) => [
      Quantity.formatDuration(from),
      Quantity.formatDuration(to),
      count(found)
    ])
  )
  yield "</details></section>\n"
}

function* byReason(
  title: string,
  note: string,
  none: string,
  counts: ReadonlyArray<Count>,
  kind: string
): Generator<string> {
  yield `<section class="keep"><h2>${title}</h2><p class="note">${note}</p>`
  const most = Math.max(...counts.map((one) => one.count))
  if (counts.length === 0) yield `<p>${none}</p>`
  else {
    yield* table(
      { caption: title, columns: [{ head: "Reason" }, { head: "Times", number: true }, { head: "", wide: true }] },
      counts.map((one) => [name(one.reason), count(one.count), bar(one.count / most, kind)])
    )
  }
  yield "</section>\n"
}

export function* reasons(report: Report): Generator<string> {
  yield '<div class="two">'
  yield* byReason("Retries by reason", "Attempts that failed and were made again.", "None.", report.retries, "main")
  yield* byReason("Failures by reason", "Lines that failed or were cancelled.", "None.", report.reasons, "badbar")
  yield "</div>\n"
}

export function* places({ places: all }: Report): Generator<string> {
  if (all.length === 0) return
  const columns = ["Good", "Failed", "Cancelled", "Retries", "Sent", "p50", "p95", "max"].map((head) => ({
    head,
    number: true
  }))
  yield "<section><h2>Destinations</h2>"
  yield* table(
    { caption: "Destinations", className: "named", columns: [{ head: "Place" }, ...columns] },
    all.map(({ cancelled, failed, good, max, p50, p95, place, retries, sent }) => [
      `<bdi>${text(place)}</bdi>`,
      ...[good, failed, cancelled, retries].map(count),
      Quantity.formatBytes(sent),
      ...[p50, p95, max].map((ms) => (good > 0 ? Quantity.formatDuration(ms) : "–"))
    ])
  )
  yield "</section>\n"
}

/** A power of two, without what is after its point. */
const size = (bytes: number): string => Quantity.formatBytes(bytes).replace(/\.0+ /, " ")

export function* sizes({ sizes: all, unsized }: Report): Generator<string> {
  if (all.length === 0) return
  const most = Math.max(...all.map((one) => one.count))
  yield '<section class="keep"><h2>Sizes</h2>'
  yield `<p class="note">Sources of lines that came to a good end${unsized > 0 ? `; ${count(unsized)} more are of unknown size` : ""}.</p>`
  yield* table(
    {
      caption: "Sources by size",
      className: "named",
      columns: [
        { head: "Size" },
        { head: "Lines", number: true },
        { head: "Bytes", number: true },
        { head: "", wide: true }
      ]
    },
    all.map(({ bytes, count: found, from, to }) => [
      from === 0 ? "empty" : `${size(from)} – ${size(to)}`,
      count(found),
      Quantity.formatBytes(bytes),
      bar(found / most)
    ])
  )
  yield "</section>\n"
}

const named = (id: string, uri: string): string =>
  `<span class="id">${name(id)}</span> <span class="where">${name(uri.split("?", 1)[0]!)}</span>`

export function* slowest({ slowest: all }: Report): Generator<string> {
  if (all.length === 0) return
  yield `<section class="keep"><h2>The slowest ${all.length}</h2>`
  const numbers = ["Time", "Size", "Sent", "Attempts"].map((head) => ({ head, number: true }))
  yield* table(
    {
      caption: "The slowest",
      className: "slow",
      columns: [{ head: "Line and destination" }, ...numbers, { head: "Verdict" }]
    },
    all.map(({ attempts, bytesSent, elapsedMs, id, size, status, uri }) => [
      named(id, uri),
      Quantity.formatDuration(elapsedMs),
      size === null ? "–" : Quantity.formatBytes(size),
      Quantity.formatBytes(bytesSent),
      count(attempts),
      status
    ])
  )
  yield "</section>\n"
}

const failureCells = ({ attempts, code, id, left, message, ofSource, reason, required, status, uri }: Failure) => [
  named(id, uri),
  `<span class="why">${name(reason)}</span>${code === undefined ? "" : ` ${code}`}<span class="where">${[
    ...(status === "cancelled" ? ["cancelled"] : []),
    ...(required ? [] : ["on best effort"]),
    ...(ofSource === true ? ["at the source"] : []),
    plural(attempts, "attempt", "attempts")
  ].join(", ")}</span>`,
  `${name(message)}<span class="where">${left === "none" ? "nothing is left behind" : `left: ${name(left)}`}</span>`
]

export function* failures({ failures: { first, total } }: Report): Generator<string> {
  yield '<section id="failures"><h2>Failures</h2>'
  if (total === 0) {
    yield '<p class="note">There are none.</p></section>\n'
    return
  }
  const listed =
    first.length < total
      ? `The first ${count(first.length)} of ${count(total)} are listed.`
      : `All ${count(total)} of them.`
  yield `<p class="note">${total === 1 ? "The only one." : listed}</p>`
  const columns = ["Line and destination", "Reason", "What happened, and what is left"].map((head) => ({ head }))
  yield* list(
    { caption: "Failures", columns },
    first.map((failure) => () => failureCells(failure))
  )
  yield "</section>\n"
}

export function* about({ read }: Report, madeAt: string): Generator<string> {
  const wrong = read.firstWrong.map(({ number, why }) => `line ${number}: ${why}`).join("; ")
  const more = read.wrong > read.firstWrong.length ? "; and more" : ""
  const said = [
    `Of ${plural(read.receipts, "receipt", "receipts")}${read.events > 0 ? ` among ${plural(read.events, "other event", "other events")}` : ""}, made ${moment(madeAt)} UTC.`,
    ...(read.repeated > 0
      ? [
          `${plural(read.repeated, "receipt is of a line", "receipts are of lines")} that had one before: the last says how a line stands; bytes sent, times and retries are those of all.`
        ]
      : []),
    ...(read.unchecked > 0
      ? [`${count(read.unchecked)} receipts are counted without a look for an earlier one of the same line.`]
      : []),
    ...(read.other > 0
      ? [`${plural(read.other, "line is", "lines are")} neither receipts nor events, and left out.`]
      : []),
    ...(read.wrong > 0 ? [`${plural(read.wrong, "line is", "lines are")} wrong, and left out (${wrong}${more}).`] : []),
    ...(read.cut === null ? [] : [`Line ${read.cut}, the last, is cut off, and left out.`])
  ]
  yield `<footer>${said.map((one) => `<p class="note">${text(one)}</p>`).join("")}</footer>\n`
}
