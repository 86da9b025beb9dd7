import { assert, describe, it } from "vitest"
import { noise, start } from "./site.ts"

const MiB = 1024 * 1024

/** Bytes at offsets, zeros between. */
const layout = (size: number, parts: ReadonlyArray<readonly [number, Buffer | string]>): Buffer => {
  const bytes = Buffer.alloc(size)
  for (const [at, part] of parts) Buffer.from(part as string, "latin1").copy(bytes, at)
  return bytes
}

const u64be = (value: bigint) => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(value)
  return bytes
}

const u64le = (value: bigint) => Buffer.from(u64be(value)).swap64()

const u32le = (value: number) => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

const qcow2 = (changes: ReadonlyArray<readonly [number, Buffer]> = []) =>
  layout(65_536, [[0, "QFI\u00fb"], [4, Buffer.from([0, 0, 0, 3])], [24, u64be(10n * BigInt(MiB))], ...changes])

const partition = (type: number, changes: ReadonlyArray<readonly [number, Buffer]> = []) =>
  layout(65_536, [
    [446, Buffer.from([0x80, 0, 2, 0, type, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 8, 0, 0])],
    [510, Buffer.from([0x55, 0xaa])],
    ...changes
  ])

const isoParts: ReadonlyArray<readonly [number, Buffer | string]> = [
  [32_768, Buffer.from([1])],
  [32_769, "CD001"],
  [32_768 + 80, u32le(40)],
  [32_768 + 128, Buffer.from([0, 8])]
]
const iso = layout(81_920, isoParts)
const hybridIso = layout(81_920, [...isoParts, [0, partition(0x17).subarray(0, 512)]])

const descriptor = (type: string, extent = 'RW 20480 SPARSE "disk.vmdk"') =>
  `# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\ncreateType="${type}"\n\n${extent}\n\nddb.adapterType = "ide"\n`

const vmdk = (text: string, directory = 26n) =>
  layout(65_536, [
    [0, "KDMV"],
    [4, u32le(1)],
    [12, u64le(20_480n)],
    [28, u64le(1n)],
    [36, u64le(20n)],
    [56, u64le(directory)],
    [512, text]
  ])

const streamOptimized = () => {
  const head = vmdk(descriptor("streamOptimized"), 0xffffffffffffffffn)
  const footer = Buffer.from(head.subarray(0, 512))
  u64le(40n).copy(footer, 56)
  const marker = layout(512, [[12, u32le(3)]])
  return Buffer.concat([head, marker, footer, Buffer.alloc(512)])
}

const vdi = layout(4096, [
  [0x40, u32le(0xbeda107f)],
  [0x170, u64le(5n * BigInt(MiB))]
])
const vhd = layout(4096, [
  [0, "conectix"],
  [40, u64be(7n * BigInt(MiB))]
])

const guidBytes = (text: string) => {
  const [a = "", b = "", c = "", ...rest] = text.split("-")
  const swap = (hex: string) => Buffer.from(Buffer.from(hex, "hex").toReversed())
  return Buffer.concat([swap(a), swap(b), swap(c), Buffer.from(rest.join(""), "hex")])
}
const vhdx = layout(4 * MiB, [
  [0, "vhdxfile"],
  [192 * 1024, "regi"],
  [192 * 1024 + 8, u32le(1)],
  [192 * 1024 + 16, guidBytes("8B7CA206-4790-4B9A-B8FE-575F050F886E")],
  [192 * 1024 + 32, u64le(BigInt(2 * MiB))],
  [2 * MiB, "metadata"],
  [2 * MiB + 10, Buffer.from([1, 0])],
  [2 * MiB + 32, guidBytes("2FA54224-CD1B-4876-B211-5DBED83BF4B8")],
  [2 * MiB + 48, u32le(65_536)],
  [2 * MiB + 65_536, u64le(9n * BigInt(MiB))]
])

const accepted = [
  ["raw zeros", "raw", Buffer.alloc(1000), 1000],
  ["raw of three bytes", "raw", Buffer.from("abc"), 3],
  ["raw that is qcow2", "raw", qcow2(), 65_536],
  ["raw that is an ISO", "raw", iso, 81_920],
  ["raw with an MBR", "raw", partition(0x83), 65_536],
  ["raw with a GPT", "raw", partition(0xee, [[446, Buffer.from([0])]]), 65_536],
  [
    "raw with a FAT boot sector",
    "raw",
    layout(4096, [
      [0x10, Buffer.from([2])],
      [0x15, Buffer.from([0xf8])],
      [510, Buffer.from([0x55, 0xaa])]
    ]),
    4096
  ],
  ["qcow2", "qcow2", qcow2(), 10 * MiB],
  ["vmdk", "vmdk", vmdk(descriptor("monolithicSparse")), 20_480 * 512],
  ["a stream-optimised vmdk", "vmdk", streamOptimized(), 20_480 * 512],
  ["vdi", "vdi", vdi, 5 * MiB],
  ["vhd", "vhd", vhd, 7 * MiB],
  ["vhdx", "vhdx", vhdx, 9 * MiB],
  ["iso", "iso", iso, 81_920],
  ["a hybrid ISO as iso", "iso", hybridIso, 81_920],
  ["ami", "ami", noise(5000), null]
] as const

