/**
 * Bytes that are the same in each run, and what is to be known of them.
 */
import type { Algorithm, Digests } from "@headrace/core/Digest"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as Effect from "effect/Effect"

/** Numbers that can be had again from a seed (mulberry32). */
export const numbers = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below)
  }
}

/** Bytes of all values, most of which are no text in UTF-8. */
export const noise = (length: number, seed: number): Uint8Array<ArrayBuffer> => {
  const next = numbers(seed)
  const bytes = new Uint8Array(length)
  for (let i = 0; i < length; i++) bytes[i] = next(256)
  return bytes
}

export const digestsOf = (bytes: Uint8Array, algorithms: ReadonlyArray<Algorithm>): Effect.Effect<Digests> =>
  Effect.promise(async () => {
    const digests: { [A in Algorithm]?: string } = {}
    for (const algorithm of algorithms) {
      const hash = await WasmAlgorithm.make(algorithm)
      hash.init()
      hash.update(bytes)
      digests[algorithm] = hash.digest()
    }
    return digests
  })

/** What is wrong with bytes that should be others; nothing when they are equal. */
export const difference = (found: Uint8Array | undefined, expected: Uint8Array): string | undefined => {
  if (found === undefined) return `there is no object, where ${expected.byteLength} bytes should be`
  if (found.byteLength !== expected.byteLength) {
    return `the service holds ${found.byteLength} bytes, ${expected.byteLength} were sent`
  }
  if (Buffer.compare(found, expected) === 0) return undefined
  const at = found.findIndex((byte, index) => byte !== expected[index])
  return `the service holds other bytes than were sent, from byte ${at} of ${expected.byteLength} on`
}

export const isEqual = (found: Uint8Array | undefined, expected: Uint8Array): boolean =>
  difference(found, expected) === undefined
