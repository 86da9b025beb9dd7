/**
 * Room on a file system: looked at, and set aside, before a byte is written.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { type FileHandle, statfs } from "node:fs/promises"
import { formatBytes } from "@headrace/core/Quantity"
import * as StoreError from "@headrace/core/StoreError"
import { errno, toStoreError } from "./fault.ts"

/**
 * Bytes that this process can have; nothing where the file system does not tell. Some of FUSE count in smaller pieces than
 * Node knows of, and then have less.
 */
export const free = async (folder: string): Promise<number | undefined> => {
  const { bavail, bfree, blocks, bsize } = await statfs(folder)
  if (blocks === 0) return undefined
  // Some of it is kept for the superuser.
  return (process.geteuid?.() === 0 ? bfree : bavail) * bsize
}

const full = (uri: string, size: number, has: number | undefined) => {
  const what = "no room on the file system: needs"
  // What a file system needs for itself may be what is missing.
  if (has === undefined || has >= size) {
    return StoreError.make("QuotaExceeded", { uri, message: `${what} ${formatBytes(size)}, and has less` })
  }
  const [needs, free] = [formatBytes(size), formatBytes(has)]
  const both = needs === free ? `${size} bytes, has ${has} free` : `${needs}, has ${free} free`
  return StoreError.make("QuotaExceeded", { uri, message: `${what} ${both}` })
}

/** Fails with `QuotaExceeded` when `size` bytes, of which so many are there already, have no room. */
export const check = async (uri: string, folder: string, size: number, there = 0): Promise<void> => {
  const has = await free(folder)
  if (has !== undefined && has < size - there) throw full(uri, size, has)
}

interface Outcome {
  readonly ok: boolean
  readonly complaint: string
}

/** Runs the program; what cannot be started has failed without a complaint. */
const run = (start: () => ChildProcess): Effect.Effect<Outcome> =>
  Effect.callback<Outcome>((resume) => {
    let complaint = ""
    let child: ChildProcess
    try {
      child = start()
    } catch {
      return resume(Effect.succeed({ ok: false, complaint }))
    }
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      complaint += text
    })
    const end = (ok: boolean) => resume(Effect.succeed({ ok, complaint }))
    child.on("error", () => end(false))
    child.on("close", (code) => end(code === 0))
    return Effect.callback<void>((stopped) => {
      // One that could not be started has no pid, and nothing to wait for.
      if (child.pid === undefined || child.exitCode !== null) return stopped(Effect.void)
      child.on("close", () => stopped(Effect.void))
      child.kill("SIGKILL")
    })
  })

/**
 * Sets room aside for `size` bytes of an open file, with fallocate(1) of util-linux: Node has no such call. Fails with
 * `QuotaExceeded` when there is no room. Where the program is missing, or the file system has no such operation, nothing
 * is set aside.
 */
export const reserve = (
  uri: string,
  folder: string,
  handle: FileHandle,
  size: number
): Effect.Effect<void, StoreError.StoreError> =>
  Effect.gen(function* () {
    if (process.platform !== "linux" || size === 0) return
    // The open file itself, so whatever its name is or becomes does not matter.
    const { complaint, ok } = yield* run(() =>
      spawn("fallocate", ["-l", String(size), "/proc/self/fd/3"], {
        stdio: ["ignore", "ignore", "pipe", handle.fd],
        env: { ...process.env, LC_ALL: "C" }
      })
    )
    if (ok) return
    if (complaint.includes("No space left on device")) {
      const has = yield* Effect.promise(() => free(folder).catch(() => undefined))
      return yield* full(uri, size, has)
    }
    if (complaint.includes("Disk quota exceeded")) {
      return yield* toStoreError(uri, `no room can be set aside for ${formatBytes(size)}`, errno("EDQUOT"))
    }
  })
