/**
 * What to do after an attempt: decided from what is at the destination, not from the error alone. It is the table in
 * docs/failures.md.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Monotonic from "../Monotonic.ts"
import type { Inspection, Session, StoredObject } from "../Store.ts"
import { judge, type SourceContent } from "./judge.ts"
import * as Problem from "./problem.ts"

/** What to do after an attempt. */
export type Next =
  | { readonly _tag: "Judge"; readonly object: StoredObject; readonly content: SourceContent }
  | { readonly _tag: "Again"; readonly problem: Problem.Problem; readonly recreate: boolean }
  | {
      readonly _tag: "GiveUp"
      readonly problem: Problem.Problem
      readonly keep: boolean
      readonly object?: StoredObject
    }

/** A body that the store has not refused clearly may still be on its way in: how often to look whether it has ended. */
const lookEveryMs = 250

/** Looks at the object after an attempt, and decides from what is there, not from the error alone. */
export const decide = (input: {
  readonly session: Session
  readonly problem: Problem.Problem | undefined
  readonly content: SourceContent | undefined
  /** The same of an earlier attempt; the source is unchanged since. */
  readonly earlier: SourceContent | undefined
  readonly answerMs: number
  readonly replayable: boolean
}): Effect.Effect<Next> =>
  Effect.gen(function* () {
    const { answerMs, content, earlier, problem, session } = input
    const owned = yield* session.owned
    const failed =
      problem ?? Problem.make("Rejected", "the store took the body, but does not hold it", { retryable: true })
    const retryable = failed.retryable && input.replayable
    const inTheWay = problem?.reason === "Conflict" || problem?.reason === "Gone"
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

    // Nobody sends it any more: it was not sent whole, or the service itself has said that it has failed.
    const gone = content === undefined || (problem?.status ?? 0) >= 500
    const waited = yield* settle(session, { answerMs, owned, gone })
    const { looked } = waited
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
          if (problem === undefined || same._tag === "Equal") return { _tag: "Judge", object: found.object, content }
          if (problem.ofSource) return giveUp()
          if (problem.reason === "Conflict" || problem.reason === "Gone")
            return giveUp(foreign(problem), true, found.object)
          return owned ? again(true) : giveUp(differs(same, problem), false, found.object)
        }
        if (problem !== undefined && problem.ofSource) return retryable && owned ? again(true) : giveUp()
        // An earlier body that was not known to have arrived: a proxy may bring it long after it has given up.
        if (earlier !== undefined && judge(earlier, found.object)._tag === "Equal") {
          return { _tag: "Judge", object: found.object, content: earlier }
        }
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
        if (inTheWay) {
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
          ? again(true, problem ?? { ...failed, message: `${failed.message}: ${found.why}` })
          : giveUp({ ...failed, message: `${failed.message}; the object takes no bytes any more: ${found.why}` })
      case "Busy": {
        const stuck: Problem.Problem = {
          ...failed,
          message: `${failed.message}; ${found.what} for more than ${Math.round(waited.ms / 1000)} s`
        }
        if (!owned) return giveUp(stuck)
        // An earlier body of ours is in the way, and may stay there for long; giving up would delete the object too.
        return inTheWay && input.replayable
          ? { _tag: "Again", problem: { ...stuck, retryable: true }, recreate: true }
          : again(true, stuck)
      }
    }
  })

interface Settled {
  readonly looked: Exit.Exit<Inspection, Problem.Problem>
  /** Milliseconds. */
  readonly ms: number
}

/**
 * Waits, up to `answerMs`, for an object that is busy to come to rest. One that we may make anew is not waited for longer
 * than it takes to rest when its body is `gone`, as it is when the service was away meanwhile.
 */
const settle = (
  session: Session,
  { answerMs, gone, owned }: { readonly answerMs: number; readonly gone: boolean; readonly owned: boolean }
): Effect.Effect<Settled> =>
  Effect.gen(function* () {
    const startedAt = yield* Monotonic.now
    const deadline = startedAt + answerMs
    let orphaned = gone
    /** Since when it could rest. */
    let backAt = startedAt
    while (true) {
      const exit = yield* Effect.exit(session.inspect)
      const now = yield* Monotonic.now
      const ended = (looked: Settled["looked"]): Settled => ({ looked, ms: now - startedAt })
      if (Exit.isFailure(exit)) {
        if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
        const problem = Problem.fromCause(exit.cause)
        // A service that is away for a moment says nothing about the object.
        if (!problem.retryable || now >= deadline) return ended(Exit.fail(problem))
        orphaned ||= problem.reason === "ConnectionLost"
        backAt = now
      } else {
        const found = exit.value
        if (found._tag !== "Busy" || now >= deadline) return ended(Exit.succeed(found))
        if (owned && orphaned && found.restMs !== undefined && now >= backAt + found.restMs) {
          return ended(Exit.succeed(found))
        }
      }
      yield* Effect.sleep(Math.max(1, Math.min(lookEveryMs, deadline - now)))
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
