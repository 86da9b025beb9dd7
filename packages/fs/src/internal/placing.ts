/**
 * Puts a written file in its place: what is not on the disk for certain is never seen under the final name.
 */
import * as Effect from "effect/Effect"
import type { BigIntStats } from "node:fs"
import { constants, type FileHandle, open, rename } from "node:fs/promises"
import * as StoreError from "@headrace/core/StoreError"
import { calling, codeOf, toStoreError } from "./fault.ts"
import type { Partial } from "./partial.ts"
import { checkReplaceable, isSame, look, type Target } from "./target.ts"

/** Of a file that was replaced. */
const permissionBits = 0o777

/** Gives the new file the owner and the permissions of the one that it replaces, as far as this process may. */
const takeAfter = async (handle: FileHandle, existing: BigIntStats): Promise<void> => {
  let now = await handle.stat()
  const uid = Number(existing.uid)
  const gid = Number(existing.gid)
  if (now.uid !== uid || now.gid !== gid) {
    // Only the superuser gives files away; a group is given by those who are in it (chown(2)).
    await handle.chown(uid, gid).catch(() => handle.chown(now.uid, gid).catch(() => {}))
    now = await handle.stat()
  }
  const mode = Number(existing.mode) & permissionBits
  const others = mode & 0o007
  // What was meant for one group is not for another.
  await handle.chmod(now.gid === gid ? mode : (mode & 0o707) | (others << 3))
}

/** Within `answerMs`, as far as anybody can say: a sync cannot be called back. */
const within = (
  uri: string,
  what: string,
  answerMs: number,
  effect: Effect.Effect<void, StoreError.StoreError>
): Effect.Effect<void, StoreError.StoreError> =>
  Effect.timeoutOrElse(effect, {
    duration: answerMs,
    orElse: () =>
      Effect.fail(
        StoreError.make("Stalled", { uri, message: `${what} was not on the disk within ${answerMs / 1000} s` })
      )
  })

/** Sets the size and the permissions, and brings everything to the disk (fsync(2)). */
export const settle = (
  uri: string,
  { handle }: Partial,
  target: Target,
  bytes: number,
  answerMs: number
): Effect.Effect<void, StoreError.StoreError> => {
  const adjusted = calling(uri, "the file cannot be given its size and permissions", async () => {
    await handle.truncate(bytes)
    const existing = await look(target.path)
    if (existing?.isFile() === true) await takeAfter(handle, existing)
  })
  const synced = Effect.tryPromise({ try: () => handle.sync(), catch: (cause) => unsynced(uri, "fsync", cause) })
  return within(uri, "the file", answerMs, Effect.andThen(adjusted, synced))
}

/** Brings what was written so far to the disk, and what is needed to find it there (fdatasync(2)). */
export const secure = (
  uri: string,
  { handle }: Partial,
  answerMs: number
): Effect.Effect<void, StoreError.StoreError> =>
  within(
    uri,
    "a part of the file",
    answerMs,
    Effect.tryPromise({ try: () => handle.datasync(), catch: (cause) => unsynced(uri, "fdatasync", cause) })
  )

/**
 * After a failed fsync(2) the kernel takes the bytes for written and forgets them: a second one would say that all is
 * well. So it is final, whatever the error is.
 */
const unsynced = (uri: string, call: "fsync" | "fdatasync", cause: unknown) =>
  StoreError.make("Unavailable", {
    uri,
    message: toStoreError(uri, `the bytes did not reach the disk (${call})`, cause).message,
    cause
  })

/** Renames the file to its final name. Gives what was there before. */
export const place = async (uri: string, part: Partial, target: Target): Promise<BigIntStats | undefined> => {
  if (!isSame(await look(part.path), part.made)) {
    throw StoreError.make("Gone", {
      uri,
      message: `the partial file ${part.path} was deleted during the upload`,
      retryable: true
    })
  }
  const existing = await look(target.path)
  // A rename would take a pipe's place as it takes a file's.
  checkReplaceable(uri, existing)
  try {
    await rename(part.path, target.path)
  } catch (cause) {
    // A file server that was asked twice says no to the second time (rename(2), NFS).
    if (!isSame(await look(target.path), part.made)) throw cause
  }
  return existing
}

/** What file systems answer that have no such operation for folders. */
const unsyncable = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EBADF", "EISDIR", "EPERM"])

/** Whether the folder can be opened, and thus synced; one may write into a folder that one may not read. */
export const isReadable = async (folder: string): Promise<boolean> => {
  try {
    await (await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)).close()
    return true
  } catch (cause) {
    if (codeOf(cause) === "EACCES") return false
    throw cause
  }
}

/** Brings the folder's entry to the disk: before that, a power cut may bring back what was there before. */
export const syncFolder = (uri: string, folder: string): Effect.Effect<void, StoreError.StoreError> =>
  Effect.tryPromise({
    try: async () => {
      if (!(await isReadable(folder))) return
      const handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY)
      try {
        await handle.sync()
      } catch (cause) {
        if (!unsyncable.has(codeOf(cause) ?? "")) throw cause
      } finally {
        await handle.close()
      }
    },
    catch: (cause) => unsynced(uri, "fsync", cause)
  })
