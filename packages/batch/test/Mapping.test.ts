import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import type { Description } from "@headrace/glance/GlanceImages"
import * as Mapping from "../src/Mapping.ts"
import { image } from "./support/image.ts"

const rules = (json: unknown) => Result.getOrThrow(Mapping.decode(json))
const propertiesOf = (properties: Description["properties"], json: unknown = {}) =>
  Mapping.image(image({ properties }), rules(json)).properties

describe("a new image", () => {
  it("gets what is its own, and nothing that is true only where it was", () => {
    const old = image({
      visibility: "community",
      protected: true,
      hidden: true,
      owner: "p",
      minDisk: 3,
      minRam: 512,
      tags: ["a,b", "c"],
      stores: ["fast"],
      properties: {
        os_distro: "alpine",
        empty: "",
        os_glance_import_task: "x",
        "owner_specified.openstack.md5": "x",
        locations: "x",
        direct_url: "x"
      }
    })
    expect(Mapping.image(old)).toEqual({
      properties: { os_distro: "alpine", empty: "" },
      tags: ["a,b", "c"],
      diskFormat: "raw",
      containerFormat: "bare",
      minDisk: 3,
      minRam: 512,
      hidden: true,
      protected: true,
      visibility: "community",
      references: [],
      dropped: ["os_glance_import_task", "owner_specified.openstack.md5", "locations", "direct_url"].map((key) => ({
        key,
        by: "default"
      })),
      refused: []
    })
  })

  it("has its properties dropped, renamed and set by rules, in that order", () => {
    const old = { old_a: "1", old_b: "2", hw_disk_bus: "virtio", hw_old_x: "3", keep: "4", "a.b": "5" }
    const json = { rename: { "old_*": "new_*", "a.b": "ab" }, drop: ["hw_*", "*_b"], set: { keep: "5", site: "x" } }
    const mapped = Mapping.image(image({ properties: old }), rules(json))
    expect(mapped.properties).toEqual({ keep: "5", new_a: "1", ab: "5", site: "x" })
    expect(mapped.dropped.map(({ by, key }) => `${key} ${by}`).sort()).toEqual(
      ["a.b rule", "hw_disk_bus rule", "hw_old_x rule", "old_a rule", "old_b rule"].sort()
    )
    // A dot is a dot, and a star only what it stands for.
    expect(propertiesOf({ axb: "1" }, { rename: { "a.b": "ab" } })).toEqual({ axb: "1" })
    expect(propertiesOf({ a_1_b_2: "x" }, { rename: { "a_*_b_*": "c_*.*" } })).toEqual({ "c_1.2": "x" })
    expect(propertiesOf({ os_distro: "x" }, { rename: { "*": "v1_*" } })).toEqual({ v1_os_distro: "x" })
  })

  it("has what was renamed rather than what had the key already, and two for one key are said", () => {
    expect(propertiesOf({ a: "1", b: "2" }, { rename: { a: "b" } })).toEqual({ b: "1" })
    const clash = Mapping.image(image({ properties: { a: "1", b: "2" } }), rules({ rename: { a: "c", b: "c" } }))
    expect(clash.refused).toEqual(['the rules rename both "a" and "b" to "c"'])
    const attribute = Mapping.image(image({ properties: { x_name: "1" } }), rules({ rename: { "x_*": "*" } }))
    expect(attribute.refused).toEqual(['the rules rename "x_name" to "name", which is no property\'s key'])
  })

  it("has references to other images told apart from other ids", () => {
    const id = "6b1c0e3a-5d6f-4f0b-8a53-5d2f1a2b3c4d"
    const properties = {
      kernel_id: id,
      ramdisk_id: "none",
      base_image_ref: id,
      image_ref: id,
      x_image_id: id,
      instance_uuid: id,
      cinder_encryption_key_id: id
    }
    const keys = Mapping.image(image({ properties })).references
    expect(keys).toEqual(["kernel_id", "base_image_ref", "image_ref", "x_image_id"].map((key) => ({ key, id })))
    expect(Mapping.image(image({ properties }), rules({ drop: ["*_id"] })).references.map(({ key }) => key)).toEqual([
      "base_image_ref",
      "image_ref"
    ])
  })

  it("would not be taken with keys or values that are too long, and that is said", () => {
    const long = { [`k${"x".repeat(255)}`]: "v", big: "é".repeat(32_768), emoji: "🚀".repeat(255) }
    expect(Mapping.image(image({ properties: long })).refused).toEqual([
      `the key of property "k${"x".repeat(39)}…" has 256 characters, more than 255`,
      'property "big" has 65536 bytes, more than 65535'
    ])
    expect(Mapping.image(image({ properties: { ["🚀".repeat(255)]: "v" } })).refused).toEqual([])
  })
})

describe("rules", () => {
  it.each([
    ["[]", 'rules: allowed: a JSON object with rename, drop, set, as {"rename":'],
    ["{", "rules: this is no JSON; allowed: a JSON object with rename, drop, set"],
    ['{"renames":{}}', "renames: unknown field; known: rename, drop, set"],
    ['{"rename":[]}', 'rename: allowed: an object of keys, as {"old_*":"new_*"}'],
    ['{"rename":{"a":1}}', "rename.a: allowed: the new key, as text"],
    ['{"rename":{"a":"*"}}', "rename.a: allowed: no more * in the new key than in the old one, which has 0"],
    ['{"rename":{"a":"status"}}', 'rename.a: allowed: keys of properties; "status" is an attribute'],
    ['{"drop":{}}', 'drop: allowed: a list of keys, as ["hw_*"]'],
    ['{"drop":["a",1]}', "drop[1]: allowed: a key, in which * is any text"],
    ['{"set":{"a":null}}', "set.a: allowed: a value, as text"],
    ['{"set":{"os_glance_x":"1"}}', 'set.os_glance_x: allowed: keys of properties; "os_glance_x" is an attribute'],
    ['{"set":{"a*":"1"}}', "set.a*: allowed: one key, without *"],
    [`{"set":{"${"k".repeat(256)}":"1"}}`, "allowed: a key of 1 to 255 characters"]
  ])("%s are refused by the field's name", (text, said) => {
    const read = Mapping.parse(text)
    if (Result.isSuccess(read)) throw new Error("they were taken")
    expect(`${read.failure.field}: ${read.failure.message}`).toContain(said)
  })

  it("may begin with a byte order mark, and lack what they do not need", () => {
    expect(Mapping.parse('\uFEFF{"drop":["a"]}')).toEqual(Result.succeed({ drop: ["a"], rename: {}, set: {} }))
    expect(Mapping.parse("{}")).toEqual(Result.succeed(Mapping.none))
  })
})
