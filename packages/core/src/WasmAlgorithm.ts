/**
 * How each algorithm is made from hash-wasm. Imports nothing but hash-wasm's build of that algorithm, and that only when
 * the first hash is made, so that a worker thread which computes one algorithm carries one algorithm. CRCs of long
 * messages are shortened first.
 *
 * @since 0.1.0
 */
import type * as Library from "hash-wasm"
import type { Algorithm } from "./Digest.ts"
import * as CrcFold from "./internal/crcFold.ts"

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

/** Reflected polynomials: CRC-32C (RFC 3720 §12.1), CRC-64/NVME. */
const crc32c = 0x82f63b78
const crc64nvme = "9a6c9329ac4bc9b5"

interface Recipe {
  /** hash-wasm's build of this algorithm alone. The names are written out, so that a bundler finds the files. */
  readonly load: () => Promise<unknown>
  readonly make: (library: HashWasm) => Promise<WasmHash>
}

const recipes: { readonly [A in Algorithm]: Recipe } = {
  md5: { load: () => import("hash-wasm/dist/md5.umd.min.js"), make: (library) => library.createMD5() },
  sha1: { load: () => import("hash-wasm/dist/sha1.umd.min.js"), make: (library) => library.createSHA1() },
  sha256: { load: () => import("hash-wasm/dist/sha256.umd.min.js"), make: (library) => library.createSHA256() },
  sha512: { load: () => import("hash-wasm/dist/sha512.umd.min.js"), make: (library) => library.createSHA512() },
  blake3: { load: () => import("hash-wasm/dist/blake3.umd.min.js"), make: (library) => library.createBLAKE3() },
  xxh128: { load: () => import("hash-wasm/dist/xxhash128.umd.min.js"), make: (library) => library.createXXHash128() },
  crc32c: {
    load: () => import("hash-wasm/dist/crc32.umd.min.js"),
    make: async (library) => CrcFold.accelerate(CrcFold.crc32c, await library.createCRC32(crc32c))
  },
  crc64nvme: {
    load: () => import("hash-wasm/dist/crc64.umd.min.js"),
    make: async (library) => CrcFold.accelerate(CrcFold.crc64nvme, await library.createCRC64(crc64nvme))
  }
}

/** Node gives a CommonJS module's exports as the default export; a bundler may give them as they are, or both. */
const exportsOf = (module: unknown): HashWasm => {
  const found = module as HashWasm & { readonly default?: HashWasm }
  return found.default ?? found
}

/**
 * Makes a hash. Only its own algorithm's build is imported, at the first call.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = async (algorithm: Algorithm): Promise<WasmHash> => {
  const { load, make } = recipes[algorithm]
  return make(exportsOf(await load()))
}
