/**
 * Sends an object as numbered parts: read once and in order, sent several at a time and in any order.
 *
 * Where the memory for it can be set aside, a part is collected before it is sent, and is sent again from there. Where it
 * cannot, a part is sent while it is read, and is read again from the source's own range when it has to be sent again.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Bandwidth from "../Bandwidth.ts"
import type { Block } from "../Block.ts"
import type { BlockShare } from "../BlockPool.ts"
import type { Algorithm, Digests, Hashing, HasherService } from "../Digest.ts"
import type { PartsSession, StoredPart } from "../Store.ts"
import { combinable, combine } from "./crcCombine.ts"
import { Part } from "./part.ts"
import { partBytes } from "./partPlan.ts"
import type { Reading } from "./reading.ts"
import type { Standing } from "./standing.ts"
import * as Problem from "./problem.ts"

/** Parts on their way at once, unless the store says otherwise. */
const defaultInFlight = 6

/** Blocks that the reader may have besides those in parts: one held back, one in hand, two read ahead. */
const readerBlocks = 4

/** Blocks for reading a part again that was not collected. */
const rereadBlocks = 2

/** Blocks in which the beginning of the reading waits while earlier parts are read. */
const headBlocks = 3

/** How an object is sent. */
export interface Plan {
  readonly partBytes: number
  readonly collected: boolean
  /** Whether a part that passes through can be read again beside what is being read. */
  readonly rereads: boolean
  /** Digests of each part, known before it is sent. */
  readonly digests: ReadonlyArray<Algorithm>
  /** Parts that may be there at once. */
  readonly most: number
}

/** Sets the memory aside, and decides by what could be had. */
export const plan = (options: {
  readonly session: PartsSession
  readonly size: number | undefined
  readonly reading: Pick<Reading, "share" | "shared">
  readonly replayable: boolean
  readonly standing: Standing
}): Effect.Effect<Plan, Problem.Problem> =>
  Effect.suspend(() => {
    const { replayable, session, size, standing } = options
    const { share, shared } = options.reading
    const { limits, partDigests } = session
    // While as many as may be are on their way, one more is read.
    const atOnce = (limits.inFlight ?? defaultInFlight) + 1
    const collect = (partBytes: number): Plan | undefined => {
      const blocks = Math.ceil(partBytes / share.blockBytes)
      if (!share.grow(blocks + readerBlocks + (standing.parts.length > 0 ? headBlocks : 0))) return undefined
      const most = shared === undefined ? atOnce : Math.max(1, Math.min(atOnce, Math.floor(shared.mostBlocks / blocks)))
      return { partBytes, collected: true, rereads: false, digests: partDigests, most }
    }
    // What stands was cut as it was.
    const bytes = standing.partBytes ?? partBytes(size, limits, 8 * share.blockBytes)
    if (typeof bytes === "string") return Effect.fail(Problem.make("TooLarge", bytes))
    const collected = collect(bytes)
    if (collected !== undefined) return Effect.succeed(collected)
    if (size === undefined) {
      const least = collect(limits.minBytes)
      if (least !== undefined) return Effect.succeed(least)
      const message = `there is no memory for parts of ${limits.minBytes} bytes, which a source of unknown size needs`
      return Effect.fail(Problem.make("InvalidConfig", message))
    }
    const rereads = replayable && share.grow(readerBlocks + rereadBlocks + 1)
    return Effect.succeed({ partBytes: bytes, collected: false, rereads, digests: [], most: atOnce })
  })

/** Digests of the whole that the parts' give, so that nobody has to compute them. */
export const combined = (plan: Plan, wanted: ReadonlyArray<Algorithm>): ReadonlyArray<Algorithm> =>
  wanted.filter((algorithm) => plan.digests.includes(algorithm) && combinable(algorithm))

/** The part of an object of `size` bytes in which the byte at `offset` is. */
const lengthAt = (offset: number, size: number | undefined, partBytes: number): number | undefined =>
  size === undefined ? undefined : Math.min(partBytes, size - offset)

