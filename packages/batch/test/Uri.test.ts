import { describe, expect, it } from "vitest"
import * as Uri from "../src/Uri.ts"

describe("sources", () => {
  it.each([
    ["-", { _tag: "Stdin" }],
    ["disk.raw", { _tag: "File", path: "disk.raw" }],
    ["./s3://x", { _tag: "File", path: "./s3://x" }],
    ["c:disk", { _tag: "File", path: "c:disk" }],
    ["a%20b", { _tag: "File", path: "a%20b" }],
    ["file:///a%20b%3F%23", { _tag: "File", path: "/a b?#" }],
    ["FILE://localhost/a", { _tag: "File", path: "/a" }],
    ["http://h/p?q=1", { _tag: "Http", url: "http://h/p?q=1" }],
    ["glance://c/i", { _tag: "Glance", uri: "glance://c/i" }],
    ["S3://b/k", { _tag: "S3", uri: "S3://b/k" }],
    ["swift://c/o/k", { _tag: "Swift", uri: "swift://c/o/k" }]
  ])("%s", (text, found) => {
    expect(Uri.parseSource(text)).toMatchObject(found)
    if (text !== "-") expect(Uri.parseDestination(text)).toEqual(Uri.parseSource(text))
  })

  it("standard output is no destination", () => {
    expect(() => Uri.parseDestination("-")).toThrow(/standard output cannot be a destination; known: PATH, .*s3:/)
  })

  it.each([
    ["", "InvalidUri"],
    ["file://host/a", "InvalidUri"],
    ["file:///a?b", "InvalidUri"],
    ["file:///a#b", "InvalidUri"],
    ["file:///a%2Fb", "InvalidUri"],
    ["file:///a%zz", "InvalidUri"],
    ["file:///a%00", "InvalidUri"],
    ["http://", "InvalidUri"],
    ["gopher://h/x", "InvalidUri"]
  ])("not %s", (text, reason) => {
    let error: unknown
    try {
      Uri.parseSource(text)
    } catch (thrown) {
      error = thrown
    }
    expect(error).toBeInstanceOf(Uri.UriError)
    expect(error).toMatchObject({ reason })
  })
})

describe("what is shown", () => {
  it.each([
    ["https://me:pw@h/p?sig=1#f", "https://h/p"],
    ["https://a@b@h/p", "https://h/p"],
    ["ftp://me:pw@h/p?token=1", "ftp://h/p"],
    ["glance://c/i?store=fast", "glance://c/i?store=fast"],
    ["glance://me:pw@c/i", "glance://c/i"],
    ["disk?x@y", "disk?x@y"]
  ])("%s as %s", (text, shown) => {
    expect(Uri.shown(text)).toBe(shown)
  })
})
