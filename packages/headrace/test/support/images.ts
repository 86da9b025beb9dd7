/** Real images in a folder: what the testbed carries, what its tools make of it, and what `qemu-img` makes where there is one. */
import { execFile, execFileSync } from "node:child_process"
import { open, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Disks from "./disks.ts"

const run = promisify(execFile)
const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""
const mebibyte = 1024 * 1024

/** An image that waits to be made. */
export interface Image {
  readonly name: string
  /** What it has to be recognised as. */
  readonly format: string
  /** What it has to be declared as, where its first bytes do not tell. */
  readonly declared?: "aki" | "ari"
  /** Gives its path, and the size of the disk in it as others tell it; `null` where it is no disk. */
  readonly make: (folder: string) => Promise<{ readonly path: string; readonly diskSize: number | null }>
}

/** A disk of 48 MiB with two partitions, which hold the kernel and the initial RAM disk. */
const disk = async (): Promise<Buffer> => {
  const bytes = Buffer.alloc(48 * mebibyte)
  const partitions = [
    [0x80, 0x83, 1, 16, await readFile(env("KERNEL"))],
    [0, 0x83, 20, 16, await readFile(env("INITRD"))]
  ] as const
  for (const [index, [boot, type, from, size, content]] of partitions.entries()) {
    const at = 446 + index * 16
    bytes.set([boot, 0xff, 0xff, 0xff, type, 0xff, 0xff, 0xff], at)
    bytes.writeUInt32LE((from * mebibyte) / 512, at + 8)
    bytes.writeUInt32LE((size * mebibyte) / 512, at + 12)
    content.copy(bytes, from * mebibyte)
  }
  bytes.writeUInt16BE(0x55aa, 510)
  return bytes
}

const made = (name: string, format: string, make: (raw: Buffer) => Buffer): Image => ({
  name,
  format,
  make: async (folder) => {
    const raw = await disk()
    const path = join(folder, "disk.img")
    await writeFile(path, make(raw))
    return { path, diskSize: raw.length }
  }
})

const iso = (name: string, ...options: ReadonlyArray<string>): Image => ({
  name,
  format: "iso",
  make: async (folder) => {
    const path = join(folder, "disk.iso")
    const program = join(import.meta.dirname, "../../../../testbed/iso.py")
    await run(join(env("VENV"), "bin/python"), ["-B", program, ...options, path, env("KERNEL"), env("INITRD")])
    // The volume alone, in blocks of 2 KiB: what boots from a stick is filled up to whole cylinders.
    return { path, diskSize: (await readFile(path)).readUInt32LE(0x8050) * 2048 }
  }
})

const carried = (variable: string) => async () => ({ path: env(variable), diskSize: null })

/** What every machine can make. */
export const images: ReadonlyArray<Image> = [
  {
    name: "qcow2, of Alpine",
    format: "qcow2",
    make: async () => {
      const path = env("QCOW2")
      const file = await open(path)
      const { buffer } = await file.read(Buffer.alloc(32), 0, 32, 0).finally(() => file.close())
      return { path, diskSize: Number(buffer.readBigUInt64BE(24)) }
    }
  },
  made("raw, with partitions", "raw", (raw) => raw),
  made("vmdk, monolithicSparse", "vmdk", Disks.vmdkSparse),
  made("vmdk, streamOptimized", "vmdk", Disks.vmdkStream),
  made("vdi", "vdi", Disks.vdi),
  made("vhd, dynamic", "vhd", Disks.vhd),
  made("vhdx", "vhdx", Disks.vhdx),
  iso("ISO"),
  iso("ISO that boots from a stick", "--stick"),
  { name: "kernel", format: "aki", declared: "aki", make: carried("KERNEL") },
  { name: "initial RAM disk", format: "ari", declared: "ari", make: carried("INITRD") }
]

/** `qemu-img`, where there is one that runs. */
export const hasQemuImg = ((): boolean => {
  try {
    execFileSync("qemu-img", ["--version"], { stdio: "ignore" })
    return true
  } catch {
    return false
  }
})()

/** As the tool tells it itself. */
const diskSizeOf = async (path: string, format: string): Promise<number> => {
  const { stdout } = await run("qemu-img", ["info", "--output", "json", "-f", format, path])
  return (JSON.parse(stdout) as { readonly "virtual-size": number })["virtual-size"]
}

const converted = (name: string, format: string, to: string, ...options: ReadonlyArray<string>): Image => ({
  name,
  format,
  make: async (folder) => {
    const path = join(folder, `converted.${to}`)
    await run("qemu-img", ["convert", "-f", "qcow2", "-O", to, ...options, env("QCOW2"), path])
    return { path, diskSize: await diskSizeOf(path, to) }
  }
})

/** What `qemu-img` makes of the Alpine disk, which has 1 GiB. */
export const qemuImages: ReadonlyArray<Image> = [
  {
    name: "raw, its first 128 MiB",
    format: "raw",
    make: async (folder) => {
      const path = join(folder, "converted.raw")
      const part = ["bs=1M", "count=128", `if=${env("QCOW2")}`, `of=${path}`]
      await run("qemu-img", ["dd", "-f", "qcow2", "-O", "raw", ...part])
      return { path, diskSize: await diskSizeOf(path, "raw") }
    }
  },
  converted("vmdk, monolithicSparse", "vmdk", "vmdk", "-o", "subformat=monolithicSparse"),
  converted("vmdk, streamOptimized", "vmdk", "vmdk", "-o", "subformat=streamOptimized"),
  converted("vdi", "vdi", "vdi"),
  converted("vhd, dynamic", "vhd", "vpc"),
  converted("vhdx", "vhdx", "vhdx")
]

/** Whether `qemu-img` finds the same disk in our image as in the raw one; throws with its words when not. */
export const compare = async (folder: string, to: string, write: (raw: Buffer) => Buffer): Promise<void> => {
  const raw = await disk()
  await writeFile(join(folder, "one.raw"), raw)
  await writeFile(join(folder, "other.img"), write(raw))
  await run("qemu-img", ["compare", "-f", "raw", "-F", to, "one.raw", "other.img"], { cwd: folder })
}
