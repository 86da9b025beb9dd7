/**
 * How an object is begun: made, or, where a journal has an earlier upload of the same bytes to the same place, gone on with.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Scope from "effect/Scope"
import { formatBytes } from "../Quantity.ts"
import type { PartsSession, Session } from "../Store.ts"
import type { StoreError } from "../StoreError.ts"
import type { Job } from "./delivery.ts"
import type * as Problem from "./problem.ts"
import { partBytes as planned } from "./partPlan.ts"
import * as Standing from "./standing.ts"

export interface Begun {
  readonly standing: Standing.Standing
  /** What a person should know of it. */
  readonly note: ReadonlyArray<string>
}

/** Runs a step that sends no body, again and again while that may help. */
type Step = <A, R>(
  effect: Effect.Effect<A, Problem.Failing, R>
) => Effect.Effect<Exit.Exit<A, Problem.Problem>, never, R>

/** Notes an upload that was begun. */
export const begun = (session: Session, standing: Standing.Standing): Effect.Effect<unknown, StoreError> =>
  session.shape === "whole"
    ? Effect.void
    : Effect.flatMap(session.resumption?.token ?? Effect.undefined, (token) => standing.begun(token))

export const begin = <RS, RD>(
  job: Job<RS, RD>,
  state: { standing: Standing.Standing | undefined },
  session: Session,
  step: Step
): Effect.Effect<Exit.Exit<Begun, Problem.Problem>, never, Scope.Scope> =>
  Effect.gen(function* () {
    if (session.shape === "whole") {
      return Exit.map(yield* step(session.begin), (): Begun => ({
        standing: new Standing.Standing(job.store.uri),
        note: []
      }))
    }
    const opened = yield* step(
      Standing.open({
        session,
        source: job.source.uri,
        destination: job.store.uri,
        info: job.info,
        size: job.content.size,
        replayable: job.source.replayable,
        resume: job.settings.resume
      })
    )
    if (Exit.isFailure(opened)) return Exit.failCause(opened.cause)
    const standing = (state.standing = opened.value)
    const resumed = yield* step(resume(session, standing, job.content.size))
    if (Exit.isFailure(resumed)) return Exit.failCause(resumed.cause)
    if (resumed.value !== undefined) return Exit.succeed<Begun>({ standing, note: [resumed.value] })
    return Exit.map(yield* step(Effect.andThen(session.begin, begun(session, standing))), (): Begun => ({
      standing,
      note: []
    }))
  })

/** Goes on with what was noted, if it is there. Says what is. */
const resume = (
  session: PartsSession,
  standing: Standing.Standing,
  size: number | undefined
): Effect.Effect<string | undefined, StoreError> =>
  Effect.gen(function* () {
    const { earlier } = standing
    if (earlier === undefined || session.resumption === undefined) return undefined
    const { token } = earlier
    // Whoever ended before it was cut has sent nothing; the upload is there all the same.
    const partBytes = earlier.partBytes ?? planned(size, session.limits, 0)
    if (typeof partBytes === "string") return undefined
    const parts = yield* session.resumption.resume(token, earlier.parts, { partBytes, size })
    if (parts === undefined) return undefined
    yield* standing.resumed(earlier, parts)
    const there = parts.reduce((sum, { length }) => sum + length, 0)
    const of = size === undefined ? "" : ` of ${formatBytes(size)}`
    return `goes on with the upload of ${new Date(earlier.startedAt).toISOString()}: ${formatBytes(there)}${of} are there already`
  })
