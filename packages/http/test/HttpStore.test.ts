/**
 * Uploads to a web server that works: what is sent, what is looked at, what the receipt says.
 */
import * as Source from "@headrace/core/Source"
import * as HttpStore from "@headrace/http/HttpStore"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { hex, noise, runtime, unsized, upload } from "./support/upload.ts"
import * as Web from "./support/web.ts"

const bytes = noise(3_000_000)
const small = noise(50_000, 2)
const servers: Array<Web.Web> = []

const web = async (manner?: Web.Manner) => {
  const made = await Web.start(manner)
  servers.push(made)
  return made
}

const put = (server: Web.Web) => server.seen.find(({ method }) => method === "PUT" || method === "POST")!

const reprDigest = (stored: Buffer) => ({ "Repr-Digest": `sha-256=:${Web.base64("sha256", stored)}:` })

afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())))
afterAll(() => runtime.dispose())

describe("an upload to a web server", () => {
  it("is looked at before and after, and verified by the digest that the server reports", async () => {
    const server = await web({ reports: reprDigest })
    const { error, receipt } = await upload(bytes, { url: `${server.url}/a/disk.raw` })
    assert.isUndefined(error)
    const [destination] = receipt.destinations
    assert.strictEqual(server.methods(), "HEAD PUT HEAD")
    assert.isTrue(server.objects.get("/a/disk.raw")!.equals(bytes))
    assert.strictEqual(destination!.status, "verified")
    assert.strictEqual(destination!.uri, `${server.url}/a/disk.raw`)
    assert.deepStrictEqual(destination!.object, {
      id: `${server.url}/a/disk.raw`,
      size: bytes.length,
      digests: { sha256: hex("sha256", bytes) }
    })
    assert.deepStrictEqual(destination!.proof!.compared, ["sha256"])
    assert.isUndefined(destination!.notes)
    const { headers } = put(server)
    assert.strictEqual(headers["content-length"], String(bytes.length))
    assert.strictEqual(headers["content-type"], "application/octet-stream")
    assert.strictEqual(headers["expect"], "100-continue")
    assert.isUndefined(headers["repr-digest"], "nobody knew it")
    assert.isUndefined(headers["if-none-match"])
    assert.match(server.seen[2]!.headers["want-repr-digest"] as string, /^sha-256=10/)
  })

  it("is stored, and no more, where the server reports no digest", async () => {
    const server = await web()
    const { error, receipt } = await upload(small, { url: `${server.url}/x` })
    assert.isUndefined(error)
    assert.strictEqual(receipt.destinations[0]!.status, "stored")
    assert.deepStrictEqual(receipt.destinations[0]!.proof!.compared, [])
  })

  for (const [name, reports, compared] of [
    ["Content-Digest", (b: Buffer) => ({ "Content-Digest": `sha-512=:${Web.base64("sha512", b)}:` }), "sha512"],
    ["Digest", (b: Buffer) => ({ Digest: `unixsum=30637,SHA-256=${Web.base64("sha256", b)}` }), "sha256"],
    ["Content-MD5", (b: Buffer) => ({ "Content-MD5": Web.base64("md5", b) }), "md5"]
  ] as const) {
    it(`is verified by ${name}, which what was there before has shown`, async () => {
      const server = await web({ reports })
      server.objects.set("/x", small)
      const { error, receipt } = await upload(bytes, { url: `${server.url}/x` })
      assert.isUndefined(error, error?.message)
      assert.strictEqual(receipt.destinations[0]!.status, "verified")
      assert.deepStrictEqual(receipt.destinations[0]!.proof!.compared, [compared])
    })
  }

  it("takes an ETag for an MD5 only when told", async () => {
    const server = await web({ etags: true })
    const plain = await upload(small, { url: `${server.url}/x` })
    assert.strictEqual(plain.receipt.destinations[0]!.status, "stored")
    const told = await upload(small, { url: `${server.url}/y`, etagIs: "md5" })
    assert.strictEqual(told.receipt.destinations[0]!.status, "verified")
    assert.deepStrictEqual(told.receipt.destinations[0]!.proof!.compared, ["md5"])
  })

  it("computes nothing for a server that has shown that it reports nothing", async () => {
    const server = await web()
    server.objects.set("/x", small)
    const { receipt } = await upload(bytes, { url: `${server.url}/x` })
    assert.deepStrictEqual(receipt.source.digests, {})
    assert.strictEqual(receipt.destinations[0]!.status, "stored")
  })

  it("is read back for the level that asks for it", async () => {
    const server = await web()
    const { error, receipt } = await upload(bytes, { url: `${server.url}/x` }, { verify: "destination" })
    assert.isUndefined(error, error?.message)
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
    assert.deepStrictEqual(receipt.destinations[0]!.proof!.compared, ["sha256"])
    assert.strictEqual(server.methods(), "HEAD PUT HEAD GET")
    assert.strictEqual(server.seen[3]!.headers["accept-encoding"], "identity")
  })

  it("may be empty, where that is meant", async () => {
    const server = await web({ reports: reprDigest })
    const { error, receipt } = await upload(Buffer.alloc(0), { url: `${server.url}/x` }, { allowEmpty: true })
    assert.isUndefined(error, error?.message)
    assert.strictEqual(server.objects.get("/x")!.length, 0)
    assert.strictEqual(receipt.destinations[0]!.object!.size, 0)
  })
})

