/**
 * What went wrong between us and a service of OpenStack, before it is known whether an object was to be written or read. It
 * becomes a `StoreError` or a `SourceError` where that is known.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type * as Reason from "@headrace/core/Reason"
import * as SourceError from "@headrace/core/SourceError"
import * as StoreError from "@headrace/core/StoreError"
import type { TransportError } from "@headrace/core/Transport"
import type { KeystoneError } from "./KeystoneError.ts"

/**
 * One failure. The message is one line and holds no secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class Fault extends Data.TaggedError("Fault")<{
  readonly reason: Reason.Reason
  readonly message: string
  readonly retryable: boolean
  /** Whether the service has said clearly that it did not do what was asked. */
  readonly clear: boolean
  readonly status?: number
  readonly requestId?: string
  readonly retryAfterMs?: number
  readonly cause?: unknown
}> {}

/**
 * A fault that is clear and final unless said.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (
  reason: Reason.Reason,
  message: string,
  more?: Partial<Pick<Fault, "retryable" | "clear" | "status" | "requestId" | "retryAfterMs" | "cause">>
): Fault => new Fault({ reason, message, retryable: false, clear: true, ...more })

/**
 * A request without an answer; `clear` is true for what never left this machine.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromTransport = (error: TransportError): Fault => {
  const local = error.reason._tag === "InvalidConfig"
  return make(error.reason._tag, error.message, { retryable: !local, clear: local, cause: error })
}

/**
 * A refused or failed sign-in.
 *
 * @since 0.1.0
 * @category conversions
 */
export const fromKeystone = (error: KeystoneError): Fault =>
  make(error.reason._tag, error.message, {
    retryable: error.retryable,
    ...(error.status === undefined ? undefined : { status: error.status }),
    ...(error.requestId === undefined ? undefined : { requestId: error.requestId }),
    ...(error.retryAfterMs === undefined ? undefined : { retryAfterMs: error.retryAfterMs }),
    cause: error
  })

/**
 * As a destination says it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toStoreError = (fault: Fault, uri: string, objectId?: string): StoreError.StoreError =>
  StoreError.make(fault.reason, {
    uri,
    message: fault.message,
    retryable: fault.retryable,
    clear: fault.clear,
    ...(fault.status === undefined ? undefined : { status: fault.status }),
    ...(objectId === undefined ? undefined : { objectId }),
    ...(fault.requestId === undefined ? undefined : { requestId: fault.requestId }),
    ...(fault.retryAfterMs === undefined ? undefined : { retryAfterMs: fault.retryAfterMs }),
    ...(fault.cause === undefined ? undefined : { cause: fault.cause })
  })

/** Reasons that have the same name at a source. */
const ofSource: ReadonlySet<string> = new Set<SourceError.SourceReason>([
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "Conflict",
  "Unavailable",
  "ConnectionLost",
  "Stalled",
  "Rejected",
  "Unsupported",
  "InvalidUri",
  "InvalidConfig",
  "SourceTooShort",
  "SourceChanged"
])

/**
 * As a source says it: by the nearest reason that a source has.
 *
 * @since 0.1.0
 * @category conversions
 */
export const toSourceError = (fault: Fault, uri: string, offset?: number): SourceError.SourceError => {
  const reason = ofSource.has(fault.reason)
    ? (fault.reason as SourceError.SourceReason)
    : fault.reason === "Gone"
      ? "NotFound"
      : "Rejected"
  return SourceError.make(reason, {
    uri,
    message: fault.message,
    retryable: fault.retryable,
    ...(offset === undefined ? undefined : { offset }),
    ...(fault.status === undefined ? undefined : { status: fault.status }),
    ...(fault.cause === undefined ? undefined : { cause: fault.cause })
  })
}
