import { assert, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as GlanceUri from "@headrace/glance/GlanceUri"

const id = "6b1c7b4e-1f0c-4a2b-8c3d-123456789abc"

const destination = (uri: string) => {
  const result = GlanceUri.destinationFrom(uri)
  if (Result.isFailure(result)) assert.fail(`${uri}: ${result.failure.message}`)
  const { uri: shown, ...rest } = result.success
  assert.strictEqual(shown, uri)
  return rest
}

const error = (result: Result.Result<unknown, GlanceUri.GlanceUriError>) => {
  if (Result.isSuccess(result)) assert.fail("no error")
  assert.notInclude(result.failure.message, "\n")
  return result.failure
}

const wrong = (uri: string) => {
  const failure = error(GlanceUri.destinationFrom(uri))
  assert.strictEqual(failure.reason, "InvalidUri")
  return failure.message
}

describe("a destination", () => {
  it("is a new image with a name", () => {
    assert.deepStrictEqual(destination("glance://prod/disk"), { cloud: "prod", name: "disk" })
  })

  it("takes every parameter", () => {
    assert.deepStrictEqual(
      destination(
        `glance://prod/disk?store=fast&disk_format=qcow2&container_format=bare&visibility=shared&protected=true&min_disk=10` +
          `&min_ram=512&tag=a&tag=b&tag=a&hidden=false&id=${id}&property.os_distro=alpine&property.note=`
      ),
      {
        cloud: "prod",
        name: "disk",
        store: "fast",
        diskFormat: "qcow2",
        containerFormat: "bare",
        visibility: "shared",
        protected: true,
        minDisk: 10,
        minRam: 512,
        hidden: false,
        newId: id,
        tags: ["a", "b"],
        properties: { os_distro: "alpine", note: "" }
      }
    )
  })

  it("is percent-decoded, the path by segment and the query by pair", () => {
    assert.deepStrictEqual(destination("glance://my%20cloud/a%2Fb%3Fc%23%20%25?property.a%26b=c%3Dd+e=f&tag=%C3%BC"), {
      cloud: "my cloud",
      name: "a/b?c# %",
      tags: ["ü"],
      properties: { "a&b": "c=d+e=f" }
    })
  })

  it("with a UUID is an existing image", () => {
    assert.deepStrictEqual(destination(`glance://prod/${id}`), { cloud: "prod", id })
    assert.deepStrictEqual(destination(`glance://prod/${id.toUpperCase()}`), { cloud: "prod", id: id.toUpperCase() })
    assert.deepStrictEqual(destination(`glance://prod/${id}?name=other`), { cloud: "prod", id, name: "other" })
  })

  it("can have a name that looks like a UUID", () => {
    assert.deepStrictEqual(destination(`glance://prod?name=${id}`), { cloud: "prod", name: id })
    assert.deepStrictEqual(destination(`glance://prod/?name=${id}`), { cloud: "prod", name: id })
  })

  it("lists what is known when something is not", () => {
    const message = wrong("glance://prod/disk?colour=red")
    assert.include(message, '"colour"')
    for (const name of ["store", "disk_format", "min_ram", "tag", "property.KEY"]) assert.include(message, name)
  })

  const bad: ReadonlyArray<readonly [uri: string, says: string]> = [
    ["glance://prod", "name is missing"],
    ["glance://prod/", "name is missing"],
    ["glance:///disk", "cloud is missing"],
    ["glance:prod/disk", "glance://CLOUD/IMAGE"],
    ["glance://prod/a/b", "%2F"],
    ["glance://prod/a%zz", "%25"],
    ["glance://prod/a%ff", "UTF-8"],
    ["glance://prod/a#b", "%23"],
    ["glance://prod/disk?store", "has no value"],
    ["glance://prod/disk?store=", "store is empty"],
    ["glance://prod/disk?store=a&store=", "store is empty"],
    ["glance://prod/disk?store=a&store=b&store=a", 'the store "a" is named twice'],
    ["glance://prod/disk?visibility=everyone", "public, private, shared, community"],
    ["glance://prod/disk?protected=yes", "true, false"],
    ["glance://prod/disk?hidden=1", "true, false"],
    ["glance://prod/disk?min_disk=-1", "whole number of GiB"],
    ["glance://prod/disk?min_ram=1.5", "whole number of MiB"],
    ["glance://prod/disk?min_ram=", "whole number of MiB"],
    ["glance://prod/disk?id=abc", "a UUID"],
    [`glance://prod/${id}?id=${id}`, "existing image"],
    ["glance://prod/disk?name=other", "given twice"],
    ["glance://prod/disk?min_disk=1&min_disk=2", "min_disk is given twice"],
    ["glance://prod/disk?property.=x", "1 to 255"],
    ["glance://prod/disk?property.size=1", "attribute"],
    ["glance://prod/disk?property.os_glance_x=1", "service's own"]
  ]
  for (const [uri, says] of bad) it(`${uri} is wrong: ${says}`, () => assert.include(wrong(uri), says))

  it("can have several stores, in their order", () => {
    assert.deepStrictEqual(destination("glance://prod/disk?store=fast&tag=a&store=che%20ap").store, ["fast", "che ap"])
  })

  it("never shows a password that somebody wrote", () => {
    const failure = error(GlanceUri.destinationFrom("glance://me:s3cret@prod/disk"))
    assert.notInclude(`${failure.uri} ${failure.message}`, "s3cret")
    assert.strictEqual(failure.uri, "glance://prod/disk")
  })
})

describe("a source", () => {
  const source = (uri: string) => Result.getOrThrow(GlanceUri.sourceFrom(uri))

  it("is an image by id, else by name", () => {
    assert.deepStrictEqual(source(`glance://prod/${id}`).image, { id })
    assert.deepStrictEqual(source("glance://prod/my%20disk").image, { name: "my disk" })
    assert.deepStrictEqual(source(`glance://prod?name=${id}`).image, { name: id })
  })

  it("takes no destination's parameter, and says which it takes", () => {
    const failure = error(GlanceUri.sourceFrom("glance://prod/disk?store=fast"))
    assert.strictEqual(failure.reason, "InvalidUri")
    assert.include(failure.message, "known for a source: name")
  })

  it("needs an image", () => {
    assert.include(error(GlanceUri.sourceFrom("glance://prod")).message, "missing")
  })
})
