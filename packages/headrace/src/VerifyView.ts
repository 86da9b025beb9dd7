/**
 * What is told of a verification: counts, lines, and a display on standard error while it runs.
 *
 * @since 0.1.0
 */
import type * as Verify from "@headrace/batch/Verify"
import * as LiveLines from "./internal/liveLines.ts"
import type { Mode, Output } from "./Progress.ts"
import * as Text from "./Text.ts"

/**
 * What it came to so far.
 *
 * @since 0.1.0
 * @category models
 */
export interface Counts {
  /** Receipts that were read. */
  receipts: number
  /** Lines that are no receipt, nor any event of a run. */
  foreign: number
  /** Whether the last line has no end. */
  cut: boolean
  requests: number
  readonly status: Record<Verify.Status, number>
  readonly how: Record<Verify.How, number>
  /** Of those that are the same, how many have nothing but the size to show for it. */
  sizeOnly: number
}

/**
 * Nothing yet.
 *
 * @since 0.1.0
 * @category constructors
 */
export const counts = (): Counts => ({
  receipts: 0,
  foreign: 0,
  cut: false,
  requests: 0,
  status: { same: 0, missing: 0, differs: 0, unknown: 0 },
  how: { list: 0, head: 0, read: 0 },
  sizeOnly: 0
})

/**
 * Counts one in.
 *
 * @since 0.1.0
 * @category counting
 */
export const count = (counts: Counts, { compared, how, status }: Verify.Verification): void => {
  counts.status[status]++
  if (status === "unknown") return
  counts.how[how]++
  if (status === "same" && compared.length === 1 && compared[0] === "size") counts.sizeOnly++
}

const statuses: ReadonlyArray<readonly [Verify.Status, string]> = [
  ["same", "the same"],
  ["missing", "missing"],
  ["differs", "different"],
  ["unknown", "unknown"]
]

const hows: ReadonlyArray<readonly [Verify.How, string]> = [
  ["list", "by lists"],
  ["head", "by themselves"],
  ["read", "read back"]
]

/**
 * How many were looked at.
 *
 * @since 0.1.0
 * @category counting
 */
export const total = ({ status }: Counts): number => status.same + status.missing + status.differs + status.unknown

const plural = (value: number, one: string, many = `${one}s`): string =>
  `${Text.count(value)} ${value === 1 ? one : many}`

const outcomes = ({ status }: Counts, all: boolean): string =>
  statuses
    .filter(([name]) => all || status[name] > 0)
    .map(([name, word]) => `${Text.count(status[name])} ${word}`)
    .join(", ")

/**
 * The lines at the end.
 *
 * @since 0.1.0
 * @category formatting
 */
export const summary = (counts: Counts): ReadonlyArray<string> => {
  const known = hows
    .filter(([name]) => counts.how[name] > 0)
    .map(([name, word]) => `${Text.count(counts.how[name])} ${word}`)
  const requests = plural(counts.requests, "request")
  return [
    `${plural(total(counts), "object")} of ${plural(counts.receipts, "receipt")}: ${outcomes(counts, true)}`,
    ...(counts.sizeOnly === 0 ? [] : [`  of ${Text.count(counts.sizeOnly)} nothing but the size could be compared`]),
    known.length === 0 ? `  ${requests}` : `  looked at ${known.join(", ")}, with ${requests}`
  ]
}

/**
 * The line of one that is not the same.
 *
 * @since 0.1.0
 * @category formatting
 */
export const line = ({ message, status, uri }: Verify.Verification): string =>
  Text.oneLine(`${status} ${uri}: ${message}`)

/**
 * The display.
 *
 * @since 0.1.0
 * @category models
 */
export interface Display {
  /** The counts have changed. */
  readonly changed: () => void
  /** Writes a line of its own, above the live line. */
  readonly note: (line: string) => void
  /** Has a line of standard output written; above the live line where that is on the same terminal. */
  readonly result: (line: string, write: (line: string) => void) => void
  /** Clears the live line and stops. May be called again. */
  readonly end: () => void
}

const logMs = 10_000

/**
 * Makes a display. `TERM=dumb` counts as no terminal.
 *
 * @since 0.1.0
 * @category constructors
 */
export const display = (counts: Counts, options?: { readonly mode?: Mode; readonly output?: Output }): Display => {
  const mode = options?.mode ?? "auto"
  const output = options?.output ?? process.stderr
  const note = (line: string) => void output.write(`${line}\n`)
  const result: Display["result"] = (line, write) => write(line)
  if (mode === "none") return { changed: () => {}, note, result, end: () => {} }
  const words = () => {
    const outcome = outcomes(counts, false)
    const looked = `verify: ${plural(total(counts), "object")} looked at${outcome === "" ? "" : `: ${outcome}`}`
    return `${looked}; ${plural(counts.requests, "request")}`
  }
  if (mode === "auto" && output.isTTY === true && process.env["TERM"] !== "dumb") {
    const picture = LiveLines.make(output, ({ columns }) => [Text.fit(words(), columns)])
    return {
      changed: () => picture.changed("soon"),
      note: picture.note,
      result: process.stdout.isTTY === true ? picture.note : result,
      end: picture.end
    }
  }
  const tick = setInterval(() => note(words()), logMs)
  tick.unref()
  return { changed: () => {}, note, result, end: () => clearInterval(tick) }
}
