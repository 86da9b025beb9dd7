/**
 * One destination of a transfer, from opening its session to the verdict. The order of things, and what is decided
 * after an attempt has failed, is the table in docs/failures.md.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { BlockPool } from "../BlockPool.ts"
import type { Node } from "../Bandwidth.ts"
import { type Algorithm, algorithms, type Digests, type HasherService } from "../Digest.ts"
import type * as Receipt from "../Receipt.ts"
import type { Info, Source } from "../Source.ts"
import type { Content, Inspection, Left, Session, Store, StoredObject } from "../Store.ts"
import * as Attempt from "./attempt.ts"
import { computedBy } from "./computedBy.ts"
import { judge } from "./judge.ts"
import * as Problem from "./problem.ts"
import * as Reading from "./reading.ts"
import { waitFor } from "./retryDelay.ts"
import * as Verify from "./verify.ts"

export interface Settings {
  readonly digest: ReadonlyArray<Algorithm>
  readonly expect: Digests
  /** Digests that the source's own service reports. */
  readonly reported: Digests
  readonly verify: "transfer" | "source" | "destination"
  readonly retries: number
  readonly stallMs: number
  readonly answerMs: number
  readonly keepFailed: boolean
}

export interface Job<RS, RD> {
  readonly source: Source<RS>
  readonly info: Info
  readonly content: Content
  readonly bandwidth: Node
  readonly store: Store<RD>
  readonly settings: Settings
  /** The reading whose first bytes were looked at; it is the first attempt's. */
  readonly first: Reading.Reading
  readonly hasher: HasherService
  readonly counters: Attempt.Counters
  readonly onRetry: (retry: { attempt: number; problem: Problem.Problem; waitMs: number }) => Effect.Effect<void>
}

/** What is known of a destination at any moment, also when the transfer is interrupted. */
export interface State {
  session: Session | undefined
  attempts: number
  bytesSent: number
  /** Of the source, once it was read to its end. */
  content: { readonly size: number; readonly digests: Digests } | undefined
  notes: ReadonlyArray<string>
  /** Why the destination has failed, while what it left is being tidied up. */
  failed: Problem.Problem | undefined
}

export type Verdict =
  | {
      readonly _tag: "Good"
      readonly status: "verified" | "stored"
      readonly object: StoredObject
      readonly proof: NonNullable<Receipt.Destination["proof"]>
    }
  | {
      readonly _tag: "Bad"
      readonly problem: Problem.Problem
      readonly left: Left
      readonly object: StoredObject | undefined
    }

/** What to do after an attempt. */
type Next =
  | { readonly _tag: "Judge"; readonly object: StoredObject }
  | { readonly _tag: "Again"; readonly problem: Problem.Problem; readonly recreate: boolean }
  | {
      readonly _tag: "GiveUp"
      readonly problem: Problem.Problem
      readonly keep: boolean
      readonly object?: StoredObject
    }

/** A body that the store has not refused clearly may still be on its way in: how often to look whether it has ended. */
const lookEveryMs = 250

