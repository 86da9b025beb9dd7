import * as SwiftSource from "@headrace/swift/SwiftSource"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as SwiftUri from "@headrace/swift/SwiftUri"
import { assert, describe, it } from "vitest"

const good = (uri: string): SwiftUri.Destination => {
  const result = SwiftUri.destinationFrom(uri)
  return result._tag === "Success" ? result.success : assert.fail(result.failure.message)
}

const wrong = (uri: string, end: "destination" | "source" = "destination") => {
  const result = end === "source" ? SwiftUri.sourceFrom(uri) : SwiftUri.destinationFrom(uri)
  return result._tag === "Failure" ? result.failure : assert.fail(`${uri} is taken for right`)
}

describe("swift://CLOUD/CONTAINER/OBJECT", () => {
  it("is decoded by segment, and OBJECT may have slashes", () => {
    assert.deepInclude(good("swift://prod/images/2026/disk.raw"), {
      cloud: "prod",
      container: "images",
      object: "2026/disk.raw"
    })
    assert.deepInclude(good("SWIFT://a%20b/c%3F/x%2Fy/%C3%A9%23%25+z"), {
      cloud: "a b",
      container: "c?",
      object: "x/y/é#%+z"
    })
    assert.deepInclude(good("swift://c/d//e//"), { container: "d", object: "/e//" })
  })

  it("takes a segment's size, container, and a content type", () => {
    const uri = "swift://c/d/o?segment_size=256MiB&segment_container=s%20t&content_type=image%2Fx"
    const { segmentSize, segmentContainer, contentType } = good(uri)
    assert.deepStrictEqual([segmentSize, segmentContainer, contentType], [268_435_456, "s t", "image/x"])
    assert.strictEqual(good("swift://c/d/o?segment_size=1").segmentSize, 1)
    assert.strictEqual(good("swift://c/d/o").segmentSize, undefined)
  })

  for (const [uri, words] of [
    ["swift:/c/d/o", "an object is written swift://CLOUD/CONTAINER/OBJECT"],
    ["swift://", "the cloud is missing"],
    ["swift:///d/o", "the cloud is missing"],
    ["swift://c", "the container is missing"],
    ["swift://c//o", "the container is missing"],
    ["swift://c/d", "the object is missing"],
    ["swift://c/d/", "the object is missing"],
    ["swift://c/a%2Fb/o", "a container's name has no slash"],
    ["swift://c/d/o#x", "a # in a name is written as %23"],
    ["swift://c/d/100%", "a % is written as %25"],
    ["swift://c/d/o?segment_size=0", 'segment_size is "0"'],
    ["swift://c/d/o?segment_size=big", 'segment_size is "big"'],
    ["swift://c/d/o?segment_size", "segment_size is empty"],
    ["swift://c/d/o?segment_size=1&segment_size=2", "segment_size is given twice"],
    ["swift://c/d/o?segment_container=a%2Fb", "segment_container has no slash"]
  ] as const) {
    it(`${uri} is wrong`, () => {
      const error = wrong(uri)
      assert.strictEqual(error.reason, "InvalidUri")
      assert.include(error.message, words)
      assert.notInclude(error.message, "\n")
    })
  }

  it("lists what is known for what is not, and repeats no value and no password", () => {
    const error = wrong("swift://user:pa55@c/d/o?token=s3cret")
    assert.include(error.message, "without user and password")
    const unknown = wrong("swift://c/d/o?token=s3cret&segment_size=1")
    assert.include(
      unknown.message,
      'unknown parameter "token" of a destination: known are segment_size, segment_container, content_type'
    )
    assert.strictEqual(unknown.uri, "swift://c/d/o?token=…&segment_size=1")
    for (const { message, uri } of [error, unknown]) assert.notMatch(message + uri, /s3cret|pa55/)
    assert.include(wrong("swift://c/d/o?segment_size=1", "source").message, "of a source: there are none")
  })

  it("makes a store, and a source, that are called so", () => {
    const uri = "swift://c/d/a%20b?segment_size=1MiB"
    const store = SwiftStore.fromUri(uri)
    assert.strictEqual(store._tag === "Success" ? store.success.uri : "", uri)
    const source = SwiftSource.fromUri("swift://c/d/a%20b")
    assert.strictEqual(source._tag === "Success" ? source.success.uri : "", "swift://c/d/a%20b")
    assert.strictEqual(SwiftStore.fromUri("swift://c")._tag, "Failure")
    assert.strictEqual(
      SwiftStore.object({ cloud: "x/y", container: "c?", object: "a/b #" }).uri,
      "swift://x%2Fy/c%3F/a/b%20%23"
    )
  })
})

describe("swift://CLOUD/CONTAINER", () => {
  const container = (uri: string) => {
    const result = SwiftUri.containerFrom(uri)
    return result._tag === "Success" ? result.success : assert.fail(result.failure.message)
  }

  it("is a container, with or without a slash at its end", () => {
    for (const uri of ["swift://prod/a%20b", "swift://prod/a%20b/"]) {
      assert.deepStrictEqual(container(uri), { uri: "swift://prod/a%20b", cloud: "prod", container: "a b" })
    }
    assert.deepStrictEqual(container("swift://prod/c/?segment_container=s"), {
      uri: "swift://prod/c?segment_container=s",
      cloud: "prod",
      container: "c",
      segmentContainer: "s"
    })
  })

  it("is not what names an object", () => {
    assert.isUndefined(container("swift://prod/c/o"))
    const result = SwiftUri.containerFrom("swift://prod")
    assert.include(result._tag === "Failure" ? result.failure.message : "", "the container is missing")
  })
})
