/**
 * What every platform that Effect runs on has, and the plain language's types do not know.
 */
import * as Effect from "effect/Effect"

const platform = globalThis as unknown as {
  readonly crypto: { readonly randomUUID: () => string }
  readonly TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }
}

export const uuid: Effect.Effect<string> = Effect.sync(() => platform.crypto.randomUUID())

export const utf8 = (text: string): Uint8Array => new platform.TextEncoder().encode(text)
