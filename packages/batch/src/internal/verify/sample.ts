/**
 * Which objects are read back: a share of them, chosen by a hash of what the receipts say, so that the same receipts
 * choose the same ones. Where it would be none, it is the one that comes first by that hash.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import type { Claim } from "./claim.ts"

const bytes = 6

/** Evenly from 0 to 1, without 1. */
const rankOf = ({ id, uri }: Claim): number =>
  createHash("sha256").update(`${id}\0${uri}`).digest().readUIntBE(0, bytes) / 256 ** bytes

/** Has each of them pass `read` that is chosen; those that cannot be are passed on. */
export const sample = <A extends { readonly claim: Claim }, E, R, E2, R2>(
  self: Stream.Stream<A, E, R>,
  options: {
    readonly share: number
    readonly concurrency: number
    readonly canBe: (one: A) => boolean
    readonly read: (one: A) => Effect.Effect<A, E2, R2>
  }
): Stream.Stream<A, E | E2, R | R2> =>
  Stream.suspend(() => {
    const { canBe, concurrency, read, share } = options
    /** The first by the hash, kept back as long as none is chosen. */
    let first: { readonly one: A; readonly rank: number } | undefined
    let some = false

    const choose = (one: A): ReadonlyArray<{ readonly one: A; readonly chosen: boolean }> => {
      if (!canBe(one)) return [{ one, chosen: false }]
      const rank = rankOf(one.claim)
      const kept = first
      if (rank < share) {
        some = true
        first = undefined
        return [...(kept === undefined ? [] : [{ one: kept.one, chosen: false }]), { one, chosen: true }]
      }
      if (some || (kept !== undefined && kept.rank <= rank)) return [{ one, chosen: false }]
      first = { one, rank }
      return kept === undefined ? [] : [{ one: kept.one, chosen: false }]
    }

    const last = Stream.suspend(() =>
      first === undefined ? Stream.empty : Stream.succeed({ one: first.one, chosen: true })
    )
    return Stream.concat(Stream.flattenIterable(Stream.map(self, choose)), last).pipe(
      Stream.mapEffect(({ chosen, one }) => (chosen ? read(one) : Effect.succeed(one)), {
        concurrency,
        unordered: true
      })
    )
  })
