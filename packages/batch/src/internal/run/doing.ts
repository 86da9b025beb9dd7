/**
 * One line, from what an earlier run has left of it to its receipt. What comes of it is noted before it is told.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { BlockPool } from "@headrace/core/BlockPool"
import type { Digests } from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import * as Monotonic from "@headrace/core/Monotonic"
import type * as Receipt from "@headrace/core/Receipt"
import type { StoreError } from "@headrace/core/StoreError"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import type { Transport } from "@headrace/core/Transport"
import type { TransferOptions } from "../../BatchOptions.ts"
import type { Item } from "../../Journal.ts"
import * as Uri from "../../Uri.ts"
import * as Again from "./again.ts"
import type { Books } from "./books.ts"
import * as Earlier from "./earlier.ts"
import * as RunEnds from "./ends.ts"
import type * as Existing from "./existing.ts"
import type * as Metadata from "./metadata.ts"
import * as Out from "./outcome.ts"
import * as Tally from "./tally.ts"

/** What all lines of a run have in common. */
export interface Common {
  readonly books: Books
  readonly resolver: RunEnds.Resolver
  readonly metadata: Metadata.Metadata
  readonly existing: Existing.Existing
  /** Of the transfers. */
  readonly transfer: TransferOptions
  readonly tally: Tally.Tally
  readonly emit: (event: TransferEvent) => Effect.Effect<void>
  /** When the run began, in milliseconds since 1970. */
  readonly startedAt: number
  /** Told of images that were not there. */
  readonly missing: (missing: ReadonlyArray<Earlier.Missing>) => void
}

type Services = Transport | Host | BlockPool

/**
 * Does a line. `patient`: whether what fails because a service is away or full is left for later, instead of being its end.
 */