/** Whether a part that stands is one of those that the plan has, and all that has to be known of it is. */
export const useful =
  (plan: Plan, size: number | undefined) =>
  ({ digests, length, number, offset }: StoredPart): boolean =>
    offset === (number - 1) * plan.partBytes &&
    length === (lengthAt(offset, size, plan.partBytes) ?? plan.partBytes) &&
    plan.digests.every((algorithm) => digests[algorithm] !== undefined)

/** Parts before `from` that do not stand. */
export const missing = (plan: Plan, standing: Standing, from: number): ReadonlyArray<number> =>
  Array.from({ length: Math.floor(from / plan.partBytes) }, (_, index) => index + 1).filter(
    (number) => !standing.has(number)
  )

export interface Options<E, R> {
  readonly session: PartsSession
  readonly plan: Plan
  /** What stands already, and what comes to it. */
  readonly standing: Standing
  /** Where the stream begins; parts before that which do not stand are read besides. */
  readonly from: number
  readonly share: BlockShare["Service"]
  readonly hasher: HasherService
  /** What was checked and held back as long as it had to be. */
  readonly stream: Stream.Stream<Block, E, R>
  readonly size: number | undefined
  /** Digests of the whole, once the stream has ended. */
  readonly digests: () => Digests
  /** Algorithms of the whole that come from the parts'. */
  readonly combined: ReadonlyArray<Algorithm>
  /** A piece of the source once more, checked to be what it was. */
  readonly reread: (offset: number, length: number) => Stream.Stream<Block, Problem.Failing>
  readonly bandwidth: Bandwidth.Node
  readonly stallMs: number
  readonly answerMs: number
  readonly onSent: (bytes: number) => void
  /** Bytes handed to the socket that do not count any more: they are sent again. */
  readonly onUnsent: (bytes: number) => void
  readonly onAcknowledged: (bytes: number) => void
  /** Tells of a failure, and waits; false when there shall be no other attempt at this part. */
  readonly retry: (failures: number, problem: Problem.Problem) => Effect.Effect<boolean>
}

