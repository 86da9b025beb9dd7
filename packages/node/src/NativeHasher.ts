/**
 * Digests by `node:crypto` on worker threads, in the same way as `DigestWorkers`: md5, sha1, sha256 and sha512, which
 * it computes faster than WebAssembly can. The other algorithms, which it does not have, are hash-wasm's.
 *
 * `node:crypto` cannot save the state of a hash, so nothing here can be resumed.
 *
 * @since 0.1.0
 */
import { createHash } from "node:crypto"
import { Hasher, type Algorithm, type HasherService } from "@headrace/core/Digest"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { service } from "./internal/digestHashing.ts"
import * as Pool from "./internal/digestPool.ts"
import { hashSmall } from "./internal/digestSmall.ts"

const native: ReadonlySet<Algorithm> = new Set(["md5", "sha1", "sha256", "sha512"])

/**
 * Makes the provider.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<HasherService, never, Scope.Scope> = Effect.map(Pool.make, (pool) =>
  service(pool, {
    provider: "node:crypto",
    providerOf: (algorithm) => (native.has(algorithm) ? "node:crypto" : WasmHasher.provider),
    resumable: false,
    engine: (algorithm) => (native.has(algorithm) ? "native" : "wasm"),
    hash: (algorithm, bytes) =>
      native.has(algorithm)
        ? Effect.sync(() => createHash(algorithm).update(bytes).digest("hex"))
        : hashSmall(algorithm, bytes)
  })
)

/**
 * Provides the `Hasher` of `@headrace/core/Digest`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<never> = Layer.effect(Hasher, make)
