/**
 * What went wrong in an attempt, whoever said it, in the one shape that the engine decides by.
 */
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type { DigestError } from "../Digest.ts"
import type { Reason } from "../Reason.ts"
import type { SourceError } from "../SourceError.ts"
import type { StoreError } from "../StoreError.ts"

export interface Problem {
  readonly reason: Reason
  readonly message: string
  readonly retryable: boolean
  /** Whether the store's object is known to be untouched by what happened. */
  readonly clear: boolean
  /** Whether the source is at fault, not the store. */
  readonly ofSource: boolean
  readonly status?: number
  readonly objectId?: string
  readonly retryAfterMs?: number
}

export const make = (reason: Reason, message: string, more?: Partial<Problem>): Problem => ({
  reason,
  message,
  retryable: false,
  clear: true,
  ofSource: false,
  ...more
})

export type Failing = StoreError | SourceError | DigestError

export const fromError = (error: Failing): Problem => {
  switch (error._tag) {
    case "StoreError":
      return {
        reason: error.reason._tag,
        message: error.message,
        retryable: error.retryable,
        clear: error.clear,
        ofSource: false,
        ...(error.status === undefined ? undefined : { status: error.status }),
        ...(error.objectId === undefined ? undefined : { objectId: error.objectId }),
        ...(error.retryAfterMs === undefined ? undefined : { retryAfterMs: error.retryAfterMs })
      }
    case "SourceError":
      // The body was cut on our side, so what the store makes of it is not known.
      return {
        reason: error.reason._tag,
        message: error.message,
        retryable: error.retryable,
        clear: false,
        ofSource: true,
        ...(error.status === undefined ? undefined : { status: error.status })
      }
    case "DigestError":
      return make("Unsupported", error.message, { clear: false })
  }
}

/** The typed error of a cause; a defect is a problem too, so that it leaves nothing behind at the store. */
export const fromCause = (cause: Cause.Cause<Failing>): Problem =>
  Option.match(Cause.findErrorOption(cause), {
    onSome: fromError,
    onNone: () => {
      const defect = Cause.squash(cause)
      return make("Rejected", `defect: ${defect instanceof Error ? defect.message : String(defect)}`, { clear: false })
    }
  })

/** The problem of an exit that carries one. */
export const fromExit = (exit: Exit.Failure<unknown, Problem>): Problem =>
  Option.getOrElse(Cause.findErrorOption(exit.cause), () => make("Rejected", "no reason was given", { clear: false }))
