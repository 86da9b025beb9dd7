/**
 * A store that does what it should, but for what a script says: parts or bodies that fail on their way, answers that are
 * lost, and a pace.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Blocks from "@headrace/core/Blocks"
import type { Body, PartsSession, Session, Store, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"

/** Fails an attempt at a part (a body is part 1) after so many of its bytes. */
export interface Fault {
  readonly part: number
  readonly after?: number
  /** The store has it all the same, and the answer is lost. */
  readonly taken?: true
  /** It is no use to try again. */
  readonly final?: true
  /** Runs first, and may never end. */
  readonly hang?: Effect.Effect<unknown>
}

export interface Script {
  readonly faults?: Array<Fault>
  /** Each answer to `finish`, before it is as it should be: refused; done, and the answer lost, or a refusal all the same. */
  readonly finishes?: Array<"refused" | "lost" | "final" | "denied">
  /** Before each block is taken. */
  readonly pace?: Effect.Effect<unknown>
  /** Before the object can be written. */
  readonly begin?: Effect.Effect<unknown, StoreError.StoreError>
}

/** What is known of what was sent. */
export interface Sent {
  readonly lengths: Array<number | undefined>
  running: number
}

export const sent = (): Sent => ({ lengths: [], running: 0 })

const lost = (uri: string, more?: Partial<StoreError.Fields>) =>
  StoreError.make("ConnectionLost", { uri, message: "the wire broke", retryable: true, clear: false, ...more })

export const make = (store: Store, script: Script, sent: Sent): Store => {
  const { faults = [], finishes = [], pace } = script

  const paced = <E, R, B extends Body<E, R>>(body: B): B =>
    pace === undefined ? body : { ...body, stream: Stream.tap(body.stream, () => pace) }

  const send = <A, E, R, B extends Body<E, R>>(
    number: number,
    body: B,
    write: (body: B) => Effect.Effect<A, StoreError.StoreError | E, R>
  ): Effect.Effect<A, StoreError.StoreError | E, R> =>
    Effect.gen(function* () {
      sent.lengths.push(body.length)
      const index = faults.findIndex((fault) => fault.part === number)
      if (index < 0) return yield* write(paced(body))
      const fault = faults.splice(index, 1)[0]!
      if (fault.hang !== undefined) yield* fault.hang
      if (fault.taken === true) yield* write(paced(body))
      else {
        const some = Blocks.take(paced<E, R, Body<E, R>>(body).stream, fault.after ?? 0)
        yield* Stream.runForEach(some, (block) =>
          Effect.sync(() => {
            body.onSent(block.length)
            block.release()
          })
        )
      }
      return yield* lost(store.uri, fault.final === true ? { retryable: false, clear: true } : undefined)
    })

  const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.suspend(() => {
      sent.running++
      return Effect.ensuring(
        effect,
        Effect.sync(() => sent.running--)
      )
    })

  const ofWhole = (session: WholeSession): WholeSession => ({
    ...session,
    write: (body) => counted(send(1, body, session.write))
  })

  const ofParts = (session: PartsSession): PartsSession => ({
    ...session,
    writePart: (part) => counted(send(part.number, part, session.writePart)),
    finish: (object) =>
      Effect.suspend(() => {
        const next = finishes.shift()
        if (next === undefined) return session.finish(object)
        if (next === "lost") return Effect.andThen(session.finish(object), Effect.fail(lost(store.uri)))
        const done = next === "denied" ? session.finish(object) : Effect.void
        const retryable = next === "refused"
        const refusal = StoreError.make(retryable ? "Unavailable" : "Forbidden", {
          uri: store.uri,
          message: "no",
          retryable
        })
        return Effect.andThen(done, Effect.fail(refusal))
      })
  })

  return {
    ...store,
    open: (content) =>
      Effect.map(store.open(content), (session): Session => {
        const begin = Effect.andThen(script.begin ?? Effect.void, session.begin)
        return session.shape === "whole" ? ofWhole({ ...session, begin }) : ofParts({ ...session, begin })
      })
  }
}

/** Whoever waits waits a millisecond. */
export const withoutWaiting = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Clock.Clock, (clock) => {
    const sleep = () =>
      Effect.callback<void>((resume) => {
        const timer = setTimeout(() => resume(Effect.void), 1)
        return Effect.sync(() => clearTimeout(timer))
      })
    const hasty = Object.create(clock, { sleep: { value: sleep } }) as Clock.Clock
    return Effect.provideService(effect, Clock.Clock, hasty)
  })

/** Numbers that can be had again from a seed (mulberry32). */
export const numbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}
