/**
 * Why an upload did not succeed, for programs: act on `reason`, show `message`.
 *
 * @since 0.1.0
 */
import type { Reason, Receipt } from "./Types.ts"

/**
 * An upload that failed. It never holds a secret.
 *
 * @since 0.1.0
 * @category errors
 */
export class HeadraceError extends Error {
  override readonly name = "HeadraceError"
  readonly reason: Reason
  /** Whether the same upload may succeed when it is tried again. */
  readonly retryable: boolean
  /** What exists at the destination now: `none`, `queued image ID`, …, or `unknown URI`. */
  readonly left: string
  /** The source's URI or the destination's, whichever is at fault. */
  readonly uri: string
  /** HTTP status, where a service answered. */
  readonly status?: number
  /** The store's id of the object, where known. */
  readonly objectId?: string
  /** The verdicts; `undefined` when the upload could not begin, for a wrong URI or option. */
  readonly receipt: Receipt | undefined

  constructor(fields: {
    readonly reason: Reason
    readonly message: string
    readonly retryable: boolean
    readonly left: string
    readonly uri: string
    readonly status?: number | undefined
    readonly objectId?: string | undefined
    readonly receipt: Receipt | undefined
    readonly cause?: unknown
  }) {
    super(fields.message, fields.cause === undefined ? undefined : { cause: fields.cause })
    this.reason = fields.reason
    this.retryable = fields.retryable
    this.left = fields.left
    this.uri = fields.uri
    if (fields.status !== undefined) this.status = fields.status
    if (fields.objectId !== undefined) this.objectId = fields.objectId
    this.receipt = fields.receipt
  }
}
