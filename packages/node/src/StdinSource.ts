/**
 * Standard input as a source: read once. Its size is known when a file was redirected into it. What a slow producer
 * gives is passed on within half a second.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { fstatSync, readFileSync, readSync, type Stats } from "node:fs"
import * as Blocks from "@headrace/core/Blocks"
import type { Info, Source } from "@headrace/core/Source"
import type { SourceError } from "@headrace/core/SourceError"
import { readBlocks, unreadable } from "./internal/descriptor.ts"
import { fromReadable } from "./internal/readable.ts"

const descriptor = 0

const stats = (): Stats | undefined => {
  try {
    return fstatSync(descriptor)
  } catch {
    return undefined
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

/** Files that the kernel makes up as they are read (/proc) say 0 bytes, whatever is in them. */
const hasBytes = (from: number): boolean => readSync(descriptor, new Uint8Array(1), 0, 1, from) === 1

const fileSize = (from: number): number | undefined => {
  const size = Math.max(0, fstatSync(descriptor).size - from)
  return size === 0 && hasBytes(from) ? undefined : size
}

const info = (from: number | undefined): Effect.Effect<Info, SourceError> =>
  Effect.try({
    try: () => {
      // Node's stream of a folder just ends, and nothing would look like something.
      if (stats()?.isDirectory() === true) throw Object.assign(new Error("a folder"), { code: "EISDIR" })
      return { size: from === undefined ? undefined : fileSize(from), identity: undefined }
    },
    catch: (cause) => unreadable("-", cause)
  })

/**
 * Standard input. It belongs to the source from here on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): Source => {
  const file = stats()?.isFile() === true
  const from = file ? position() : undefined
  return {
    uri: "-",
    replayable: false,
    info: info(from),
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
