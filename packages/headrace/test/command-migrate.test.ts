/** From cloud to cloud as it is typed: plan, run, run again; between two embedded Glances, and between two real ones. */
import { readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startGlance } from "../../../testbed/testbed.ts"
import { cloud, folder as makeFolder, run as command } from "./support/command.ts"

type Record_ = Readonly<Record<string, unknown>>

/** An image service, asked without any of our code. */
const service = (url: string) => {
  const ask = async (method: string, path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${url}/v2/images${path}`, { method, ...init })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  return {
    put: async (values: Record_, content: string): Promise<string> => {
      const made = await ask("POST", "", {
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ disk_format: "raw", container_format: "bare", ...values })
      })
      const { id } = (await made.json()) as { readonly id: string }
      await ask("PUT", `/${id}/file`, { headers: { "content-type": "application/octet-stream" }, body: content })
      return id
    },
    set: (id: string, values: Record_) =>
      ask("PATCH", `/${id}`, {
        headers: { "content-type": "application/openstack-images-v2.1-json-patch" },
        body: JSON.stringify(Object.entries(values).map(([key, value]) => ({ op: "replace", path: `/${key}`, value })))
      }),
    remove: (id: unknown) => ask("DELETE", `/${String(id)}`),
    list: async (): Promise<ReadonlyArray<Record_>> => {
      const of = async (query: string) =>
        ((await (await ask("GET", `?limit=100${query}`)).json()) as { readonly images: ReadonlyArray<Record_> }).images
      return [...(await of("")), ...(await of("&os_hidden=true"))]
    },
    bytes: async (id: unknown) => (await ask("GET", `/${String(id)}/file`)).text()
  }
}

type Service = ReturnType<typeof service>

interface Clouds {
  readonly old: { readonly url: string }
  readonly fresh: { readonly url: string }
  readonly store: string
  readonly stop: () => Promise<unknown>
}

/** The real ones have SQLite for a database: of several writers at once some get a 500, and leave their image "saving". */
const gently = ["--concurrency", "1", "--answer", "10s"]

const moving = (start: () => Promise<Clouds>) => {
  let clouds: Clouds
  let from: Service
  let to: Service
  let folder: string
  let kernel: string
  beforeAll(async () => {
    clouds = await start()
    from = service(clouds.old.url)
    to = service(clouds.fresh.url)
    folder = await makeFolder(cloud("old", clouds.old.url) + cloud("new", clouds.fresh.url))
    kernel = await from.put(
      { name: "kernel", disk_format: "aki", container_format: "aki", visibility: "private" },
      "kernel"
    )
    const ramdisk = await from.put(
      { name: "ramdisk", disk_format: "ari", container_format: "ari", visibility: "private" },
      "r"
    )
    const disk = await from.put(
      {
        name: "disk one",
        visibility: "private",
        tags: ["a,b", "lts"],
        min_disk: 3,
        min_ram: 64,
        kernel_id: kernel,
        ramdisk_id: ramdisk,
        hw_rng_model: "virtio",
        old_team: "blue",
        "owner_specified.openstack.sha256": "x"
      },
      "d".repeat(100_000)
    )
    await from.set(disk, { protected: true, os_hidden: true })
    await from.put({ name: "public one", visibility: "shared" }, "not of this plan")
  })
  afterAll(async () => {
    await clouds.stop()
    await rm(folder, { recursive: true, force: true })
  })
  const headrace = (...args: ReadonlyArray<string>) =>
    command(folder, args[0] === "run" ? [...args, ...gently] : args, {
      env: { XDG_STATE_HOME: join(folder, "s") },
      patienceMs: 120_000
    })

  it("moves what is planned, with its metadata, and what refers to each other", async () => {
    await writeFile(
      join(folder, "map.json"),
      JSON.stringify({ rename: { "old_*": "new_*" }, drop: ["hw_*"], set: { moved: "yes" } })
    )
    const planned = await headrace(
      "plan",
      "--from",
      "glance://old",
      "--to",
      `glance://new?store=${clouds.store}`,
      "--filter",
      "visibility=private",
      "--map",
      "map.json"
    )
    expect(planned).toMatchObject({ code: 0 })
    await writeFile(join(folder, "move.ndjson"), planned.stdout)
    const before = new Set(await readdir(folder))
    const moved = await headrace("run", "move.ndjson", "--map", "map.json", "--receipts", "receipts.ndjson")
    expect(moved.code, moved.stderr).toBe(0)
    expect(moved.stdout).toContain("3 verified")

    const images = await to.list()
    expect(images.map(({ name }) => name).sort()).toEqual(["disk one", "kernel", "ramdisk"])
    const named = (name: string) => images.find((image) => image["name"] === name)!
    const disk = named("disk one")
    expect(disk).toMatchObject({
      status: "active",
      visibility: "private",
      protected: true,
      os_hidden: true,
      min_disk: 3,
      min_ram: 64,
      kernel_id: named("kernel")["id"],
      ramdisk_id: named("ramdisk")["id"],
      new_team: "blue",
      moved: "yes"
    })
    expect([...(disk["tags"] as ReadonlyArray<string>)].sort()).toEqual(["a,b", "lts"])
    for (const key of ["hw_rng_model", "old_team", "owner_specified.openstack.sha256"])
      expect(disk).not.toHaveProperty([key])
    expect(disk["kernel_id"]).not.toBe(kernel)
    expect(await to.bytes(disk["id"])).toBe("d".repeat(100_000))
    // Through memory alone: nothing but the books is on the disk.
    const made = (await readdir(folder)).filter((name) => !before.has(name)).sort()
    expect(made.filter((name) => name !== "s")).toEqual([
      "move.ndjson.journal",
      "move.ndjson.journal-lock",
      "receipts.ndjson"
    ])
    expect((await readFile(join(folder, "receipts.ndjson"), "utf8")).trimEnd().split("\n")).toHaveLength(3)

    const again = await headrace("run", "move.ndjson", "--map", "map.json")
    expect(again.code).toBe(0)
    expect(await to.list()).toHaveLength(3)
    const replanned = await headrace(
      "plan",
      "--from",
      "glance://old",
      "--to",
      "glance://new",
      "--filter",
      "visibility=private"
    )
    expect(replanned.stdout.split("\n").filter((line) => line !== "" && !line.startsWith("#"))).toEqual([])
  })

  it("leaves out what is there already, with a proof", async () => {
    const line = (id: string, name: string) =>
      JSON.stringify({ id, source: `glance://old/${kernel}`, to: [`glance://new/${name}`] })
    await writeFile(join(folder, "again.ndjson"), `${line("same", "kernel")}\n${line("other", "kernel-2")}\n`)
    const byName = await headrace("run", "again.ndjson", "--skip-existing", "name", "--json")
    expect(byName.code, byName.stderr).toBe(0)
    const receipts = byName.stdout
      .split("\n")
      .filter((text) => text.includes('"type":"receipt"'))
      .map((text) => JSON.parse(text))
    const same = receipts.find(({ id }) => id === "same")
    expect(same.destinations[0]).toMatchObject({ status: "verified", attempts: 0, proof: { compared: ["sha512"] } })
    expect(byName.stdout).toContain('"skipped":1')
    expect((await to.list()).map(({ name }) => name).sort()).toEqual(["disk one", "kernel", "kernel-2", "ramdisk"])
    await writeFile(join(folder, "third.ndjson"), `${line("third", "kernel-3")}\n`)
    const byHash = await headrace("run", "third.ndjson", "--skip-existing", "hash", "--json")
    expect(byHash.stdout).toContain('"skipped":1')
    expect(await to.list()).toHaveLength(4)
  })

  it("does not send an image whose kernel has failed", async () => {
    const kernelId = await from.put({ name: "k2", disk_format: "aki", container_format: "aki" }, "kernel two")
    const diskId = await from.put({ name: "d2", kernel_id: kernelId }, "disk two")
    const lines = [
      { id: "d2", source: `glance://old/${diskId}`, to: ["glance://new/d2"], size: 9 },
      {
        id: "k2",
        source: `glance://old/${kernelId}`,
        to: ["glance://new/k2"],
        size: 1,
        expect: { md5: "0".repeat(32) }
      }
    ]
    await writeFile(join(folder, "bad.ndjson"), lines.map((line) => JSON.stringify(line)).join("\n"))
    const ended = await headrace("run", "bad.ndjson")
    expect(ended.code).toBe(3)
    expect(ended.stderr).toContain('kernel_id refers to the image of the line "k2", which has failed')
    expect((await to.list()).filter(({ name }) => name === "d2" || name === "k2")).toEqual([])
  })

  it("gives the new id of a kernel that had to be made anew to the images that name it", async () => {
    const kernelId = await from.put({ name: "k3", disk_format: "aki", container_format: "aki" }, "kernel three")
    const diskId = await from.put({ name: "d3", kernel_id: kernelId }, "disk three")
    const lines = [
      { id: "d3", source: `glance://old/${diskId}`, to: ["glance://new/d3"] },
      { id: "k3", source: `glance://old/${kernelId}`, to: ["glance://new/k3"] }
    ]
    await writeFile(join(folder, "three.ndjson"), lines.map((line) => JSON.stringify(line)).join("\n"))
    expect((await headrace("run", "three.ndjson")).code).toBe(0)
    const named = async (name: string) => (await to.list()).find((image) => image["name"] === name)!
    const before = await named("k3")
    expect(await named("d3")).toMatchObject({ kernel_id: before["id"] })
    await to.remove(before["id"])
    const repaired = await headrace("repair", "three.ndjson.journal")
    expect(repaired.code, repaired.stderr).toBe(0)
    const after = await named("k3")
    expect(after["id"]).not.toBe(before["id"])
    expect(await named("d3")).toMatchObject({ kernel_id: after["id"] })
    expect(repaired.stderr).toContain(`kernel_id names image ${String(after["id"])} now`)
  })

  it("says of a kernel that no line brings that its id is the old cloud's", async () => {
    const diskId = await from.put({ name: "d4", kernel_id: kernel }, "disk four")
    const line = { id: "d4", source: `glance://old/${diskId}`, to: ["glance://new/d4"] }
    await writeFile(join(folder, "four.ndjson"), JSON.stringify(line))
    const told = `kernel_id names image ${kernel} of the source's cloud, which no line brings`
    expect((await headrace("run", "four.ndjson", "--dry-run")).stdout).toContain(told)
    expect((await headrace("run", "four.ndjson", "--json")).stdout).toContain(told)
  })
}

describe("between embedded Glances", () => {
  moving(async () => {
    const [old, fresh] = await Promise.all([
      EmbeddedGlance.start({ manner: "uwsgi" }),
      EmbeddedGlance.start({ manner: "uwsgi", stores: [{ id: "fast" }, { id: "cheap", default: true }] })
    ])
    return { old, fresh, store: "fast", stop: () => Promise.all([old.close(), fresh.close()]) }
  })
})

describe.skipIf((process.env["HEADRACE_TESTBED_GLANCE"] ?? "") === "")("between real Glances 33", () => {
  moving(async () => {
    const [old, fresh] = await Promise.all([
      startGlance({ auth: "none", stores: ["one"] }),
      startGlance({ auth: "none", stores: ["fast", "cheap"] })
    ])
    return { old, fresh, store: "cheap", stop: () => Promise.all([old.stop(), fresh.stop()]) }
  })
})
