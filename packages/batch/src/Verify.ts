/**
 * Looks again at what receipts say was uploaded, without writing anything.
 *
 * Receipts are taken in lots of some thousands, so that memory does not grow with their number. Of a lot, the objects of
 * one service are asked for together where a list tells enough:
 *
 * - Images by their ids, 50 with one request. The list tells status, size, digests and stores, all that there is.
 * - Objects of a bucket or of a container by pages of its list, each of which begins at the next object that is wanted:
 *   never more pages than objects, however many others are there. The list tells the size, and the ETag or the hash, which
 *   is compared where it is an MD5 that the receipt has.
 * - Where there are but a few, and files and URLs, each by itself. So is whatever a list does not show, before it is called
 *   missing.
 *
 * What one service refuses, or cannot answer, does not keep others from being asked. Each receipt is held against what is
 * there now, also an older one of a place to which something else was written since.
 *
 * @since 0.1.0
 */
import type { BlockPool } from "@headrace/core/BlockPool"
import type { Host } from "@headrace/core/Host"
import type { Receipt } from "@headrace/core/Receipt"
import { Transport } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type * as Ends from "./Ends.ts"
import type { Asking } from "./internal/verify/asking.ts"
import * as Claim from "./internal/verify/claim.ts"
import { judge } from "./internal/verify/judge.ts"
import * as Lot from "./internal/verify/lot.ts"
import { readBack } from "./internal/verify/readBack.ts"
import { sample } from "./internal/verify/sample.ts"
import * as Uri from "./Uri.ts"

/**
 * `same`: all that could be compared is as the receipt says. `differs`: something is there, and is not that. `unknown`: it
 * could not be asked.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "same" | "missing" | "differs" | "unknown"

/**
 * By what it is known: the list of a service, a question for the object alone, or its bytes.
 *
 * @since 0.1.0
 * @category models
 */
export type How = "list" | "head" | "read"

/**
 * What has become of one destination of a receipt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Verification {
  readonly type: "verification"
  /** ISO 8601, UTC. */
  readonly at: string
  /** The receipt's. */
  readonly id: string
  readonly uri: string
  readonly status: Status
  readonly how: How
  /** What was compared: `size`, and digests by their names. `size` alone is little: other bytes may have it, too. */
  readonly compared: ReadonlyArray<string>
  /** One line. */
  readonly message: string
  /** As it was found. */
  readonly object?: {
    readonly id: string
    readonly store?: string
    readonly size: number | null
    readonly digests: Readonly<Record<string, string>>
    /** Of an image. */
    readonly status?: string
  }
}

/**
 * How it is looked.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Asks for each object by itself, also where a list would do; of large objects of Swift the segments, too (false). */
  readonly head?: boolean | undefined
  /**
   * Which share of what was found to be the same is read back, above 0 and up to 1: the same ones of the same receipts,
   * and one at least (none).
   */
  readonly sample?: number | undefined
  /** Requests, or objects that are read, at once (8). */
  readonly concurrency?: number | undefined
  readonly surroundings?: Ends.Surroundings | undefined
  /** Told of each request. */
  readonly onRequest?: (() => void) | undefined
}

/** Receipts of a lot. */
const lotReceipts = 2048

const counting = (onRequest: () => void): Effect.Effect<Transport["Service"], never, Transport> =>
  Effect.map(Transport, ({ send }) =>
    Transport.of({
      send: (request) =>
        Effect.suspend(() => {
          onRequest()
          return send(request)
        })
    })
  )

interface Judged extends Lot.Looked {
  readonly verdict: ReturnType<typeof judge>
}

const judged = (looked: Lot.Looked): Judged => ({ ...looked, verdict: judge(looked.claim, looked.found) })

/** Reads it back, and judges by that. */
const reading = (asking: Asking) => (one: Judged) => {
  const { claim, found, target } = one
  if (found._tag !== "There" || target === undefined) return Effect.succeed(one)
  return Effect.gen(function* () {
    const read = yield* asking.permits.withPermits(1)(readBack(target, claim, found))
    const why = read._tag === "Unasked" ? yield* Lot.damage(asking, { target, claims: [claim] }) : undefined
    return judged({ claim, target, found: why === undefined ? read : { ...found, how: "read", wrong: why } })
  })
}

/**
 * Looks at every destination that a receipt calls `verified` or `stored`; what has come of each is told as soon as it is
 * known, in no order. Nothing that is found, or cannot be asked, is a failure of the stream.
 *
 * @since 0.1.0
 * @category running
 */
export const run = <E, R>(
  receipts: Stream.Stream<Receipt, E, R>,
  options: Options = {}
): Stream.Stream<Verification, E, R | Transport | Host | BlockPool> => {
  const { concurrency = 8, head = false, onRequest, sample: share, surroundings = {} } = options
  const asking: Asking = { permits: Semaphore.makeUnsafe(concurrency), concurrency, head }
  const looked = receipts.pipe(
    Stream.grouped(lotReceipts),
    Stream.flatMap((lot) => Lot.look(asking, lot.flatMap(Claim.ofReceipt), surroundings)),
    Stream.map(judged)
  )
  const compared =
    share === undefined
      ? looked
      : sample(looked, {
          share,
          concurrency,
          canBe: ({ verdict }) => verdict.status === "same",
          read: reading(asking)
        })
  const told = Stream.mapEffect(compared, ({ claim, verdict }) =>
    Effect.map(Clock.currentTimeMillis, (now): Verification => {
      const { compared, how, message, object, status } = verdict
      return {
        type: "verification",
        at: new Date(now).toISOString(),
        id: claim.id,
        uri: Uri.shown(claim.uri),
        ...(object === undefined ? undefined : { object }),
        status,
        how,
        compared,
        message
      }
    })
  )
  return onRequest === undefined ? told : Stream.provideServiceEffect(told, Transport, counting(onRequest))
}
