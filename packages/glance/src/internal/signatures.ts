/**
 * What disk formats look like at their beginning, and what in them no service can store safely. The rules are those
 * that Glance applies while it stores an image (oslo.utils' format inspector), so that its verdict is known before
 * the first byte is sent.
 */
import type { Finding } from "../DiskFormat.ts"

const u32be = (bytes: Uint8Array, at: number): number =>
  ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0

const u32le = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 3]! << 24) | (bytes[at + 2]! << 16) | (bytes[at + 1]! << 8) | bytes[at]!) >>> 0

const isZero = (bytes: Uint8Array, from: number, to: number): boolean =>
  bytes.subarray(from, to).every((byte) => byte === 0)

/** The bytes as Latin-1 text. */
const text = (bytes: Uint8Array, from: number, to: number): string => {
  let out = ""
  for (let at = from; at < Math.min(to, bytes.length); at++) out += String.fromCharCode(bytes[at]!)
  return out
}

const starts = (bytes: Uint8Array, magic: string, at = 0): boolean => text(bytes, at, at + magic.length) === magic

/** A sector: less than one is no header of any format. */
const sector = 512

const qcow2 = (head: Uint8Array): Finding | undefined => {
  if (!starts(head, "QFI\xfb")) return undefined
  const version = u32be(head, 4)
  const found = (unsafe?: string): Finding => ({ format: "qcow2", unsafe, unusable: unsafe !== undefined })
  if (!isZero(head, 8, 16)) return found("it has a backing file, which no cloud has")
  if (version === 2) return found()
  if (version !== 3) return found(`it is qcow version ${version}; 2 and 3 are known`)
  // Incompatible features, a 64-bit big-endian field: dirty, corrupt, external data file, compression type.
  const features = u32be(head, 76)
  if ((features & 4) !== 0) return found("its data is in another file (data_file)")
  if (!isZero(head, 72, 76) || features >>> 4 !== 0) {
    return {
      format: "qcow2",
      unsafe: "it uses features that services do not know (extended L2 entries)",
      unusable: false
    }
  }
  return found()
}

const sparseTypes: ReadonlySet<string> = new Set(["monolithicsparse", "streamoptimized"])

const vmdkDescriptor = (descriptor: string): string | undefined => {
  const lower = descriptor.toLowerCase()
  const type = /createtype="([^"]{0,63})"/.exec(lower)?.[1]
  if (type === undefined) return "its descriptor has no createType"
  if (!sparseTypes.has(type)) return `its subformat is ${type}; monolithicSparse and streamOptimized can be stored`
  const extents: Array<string> = []
  for (const line of lower.split("\n").map((line) => line.trim())) {
    if (line === "" || line.startsWith("#") || line.startsWith("ddb")) continue
    const word = line.split("=", 1)[0]!
    if (line.includes("=") && !word.includes(" ")) continue
    if (!/^(rw|rdonly|noaccess) /.test(line)) return "its descriptor has a line that is not known"
    extents.push(line)
  }
  if (extents.length === 0) return "its descriptor names no extent"
  return extents.some((line) => line.includes("/")) ? "its descriptor names a file by its path" : undefined
}

const vmdk = (head: Uint8Array): Finding | undefined => {
  const found = (unsafe?: string): Finding => ({ format: "vmdk", unsafe, unusable: false })
  if (starts(head, "KDMV")) {
    const version = u32le(head, 4)
    if (version < 1 || version > 3) return found(`it is VMDK version ${version}; 1, 2 and 3 are known`)
    if (u32le(head, 28) !== 1 || u32le(head, 32) !== 0) return found("its descriptor is not in the second sector")
    const end = sector + u32le(head, 36) * sector
    const padded = text(head, sector, end)
    const nul = padded.indexOf("\0")
    // A descriptor that goes on past the head is judged by the service alone.
    if (nul < 0 && end > head.length) return found()
    return found(vmdkDescriptor(nul < 0 ? padded : padded.slice(0, nul)))
  }
  if (!head.subarray(0, sector).every((byte) => (byte >= 32 && byte < 127) || (byte >= 9 && byte <= 13)))
    return undefined
  const descriptor = text(head, 0, head.length)
  if (!/createtype="[^"]{0,63}"/i.test(descriptor)) return undefined
  return found(vmdkDescriptor(descriptor) ?? "it is a descriptor without data")
}

const isoAt = 32 * 1024
const isoEnd = isoAt + 2 * 1024

const iso = (head: Uint8Array): Finding | undefined =>
  head.length >= isoEnd && ["CD001", "NSR02", "NSR03"].some((magic) => starts(head, magic, isoAt + 1))
    ? { format: "iso", unsafe: undefined, unusable: false }
    : undefined

/** Where the four entries of a partition table begin, and how long one is. */
const tableAt = 446
const entryBytes = 16

const partitionTable = (head: Uint8Array): string | undefined => {
  const used: Array<number> = []
  let protective = false
  for (let i = 0; i < 4; i++) {
    const at = tableAt + i * entryBytes
    const boot = head[at]!
    if (boot !== 0 && boot !== 0x80) return `entry ${i + 1} of its partition table has the boot flag ${boot}`
    const type = head[at + 4]!
    if (type !== 0) used.push(i)
    if (type === 0xee) {
      protective = true
      if (head[at + 1] !== 0 || head[at + 2] !== 2 || head[at + 3] !== 0 || u32le(head, at + 8) !== 1) {
        return "the protective entry of its GPT does not start at sector 1"
      }
    }
  }
  if (protective && (used.length !== 1 || used[0] !== 0))
    return "its GPT has other partitions beside the protective one"
  return used.length === 0 ? "it has a boot signature (55 AA at 510) but no partitions" : undefined
}

const gpt = (head: Uint8Array): Finding | undefined => {
  if (head[510] !== 0x55 || head[511] !== 0xaa) return undefined
  // The boot sector of a FAT file system ends the same way.
  if (head[0x10] === 2 && head[0x15] === 0xf8) return undefined
  return { format: "gpt", unsafe: partitionTable(head), unusable: false }
}

const luks = (head: Uint8Array): Finding | undefined => {
  if (!starts(head, "LUKS\xba\xbe")) return undefined
  const version = (head[6]! << 8) | head[7]!
  return {
    format: "luks",
    unsafe: version === 1 ? undefined : `it is LUKS version ${version}; version 1 can be inspected`,
    unusable: false
  }
}

const plain =
  (format: "vhd" | "vhdx" | "ploop", ...magics: ReadonlyArray<string>) =>
  (head: Uint8Array): Finding | undefined =>
    magics.some((magic) => starts(head, magic)) ? { format, unsafe: undefined, unusable: false } : undefined

const qed = (head: Uint8Array): Finding | undefined =>
  starts(head, "QED\0") ? { format: "qed", unsafe: "QED is supported by no service", unusable: true } : undefined

const vdi = (head: Uint8Array): Finding | undefined =>
  u32le(head, 0x40) === 0xbeda107f ? { format: "vdi", unsafe: undefined, unusable: false } : undefined

const looks = [
  qcow2,
  qed,
  vmdk,
  plain("vhd", "conectix"),
  plain("vhdx", "vhdxfile"),
  vdi,
  iso,
  gpt,
  luks,
  plain("ploop", "WithoutFreeSpace", "WithouFreSpacExt")
]

export const find = (head: Uint8Array): ReadonlyArray<Finding> =>
  head.length < sector ? [] : looks.map((look) => look(head)).filter((finding) => finding !== undefined)