/** Sends the parts, and has the object made of them. Gives the digests of the whole. */
export const write = <E extends Problem.Failing, R>(
  options: Options<E, R>
): Effect.Effect<Digests, Problem.Failing, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { from, hasher, plan, session, share, size, standing } = options
      const parts = new Set<Part>()
      // Last of all, when nobody sends any more.
      yield* Effect.addFinalizer(() =>
        Effect.sync(() => {
          for (const part of parts) part.drop()
        })
      )
      const senders = yield* FiberSet.make<void, Problem.Failing>()
      const permits = yield* Semaphore.make(plan.most)
      const wire = yield* Semaphore.make(session.limits.inFlight ?? defaultInFlight)
      const before = standing.parts.length
      let current: { readonly part: Part; readonly hashing: Hashing | undefined } | undefined
      let begun = 0
      /** Where the next byte belongs. */
      let position = from

      const send = (part: Part, hashing: Hashing | undefined): Effect.Effect<void, Problem.Failing> =>
        Effect.gen(function* () {
          if (part.collected) yield* part.whole
          const digests = hashing === undefined ? {} : yield* hashing.digests
          // First come, first served: with one at a time they go in the order of the object.
          yield* Semaphore.withPermit(wire, sendOn(part, digests))
        })

      const sendOn = (part: Part, digests: Digests): Effect.Effect<void, Problem.Failing> =>
        Effect.gen(function* () {
          const { number, offset } = part
          const length = lengthAt(offset, size, plan.partBytes) ?? part.filled
          let stream: Stream.Stream<Block, Problem.Failing> = part.stream
          for (let failures = 1; ; failures++) {
            let sent = 0
            const exit = yield* Effect.exit(
              session.writePart({
                number,
                offset,
                length,
                replayable: part.collected,
                digests,
                stream: Bandwidth.shape(options.bandwidth)(stream),
                stallMs: options.stallMs,
                answerMs: options.answerMs,
                onSent: (bytes) => {
                  sent += bytes
                  options.onSent(bytes)
                }
              })
            )
            if (Exit.isSuccess(exit)) {
              // What the store had to send twice by itself counts once.
              if (sent > length) options.onUnsent(sent - length)
              yield* standing.taken({ number, offset, length, tag: exit.value, digests })
              options.onAcknowledged(length)
              return
            }
            if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
            if (!part.collected) part.drop()
            const again = part.collected || plan.rereads
            if (!again || !(yield* options.retry(failures, Problem.fromCause(exit.cause)))) return yield* exit
            options.onUnsent(sent)
            // The same stream makes another run of a collected part.
            if (!part.collected) stream = options.reread(offset, length)
          }
        })

      const begin = Effect.gen(function* () {
        yield* Semaphore.take(permits, 1)
        const number = Math.floor(position / plan.partBytes) + 1
        const part = new Part({ number, offset: position, collected: plan.collected, share })
        parts.add(part)
        begun++
        const scope = yield* Scope.make()
        const hashing = plan.digests.length === 0 ? undefined : yield* Scope.provide(hasher.start(plan.digests), scope)
        yield* FiberSet.run(
          senders,
          Effect.onExit(send(part, hashing), (exit) =>
            Effect.andThen(
              Scope.close(scope, exit),
              Effect.suspend(() => {
                part.drop()
                parts.delete(part)
                return Semaphore.release(permits, 1)
              })
            )
          )
        )
        return (current = { part, hashing })
      })

      const append = (block: Block) =>
        Effect.gen(function* () {
          const { length } = block
          for (let at = 0; at < length;) {
            const stands = standing.has(Math.floor(position / plan.partBytes) + 1)
            const { hashing, part } = stands ? nobody : (current ?? (yield* begin))
            const end = Math.min(length, at + plan.partBytes - (position % plan.partBytes))
            const piece = at === 0 && end === length ? block : block.slice(at, end)
            if (hashing !== undefined) yield* hashing.update(piece)
            position += end - at
            if (part === undefined) piece.release()
            else yield* part.append(piece)
            if (piece !== block && end === length) block.release()
            at = end
            if (position % plan.partBytes === 0) {
              current?.part.close()
              current = undefined
            }
          }
        })

      const reader = Effect.gen(function* () {
        for (const number of missing(plan, standing, from)) {
          position = (number - 1) * plan.partBytes
          yield* Stream.runForEach(options.reread(position, plan.partBytes), append)
        }
        position = from
        yield* Stream.runForEach(options.stream, append)
        // An object without a byte has one part, without a byte.
        if (position === 0 && !standing.has(1)) yield* begin
        current?.part.close()
        yield* FiberSet.awaitEmpty(senders)
      })
      yield* Effect.raceFirst(reader, FiberSet.join(senders))
      // The last one to fail may have left the set empty before its failure was heard of.
      if (standing.parts.length !== before + begun) yield* FiberSet.join(senders)

      const stored = [...standing.parts].sort((a, b) => a.number - b.number)
      const digests = { ...options.digests(), ...combinedOf(stored, options.combined) }
      const finish = session.finish({ parts: stored, size: position, digests, answerMs: options.answerMs })
      for (let failures = 1; ; failures++) {
        const exit = yield* Effect.exit(finish)
        if (Exit.isSuccess(exit)) return digests
        if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
        // It may have been made, and the answer was lost. As long as it is not, the parts are there.
        const found = yield* Effect.exit(session.inspect)
        if (Exit.isSuccess(found) && found.value._tag === "Stored") return digests
        const open = Exit.isFailure(found) || found.value._tag === "Ready"
        if (!open || !(yield* options.retry(failures, Problem.fromCause(exit.cause)))) {
          // It may be that the parts are not what they were said to be: another attempt sends them all.
          standing.keep(() => false)
          standing.dropState()
          return yield* Effect.failCause(exit.cause)
        }
      }
    })
  )

/** Who takes the bytes of a part that stands. */
const nobody = { part: undefined, hashing: undefined }

const combinedOf = (parts: ReadonlyArray<StoredPart>, algorithms: ReadonlyArray<Algorithm>): Digests =>
  Object.fromEntries(
    algorithms.map((algorithm) => [
      algorithm,
      parts
        .slice(1)
        .reduce(
          (crc, part) => combine(algorithm, crc, part.digests[algorithm]!, part.length),
          parts[0]!.digests[algorithm]!
        )
    ])
  )
