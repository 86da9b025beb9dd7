/**
 * Looks for many names in a container that may have many more, by pages of its list. Each page begins at the next name
 * that is wanted, so that what lies between is never listed: there are at most as many pages as names. Where pages tell
 * of few names, the next ones are asked for one by one, ever more of them while that stays so.
 *
 * What a list does not tell may be there all the same, as not every service keeps to an order: it is asked for by itself.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { type Answer, type Asked, type Found, ofFailure } from "./found.ts"
import type { Target } from "./target.ts"

interface Page<A> {
  readonly objects: ReadonlyArray<A>
  readonly more: boolean
}

export interface Container<T extends Target, A, E, R> {
  readonly page: (range: { readonly prefix: string; readonly after: string }) => Effect.Effect<Page<A>, E, R>
  readonly nameOf: (listed: A) => string
  /** What a list tells; nothing where it does not tell enough. */
  readonly tell: (asked: Asked<T>, listed: A) => Found | undefined
  readonly each: (all: ReadonlyArray<Asked<T>>) => Effect.Effect<ReadonlyArray<Answer<T>>, never, R>
}

/** Names that a page is worth. */
const worth = 4
const fewest = 16
const most = 256

interface Position {
  readonly at: number
  /** How many are asked for one by one from here on. */
  readonly singly: number
  /** How many are, the next time that a page tells of few. */
  readonly next: number
}

const compare = (one: string, other: string): number => Buffer.compare(Buffer.from(one), Buffer.from(other))

const common = (names: ReadonlyArray<string>): string => {
  const first = names[0] ?? ""
  const last = names.at(-1) ?? ""
  let length = 0
  while (length < first.length && first[length] === last[length]) length++
  // Never half of a character.
  return first.slice(0, length).toWellFormed() === first.slice(0, length)
    ? first.slice(0, length)
    : first.slice(0, length - 1)
}

/** A name just before another one; few can be between the two. */
export const before = (name: string): string => {
  const characters = [...name]
  const last = characters.pop()?.codePointAt(0) ?? 0
  const start = characters.join("")
  if (last <= 0x20) return start
  const lower = last === 0xe000 ? 0xd7ff : last - 1
  return `${start}${String.fromCodePoint(lower)}\ufffd`
}

/** `all` is of one container, and each name is there once. */
export const walk = <T extends Target, A, E extends Parameters<typeof ofFailure>[0], R>(
  all: ReadonlyArray<Asked<T>>,
  { each, nameOf, page, tell }: Container<T, A, E, R>
): Stream.Stream<Answer<T>, never, R> => {
  const sorted = [...all].sort((one, other) => compare(one.target.key, other.target.key))
  // Sorted, so that the first and the last have no more in common than all of them.
  const prefixFrom = (at: number) => common(sorted.slice(at).map(({ target }) => target.key))

  const step = (answers: ReadonlyArray<Answer<T>>, next: Position) => [answers, next] as const

  const singly = ({ at, next, singly: count }: Position) =>
    Effect.map(each(sorted.slice(at, at + count)), (answers) => step(answers, { at: at + count, singly: 0, next }))

  const listed = ({ at, next }: Position) =>
    Effect.gen(function* () {
      const first = sorted[at]!.target.key
      const result = yield* Effect.result(page({ prefix: prefixFrom(at), after: before(first) }))
      if (Result.isFailure(result)) {
        const found = ofFailure(result.failure, "list")
        // Who may not list may still look at what he knows by name.
        return found._tag === "Unasked" && !found.away
          ? step([], { at, singly: sorted.length - at, next })
          : step(
              sorted.slice(at).map((asked) => ({ asked, found })),
              { at: sorted.length, singly: 0, next }
            )
      }
      const { more, objects } = result.success
      const names = new Map(objects.map((one) => [nameOf(one), one]))
      const end = objects.at(-1)
      let to = at + 1
      while (to < sorted.length && (!more || (end !== undefined && compare(sorted[to]!.target.key, nameOf(end)) <= 0)))
        to++
      const answers: Array<Answer<T>> = []
      const rest: Array<Asked<T>> = []
      for (const asked of sorted.slice(at, to)) {
        const one = names.get(asked.target.key)
        const found = one === undefined ? undefined : tell(asked, one)
        if (found === undefined) rest.push(asked)
        else answers.push({ asked, found })
      }
      const sparse = answers.length < worth
      answers.push(...(yield* each(rest)))
      return step(answers, { at: to, singly: sparse ? next : 0, next: sparse ? Math.min(most, next * 2) : fewest })
    })

  const start: Position = { at: 0, singly: 0, next: fewest }
  return Stream.paginate(start, (position) =>
    Effect.map(position.singly > 0 ? singly(position) : listed(position), ([answers, next]) => [
      answers,
      next.at < sorted.length ? Option.some(next) : Option.none()
    ])
  )
}
