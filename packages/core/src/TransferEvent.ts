/**
 * What happens during a transfer, as plain data: the lines of `--json`.
 *
 * @since 0.1.0
 */
import type * as Receipt from "./Receipt.ts"
import type { Reason } from "./Reason.ts"

interface Common {
  /** ISO 8601, UTC. */
  readonly at: string
  /** The transfer's id. */
  readonly id: string
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Start extends Common {
  readonly type: "start"
  readonly source: { readonly uri: string; readonly size: number | null }
  /** `copyOf`: the service copies it there from that destination; nothing is sent. */
  readonly destinations: ReadonlyArray<{
    readonly uri: string
    readonly required: boolean
    readonly copyOf?: string
  }>
}

/**
 * At most four a second.
 *
 * @since 0.1.0
 * @category models
 */
export interface Progress extends Common {
  readonly type: "progress"
  /** Bytes read from the source in this attempt. */
  readonly read: number
  /** Bytes that every digest has taken in. */
  readonly hashed: number
  readonly destinations: ReadonlyArray<{
    readonly uri: string
    /** Bytes of this attempt handed to the socket. */
    readonly sent: number
    /** Bytes that the store has said it holds. */
    readonly acknowledged: number
  }>
  readonly bytesPerSecond: number
  readonly etaMs: number | null
  /** Bytes of the pool in use, by all transfers. */
  readonly memory: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Retry extends Common {
  readonly type: "retry"
  readonly uri: string
  /** The attempt that failed, from 1. */
  readonly attempt: number
  readonly reason: Reason
  readonly message: string
  readonly status?: number
  /** The source, or its service, is at fault, not the destination; absent else. */
  readonly ofSource?: true
  readonly waitMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Verdict extends Common, Receipt.Destination {
  readonly type: "verdict"
}

/**
 * The last event of its transfer.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReceiptEvent extends Common, Receipt.Receipt {
  readonly type: "receipt"
}

/**
 * @since 0.1.0
 * @category models
 */
export type TransferEvent = Start | Progress | Retry | Verdict | ReceiptEvent
