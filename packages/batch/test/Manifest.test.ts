import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Readable } from "node:stream"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Manifest from "../src/Manifest.ts"

const row = (id: string, more: object = {}) =>
  JSON.stringify({ id, source: `${id}.raw`, to: ["glance://c/x"], ...more })

/** Bytes cut into pieces of `size`. */
const pieces = function* (text: string | Buffer, size: number) {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const readAll = async (text: string | Buffer, size = 65536) => {
  const reads = await Effect.runPromise(
    Stream.runCollect(Manifest.fromReadable(() => Readable.from(pieces(text, size)), "m.ndjson"))
  )
  return reads.map((read) =>
    read._tag === "Line" ? `${read.number} ${read.line.id}` : Manifest.told("m.ndjson", read)
  )
}

describe("a manifest", () => {
  const text = `\u{feff}# what moves\r\n${row("a")}\r\n\r\n   \n${row("bü€😀")}\n#x\n${row("c")}`

  it.each([1, 2, 3, 7, 65536])("is read in pieces of %i bytes", async (size) => {
    expect(await readAll(text, size)).toEqual(["2 a", "5 bü€😀", "7 c"])
  })

  it("says of each bad line where it is and what is wrong, and goes on", async () => {
    const bad = [
      row("a"),
      "{",
      `${row("b")},${row("c")}`,
      `${row("b")}],[9,${row("c")}`,
      "[]",
      '"x"',
      "nonsense",
      row("d", { to: [] }),
      row("e")
    ]
    expect(await readAll(bad.join("\n"), 11)).toEqual([
      "1 a",
      expect.stringMatching(/^m\.ndjson:2: line: this is not JSON: /),
      "m.ndjson:3: line: this is more than one JSON object",
      expect.stringMatching(/^m\.ndjson:4: line: this is not JSON: /),
      expect.stringMatching(/^m\.ndjson:5: line: allowed: a JSON object/),
      expect.stringMatching(/^m\.ndjson:6: line: allowed: a JSON object/),
      expect.stringMatching(/^m\.ndjson:7: line: this is not JSON: /),
      "m.ndjson:8: to: allowed: one destination at least",
      "9 e"
    ])
  })

  it("takes a line of 1 MiB and refuses one that is longer, without keeping it", async () => {
    const pad = (bytes: number) => {
      const empty = row("a", { properties: { p: "" } })
      return row("a", { properties: { p: "x".repeat(bytes - Buffer.byteLength(empty)) } })
    }
    expect(await readAll(`${pad(1024 * 1024)}\r\n${row("b")}\n`)).toEqual(["1 a", "2 b"])
    expect(await readAll(`${pad(1024 * 1024 + 1)}\n${row("b")}\n`)).toEqual([
      "m.ndjson:1: line: this line has more than 1 MiB",
      "2 b"
    ])
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    const endless = function* () {
      for (let i = 0; i < 1024; i++) {
        most = Math.max(most, process.memoryUsage().arrayBuffers)
        yield Buffer.alloc(1024 * 1024, 0x20)
      }
    }
    const reads = await Effect.runPromise(
      Stream.runCollect(Manifest.fromReadable(() => Readable.from(endless()), "m.ndjson"))
    )
    expect(reads).toEqual([{ _tag: "Wrong", number: 1, field: "line", message: "this line has more than 1 MiB" }])
    expect(most - before).toBeLessThan(256 * 1024 * 1024)
  })

  describe("in a file", () => {
    let folder: string
    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), "headrace-manifest-"))
    })
    afterAll(() => rm(folder, { recursive: true }))

    it("is read, and missing or a folder is one line", async () => {
      const path = join(folder, "m.ndjson")
      await writeFile(path, `${row("a")}\n`)
      expect(await Effect.runPromise(Stream.runCount(Manifest.fromFile(path)))).toBe(1)
      const fail = (name: string) =>
        Effect.runPromise(Effect.map(Effect.flip(Stream.runDrain(Manifest.fromFile(name))), ({ message }) => message))
      expect(await fail(join(folder, "none"))).toBe("it cannot be read: there is no such file")
      expect(await fail(folder)).toBe("it cannot be read: it is a folder")
    })
  })
})
