/**
 * What is computed and read without a service: encodings, ETags, error documents, who a service is.
 */
import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import * as Effect from "effect/Effect"
import * as Profile from "@headrace/s3/Profile"
import * as S3Store from "@headrace/s3/S3Store"
import * as S3Source from "@headrace/s3/S3Source"
import * as Encoding from "../src/internal/encoding.ts"
import * as Fault from "../src/internal/fault.ts"
import * as Look from "../src/internal/look.ts"
import { hex, noise, runtime } from "./support/bed.ts"

describe("digests", () => {
  it("go from hex to base64 and back", () => {
    assert.strictEqual(Encoding.base64OfHex("ae8b14860a799888"), "rosUhgp5mIg=")
    assert.strictEqual(Encoding.hexOfBase64("rosUhgp5mIg="), "ae8b14860a799888")
    for (const length of [4, 8, 16, 20, 32]) {
      const text = hex("sha512", noise(length)).slice(0, 2 * length)
      assert.strictEqual(Encoding.hexOfBase64(Encoding.base64OfHex(text)), text)
    }
    for (const bad of ["", "abc", "rosUhgp5mIg=-3", "a b="]) assert.isUndefined(Encoding.hexOfBase64(bad))
  })

  it("are an ETag, when it looks like an MD5", () => {
    const md5 = "D41D8CD98F00B204E9800998ECF8427E"
    assert.strictEqual(Encoding.md5OfEtag(`"${md5}"`), md5.toLowerCase())
    assert.strictEqual(Encoding.md5OfEtag(`W/"${md5}"`), md5.toLowerCase())
    for (const etag of [undefined, "", '"abc"', `"${md5}-2"`]) assert.isUndefined(Encoding.md5OfEtag(etag))
  })

  it("of parts make the ETag of the whole", () => {
    const parts = ["a", "b"].map((text) => hex("md5", Buffer.from(text)))
    // printf a | md5sum, printf b | md5sum; both by xxd -r -p into md5sum
    assert.strictEqual(Encoding.etagOfParts(parts), "96e024ba2074fe77e8e965ba43a704be-2")
  })

  it("are those of the whole only where the service says so", () => {
    const ChecksumCRC64NVME = "rosUhgp5mIg="
    assert.deepStrictEqual(Look.digestsOf({ ChecksumCRC64NVME, ChecksumType: "FULL_OBJECT" }), {
      crc64nvme: "ae8b14860a799888"
    })
    assert.deepStrictEqual(Look.digestsOf({ ChecksumCRC64NVME }), { crc64nvme: "ae8b14860a799888" })
    assert.deepStrictEqual(Look.digestsOf({ ChecksumCRC32C: "yZRlqg==", ChecksumType: "COMPOSITE" }), {})
    assert.deepStrictEqual(Look.digestsOf({ ChecksumCRC32C: "yZRlqg==-3" }), {})
    // A service that gives a CRC-32 for every checksum it is asked for.
    assert.deepStrictEqual(Look.digestsOf({ ChecksumCRC64NVME: "yZRlqg==", ChecksumType: "FULL_OBJECT" }), {})
  })
})

const meaning = (status: number, code?: string, headers: Record<string, string> = {}, message = "why") =>
  Fault.refusal({ status, code, message, headers, now: 0 }, "it was not done")

