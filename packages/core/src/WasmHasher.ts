/**
 * The default provider of digests: hash-wasm, inline on the calling thread, on any platform with WebAssembly.
 * Other fibers get a turn after each block. States can be saved, and loaded by any provider that runs hash-wasm.
 *
 * hash-wasm itself is imported when the first hashing starts.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"
import type { Algorithm, Digests, HasherService, Hashing, State } from "./Digest.ts"
import { DigestError } from "./DigestError.ts"
import * as WasmAlgorithm from "./WasmAlgorithm.ts"

/**
 * The provider's name in receipts.
 *
 * @since 0.1.0
 * @category models
 */
export const provider = "hash-wasm"

/** What a state begins with, so that no state is taken for another provider's, algorithm's or position's. */
const label = (algorithm: Algorithm, bytes: number): Uint8Array =>
  Uint8Array.from(`${provider} ${algorithm} ${bytes}\n`, (character) => character.charCodeAt(0))

/**
 * Writes the states of hash-wasm hashes after `bytes` bytes as plain data.
 *
 * @since 0.1.0
 * @category conversions
 */
export const encodeState = (bytes: number, states: ReadonlyMap<Algorithm, Uint8Array>): State => {
  const encoded: { [A in Algorithm]?: string } = {}
  for (const [algorithm, state] of states) {
    const head = label(algorithm, bytes)
    const whole = new Uint8Array(head.length + state.length)
    whole.set(head)
    whole.set(state, head.length)
    encoded[algorithm] = Base64.encode(whole)
  }
  return { bytes, states: encoded }
}

/**
 * Reads the states of the given algorithms. Fails when one is missing, or is another provider's or algorithm's; that
 * it is of the same build, hash-wasm finds when it loads it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const decodeState = (
  algorithms: ReadonlyArray<Algorithm>,
  state: State
): Effect.Effect<ReadonlyMap<Algorithm, Uint8Array>, DigestError> =>
  Effect.gen(function* () {
    const states = new Map<Algorithm, Uint8Array>()
    for (const algorithm of algorithms) {
      const encoded = state.states[algorithm]
      if (encoded === undefined) return yield* new DigestError({ message: `the saved state has no ${algorithm}` })
      const whole = Result.getOrUndefined(Base64.decode(encoded))
      const head = label(algorithm, state.bytes)
      if (whole === undefined || whole.length <= head.length || head.some((byte, i) => byte !== whole[i])) {
        return yield* new DigestError({
          message: `the saved ${algorithm} state is not one of ${provider} after ${state.bytes} bytes`
        })
      }
      states.set(algorithm, whole.slice(head.length))
    }
    return states
  })

const start: HasherService["start"] = Effect.fnUntraced(function* (algorithms, from) {
  const states = from === undefined ? undefined : yield* decodeState(algorithms, from)
  const hashes = new Map<Algorithm, WasmAlgorithm.WasmHash>()
  for (const algorithm of algorithms) {
    const hash = yield* Effect.tryPromise({
      try: () => WasmAlgorithm.make(algorithm),
      catch: (cause) => new DigestError({ message: `cannot compute ${algorithm}: hash-wasm does not start`, cause })
    })
    const state = states?.get(algorithm)
    if (state !== undefined) {
      yield* Effect.try({
        try: () => hash.load(state),
        catch: (cause) =>
          new DigestError({ message: `the saved ${algorithm} state is of another version of ${provider}`, cause })
      })
    }
    hashes.set(algorithm, hash)
  }

  let hashed = from?.bytes ?? 0
  let done: Digests | undefined
  const open = Effect.suspend(() =>
    done === undefined ? Effect.void : Effect.fail(new DigestError({ message: "the digests were taken already" }))
  )

  const hashing: Hashing = {
    update: (block) =>
      Effect.suspend(() => {
        if (done !== undefined) return Effect.asVoid(open)
        const bytes = block.bytes
        for (const hash of hashes.values()) hash.update(bytes)
        hashed += bytes.length
        return Effect.yieldNow
      }),
    digests: Effect.sync(() => {
      if (done === undefined) {
        const digests: { [A in Algorithm]?: string } = {}
        for (const [algorithm, hash] of hashes) digests[algorithm] = hash.digest()
        done = digests
      }
      return done
    }),
    save: Effect.map(open, () =>
      encodeState(hashed, new Map(Array.from(hashes, ([algorithm, hash]) => [algorithm, hash.save()])))
    ),
    hashed: () => hashed
  }
  return hashing
})

/**
 * Makes the provider.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (): HasherService => ({ provider, resumable: true, start })
