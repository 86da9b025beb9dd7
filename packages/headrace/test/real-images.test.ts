/**
 * Real images of every format, to a Glance 33 that inspects what it stores, by the launcher of the checkout, and back by
 * OpenStack's own client.
 */
import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { open, rm } from "node:fs/promises"
import { homedir } from "node:os"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { withPassword } from "./support/clouds.ts"
import { type Ended, folder as makeFolder, program } from "./support/command.ts"
import * as Disks from "./support/disks.ts"
import { compare, hasQemuImg, type Image, images, qemuImages } from "./support/images.ts"
import { type PlainGlance, plainGlance, signIn } from "./support/plainGlance.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""
const launcher = join(import.meta.dirname, "../../../headrace")

const sha512 = async (path: string): Promise<string> => {
  const hash = createHash("sha512")
  await pipeline(createReadStream(path), hash)
  return hash.digest("hex")
}

/** Whether two files hold the same bytes. */
const same = async (one: string, other: string): Promise<boolean> => {
  const files = await Promise.all([open(one), open(other)])
  try {
    const buffers = files.map(() => Buffer.alloc(1024 * 1024))
    while (true) {
      const [first, second] = await Promise.all(
        files.map(async (file, index) => {
          const { bytesRead, buffer } = await file.read({ buffer: buffers[index]! })
          return buffer.subarray(0, bytesRead)
        })
      )
      // A file is read in full pieces, so that different lengths mean different ends.
      if (!first!.equals(second!)) return false
      if (first!.length === 0) return true
    }
  } finally {
    await Promise.all(files.map((file) => file.close()))
  }
}

describe.skipIf(env("KEYSTONE") === "")("real images to a real Glance 33", () => {
  let folder = ""
  let glance: PlainGlance
  beforeAll(async () => {
    folder = await makeFolder(withPassword(env("KEYSTONE"), "demo-secret"))
    glance = plainGlance(env("KEYSTONE_GLANCE"), await signIn(env("KEYSTONE"), "demo", "demo-secret", "demo"))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  // The package manager's store is at home, for the launcher of a checkout that has changed.
  const upload = (path: string, uri: string): Promise<Ended> =>
    program(folder, launcher, ["upload", path, "--to", uri, "--progress", "none"], { env: { HOME: homedir() } })

  const nameOf = (path: string) => `${basename(path)}-${process.pid}`

  const proven = async ({ declared, format, make }: Image) => {
    const { diskSize, path } = await make(folder)
    const name = nameOf(path)
    const uri = `glance://prod/${name}${declared === undefined ? "" : `?disk_format=${declared}`}`
    const ended = await upload(path, uri)
    expect(ended.code, ended.stderr).toBe(0)
    expect(ended.stderr).not.toMatch(/^headrace: glance:/m)
    const hash = await sha512(path)
    expect(ended.stdout.split("\n")[0]).toBe(`verified ${uri}`)
    expect(ended.stdout).toContain(`  sha512    ${hash}  computed here by hash-wasm and by the service: equal\n`)
    const told = /^ {2}note +disk_format (\w+), taken from the first bytes$/m.exec(ended.stdout)?.[1]
    expect(told).toBe(declared === undefined ? format : undefined)

    const id = /^ {2}holds +image (\S+) in store fast of /m.exec(ended.stdout)![1]!
    expect(await glance.record(id)).toMatchObject({
      name,
      status: "active",
      disk_format: format,
      container_format: declared ?? "bare",
      virtual_size: diskSize,
      os_hash_value: hash
    })
    const back = join(folder, "back")
    await promisify(execFile)(
      join(env("VENV"), "bin/openstack"),
      ["--os-cloud", "prod", "image", "save", "--file", back, id],
      { cwd: folder, env: { PATH: process.env["PATH"], HOME: folder, PYTHONWARNINGS: "ignore" } }
    )
    expect(await same(path, back), "other bytes came back").toBe(true)
    await rm(back)
    if (path.startsWith(folder)) await rm(path)
    await glance.remove(id)
  }

  it.each(images)("$name", proven)

  it("a kernel that is not said to be one is refused before a byte, with the format to say", async () => {
    const path = env("KERNEL")
    const uri = `glance://prod/${nameOf(path)}`
    const ended = await upload(path, uri)
    expect(ended.code).toBe(2)
    expect(ended.stdout).toBe("")
    expect(ended.stderr).toContain(`headrace: ${uri}: the disk image cannot be stored safely: `)
    expect(ended.stderr).toContain("a kernel is disk_format aki")
    expect(ended.stderr).toContain(": nothing was sent")
    expect(await glance.count(nameOf(path))).toBe(0)
  })

  describe.skipIf(!hasQemuImg)("[optional] as qemu-img makes them of the Alpine disk", () => {
    it.each(qemuImages)("$name", proven)
  })
})

// That what this repository writes by itself are images of these formats for those who use them.
describe.skipIf(!hasQemuImg || env("KERNEL") === "")("[optional] the images of a machine without qemu-img", () => {
  let folder = ""
  beforeAll(async () => {
    folder = await makeFolder("")
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  it.each([
    ["vmdk, monolithicSparse", "vmdk", Disks.vmdkSparse],
    ["vmdk, streamOptimized", "vmdk", Disks.vmdkStream],
    ["vdi", "vdi", Disks.vdi],
    ["vhd", "vpc", Disks.vhd],
    ["vhdx", "vhdx", Disks.vhdx]
  ] as const)("%s is the same disk to qemu-img", async (_name, format, write) => {
    await compare(folder, format, write)
  })
})

if (!hasQemuImg) {
  process.stderr.write("real images: LEFT OUT, as there is no qemu-img here: images of every format as it makes them\n")
}
