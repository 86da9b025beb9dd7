/**
 * Files as a destination. The bytes go to a hidden file in the same folder, are brought to the disk (fsync(2)), and only
 * then take the final name (rename(2)): under that name there is the whole file, or what was there before.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { realpath } from "node:fs/promises"
import { resolve } from "node:path"
import { formatBytes } from "@headrace/core/Quantity"
import type { Capabilities, Content, Plan, Store } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { calling } from "./internal/fault.ts"
import * as Partials from "./internal/partials.ts"
import * as Parts from "./internal/parts.ts"
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
  /**
   * Bytes after which what was written is brought to the disk and can be gone on with, 64 MiB unless said. A file of no
   * more is written in one go, and one of more than 10,000 parts is cut into larger ones.
   */
  readonly partBytes?: number
}

/**
 * A file by its path, which is taken as it is; a relative one from the current folder. A file that is there is replaced,
 * and its permissions are kept; the target of a symbolic link is replaced, and the link stays.
 *
 * With an `UploadJournal` an upload that was cut off is gone on with, in the partial file that it has left. `unfinished`
 * lists such files; of a path that ends with `/`, or is a folder, all that are in the folder. `abort` deletes one.
 *
 * Fails before the first byte with `NotFound` (no such folder), `Forbidden` (permissions, a read-only file system),
 * `QuotaExceeded` (no room), `Conflict` (a folder is there), `Unsupported` (a device, pipe or socket is there),
 * `InvalidUri` (a path that no file can have) or `InvalidConfig` (parts of no bytes); later with `QuotaExceeded`,
 * `TooLarge`, `Unavailable` (I/O errors, a failed fsync), `Stalled` and `Gone` (the partial file was deleted).
 *
 * @since 0.1.0
 * @category constructors
 */
export const file = (path: string, options: FileOptions = {}): Store => {
  const uri = options.uri ?? path
  // Taken as it is now: the current folder may be another one later.
  const absolute = path === "" || path.endsWith("/") ? path : resolve(path)
  const { partBytes } = options
  const isSize = partBytes === undefined || (Number.isSafeInteger(partBytes) && partBytes > 0)
  const limits = Parts.limits(isSize ? partBytes : undefined)
  const checkSize = (): void => {
    if (isSize) return
    throw StoreError.make("InvalidConfig", { uri, message: `partBytes is ${partBytes}, not a whole number above 0` })
  }

  const plan = (content: Content): Effect.Effect<Plan, StoreError.StoreError> =>
    calling(uri, "the file cannot be written", async () => {
      checkSize()
      const target = await find(uri, absolute)
      await checkAllowed(target)
      if (content.size !== undefined && content.sparse !== true) {
        // A folder that may not be read is no reason to fail: then nobody knows of any.
        const there = await Partials.roomOf(target).catch(() => 0)
        await Room.check(uri, target.folder, content.size, there)
      }
      return target.existing === undefined
        ? { action: "create", why: `a new file in ${target.folder}` }
        : { action: "use", why: `replaces a file of ${target.existing.size} bytes` }
    })

  const capabilities: Effect.Effect<Capabilities, StoreError.StoreError> = calling(
    uri,
    "the folder cannot be looked at",
    async () => {
      checkSize()
      const { folder } = await Partials.place(uri, absolute)
      const free = await Room.free(folder)
      return {
        shape: "parts",
        parts: limits,
        unfinished: { list: true, abort: true, resume: true },
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

  return {
    uri,
    capabilities,
    plan,
    open: (content) =>
      Effect.andThen(
        calling(uri, "the file cannot be written", async () => checkSize()),
        Session.make(uri, absolute, content, limits)
      ),
    unfinished: Partials.unfinished(uri, absolute),
    abort: (token) => Partials.abort(uri, absolute, token)
  }
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
export const leftovers = (folder: string): Effect.Effect<ReadonlyArray<Leftover>, StoreError.StoreError> =>
  calling(folder, "the folder cannot be read", async () => {
    const found = await Partials.scan(await realpath(folder))
    return found.map(({ path, stats: { mtime, size } }) => ({ path, bytes: Number(size), mtime }))
  })
