/**
 * The plain data that a transfer tells of itself: events with their time, and a destination's entry in the receipt.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Moment } from "../Monotonic.ts"
import type * as Receipt from "../Receipt.ts"
import type { TransferEvent } from "../TransferEvent.ts"
import type { State } from "./delivery.ts"
import type { Problem } from "./problem.ts"
import type { Verdict } from "./verdict.ts"

type WithoutStamp<E> = E extends TransferEvent ? Omit<E, "at" | "id"> & { readonly id?: string } : never

/** An event without its time and its transfer's id. */
export type Untimed = WithoutStamp<TransferEvent>

export const stamp = (id: string, event: Untimed): Effect.Effect<TransferEvent> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    const { type, ...fields } = event
    return { type, at: new Date(now).toISOString(), ...fields, id } as unknown as TransferEvent
  })

export const retry = (
  uri: string,
  { attempt, problem, waitMs }: { readonly attempt: number; readonly problem: Problem; readonly waitMs: number }
): Untimed => ({
  type: "retry",
  uri,
  attempt,
  reason: problem.reason,
  message: problem.message,
  ...(problem.status === undefined ? undefined : { status: problem.status }),
  ...(problem.ofSource ? { ofSource: true as const } : undefined),
  waitMs
})

export const destination = (input: {
  readonly uri: string
  readonly required: boolean
  readonly verdict: Verdict
  readonly cancelled: boolean
  readonly state: Pick<State, "attempts" | "bytesSent" | "notes" | "retried">
  readonly startedAt: Moment
  /** As `Monotonic.now`. */
  readonly now: number
}): Receipt.Destination => {
  const { state, verdict } = input
  const object = verdict.object
  return {
    uri: input.uri,
    required: input.required,
    status: verdict._tag === "Good" ? verdict.status : input.cancelled ? "cancelled" : "failed",
    ...(object === undefined
      ? undefined
      : {
          object: {
            id: object.id,
            ...(object.store === undefined ? undefined : { store: object.store }),
            size: object.size ?? null,
            digests: object.digests
          }
        }),
    attempts: state.attempts,
    ...(Object.keys(state.retried).length === 0 ? undefined : { retried: { ...state.retried } }),
    bytesSent: state.bytesSent,
    startedAt: new Date(input.startedAt.at).toISOString(),
    elapsedMs: Math.max(0, Math.round(input.now - input.startedAt.since)),
    ...(state.notes.length === 0 ? undefined : { notes: state.notes }),
    ...(verdict._tag === "Good"
      ? { proof: verdict.proof }
      : {
          error: {
            reason: verdict.problem.reason,
            message: verdict.problem.message,
            retryable: verdict.problem.retryable,
            ...(verdict.problem.status === undefined ? undefined : { status: verdict.problem.status }),
            ...(verdict.problem.ofSource ? { ofSource: true as const } : undefined),
            left: verdict.left
          }
        })
  }
}
