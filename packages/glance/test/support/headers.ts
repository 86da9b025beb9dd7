/**
 * Beginnings of disk images as qemu-img, VirtualBox and mkisofs write them: enough of each header for whoever looks.
 */

export const blank = (bytes = 64 * 1024): Uint8Array => new Uint8Array(bytes)

export const noise = (bytes = 64 * 1024): Uint8Array => {
  const out = new Uint8Array(bytes)
  let state = 1
  for (let i = 0; i < bytes; i++) {
    state = (state * 1103515245 + 12345) & 0x7fffffff
    out[i] = state >>> 16
  }
  // Not by chance a boot signature.
  if (bytes > 511) out[511] = 0
  return out
}

const put = (to: Uint8Array, at: number, text: string): Uint8Array => {
  for (let i = 0; i < text.length; i++) to[at + i] = text.charCodeAt(i)
  return to
}

const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

export const qcow2 = (options?: { version?: number; backing?: number; features?: number }): Uint8Array => {
  const bytes = put(blank(), 0, "QFI\xfb")
  view(bytes).setUint32(4, options?.version ?? 3)
  view(bytes).setBigUint64(8, BigInt(options?.backing ?? 0))
  view(bytes).setUint32(20, 16)
  view(bytes).setBigUint64(24, 1n << 30n)
  if ((options?.version ?? 3) >= 3) view(bytes).setUint32(76, options?.features ?? 0)
  return bytes
}

export const descriptor = (type: string, extent = 'RW 2097152 SPARSE "disk.vmdk"'): string =>
  `# Disk DescriptorFile\nversion=1\nCID=7b3dc6ee\nparentCID=ffffffff\ncreateType="${type}"\n\n` +
  `# Extent description\n${extent}\n\n# The Disk Data Base\n#DDB\n\nddb.virtualHWVersion = "4"\nddb.adapterType = "ide"\n`

export const vmdk = (options?: { type?: string; version?: number; descriptor?: string; descriptorSector?: number }) => {
  const bytes = put(blank(), 0, "KDMV")
  const header = view(bytes)
  header.setUint32(4, options?.version ?? 1, true)
  header.setBigUint64(12, 2097152n, true)
  header.setBigUint64(20, 128n, true)
  header.setBigUint64(28, BigInt(options?.descriptorSector ?? 1), true)
  header.setBigUint64(36, 20n, true)
  return put(bytes, 512, options?.descriptor ?? descriptor(options?.type ?? "monolithicSparse"))
}

export const vmdkDescriptorFile = (): Uint8Array =>
  put(new Uint8Array(700).fill(0x20), 0, descriptor("monolithicFlat", 'RW 2097152 FLAT "disk-flat.vmdk" 0'))

export const vhd = (): Uint8Array => put(blank(), 0, "conectix")

export const vhdx = (): Uint8Array => put(blank(), 0, "vhdxfile")

export const vdi = (): Uint8Array => {
  const bytes = put(blank(), 0, "<<< QEMU VM Virtual Disk Image >>>\n")
  view(bytes).setUint32(0x40, 0xbeda107f, true)
  return bytes
}

export const iso = (): Uint8Array => {
  const bytes = blank()
  bytes[0x8000] = 1
  return put(bytes, 0x8001, "CD001")
}

interface Entry {
  readonly boot?: number
  readonly type: number
  readonly lba?: number
}

/** Writes a partition table and the signature behind it. */
export const partitioned = (bytes: Uint8Array, ...entries: ReadonlyArray<Entry>): Uint8Array => {
  entries.forEach(({ boot, lba, type }, i) => {
    const at = 446 + 16 * i
    bytes[at] = boot ?? 0
    bytes[at + 2] = 2
    bytes[at + 4] = type
    view(bytes).setUint32(at + 8, lba ?? 1, true)
    view(bytes).setUint32(at + 12, 2097151, true)
  })
  bytes[510] = 0x55
  bytes[511] = 0xaa
  return bytes
}

export const gptDisk = (): Uint8Array => put(partitioned(blank(), { type: 0xee }), 512, "EFI PART")

export const mbrDisk = (): Uint8Array =>
  partitioned(blank(), { boot: 0x80, type: 0x83, lba: 2048 }, { type: 0x82, lba: 4096 })

export const hybridIso = (): Uint8Array => partitioned(iso(), { boot: 0x80, type: 0x17, lba: 0 })

export const fat = (): Uint8Array => {
  const bytes = partitioned(blank())
  bytes[0x10] = 2
  bytes[0x15] = 0xf8
  return bytes
}

export const luks = (version = 1): Uint8Array => {
  const bytes = put(blank(), 0, "LUKS\xba\xbe")
  view(bytes).setUint16(6, version)
  return bytes
}

export const qed = (): Uint8Array => put(blank(), 0, "QED\0")

export const ploop = (): Uint8Array => put(blank(), 0, "WithouFreSpacExt")
