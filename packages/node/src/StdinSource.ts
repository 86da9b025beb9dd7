/**
 * Standard input as a source: read once, of unknown size unless it is a regular file. What a slow producer gives is
 * passed on as it comes.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { fstatSync } from "node:fs"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import { describeFault } from "./internal/fault.ts"
import { fromReadable } from "./internal/readable.ts"

/** Of a file that was redirected into standard input the size is known, if it is read from its start. */
const sizeOfStdin = (): number | undefined => {
  try {
    const stats = fstatSync(0)
    return stats.isFile() ? stats.size : undefined
  } catch {
    return undefined
  }
}

/**
 * Standard input.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Source.Source =>
  Source.fromStream({
    uri: "-",
    replayable: false,
    info: Effect.sync(() => ({ size: sizeOfStdin(), identity: undefined })),
    open: () =>
      fromReadable(
        () => process.stdin,
        (cause) =>
          SourceError.make("SourceUnreadable", {
            uri: "-",
            message: `cannot read standard input: ${describeFault(cause)}`,
            cause
          })
      )
  })
