/**
 * The file beside the final name that the bytes go to, how such files are told from others, and how one is found again.
 */
import { randomBytes } from "node:crypto"
import type { BigIntStats } from "node:fs"
import { constants, type FileHandle, open } from "node:fs/promises"
import { join } from "node:path"
import { codeOf } from "./fault.ts"
import type { Target } from "./target.ts"

export interface Partial {
  readonly path: string
  readonly handle: FileHandle
  /** What it was when it was made: which file it is. */
  readonly made: BigIntStats
}

const idBytes = 4

/** Most file systems take names of 255 bytes (NAME_MAX). */
const mostNameBytes = 255

const pattern = /^\.(.*)(\.headrace-[0-9a-f]{8}\.part)$/s

/** Whether a file of that name is one of ours. */
export const isName = (name: string): boolean => pattern.test(name)

/** Bytes of a letter in UTF-8, at most. */
const letterBytes = 4

/** What is before and after the target's name. */
const roomFor = (end: string): number => mostNameBytes - 1 - end.length

/** As much of the name as fits, without half of a letter at its end. */
const shortened = (name: string, bytes: number): string => {
  const all = Buffer.from(name)
  if (all.length <= bytes) return name
  let end = bytes
  // Bytes that continue a letter in UTF-8 begin with the bits 10.
  while (end > 0 && (all[end]! & 0xc0) === 0x80) end--
  return all.toString("utf8", 0, end)
}

/** `.NAME.headrace-XXXXXXXX.part`, hidden, with a new random number. */
export const newName = (name: string): string => {
  const end = `.headrace-${randomBytes(idBytes).toString("hex")}.part`
  return `.${shortened(name, roomFor(end))}${end}`
}

/** Whether a partial file may be of that target: of long names only the beginning can be compared. */
export const isOf = (partial: string, target: string): boolean => {
  const [, stem, end] = pattern.exec(partial) ?? []
  return stem !== undefined && stem === shortened(target, roomFor(end!))
}

/** The name of the target, where it is in that of the partial file for certain. */
export const targetOf = (partial: string): string | undefined => {
  const [, stem, end] = pattern.exec(partial) ?? []
  return stem === undefined || Buffer.byteLength(stem) > roomFor(end!) - letterBytes ? undefined : stem
}

/**
 * What an upload is called by: the partial file's name, and its number on the file system, so that no other file is taken
 * for it that has got the name.
 */
export const tokenOf = (name: string, { ino }: BigIntStats): string => `${name}#${ino}`

/** Which file is meant; nothing where it is none of ours. */
export const ofToken = (token: string): { readonly name: string; readonly ino: bigint } | undefined => {
  const [, name, ino] = /^([^/]*)#(\d+)$/s.exec(token) ?? []
  return name === undefined || !isName(name) ? undefined : { name, ino: BigInt(ino!) }
}

const tries = 5

/** Makes the file; never takes one that is there. */
export const create = async ({ existing, folder, name }: Target): Promise<Partial> => {
  for (let failures = 0; ;) {
    const path = join(folder, newName(name))
    try {
      // What replaces a file must not be seen by more people than it, before it has its permissions.
      const mode = existing === undefined ? 0o666 : 0o600
      const handle = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, mode)
      try {
        return { path, handle, made: await handle.stat({ bigint: true }) }
      } catch (cause) {
        await handle.close()
        throw cause
      }
    } catch (cause) {
      if (codeOf(cause) !== "EEXIST" || ++failures >= tries) throw cause
    }
  }
}

/** What is said of a file that is not there, or is no file. */
const absent = new Set(["ENOENT", "ELOOP", "ENXIO", "EISDIR"])

/** Opens the partial file that an earlier session has made for the target; nothing when it is no more, or another one. */
export const reopen = async ({ folder, name }: Target, token: string): Promise<Partial | undefined> => {
  const wanted = ofToken(token)
  if (wanted === undefined || !isOf(wanted.name, name)) return undefined
  const path = join(folder, wanted.name)
  let handle: FileHandle
  try {
    handle = await open(path, constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (cause) {
    if (absent.has(codeOf(cause) ?? "")) return undefined
    throw cause
  }
  try {
    const made = await handle.stat({ bigint: true })
    if (made.isFile() && made.ino === wanted.ino) return { path, handle, made }
  } catch (cause) {
    await handle.close()
    throw cause
  }
  await handle.close()
  return undefined
}
