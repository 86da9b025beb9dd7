/**
 * The plain data that a transfer gives: events, receipt, reasons. The same as the engine's own
 * (`@headrace/core/TransferEvent`, `Receipt`, `Reason`), declared here without any of Effect's types, so that a program
 * that does not use Effect needs none of its declarations.
 *
 * @since 0.1.0
 */

/**
 * The names for what can go wrong. `Rejected` is any refusal that has no name of its own; its status says which.
 *
 * @since 0.1.0
 * @category models
 */
export type Reason =
  | "Unauthorized"
  | "Forbidden"
  | "NotFound"
  | "Conflict"
  | "Gone"
  | "TooLarge"
  | "QuotaExceeded"
  | "UnsupportedFormat"
  | "UnknownStore"
  | "StoreIgnored"
  | "Unavailable"
  | "ConnectionLost"
  | "Stalled"
  | "SourceUnreadable"
  | "SourceChanged"
  | "SourceTooShort"
  | "SourceTooLong"
  | "SourceMismatch"
  | "DigestMismatch"
  | "SizeMismatch"
  | "Rejected"
  | "Unsupported"
  | "InvalidUri"
  | "InvalidConfig"
  | "Interrupted"

/**
 * The digest algorithms, by the names that users type.
 *
 * @since 0.1.0
 * @category models
 */
export type Algorithm = "md5" | "sha1" | "sha256" | "sha512" | "blake3" | "xxh128" | "crc32c" | "crc64nvme"

/**
 * Digests in lower-case hex, by algorithm.
 *
 * @since 0.1.0
 * @category models
 */
export type Digests = { readonly [A in Algorithm]?: string }

/**
 * `verified`: a digest that the store computed, or a read-back, equals ours. `stored`: accepted, and nothing but the
 * size can be compared. `failed` and `cancelled` carry an `error`.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "verified" | "stored" | "failed" | "cancelled"

/**
 * Why a destination failed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Failure {
  readonly reason: Reason
  readonly message: string
  readonly retryable: boolean
  readonly status?: number
  /** The source, or its service, is at fault, not the destination; absent else. */
  readonly ofSource?: true
  /** What exists at the destination now: `none`, `queued image ID`, …, or `unknown URI`. */
  readonly left: string
}

/**
 * One destination of a receipt.
 *
 * @since 0.1.0
 * @category models
 */
export interface Destination {
  readonly uri: string
  readonly required: boolean
  readonly status: Status
  readonly object?: {
    readonly id: string
    readonly store?: string
    readonly size: number | null
    /** As the store reports them. */
    readonly digests: Digests
  }
  readonly attempts: number
  /** How often an attempt failed and was tried again, by the reason why; absent when none was. */
  readonly retried?: { readonly [R in Reason]?: number }
  /** Body bytes handed to the socket, retries included. */
  readonly bytesSent: number
  readonly startedAt: string
  readonly elapsedMs: number
  /** What the verdict rests on. */
  readonly proof?: {
    readonly level: "transfer" | "source" | "destination"
    /** The digests that were compared and were equal: `sha512`; `md5 of each part` where that is what the store has. */
    readonly compared: ReadonlyArray<string>
    /** Who computed ours: `hash-wasm`, `node:crypto`; both, with what is whose: `node:crypto, hash-wasm (blake3)`. */
    readonly computedBy: string
  }
  readonly notes?: ReadonlyArray<string>
  readonly error?: Failure
}

/**
 * What can be proven of a transfer afterwards.
 *
 * @since 0.1.0
 * @category models
 */
export interface Receipt {
  readonly id: string
  readonly source: {
    readonly uri: string
    /** Bytes; `null` when the source was not read to its end. */
    readonly size: number | null
    readonly digests: Digests
  }
  readonly destinations: ReadonlyArray<Destination>
}

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
  /** Bytes of memory in use for data in flight, by all transfers. */
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
export interface Verdict extends Common, Destination {
  readonly type: "verdict"
}

/**
 * The last event of its transfer.
 *
 * @since 0.1.0
 * @category models
 */
export interface ReceiptEvent extends Common, Receipt {
  readonly type: "receipt"
}

/**
 * @since 0.1.0
 * @category models
 */
export type TransferEvent = Start | Progress | Retry | Verdict | ReceiptEvent
