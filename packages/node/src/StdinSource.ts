/**
 * Standard input as a source: read once. Its size is known when a file was redirected into it. What a slow producer
 * gives is passed on within half a second.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { fstatSync, readFileSync } from "node:fs"
import * as Blocks from "@headrace/core/Blocks"
import type { Source } from "@headrace/core/Source"
import { readBlocks, unreadable } from "./internal/descriptor.ts"
import { fromReadable } from "./internal/readable.ts"

const descriptor = 0

const isFile = (): boolean => {
  try {
    return fstatSync(descriptor).isFile()
  } catch {
    return false
  }
}

/** Where the file stands: somebody may have read its beginning. Only Linux says. */
const position = (): number | undefined => {
  try {
    const found = /^pos:\s*(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8"))
    return found === null ? undefined : Number(found[1])
  } catch {
    return undefined
  }
}

const fileSize = (from: number | undefined): number | undefined =>
  from === undefined ? undefined : Math.max(0, fstatSync(descriptor).size - from)

/**
 * Standard input. It belongs to the source from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Source => {
  const file = isFile()
  const from = file ? position() : undefined
  return {
    uri: "-",
    replayable: false,
    info: Effect.sync(() => ({ size: file ? fileSize(from) : undefined, identity: undefined })),
    open: () =>
      file
        ? readBlocks("-", descriptor, undefined)
        : Blocks.fromBytes(
            fromReadable(
              () => process.stdin,
              (cause) => unreadable("-", cause, 0)
            )
          )
  }
}
