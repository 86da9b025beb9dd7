import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as NativeHasher from "@headrace/node/NativeHasher"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"

const MiB = 1024 * 1024

const noise = (length: number) => {
  const bytes = new Uint8Array(length)
  let state = 1
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const blocks = (share: BlockPool.BlockShare["Service"], bytes: Uint8Array, lengths: ReadonlyArray<number>) => {
  let at = 0
  return Stream.mapEffect(Stream.fromIterable(lengths), (length) =>
    Effect.map(share.take, (block) => {
      const piece = bytes.subarray(at, at + length)
      block.space.set(piece)
      at += piece.length
      return block.setLength(piece.length)
    })
  )
}

describe("node:crypto", () => {
  it.live.each([[0], [1], [100_000], [MiB, 1], [3, 700_000, 1, MiB, 65_537], Array.from({ length: 20 }, () => MiB)])(
    "computes the same digests as hash-wasm over blocks from %j on",
    (lengths) =>
      Effect.gen(function* () {
        const bytes = noise(lengths.reduce((sum, length) => sum + length, 0))
        const pool = BlockPool.makeUnsafe({ bytes: 16 * MiB })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const share = yield* pool.share(4)
            const seen: Array<Digest.Digests> = []
            const run = (hasher: Digest.HasherService) =>
              blocks(share, bytes, lengths).pipe(
                Digest.tap(Digest.algorithms, (digests) => Effect.sync(() => seen.push(digests))),
                Stream.runForEach((block) => Effect.sync(() => block.release())),
                Effect.provideService(Digest.Hasher, hasher)
              )
            const hasher = yield* NativeHasher.make
            assert.strictEqual(hasher.provider, "node:crypto")
            yield* run(hasher)
            yield* run(WasmHasher.make())
            assert.deepStrictEqual(seen[0], seen[1])
            for (const name of ["md5", "sha1", "sha256", "sha512"] as const) {
              assert.strictEqual(seen[0]![name], createHash(name).update(bytes).digest("hex"))
            }
            assert.strictEqual(share.inUse(), 0)
          })
        )
        assert.strictEqual(pool.stats().inUse, 0)
      })
  )

  it.live("is a layer, and says that it cannot save or resume", () =>
    Effect.scoped(
      Effect.gen(function* () {
        const hasher = yield* Digest.Hasher
        assert.strictEqual(hasher.provider, "node:crypto")
        assert.isFalse(hasher.resumable)
        const hashing = yield* hasher.start(["md5"])
        assert.match((yield* Effect.flip(hashing.save)).message, /node:crypto cannot save its state/)
        const other = yield* WasmHasher.make().start(["md5"])
        const error = yield* Effect.flip(hasher.start(["md5"], yield* other.save))
        assert.match(error.message, /node:crypto cannot go on from a saved state/)
      })
    ).pipe(Effect.provide(NativeHasher.layer))
  )
})
