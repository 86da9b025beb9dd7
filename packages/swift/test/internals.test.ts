/** What is computed without asking anybody: names, ETags, limits. */
import * as Effect from "effect/Effect"
import { assert, describe, it } from "vitest"
import * as Answer from "../src/internal/answer.ts"
import * as Limits from "../src/internal/limits.ts"
import * as Manifest from "../src/internal/manifest.ts"
import * as Names from "../src/internal/names.ts"
import * as Swift from "./support/upload.ts"

describe("the names of an upload", () => {
  const upload = Names.newUpload({
    container: "c_segments",
    object: "a b/ü%.img",
    now: 1_795_711_010_063,
    random: "0123abcd-ef",
    size: 77
  })

  it("share a prefix, and sort by number", () => {
    assert.strictEqual(Names.segmentOf(upload, 12), "a b/ü%.img/headrace/1795711010063-0123abcd/77/00000012")
    const parsed = Names.parseSegment("a b/ü%.img", Names.segmentOf(upload, 12))
    assert.deepStrictEqual(parsed, { prefix: upload.prefix, manifest: false, number: 12, startedAt: 1_795_711_010_063 })
  })

  it("of manifests among them are told from those of segments", () => {
    assert.strictEqual(Names.manifestOf(upload, 2), `${upload.prefix}m00000002`)
    assert.deepInclude(Names.parseSegment("a b/ü%.img", `${upload.prefix}m00000002`), { manifest: true, number: 2 })
  })

  it("are told from other objects' names, and from what only looks like them", () => {
    for (const name of [
      "a b/ü%.img",
      "a b/ü%.img/headrace/",
      "a b/ü%.img/headrace/x/77/00000001",
      "a b/ü%.img/headrace/1-0123abcd/77/1",
      "a b/ü%.img/headrace/1-0123abcd/77/00000001/more",
      "other/headrace/1-0123abcd/77/00000001"
    ]) {
      assert.isUndefined(Names.parseSegment("a b/ü%.img", name), name)
    }
  })

  it("make a token without blanks, that is read back for the same object and container alone", () => {
    const token = Names.tokenOf(upload)
    assert.match(token, /^[\w%./-]+$/)
    assert.deepStrictEqual(Names.parseToken("c_segments", "a b/ü%.img", token), upload)
    assert.isUndefined(Names.parseToken("other", "a b/ü%.img", token))
    assert.isUndefined(Names.parseToken("c_segments", "a b", token))
    assert.isUndefined(Names.parseToken("c_segments", "a b/ü%.img", `${token}/00000001`))
    assert.isUndefined(Names.parseToken("c_segments", "a b/ü%.img", "%"))
  })

  it("of objects without a size say so", () => {
    const { prefix } = Names.newUpload({ container: "c", object: "o", now: 1, random: "0123abcd", size: undefined })
    assert.strictEqual(prefix, "o/headrace/1-0123abcd/unsized/")
  })
})

describe("a manifest", () => {
  it("has as ETag the MD5 of its segments' ETags", async () => {
    const tags = [Swift.md5("a"), Swift.md5("b")]
    assert.strictEqual(await Effect.runPromise(Manifest.etagOf(tags)), Swift.md5(tags.join("")))
    // Swift's own, of an object of no bytes.
    assert.strictEqual(await Effect.runPromise(Manifest.etagOf([])), "d41d8cd98f00b204e9800998ecf8427e")
  })

  it("names its segments, and what is wrong with them", () => {
    assert.deepStrictEqual(Manifest.segmentsOf('[{"name":"/c/a b"},{"name":"/c/d"},{"data":"eA=="},7]'), [
      "c/a b",
      "c/d"
    ])
    assert.deepStrictEqual(Manifest.segmentsOf("<html>"), [])
    const errors = [1, 2, 3, 4].map((number) => [`/c/o/headrace/1-a/7/0000000${number}`, "404 Not Found"])
    assert.strictEqual(
      Manifest.problemsOf(JSON.stringify({ Errors: errors })),
      "segment 1: 404 Not Found, segment 2: 404 Not Found, segment 3: 404 Not Found and 1 more"
    )
    assert.isUndefined(Manifest.problemsOf('{"Errors":[]}'))
    assert.isUndefined(Manifest.problemsOf("Manifest must be valid JSON."))
  })
})

