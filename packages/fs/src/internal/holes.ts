/**
 * Holes: runs of zeros that are not written, so that the file system keeps no room for them.
 */
import type { FileHandle } from "node:fs/promises"

/** As large as the blocks of nearly all file systems; parts of a block cannot be left out. */
const pageBytes = 4096

/** Shorter runs are written: many small extents cost more than they save. */
const leastHoleBytes = 65_536

const zeros = Buffer.alloc(leastHoleBytes)

/** From `start` up to, not including, `end`. */
export interface Range {
  readonly start: number
  readonly end: number
}

/** The ranges of `bytes` that have to be written when they belong at the offset `at` of a file of zeros. */
export const filled = (bytes: Uint8Array, at: number): ReadonlyArray<Range> => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const ranges: Array<Range> = []
  let written = 0
  let hole = -1
  const endHole = (end: number) => {
    if (hole >= 0 && end - hole >= leastHoleBytes) {
      if (hole > written) ranges.push({ start: written, end: hole })
      written = end
    }
    hole = -1
  }
  let page = (pageBytes - (at % pageBytes)) % pageBytes
  for (; page + pageBytes <= view.length; page += pageBytes) {
    const isZero = zeros.compare(view, page, page + pageBytes, 0, pageBytes) === 0
    if (!isZero) endHole(page)
    else if (hole < 0) hole = page
  }
  endHole(page)
  if (written < view.length) ranges.push({ start: written, end: view.length })
  return ranges
}

/** The ranges of `length` bytes that are left out. */
export const leftOut = (ranges: ReadonlyArray<Range>, length: number): ReadonlyArray<Range> =>
  [...ranges, { start: length, end: length }].flatMap(({ start }, index) => {
    const before = ranges[index - 1]?.end ?? 0
    return start > before ? [{ start: before, end: start }] : []
  })

/**
 * Has nothing but zeros in a range of a file that something may have been written to: a hole stays one, and anything else
 * is overwritten.
 */
export const clear = async (
  handle: FileHandle,
  { end, start }: Range,
  write: (zeros: Uint8Array, at: number) => Promise<void>
): Promise<void> => {
  const piece = Buffer.alloc(Math.min(leastHoleBytes, end - start))
  for (let at = start; at < end;) {
    const { bytesRead } = await handle.read(piece, 0, Math.min(piece.length, end - at), at)
    // What is behind the end of the file is zeros when the file becomes longer.
    if (bytesRead === 0) return
    const isZero = zeros.compare(piece, 0, bytesRead, 0, bytesRead) === 0
    if (!isZero) await write(zeros.subarray(0, bytesRead), at)
    at += bytesRead
  }
}
