/**
 * Where a file is to be: the name that a path leads to in the end, and what is there now.
 */
import type { BigIntStats } from "node:fs"
import { access, constants, lstat, readlink, realpath, stat } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import * as StoreError from "@headrace/core/StoreError"
import { codeOf, errno } from "./fault.ts"

export interface Target {
  /** Without links in it. */
  readonly folder: string
  readonly name: string
  readonly path: string
  /** The file that is there now. */
  readonly existing: BigIntStats | undefined
}

/** As many as Linux follows (path_resolution(7)). */
const mostLinks = 40

/** What is at the path itself, not behind a link; nothing when there is nothing. */
export const look = async (path: string): Promise<BigIntStats | undefined> => {
  try {
    return await lstat(path, { bigint: true })
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

export const isSame = (a: BigIntStats | undefined, b: BigIntStats): boolean =>
  a !== undefined && a.dev === b.dev && a.ino === b.ino

/** Fails when what is there cannot be replaced by a file. */
export const checkReplaceable = (uri: string, existing: BigIntStats | undefined): void => {
  if (existing === undefined || existing.isFile()) return
  if (existing.isDirectory()) throw errno("EISDIR")
  const what = existing.isFIFO()
    ? "a pipe"
    : existing.isSocket()
      ? "a socket"
      : existing.isSymbolicLink()
        ? "a link that was not there before"
        : "a device"
  throw StoreError.make("Unsupported", { uri, message: `the path is ${what}, only files can be written` })
}

/** Follows the path. A link stays: what it leads to is what is written, also when nothing is there yet. */
export const find = async (uri: string, path: string): Promise<Target> => {
  if (path === "" || path.includes("\0") || path.endsWith("/")) {
    const why = path === "" ? "it is empty" : path.endsWith("/") ? "it names a folder" : "it has a NUL in it"
    throw StoreError.make("InvalidUri", { uri, message: `the path is not a file's: ${why}` })
  }
  let at = resolve(path)
  for (let links = 0; links <= mostLinks; links++) {
    const folder = await realpath(dirname(at))
    const name = basename(at)
    const here = join(folder, name)
    const existing = await look(here)
    if (!existing?.isSymbolicLink()) {
      checkReplaceable(uri, existing)
      return { folder, name, path: here, existing }
    }
    at = resolve(folder, await readlink(here))
  }
  throw errno("ELOOP")
}

/**
 * Fails when the file could not be made or put in place, as far as that can be known: so that nobody learns it after
 * the last byte only.
 */
export const checkAllowed = async ({ existing, folder, path }: Target): Promise<void> => {
  const within = await stat(folder, { bigint: true })
  if (!within.isDirectory()) throw errno("ENOTDIR")
  await access(folder, constants.W_OK | constants.X_OK)
  if (existing === undefined) return
  // Whether the file itself may be written does not matter, as it is not: but one that cannot be changed stays.
  await access(path, constants.W_OK).catch((cause: unknown) => {
    if (codeOf(cause) === "EPERM" || codeOf(cause) === "EROFS") throw cause
  })
  const me = process.geteuid?.()
  const sticky = (within.mode & 0o1000n) !== 0n
  // In a folder such as /tmp only its owner replaces a file (unlink(2), EPERM).
  if (sticky && me !== undefined && me !== 0 && ![existing.uid, within.uid].includes(BigInt(me))) throw errno("EPERM")
}
