/**
 * Everything that transfers need on Node, wired: the block pool, the transport, the machine, digests in worker
 * threads.
 *
 * @since 0.1.0
 */
import * as Layer from "effect/Layer"
import * as BlockPool from "@headrace/core/BlockPool"
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import * as DigestWorkers from "./DigestWorkers.ts"
import * as NativeHasher from "./NativeHasher.ts"
import * as NodeHost from "./NodeHost.ts"
import * as NodeTransport from "./NodeTransport.ts"

/**
 * What the layer provides.
 *
 * @since 0.1.0
 * @category models
 */
export type Services = BlockPool.BlockPool | Transport | Host

/**
 * Bytes of the block pool unless said otherwise: 64 MiB.
 *
 * @since 0.1.0
 * @category models
 */
export const defaultMemoryBytes: number = 64 * 1024 * 1024

/**
 * The layer with settings: the memory for all bytes in flight, and who computes digests.
 *
 * @since 0.1.0
 * @category layers
 */
export const layerWith = (options: {
  readonly memoryBytes?: number
  readonly hasher?: "wasm" | "native"
}): Layer.Layer<Services> =>
  Layer.mergeAll(
    BlockPool.layer({ bytes: options.memoryBytes ?? defaultMemoryBytes }),
    NodeTransport.layer,
    NodeHost.layer,
    options.hasher === "native" ? NativeHasher.layer : DigestWorkers.layer
  )

/**
 * The layer with its defaults.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Services> = layerWith({})
