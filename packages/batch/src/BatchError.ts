/**
 * What keeps a batch from being begun.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import type { Loaded } from "./Journal.ts"

/**
 * A batch that could not begin, or could not go on.
 *
 * - `Manifest`: lines are wrong, or were changed; nothing was begun.
 * - `Unknown`: there is no line with an id that was asked for.
 * - `Disk`: the list of what a destination has already cannot be kept on disk.
 *
 * @since 0.1.0
 * @category errors
 */
export class BatchError extends Data.TaggedError("BatchError")<{
  readonly reason: "Manifest" | "Unknown" | "Disk"
  readonly message: string
  readonly loaded?: Loaded
}> {}
