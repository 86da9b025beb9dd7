/**
 * One destination of a transfer, from opening its session to the verdict: attempts, and the steps between them.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import type { BlockPool } from "../BlockPool.ts"
import type { Node } from "../Bandwidth.ts"
import { type Algorithm, algorithms, type Digests, type HasherService } from "../Digest.ts"
import type { Reason } from "../Reason.ts"
import type { Info, Source } from "../Source.ts"
import type { SourceError } from "../SourceError.ts"
import type { Content, Session, Store, StoredObject } from "../Store.ts"
import * as Attempt from "./attempt.ts"
import * as Beginning from "./beginning.ts"
import * as Checked from "./checked.ts"
import { decide } from "./decide.ts"
import * as Problem from "./problem.ts"
import * as Reading from "./reading.ts"
import type { Standing } from "./standing.ts"
import { waitFor } from "./retryDelay.ts"
import { leave } from "./tidying.ts"
import * as Tracing from "../Tracing.ts"
import * as Verdict from "./verdict.ts"
import type { SourceContent } from "./judge.ts"

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
  /** Go on with what a journal has of an earlier upload. */
  readonly resume: boolean
}

export interface Job<RS, RD> {
  readonly source: Source<RS>
  readonly info: Info
  readonly content: Content
  readonly bandwidth: Node
  readonly store: Store<RD>
  readonly settings: Settings
  /** The first attempt's bytes, once it is known which digests are worth computing. */
  readonly join: (
    algorithms: ReadonlyArray<Algorithm>
  ) => Effect.Effect<Reading.Reading, SourceError, RS | BlockPool | Scope.Scope>
  /** The bytes are not taken from there, but read by the destination alone. */
  readonly decline: Effect.Effect<void>
  readonly hasher: HasherService
  readonly counters: Attempt.Counters
  readonly onRetry: (retry: { attempt: number; problem: Problem.Problem; waitMs: number }) => Effect.Effect<void>
}

/** What is known of a destination at any moment, also when the transfer is interrupted. */
export interface State {
  session: Session | undefined
  /** What stands of an object in parts. */
  standing: Standing | undefined
  attempts: number
  bytesSent: number
  /** Of the source, once it was read to its end. */
  content: SourceContent | undefined
  notes: ReadonlyArray<string>
  /** How often an attempt failed and was tried again, by the reason why. */
  readonly retried: { [R in Reason]?: number }
  /** Why the destination has failed, while what it left is being tidied up. */
  failed: Problem.Problem | undefined
}

export const run = <RS, RD>(
  job: Job<RS, RD>,
  state: State
): Effect.Effect<Verdict.Verdict, never, RS | RD | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    const { settings, source } = job
    /** The most bytes that an attempt has read so far. */
    let seen = 0
    /** Failures so far that used up an attempt. */
    let failures = 0
    /** Whether the last failure was a refused sign-in before any byte: one new token is no attempt. */
    let renewed = false

    const bad = (problem: Problem.Problem, keep: boolean, object?: StoredObject): Effect.Effect<Verdict.Verdict> =>
      Effect.suspend(() => {
        state.failed = problem
        return Effect.map(leave(state, keep || settings.keepFailed), (left) => ({
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

    /** As `mayRetry`, for one part: each has the attempts that a whole body has. */
    const retryPart = (partFailures: number, problem: Problem.Problem): Effect.Effect<boolean> =>
      Effect.gen(function* () {
        if (!problem.retryable || partFailures > settings.retries) return false
        const attempt = ++state.attempts
        const waitMs = yield* waitFor(partFailures, problem.retryAfterMs)
        yield* job.onRetry({ attempt, problem, waitMs })
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
    const begun = yield* Beginning.begin(job, state, session, step)
    if (Exit.isFailure(begun)) {
      state.notes = yield* session.notes
      return yield* bad(Problem.fromExit(begun), false)
    }
    const { note, standing } = begun.value
    const notes = Effect.map(session.notes, (told) => [...note, ...told, ...standing.notes])
    state.notes = yield* notes

    const computing = computed(session.wanted, settings)
    /** A reading of the source from where the hashers can go on. */
    const reread = Effect.suspend(() =>
      Effect.andThen(
        Checked.unchanged(source, job.info),
        Reading.open(source, Reading.minimumBlocks, standing.state?.bytes ?? 0)
      )
    )
    const joined = yield* step(standing.state === undefined ? job.join(computing) : Effect.andThen(job.decline, reread))
    if (Exit.isFailure(joined)) return yield* bad(Problem.fromExit(joined), false)
    let reading = joined.value

    while (true) {
      // A body is made of a reading of the source that nobody has had a block of.
      if (reading.consumed()) {
        if (!source.replayable) return yield* Effect.die(new Error("a consumed source was to be sent again"))
        const again = yield* step(reread)
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
          standing,
          algorithms: computing,
          expect: settings.expect,
          reported: settings.reported,
          bandwidth: job.bandwidth,
          // While all wait for one that takes nothing, the time is the one's, not theirs.
          stallMs: reading.shared === undefined || source.replayable ? settings.stallMs : 2 * settings.stallMs,
          answerMs: settings.answerMs,
          counters: job.counters,
          onSent: (bytes) => {
            state.bytesSent += bytes
          },
          retryPart
        })
      ).pipe(
        (running) => Tracing.attempt(running, { uri: job.store.uri, attempt: state.attempts + 1 }),
        Effect.onInterrupt(() => Effect.sync(cut))
      )
      if (Exit.hasInterrupts(outcome.exit)) {
        cut()
        return yield* Effect.interrupt
      }
      if (outcome.restart === true) {
        standing.dropState()
        yield* reading.close
        const again = yield* step(reread)
        if (Exit.isFailure(again)) return yield* bad(Problem.fromExit(again), false)
        reading = again.value
        continue
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
        earlier: state.content,
        answerMs: settings.answerMs,
        replayable: source.replayable || !reading.consumed()
      })
      // Some things are learnt only by writing and looking.
      state.notes = yield* notes
      switch (next._tag) {
        case "GiveUp":
          return yield* bad(next.problem, next.keep, next.object)
        case "Again": {
          if (!(yield* mayRetry(next.problem, counted))) return yield* bad(next.problem, false)
          if (next.recreate) {
            const made = yield* step(Effect.andThen(session.recreate, Beginning.begun(session, standing)))
            if (Exit.isFailure(made)) return yield* bad(Problem.fromExit(made), false)
          }
          break
        }
        case "Judge": {
          const verdict = yield* Verdict.reach({
            source,
            info: job.info,
            uri: job.store.uri,
            level: settings.verify,
            hasher: job.hasher,
            session,
            content: next.content,
            object: next.object,
            bad
          })
          if (verdict._tag === "Good") yield* standing.ended("none")
          return verdict
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
  // What is read again has to be compared by something, also where the store offers nothing.
  if (settings.verify !== "transfer" && all.size === 0) all.add("sha256")
  return [...all]
}

/** Whether the destination's service answered, with a no. */
const refused = (problem: Problem.Problem): boolean => problem.status !== undefined && !problem.ofSource
