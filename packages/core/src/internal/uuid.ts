/**
 * New ids. Every platform that Effect runs on has Web Crypto; its types come with libraries that core does not load.
 */
import * as Effect from "effect/Effect"

export const next: Effect.Effect<string> = Effect.sync(() =>
  (globalThis as unknown as { readonly crypto: { readonly randomUUID: () => string } }).crypto.randomUUID()
)