describe("what is sent", () => {
  it("are the caller's fields and credentials, to the URL with its query", async () => {
    const server = await web()
    const { error } = await upload(small, {
      url: `http://us%65r:p%40ss@127.0.0.1:${server.port}/x?sig=abcd1234&v#frag`,
      headers: { "X-Auth-Token": Redacted.make("t0ken"), "Content-Language": "en", "If-Unmodified-Since": "now" },
      contentType: "image/x-raw"
    })
    assert.isUndefined(error, error?.message)
    const basic = `Basic ${Buffer.from("user:p@ss").toString("base64")}`
    for (const { headers, method, path } of server.seen) {
      assert.strictEqual(path, "/x?sig=abcd1234&v")
      assert.strictEqual(headers["authorization"], basic)
      assert.strictEqual(headers["x-auth-token"], "t0ken")
      assert.strictEqual(headers["if-unmodified-since"], method === "PUT" ? "now" : undefined)
    }
    assert.strictEqual(put(server).headers["content-type"], "image/x-raw")
    assert.strictEqual(put(server).headers["content-language"], "en")
  })

  it("is a digest field in front, when the transfer expects the digest or the source's service reports it", async () => {
    const server = await web()
    const sha256 = hex("sha256", small)
    const repr = `sha-256=:${Web.base64("sha256", small)}:`
    const digestHeaders = ["repr-digest", "content-md5"] as const
    const expected = await upload(
      small,
      { url: `${server.url}/x`, digestHeaders },
      { expect: { sha256: sha256.toUpperCase() } }
    )
    assert.isUndefined(expected.error, expected.error?.message)
    assert.strictEqual(put(server).headers["repr-digest"], repr)
    assert.isUndefined(put(server).headers["content-md5"])
    server.seen.length = 0
    const source: Source.Source = {
      ...Source.fromBytes(small),
      hints: Effect.succeed({ digests: { md5: hex("md5", small), sha512: hex("sha512", small) } })
    }
    const reported = await upload(source, { url: `${server.url}/y`, digestHeaders }, { expect: { sha256 } })
    assert.isUndefined(reported.error, reported.error?.message)
    assert.strictEqual(put(server).headers["repr-digest"], `${repr}, sha-512=:${Web.base64("sha512", small)}:`)
    assert.strictEqual(put(server).headers["content-md5"], Web.base64("md5", small))
    server.seen.length = 0
    await upload(source, { url: `${server.url}/z`, digestHeaders: [] }, { expect: { sha256 } })
    assert.isUndefined(put(server).headers["repr-digest"])
  })

  it("is a claim that the source is held to: a wrong one is never complete", async () => {
    const server = await web()
    const source: Source.Source = {
      ...Source.fromBytes(bytes),
      hints: Effect.succeed({ digests: { md5: hex("md5", small) } })
    }
    const { error } = await upload(source, { url: `${server.url}/x`, digestHeaders: ["content-md5"] }, { retries: 0 })
    assert.strictEqual(error?.reason._tag, "SourceMismatch")
    assert.isFalse(server.objects.has("/x"))
    assert.strictEqual(error?.left, "none")
  })

  it("is a digest field behind the body, in HTTP chunks, when that is asked for", async () => {
    const server = await web()
    for (const source of [bytes, unsized(bytes)]) {
      server.seen.length = 0
      const { error } = await upload(source, {
        url: `${server.url}/x`,
        digestHeaders: ["repr-digest", "content-md5"],
        digestTrailers: true
      })
      assert.isUndefined(error, error?.message)
      const { headers, trailers } = put(server)
      assert.isUndefined(headers["content-length"])
      assert.strictEqual(headers["transfer-encoding"], "chunked")
      assert.strictEqual(headers["trailer"], "Repr-Digest, Content-MD5")
      assert.deepStrictEqual(
        { ...trailers },
        { "repr-digest": `sha-256=:${Web.base64("sha256", bytes)}:`, "content-md5": Web.base64("md5", bytes) }
      )
      assert.isTrue(server.objects.get("/x")!.equals(bytes))
    }
  })

  it("has a length, not trailers, where everything is known in front", async () => {
    const server = await web()
    const { error } = await upload(
      small,
      { url: `${server.url}/x`, digestTrailers: true },
      { expect: { sha256: hex("sha256", small) } }
    )
    assert.isUndefined(error, error?.message)
    assert.strictEqual(put(server).headers["content-length"], String(small.length))
    assert.isUndefined(put(server).headers["trailer"])
  })

  it("is in HTTP chunks where the size is not known", async () => {
    const server = await web({ reports: reprDigest })
    const { error, receipt } = await upload(unsized(bytes), { url: `${server.url}/x` })
    assert.isUndefined(error, error?.message)
    assert.strictEqual(put(server).headers["transfer-encoding"], "chunked")
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
  })

  it("asks for a new object when told, and replaces nothing", async () => {
    const server = await web()
    const made = await upload(small, { url: `${server.url}/x`, ifNoneMatch: true })
    assert.isUndefined(made.error, made.error?.message)
    assert.strictEqual(put(server).headers["if-none-match"], "*")
    const again = await upload(bytes, { url: `${server.url}/x`, ifNoneMatch: true })
    assert.strictEqual(again.error?.reason._tag, "Conflict")
    assert.strictEqual(again.error?.left, `object ${server.url}/x`)
    assert.isTrue(server.objects.get("/x")!.equals(small))
  })

  it("may be a POST, which makes an object where the server says", async () => {
    const server = await web({
      reports: reprDigest,
      taken: (response) => {
        server.objects.set("/made/7", server.objects.get("/inbox")!)
        response.writeHead(201, { Location: "/made/7?sig=s3cret" }).end()
      }
    })
    const { error, receipt, told } = await upload(bytes, { url: `${server.url}/inbox`, method: "POST" })
    assert.isUndefined(error, error?.message)
    assert.strictEqual(server.methods(), "POST HEAD")
    assert.strictEqual(server.seen[1]!.path, "/made/7?sig=s3cret")
    assert.strictEqual(receipt.destinations[0]!.object!.id, `${server.url}/made/7`)
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
    assert.notInclude(told, "s3cret")
  })
})