export const run = (
  item: Item,
  common: Common,
  options: {
    readonly patient: (postponed: Out.Postponed, size: number | null) => Effect.Effect<boolean, never, Transport | Host>
    /** Whether no line is left that it could wait for. */
    readonly last: boolean
    /** Told when the transfer is over, and its end is about to be noted. */
    readonly onDone: (standing: Tally.Standing) => void
    /** Told of every event of the transfer, before anybody else. */
    readonly onEvent: (event: TransferEvent) => void
  }
): Effect.Effect<Out.Outcome, never, Services> =>
  Effect.gen(function* () {
    const { books, emit, resolver, tally, transfer } = common
    const { seq } = item
    const again = Again.of(item)
    const { line } = again
    const context = yield* Effect.context<Transport | Host>()
    const began = yield* Monotonic.moment
    let outcome: Out.Outcome | undefined
    let concluding = false
    let notes: ReadonlyArray<string> = []
    /** What an earlier run or try has begun and nobody has looked at may be there. */
    const left = item.made.length === 0 ? "none" : `unknown ${Uri.shown(item.made[0]!.uri)}`

    /** Notes how it has ended, and then tells it. */
    const conclude = (partly: Receipt.Receipt, tell: (receipt: Receipt.Receipt) => Effect.Effect<void>) =>
      Effect.gen(function* () {
        const receipt = again.merge(Out.withNotes(partly, notes))
        const postponed = Out.later(partly)
        const isLeft = receipt.destinations.some(({ error }) => error !== undefined && error.left !== "none")
        if (postponed !== undefined && (yield* options.patient(postponed, receipt.source.size ?? line.size ?? null))) {
          const made = yield* Effect.orElseSucceed(books.journal.madeOf(seq), () => item.made)
          outcome = { ...postponed, item: { ...item, made, begunAt: undefined } }
          return
        }
        // Stopped while the end was being noted: it is noted, or the next run looks at it.
        if (concluding) return
        concluding = true
        const standing = Tally.standingOf(receipt)
        const objects = Again.objects(item.line, receipt)
        // What follows is the journal's: the next line need not wait for it.
        options.onDone(standing)
        const noted =
          standing === "cancelled"
            ? yield* books.note(
                books.journal.release(seq, {
                  left: isLeft,
                  standing: Again.standing(item.line, receipt).includes(true)
                    ? { receipt: JSON.stringify(receipt), objects }
                    : undefined
                })
              )
            : yield* books.note(
                books.journal.end(seq, {
                  ending: standing === "failed" ? "failed" : "done",
                  receipt: JSON.stringify(receipt),
                  bytes: receipt.source.size ?? line.size ?? -1,
                  objects,
                  // Of an image of which a copy is missing nothing is forgotten: it is made anew as a whole.
                  left: isLeft || receipt.destinations.some(({ object }) => Out.isPart(object, objects))
                })
              )
        // What is not noted did not happen: the next run looks at it.
        if (!noted) return
        Tally.add(tally, receipt)
        outcome = { _tag: "Ended", standing, receipt }
        yield* tell(receipt)
      })

    /** An end without a transfer. */
    const concludeWith = (size: number | null, digests: Digests, ends: ReadonlyArray<Partial<Receipt.Destination>>) =>
      Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const texts = [...line.to, ...line.also]
        const blank = {
          status: "failed",
          attempts: 0,
          bytesSent: 0,
          startedAt: new Date(began.at).toISOString(),
          elapsedMs: Math.round((yield* Monotonic.now) - began.since)
        } as const
        const destinations: Array<Receipt.Destination> = []
        for (const [at, uri] of texts.entries()) {
          destinations.push({ uri: Uri.shown(uri), required: at < line.to.length, ...blank, ...ends[at] })
        }
        const receipt: Receipt.Receipt = {
          id: line.id,
          source: { uri: Uri.shown(line.source), size, digests },
          destinations
        }
        const at = new Date(now).toISOString()
        const start = {
          type: "start",
          at,
          id: line.id,
          source: { uri: Uri.shown(line.source), size },
          destinations: destinations.map(({ required, uri }) => ({ uri, required }))
        } as const
        const tell = (whole: Receipt.Receipt) =>
          Effect.gen(function* () {
            yield* emit(start)
            for (const end of destinations) yield* emit({ type: "verdict", at, id: line.id, ...end })
            yield* emit({ type: "receipt", at, ...whole })
          })
        yield* conclude(receipt, tell)
      })

    const failAll = (error: Receipt.Failure) =>
      concludeWith(
        null,
        {},
        [...line.to, ...line.also].map(() => ({ error }))
      )

    const body = Effect.gen(function* () {
      const ends = [...item.line.to, ...item.line.also]
      const note: RunEnds.Note = (place, object) =>
        books.note(books.journal.make(seq, { place, object, uri: ends[place]! }))
      // Only a verdict that could not be looked at again, say: there is nothing to be done.
      if (again.stands) return yield* concludeWith(null, {}, [])
      const resolved = yield* Effect.result(RunEnds.open(again, resolver, common.metadata, note))
      if (Result.isFailure(resolved)) {
        const { failure } = resolved
        if (failure._tag === "Waits" && options.last) {
          const message = `${failure.message}, which waits itself or is not of this run`
          return yield* failAll({ reason: "InvalidConfig", message, retryable: false, left })
        }
        if (failure._tag === "Waits") {
          outcome = { _tag: "Later", why: "order", uri: line.source, message: failure.message, item }
          return
        }
        // Of the journal the run itself says that it is lost.
        if (failure._tag === "JournalError") return yield* books.note(Effect.fail(failure))
        const { message, reason } = failure
        return failure._tag === "EndError"
          ? yield* failAll({ reason, message: `${failure.uri}: ${message}`, retryable: false, left })
          : yield* failAll({ reason, message, retryable: failure.retryable, left })
      }
      const { also, images, source, to } = resolved.success
      notes = resolved.success.notes
      const concludeAsFound = ({ by, computedBy, object }: Earlier.Complete) => {
        const stored: Partial<Receipt.Destination> = {
          status: "verified",
          object: { ...object, size: object.size ?? null },
          proof: { level: "transfer", compared: [by], computedBy },
          notes: ["an earlier run had completed it when it was cut off"]
        }
        return concludeWith(object.size ?? null, { [by]: object.digests[by] as string }, [stored])
      }
      const unseen = ({ message, reason, retryable, status }: StoreError) =>
        failAll({
          reason: reason._tag,
          message: `what an earlier run has left cannot be looked at: ${message}`,
          retryable,
          ...(status === undefined ? undefined : { status }),
          left
        })
      if (item.begunAt !== undefined) {
        yield* Earlier.tidy({ begunAt: item.begunAt, until: common.startedAt }, [...to, ...also])
        const filled = yield* Effect.result(Earlier.filled(item, source))
        if (Result.isFailure(filled)) return yield* unseen(filled.failure)
        if (filled.success !== undefined) return yield* concludeAsFound(filled.success)
      }
      if (item.made.length > 0) {
        const settled = yield* Effect.result(
          Earlier.settle(item, books, source, (place) => images.find((one) => one.place === place)?.image)
        )
        if (Result.isFailure(settled)) return yield* unseen(settled.failure)
        const { complete, missing } = settled.success
        common.missing(missing)
        if (complete !== undefined) return yield* concludeAsFound(complete)
      }
      const there = item.made.length > 0 ? undefined : yield* common.existing.find(line, resolved.success)
      if (there !== undefined) {
        const digests = Object.assign({}, ...there.map(({ digests }) => digests)) as Digests
        return yield* concludeWith(
          there[0]?.size ?? null,
          digests,
          there.map(({ algorithm, digests, id, name, size }) => ({
            status: "verified",
            object: { id, size: size ?? null, digests: digests as Digests },
            proof: { level: "transfer", compared: [algorithm], computedBy: "the services" },
            notes: [`it was there already, as image ${id}${name === "" ? "" : ` "${name}"`}`]
          }))
        )
      }
      const held: Array<TransferEvent> = []
      const onEvent = (event: TransferEvent): Effect.Effect<void> => {
        options.onEvent(event)
        // Told when it is known whether it is the end.
        if (event.type === "verdict" && event.error !== undefined) {
          held.push(event)
          return Effect.void
        }
        if (event.type !== "receipt") return emit(event)
        const { at: _at, type: _type, ...receipt } = event
        return Effect.provideContext(
          conclude(receipt, (whole) => Effect.andThen(Effect.forEach(held, emit), emit({ ...event, ...whole }))),
          context
        )
      }
      yield* Effect.ignore(Transfer.run({ ...transfer, source, to, also, id: line.id, expect: line.expect, onEvent }))
    })
    yield* Effect.catchDefect(body, (defect) => {
      // Of whoever is told: the verdict is noted, and stands.
      if (concluding) return Effect.die(defect)
      const message = `internal error: ${defect instanceof Error ? defect.message : String(defect)}`
      return failAll({ reason: "Rejected", message, retryable: false, left: `unknown ${Uri.shown(line.to[0] ?? "")}` })
    })
    return outcome ?? (yield* Effect.never)
  })