export const run = <RS, RD>(
  job: Job<RS, RD>,
  state: State
): Effect.Effect<Verdict, never, RS | RD | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    const { settings, source } = job
    let reading = job.first
    /** The most bytes that an attempt has read so far. */
    let seen = 0
    /** Failures so far that used up an attempt. */
    let failures = 0
    /** Whether the last failure was a refused sign-in before any byte: one new token is no attempt. */
    let renewed = false

    const bad = (problem: Problem.Problem, keep: boolean, object?: StoredObject): Effect.Effect<Verdict> =>
      Effect.suspend(() => {
        state.failed = problem
        return Effect.map(leave(state.session, keep || settings.keepFailed), (left) => ({
          _tag: "Bad",
          problem,
          left,
          object
        }))
      })

    /** Counts a failure and waits before the next attempt; false when there is none left. */
    const mayRetry = (problem: Problem.Problem, counted: boolean): Effect.Effect<boolean> =>
      Effect.gen(function* () {
        if (!problem.retryable) return false
        if (counted) failures++
        if (failures > settings.retries) return false
        const waitMs = counted ? yield* waitFor(failures, problem.retryAfterMs) : 0
        yield* job.onRetry({ attempt: counted ? failures : failures + 1, problem, waitMs })
        yield* Effect.sleep(waitMs)
        return true
      })

    /** Runs a step that sends no body, again and again while that may help. */
    const step = <A, R>(
      effect: Effect.Effect<A, Problem.Failing, R>
    ): Effect.Effect<Exit.Exit<A, Problem.Problem>, never, R> =>
      Effect.gen(function* () {
        while (true) {
          const exit = yield* Effect.exit(effect)
          if (Exit.isSuccess(exit)) return Exit.succeed(exit.value)
          if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
          const problem = Problem.fromCause(exit.cause)
          if (refused(problem)) state.attempts++
          if (!(yield* mayRetry(problem, true))) return Exit.fail(problem)
        }
      })

    const opened = yield* step(job.store.open(job.content))
    if (Exit.isFailure(opened)) return yield* bad(Problem.fromExit(opened), false)
    const session = opened.value
    state.session = session
    const begun = yield* step(session.begin)
    state.notes = yield* session.notes
    if (Exit.isFailure(begun)) return yield* bad(Problem.fromExit(begun), false)

    const computing = computed(session.wanted, settings)

    while (true) {
      // A body is made of a reading of the source that nobody has had a block of.
      if (reading.consumed()) {
        if (!source.replayable) return yield* Effect.die(new Error("a consumed source was to be sent again"))
        const again = yield* step(Effect.andThen(Attempt.checkUnchanged(source, job.info), Reading.open(source)))
        if (Exit.isFailure(again)) return yield* bad(Problem.fromExit(again), false)
        reading = again.value
      }

      const sentBefore = state.bytesSent
      /** An attempt that was interrupted is one as soon as it has sent a byte. */
      const cut = () => {
        if (state.bytesSent > sentBefore) state.attempts++
      }
      const outcome = yield* Effect.scoped(
        Attempt.run({
          source,
          info: job.info,
          size: job.content.size,
          seen,
          reading,
          session,
          algorithms: computing,
          expect: settings.expect,
          reported: settings.reported,
          bandwidth: job.bandwidth,
          stallMs: settings.stallMs,
          answerMs: settings.answerMs,
          counters: job.counters,
          onSent: (bytes) => {
            state.bytesSent += bytes
          }
        })
      ).pipe(Effect.onInterrupt(() => Effect.sync(cut)))
      if (Exit.hasInterrupts(outcome.exit)) {
        cut()
        return yield* Effect.interrupt
      }
      // Blocks that were under way when the attempt ended come back now, before anybody waits for some.
      if (reading.consumed()) yield* reading.close
      seen = Math.max(seen, job.counters.read)
      if (outcome.content !== undefined) state.content = outcome.content
      const content = outcome.content
      const sent = state.bytesSent > sentBefore

      const problem = Exit.isFailure(outcome.exit) ? Problem.fromCause(outcome.exit.cause) : undefined
      // Whoever refused for want of a token has not looked at the bytes; with a new token it is the same attempt.
      const counted: boolean = !(problem?.reason === "Unauthorized" && !sent && !renewed)
      renewed = !counted
      if (counted && (problem === undefined || sent || refused(problem))) state.attempts++

      const next = yield* decide({
        session,
        problem,
        content,
        settings,
        replayable: source.replayable || !reading.consumed()
      })
      switch (next._tag) {
        case "GiveUp":
          return yield* bad(next.problem, next.keep, next.object)
        case "Again": {
          if (!(yield* mayRetry(next.problem, counted))) return yield* bad(next.problem, false)
          if (next.recreate) {
            const made = yield* step(session.recreate)
            if (Exit.isFailure(made)) return yield* bad(Problem.fromExit(made), false)
          }
          break
        }
        case "Judge": {
          if (content === undefined) return yield* Effect.die(new Error("a verdict without digests"))
          return yield* verdict(job, session, content, next.object, bad)
        }
      }
    }
  })

/** What nobody can make other bytes for, before what is only good against accidents. */
const strong: ReadonlyArray<Algorithm> = ["sha512", "sha256", "blake3"]

