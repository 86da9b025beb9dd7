/**
 * Why a store did not do what was asked: what happened, to which object, whether another attempt can help.
 * Adapters make these from answers; the engine decides by them.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Reason from "./Reason.ts"

/**
 * An error of a store.
 *
 * @since 0.1.0
 * @category errors
 */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly reason: Reason.Tagged
  /** The destination's URI, without secrets. */
  readonly uri: string
  /** One line that says what is wrong; holds no secret. */
  readonly message: string
  /** Whether another attempt may succeed. */
  readonly retryable: boolean
  /**
   * Whether the store has said clearly that it did not take the bytes. After an unclear end (reset, stall, a
   * proxy's answer) the engine inspects the object before it decides anything.
   */
  readonly clear: boolean
  /** HTTP status, where there was an answer. */
  readonly status?: number
  /** The store's id of the object, where known. */
  readonly objectId?: string
  /** The service's own id of the request, for its operators. */
  readonly requestId?: string
  /** How long the service asked to wait, in milliseconds (`Retry-After`, RFC 9110 §10.2.3). */
  readonly retryAfterMs?: number
  readonly cause?: unknown
}> {}

/**
 * The fields of a `StoreError` besides its reason; `retryable` is false and `clear` true unless said.
 *
 * @since 0.1.0
 * @category errors
 */
export interface Fields {
  readonly uri: string
  readonly message: string
  readonly retryable?: boolean
  readonly clear?: boolean
  readonly status?: number
  readonly objectId?: string
  readonly requestId?: string
  readonly retryAfterMs?: number
  readonly cause?: unknown
}

/**
 * Makes a `StoreError`.
 *
 * @since 0.1.0
 * @category errors
 */
export const make = (reason: Reason.Reason, fields: Fields): StoreError =>
  new StoreError({ retryable: false, clear: true, ...fields, reason: { _tag: reason } })
