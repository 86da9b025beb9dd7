import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import * as Line from "../src/Line.ts"

const read = (json: unknown) => Result.getOrThrow(Line.decode(json, 7))
const wrong = (json: unknown) => {
  const result = Line.decode(json, 7)
  if (Result.isSuccess(result)) throw new Error("it was taken")
  return `${result.failure.field}: ${result.failure.message}`
}
const least = { source: "a.raw", to: ["glance://c/a"] }

describe("a line", () => {
  it("has its number for an id unless it has one", () => {
    expect(read(least)).toMatchObject({ id: "7", ...least, also: [], expect: {}, properties: {} })
    expect(read({ ...least, id: "x" }).id).toBe("x")
  })

  it("is the same when it is written and read again", () => {
    const line = read({
      ...least,
      id: "ubuntu",
      also: ["s3://b/k"],
      size: 12,
      expect: { md5: "A".repeat(32) },
      properties: { os_distro: "ubuntu", gone: null }
    })
    expect(read(JSON.parse(Line.encode(line)))).toEqual(line)
    expect(line.expect.md5).toBe("a".repeat(32))
  })

  it.each([
    [null, "line: allowed: a JSON object with id, source, to, also, size, expect, properties"],
    [[], "line: allowed: a JSON object with id, source, to, also, size, expect, properties"],
    [{ to: ["a"] }, "source: missing; allowed: a path or a URI, as text"],
    [{ source: "a" }, "to: missing; allowed: a list of paths or URIs"],
    [{ ...least, to: [] }, "to: allowed: one destination at least"],
    [{ ...least, to: ["a", 5] }, "to[1]: allowed: a path or a URI, as text"],
    [{ ...least, source: "" }, "source: allowed: a path or a URI, as text"],
    [{ ...least, id: "" }, "id: allowed: a string of 1 to 1024 characters"],
    [{ ...least, id: 5 }, "id: allowed: a string of 1 to 1024 characters"],
    [{ ...least, size: -1 }, "size: allowed: a whole number of bytes, from 0"],
    [{ ...least, size: "1" }, "size: allowed: a whole number of bytes, from 0"],
    [{ ...least, expect: { md5: "zz" } }, "expect.md5: allowed: 32 hexadecimal digits"],
    [{ ...least, expect: { sha3: "aa" } }, "expect.sha3: unknown field; known: md5, sha1"],
    [{ ...least, properties: { a: 1 } }, "properties.a: allowed: a string, or null to leave it out"],
    [{ ...least, dest: "x" }, "dest: unknown field; known: id, source, to"]
  ])("%j is refused by the field's name", (json, said) => {
    expect(wrong(json)).toContain(said)
  })
})