/** Algorithms to compute. Of those that the source's service reports one is enough, and one for the store will do. */
const computed = (wanted: ReadonlyArray<Algorithm>, settings: Settings): ReadonlyArray<Algorithm> => {
  const all = new Set([...wanted, ...settings.digest, ...(Object.keys(settings.expect) as Array<Algorithm>)])
  const reported = algorithms.filter((a) => settings.reported[a] !== undefined)
  const best = strong.find((a) => reported.includes(a)) ?? reported[0]
  if (best !== undefined && !reported.some((a) => all.has(a))) all.add(best)
  return [...all]
}

/** Looks at the object after an attempt, and decides from what is there, not from the error alone. */
const decide = (input: {
  readonly session: Session
  readonly problem: Problem.Problem | undefined
  readonly content: { readonly size: number; readonly digests: Digests } | undefined
  readonly settings: Settings
  readonly replayable: boolean
}): Effect.Effect<Next> =>
  Effect.gen(function* () {
    const { content, problem, session, settings } = input
    const owned = yield* session.owned
    const failed =
      problem ?? Problem.make("Rejected", "the store took the body, but does not hold it", { retryable: true })
    const retryable = failed.retryable && input.replayable
    const giveUp = (p: Problem.Problem = failed, keep = false, object?: StoredObject): Next => ({
      _tag: "GiveUp",
      problem: p,
      keep,
      ...(object === undefined ? undefined : { object })
    })
    const again = (recreate: boolean, p: Problem.Problem = failed): Next =>
      retryable ? { _tag: "Again", problem: p, recreate } : giveUp(p)

    // A clear and final refusal needs no second look.
    if (problem !== undefined && problem.clear && !problem.retryable) return giveUp()

    const looked = yield* settle(session, settings.answerMs)
    if (Exit.isFailure(looked)) {
      const unseen = Problem.fromExit(looked)
      return giveUp(
        problem ?? { ...unseen, message: `the body was taken, but could not be verified: ${unseen.message}` }
      )
    }
    const found = looked.value
    switch (found._tag) {
      case "Stored": {
        if (content !== undefined) {
          const same = judge(content, found.object)
          if (problem === undefined || same._tag === "Equal") return { _tag: "Judge", object: found.object }
          if (problem.ofSource) return giveUp()
          if (problem.reason === "Conflict" || problem.reason === "Gone")
            return giveUp(foreign(problem), true, found.object)
          return owned ? again(true) : giveUp(differs(same, problem), false, found.object)
        }
        if (problem !== undefined && problem.ofSource) return retryable && owned ? again(true) : giveUp()
        // Bytes that we did not finish sending: somebody else's, and not ours to delete.
        if (failed.reason === "Conflict" || failed.reason === "Gone") return giveUp(foreign(failed), true, found.object)
        return owned
          ? again(true)
          : giveUp(
              Problem.make("Conflict", `${failed.message}; the object holds other bytes now`, { clear: false }),
              false,
              found.object
            )
      }
      case "Ready":
        // After a 409 or 410 the object is free again: whoever was in the way has gone.
        if (problem?.reason === "Conflict" || problem?.reason === "Gone") {
          return input.replayable
            ? { _tag: "Again", problem: { ...problem, retryable: true }, recreate: false }
            : giveUp()
        }
        return again(false)
      case "Absent":
        if (!owned) return giveUp(problem ?? Problem.make("Gone", "the object was deleted during the upload"))
        if (problem?.ofSource) return again(true)
        return input.replayable
          ? {
              _tag: "Again",
              problem: {
                ...(problem ?? Problem.make("Gone", "the object was deleted during the upload")),
                retryable: true
              },
              recreate: true
            }
          : giveUp()
      case "Spoiled":
        return owned
          ? again(true)
          : giveUp({ ...failed, message: `${failed.message}; the object takes no bytes any more: ${found.why}` })
      case "Busy": {
        const stuck: Problem.Problem = {
          ...failed,
          message: `${failed.message}; ${found.what} for more than ${Math.round(settings.answerMs / 1000)} s`
        }
        return owned ? again(true, stuck) : giveUp(stuck)
      }
    }
  })

