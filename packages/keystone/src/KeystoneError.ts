/**
 * Why a cloud could not be signed in to, or why its configuration cannot be used.
 *
 * Messages are one line, begin with the cloud's name, and hold no secret, also when a server sends one back.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Reason from "@headrace/core/Reason"

/**
 * The reasons that signing in can give.
 *
 * `InvalidConfig`: the configuration is wrong, nothing was asked. `Unsupported`: it is right, but not possible here.
 * `Unauthorized`, `Forbidden`: refused. `NotFound`: no Keystone there, or no such service in its catalog.
 * `Unavailable`, `ConnectionLost`, `Stalled`: no answer that counts. `Rejected`: any other answer.
 *
 * @since 0.1.0
 * @category errors
 */
export type KeystoneReason =
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "Unavailable"
  | "ConnectionLost"
  | "Stalled"
  | "Rejected"
  | "InvalidConfig"
  | "Unsupported"

/**
 * An error of a cloud's configuration or of its identity service.
 *
 * @since 0.1.0
 * @category errors
 */
export class KeystoneError extends Data.TaggedError("KeystoneError")<{
  readonly reason: Reason.Tagged<KeystoneReason>
  /** The name of the cloud that was asked for. */
  readonly cloud: string
  /** One line that says what is wrong and what to check; holds no secret. */
  readonly message: string
  /** Whether the same call may succeed later. */
  readonly retryable: boolean
  /** HTTP status, where there was an answer. */
  readonly status?: number
  /** The service's own id of the request, for its operators. */
  readonly requestId?: string
  /** How long the service asked to wait, in milliseconds. */
  readonly retryAfterMs?: number
}> {}

/**
 * Makes a `KeystoneError`; `retryable` is true for `Unavailable`, `ConnectionLost` and `Stalled`.
 *
 * @since 0.1.0
 * @category errors
 */
export const make = (
  reason: KeystoneReason,
  fields: {
    readonly cloud: string
    /** What is wrong, without the cloud's name. */
    readonly message: string
    readonly status?: number
    readonly requestId?: string
    readonly retryAfterMs?: number
  }
): KeystoneError =>
  new KeystoneError({
    ...fields,
    reason: { _tag: reason },
    message: oneLine(`cloud ${fields.cloud}: ${fields.message}`),
    retryable: reason === "Unavailable" || reason === "ConnectionLost" || reason === "Stalled"
  })

const oneLine = (text: string): string => text.replace(/\s+/g, " ").trim()
