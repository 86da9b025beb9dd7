/**
 * Opening a source for the first time: before any destination is asked.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { BlockPool } from "../BlockPool.ts"
import { type Digests, isAlgorithm } from "../Digest.ts"
import { formatBytes } from "../Quantity.ts"
import type { Hints, Info, Source } from "../Source.ts"
import * as SourceError from "../SourceError.ts"
import type { Content } from "../Store.ts"
import * as Checked from "./checked.ts"
import * as FanOut from "./fanOut.ts"
import * as Problem from "./problem.ts"
import * as Reading from "./reading.ts"
import { waitFor } from "./retryDelay.ts"

/**
 * The first look at a source. A service that answers "later" is asked again; one that cannot be reached is more often
 * misspelt than away, and whoever waits for it would like to know at once.
 */
const look = <R>(source: Source<R>, retries: number): Effect.Effect<Info, SourceError.SourceError, R> =>
  Effect.gen(function* () {
    for (let failures = 1; ; failures++) {
      const result = yield* Effect.result(source.info)
      if (result._tag === "Success") return result.success
      const { retryable, status } = result.failure
      if (!retryable || status === undefined || failures > retries) return yield* result.failure
      yield* Effect.sleep(yield* waitFor(failures, undefined))
    }
  })

/**
 * The first opening of a source, before a store is asked. What may help is tried again as later: the bytes that are
 * looked at first are no different from the others.
 */
const openFirst = <R>(
  source: Source<R>,
  info: Info,
  retries: number,
  minimum: number
): Effect.Effect<Reading.Reading, SourceError.SourceError, R | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    let opening: Effect.Effect<Reading.Reading, SourceError.SourceError, R | BlockPool | Scope.Scope> = Reading.open(
      source,
      minimum
    )
    for (let failures = 1; ; failures++) {
      const result = yield* Effect.result(opening)
      if (result._tag === "Success") return result.success
      if (!result.failure.retryable || !source.replayable || failures > retries) return yield* result.failure
      yield* Effect.sleep(yield* waitFor(failures, undefined))
      opening = Effect.andThen(Checked.unchanged(source, info), Reading.open(source, minimum))
    }
  })

/** One block is held back until the next has come, so with a single one nothing would ever move. */
const leastBlocks = 2

const lowerCase = (digests: Digests): Digests =>
  Object.fromEntries(Object.entries(digests).map(([name, hex]) => [name, hex.toLowerCase()]))

const reportedBy = (hints: Hints): Digests =>
  Object.fromEntries(Object.entries(hints.digests ?? {}).filter(([name]) => isAlgorithm(name)))

/** The source opened and looked at: what there is to know of it before a destination is asked. */
export const prepare = <R>(options: {
  readonly source: Source<R>
  /** How many it is read for. */
  readonly destinations: number
  readonly verify: "transfer" | "source" | "destination"
  readonly retries: number
  readonly allowEmpty: boolean
  readonly expect: Digests
}) =>
  Effect.gen(function* () {
    const { allowEmpty, destinations, expect, retries, source, verify } = options
    const minimum = FanOut.minimumBlocks(destinations)
    const least = destinations === 1 ? leastBlocks : minimum
    const pool = yield* BlockPool
    const { capacity } = pool.stats()
    if (capacity < least) {
      const what = destinations === 1 ? "a transfer" : `a transfer to ${destinations} destinations`
      const message = `the memory for blocks is too small: ${what} needs ${formatBytes((least * pool.memory.byteLength) / capacity)}`
      return yield* Effect.fail(Problem.make("InvalidConfig", message))
    }
    if (verify === "source" && !source.replayable) {
      return yield* Effect.fail(
        Problem.make("Unsupported", "verification of the source needs a source that can be read again", {
          ofSource: true
        })
      )
    }
    const read = Effect.gen(function* () {
      const info = yield* look(source, retries)
      if (info.size === 0 && !allowEmpty) return yield* empty(source.uri)
      const first = yield* openFirst(source, info, retries, minimum)
      const size = info.size ?? first.wholeSize
      if (size === 0 && !allowEmpty) return yield* empty(source.uri)
      const hints: Hints = source.hints === undefined ? {} : yield* source.hints
      const reported = reportedBy(hints)
      const digests = lowerCase({ ...reported, ...expect })
      const content: Content = {
        size,
        head: first.head,
        ...(hints.diskFormat === undefined ? undefined : { diskFormat: hints.diskFormat }),
        ...(hints.containerFormat === undefined ? undefined : { containerFormat: hints.containerFormat }),
        ...(hints.sparse === undefined ? undefined : { sparse: hints.sparse }),
        ...(Object.keys(digests).length === 0 ? undefined : { digests })
      }
      return { info, first, content, reported }
    })
    return yield* Effect.mapError(read, Problem.fromError)
  })

/** An empty source is hardly ever meant. */
const empty = (uri: string) => SourceError.make("SourceTooShort", { uri, message: "the source is empty (0 bytes)" })
