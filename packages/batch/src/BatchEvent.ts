/**
 * What happens during a batch, as plain data: the lines of `run --json`. Besides the events of its transfers, which are
 * those of `upload --json` with the manifest line's id, there are some of the batch as a whole; their `id` is the
 * run's.
 *
 * @since 0.1.0
 */
import type { TransferEvent } from "@headrace/core/TransferEvent"

interface Common {
  /** ISO 8601, UTC. */
  readonly at: string
  /** The run's id, a UUID. */
  readonly id: string
}

/**
 * The first event: what there is to do.
 *
 * @since 0.1.0
 * @category models
 */
export interface Batch extends Common {
  readonly type: "batch"
  /** Lines that this run is to do. */
  readonly lines: number
  /** Bytes of these lines, as far as their sizes are known beforehand. */
  readonly bytes: number
  /** Lines of them whose size is not known beforehand. */
  readonly unsized: number
  /** Lines that earlier runs have brought to an end: well, and badly. */
  readonly done: number
  readonly failed: number
}

/**
 * No further transfer to a place is begun for a while, or is begun again (`over`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Wait extends Common {
  readonly type: "wait"
  /** The service: `glance://new`, `s3://bucket`, the host of a URL. */
  readonly place: string
  /** `quota`: one that is full; `busy`: the service has said that it has too much to do; `away`: it does not answer. */
  readonly why: "quota" | "busy" | "away"
  readonly message: string
  readonly over: boolean
}

/**
 * What a line would do, found out without doing it.
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
  /** Lines of this run by what became of them; `skipped` were there already, and proven. */
  readonly verified: number
  readonly stored: number
  readonly skipped: number
  readonly failed: number
  readonly cancelled: number
  /** Lines that were not begun. */
  readonly remaining: number
  /** Bytes of the sources that were brought to an end well, and body bytes that were sent for all. */
  readonly bytes: number
  readonly bytesSent: number
  readonly elapsedMs: number
}

/**
 * @since 0.1.0
 * @category models
 */
export type BatchEvent = TransferEvent | Batch | Wait | Plan | Summary
