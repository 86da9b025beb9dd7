/**
 * Has a service copy a proven object to further places: asks, watches, asks again, and gives each place its verdict. What
 * the service shows decides, as with a body; it is never waited for longer than `answerMs` without anything changing.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Monotonic from "../Monotonic.ts"
import type * as Copies from "../Copies.ts"
import type * as Receipt from "../Receipt.ts"
import type { Left, StoredObject } from "../Store.ts"
import type { End, Follower } from "./end.ts"
import { judge, type SourceContent } from "./judge.ts"
import * as Problem from "./problem.ts"
import { waitFor } from "./retryDelay.ts"
import { remaining } from "./tidying.ts"
import type { Verdict } from "./verdict.ts"

/** Between two looks: soon at first, as small images are copied at once, and seldom in the end. */
const firstLookMs = 100
const longestLookMs = 5000

interface Options {
  readonly retries: number
  readonly answerMs: number
  readonly onRetry: (
    follower: Follower,
    retry: { attempt: number; problem: Problem.Problem; waitMs: number }
  ) => Effect.Effect<void>
  readonly settle: (follower: Follower, verdict: Verdict) => Effect.Effect<void>
}

interface Job extends Options {
  readonly copying: Copies.Copying
  readonly followers: ReadonlyArray<Follower>
  readonly content: SourceContent
  /** Of the object that is copied. */
  readonly proof: NonNullable<Receipt.Destination["proof"]>
  /** What exists now, as far as it can be asked. */
  readonly left: Effect.Effect<Left>
}

/** What becomes of a destination's copies once it has a verdict. */
export const follow = (
  end: Pick<End<never>, "copies" | "state">,
  verdict: Verdict,
  options: Options
): Effect.Effect<void> =>
  Effect.gen(function* () {
    if (end.copies.length === 0) return
    const now = yield* Monotonic.moment
    for (const follower of end.copies) follower.startedAt = now
    const { content, session } = end.state
    const proof = verdict._tag === "Good" ? verdict.proof : verdict.elsewhere
    if (proof !== undefined && session?.copying !== undefined && content !== undefined) {
      const { copying, left } = session
      return yield* run({ ...options, copying, left, followers: end.copies, content, proof })
    }
    const instead: Verdict =
      verdict._tag === "Bad"
        ? {
            ...verdict,
            problem: { ...verdict.problem, message: `there is nothing to copy: ${verdict.problem.message}` },
            object: undefined
          }
        : {
            _tag: "Bad",
            problem: Problem.make("Unsupported", "the session cannot have its object copied"),
            left: yield* session?.left ?? Effect.succeed("none"),
            object: undefined
          }
    yield* Effect.forEach(end.copies, (follower) => options.settle(follower, instead), { discard: true })
  })

/** The verdict of copies that were not made before the transfer was interrupted; their object stays when it is proven. */
export const interrupted = ({
  copies,
  state,
  verdict
}: Pick<End<never>, "copies" | "state" | "verdict">): Effect.Effect<Verdict> => {
  const asked = copies.some((follower) => follower.verdict === undefined && follower.state.attempts > 0)
  const message = asked ? "interrupted; the service may go on copying by itself" : "interrupted"
  const left =
    verdict?._tag === "Bad"
      ? Effect.succeed(verdict.left)
      : state.session === undefined
        ? Effect.succeed("none")
        : remaining(state.session)
  return Effect.map(left, (left) => ({
    _tag: "Bad",
    problem: Problem.make("Interrupted", message, { clear: false }),
    left,
    object: undefined
  }))
}

