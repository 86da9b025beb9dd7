/**
 * Partial files of uploads that are running, or were cut off: found by their names, and given up.
 */
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BigIntStats } from "node:fs"
import { lstat, readdir, realpath, stat, unlink } from "node:fs/promises"
import { join } from "node:path"
import type { UnfinishedUpload } from "@headrace/core/Store"
import type { StoreError } from "@headrace/core/StoreError"
import { calling, codeOf } from "./fault.ts"
import * as Partial from "./partial.ts"
import { find, look, type Target } from "./target.ts"

interface Found {
  readonly name: string
  readonly path: string
  readonly stats: BigIntStats
}

/** The partial files in a folder; folders in it are not looked at. */
export const scan = async (folder: string): Promise<ReadonlyArray<Found>> => {
  const found: Array<Found> = []
  for (const name of (await readdir(folder)).filter(Partial.isName).sort()) {
    const path = join(folder, name)
    try {
      const stats = await lstat(path, { bigint: true })
      if (stats.isFile()) found.push({ name, path, stats })
    } catch (cause) {
      // Put in place, or deleted, a moment ago.
      if (codeOf(cause) !== "ENOENT") throw cause
    }
  }
  return found
}

const isFolder = async (path: string): Promise<boolean> => {
  if (path.endsWith("/")) return true
  try {
    return (await stat(path)).isDirectory()
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return false
    throw cause
  }
}

/** Where the partial files of a path are: of one file, or of all in a folder. */
export const place = async (
  uri: string,
  path: string
): Promise<{ readonly folder: string; readonly target?: string }> => {
  if (path !== "" && (await isFolder(path))) return { folder: await realpath(path) }
  const { folder, name } = await find(uri, path)
  return { folder, target: name }
}

/** As `stat.blocks` counts (stat(2)). */
const sectorBytes = 512n

const nsPerMs = 1_000_000n

/** Bytes of room that the largest partial file of a target has: one that is gone on with needs no other. */
export const roomOf = async ({ folder, name: target }: Target): Promise<number> => {
  const rooms = (await scan(folder))
    .filter(({ name }) => Partial.isOf(name, target))
    .map(({ stats }) => Number(stats.blocks * sectorBytes))
  return Math.max(0, ...rooms)
}

/** A file in the folder, as the folder is called. */
const uriIn = (folder: string, name: string): string => {
  const base = folder.endsWith("/") ? folder : `${folder}/`
  return base.startsWith("file:") ? base + encodeURIComponent(name) : base + name
}

/**
 * The partial files of a file, or of a folder. `bytes` is the room that one takes, with what was set aside. Where the
 * name of the file that it would have become was too long to be in its own, its own path stands for it.
 */
export const unfinished = (uri: string, path: string): Stream.Stream<UnfinishedUpload, StoreError> =>
  Stream.fromIterableEffect(
    calling(uri, "the partial files cannot be listed", async () => {
      const { folder, target } = await place(uri, path)
      const all = await scan(folder)
      return all
        .filter(({ name }) => target === undefined || Partial.isOf(name, target))
        .map(({ name, path: its, stats }): UnfinishedUpload => {
          const known = Partial.targetOf(name)
          return {
            token: Partial.tokenOf(name, stats),
            uri: known === undefined ? its : target === undefined ? uriIn(uri, known) : uri,
            startedAt: stats.birthtimeNs > 0n ? Number(stats.birthtimeNs / nsPerMs) : undefined,
            bytes: Number(stats.blocks * sectorBytes)
          }
        })
    })
  )

/** Deletes a partial file; what is none, or is another one by now, is left alone. */
export const abort = (uri: string, path: string, token: string): Effect.Effect<void, StoreError> =>
  calling(uri, "the partial file cannot be deleted", async () => {
    const wanted = Partial.ofToken(token)
    if (wanted === undefined) return
    const { folder, target } = await place(uri, path)
    if (target !== undefined && !Partial.isOf(wanted.name, target)) return
    const at = join(folder, wanted.name)
    const found = await look(at)
    if (found === undefined || !found.isFile() || found.ino !== wanted.ino) return
    try {
      await unlink(at)
    } catch (cause) {
      if (codeOf(cause) !== "ENOENT") throw cause
    }
  })
