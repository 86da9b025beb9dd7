/**
 * How an object is cut into parts: all of one size but the last, as few stores take anything else from everybody, and
 * each a whole number of MiB, so that parts begin where blocks do.
 */
import type { PartLimits } from "../Store.ts"

const mib = 1024 * 1024

/** What a part has unless the store prefers something else. */
const preferredBytes = 8 * mib

/** An object of unknown size gets parts that let it grow to this, where the store's limits do. */
const unknownBytes = 160 * 1024 * mib

const roundUp = (bytes: number) => Math.ceil(bytes / mib) * mib

/**
 * Bytes of each part of an object of `size` bytes, or why it cannot be cut. Parts of an object of unknown size wait in
 * memory until they are whole, so they have no more than `mostBytes` where the store lets them.
 */
export const partBytes = (size: number | undefined, limits: PartLimits, mostBytes: number): number | string => {
  const preferred = Math.max(limits.preferredBytes ?? preferredBytes, limits.minBytes)
  const needed = Math.ceil((size ?? unknownBytes) / limits.maxParts)
  const wanted = needed <= preferred ? preferred : roundUp(needed)
  const bytes = size === undefined ? Math.max(limits.minBytes, Math.min(wanted, mostBytes)) : wanted
  // Not a whole number of MiB, but what there is.
  if (bytes > limits.maxBytes && needed <= limits.maxBytes) return limits.maxBytes
  return bytes <= limits.maxBytes
    ? bytes
    : `${size} bytes are more than ${limits.maxParts} parts of at most ${limits.maxBytes} bytes can hold`
}
