/**
 * What is known of each destination of a transfer while it runs, and of the copies that its service makes; and of all of
 * them together at its end.
 */
import type { Copy } from "../Copies.ts"
import type { Digests } from "../Digest.ts"
import type { Moment } from "../Monotonic.ts"
import type { Reason } from "../Reason.ts"
import type * as Receipt from "../Receipt.ts"
import type { Store } from "../Store.ts"
import type { Counters } from "./attempt.ts"
import type { State } from "./delivery.ts"
import type { Verdict } from "./verdict.ts"

/** What has an entry of its own in the receipt. */
export interface Line {
  readonly uri: string
  readonly required: boolean
  /** `undefined`: when the transfer did. */
  readonly startedAt: Moment | undefined
  readonly state: Pick<State, "attempts" | "bytesSent" | "notes" | "retried">
  verdict: Verdict | undefined
  /** In the receipt, once there is a verdict. */
  entry: Receipt.Destination | undefined
}

/** A copy that the service is to make of a destination's object. */
export interface Follower extends Line {
  readonly place: string
  startedAt: Moment | undefined
}

export interface End<RD> extends Line {
  readonly store: Store<RD>
  readonly state: State
  readonly counters: Counters
  readonly copies: ReadonlyArray<Follower>
}

const follower = ({ place, uri }: Copy<unknown>, required: boolean): Follower => ({
  uri,
  place,
  required,
  startedAt: undefined,
  state: { attempts: 0, bytesSent: 0, notes: [], retried: {} },
  verdict: undefined,
  entry: undefined
})

export const all = <RD>(to: ReadonlyArray<Store<RD>>, also: ReadonlyArray<Store<RD>>): ReadonlyArray<End<RD>> =>
  [...to, ...also].map((store, index) => ({
    store,
    uri: store.uri,
    required: index < to.length,
    startedAt: undefined,
    copies: (store.copies ?? []).map((copy) => follower(copy, index < to.length)),
    state: {
      session: undefined,
      standing: undefined,
      attempts: 0,
      bytesSent: 0,
      content: undefined,
      notes: [],
      retried: {},
      failed: undefined
    },
    counters: { read: 0, sent: 0, acknowledged: 0, hashed: () => 0 },
    verdict: undefined,
    entry: undefined
  }))

/** Notes that an attempt has failed and is tried again. */
export const retried = ({ state }: Line, reason: Reason): void => {
  state.retried[reason] = (state.retried[reason] ?? 0) + 1
}

/** The receipt's entries in order: a destination's copies come after it. */
export const lines = (ends: ReadonlyArray<Line & { readonly copies: ReadonlyArray<Follower> }>): ReadonlyArray<Line> =>
  ends.flatMap((end) => [end as Line].concat(end.copies))

/** What is said of them at the start. */
export const announced = <RD>(
  ends: ReadonlyArray<End<RD>>
): ReadonlyArray<{ readonly uri: string; readonly required: boolean; readonly copyOf?: string }> =>
  ends.flatMap(({ copies, required, uri }) => [
    { uri, required },
    ...copies.map((copy) => ({ uri: copy.uri, required: copy.required, copyOf: uri }))
  ])

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

/** The required destination, or copy, whose failure is the transfer's. */
export const worst = (
  all: ReadonlyArray<Line>
): { readonly uri: string; readonly verdict: Verdict & { readonly _tag: "Bad" } } | undefined => {
  const failed = all.flatMap(({ required, uri, verdict }) =>
    required && verdict?._tag === "Bad" ? [{ uri, verdict }] : []
  )
  return failed.find(({ verdict }) => isMismatch(verdict)) ?? failed[0]
}
