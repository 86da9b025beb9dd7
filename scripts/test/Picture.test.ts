import fs from "node:fs"
import path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "vitest"

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..")
const read = (name: string) => fs.readFileSync(path.join(root, name), "utf8")

describe("the picture of an upload", () => {
  const picture = read("docs/upload.svg")

  it("stands in the README, is small, and needs nothing but itself", () => {
    assert.match(read("README.md"), /!\[[^\]]{100,}\]\(docs\/upload\.svg\)/)
    assert.isBelow(Buffer.byteLength(picture), 60_000)
    assert.notMatch(picture, /<script|<image|href|@import|url\(/)
    // nothing of the machine where it was recorded
    assert.notMatch(picture, /["> ]\/(tmp|home|root|Users|work)\b/)
  })

  it("shows progress from 0 % on, and the proof where nothing moves", () => {
    const groups = [...picture.matchAll(/<g( class="o")?[^>]*>(.*)<\/g>/g)]
    const shares = groups.flatMap(([, , inside = ""]) =>
      [...inside.matchAll(/>(\d+) %</g)].map(([, share]) => Number(share))
    )
    assert.strictEqual(shares[0], 0)
    assert.isAbove(shares.length, 10)
    assert.isAbove(shares.at(-1) ?? 0, 85)
    assert.deepStrictEqual(
      shares,
      shares.toSorted((a, b) => a - b)
    )
    const still = groups.flatMap(([, hidden, inside = ""]) => (hidden === undefined ? [inside] : []))
    const words = still.join("\n").replace(/<[^>]*>/g, " ")
    const equal = "computed here by hash-wasm and by the service: equal"
    for (const expected of ["./headrace upload", "verified glance://prod/disk?store=fast", "1 attempt", equal]) {
      assert.include(words, expected)
    }
    assert.notInclude(words, " %")
  })
})
