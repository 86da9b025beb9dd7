/**
 * Compares what a store says it holds with what was read: pure, since every verdict rests on it.
 */
import { algorithms, type Digests } from "../Digest.ts"
import type { StoredObject } from "../Store.ts"

/** Of a source that was read to its end. */
export interface SourceContent {
  readonly size: number
  readonly digests: Digests
}

export type Judgement =
  /** `compared` are the digests that both sides have and that are equal, of the whole or of its parts; never empty. */
  | { readonly _tag: "Equal"; readonly compared: ReadonlyArray<string> }
  /** Nothing differs, but there is no digest that both sides have. */
  | { readonly _tag: "Unproven" }
  | { readonly _tag: "SizeDiffers"; readonly message: string }
  | { readonly _tag: "DigestDiffers"; readonly message: string }

export const judge = (ours: SourceContent, object: StoredObject): Judgement => {
  if (object.size !== undefined && object.size !== ours.size) {
    return { _tag: "SizeDiffers", message: `${ours.size} bytes were sent, the store holds ${object.size}` }
  }
  const both = algorithms.filter((a) => ours.digests[a] !== undefined && object.digests[a] !== undefined)
  const different = both.find((a) => ours.digests[a] !== object.digests[a]!.toLowerCase())
  if (different !== undefined) {
    return {
      _tag: "DigestDiffers",
      message: `${different} of what was sent is ${ours.digests[different]}, of what the store holds ${object.digests[different]}`
    }
  }
  if (both.length > 0) return { _tag: "Equal", compared: both }
  return object.composite === undefined
    ? { _tag: "Unproven" }
    : { _tag: "Equal", compared: [`${object.composite} of each part`] }
}
