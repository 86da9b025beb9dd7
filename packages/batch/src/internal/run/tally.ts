/**
 * What has become of a run's lines so far.
 */
import type * as Receipt from "@headrace/core/Receipt"

export interface Tally {
  verified: number
  stored: number
  skipped: number
  failed: number
  cancelled: number
  bytes: number
  bytesSent: number
  /** Of the destinations that failed and had to succeed. */
  readonly reasons: Set<string>
}

export const make = (): Tally => ({
  verified: 0,
  stored: 0,
  skipped: 0,
  failed: 0,
  cancelled: 0,
  bytes: 0,
  bytesSent: 0,
  reasons: new Set()
})

/** How a line stands by the verdicts on its destinations. */
export type Standing = "verified" | "stored" | "skipped" | "failed" | "cancelled"

const isGood = ({ status }: Receipt.Destination): boolean => status === "verified" || status === "stored"

export const standingOf = (receipt: Receipt.Receipt): Standing => {
  const required = receipt.destinations.filter((end) => end.required)
  if (required.some(({ status }) => status === "failed")) return "failed"
  if (required.some(({ status }) => status === "cancelled")) return "cancelled"
  if (required.every((end) => isGood(end) && end.attempts === 0 && end.bytesSent === 0)) return "skipped"
  return required.every(({ status }) => status === "verified") ? "verified" : "stored"
}

/** Counts a receipt in. */
export const add = (tally: Tally, receipt: Receipt.Receipt): Standing => {
  const standing = standingOf(receipt)
  tally[standing]++
  if (standing !== "failed" && standing !== "cancelled") tally.bytes += receipt.source.size ?? 0
  for (const { bytesSent, error, required } of receipt.destinations) {
    tally.bytesSent += bytesSent
    if (required && error !== undefined && error.reason !== "Interrupted") tally.reasons.add(error.reason)
  }
  return standing
}
