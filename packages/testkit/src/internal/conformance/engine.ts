/**
 * The promises that the engine and an adapter keep together, and the transfers that they are tried with.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Bandwidth from "@headrace/core/Bandwidth"
import { BlockPool } from "@headrace/core/BlockPool"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import type { Session, Store } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import { UploadJournal, type UploadJournalService } from "@headrace/core/UploadJournal"
import { difference } from "./bytes.ts"
import * as Feed from "./feed.ts"
import { type Lab, overlay } from "./lab.ts"
import type { Address, Violation } from "./model.ts"

export interface How {
  readonly address?: Address
  readonly journal?: UploadJournalService
  /** When it ends the process is dead: nothing is tidied up. */
  readonly killed?: Effect.Effect<void>
  readonly bandwidth?: Bandwidth.Node
  readonly source?: Source.Source
  readonly options?: Partial<Transfer.Options>
  /** When it ends the transfer is interrupted. */
  readonly cancelled?: Effect.Effect<unknown>
}

export interface Outcome {
  /** `undefined` of a transfer that was killed. */
  readonly exit: Exit.Exit<Receipt, Transfer.TransferError> | undefined
  /** `undefined` where none was told. */
  readonly receipt: Receipt | undefined
  /** All that was told of it. */
  readonly events: ReadonlyArray<unknown>
}

/** A source that can be told from others, and be read from anywhere. */
export const sourceOf = (bytes: Uint8Array): Source.Source => ({
  ...Source.fromBytes(bytes, "kit:"),
  info: Effect.succeed({ size: bytes.byteLength, identity: "1" })
})

/** The store with parts as large as the kit's; one whose process is killed leaves everything as it is. */
const wrapped = <R>(lab: Lab<R>, store: Store<R>, isDead: () => boolean): Store<R> =>
  overlay(store, {
    open: (content) =>
      Effect.map(store.open(content), (opened): Session => {
        const session = Feed.cut(lab, opened)
        const discard = Effect.suspend(() => (isDead() ? Effect.succeed("none") : session.discard))
        return overlay<Session>(session, { discard })
      })
  })

/** Runs a transfer with a pool of its own, and sees that it gives back all memory. */
export const transfer = <R>(
  lab: Lab<R>,
  key: string,
  bytes: Uint8Array,
  how: How = {}
): Effect.Effect<Outcome, Violation, R> =>
  Effect.gen(function* () {
    const events: Array<unknown> = []
    let receipt: Receipt | undefined
    let isDead = false
    const pool = lab.newPool()
    const store = wrapped(lab, lab.store(key, how.address ?? lab.address), () => isDead)
    const run = Transfer.run<never, R>({
      source: how.source ?? sourceOf(bytes),
      to: [store],
      retries: 3,
      stallMs: 2000,
      answerMs: 2000,
      allowEmpty: true,
      ...(how.options as object),
      onEvent: (event) =>
        Effect.sync(() => {
          events.push(event)
          if (event.type === "receipt") receipt = event
        })
    }).pipe(
      Effect.provideService(BlockPool, pool),
      Effect.provideService(UploadJournal, how.journal),
      how.bandwidth === undefined ? (same) => same : Effect.provideService(Bandwidth.Root, how.bandwidth)
    ) as Effect.Effect<Receipt, Transfer.TransferError, R>
    const killed = Effect.andThen(
      how.killed ?? Effect.never,
      Effect.sync(() => {
        isDead = true
        return undefined
      })
    )
    const both = Effect.raceFirst(Effect.exit(run), killed)
    const ended = yield* lab.within(
      "a transfer",
      how.cancelled === undefined ? both : Effect.raceFirst(both, Effect.as(how.cancelled, undefined)),
      8 * lab.patienceMs
    )
    const { inUse, reserved, waiters } = pool.stats()
    yield* lab.check(
      inUse === 0 && reserved === 0 && waiters === 0,
      "when a transfer has ended all memory is free again",
      `${inUse} blocks are held, ${reserved} are reserved, ${waiters} wait for some`
    )
    if (Exit.isFailure(ended)) return { exit: Exit.failCause(ended.cause), receipt, events }
    return { exit: ended.value, receipt, events }
  })

/** What a transfer that failed says. */
export const told = ({ exit, receipt }: Outcome): string => {
  const error = receipt?.destinations[0]?.error
  if (error !== undefined) return `it failed with ${error.reason}: ${error.message} (left: ${error.left})`
  if (exit === undefined || Exit.isSuccess(exit)) return "it did not end"
  const found = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return `it failed with ${found?.message ?? String(Cause.squash(exit.cause))}`
}

/** A transfer has to have succeeded, and the bytes to be there. */
export const proven = <R>(
  lab: Lab<R>,
  outcome: Outcome,
  key: string,
  bytes: Uint8Array,
  contract: string
): Effect.Effect<Receipt, Violation, R> =>
  Effect.gen(function* () {
    const { exit } = outcome
    if (exit === undefined || Exit.isFailure(exit)) return yield* lab.fail(contract, told(outcome))
    yield* honest(lab, outcome, key, bytes)
    return exit.value
  })

/** Whatever a receipt says of a destination has to be true. */
export const honest = <R>(
  lab: Lab<R>,
  { receipt }: Outcome,
  key: string,
  bytes: Uint8Array
): Effect.Effect<void, Violation, R> =>
  Effect.gen(function* () {
    const end = receipt?.destinations[0]
    if (end === undefined) return
    const there = yield* lab.truth(key)
    if (end.status === "verified" || end.status === "stored") {
      const wrong = difference(there, bytes)
      yield* lab.check(
        wrong === undefined,
        "what a receipt calls verified or stored is at the service, byte for byte",
        `the receipt says "${end.status}", and ${wrong}`
      )
      return
    }
    if (end.error?.left !== "none") return
    yield* lab.nothing(key, 'where a receipt says that "none" is left, nothing is')
  })
