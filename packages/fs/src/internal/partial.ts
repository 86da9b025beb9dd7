/**
 * The file beside the final name that the bytes go to, and how such files are told from others.
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

const pattern = /^\..*\.headrace-[0-9a-f]{8}\.part$/s

/** Whether a file of that name is one of ours. */
export const isName = (name: string): boolean => pattern.test(name)

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
  return `.${shortened(name, mostNameBytes - 1 - end.length)}${end}`
}

const tries = 5

/** Makes the file; never takes one that is there. */
export const create = async ({ existing, folder, name }: Target): Promise<Partial> => {
  for (let failures = 0; ;) {
    const path = join(folder, newName(name))
    try {
      // What replaces a file must not be seen by more people than it, before it has its permissions.
      const mode = existing === undefined ? 0o666 : 0o600
      const handle = await open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, mode)
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
