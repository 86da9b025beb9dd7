/**
 * Disk images of the hypervisors' formats, made of a raw disk: whole and valid, as `qemu-img compare` confirms where there
 * is one. They let a machine without it hold every format against a service that inspects what it stores.
 */
import { randomUUID } from "node:crypto"
import { deflateSync } from "node:zlib"

const sector = 512
const mebibyte = 1024 * 1024

const zeros = (bytes: number): Buffer => Buffer.alloc(bytes)

/** With zeros behind it up to the next multiple. */
const padded = (bytes: Buffer, to: number): Buffer => {
  const end = Math.ceil(bytes.length / to) * to
  return Buffer.concat([bytes, zeros(end - bytes.length)])
}

/** The raw disk in pieces of a size, the last one padded; `undefined` for one that is all zeros. */
const blocksOf = (raw: Buffer, size: number): ReadonlyArray<Buffer | undefined> =>
  Array.from({ length: Math.ceil(raw.length / size) }, (_, index) => {
    const block = padded(raw.subarray(index * size, (index + 1) * size), size)
    return block.equals(zeros(size)) ? undefined : block
  })

/** Where each block that has bytes goes, when they follow one another from an offset on. */
const placesOf = (blocks: ReadonlyArray<Buffer | undefined>, from: number, each: number) => {
  let next = from
  return blocks.map((block) => (block === undefined ? undefined : (next += each) - each))
}

const present = (blocks: ReadonlyArray<Buffer | undefined>) => blocks.filter((block) => block !== undefined)

/** VirtualBox's, dynamic. */
export const vdi = (raw: Buffer): Buffer => {
  const blocks = blocksOf(raw, mebibyte)
  const map = padded(Buffer.alloc(blocks.length * 4, 0xff), sector)
  const head = zeros(sector)
  head.write("<<< Oracle VM VirtualBox Disk Image >>>\n")
  const fields = { 0x40: 0xbeda107f, 0x44: 0x10001, 0x48: 0x190, 0x4c: 1, 0x168: sector, 0x178: mebibyte }
  for (const [at, value] of Object.entries(fields)) head.writeUInt32LE(value, Number(at))
  head.writeUInt32LE(sector, 0x154)
  head.writeUInt32LE(sector + map.length, 0x158)
  head.writeBigUInt64LE(BigInt(raw.length), 0x170)
  head.writeUInt32LE(blocks.length, 0x180)
  head.writeUInt32LE(present(blocks).length, 0x184)
  head.write(randomUUID().replaceAll("-", ""), 0x188, "hex")
  for (const [index, place] of placesOf(blocks, 0, 1).entries()) {
    if (place !== undefined) map.writeUInt32LE(place, index * 4)
  }
  return Buffer.concat([head, map, ...present(blocks)])
}

/** Virtual PC's, dynamic: blocks of 2 MiB, each behind a map of its sectors. */
export const vhd = (raw: Buffer): Buffer => {
  const signed = (bytes: Buffer, at: number): Buffer => {
    bytes.writeUInt32BE(~bytes.reduce((sum, byte) => sum + byte, 0) >>> 0, at)
    return bytes
  }
  const blocks = blocksOf(raw, 2 * mebibyte)
  const table = Buffer.alloc(Math.ceil((blocks.length * 4) / sector) * sector, 0xff)
  const footer = zeros(sector)
  footer.write("conectix")
  footer.writeUInt32BE(2, 8)
  footer.writeUInt32BE(0x10000, 12)
  footer.writeBigUInt64BE(BigInt(sector), 16)
  footer.write("win ", 28)
  footer.write("Wi2k", 36)
  footer.writeBigUInt64BE(BigInt(raw.length), 40)
  footer.writeBigUInt64BE(BigInt(raw.length), 48)
  // 16 heads of 63 sectors, as far as whole cylinders go.
  footer.writeUInt16BE(Math.floor(raw.length / sector / 16 / 63), 56)
  footer.writeUInt16BE((16 << 8) | 63, 58)
  footer.writeUInt32BE(3, 60)
  footer.write(randomUUID().replaceAll("-", ""), 68, "hex")
  signed(footer, 64)
  const head = zeros(1024)
  head.write("cxsparse")
  head.fill(0xff, 8, 16)
  head.writeBigUInt64BE(BigInt(sector + head.length), 16)
  head.writeUInt32BE(0x10000, 24)
  head.writeUInt32BE(blocks.length, 28)
  head.writeUInt32BE(2 * mebibyte, 32)
  signed(head, 36)
  const from = (sector + head.length + table.length) / sector
  for (const [index, place] of placesOf(blocks, from, 1 + (2 * mebibyte) / sector).entries()) {
    if (place !== undefined) table.writeUInt32BE(place, index * 4)
  }
  const map = Buffer.alloc(sector, 0xff)
  return Buffer.concat([footer, head, table, ...present(blocks).flatMap((block) => [map, block]), footer])
}

