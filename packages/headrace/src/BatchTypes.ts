/**
 * The plain data of batches: lines of a manifest, events, the sum. The same as the engine's own (`@headrace/batch`), declared
 * here without any of Effect's types.
 *
 * @since 0.1.0
 */
import type { Digests, TransferEvent } from "./Types.ts"

/**
 * One line of a manifest: a transfer.
 *
 * @since 0.1.0
 * @category models
 */
export interface ManifestLine {
  /** What makes it the same line in a later run (its number). */
  readonly id?: string
  readonly source: string
  /** Destinations that must succeed: one at least. */
  readonly to: ReadonlyArray<string>
  /** Destinations on best effort. */
  readonly also?: ReadonlyArray<string>
  /** Bytes: for the order and for estimates. */
  readonly size?: number
  /** Digests that the source must have, in hex. */
  readonly expect?: Digests
  /** Properties of an image; `null` leaves out what the source has. */
  readonly properties?: Readonly<Record<string, string | null>>
}

interface Common {
  /** ISO 8601, UTC. */
  readonly at: string
  /** The run's id. */
  readonly id: string
}

/**
 * The first event: what there is to do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Begun extends Common {
  readonly type: "batch"
  readonly lines: number
  /** Bytes of these lines, as far as their sizes are known beforehand. */
  readonly bytes: number
  readonly unsized: number
  /** Lines that earlier runs have brought to an end: well, and badly. */
  readonly done: number
  readonly failed: number
}

/**
 * No further transfer to a place is begun for a while, or is begun again.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wait extends Common {
  readonly type: "wait"
  readonly place: string
  readonly why: "quota" | "busy" | "away"
  readonly message: string
  readonly over: boolean
}

/**
 * What a line would do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Plan {
  readonly type: "plan"
  readonly at: string
  /** The line's. */
  readonly id: string
  readonly source: { readonly uri: string; readonly size: number | null }
  readonly destinations: ReadonlyArray<{
    readonly uri: string
    readonly required: boolean
    readonly action: "create" | "use" | "skip" | "fail"
    readonly why: string
  }>
}

/**
 * The last event.
 *
 * @since 0.1.0
 * @category models
 */
export interface Summary extends Common {
  readonly type: "summary"
  readonly verified: number
  readonly stored: number
  /** There already, and proven. */
  readonly skipped: number
  readonly failed: number
  readonly cancelled: number
  /** Not begun. */
  readonly remaining: number
  readonly bytes: number
  readonly bytesSent: number
  readonly elapsedMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type BatchEvent = TransferEvent | Begun | Wait | Plan | Summary
