import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import type { Block } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Effect from "effect/Effect"

const hasher = WasmHasher.make()

/** Of "123456789", from each algorithm's specification or catalogue. */
const check: Record<Digest.Algorithm, string> = {
  md5: "25f9e794323b453885f5181f1b624d0b",
  sha1: "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
  sha256: "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
  sha512:
    "d9e6762dd1c8eaf6d61b3c6192fc408d4d6d5f1176d0c29169bc24e71c3f274ad27fcd5811b313d681f7e55ec02d73d499c95455b6b5bb503acf574fba8ffe85",
  blake3: "b7d65b48420d1033cb2595293263b6f72eabee20d55e699d0df1973b3c9deed1",
  xxh128: "33119477ede5dcd5e9716427681d5860",
  crc32c: "e3069283",
  crc64nvme: "ae8b14860a799888"
}

const bytesOf = (text: string) => new TextEncoder().encode(text)

const noise = (length: number, seed = 1) => {
  const bytes = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    bytes[i] = state >>> 24
  }
  return bytes
}

const withShare = <A, E>(use: (share: BlockPool.BlockShare["Service"]) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(BlockPool.makeUnsafe({ bytes: 4 * 1024 * 1024 }).share(2), use))

const put = (block: Block, bytes: Uint8Array) => {
  block.space.set(bytes)
  return block.setLength(bytes.length)
}

/** Feeds bytes, cut where told. */
const feed = (
  hashing: Digest.Hashing,
  share: BlockPool.BlockShare["Service"],
  bytes: Uint8Array,
  cuts: ReadonlyArray<number>
) =>
  Effect.gen(function* () {
    const ends = [...cuts.filter((cut) => cut < bytes.length), bytes.length]
    let at = 0
    for (const end of ends) {
      while (at < end) {
        const piece = bytes.subarray(at, Math.min(end, at + share.blockBytes))
        const block = put(yield* share.take, piece)
        yield* hashing.update(block)
        block.release()
        at += piece.length
      }
    }
  })

describe("hash-wasm", () => {
  it.effect("knows every algorithm's check value", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          const hashing = yield* hasher.start(Digest.algorithms)
          yield* feed(hashing, share, bytesOf("123456789"), [1, 4])
          assert.deepStrictEqual(yield* hashing.digests, check)
          assert.strictEqual(hashing.hashed(), 9)
          assert.strictEqual(share.inUse(), 0)
        })
      )
    )
  )

  it.effect("computes what node:crypto computes, also of nothing", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          for (const length of [0, 1, 16_384, 16_385, 3_000_001]) {
            const bytes = noise(length)
            const algorithms = ["md5", "sha1", "sha256", "sha512"] as const
            const hashing = yield* hasher.start(algorithms)
            yield* feed(hashing, share, bytes, [0, Math.floor(length / 3), Math.floor(length / 2)])
            const digests = yield* hashing.digests
            for (const name of algorithms) {
              assert.strictEqual(digests[name], createHash(name).update(bytes).digest("hex"))
            }
          }
        })
      )
    )
  )

  it.effect("goes on from a saved state, at any offset, as often as one likes", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          const bytes = noise(200_003)
          const whole = yield* hasher.start(Digest.algorithms)
          yield* feed(whole, share, bytes, [])
          const expected = yield* whole.digests
          for (const offset of [0, 1, 63, 64, 127, 129, 1023, 16_385, 199_999, 200_003]) {
            const first = yield* hasher.start(Digest.algorithms)
            yield* feed(first, share, bytes.subarray(0, offset), [])
            // As a journal keeps it.
            const state: Digest.State = JSON.parse(JSON.stringify(yield* first.save))
            assert.strictEqual(state.bytes, offset)
            for (let time = 0; time < 2; time++) {
              const second = yield* hasher.start(Digest.algorithms, state)
              assert.strictEqual(second.hashed(), offset)
              yield* feed(second, share, bytes.subarray(offset), [7])
              assert.deepStrictEqual(yield* second.digests, expected)
              assert.strictEqual(second.hashed(), bytes.length)
            }
            // Saving changes nothing.
            yield* feed(first, share, bytes.subarray(offset), [])
            assert.deepStrictEqual(yield* first.digests, expected)
          }
        })
      )
    )
  )

  it.effect("refuses a state that is not its own", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          const hashing = yield* hasher.start(["sha512", "crc32c"])
          yield* feed(hashing, share, noise(100), [])
          const { bytes, states } = yield* hashing.save
          const raw = Buffer.from(states.sha512!, "base64")
          const changed = (change: (raw: Buffer) => Buffer) => change(Buffer.from(raw)).toString("base64")
          const label = raw.indexOf("\n") + 1
          const refused: ReadonlyArray<readonly [string, Digest.State, RegExp]> = [
            ["missing", { bytes, states: { crc32c: states.crc32c! } }, /no sha512/],
            [
              "another algorithm's",
              { bytes, states: { sha512: states.crc32c! } },
              /sha512 state is not one of hash-wasm/
            ],
            ["after other bytes", { bytes: 99, states }, /after 99 bytes/],
            ["no base64", { bytes, states: { sha512: "&&&" } }, /not one of hash-wasm/],
            ["empty", { bytes, states: { sha512: "" } }, /not one of hash-wasm/],
            [
              "another provider's",
              { bytes, states: { sha512: changed((raw) => (raw.write("X", 0), raw)) } },
              /not one of hash-wasm/
            ],
            [
              "another build's",
              { bytes, states: { sha512: changed((raw) => (raw.writeUInt8(raw[label]! ^ 1, label), raw)) } },
              /another version of hash-wasm/
            ],
            [
              "cut",
              { bytes, states: { sha512: changed((raw) => raw.subarray(0, -1)) } },
              /another version of hash-wasm/
            ]
          ]
          for (const [name, state, message] of refused) {
            const error = yield* Effect.flip(hasher.start(["sha512"], state))
            assert.strictEqual(error._tag, "DigestError", name)
            assert.match(error.message, message, name)
          }
        })
      )
    )
  )

  it.effect("takes nothing in after its digests were taken, which stay the same", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          const hashing = yield* hasher.start(["md5", "md5"])
          yield* feed(hashing, share, bytesOf("123456789"), [])
          const digests = yield* hashing.digests
          assert.deepStrictEqual(digests, { md5: check.md5 })
          assert.deepStrictEqual(yield* hashing.digests, digests)
          assert.match((yield* Effect.flip(hashing.save)).message, /taken already/)
          assert.match((yield* Effect.flip(feed(hashing, share, bytesOf("x"), []))).message, /taken already/)
        })
      )
    )
  )

  it.effect("gives other fibers a turn between blocks", () =>
    withShare((share) =>
      Effect.scoped(
        Effect.gen(function* () {
          let turns = 0
          yield* Effect.forkChild(Effect.forever(Effect.sync(() => turns++)))
          const hashing = yield* hasher.start(["crc32c"])
          const block = put(yield* share.take, noise(10))
          const before = turns
          for (let i = 0; i < 50; i++) yield* hashing.update(block)
          assert.isAtLeast(turns - before, 25)
        })
      )
    )
  )
})
