/**
 * The names for what can go wrong with a transfer. Receipts, events and exit codes use these words and no
 * others, so a program can act on `reason` and leave `message` to people.
 *
 * @since 0.1.0
 */

/**
 * Every reason, in the order in which the documentation lists them.
 *
 * @since 0.1.0
 * @category models
 */
export const all = [
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "Conflict",
  "Gone",
  "TooLarge",
  "QuotaExceeded",
  "UnsupportedFormat",
  "UnknownStore",
  "StoreIgnored",
  "Unavailable",
  "ConnectionLost",
  "Stalled",
  "SourceUnreadable",
  "SourceChanged",
  "SourceTooShort",
  "SourceTooLong",
  "SourceMismatch",
  "DigestMismatch",
  "SizeMismatch",
  "Rejected",
  "Unsupported",
  "InvalidUri",
  "InvalidConfig",
  "Interrupted"
] as const

/**
 * One of the reasons. `Rejected` is any refusal that has no name of its own; its status says which.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason = (typeof all)[number]

/**
 * A reason as errors carry it: tagged, so that `Effect.catchReason` can pick one.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tagged<out R extends Reason = Reason> {
  readonly _tag: R
}

/**
 * Makes the tagged form.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = <const R extends Reason>(reason: R): Tagged<R> => ({ _tag: reason })
