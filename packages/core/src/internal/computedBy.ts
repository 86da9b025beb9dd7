/**
 * Who computed a receipt's digests.
 */
import type { Algorithm, Digests, HasherService } from "../Digest.ts"

/** The provider's name; where others computed some of them, each with what is its own: `node:crypto, hash-wasm (blake3)`. */
export const computedBy = (hasher: HasherService, digests: Digests): string => {
  const shares = new Map<string, Array<string>>()
  for (const algorithm of Object.keys(digests) as Array<Algorithm>) {
    const name = hasher.providerOf?.(algorithm) ?? hasher.provider
    shares.set(name, [...(shares.get(name) ?? []), algorithm])
  }
  if (shares.size === 1) return [...shares.keys()][0]!
  const others = [...shares].filter(([name]) => name !== hasher.provider)
  return [hasher.provider, ...others.map(([name, algorithms]) => `${name} (${algorithms.join(", ")})`)].join(", ")
}
