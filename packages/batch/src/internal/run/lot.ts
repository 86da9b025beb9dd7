/**
 * Which line comes next. The largest first, so that the last one to end is not one that has just begun; but of four that
 * run one is from the other end of the list, so that small ones get past those that take hours. As listed, where that is
 * asked for. A line whose service takes no further one is passed by.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type { Item, Journal, JournalError } from "../../Journal.ts"
import type { Line } from "../../Line.ts"
import * as Pace from "../../Pace.ts"

/** How often, and how many ms apart, lines are asked for while the journal's disk is full. */
const patience = 60
const againMs = 1000

/** Lines that wait in memory at each end. */
const window = 64

/** The services that a line has to do with, its source's among them. */
export const placesOf = (line: Line): ReadonlyArray<string> => [
  ...new Set([line.source, ...line.to, ...line.also].map(Pace.placeOf))
]

export interface Ready {
  readonly item: Item
  readonly places: ReadonlyArray<string>
  /** Which end of the list it is from. */
  readonly small: boolean
  /** How often it was left for later, and when it may be tried again. */
  readonly tries: number
  readonly notBefore: number
  /** Whether it waits for another line. */
  readonly ordered: boolean
}

export interface Lot {
  /** The next line that may begin now; `undefined`: none may. */
  readonly next: (how: {
    readonly now: number
    readonly running: number
    readonly smallRunning: number
    readonly admits: (places: ReadonlyArray<string>) => boolean
  }) => Effect.Effect<Ready | undefined, JournalError>
  /** Puts a line back. */
  readonly later: (ready: Ready) => void
  /** Whether there is none left, not even for later. */
  readonly isEmpty: () => boolean
  /** One of those that are left, where all of them wait for another line. */
  readonly stuck: () => Ready | undefined
  /** When the first of those that were put back may be tried again. */
  readonly soonest: () => number | undefined
}

type Asked = Fiber.Fiber<void, JournalError> | undefined

/** The scope ends what was asked for and has not come. */
export const make = (
  scope: Scope.Scope,
  journal: Journal,
  order: "listed" | "largest",
  /** Only these, where it was asked for. */
  only: ReadonlyArray<Item> | undefined
): Lot => {
  const first: Array<Ready> = []
  const last: Array<Ready> = []
  const delayed: Array<Ready> = []
  let exhausted = only !== undefined

  const readyOf = (item: Item, small: boolean): Ready => ({
    item,
    places: placesOf(item.line),
    small,
    tries: 0,
    notBefore: 0,
    ordered: false
  })
  for (const item of only ?? []) first.push(readyOf(item, false))

  /** Asks for more lines before there are none left: nothing that runs waits for the journal's disk. */
  const ends = { first: { to: first, asked: undefined as Asked }, last: { to: last, asked: undefined as Asked } }

  const fill = (end: "first" | "last"): Effect.Effect<void> =>
    Effect.suspend(() => {
      const { asked, to } = ends[end]
      if (exhausted || asked !== undefined || to.length > window / 2) return Effect.void
      const more = Effect.gen(function* () {
        const now = yield* Clock.currentTimeMillis
        const items = yield* Effect.retry(journal.next({ order, end, limit: window, now }), {
          while: ({ reason }) => reason === "Full",
          schedule: Schedule.spaced(againMs),
          times: patience
        })
        for (const item of items) to.push(readyOf(item, end === "last"))
        if (items.length === 0) exhausted = true
        ends[end].asked = undefined
      })
      return Effect.map(Effect.forkIn(more, scope, { startImmediately: true }), (fiber) => {
        const exit = fiber.pollUnsafe()
        // What has failed is told when there is nothing else to begin.
        if (exit === undefined || Exit.isFailure(exit)) ends[end].asked = fiber
      })
    })

  const isAsked = () => ends.first.asked !== undefined || ends.last.asked !== undefined

  /** False when nothing was asked for. */
  const filled: Effect.Effect<boolean, JournalError> = Effect.suspend(() => {
    const asked = [ends.first.asked, ends.last.asked].filter((fiber) => fiber !== undefined)
    return Effect.as(
      Effect.forEach(asked, (fiber) => Fiber.join(fiber), { discard: true }),
      asked.length > 0
    )
  })

  const takeFrom = (
    list: Array<Ready>,
    now: number,
    admits: (places: ReadonlyArray<string>) => boolean
  ): Ready | undefined => {
    const at = list.findIndex((ready) => ready.notBefore <= now && admits(ready.places))
    return at < 0 ? undefined : list.splice(at, 1)[0]
  }

  /** A few lines are all in the window of the largest. */
  const takeLast = (now: number, admits: (places: ReadonlyArray<string>) => boolean): Ready | undefined => {
    const at = first.findLastIndex((ready) => ready.notBefore <= now && admits(ready.places))
    const ready = at < 0 ? undefined : first.splice(at, 1)[0]
    return ready === undefined ? undefined : { ...ready, small: true }
  }

  const next: Lot["next"] = (how) =>
    Effect.gen(function* () {
      const { admits, now, running, smallRunning } = how
      const again = takeFrom(delayed, now, admits)
      if (again !== undefined) return again
      const wantsSmall = order === "largest" && smallRunning < Math.ceil(running / 4)
      yield* fill("first")
      if (wantsSmall) yield* fill("last")
      const found = wantsSmall
        ? (takeFrom(last, now, admits) ?? takeLast(now, admits))
        : (takeFrom(first, now, admits) ?? takeFrom(last, now, admits))
      return found ?? ((yield* filled) ? yield* next(how) : undefined)
    })

  return {
    next,
    later: (ready) => void delayed.push(ready),
    isEmpty: () => exhausted && !isAsked() && first.length + last.length + delayed.length === 0,
    stuck: () =>
      exhausted && !isAsked() && first.length + last.length === 0 && delayed.every(({ ordered }) => ordered)
        ? delayed.shift()
        : undefined,
    soonest: () => (delayed.length === 0 ? undefined : Math.min(...delayed.map(({ notBefore }) => notBefore)))
  }
}
