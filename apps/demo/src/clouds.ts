/**
 * Two clouds on this machine, to try a migration between: `old` with some images, and `new` without any. They are embedded
 * Glances in this process and keep everything in memory; `clouds.yaml` in the current folder says where they are, and
 * goes when they end.
 */
import { randomFillSync } from "node:crypto"
import { existsSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"

const file = "clouds.yaml"
const mebibyte = 1024 * 1024

const say = (...lines: ReadonlyArray<string>) => process.stdout.write(`${lines.join("\n")}\n`)

type Values = Readonly<Record<string, unknown>>

/** Makes an image of random bytes, as any client would, and gives its id. */
const put = async (url: string, bytes: number, values: Values): Promise<string> => {
  const ask = async (method: string, path: string, type: string, body: string | Uint8Array<ArrayBuffer>) => {
    const answer = await fetch(`${url}/v2/images${path}`, { method, headers: { "content-type": type }, body })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status}`)
    return answer
  }
  const wanted = { visibility: "private", disk_format: "raw", container_format: "bare", ...values }
  const made = await ask("POST", "", "application/json", JSON.stringify(wanted))
  const { id } = (await made.json()) as { readonly id: string }
  await ask("PUT", `/${id}/file`, "application/octet-stream", randomFillSync(new Uint8Array(bytes)))
  return id
}

const fill = async (url: string): Promise<void> => {
  const linux = { os_type: "linux", hw_disk_bus: "virtio" }
  await put(url, 48 * mebibyte, { ...linux, name: "ubuntu-24.04", os_distro: "ubuntu", tags: ["lts"], min_disk: 5 })
  await put(url, 32 * mebibyte, { ...linux, name: "debian-12", os_distro: "debian", min_disk: 2 })
  await put(url, 24 * mebibyte, { ...linux, name: "build agent", os_distro: "debian", old_team: "ci" })
  await put(url, 16 * mebibyte, { ...linux, name: "shared-base", os_distro: "alpine", visibility: "shared" })
  const kernel = await put(url, 6 * mebibyte, { name: "kernel-6.8", disk_format: "aki", container_format: "aki" })
  const ramdisk = await put(url, 9 * mebibyte, { name: "initrd-6.8", disk_format: "ari", container_format: "ari" })
  await put(url, 40 * mebibyte, { ...linux, name: "netboot", kernel_id: kernel, ramdisk_id: ramdisk })
}

const cloud = (name: string, url: string): string =>
  `  ${name}:\n    auth_type: none\n    auth:\n      endpoint: ${url}\n`

const run = async (): Promise<number> => {
  if (existsSync(file)) {
    process.stderr.write(`headrace: ${file}: it is there already, and is not written over; go to another folder\n`)
    return 1
  }
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(signal, () => resolve())
  })
  const old = await EmbeddedGlance.start({ manner: "uwsgi" })
  const fresh = await EmbeddedGlance.start({
    manner: "uwsgi",
    stores: [{ id: "fast", default: true }, { id: "archive" }]
  })
  try {
    await fill(old.url)
    await writeFile(file, `clouds:\n${cloud("old", old.url)}${cloud("new", fresh.url)}`, { flag: "wx" })
    say(
      `Two clouds are up: old, with ${old.images.list().length} images, and new, with none; ${file} here says where.`,
      "Go on in another terminal, in this folder; docs/migrate-a-cloud.md says how. Ctrl-C ends them."
    )
    await stopped
    await rm(file, { force: true })
  } finally {
    await Promise.all([old.close(), fresh.close()])
  }
  return 0
}

process.exitCode = await run()
