/**
 * A raw disk to upload: a protective boot record, islands of random bytes, and holes between them, as a disk with a
 * file system on it looks. It takes a fraction of its size on disk and is made in well under a second.
 */
import { randomFillSync } from "node:crypto"
import { open } from "node:fs/promises"

const mebibyte = 1024 * 1024

export interface Disk {
  readonly size: number
  /** Bytes that are not a hole. */
  readonly written: number
}

export const make = async (path: string, size: number): Promise<Disk> => {
  const file = await open(path, "wx")
  try {
    await file.truncate(size)
    const boot = new Uint8Array(512)
    // One partition of type EE over the whole disk, then the mark that makes it a boot record.
    boot.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff, 0x01, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff], 446)
    boot.set([0x55, 0xaa], 510)
    await file.write(boot, 0, boot.length, 0)
    const island = randomFillSync(new Uint8Array(8 * mebibyte))
    let written = boot.length
    for (let at = mebibyte; at + island.length <= size; at += 32 * mebibyte) {
      // The same bytes everywhere would be too easy: each island begins with its own place.
      new DataView(island.buffer).setBigUint64(0, BigInt(at))
      await file.write(island, 0, island.length, at)
      written += island.length
    }
    return { size, written }
  } finally {
    await file.close()
  }
}
