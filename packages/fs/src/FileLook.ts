/**
 * What is at a path now, looked at without writing anything.
 *
 * @since 0.1.0
 */
import type { StoreError } from "@headrace/core/StoreError"
import type * as Effect from "effect/Effect"
import { stat } from "node:fs/promises"
import { calling, codeOf } from "./internal/fault.ts"

/**
 * What a file system tells of it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Seen {
  readonly size: number
  /** Whether it is a file, not a folder or a device. */
  readonly isFile: boolean
}

/**
 * Looks at a path, through links; `undefined` when nothing is there.
 *
 * @since 0.1.0
 * @category running
 */
export const look = (
  path: string,
  options?: { readonly uri?: string | undefined }
): Effect.Effect<Seen | undefined, StoreError> =>
  calling(options?.uri ?? path, "the file cannot be looked at", async () => {
    try {
      const found = await stat(path)
      return { size: found.size, isFile: found.isFile() }
    } catch (cause) {
      const code = codeOf(cause)
      if (code === "ENOENT" || code === "ENOTDIR") return undefined
      throw cause
    }
  })
