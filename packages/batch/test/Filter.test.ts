import * as Result from "effect/Result"
import { describe, expect, it } from "vitest"
import * as Filter from "../src/Filter.ts"
import { image } from "./support/image.ts"

const gib = 1024 ** 3
const one = image({
  name: "ubuntu 24.04",
  size: 2 * gib,
  minDisk: 10,
  minRam: 512,
  protected: true,
  tags: ["prod", "a,b"],
  stores: ["fast"],
  properties: { os_distro: "ubuntu", cores: "12", room: "3GiB", until: "2026-05-01", sign: "a=b", size: "small" }
})

const holds = (text: string) => Filter.holds([Result.getOrThrow(Filter.parse(text))], one)

describe("a filter", () => {
  it.each([
    "name=ubuntu 24.04",
    "visibility=private",
    "visibility!=public",
    "os_distro=ubuntu",
    "os_distro!=windows",
    "os_distro~^ub",
    "name~24\\.04$",
    "absent=",
    "absent!=x",
    "sign=a=b",
    "protected=true",
    "hidden!=true",
    "tag=prod",
    "tag=a,b",
    "tag!=test",
    "store=fast",
    "disk_format=raw",
    `checksum=${"0".repeat(32)}`,
    `os_hash_value=${"1".repeat(128)}`,
    "property.size=small",
    "size=2GiB",
    "size>1GiB",
    "size<2.5GiB",
    "size!=1GiB",
    "size>1000",
    "min_disk=10",
    "min_ram>256",
    "cores>2",
    "room>1GiB",
    "until>2026-04-30",
    "created_at>2025-02-28",
    "created_at<2025-03-02",
    "created_at=2025-03-01",
    "created_at=2025-03-01T12:30:00Z",
    "created_at>2025-03-01T14:00:00+02:00",
    "created_at>2025-03-01 12:29"
  ])("%s holds", (text) => expect(holds(text)).toBe(true))

  it.each([
    "name=ubuntu",
    "visibility!=private",
    "os_distro~^bu",
    "absent=x",
    "absent~.*",
    "absent>1",
    "os_distro>1",
    "tag=prod,a",
    "tag!=prod",
    "size>2GiB",
    "size<2GiB",
    "cores>12",
    "min_disk!=10",
    "created_at>2025-03-01",
    "created_at<2025-03-01",
    "created_at!=2025-03-01",
    "created_at>2025-03-01T12:30:00Z",
    "protected=false"
  ])("%s does not hold", (text) => expect(holds(text)).toBe(false))

  it.each([
    ["size", "write KEY=VALUE, KEY!=VALUE, KEY~REGEX, KEY>VALUE or KEY<VALUE"],
    ["=x", "write KEY=VALUE"],
    ["", "write KEY=VALUE"],
    ["size>big", "its value is a size, such as 1GiB"],
    ["size>=1GiB", 'there is no ">="'],
    ["name==x", 'there is no "=="'],
    ["min_ram>1GiB", "its value is a number, such as 512"],
    ["created_at>yesterday", "its value is an ISO date, such as 2025-01-31"],
    ["created_at=2025-13-45", "its value is an ISO date"],
    ["name>m", "< and > compare numbers, sizes and ISO dates"],
    ["os_distro~[", "is no regular expression"],
    ["protected=yes", "its value is true or false"],
    ["protected>1", "true and false are not more or less"],
    ["visibility=secret", "its value is one of public, private, shared, community"]
  ])("%j is refused in one line", (text, said) => {
    const read = Filter.parse(text)
    if (Result.isSuccess(read)) throw new Error("it was taken")
    expect(read.failure.message).toContain(said)
    expect(read.failure.message.startsWith(`${JSON.stringify(text)}: `)).toBe(true)
    expect(read.failure.message).not.toContain("\n")
  })

  it("of several, all must hold", () => {
    const parse = (...texts: ReadonlyArray<string>) => texts.map((text) => Result.getOrThrow(Filter.parse(text)))
    expect(Filter.holds(parse("size>1GiB", "os_distro=ubuntu"), one)).toBe(true)
    expect(Filter.holds(parse("size>1GiB", "os_distro=debian"), one)).toBe(false)
    expect(Filter.holds([], one)).toBe(true)
  })
})
