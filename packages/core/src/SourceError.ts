/**
 * Why the bytes of a source could not be had, or are not the bytes that were promised. It is captured where the
 * source is read, so that no transport or store can disguise it as an error of its own.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Reason from "./Reason.ts"

/**
 * The reasons that a source can give.
 *
 * `SourceUnreadable`: missing, not permitted, connection lost for good. `SourceChanged`: size or identity is not
 * what it was. `SourceTooShort`, `SourceTooLong`: fewer or more bytes than announced. `SourceMismatch`: not the
 * digest that was expected. The others are refusals by the service the source is read from.
 *
 * @since 0.1.0
 * @category errors
 */
export type SourceReason =
  | "SourceUnreadable"
  | "SourceChanged"
  | "SourceTooShort"
  | "SourceTooLong"
  | "SourceMismatch"
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "Conflict"
  | "Unavailable"
  | "ConnectionLost"
  | "Stalled"
  | "Rejected"
  | "Unsupported"
  | "InvalidUri"
  | "InvalidConfig"

/**
 * An error of the source.
 *
 * @since 0.1.0
 * @category errors
 */
export class SourceError extends Data.TaggedError("SourceError")<{
  readonly reason: Reason.Tagged<SourceReason>
  /** The source's URI, without secrets. */
  readonly uri: string
  /** One line that says what is wrong; holds no secret. */
  readonly message: string
  /** Whether opening the source again may help. */
  readonly retryable: boolean
  /** The offset in bytes at which it went wrong, where there is one. */
  readonly offset?: number
  /** The HTTP status, where a service answered. */
  readonly status?: number
  readonly cause?: unknown
}> {}

/**
 * Makes a `SourceError`; `retryable` is false unless said.
 *
 * @since 0.1.0
 * @category errors
 */
export const make = (
  reason: SourceReason,
  fields: {
    readonly uri: string
    readonly message: string
    readonly retryable?: boolean
    readonly offset?: number
    readonly status?: number
    readonly cause?: unknown
  }
): SourceError => new SourceError({ retryable: false, ...fields, reason: { _tag: reason } })