/** Waits, up to `answerMs`, for an object that is busy to come to rest. */
const settle = (session: Session, answerMs: number): Effect.Effect<Exit.Exit<Inspection, Problem.Problem>> =>
  Effect.gen(function* () {
    const deadline = (yield* Clock.currentTimeMillis) + answerMs
    while (true) {
      const exit = yield* Effect.exit(session.inspect)
      if (Exit.isFailure(exit)) {
        if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
        const problem = Problem.fromCause(exit.cause)
        // A service that is away for a moment says nothing about the object.
        if (!problem.retryable || (yield* Clock.currentTimeMillis) >= deadline) return Exit.fail(problem)
      } else if (exit.value._tag !== "Busy" || (yield* Clock.currentTimeMillis) >= deadline) {
        return Exit.succeed(exit.value)
      }
      const left = deadline - (yield* Clock.currentTimeMillis)
      yield* Effect.sleep(Math.max(1, Math.min(lookEveryMs, left)))
    }
  })

const foreign = (problem: Problem.Problem): Problem.Problem => ({
  ...problem,
  message: `${problem.message}; another writer's bytes are there now`
})

const differs = (same: ReturnType<typeof judge>, problem: Problem.Problem): Problem.Problem =>
  same._tag === "SizeDiffers"
    ? Problem.make("SizeMismatch", `${problem.message}; ${same.message}`, { clear: false })
    : same._tag === "DigestDiffers"
      ? Problem.make("DigestMismatch", `${problem.message}; ${same.message}`, { clear: false })
      : problem

const verdict = <RS, RD>(
  job: Job<RS, RD>,
  session: Session,
  content: { readonly size: number; readonly digests: Digests },
  object: StoredObject,
  bad: (problem: Problem.Problem, keep: boolean, object?: StoredObject) => Effect.Effect<Verdict>
): Effect.Effect<Verdict, never, RS | BlockPool> =>
  Effect.gen(function* () {
    const same = judge(content, object)
    if (same._tag === "SizeDiffers") return yield* bad(Problem.make("SizeMismatch", same.message), false, object)
    if (same._tag === "DigestDiffers") return yield* bad(Problem.make("DigestMismatch", same.message), false, object)
    const rest = yield* Effect.exit(
      Effect.gen(function* () {
        yield* session.checkPlace(object)
        if (job.settings.verify === "source") {
          yield* Verify.source(job.source, job.info, content)
        }
        const readBack =
          job.settings.verify === "destination"
            ? yield* Verify.destination(session, content, job.store.uri)
            : ([] as ReadonlyArray<Algorithm>)
        yield* session.seal
        return readBack
      })
    )
    if (Exit.isFailure(rest)) {
      if (Exit.hasInterrupts(rest)) return yield* Effect.interrupt
      return yield* bad(Problem.fromCause(rest.cause), false, object)
    }
    const compared = [...new Set([...(same._tag === "Equal" ? same.compared : []), ...rest.value])]
    return {
      _tag: "Good",
      status: compared.length > 0 ? "verified" : "stored",
      object,
      proof: { level: job.settings.verify, compared, computedBy: computedBy(job.hasher, content.digests) }
    }
  })

/** What is left at a destination that failed, after its session has tidied up. */
export const leave = (session: Session | undefined, keep: boolean): Effect.Effect<Left> =>
  session === undefined ? Effect.succeed("none") : keep ? session.left : session.discard

/** Whether the destination's service answered, with a no. */
const refused = (problem: Problem.Problem): boolean => problem.status !== undefined && !problem.ofSource

/** Tidies up after an interruption, within the time that a person waits after Ctrl-C. */
export const abandon = (session: Session | undefined, keep: boolean): Effect.Effect<Left> =>
  session === undefined
    ? Effect.succeed("none")
    : Effect.flatMap(
        Effect.timeoutOption(Effect.interruptible(leave(session, keep)), 4500),
        Option.match({
          onSome: Effect.succeed,
          onNone: () => Effect.map(session.location, (uri) => `unknown ${uri}`)
        })
      )
