import { randomBytes } from "node:crypto"
import { createCRC32, createCRC64 } from "hash-wasm"
import { assert, describe, it } from "vitest"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as CrcFold from "../src/internal/crcFold.ts"
import * as Faulty from "./support/FaultyStore.ts"

const mib = 1024 * 1024

const algorithms = {
  // Polynomials without their highest term, the next one first.
  crc32c: { sparse: CrcFold.crc32c, polynomial: 0x1edc6f41n, plain: () => createCRC32(0x82f63b78) },
  crc64nvme: {
    sparse: CrcFold.crc64nvme,
    polynomial: 0xad93d23594c93659n,
    plain: () => createCRC64("9a6c9329ac4bc9b5")
  }
} as const

const noise = randomBytes(3 * mib)

for (const [name, { plain, polynomial, sparse }] of Object.entries(algorithms)) {
  describe(name, () => {
    it("is folded by a multiple of its polynomial, over places that a turn of the loop does not touch itself", () => {
      const bits = BigInt(sparse.bits)
      const remainder = (exponent: number): bigint => {
        let value = 1n
        for (let i = 0; i < exponent; i++) {
          value <<= 1n
          if (value >> bits !== 0n) value ^= polynomial | (1n << bits)
        }
        return value
      }
      assert.strictEqual(
        sparse.exponents.map(remainder).reduce((a, b) => a ^ b),
        0n
      )
      const [last, before] = sparse.exponents.toReversed()
      assert.isAtLeast(last! - before!, 2)
    })

    it("is what hash-wasm computes alone, of any bytes in any pieces", async () => {
      const expected = await plain()
      const fast = await WasmAlgorithm.make(name as "crc32c")
      const next = Faulty.numbers(1)
      for (let round = 0; round < 300; round++) {
        const size = next(round % 10 === 0 ? 3 * mib : 200_000)
        const start = next(noise.length - size)
        const bytes = noise.subarray(start, start + size)
        expected.init()
        fast.init()
        expected.update(bytes)
        for (let at = 0; at < size;) {
          const end = Math.min(size, at + 1 + next(next(2) === 0 ? 100_000 : 2 * mib))
          fast.update(bytes.subarray(at, end))
          at = end
        }
        const wanted = expected.digest()
        assert.strictEqual(fast.digest(), wanted, `round ${round}, ${size} bytes`)
      }
    })

    it("of shared memory, with its state saved and loaded on the way", async () => {
      const shared = new Uint8Array(new SharedArrayBuffer(noise.length))
      shared.set(noise)
      const expected = await plain()
      expected.init()
      const wanted = expected.update(noise).digest()
      const first = await WasmAlgorithm.make(name as "crc32c")
      first.update(shared.subarray(0, mib + 7))
      const second = await WasmAlgorithm.make(name as "crc32c")
      second.update(noise)
      second.load(first.save())
      second.update(shared.subarray(mib + 7))
      assert.strictEqual(second.digest(), wanted)
      // A state that was saved without folding fits.
      expected.init()
      expected.update(noise.subarray(0, 5))
      second.load(expected.save())
      second.update(noise.subarray(5))
      assert.strictEqual(second.digest(), wanted)
    })
  })
}
