/**
 * What can be proven of a transfer afterwards: what was read, what each destination holds, who computed which digest,
 * how many attempts it took, and what is left where it failed. A receipt is plain data: its JSON is a promise to
 * scripts.
 *
 * @since 0.1.0
 */
import type { Digests } from "./Digest.ts"
import type { Reason } from "./Reason.ts"

/**
 * `verified`: a digest that the store computed, or a read-back, equals ours. `stored`: accepted, and nothing but the
 * size can be compared. `failed` and `cancelled` carry an `error`.
 *
 * @since 0.1.0
 * @category models
 */
export type Status = "verified" | "stored" | "failed" | "cancelled"

/**
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
 * One destination of a receipt. Copies that its service makes by itself come after it, each as a destination of its own.
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
  /** Of a copy that the service makes by itself: the requests to make it. */
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
 * The receipt.
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

/**
 * Whether every required destination is `verified` or `stored`.
 *
 * @since 0.1.0
 * @category guards
 */
export const succeeded = (receipt: Receipt): boolean =>
  receipt.destinations.every((d) => !d.required || d.status === "verified" || d.status === "stored")