describe("before an upload", () => {
  const plan = (options: HttpStore.Options) =>
    runtime.runPromise(Effect.scoped(HttpStore.put(options).plan({ size: small.length, head: small })))

  it("the plan says what would happen, and makes nothing", async () => {
    const server = await web({
      instead: (request, response) => {
        const status = /^\/(\d{3})$/.exec(request.url!)?.[1]
        if (status !== undefined) response.writeHead(Number(status)).end()
        return status !== undefined
      }
    })
    server.objects.set("/there", bytes)
    const at = (path: string, more?: Partial<HttpStore.Options>) => plan({ url: `${server.url}${path}`, ...more })
    assert.deepStrictEqual(await at("/new"), { action: "create", why: "a new object" })
    assert.deepStrictEqual(await at("/there"), { action: "create", why: "replaces 3000000 bytes" })
    assert.deepStrictEqual(await at("/there", { ifNoneMatch: true }), {
      action: "fail",
      why: "there is an object already (3000000 bytes), which is not replaced"
    })
    assert.match((await at("/403")).why, /does not say what is there \(403 Forbidden\)/)
    assert.strictEqual((await at("/401")).action, "fail")
    const error = await at("/503").then(
      () => assert.fail("it succeeded"),
      (cause: unknown) => cause as { readonly reason: { readonly _tag: string }; readonly retryable: boolean }
    )
    assert.strictEqual(error.reason._tag, "Unavailable")
    assert.isTrue(error.retryable)
    assert.strictEqual(server.seen.filter(({ method }) => method !== "HEAD" && method !== "GET").length, 0)
    assert.deepStrictEqual([...server.objects.keys()], ["/there"])
  })

  it("the capabilities are what the URL shows", async () => {
    const server = await web({ reports: reprDigest })
    const ask = (path: string) =>
      runtime.runPromise(Effect.scoped(HttpStore.put({ url: `${server.url}${path}` }).capabilities))
    const nothing = await ask("/x")
    assert.strictEqual(nothing.shape, "whole")
    assert.isFalse(nothing.needsSize)
    assert.isTrue(nothing.sharedMemory)
    assert.deepStrictEqual(nothing.reports, [])
    assert.strictEqual(nothing.learnt["reports"], "assumed")
    assert.isUndefined(nothing.rangedRead)
    server.objects.set("/x", small)
    const something = await ask("/x")
    assert.deepStrictEqual(something.reports, ["sha256"])
    assert.strictEqual(something.learnt["reports"], "probed")
    assert.isTrue(something.rangedRead)
    assert.strictEqual(something.details["object"], "50000 bytes")
  })

  for (const [name, options, reason, message] of [
    ["no URL", { url: "disk" }, "InvalidUri", "the URL is not valid"],
    ["another protocol", { url: "ftp://a/b" }, "InvalidUri", "'ftp:' is not a URL that can be written to"],
    ["a framing field", { url: "http://a/", headers: { "content-Length": "1" } }, "InvalidConfig", "content-Length"],
    ["Host", { url: "http://a/", headers: { Host: "b" } }, "InvalidConfig", "'Host'"],
    ["a field twice", { url: "http://a/", headers: { "X-A": "1", "x-a": "2" } }, "InvalidConfig", "given twice"],
    [
      "an unknown digest field",
      { url: "http://a/", digestHeaders: ["etag" as "repr-digest"] },
      "InvalidConfig",
      "etag"
    ],
    ["another method", { url: "http://a/", method: "PATCH" as "PUT" }, "InvalidConfig", "not 'PATCH'"],
    [
      "trailers of nothing",
      { url: "http://a/", digestHeaders: [], digestTrailers: true },
      "InvalidConfig",
      "needs a field"
    ],
    ["a field that cannot be sent", { url: "http://127.0.0.1:9/", headers: { "X-A": "a\nb" } }, "InvalidConfig", "x-a"]
  ] as const) {
    it(`${name} is refused, and nothing is sent`, async () => {
      const { error } = await upload(small, options, { retries: 0 })
      assert.strictEqual(error?.reason._tag, reason)
      assert.include(error?.message, message)
      assert.strictEqual(error?.left, "none")
    })
  }
})
