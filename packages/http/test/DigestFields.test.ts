import { assert, describe, it } from "vitest"
import * as DigestFields from "../src/internal/digestFields.ts"
import * as Redirect from "../src/internal/redirect.ts"
import * as Target from "../src/internal/target.ts"
import { hex } from "./support/upload.ts"
import { base64 } from "./support/web.ts"

const text = Buffer.from('{"hello": "world"}\n')
const sha256 = hex("sha256", text)
const read = (headers: Record<string, string>, status = 200, etagIs?: "md5") =>
  DigestFields.reported({ status, headers }, etagIs)

describe("digest fields", () => {
  it("are those of RFC 9530, appendix B.1", () => {
    const field = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert.strictEqual(DigestFields.valueOf("repr-digest", { sha256 }), field)
    assert.deepStrictEqual(read({ "repr-digest": field }), { sha256 })
  })

  it("are read in all their forms", () => {
    const sha512 = hex("sha512", text)
    for (const [headers, found] of [
      [{ "content-digest": `sha-512=:${base64("sha512", text)}:;q=1` }, { sha512 }],
      [{ "repr-digest": `id-sha-256=:AAAA:, sha-256=:${base64("sha256", text)}:` }, { sha256 }],
      [{ digest: `SHA-256=${base64("sha256", text)},unixsum=30637` }, { sha256 }],
      [
        { digest: `md5=${base64("md5", text)}, sha=${base64("sha1", text)}` },
        { md5: hex("md5", text), sha1: hex("sha1", text) }
      ],
      [{ "content-md5": ` ${base64("md5", text)} ` }, { md5: hex("md5", text) }],
      [{ "repr-digest": `sha-256=:${base64("sha256", text)}:`, digest: "sha-256=AAAA" }, { sha256 }]
    ] as const) {
      assert.deepStrictEqual<object>(read(headers), found)
    }
  })

  it("that say nothing are none", () => {
    for (const headers of [
      { "repr-digest": "sha-256=:AAAA:" },
      { "repr-digest": `sha-256=:${"*".repeat(44)}:` },
      { "repr-digest": `sha-256=${base64("sha256", text)}` },
      { "content-md5": base64("sha256", text) },
      { digest: "sha-256=" },
      { etag: `"${hex("md5", text)}"` }
    ] as ReadonlyArray<Record<string, string>>) {
      assert.deepStrictEqual(read(headers), {}, JSON.stringify(headers))
    }
    assert.isUndefined(DigestFields.valueOf("repr-digest", { sha256: "00" }))
    assert.isUndefined(DigestFields.valueOf("repr-digest", { md5: hex("md5", text), sha256: "xyz" }))
  })

  it("of a part or of a coding are not those of the whole", () => {
    const headers = { "content-digest": `sha-256=:${base64("sha256", text)}:`, "content-md5": base64("md5", text) }
    assert.deepStrictEqual(read(headers, 206), {})
    assert.deepStrictEqual(read({ "repr-digest": headers["content-digest"] }, 206), { sha256 })
    assert.deepStrictEqual(read({ "repr-digest": headers["content-digest"], "content-encoding": "gzip" }), {})
    assert.deepStrictEqual(read({ "repr-digest": headers["content-digest"], "content-encoding": "identity" }), {
      sha256
    })
  })

  it("may be an ETag that is told to be one, and is strong, and is of one part", () => {
    const md5 = hex("md5", text)
    assert.deepStrictEqual(read({ etag: `"${md5.toUpperCase()}"` }, 200, "md5"), { md5 })
    assert.deepStrictEqual(read({ etag: `W/"${md5}"` }, 200, "md5"), {})
    assert.deepStrictEqual(read({ etag: `"${md5}-3"` }, 200, "md5"), {})
  })
})

describe("a redirect", () => {
  const judge = (from: string, location: string, status = 307) =>
    Redirect.judge(new URL(from), { status, headers: { location } }, 0)

  it("out of TLS is refused", () => {
    const found = judge("https://a.test/x", "http://a.test/y?sig=secret")
    assert.deepStrictEqual(found, {
      _tag: "Refuse",
      why: "the server redirects to http://a.test, which is not encrypted (307 Temporary Redirect)"
    })
  })

  it("keeps the query and drops a user, a password and a fragment", () => {
    const found = judge("http://a.test/x", "https://u:p@b.test/y?sig=1#f", 308)
    assert.strictEqual(found._tag === "Follow" ? found.url.href : found.why, "https://b.test/y?sig=1")
  })

  it("leaves the client certificate behind", () => {
    assert.deepStrictEqual(Target.anonymous({ verify: true, ca: "CA", cert: "C", key: "K" }), {
      verify: true,
      ca: "CA"
    })
    assert.deepStrictEqual(Target.anonymous({ verify: false }), { verify: false })
  })
})