const refused = [
  [
    "raw with a lone boot signature",
    "raw",
    layout(4096, [[510, Buffer.from([0x55, 0xaa])]]),
    "Image failed safety checks"
  ],
  ["raw that is a hybrid ISO", "raw", hybridIso, "Multiple formats detected: gpt,iso"],
  ["qcow2 that is raw", "qcow2", noise(5000), "Image disk_format qcow2 does not match stream data raw"],
  ["qcow2 that is nothing", "qcow2", Buffer.alloc(0), "Image disk_format qcow2 does not match stream data raw"],
  ["vmdk of three bytes", "vmdk", Buffer.from("abc"), "Image disk_format vmdk does not match stream data raw"],
  ["iso that is qcow2", "iso", qcow2(), "Image disk_format iso does not match stream data qcow2"],
  ["qcow2 with a backing file", "qcow2", qcow2([[8, u64be(512n)]]), "Image failed safety checks"],
  ["qcow2 with a data file", "qcow2", qcow2([[72, u64be(4n)]]), "Image failed safety checks"],
  ["qcow2 with unknown features", "qcow2", qcow2([[72, u64be(1n << 20n)]]), "Image failed safety checks"],
  ["raw that is qcow2 with a backing file", "raw", qcow2([[8, u64be(512n)]]), "Image failed safety checks"],
  [
    "a vmdk with files elsewhere",
    "vmdk",
    vmdk(descriptor("monolithicSparse", 'RW 1 FLAT "/etc/passwd"')),
    "Image failed safety checks"
  ],
  ["a vmdk of another type", "vmdk", vmdk(descriptor("monolithicFlat")), "Image failed safety checks"],
  [
    "a stream-optimised vmdk without its end",
    "vmdk",
    streamOptimized().subarray(0, 60_000),
    "Image failed safety checks"
  ],
  ["aki with an MBR", "aki", partition(0x83), "Image disk_format aki does not match stream data gpt"],
  ["raw that is qed", "raw", layout(4096, [[0, "QED\0"]]), "Image failed safety checks"]
] as const

describe("format inspection of 33", () => {
  it.each(accepted)("takes %s", async (_, format, body, virtualSize) => {
    const site = await start({ manner: "uwsgi" })
    const id = await site.create({ disk_format: format })
    const outcome = await site.put(id, { body: body as Buffer })
    assert.strictEqual(outcome.status, 204, outcome.body)
    assert.strictEqual(site.status(id), "active")
    assert.strictEqual(site.glance.images.get(id)?.view["virtual_size"], virtualSize)
  })

  it.each(refused)("refuses %s after the body, and the image is poisoned", async (_, format, body, words) => {
    const site = await start({ manner: "uwsgi", stores: [{ id: "fast" }, { id: "cheap" }] })
    const id = await site.create({ disk_format: format })
    const outcome = await site.put(id, { body: body as Buffer })
    assert.strictEqual(outcome.status, 415)
    assert.include(outcome.body, "The request media type application/octet-stream is not supported by this server.")
    assert.include(outcome.body, words)
    const poisoned = site.glance.images.get(id)!
    assert.deepInclude(poisoned, { status: "queued", size: null, stores: ["fast"] })
    assert.lengthOf(poisoned.checksum ?? "", 32)
    assert.lengthOf(poisoned.hashValue ?? "", 128)
    assert.isTrue((await site.glance.images.bytes(id))?.equals(body as Buffer))
  })

  it("leaves an image that nothing but DELETE helps", async () => {
    const site = await start({ manner: "uwsgi", stores: [{ id: "fast" }, { id: "cheap" }] })
    const id = await site.create({ disk_format: "qcow2" })
    assert.strictEqual((await site.put(id, { body: noise(1000) })).status, 415)
    assert.strictEqual((await site.put(id, { body: qcow2() })).status, 500)
    const patched = await site.call(
      "PATCH",
      `/v2/images/${id}`,
      [{ op: "replace", path: "/disk_format", value: "raw" }],
      {
        "Content-Type": "application/openstack-images-v2.1-json-patch"
      }
    )
    assert.strictEqual(patched.status, 200)
    assert.strictEqual((await site.put(id, { body: noise(1000) })).status, 500)
    const elsewhere = await site.put(id, { body: noise(2000), headers: { "X-Image-Meta-Store": "cheap" } })
    assert.strictEqual(elsewhere.status, 500)
    assert.strictEqual(site.status(id), "queued")
    assert.isNotNull(site.glance.images.get(id)?.checksum)
    assert.strictEqual((await site.call("DELETE", `/v2/images/${id}`)).status, 204)
    assert.isUndefined(await site.glance.images.bytes(id))
  })

  it("does not look at containers", async () => {
    const site = await start({ manner: "uwsgi" })
    const id = await site.create({ disk_format: "qcow2", container_format: "ovf" })
    assert.strictEqual((await site.put(id, { body: noise(1000) })).status, 204)
  })

  it("sees the same however the bytes are cut", async () => {
    const site = await start({ manner: "uwsgi" })
    for (const piece of [1, 511, 700, 65_536]) {
      const id = await site.create({ disk_format: "vmdk" })
      const body = streamOptimized()
      const outcome = await site.put(id, {
        body: piece === 1 ? body.subarray(0, 3000) : body,
        framing: "chunked",
        piece
      })
      assert.strictEqual(outcome.status, piece === 1 ? 415 : 204)
    }
  })
})

describe("Zed", () => {
  it("takes any bytes as any format", async () => {
    const site = await start()
    for (const [, format, body] of refused) {
      const id = await site.create({ disk_format: format })
      assert.strictEqual((await site.put(id, { body: body as Buffer })).status, 204)
      assert.strictEqual(site.status(id), "active")
    }
  })
})
