/**
 * The CRC of two pieces of bytes behind one another, from the CRC of each: what a service does that checks an object's
 * parts and reports one CRC of the whole.
 *
 * With reflected CRCs whose initial value and final exclusive-or are the same, as all of ours are, the first CRC goes
 * through as many zero bytes as the second piece has, and the second CRC is added. Zero bytes are a linear map, which
 * is squared for each bit of their number (as zlib's crc32_combine does).
 */
import type { Algorithm } from "../Digest.ts"

/** Those that can be combined: width in bits, and the reflected polynomial. */
const kinds: { readonly [A in Algorithm]?: { readonly bits: number; readonly polynomial: bigint } } = {
  crc32c: { bits: 32, polynomial: 0x82f63b78n },
  crc64nvme: { bits: 64, polynomial: 0x9a6c9329ac4bc9b5n }
}

export const combinable = (algorithm: Algorithm): boolean => kinds[algorithm] !== undefined

/** A linear map over bits: what each bit becomes. */
type Matrix = ReadonlyArray<bigint>

const times = (matrix: Matrix, vector: bigint): bigint => {
  let sum = 0n
  for (let i = 0, rest = vector; rest !== 0n; i++, rest >>= 1n) if ((rest & 1n) === 1n) sum ^= matrix[i]!
  return sum
}

const square = (matrix: Matrix): Matrix => matrix.map((column) => times(matrix, column))

/** One zero bit: shifted out at the low end, with the polynomial where a one falls out. */
const zeroBit = (bits: number, polynomial: bigint): Matrix =>
  Array.from({ length: bits }, (_, i) => (i === 0 ? polynomial : 1n << BigInt(i - 1)))

/** Zero bytes by powers of two, 1, 2, 4, …, for each kind. */
const powers = new Map<Algorithm, Array<Matrix>>()

const power = (algorithm: Algorithm, index: number): Matrix => {
  const { bits, polynomial } = kinds[algorithm]!
  let known = powers.get(algorithm)
  if (known === undefined) {
    known = [square(square(square(zeroBit(bits, polynomial))))]
    powers.set(algorithm, known)
  }
  while (known.length <= index) known.push(square(known.at(-1)!))
  return known[index]!
}

/** The digest of what `first` and then `second`, of `length` bytes, are the digests of. */
export const combine = (algorithm: Algorithm, first: string, second: string, length: number): string => {
  let crc = BigInt(`0x${first}`)
  for (let index = 0, rest = length; rest > 0; index++, rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) crc = times(power(algorithm, index), crc)
  }
  return (crc ^ BigInt(`0x${second}`)).toString(16).padStart(kinds[algorithm]!.bits / 4, "0")
}
