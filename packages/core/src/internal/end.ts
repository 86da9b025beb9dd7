/**
 * What is known of each destination of a transfer while it runs, and of all of them together at its end.
 */
import type { Digests } from "../Digest.ts"
import type * as Receipt from "../Receipt.ts"
import type { Store } from "../Store.ts"
import type { Counters } from "./attempt.ts"
import type { State } from "./delivery.ts"
import type { Verdict } from "./verdict.ts"

export interface End<RD> {
  readonly store: Store<RD>
  readonly required: boolean
  readonly state: State
  readonly counters: Counters
  verdict: Verdict | undefined
  /** In the receipt, once there is a verdict. */
  entry: Receipt.Destination | undefined
}

export const all = <RD>(to: ReadonlyArray<Store<RD>>, also: ReadonlyArray<Store<RD>>): ReadonlyArray<End<RD>> =>
  [...to, ...also].map((store, index) => ({
    store,
    required: index < to.length,
    state: {
      session: undefined,
      standing: undefined,
      attempts: 0,
      bytesSent: 0,
      content: undefined,
      notes: [],
      failed: undefined
    },
    counters: { read: 0, sent: 0, acknowledged: 0, hashed: () => 0 },
    verdict: undefined,
    entry: undefined
  }))

/** The source's size, and every digest that was computed of it for one or the other destination. */
export const content = <RD>(
  ends: ReadonlyArray<End<RD>>
): { readonly size: number | null; readonly digests: Digests } => {
  const read = ends.flatMap(({ state }) => (state.content === undefined ? [] : [state.content]))
  return { size: read[0]?.size ?? null, digests: Object.assign({}, ...read.map(({ digests }) => digests)) as Digests }
}

/** Bytes that are not the source's are worse than none. */
const isMismatch = (verdict: Verdict) =>
  verdict._tag === "Bad" && ["DigestMismatch", "SizeMismatch", "SourceMismatch"].includes(verdict.problem.reason)

/** The required destination whose failure is the transfer's. */
export const worst = <RD>(
  ends: ReadonlyArray<End<RD>>
): { readonly uri: string; readonly verdict: Verdict & { readonly _tag: "Bad" } } | undefined => {
  const failed = ends.flatMap(({ required, store, verdict }) =>
    required && verdict?._tag === "Bad" ? [{ uri: store.uri, verdict }] : []
  )
  return failed.find(({ verdict }) => isMismatch(verdict)) ?? failed[0]
}