describe("/info", () => {
  it("stands beside the version of an account's address", () => {
    for (const [base, info] of [
      ["https://h:8080/v1/AUTH_x", "https://h:8080/info"],
      ["https://h/swift/v1", "https://h/swift/info"],
      ["https://h/swift/v1/AUTH_x", "https://h/swift/info"],
      ["https://h/v1.0/AUTH_x", "https://h/info"],
      ["https://h/other", undefined]
    ] as const) {
      assert.strictEqual(Limits.addressOf(base), info, base)
    }
  })

  it("that says nothing of use means Swift's own defaults", () => {
    for (const text of ["", "<html>", "[]", '{"swift":7}']) {
      assert.deepInclude(Limits.decode(text), { told: false, maxBytes: 5_368_709_122, maxNameBytes: 1024 }, text)
    }
    const odd = Limits.decode('{"swift":{"max_file_size":"x"},"slo":{"max_manifest_segments":-1}}')
    assert.deepInclude(odd, { told: true, maxBytes: 5_368_709_122, bulkDelete: undefined })
    assert.deepStrictEqual(odd.slo, { maxSegments: 1000, minBytes: 1 })
    assert.isUndefined(Limits.decode('{"swift":{}}').slo)
  })
})

describe("an answer to a body", () => {
  const answer = (status: number, words = "", more: Partial<Answer.Answer> = {}): Answer.Answer => ({
    status,
    requestId: "tx1",
    words,
    retryAfterMs: undefined,
    ...more
  })

  for (const [status, words, reason, retryable, clear] of [
    [400, "", "Rejected", false, true],
    [401, "", "Unauthorized", false, true],
    [403, "", "Forbidden", false, true],
    [404, "The resource could not be found.", "NotFound", false, true],
    [408, "", "Unavailable", true, false],
    [409, "", "Conflict", false, true],
    [410, "", "Gone", false, true],
    [411, "Missing Content-Length header.", "Rejected", false, true],
    [412, "", "Conflict", false, true],
    [413, "Your request is too large.", "TooLarge", false, true],
    [413, "Upload exceeds quota.", "QuotaExceeded", false, true],
    [422, "Unable to process the contained instructions", "DigestMismatch", true, true],
    [429, "", "Unavailable", true, true],
    [498, "Slow down", "Unavailable", true, true],
    [499, "", "Unavailable", true, false],
    [500, "", "Unavailable", true, false],
    [501, "", "Rejected", false, true],
    [503, "", "Unavailable", true, false],
    [507, "", "Unavailable", true, false],
    [302, "", "Rejected", false, true]
  ] as const) {
    it(`${status} ${words} is ${reason}`, () => {
      const fault = Answer.ofBody(answer(status, words), "segment 7 was not taken")
      assert.deepInclude(fault, { reason, retryable, clear, status, requestId: "tx1" })
      assert.match(fault.message, new RegExp(`^segment 7 was not taken: .*${status}`))
      // What Swift says of every answer of a status says nothing.
      assert.notMatch(fault.message, /could not be found|contained instructions/)
    })
  }

  it("that comes from a proxy says so, and when to come back", () => {
    const fault = Answer.ofBody(answer(503, "busy", { requestId: undefined, retryAfterMs: 7000 }), "x")
    assert.strictEqual(fault.message, "x: a proxy before Swift answered 503 Service Unavailable: busy")
    assert.strictEqual(fault.retryAfterMs, 7000)
    // Swift may have done what a proxy refuses.
    for (const status of [401, 403, 413, 429]) {
      assert.isFalse(Answer.ofBody(answer(status, "", { requestId: undefined }), "x").clear)
    }
  })

  it("is one line without the token", () => {
    const response = { status: 400, headers: { "retry-after": "3", "x-trans-id": "tx2" } } as unknown as Parameters<
      typeof Answer.read
    >[0]
    const read = Answer.read(response, "<html><h1>Bad</h1><p>no\n\u001b[31m s3cret &amp; more</p></html>", "s3cret", 0)
    assert.deepStrictEqual(read, { status: 400, requestId: "tx2", words: "no [31m *** & more", retryAfterMs: 3000 })
  })
})
