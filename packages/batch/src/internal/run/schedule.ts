/**
 * Lines run beside each other, as many as their services take, until there are none left or none may begin any more.
 */
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import * as Queue from "effect/Queue"
import * as Monotonic from "@headrace/core/Monotonic"
import type { JournalError } from "../../Journal.ts"
import type { Pace, Ticket } from "../../Pace.ts"
import type { Outcome } from "./outcome.ts"
import type * as Lot from "./lot.ts"
import type * as Tally from "./tally.ts"

/** How a line came out, as far as it matters here. */
export type Ended =
  | { readonly _tag: "Ended"; readonly standing: Tally.Standing }
  | Pick<Extract<Outcome, { readonly _tag: "Later" }>, "_tag" | "why" | "item">

export interface Options<R> {
  readonly lot: Lot.Lot
  readonly pace: Pace
  /** `done` is to be called when the line is over but for its books; `last`: there is none left to wait for. */
  readonly run: (
    ready: Lot.Ready,
    ticket: Ticket,
    how: { readonly done: (standing: Tally.Standing) => void; readonly last: boolean }
  ) => Effect.Effect<Ended, never, R>
  /** How long a line waits that was left for later. */
  readonly delayMs: (ready: Lot.Ready) => number
  /** Failures after which none is begun. */
  readonly maxFailures: number
  /** Milliseconds on the monotonic clock after which none is begun, and those that run are ended. */
  readonly deadline: number
}

/** How long a line waits that refers to the image of another one. */
const orderMs = 500

/** Ends that may wait for the journal at once: on a disk that is full nothing further is begun. */
const mostEnding = 48

/** Why lines were not begun. */
export type Stop = "failures" | "deadline" | undefined

export const run = <R>(options: Options<R>): Effect.Effect<Stop, JournalError, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { deadline, delayMs, lot, maxFailures, pace } = options
      const fibers = yield* FiberSet.make<void>()
      const wake = yield* Queue.sliding<void>(1)
      let running = 0
      let smallRunning = 0
      /** Lines that are over and whose end is being noted. */
      let ending = 0
      let failures = 0

      const one = (ready: Lot.Ready, last: boolean) =>
        Effect.gen(function* () {
          const ticket = pace.begin(ready.places, { size: ready.item.line.size })
          let isRunning = true
          const over = (how: "good" | "failed" | "requeued") => {
            if (!isRunning) return
            isRunning = false
            running--
            ending++
            if (ready.small) smallRunning--
            Effect.runFork(ticket.end(how))
            Queue.offerUnsafe(wake, undefined)
          }
          const done = (standing: Tally.Standing) => {
            if (isRunning && standing === "failed") failures++
            over(standing === "failed" ? "failed" : "good")
          }
          const outcome = yield* Effect.ensuring(
            Effect.tap(options.run(ready, ticket, { done, last }), (ended) =>
              Effect.sync(() => (ended._tag === "Ended" ? done(ended.standing) : undefined))
            ),
            Effect.sync(() => {
              over("requeued")
              ending--
              Queue.offerUnsafe(wake, undefined)
            })
          )
          if (outcome._tag === "Later") {
            const now = yield* Monotonic.now
            const tries = outcome.why === "order" ? ready.tries : ready.tries + 1
            const notBefore = now + (outcome.why === "order" ? orderMs : delayMs(ready))
            lot.later({ ...ready, item: outcome.item, tries, notBefore, ordered: outcome.why === "order" })
          }
          Queue.offerUnsafe(wake, undefined)
        })

      yield* Effect.forkScoped(Effect.forever(Effect.andThen(pace.changed, Queue.offer(wake, undefined))))

      while (true) {
        const now = yield* Monotonic.now
        if (now >= deadline) return lot.isEmpty() && running + ending === 0 ? undefined : ("deadline" as const)
        const stopped = failures >= maxFailures
        const ready =
          stopped || ending >= mostEnding
            ? undefined
            : yield* lot.next({ now, running, smallRunning, admits: pace.admits })
        // Those that are left wait for each other, or for a line that is not to be done.
        const stuck = ready === undefined && !stopped && running + ending === 0 ? lot.stuck() : undefined
        if (stuck !== undefined) {
          running++
          if (stuck.small) smallRunning++
          yield* FiberSet.run(fibers, one(stuck, true))
          continue
        }
        if (ready !== undefined) {
          running++
          if (ready.small) smallRunning++
          yield* FiberSet.run(fibers, one(ready, false))
          continue
        }
        if ((yield* FiberSet.size(fibers)) === 0 && (stopped || lot.isEmpty())) {
          return stopped && !lot.isEmpty() ? "failures" : undefined
        }
        const soonest = Math.min(stopped ? Infinity : (lot.soonest() ?? Infinity), deadline)
        yield* soonest === Infinity
          ? Queue.take(wake)
          : Effect.timeoutOption(Queue.take(wake), Math.max(1, Math.min(soonest - now, 2 ** 30)))
      }
    })
  )
