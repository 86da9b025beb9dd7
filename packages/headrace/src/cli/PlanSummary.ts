/**
 * What a plan comes to, for a person: a few lines on standard error.
 *
 * @since 0.1.0
 */
import type { PlanTotals } from "@headrace/batch/PlanTotals"
import type { SkipKind } from "@headrace/batch/Plan"
import * as Quantity from "@headrace/core/Quantity"
import * as Text from "../Text.ts"

const mebibyte = 1024 * 1024

/** The rate of the example where none is given. */
const exampleRate = 100 * mebibyte

const images = (count: number): string => `${Text.count(count)} ${count === 1 ? "image" : "images"}`

const reasons: Readonly<Record<SkipKind, string>> = {
  inactive: "not active",
  deactivated: "deactivated",
  empty: "without data",
  existing: "there already",
  refused: "that cannot be written",
  required: "without what the destination wants"
}

const amounts = ({ formats }: PlanTotals): string =>
  formats
    .map(([format, amount]) => `${Text.count(amount.images)} ${format} (${Quantity.formatBytes(amount.bytes)})`)
    .join(", ")

const moved = (totals: PlanTotals): string => {
  if (totals.images === 0) return `nothing would move, of ${images(totals.listed)}`
  const unsized = totals.unsized === 0 ? "" : `, ${Text.count(totals.unsized)} of unknown size`
  return `${images(totals.images)} would move, ${Quantity.formatBytes(totals.bytes)}${unsized}: ${amounts(totals)}`
}

const leftOut = ({ filtered, skipped }: PlanTotals): ReadonlyArray<string> => {
  const parts = [
    ...(Object.entries(skipped) as ReadonlyArray<[SkipKind, number]>).map(
      ([kind, count]) => `${Text.count(count)} ${reasons[kind]}`
    ),
    ...(filtered === 0 ? [] : [`${Text.count(filtered)} by --filter`])
  ]
  return parts.length === 0 ? [] : [`left out: ${parts.join(", ")}`]
}

const notes = (count: number): ReadonlyArray<string> =>
  count === 0 ? [] : [`${Text.count(count)} ${count === 1 ? "note is" : "notes are"} in the manifest: # note`]

/** The lines, without what stands before each. */
export const lines = (totals: PlanTotals, rate: number | undefined): ReadonlyArray<string> => {
  const { requests, sent } = totals
  const at = rate ?? exampleRate
  const estimate =
    `about ${Quantity.formatDuration((sent * 1000) / at)} for ${Quantity.formatBytes(sent)} at ` +
    `${Quantity.formatRate(at)}${rate === undefined ? ", as an example: --limit says another rate" : ""}`
  return [
    moved(totals),
    ...leftOut(totals),
    ...notes(totals.notes),
    ...(totals.images === 0
      ? []
      : [
          `about ${Text.count(requests)} requests: for each image 4 at its cloud and 3 at each cloud it goes to (4 where it ` +
            "is protected or hidden); at other stores 2, and 1 for each 8 MiB",
          estimate
        ])
  ]
}
