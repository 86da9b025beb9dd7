/**
 * hash-wasm on the calling thread, for a few bytes at a time. One instance of each algorithm is kept: no hash is
 * interrupted between its first and last byte.
 */
import type { Algorithm } from "@headrace/core/Digest"
import { DigestError } from "@headrace/core/DigestError"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as Effect from "effect/Effect"

const hashes = new Map<Algorithm, Promise<WasmAlgorithm.WasmHash>>()

const make = (algorithm: Algorithm): Promise<WasmAlgorithm.WasmHash> => {
  const made = hashes.get(algorithm) ?? WasmAlgorithm.make(algorithm)
  hashes.set(algorithm, made)
  return made
}

/** The digest of bytes in hex. */
export const hashSmall = (algorithm: Algorithm, bytes: Uint8Array): Effect.Effect<string, DigestError> =>
  Effect.map(
    Effect.tryPromise({
      try: () => make(algorithm),
      catch: (cause) => new DigestError({ message: `cannot compute ${algorithm}: hash-wasm does not start`, cause })
    }),
    (hash) => {
      hash.init()
      hash.update(bytes)
      return hash.digest()
    }
  )
