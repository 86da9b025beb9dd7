/**
 * Digests over a stream of blocks, several algorithms at once, computed while the bytes pass.
 *
 * Who computes is a service, `Hasher`: by default hash-wasm on the calling thread, on Node worker threads that read the
 * blocks' shared memory (`@headrace/node/DigestWorkers`).
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import { DigestError } from "./DigestError.ts"
import * as WasmHasher from "./WasmHasher.ts"

/**
 * The algorithms, by the names that users type.
 *
 * `crc32c` is Castagnoli (RFC 3720), `crc64nvme` is CRC-64/NVME as S3 uses it; both are written as big-endian hex.
 *
 * @since 0.1.0
 * @category models
 */
export const algorithms = ["md5", "sha1", "sha256", "sha512", "blake3", "xxh128", "crc32c", "crc64nvme"] as const

/**
 * @since 0.1.0
 * @category models
 */
export type Algorithm = (typeof algorithms)[number]

/**
 * Whether a word is the name of an algorithm.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAlgorithm = (name: string): name is Algorithm => (algorithms as ReadonlyArray<string>).includes(name)

/**
 * How many hexadecimal digits a digest has.
 *
 * @since 0.1.0
 * @category models
 */
export const hexDigits: Readonly<Record<Algorithm, number>> = {
  md5: 32,
  sha1: 40,
  sha256: 64,
  sha512: 128,
  blake3: 64,
  xxh128: 32,
  crc32c: 8,
  crc64nvme: 16
}

/**
 * Digests in lower-case hex, by algorithm.
 *
 * @since 0.1.0
 * @category models
 */
export type Digests = { readonly [A in Algorithm]?: string }

/**
 * The state of hashers after `bytes` bytes, as plain data that a journal can keep.
 *
 * @since 0.1.0
 * @category models
 */
export interface State {
  readonly bytes: number
  /** Base64 of each algorithm's state, valid for the provider and version that made it. */
  readonly states: { readonly [A in Algorithm]?: string }
}

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  DigestError
}

/**
 * Hashers that run over one stream.
 *
 * @since 0.1.0
 * @category models
 */
export interface Hashing {
  /**
   * Takes the bytes in. The block is shared for as long as they are needed; the caller keeps its own hold. Ends when
   * the bytes are queued: it waits only when the hashers are too far behind.
   */
  readonly update: (block: Block) => Effect.Effect<void, DigestError>
  /** Waits for all bytes and gives the digests. Nothing can be taken in afterwards. */
  readonly digests: Effect.Effect<Digests, DigestError>
  /** Waits for all bytes so far and gives the state; fails where the provider cannot. */
  readonly save: Effect.Effect<State, DigestError>
  /** Bytes that every algorithm has taken in so far. */
  readonly hashed: () => number
}

/**
 * Who computes digests.
 *
 * @since 0.1.0
 * @category services
 */
export interface HasherService {
  /** A name for receipts and progress: `hash-wasm`, `node:crypto`. */
  readonly provider: string
  /** Who computes one algorithm, where the provider leaves some to others. */
  readonly providerOf?: (algorithm: Algorithm) => string
  /** Whether states can be saved and resumed. */
  readonly resumable: boolean
  /** Starts hashers, from the beginning or from a saved state. */
  readonly start: (
    algorithms: ReadonlyArray<Algorithm>,
    from?: State
  ) => Effect.Effect<Hashing, DigestError, Scope.Scope>
}

/**
 * The service that computes digests; hash-wasm on the calling thread unless provided otherwise.
 *
 * @since 0.1.0
 * @category services
 */
export const Hasher: Context.Reference<HasherService> = Context.Reference<HasherService>(
  "@headrace/core/Digest/Hasher",
  { defaultValue: () => WasmHasher.make() }
)

/**
 * A stage that computes digests of what passes. `onEnd` runs when the stream ends well, before the end is passed on,
 * so a failure of `onEnd` is a failure of the stream. Each run of the stream computes anew.
 *
 * @since 0.1.0
 * @category combinators
 */
export const tap =
  <E2 = never, R2 = never>(
    algorithms: ReadonlyArray<Algorithm>,
    onEnd: (digests: Digests) => Effect.Effect<unknown, E2, R2>
  ) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E | E2 | DigestError, R | R2> =>
    Stream.unwrap(
      Effect.gen(function* () {
        const hasher = yield* Hasher
        const hashing = yield* hasher.start(algorithms)
        return tapWith(hashing, onEnd)(self)
      })
    )

/**
 * As `tap`, over hashers that run already: resumed from a state, or watched by a progress display.
 *
 * @since 0.1.0
 * @category combinators
 */
export const tapWith =
  <E2 = never, R2 = never>(hashing: Hashing, onEnd: (digests: Digests) => Effect.Effect<unknown, E2, R2>) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E | E2 | DigestError, R | R2> =>
    Stream.transformPull(self, (pull) =>
      Effect.succeed(
        Effect.matchCauseEffect(pull, {
          onSuccess: (blocks): Pull.Pull<Arr.NonEmptyReadonlyArray<Block>, E | E2 | DigestError, void, R2> =>
            Effect.as(Effect.forEach(blocks, hashing.update, { discard: true }), blocks),
          onFailure: (cause): Pull.Pull<never, E | E2 | DigestError, void, R2> =>
            Pull.isDoneCause(cause)
              ? Effect.andThen(Effect.flatMap(hashing.digests, onEnd), Cause.done())
              : (Effect.failCause(cause) as Effect.Effect<never, E>)
        })
      )
    )
