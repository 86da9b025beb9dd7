import { assert, describe, it } from "vitest"
import * as Result from "effect/Result"
import * as S3Uri from "@headrace/s3/S3Uri"

const destination = (uri: string) => {
  const result = S3Uri.destinationFrom(uri)
  if (Result.isFailure(result)) return assert.fail(`${uri}: ${result.failure.message}`)
  return result.success
}

const wrong = (result: Result.Result<unknown, S3Uri.S3UriError>) => {
  if (Result.isSuccess(result)) return assert.fail("no error")
  assert.strictEqual(result.failure.reason, "InvalidUri")
  assert.notInclude(result.failure.message, "\n")
  return result.failure
}

describe("a destination", () => {
  it("is a bucket and a key", () => {
    assert.deepStrictEqual(destination("s3://images/disk.img"), { bucket: "images", key: "disk.img" })
    assert.deepStrictEqual(destination("S3://images/a/b/c"), { bucket: "images", key: "a/b/c" })
  })

  it("takes every parameter", () => {
    assert.deepStrictEqual(
      destination(
        "s3://images/k?endpoint=http%3A%2F%2F127.0.0.1%3A9000&region=eu-1&profile=work&part_size=64MiB" +
          "&storage_class=STANDARD_IA&if_none_match=true"
      ),
      {
        bucket: "images",
        key: "k",
        endpoint: "http://127.0.0.1:9000",
        region: "eu-1",
        profile: "work",
        partSize: 64 * 1024 * 1024,
        storageClass: "STANDARD_IA",
        ifNoneMatch: true
      }
    )
  })

  it("is percent-decoded by segment and by pair, and a + is a plus", () => {
    assert.deepStrictEqual(destination("s3://b/a%2Fb/c%20d+e%3F%23%25?region=x%26y%3Dz"), {
      bucket: "b",
      key: "a/b/c d+e?#%",
      region: "x&y=z"
    })
  })

  it("may have empty segments in its key", () => {
    assert.strictEqual(destination("s3://b//a//b/").key, "/a//b/")
  })

  for (const [uri, message] of [
    ["http://b/k", /written s3:\/\/BUCKET\/KEY/],
    ["s3://b", /the object's key is missing/],
    ["s3://b/", /the object's key is missing/],
    ["s3:///k", /the bucket is missing/],
    ["s3://b/k#x", /a # in a key is written as %23/],
    ["s3://b/%zz", /not percent-encoded UTF-8/],
    ["s3://b/k?region", /"region" has no value/],
    ["s3://b/k?region=", /region is empty/],
    ["s3://b/k?region=a&region=b", /region is given twice/],
    ["s3://b/k?part_size=many", /part_size is no size/],
    ["s3://b/k?if_none_match=yes", /if_none_match is true or false/],
    ["s3://b/k?endpoint=ftp://x", /endpoint is no http/],
    ["s3://b/k?endpoint=x", /endpoint is no http/],
    [
      "s3://b/k?partsize=1",
      /unknown parameter "partsize"; known for a destination: endpoint, region, profile, part_size, storage_class, if_none_match$/
    ]
  ] as const) {
    it(`is not ${uri}`, () => void assert.match(wrong(S3Uri.destinationFrom(uri)).message, message))
  }

  it("shows no secret when it is wrong", () => {
    for (const uri of [
      "s3://AKIA:s3cr3t@b/k",
      "s3://b/k?secret_access_key=s3cr3t",
      "s3://b/k?endpoint=http://u:s3cr3t@h",
      "s3://b/k?endpoint=http://h/?X-Amz-Signature=s3cr3t",
      "s3://b/k?if_none_match=s3cr3t",
      "s3://b/k?part_size=s3cr3t"
    ]) {
      const { message, uri: shown } = wrong(S3Uri.destinationFrom(uri))
      assert.notInclude(message + shown, "s3cr3t")
    }
  })
})

describe("a source", () => {
  it("has what says where it is, and nothing else", () => {
    const found = S3Uri.sourceFrom("s3://b/k?endpoint=https://s3.example.org&profile=p&region=r")
    assert.deepStrictEqual(Result.getOrThrow(found), {
      bucket: "b",
      key: "k",
      endpoint: "https://s3.example.org",
      profile: "p",
      region: "r"
    })
    assert.match(
      wrong(S3Uri.sourceFrom("s3://b/k?part_size=8MiB")).message,
      /^unknown parameter "part_size"; known for a source: endpoint, region, profile$/
    )
  })
})

describe("a bucket", () => {
  const bucket = (uri: string) => {
    const result = S3Uri.bucketFrom(uri)
    return Result.isSuccess(result) ? result.success : assert.fail(`${uri}: ${result.failure.message}`)
  }

  it("is named alone, or with a prefix that ends with a slash", () => {
    assert.deepStrictEqual(bucket("s3://images"), { bucket: "images" })
    assert.deepStrictEqual(bucket("s3://images/"), { bucket: "images" })
    assert.deepStrictEqual(bucket("s3://images/a%20b/c/?region=eu-1"), {
      bucket: "images",
      prefix: "a b/c/",
      region: "eu-1"
    })
  })

  it("is not what names an object, and takes no parameter of one", () => {
    assert.isUndefined(bucket("s3://images/disk.img?region=eu-1"))
    assert.include(wrong(S3Uri.bucketFrom("s3://images?part_size=8MiB")).message, 'unknown parameter "part_size"')
    assert.include(wrong(S3Uri.bucketFrom("s3://")).message, "the bucket is missing")
  })
})
