/**
 * How a line has come out, and what is to be told of it.
 */
import type { Reason } from "@headrace/core/Reason"
import type * as Receipt from "@headrace/core/Receipt"
import type { Item } from "../../Journal.ts"
import type * as Tally from "./tally.ts"

/**
 * How it has ended: with a receipt, or not, as what failed may go well later: the services that are away, or full.
 */
export type Outcome =
  | { readonly _tag: "Ended"; readonly standing: Tally.Standing; readonly receipt: Receipt.Receipt }
  | (Postponed & {
      /** With what is to be tidied up before it is tried again. */
      readonly item: Item
    })

/** Why a line is left for later. */
export interface Postponed {
  readonly _tag: "Later"
  readonly why: "quota" | "away" | "order"
  readonly uri: string
  readonly message: string
}

/** Reasons for which a service is away, or has too much to do, rather than against it. */
const away: ReadonlySet<Reason> = new Set(["Unavailable", "ConnectionLost", "Stalled"])

/**
 * Whether all that failed may go well later, and nothing stands. What is left there is known by name, and is tidied up
 * before the line is tried again.
 */
export const later = ({ destinations }: Receipt.Receipt): Postponed | undefined => {
  const failed = destinations.filter(({ error, required }) => required && error !== undefined)
  const first = failed[0]
  if (first === undefined || destinations.some(({ error }) => error === undefined)) return undefined
  const { error, uri } = first
  const { message } = error!
  if (failed.every((end) => end.error!.reason === "QuotaExceeded")) return { _tag: "Later", why: "quota", uri, message }
  const mayPass = failed.every(
    (end) => end.error!.retryable && (away.has(end.error!.reason) || isSource(end.error!.reason))
  )
  return mayPass ? { _tag: "Later", why: "away", uri, message } : undefined
}

/** With what is to be known of the images that were made. */
export const withNotes = (receipt: Receipt.Receipt, notes: ReadonlyArray<string>): Receipt.Receipt =>
  notes.length === 0
    ? receipt
    : {
        ...receipt,
        destinations: receipt.destinations.map((end) =>
          end.object !== undefined && end.uri.startsWith("glance://")
            ? { ...end, notes: [...(end.notes ?? []), ...notes] }
            : end
        )
      }

export const isPart = (object: Receipt.Destination["object"], standing: ReadonlyArray<string>): boolean =>
  object !== undefined && !standing.includes(object.id)

const isSource = (reason: Reason): boolean => reason === "SourceUnreadable"
