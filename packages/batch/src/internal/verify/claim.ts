/**
 * What a receipt says of one destination that holds the bytes.
 */
import type { Digests } from "@headrace/core/Digest"
import type * as Receipt from "@headrace/core/Receipt"

export interface Claim {
  /** The receipt's. */
  readonly id: string
  readonly uri: string
  /** What was made, as the store calls it; `undefined` where the receipt does not say. */
  readonly object: string | undefined
  readonly store: string | undefined
  readonly size: number | undefined
  /** Of the bytes. What was computed of the source goes before what the store said. */
  readonly digests: Digests
  /** Those that the store had. */
  readonly reported: Digests
  /** When it was all there, in milliseconds since 1970; `undefined` where the receipt does not say. */
  readonly endedAt: number | undefined
}

const endOf = ({ elapsedMs, startedAt }: Receipt.Destination): number | undefined => {
  const end = Date.parse(startedAt) + elapsedMs
  return Number.isFinite(end) ? end : undefined
}

const isGood = ({ status }: Receipt.Destination): boolean => status === "verified" || status === "stored"

/** Of each destination that was said to hold the bytes. */
export const ofReceipt = ({ destinations, id, source }: Receipt.Receipt): ReadonlyArray<Claim> =>
  destinations.filter(isGood).map((destination) => ({
    id,
    uri: destination.uri,
    object: destination.object?.id,
    store: destination.object?.store,
    size: source.size ?? destination.object?.size ?? undefined,
    digests: { ...destination.object?.digests, ...source.digests },
    reported: destination.object?.digests ?? {},
    endedAt: endOf(destination)
  }))
