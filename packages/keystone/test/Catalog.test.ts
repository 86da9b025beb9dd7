import { assert, describe, it } from "@effect/vitest"
import * as Catalog from "@headrace/keystone/Catalog"

const catalog = Catalog.fromJson([
  {
    type: "image",
    name: "glance",
    endpoints: [
      { interface: "admin", region: "One", region_id: "one-id", url: "http://admin-1" },
      { interface: "public", region: "One", region_id: "one-id", url: "http://public-1" },
      { interface: "public", region: "Two", region_id: "two-id", url: "http://public-2" },
      { interface: "internalURL", region: "Two", url: "http://internal-2" },
      { interface: "public", region: "Three", url: "" }
    ]
  },
  { type: "image", name: "other", endpoints: [{ interface: "public", region: "Two", url: "http://other-2" }] },
  { type: "volumev2", endpoints: [{ interface: "public", url: "http://volume-2" }] },
  { type: "volumev3", endpoints: [{ interface: "public", url: "http://volume-3" }] },
  { name: "no type", endpoints: [] },
  null
])

const choose = (filter: Partial<Catalog.Filter>) =>
  Catalog.choose(catalog, { type: "image", interfaces: ["public"], ...filter })

describe("choosing an endpoint", () => {
  it("by interface, in the order of preference", () => {
    assert.strictEqual(choose({}), "http://public-1")
    assert.strictEqual(choose({ interfaces: ["internal", "public"] }), "http://internal-2")
    assert.strictEqual(choose({ interfaces: ["internal", "admin"], region: "One" }), "http://admin-1")
  })

  it("by the region's name or id", () => {
    assert.strictEqual(choose({ region: "Two" }), "http://public-2")
    assert.strictEqual(choose({ region: "two-id" }), "http://public-2")
    assert.isUndefined(choose({ region: "two" }))
    assert.isUndefined(choose({ region: "Three" }))
  })

  it("by the service's name", () => {
    assert.strictEqual(choose({ region: "Two", name: "other" }), "http://other-2")
    assert.isUndefined(choose({ name: "third" }))
  })

  it("by any name of the type, the official one first", () => {
    assert.strictEqual(choose({ type: "block-storage" }), "http://volume-3")
    assert.strictEqual(choose({ type: "volumev2" }), "http://volume-2")
    assert.isUndefined(choose({ type: "object-store" }))
  })

  it("says what there is", () => {
    assert.strictEqual(
      Catalog.describe(catalog, "image"),
      "it has admin in one-id, public in one-id, public in two-id, internal in Two, public in Two"
    )
    assert.strictEqual(Catalog.describe(catalog, "object-store"), "it has image, volumev2, volumev3")
    assert.strictEqual(Catalog.describe(Catalog.fromJson("nonsense"), "image"), "the catalog is empty")
  })
})

describe("the base of an image endpoint", () => {
  it("has no version, no query, no last slash", () => {
    for (const [url, base] of [
      ["https://c/image/v2", "https://c/image"],
      ["https://c/image/v2/", "https://c/image"],
      ["https://c/image//", "https://c/image"],
      ["https://c:9292", "https://c:9292"],
      ["https://c:9292/v2.0/", "https://c:9292"],
      ["https://c/v2?x=1", "https://c"],
      ["https://c/v2images", "https://c/v2images"],
      ["https://v2", "https://v2"]
    ] as const) {
      assert.strictEqual(Catalog.imageBase(url), base)
    }
  })
})
