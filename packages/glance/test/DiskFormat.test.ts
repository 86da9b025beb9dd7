import { assert, describe, it } from "@effect/vitest"
import * as DiskFormat from "@headrace/glance/DiskFormat"
import * as Headers from "./support/headers.ts"

describe("guess", () => {
  const table: ReadonlyArray<readonly [what: string, head: Uint8Array, guess: string]> = [
    ["zeros", Headers.blank(), "raw"],
    ["noise", Headers.noise(), "raw"],
    ["three bytes", new Uint8Array([1, 2, 3]), "raw"],
    ["nothing", new Uint8Array(0), "raw"],
    ["qcow2", Headers.qcow2(), "qcow2"],
    ["qcow2 version 2", Headers.qcow2({ version: 2 }), "qcow2"],
    ["vmdk", Headers.vmdk(), "vmdk"],
    ["vmdk, streamOptimized", Headers.vmdk({ type: "streamOptimized", version: 3 }), "vmdk"],
    ["vmdk, descriptor alone", Headers.vmdkDescriptorFile(), "vmdk"],
    ["vhd, dynamic", Headers.vhd(), "vhd"],
    ["vhdx", Headers.vhdx(), "vhdx"],
    ["vdi", Headers.vdi(), "vdi"],
    ["iso", Headers.iso(), "iso"],
    ["iso for sticks", Headers.hybridIso(), "iso"],
    ["ploop", Headers.ploop(), "ploop"],
    ["disk with GPT", Headers.gptDisk(), "raw"],
    ["disk with MBR", Headers.mbrDisk(), "raw"],
    ["FAT file system", Headers.fat(), "raw"],
    ["LUKS", Headers.luks(), "raw"]
  ]
  for (const [what, head, expected] of table) {
    it(`${what}: ${expected}`, () => assert.strictEqual(DiskFormat.guess(head), expected))
  }

  it("an ISO is seen only in its first 34 KiB", () => {
    assert.strictEqual(DiskFormat.guess(Headers.iso().subarray(0, 34 * 1024)), "iso")
    assert.strictEqual(DiskFormat.guess(Headers.iso().subarray(0, 34 * 1024 - 1)), "raw")
  })

  it("a header of less than a sector is none", () => {
    assert.strictEqual(DiskFormat.guess(Headers.qcow2().subarray(0, 511)), "raw")
  })
})

/** What the service would say: taken, taken by those who do not look closely, refused. */
const answers = (declared: string, head: Uint8Array) =>
  (["lenient", "inspecting", "strict"] as const)
    .map((inspector) => {
      const { notes, refuse } = DiskFormat.check(declared, head, inspector)
      return refuse !== undefined ? "refused" : notes.length > 0 ? "noted" : "taken"
    })
    .join(" ")