const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`

const gone = Problem.make("Gone", "the object was deleted before it was copied")
const lost = Problem.make(
  "Unavailable",
  "the service took the request to copy, and shows neither a copy nor a failure",
  {
    retryable: true,
    clear: false
  }
)

const run = (job: Job): Effect.Effect<void> =>
  Effect.gen(function* () {
    const { answerMs, copying } = job
    let pending = job.followers
    let failures = 0
    /** How the last request ended; `none` when what is missing now was not asked for, or has been counted. */
    let asked: Exit.Exit<void, Problem.Problem> | "none" = "none"
    let mark: string | undefined
    let changedAt = yield* Monotonic.now
    let wait = firstLookMs

    const fail = (followers: ReadonlyArray<Follower>, problemOf: (follower: Follower) => Problem.Problem) =>
      Effect.gen(function* () {
        if (followers.length === 0) return
        const left = yield* job.left
        for (const follower of followers) {
          yield* job.settle(follower, { _tag: "Bad", problem: problemOf(follower), left, object: undefined })
        }
        pending = pending.filter((follower) => !followers.includes(follower))
      })

    const pause = Effect.suspend(() => {
      const ms = wait
      wait = Math.min(longestLookMs, wait * 1.5)
      return Effect.flatMap(Monotonic.now, (now) => Effect.sleep(Math.max(1, Math.min(ms, changedAt + answerMs - now))))
    })

    const silent = Effect.map(Monotonic.now, (now) => now - changedAt >= answerMs)

    while (pending.length > 0) {
      const looked = yield* Effect.exit(copying.look(pending.map(({ place }) => place)))
      if (Exit.isFailure(looked)) {
        if (Exit.hasInterrupts(looked)) return yield* Effect.interrupt
        const problem = Problem.fromCause(looked.cause)
        // A service that is away for a moment may go on copying.
        if (!problem.retryable || (yield* silent)) return yield* fail(pending, () => problem)
        yield* pause
        continue
      }
      const { busy, object, places } = looked.value
      if (mark !== looked.value.mark) {
        mark = looked.value.mark
        changedAt = yield* Monotonic.now
        wait = firstLookMs
      }
      if (object === undefined) return yield* fail(pending, () => gone)

      if (busy !== undefined) {
        // Whatever became of the answer, the request was taken; or somebody else's was, and ours comes after it.
        if (asked !== "none" && Exit.isFailure(asked)) {
          asked = Problem.fromExit(asked).reason === "Conflict" ? "none" : Exit.void
        }
        // A service that fails in the end may take back what is there already.
        if (!(yield* silent)) {
          yield* pause
          continue
        }
      }

      for (const follower of pending.filter(({ place }) => places.get(place)?._tag === "Copied")) {
        yield* job.settle(follower, yield* prove(job, follower, object))
        pending = pending.filter((other) => other !== follower)
      }
      if (pending.length === 0) return

      if (busy !== undefined) {
        const message = `${busy}, and nothing has changed for ${seconds(answerMs)}`
        return yield* fail(pending, () => Problem.make("Stalled", message, { clear: false }))
      }

      if (asked !== "none") {
        // Nothing is under way any more: what is not there has failed.
        const refusal = Exit.isFailure(asked) ? Problem.fromExit(asked) : undefined
        asked = "none"
        failures++
        const problemOf = ({ place }: Follower): Problem.Problem => {
          const state = places.get(place)
          return refusal ?? (state?._tag === "Failed" ? Problem.fromError(state.error) : lost)
        }
        yield* fail(
          pending.filter((follower) => failures > job.retries || !problemOf(follower).retryable),
          problemOf
        )
        if (pending.length === 0) return
        const waitMs = yield* waitFor(failures, Math.max(0, ...pending.map((one) => problemOf(one).retryAfterMs ?? 0)))
        for (const follower of pending) {
          yield* job.onRetry(follower, { attempt: follower.state.attempts, problem: problemOf(follower), waitMs })
        }
        yield* Effect.sleep(waitMs)
        // Meanwhile much may have happened: a request that seemed lost was in a proxy's hands, or another did the same.
        mark = undefined
        continue
      }

      const request = copying.request(pending.map(({ place }) => place))
      const count = () => {
        for (const { state } of pending) state.attempts++
      }
      // A request that is cut off may have been taken.
      const requested = Effect.onInterrupt(Effect.mapError(request, Problem.fromError), () => Effect.sync(count))
      asked = yield* Effect.exit(requested)
      if (Exit.hasInterrupts(asked)) return yield* Effect.interrupt
      const refusal = Exit.isFailure(asked) ? Problem.fromExit(asked) : undefined
      if (refusal === undefined || refusal.status !== undefined || !refusal.clear) count()
      if (refusal !== undefined && refusal.clear && !refusal.retryable) return yield* fail(pending, () => refusal)
      mark = undefined
    }
  })

/** Compares what the service says of the copied object with what was sent. */
const prove = (job: Job, follower: Follower, copied: StoredObject): Effect.Effect<Verdict> => {
  const object: StoredObject = { ...copied, store: follower.place }
  const same = judge(job.content, object)
  const differs =
    same._tag === "SizeDiffers" ? "SizeMismatch" : same._tag === "DigestDiffers" ? "DigestMismatch" : undefined
  if (differs !== undefined) {
    const { message } = same as { readonly message: string }
    return Effect.map(job.left, (left) => ({ _tag: "Bad", problem: Problem.make(differs, message), left, object }))
  }
  const readBack = job.proof.level === "destination"
  if (readBack) follower.state.notes = [job.copying.unreadable]
  const compared = same._tag === "Equal" ? same.compared : []
  return Effect.succeed({
    _tag: "Good",
    status: compared.length > 0 ? "verified" : "stored",
    object,
    proof: { ...job.proof, level: readBack ? "transfer" : job.proof.level, compared }
  })
}
