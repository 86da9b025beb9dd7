/**
 * Digests by hash-wasm on worker threads, a worker for each algorithm. The workers read blocks where they are, in the
 * pool's shared memory; nothing is copied, and the calling thread stays free for the sockets.
 *
 * Workers are made when they are needed and used again. They do not keep the process alive, and end with the layer's
 * scope. A hashing's scope closes only when no worker reads its blocks any more: start it in the scope of the share
 * that the blocks come from, or in one inside it, and it closes first.
 *
 * @since 0.1.0
 */
import { Hasher, type HasherService } from "@headrace/core/Digest"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { service } from "./internal/digestHashing.ts"
import * as Pool from "./internal/digestPool.ts"
import { hashSmall } from "./internal/digestSmall.ts"

/**
 * Makes the provider. States are hash-wasm's, as those of `@headrace/core/WasmHasher`.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make: Effect.Effect<HasherService, never, Scope.Scope> = Effect.map(Pool.make, (pool) =>
  service(pool, { provider: WasmHasher.provider, resumable: true, engine: () => "wasm", hash: hashSmall })
)

/**
 * Provides the `Hasher` of `@headrace/core/Digest`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<never> = Layer.effect(Hasher, make)