const crc32c = (bytes: Buffer): number => {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return ~crc >>> 0
}

/** A GUID as Microsoft stores it: the first three parts with their bytes reversed. */
const guid = (text: string): Buffer => {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex")
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}

/** Hyper-V's, dynamic: headers in the first MiB, then one MiB each for an empty log, the metadata, the block table. */
export const vhdx = (raw: Buffer): Buffer => {
  const signed = (bytes: Buffer): Buffer => {
    bytes.writeUInt32LE(crc32c(bytes), 4)
    return bytes
  }
  const file = zeros(4 * mebibyte)
  file.write("vhdxfile")
  for (const [index, at] of [0x10000, 0x20000].entries()) {
    const header = zeros(4096)
    header.write("head")
    header.writeBigUInt64LE(BigInt(index + 1), 8)
    for (const place of [16, 32]) guid(randomUUID()).copy(header, place)
    header.writeUInt16LE(1, 66)
    header.writeUInt32LE(mebibyte, 68)
    header.writeBigUInt64LE(BigInt(mebibyte), 72)
    signed(header).copy(file, at)
  }
  const regions = zeros(0x10000)
  regions.write("regi")
  regions.writeUInt32LE(2, 8)
  for (const [index, [id, at]] of (
    [
      ["2DC27766-F623-4200-9D64-115E9BFD4A08", 3],
      ["8B7CA206-4790-4B9A-B8FE-575F050F886E", 2]
    ] as const
  ).entries()) {
    const entry = 16 + index * 32
    guid(id).copy(regions, entry)
    regions.writeBigUInt64LE(BigInt(at * mebibyte), entry + 16)
    regions.writeUInt32LE(mebibyte, entry + 24)
    regions.writeUInt32LE(1, entry + 28)
  }
  signed(regions).copy(file, 0x30000)
  regions.copy(file, 0x40000)
  const u32 = (...values: ReadonlyArray<number>) => Buffer.from(new Uint32Array(values).buffer)
  const items = [
    ["CAA16737-FA36-4D43-B3B6-33F0AA44E76B", 4, u32(mebibyte, 0)],
    ["2FA54224-CD1B-4876-B211-5DBED83BF4B8", 6, Buffer.from(new BigUint64Array([BigInt(raw.length)]).buffer)],
    ["BECA12AB-B2E6-4523-93EF-C309E000C746", 6, guid(randomUUID())],
    ["8141BF1D-A96F-4709-BA47-F233A8FAAB5F", 6, u32(sector)],
    ["CDA348C7-445D-4471-9CC9-E9885251C556", 6, u32(sector)]
  ] as const
  const metadata = file.subarray(2 * mebibyte, 3 * mebibyte)
  metadata.write("metadata")
  metadata.writeUInt16LE(items.length, 10)
  for (const [index, [id, flags, value]] of items.entries()) {
    const [entry, at] = [32 + index * 32, 0x10000 + index * 16]
    guid(id).copy(metadata, entry)
    metadata.writeUInt32LE(at, entry + 16)
    metadata.writeUInt32LE(value.length, entry + 20)
    metadata.writeUInt32LE(flags, entry + 24)
    value.copy(metadata, at)
  }
  const blocks = blocksOf(raw, mebibyte)
  for (const [index, place] of placesOf(blocks, file.length, mebibyte).entries()) {
    // 6: the block is there, whole.
    if (place !== undefined) file.writeBigUInt64LE(BigInt(place + 6), 3 * mebibyte + index * 8)
  }
  return Buffer.concat([file, ...present(blocks)])
}

/** Sectors of a grain, entries of a grain table, sectors of the descriptor. */
const [grain, entries, described] = [128, 512, 20]

