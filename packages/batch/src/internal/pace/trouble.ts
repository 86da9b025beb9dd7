/**
 * What a failure says of the service that it came from. Most failures are a single transfer's and say nothing.
 */
import type { Reason } from "@headrace/core/Reason"

/**
 * `busy`: it has too much to do. `away`: it does not answer, or not as itself. `quota`: one is full. `none`: it has
 * answered, and the trouble is the transfer's own.
 */
export type Trouble = "busy" | "away" | "quota" | "none"

export interface Failure {
  readonly reason: Reason
  readonly message: string
  readonly status?: number
  readonly retryable?: boolean
}

/** Statuses of 500 and more that speak of the request and not of the service's state. */
const ofRequest: ReadonlySet<number> = new Set([501, 505, 507])

const isAway = ({ reason, retryable, status }: Failure): boolean =>
  // A web server that cannot be reached is such a source as well.
  (reason === "SourceUnreadable" && retryable !== false) ||
  reason === "ConnectionLost" ||
  reason === "Stalled" ||
  reason === "Unavailable" ||
  (status !== undefined && status >= 500 && !ofRequest.has(status))

/** `undefined` where nothing can be told of the service. */
export const of = (failure: Failure): Trouble | undefined => {
  const { reason, retryable, status } = failure
  if (status === 429 || status === 503) return "busy"
  // One that is worth another try is of what is under way at once, and not of what is stored.
  if (reason === "QuotaExceeded") return retryable === false ? "quota" : "busy"
  if (isAway(failure)) return "away"
  return status === undefined ? undefined : "none"
}