describe("a refusal", () => {
  for (const [status, code, reason, retryable, clear] of [
    [404, "NoSuchBucket", "NotFound", false, true],
    [404, "NoSuchKey", "NotFound", false, true],
    [404, "NoSuchUpload", "Gone", false, false],
    [403, "AccessDenied", "Forbidden", false, true],
    [403, "SignatureDoesNotMatch", "Unauthorized", false, true],
    [403, "InvalidAccessKeyId", "Unauthorized", false, true],
    [404, "XAdminUserNotFound", "Unauthorized", false, true],
    [400, "ExpiredToken", "Unauthorized", false, true],
    [400, "EntityTooLarge", "TooLarge", false, true],
    [503, "SlowDown", "Unavailable", true, false],
    [500, "InternalError", "Unavailable", true, false],
    [200, "InternalError", "Unavailable", true, false],
    [400, "RequestTimeout", "Unavailable", true, false],
    [400, "BadDigest", "DigestMismatch", true, true],
    [400, "XAmzContentChecksumMismatch", "DigestMismatch", true, true],
    [412, "PreconditionFailed", "Conflict", false, true],
    [409, "ConditionalRequestConflict", "Conflict", true, true],
    [501, "NotImplemented", "Unsupported", false, true],
    [400, "SomethingNew", "Rejected", false, true],
    [401, undefined, "Unauthorized", false, true],
    [403, undefined, "Forbidden", false, true],
    [404, undefined, "NotFound", false, true],
    [413, undefined, "TooLarge", false, true],
    [429, undefined, "Unavailable", true, false],
    [502, undefined, "Unavailable", true, false],
    [507, undefined, "QuotaExceeded", false, true]
  ] as const) {
    it(`${status} ${code ?? "without a code"} is ${reason}`, () => {
      const fault = meaning(status, code)
      assert.deepInclude(fault, { reason, retryable, clear, status })
      assert.strictEqual(
        fault.message,
        `it was not done: ${code === undefined ? `status ${status}` : `${code} (${status})`}: why`
      )
    })
  }

  it("waits as long as it is asked to", () => {
    assert.strictEqual(meaning(503, "SlowDown", { "retry-after": "7" }).retryAfterMs, 7000)
    assert.strictEqual(
      meaning(503, "SlowDown", { "retry-after": "Thu, 01 Jan 1970 00:01:00 GMT" }).retryAfterMs,
      60_000
    )
    assert.isUndefined(meaning(503, "SlowDown").retryAfterMs)
  })

  it("for a wrong clock says both times", () => {
    const { message } = meaning(403, "RequestTimeTooSkewed", { date: "Thu, 01 Jan 2026 00:00:00 GMT" })
    assert.match(
      message,
      /this machine's clock is wrong: it is Thu, 01 Jan 1970 00:00:00 GMT here, the service's is Thu, 01 Jan 2026/
    )
  })

  it("is one line, without what acts on a terminal", () => {
    const { message } = meaning(400, "Odd", {}, "a\n\u001b[31mb \u202e".padEnd(500, "x"))
    for (const char of ["\n", "\u001b", "\u202e"]) assert.notInclude(message, char)
    assert.isBelow(message.length, 260)
  })

  it("is read from XML, with what it has encoded", () => {
    const xml = "<Error><Code>AccessDenied</Code><Message>&quot;a&#34; &amp; &lt;b&gt;</Message></Error>"
    assert.deepStrictEqual(Fault.ofXml(xml), {
      code: "AccessDenied",
      message: '"a" & <b>',
      region: undefined
    })
    assert.deepStrictEqual(Fault.ofXml("<html><title>502 Bad Gateway</title></html>"), {
      code: undefined,
      message: "502 Bad Gateway",
      region: undefined
    })
    assert.strictEqual(Fault.ofXml("<Error><Region>eu-west-1</Region></Error>").region, "eu-west-1")
  })
})

describe("a service", () => {
  for (const [host, headers, vendor] of [
    ["bucket.s3.eu-west-1.amazonaws.com", {}, "aws"],
    ["s3.cn-north-1.amazonaws.com.cn", {}, "aws"],
    ["amazonaws.com.evil.org", {}, "generic"],
    ["abc.r2.cloudflarestorage.com", {}, "r2"],
    ["127.0.0.1", { server: "VERSITYGW" }, "versitygw"],
    ["127.0.0.1", { server: "MinIO" }, "minio"],
    ["127.0.0.1", { server: "SeaweedFS 30GB 4.0" }, "seaweedfs"],
    ["127.0.0.1", { server: "Ceph Object Gateway (squid)" }, "ceph"],
    ["127.0.0.1", { "x-trans-id": "tx1", "x-openstack-request-id": "tx1" }, "swift"],
    ["127.0.0.1", { server: "nginx" }, "generic"]
  ] as const) {
    it(`at ${host} with ${JSON.stringify(headers)} is ${vendor}`, () =>
      void assert.strictEqual(Profile.recognized(host, headers), vendor))
  }
})

const refused = async (options: Partial<S3Store.Options>) => {
  const store = S3Store.object({ bucket: "bucket", key: "key", ...options })
  const error = await runtime.runPromise(Effect.flip(Effect.scoped(store.capabilities)))
  const source = S3Source.object({ bucket: "bucket", key: "key", ...options })
  const same = await runtime.runPromise(Effect.result(source.info))
  return { ...error, message: error.message, source: Result.isFailure(same) ? same.failure.message : undefined }
}

describe("options", () => {
  for (const [options, reason, message] of [
    [{ key: "" }, "InvalidUri", /key is missing/],
    [{ key: "a/../b" }, "InvalidUri", /cannot be addressed/],
    [{ key: "x".repeat(1025) }, "InvalidUri", /more than 1024 bytes/],
    [{ bucket: "a/b" }, "InvalidUri", /bucket's name/],
    [{ endpoint: "nonsense" }, "InvalidConfig", /not a URL/],
    [{ endpoint: "ftp://x" }, "InvalidConfig", /no http/],
    [{ endpoint: "http://u:s3cr3t@h" }, "InvalidConfig", /cannot have/]
  ] as const) {
    it(`${JSON.stringify(options).slice(0, 60)} are refused before anybody is asked`, async () => {
      const error = await refused(options)
      assert.strictEqual(error.reason._tag, reason)
      assert.match(error.message, message)
      assert.strictEqual(error.source, error.message)
      assert.notInclude(JSON.stringify(error), "s3cr3t")
    })
  }

  for (const [options, message] of [
    [{ partSize: 1024 }, /5 MiB.* to .*5 GiB/],
    [{ partSize: 6 * 1024 ** 3 }, /5 MiB.* to .*5 GiB/],
    [{ storageClass: "a b" }, /storage class/],
    [{ contentType: "a\nb" }, /content type/],
    [{ vendor: "acme" as never }, /known: aws, versitygw/]
  ] as const) {
    it(`${JSON.stringify(options)} of a store are refused`, async () => {
      const error = await refused(options)
      assert.strictEqual(error.reason._tag, "InvalidConfig")
      assert.match(error.message, message)
    })
  }
})