const vmdkDescriptor = (type: string, raw: Buffer): Buffer => {
  const cylinders = Math.ceil(raw.length / sector / 16 / 63)
  const text = `# Disk DescriptorFile
version=1
CID=${randomUUID().slice(0, 8)}
parentCID=ffffffff
createType="${type}"

# Extent description
RW ${raw.length / sector} SPARSE "disk.vmdk"

# The Disk Data Base
#DDB

ddb.virtualHWVersion = "4"
ddb.geometry.cylinders = "${cylinders}"
ddb.geometry.heads = "16"
ddb.geometry.sectors = "63"
ddb.adapterType = "ide"
`
  return padded(Buffer.from(text), described * sector)
}

const vmdkHeader = (raw: Buffer, version: number, flags: number, directory: bigint, compression: number): Buffer => {
  const head = zeros(sector)
  head.write("KDMV")
  head.writeUInt32LE(version, 4)
  head.writeUInt32LE(flags, 8)
  head.writeBigUInt64LE(BigInt(raw.length / sector), 12)
  head.writeBigUInt64LE(BigInt(grain), 20)
  head.writeBigUInt64LE(1n, 28)
  head.writeBigUInt64LE(BigInt(described), 36)
  head.writeUInt32LE(entries, 44)
  head.writeBigUInt64LE(directory, 56)
  head.writeBigUInt64LE(BigInt(grain), 64)
  head.write("\n \r\n", 73)
  head.writeUInt16LE(compression, 77)
  return head
}

const table = (places: ReadonlyArray<number | undefined>): Buffer => {
  const bytes = zeros(Math.ceil(places.length / entries) * entries * 4)
  for (const [index, place] of places.entries()) bytes.writeUInt32LE(place ?? 0, index * 4)
  return bytes
}

/** A directory of tables that follow one another, in sectors from one on. */
const directory = (tables: Buffer, from: number): Buffer => {
  const each = (entries * 4) / sector
  const places = Array.from({ length: tables.length / sector / each }, (_, index) => from + index * each)
  return padded(table(places).subarray(0, places.length * 4), sector)
}

/** VMware Workstation's: grains of 64 KiB behind their tables. */
export const vmdkSparse = (raw: Buffer): Buffer => {
  const blocks = blocksOf(raw, grain * sector)
  const at = 1 + described
  const tablesOf = (data: number) => table(placesOf(blocks, data, grain))
  const length = tablesOf(0).length
  const listed = directory(tablesOf(0), at + directory(tablesOf(0), 0).length / sector)
  const data = Math.ceil((at + (listed.length + length) / sector) / grain) * grain
  const head = vmdkHeader(raw, 1, 1, BigInt(at), 0)
  head.writeBigUInt64LE(BigInt(data), 64)
  const meta = Buffer.concat([head, vmdkDescriptor("monolithicSparse", raw), listed, tablesOf(data)])
  return Buffer.concat([padded(meta, grain * sector), ...present(blocks)])
}

/** What `ovftool` exports: deflated grains, each behind a mark, their tables and a footer at the end. */
export const vmdkStream = (raw: Buffer): Buffer => {
  const atEnd = 0xffff_ffff_ffff_ffffn
  const parts = [padded(vmdkHeader(raw, 3, 0x30001, atEnd, 1), sector), vmdkDescriptor("streamOptimized", raw)]
  parts.push(zeros(grain * sector - sector - described * sector))
  let at = grain
  const add = (bytes: Buffer): number => {
    const whole = padded(bytes, sector)
    parts.push(whole)
    return (at += whole.length / sector) - whole.length / sector
  }
  const mark = (sectors: number, type: number): void => {
    const bytes = zeros(sector)
    bytes.writeBigUInt64LE(BigInt(sectors))
    bytes.writeUInt32LE(type, 12)
    add(bytes)
  }
  const places = blocksOf(raw, grain * sector).map((block, index) => {
    if (block === undefined) return undefined
    const packed = deflateSync(block)
    const head = zeros(12)
    head.writeBigUInt64LE(BigInt(index * grain))
    head.writeUInt32LE(packed.length, 8)
    return add(Buffer.concat([head, packed]))
  })
  const tables = table(places)
  mark(tables.length / sector, 1)
  const listed = directory(tables, add(tables))
  mark(listed.length / sector, 2)
  const end = add(listed)
  mark(1, 3)
  add(vmdkHeader(raw, 3, 0x30001, BigInt(end), 1))
  mark(0, 0)
  return Buffer.concat(parts)
}
