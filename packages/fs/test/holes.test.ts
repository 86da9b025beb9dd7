import { assert, describe, it } from "@effect/vitest"
import { filled } from "../src/internal/holes.ts"

const kib = 1024

/** Zeros, but for what is between `start` and `end`. */
const bytes = (length: number, ...ranges: ReadonlyArray<readonly [start: number, end: number]>) => {
  const all = new Uint8Array(new SharedArrayBuffer(length + 5), 5)
  for (const [start, end] of ranges) all.fill(1, start, end)
  return all
}

const written = (piece: Uint8Array, at = 0) => filled(piece, at).map(({ end, start }) => [start, end])

describe("the ranges that are written", () => {
  it("are all, where no run of zeros is long enough", () => {
    assert.deepStrictEqual(written(bytes(0)), [])
    assert.deepStrictEqual(written(bytes(60 * kib)), [[0, 60 * kib]])
    assert.deepStrictEqual(written(bytes(128 * kib, [0, 1], [64 * kib, 64 * kib + 1])), [[0, 128 * kib]])
  })

  it("leave out runs of 64 KiB and more, in whole pages of the file", () => {
    assert.deepStrictEqual(written(bytes(64 * kib)), [])
    assert.deepStrictEqual(written(bytes(1024 * kib)), [])
    assert.deepStrictEqual(written(bytes(1024 * kib, [0, 1])), [[0, 4 * kib]])
    assert.deepStrictEqual(written(bytes(1024 * kib, [1024 * kib - 1, 1024 * kib])), [[1020 * kib, 1024 * kib]])
    assert.deepStrictEqual(written(bytes(256 * kib + 7, [100 * kib, 101 * kib])), [
      [100 * kib, 104 * kib],
      [256 * kib, 256 * kib + 7]
    ])
    // The file's pages begin elsewhere than the piece.
    assert.deepStrictEqual(written(bytes(256 * kib), kib), [
      [0, 3 * kib],
      [255 * kib, 256 * kib]
    ])
  })

  it("hold every byte that is not zero, wherever it is", () => {
    for (let at = 0; at < 200 * kib; at += 1021) {
      const piece = bytes(300 * kib, [at, at + 1])
      for (const offset of [0, 1, 4095, 4096, 70_001]) {
        assert.isTrue(filled(piece, offset).some(({ end, start }) => start <= at && at < end))
      }
    }
  })
})
