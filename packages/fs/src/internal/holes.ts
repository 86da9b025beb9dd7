/**
 * Holes: runs of zeros that are not written, so that the file system keeps no room for them.
 */

/** As large as the blocks of nearly all file systems; parts of a block cannot be left out. */
const pageBytes = 4096

/** Shorter runs are written: many small extents cost more than they save. */
const leastHoleBytes = 65_536

const zeros = Buffer.alloc(pageBytes)

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
    const isZero = zeros.compare(view, page, page + pageBytes) === 0
    if (!isZero) endHole(page)
    else if (hole < 0) hole = page
  }
  endHole(page)
  if (written < view.length) ranges.push({ start: written, end: view.length })
  return ranges
}
