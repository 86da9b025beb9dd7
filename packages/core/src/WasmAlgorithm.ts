/**
 * How each algorithm is made from hash-wasm. Imports nothing but hash-wasm, and that only when the first hasher is
 * made, so that a worker thread which computes one algorithm carries one algorithm.
 *
 * @since 0.1.0
 */
import type * as Library from "hash-wasm"
import type { Algorithm } from "./Digest.ts"

/**
 * One running hash in WebAssembly. Calls are synchronous. Bytes may be on shared memory.
 *
 * @since 0.1.0
 * @category models
 */
export interface WasmHash {
  readonly update: (bytes: Uint8Array) => unknown
  /** Lower-case hex. The hash is finished then: no `update` and no `save` after it. */
  readonly digest: () => string
  /** The state: a prefix that names the algorithm's build, then its memory. */
  readonly save: () => Uint8Array
  /** Takes a state over; throws when it was written by another build. */
  readonly load: (state: Uint8Array) => unknown
  /** Starts again from the first byte. */
  readonly init: () => unknown
}

type HashWasm = typeof Library

/** A bundler, and Node of a CommonJS module, may give the exports as the default export. */
const exportsOf = (module: unknown): HashWasm => {
  const found = module as HashWasm & { readonly default?: HashWasm }
  return found.default ?? found
}

/** Reflected polynomials: CRC-32C (RFC 3720 §12.1), CRC-64/NVME. */
const crc32c = 0x82f63b78
const crc64nvme = "9a6c9329ac4bc9b5"

const recipes: {
  readonly [A in Algorithm]: { readonly file: string; readonly make: (library: HashWasm) => Promise<WasmHash> }
} = {
  md5: { file: "md5", make: (library) => library.createMD5() },
  sha1: { file: "sha1", make: (library) => library.createSHA1() },
  sha256: { file: "sha256", make: (library) => library.createSHA256() },
  sha512: { file: "sha512", make: (library) => library.createSHA512() },
  blake3: { file: "blake3", make: (library) => library.createBLAKE3() },
  xxh128: { file: "xxhash128", make: (library) => library.createXXHash128() },
  crc32c: { file: "crc32", make: (library) => library.createCRC32(crc32c) },
  crc64nvme: { file: "crc64", make: (library) => library.createCRC64(crc64nvme) }
}

/**
 * Makes a hash from all of hash-wasm, imported at the first call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = async (algorithm: Algorithm): Promise<WasmHash> =>
  recipes[algorithm].make(exportsOf(await import("hash-wasm")))

/**
 * Makes a hash from hash-wasm's build of this algorithm alone, which takes less memory. `load` imports the module
 * of the given name, in the way of the platform.
 *
 * @since 0.1.0
 * @category constructors
 */
export const makeAlone = async (
  algorithm: Algorithm,
  load: (module: string) => Promise<unknown>
): Promise<WasmHash> => {
  const { file, make } = recipes[algorithm]
  return make(exportsOf(await load(`hash-wasm/dist/${file}.umd.min.js`)))
}
