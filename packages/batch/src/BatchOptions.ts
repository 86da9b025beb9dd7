/**
 * What a batch is given, how it is run, and what comes of it.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import type * as Transfer from "@headrace/core/Transfer"
import type { Transport } from "@headrace/core/Transport"
import type { BatchEvent, Summary } from "./BatchEvent.ts"
import type * as Ends from "./Ends.ts"
import type { Journal, Loaded } from "./Journal.ts"
import type { Line } from "./Line.ts"
import type * as Mapping from "./Mapping.ts"
import type { ManifestError, Read } from "./Manifest.ts"

/**
 * A manifest with a name for what is told of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Given {
  /** The file's, `-` for standard input. */
  readonly name: string
  readonly lines: Stream.Stream<Read, ManifestError>
  /** Names the content: one that has the same name as in an earlier run is not read again. */
  readonly content?: string | undefined
}

/**
 * How all transfers of a batch are run.
 *
 * @since 0.1.0
 * @category models
 */
export type TransferOptions = Omit<Transfer.Options, "source" | "to" | "also" | "id" | "onEvent" | "expect" | "cancel">

/**
 * How a batch is run. Where nothing is said, the value in brackets holds.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The journal's file, or a journal that is kept elsewhere. */
  readonly journal: string | Journal
  /** Transfers at once (`auto`). */
  readonly concurrency?: number | "auto" | undefined
  /** Which lines come first (`largest`). */
  readonly order?: "listed" | "largest" | undefined
  /** Begin no further line after so many have failed. */
  readonly maxFailures?: number | undefined
  /** Milliseconds after which no further line is begun, and those that run are ended. */
  readonly deadlineMs?: number | undefined
  /** Only the lines with these ids. */
  readonly only?: ReadonlyArray<string> | undefined
  /** Does lines again that have failed (false). */
  readonly retryFailed?: boolean | undefined
  /** Leaves lines out that are wrong (false). */
  readonly skipInvalid?: boolean | undefined
  /** Takes over lines that were changed since an earlier run (false). */
  readonly replan?: boolean | undefined
  /** Rules for what images take over of the images that are their sources. */
  readonly map?: Mapping.Rules | undefined
  /** Leaves out what the destination has already: under the same name, or the same content under any. Proven, both. */
  readonly skipExisting?: "name" | "hash" | undefined
  /** A file that the receipts are written to as well. */
  readonly receipts?: string | undefined
  /** Looks at every precondition and tells what would be done, in `plan` events; makes nothing (false). */
  readonly dryRun?: boolean | undefined
  /** Of all transfers. */
  readonly transfer?: TransferOptions | undefined
  /** Where relative paths begin and where settings are found. */
  readonly surroundings?: Ends.Surroundings | undefined
  /** A program's own sources and stores, instead of those that URIs name. */
  readonly resolve?:
    | {
        readonly source: (line: Line) => Effect.Effect<Source<Transport | Host>, Ends.EndError>
        readonly destinations: (line: Line) => Effect.Effect<Ends.Destinations, Ends.EndError>
      }
    | undefined
  /** Told of every event, in order for each transfer; a slow one slows the batch down. */
  readonly onEvent?: ((event: BatchEvent) => Effect.Effect<void>) | undefined
  /** Told how often more the journal has been made durable. */
  readonly onCommit?: ((commits: number) => void) | undefined
  /** Told of each line that is wrong, was changed, or is there no more. */
  readonly onLine?: ((told: ToldLine) => void) | undefined
}

/**
 * @since 0.1.0
 * @category models
 */
export interface ToldLine {
  readonly kind: "wrong" | "changed" | "vanished"
  readonly number: number
  readonly field: string
  readonly message: string
}

/**
 * How a batch has ended.
 *
 * @since 0.1.0
 * @category models
 */
export interface Result {
  readonly summary: Summary
  readonly loaded: Loaded
  /** Why lines were not begun. */
  readonly stopped: "failures" | "deadline" | undefined
  /** Lines of the journal that are still to be done, also those that were not chosen. */
  readonly open: number
  /** Lines that earlier runs have brought to a bad end, and that were not done again. */
  readonly failedBefore: number
  /** Reasons of the destinations that failed and had to succeed. */
  readonly reasons: ReadonlySet<string>
}
