/**
 * Files as a destination. The bytes go to a hidden file in the same folder, are brought to the disk (fsync(2)), and only
 * then take the final name (rename(2)): under that name there is the whole file, or what was there before.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import { lstat, readdir, realpath } from "node:fs/promises"
import { join, resolve } from "node:path"
import { formatBytes } from "@headrace/core/Quantity"
import type { Capabilities, Content, Plan, Store, WholeSession } from "@headrace/core/Store"
import type { StoreError } from "@headrace/core/StoreError"
import { calling, codeOf } from "./internal/fault.ts"
import { isName } from "./internal/partial.ts"
import * as Room from "./internal/room.ts"
import * as Session from "./internal/session.ts"
import { checkAllowed, find } from "./internal/target.ts"

/**
 * What can be said of a file besides its path.
 *
 * @since 0.1.0
 * @category models
 */
export interface FileOptions {
  /** How the destination is called in receipts and errors; the path as it was given, unless said. */
  readonly uri?: string
}

/**
 * A file by its path, which is taken as it is; a relative one from the current folder. A file that is there is replaced,
 * and its permissions are kept; the target of a symbolic link is replaced, and the link stays.
 *
 * Fails before the first byte with `NotFound` (no such folder), `Forbidden` (permissions, a read-only file system),
 * `QuotaExceeded` (no room), `Conflict` (a folder is there), `Unsupported` (a device, pipe or socket is there) or
 * `InvalidUri` (a path that no file can have); later with `QuotaExceeded`, `TooLarge`, `Unavailable` (I/O errors, a
 * failed fsync), `Stalled` and `Gone` (the partial file was deleted).
 *
 * @since 0.1.0
 * @category constructors
 */
export const file = (path: string, options: FileOptions = {}): Store<never, WholeSession> => {
  const uri = options.uri ?? path
  // Taken as it is now: the current folder may be another one later.
  const absolute = path === "" || path.endsWith("/") ? path : resolve(path)

  const plan = (content: Content): Effect.Effect<Plan, StoreError> =>
    calling(uri, "the file cannot be written", async () => {
      const target = await find(uri, absolute)
      await checkAllowed(target)
      if (content.size !== undefined && content.sparse !== true) await Room.check(uri, target.folder, content.size)
      return target.existing === undefined
        ? { action: "create", why: `a new file in ${target.folder}` }
        : { action: "use", why: `replaces a file of ${target.existing.size} bytes` }
    })

  const capabilities: Effect.Effect<Capabilities, StoreError> = calling(
    uri,
    "the folder cannot be looked at",
    async () => {
      const { folder } = await find(uri, absolute)
      const free = await Room.free(folder)
      return {
        shape: "whole",
        maxObjectBytes: undefined,
        reports: [],
        rangedRead: true,
        needsSize: false,
        sharedMemory: true,
        places: [],
        learnt: { reports: "configured", rangedRead: "configured", sharedMemory: "configured" },
        details: { folder, free: free === undefined ? "not told" : formatBytes(free) }
      }
    }
  )

  return { uri, capabilities, plan, open: (content) => Session.make(uri, absolute, content) }
}

/**
 * A partial file: of an upload that is running, or of one that was killed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Leftover {
  readonly path: string
  /** Its size; room that was set aside counts. */
  readonly bytes: number
  /** When it was written to last: a running upload does so whenever its source has bytes. */
  readonly mtime: Date
}

/**
 * The partial files in a folder, by their names; folders in it are not looked at. Fails with `NotFound` when there is no
 * such folder, and with `Forbidden` when it may not be read.
 *
 * @since 0.1.0
 * @category leftovers
 */
export const leftovers = (folder: string): Effect.Effect<ReadonlyArray<Leftover>, StoreError> =>
  calling(folder, "the folder cannot be read", async () => {
    const real = await realpath(folder)
    const found: Array<Leftover> = []
    for (const name of (await readdir(real)).filter(isName).sort()) {
      const path = join(real, name)
      try {
        const stats = await lstat(path)
        if (stats.isFile()) found.push({ path, bytes: stats.size, mtime: stats.mtime })
      } catch (cause) {
        // Put in place, or deleted, a moment ago.
        if (codeOf(cause) !== "ENOENT") throw cause
      }
    }
    return found
  })
