/**
 * What is said on standard error of the destinations of a receipt that failed: a line each, also of those on best effort.
 *
 * @since 0.1.0
 */
import type { Destination, Receipt } from "../Types.ts"
import * as ErrorLine from "./ErrorLine.ts"

type Failed = Destination & { readonly error: NonNullable<Destination["error"]> }

const isFailed = (end: Destination): end is Failed => end.error !== undefined

/** Those that failed, or were cancelled. */
export const failed = (receipt: Receipt): ReadonlyArray<Failed> => receipt.destinations.filter(isFailed)

/** What is known of a transfer's end besides its receipt. */
export interface Outcome {
  /** Whether any destination had been asked. */
  readonly asked: boolean
  /** What the transfer failed with; its URI is the source's where that is at fault. */
  readonly failure?: { readonly uri: string; readonly message: string }
  /** What is made of a message. */
  readonly word?: (message: string) => string
}

/** What is wrong with the source is the same for all. */
const isOfSource = ({ error }: Failed, { source }: Receipt, { failure }: Outcome): boolean =>
  error.reason.startsWith("Source") || (failure?.uri === source.uri && failure.message === error.message)

const ofEnd = (end: Failed, receipt: Receipt, outcome: Outcome): string => {
  const { left, message, reason, status } = end.error
  return ErrorLine.ofFailure({
    reason,
    uri: isOfSource(end, receipt, outcome) ? receipt.source.uri : end.uri,
    message: outcome.word?.(message) ?? message,
    status,
    objectId: end.object?.id,
    left,
    sent: end.bytesSent > 0,
    asked: outcome.asked
  })
}

/** The lines, none twice. */
export const lines = (receipt: Receipt, outcome: Outcome): ReadonlyArray<string> => [
  ...new Set(failed(receipt).map((end) => ofEnd(end, receipt, outcome)))
]