describe("check", () => {
  const taken = "taken taken taken"
  const refused = "refused refused refused"
  const byInspectors = "noted refused refused"
  const table: ReadonlyArray<readonly [declared: string, what: string, head: Uint8Array, expected: string]> = [
    ["raw", "zeros", Headers.blank(), taken],
    ["raw", "nothing", new Uint8Array(0), taken],
    ["raw", "qcow2", Headers.qcow2(), "noted noted noted"],
    ["raw", "qcow2 with a backing file", Headers.qcow2({ backing: 512 }), byInspectors],
    ["raw", "GPT", Headers.gptDisk(), taken],
    ["raw", "MBR", Headers.mbrDisk(), taken],
    ["raw", "FAT", Headers.fat(), taken],
    ["raw", "55AA without partitions", Headers.partitioned(Headers.blank()), "noted noted refused"],
    [
      "raw",
      "55AA with a bad boot flag",
      Headers.partitioned(Headers.blank(), { boot: 7, type: 0x83 }),
      "noted noted refused"
    ],
    [
      "raw",
      "GPT with a second partition",
      Headers.partitioned(Headers.blank(), { type: 0xee }, { type: 0x83 }),
      "noted noted refused"
    ],
    [
      "raw",
      "GPT that starts elsewhere",
      Headers.partitioned(Headers.blank(), { type: 0xee, lba: 2 }),
      "noted noted refused"
    ],
    ["raw", "ISO for sticks", Headers.hybridIso(), byInspectors],
    ["raw", "LUKS 1", Headers.luks(1), "noted noted noted"],
    ["raw", "LUKS 2", Headers.luks(2), byInspectors],
    ["raw", "QED", Headers.qed(), byInspectors],
    ["iso", "ISO", Headers.iso(), taken],
    ["iso", "ISO for sticks", Headers.hybridIso(), taken],
    ["iso", "zeros", Headers.blank(), refused],
    ["qcow2", "qcow2", Headers.qcow2(), taken],
    ["qcow2", "qcow2 version 2", Headers.qcow2({ version: 2 }), taken],
    ["qcow2", "qcow version 1", Headers.qcow2({ version: 1 }), refused],
    ["qcow2", "dirty, compressed", Headers.qcow2({ features: 0b1001 }), taken],
    ["qcow2", "with a backing file", Headers.qcow2({ backing: 512 }), refused],
    ["qcow2", "with a data file", Headers.qcow2({ features: 0b100 }), refused],
    ["qcow2", "with extended L2 entries", Headers.qcow2({ features: 0b10000 }), byInspectors],
    ["qcow2", "zeros", Headers.blank(), refused],
    ["qcow2", "nothing", new Uint8Array(0), refused],
    ["qcow2", "vmdk", Headers.vmdk(), refused],
    ["qcow2", "less than a sector", Headers.qcow2().subarray(0, 100), refused],
    ["vmdk", "vmdk", Headers.vmdk(), taken],
    ["vmdk", "streamOptimized", Headers.vmdk({ type: "streamOptimized" }), taken],
    ["vmdk", "twoGbMaxExtentSparse", Headers.vmdk({ type: "twoGbMaxExtentSparse" }), byInspectors],
    ["vmdk", "version 9", Headers.vmdk({ version: 9 }), byInspectors],
    ["vmdk", "descriptor elsewhere", Headers.vmdk({ descriptorSector: 2 }), byInspectors],
    [
      "vmdk",
      "an extent with a path",
      Headers.vmdk({ descriptor: Headers.descriptor("monolithicSparse", 'RW 1 SPARSE "/etc/shadow"') }),
      byInspectors
    ],
    ["vmdk", "no extent", Headers.vmdk({ descriptor: 'createType="monolithicSparse"\n' }), byInspectors],
    ["vmdk", "descriptor alone", Headers.vmdkDescriptorFile(), byInspectors],
    ["vhd", "dynamic", Headers.vhd(), taken],
    ["vhd", "fixed, which looks raw", Headers.blank(), byInspectors],
    ["vhd", "fixed, of a partitioned disk", Headers.mbrDisk(), byInspectors],
    ["vhd", "vhdx", Headers.vhdx(), refused],
    ["vhdx", "vhdx", Headers.vhdx(), taken],
    ["vdi", "vdi", Headers.vdi(), taken],
    ["vdi", "qcow2", Headers.qcow2(), refused],
    ["ploop", "ploop", Headers.ploop(), taken],
    ["ami", "noise", Headers.noise(), taken],
    ["aki", "qcow2", Headers.qcow2(), byInspectors]
  ]
  for (const [declared, what, head, expected] of table) {
    it(`${declared} with ${what}: ${expected}`, () => assert.strictEqual(answers(declared, head), expected))
  }

  it("says what the bytes are, in one line", () => {
    const { refuse } = DiskFormat.check("qcow2", Headers.mbrDisk(), "strict")
    assert.strictEqual(refuse, "declared as qcow2, but the first bytes are a raw disk with a partition table")
    assert.include(DiskFormat.check("raw", Headers.hybridIso(), "strict").refuse, "disk_format iso")
    assert.include(DiskFormat.check("qcow2", Headers.qcow2({ backing: 1 }), "lenient").refuse, "backing file")
  })
})
