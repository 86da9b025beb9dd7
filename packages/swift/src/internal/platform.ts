/**
 * What every platform that Effect runs on has, and the plain language's types do not know; and the MD5 of a few bytes.
 */
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as Effect from "effect/Effect"

const platform = globalThis as unknown as {
  readonly crypto: { readonly randomUUID: () => string }
  readonly TextEncoder: new () => { readonly encode: (text: string) => Uint8Array }
}

export const uuid: Effect.Effect<string> = Effect.sync(() => platform.crypto.randomUUID())

export const utf8 = (text: string): Uint8Array => new platform.TextEncoder().encode(text)

/** In lower-case hex. */
export const md5 = (text: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => WasmAlgorithm.make("md5")),
    (hash) => {
      hash.init()
      hash.update(utf8(text))
      return hash.digest()
    }
  )
