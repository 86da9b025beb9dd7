/**
 * What has become of uploads, looked at on a real Glance through Keystone, a real S3 and a real Swift, behind proxies that
 * count requests: as it is, and after it was deleted, deactivated, moved, replaced and damaged behind our back.
 */
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import { mkdir, readFile, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { withPassword } from "./support/clouds.ts"
import * as Command from "./support/command.ts"
import { signIn } from "./support/plainGlance.ts"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""
const place = `verify-${process.pid}`

interface Told {
  readonly type: string
  readonly id: string
  readonly uri: string
  readonly status: string
  readonly how: string
  readonly compared: ReadonlyArray<string>
  readonly message: string
  readonly object?: { readonly id: string; readonly store?: string; readonly status?: string }
}

interface Receipt {
  readonly id: string
  readonly destinations: ReadonlyArray<{ readonly uri: string; readonly object: { readonly id: string } }>
}

const linesOf = <A>(text: string): ReadonlyArray<A> =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as A)

/** Services behind a proxy, a folder to work in, and what was uploaded. */
const bench = async (target: string, clouds: (proxy: string) => string, variables: (proxy: string) => object) => {
  const proxy = await FaultProxy.start({ target: { port: Number(new URL(target).port) } })
  const folder = await Command.folder(clouds(proxy.url))
  const run = (...args: ReadonlyArray<string>) =>
    Command.run(folder, args, {
      env: { XDG_STATE_HOME: join(folder, "state"), ...(variables(proxy.url) as Record<string, string>) },
      patienceMs: 110_000
    })
  return {
    folder,
    proxy,
    run,
    /** Uploads so many files, of 1 KiB and more, each to where `to` says. */
    upload: async (
      name: string,
      count: number,
      to: (index: number) => ReadonlyArray<string>,
      ...options: ReadonlyArray<string>
    ) => {
      await mkdir(join(folder, name))
      const lines = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const source = join(folder, name, `${index}.raw`)
          await writeFile(source, Command.random(1024 + index))
          return JSON.stringify({ id: `${name}-${index}`, source, to: to(index) })
        })
      )
      await writeFile(join(folder, `${name}.ndjson`), lines.join("\n"))
      // One at a time: the testbed's Glance has a database that knows only one writer.
      const more = ["--receipts", `${name}.receipts`, "--concurrency", "1", "--progress", "none", ...options]
      const ended = await run("run", `${name}.ndjson`, ...more)
      expect(ended.code, ended.stderr).toBe(0)
      return linesOf<Receipt>(await readFile(join(folder, `${name}.receipts`), "utf8"))
    },
    verify: async (...args: ReadonlyArray<string>) => {
      const before = proxy.requests.length
      const ended = await run("verify", ...args, "--json", "--progress", "none")
      const all = linesOf<Told>(ended.stdout)
      const byId = new Map(all.map((told) => [told.id, told]))
      return { ...ended, all: all.slice(0, -1), byId, requests: proxy.requests.slice(before), summary: all.at(-1) }
    },
    close: async () => {
      await proxy.close()
      await rm(folder, { recursive: true, force: true })
    }
  }
}

type Bench = Awaited<ReturnType<typeof bench>>

describe.skipIf(env("KEYSTONE") === "")("images of a real Glance", () => {
  let at: Bench
  let ask: (method: string, path: string, body?: string) => Promise<number>
  beforeAll(async () => {
    at = await bench(
      env("KEYSTONE_GLANCE"),
      (proxy) => `${withPassword(env("KEYSTONE"), "demo-secret")}    image_endpoint_override: ${proxy}\n`,
      () => ({})
    )
    const headers = {
      "x-auth-token": await signIn(env("KEYSTONE"), "demo", "demo-secret", "demo"),
      "content-type": "application/openstack-images-v2.1-json-patch"
    }
    ask = async (method, path, body) =>
      (await fetch(`${env("KEYSTONE_GLANCE")}${path}`, { method, headers, ...(body === undefined ? {} : { body }) }))
        .status
  })
  afterAll(() => at.close())

  it("are looked at some tens with one request, and what became of them is told", async () => {
    const count = 55
    const receipts = await at.upload("many", count, (index) => [`glance://prod/${place}-${index}?disk_format=raw`])
    const idOf = (index: number) => receipts.find(({ id }) => id === `many-${index}`)!.destinations[0]!.object.id
    const whole = await at.verify("many.receipts")
    expect(whole.code, whole.stderr).toBe(0)
    expect(whole.all).toHaveLength(count)
    expect(
      whole.all.every(({ compared, how, status }) => status === "same" && how === "list" && compared.includes("sha512"))
    ).toBe(true)
    expect(whole.requests).toHaveLength(2)
    expect(whole.summary).toMatchObject({ type: "summary", same: count, requests: expect.any(Number) as unknown })

    const journal = await at.verify("many.ndjson.journal")
    expect(journal.code, journal.stderr).toBe(0)
    expect(journal.all).toHaveLength(count)

    expect(await ask("DELETE", `/v2/images/${idOf(3)}`)).toBe(204)
    expect(await ask("POST", `/v2/images/${idOf(4)}/actions/deactivate`)).toBe(204)
    const hide = JSON.stringify([{ op: "replace", path: "/os_hidden", value: true }])
    for (const index of [5, 6, 7, 8]) expect(await ask("PATCH", `/v2/images/${idOf(index)}`, hide)).toBe(200)
    const changed = await at.verify("many.receipts")
    expect(changed.code).toBe(3)
    expect(changed.byId.get("many-3")).toMatchObject({
      status: "missing",
      how: "head",
      message: `there is no image ${idOf(3)}`
    })
    expect(changed.byId.get("many-4")).toMatchObject({
      status: "differs",
      message: `image ${idOf(4)} is deactivated`,
      object: { id: idOf(4), status: "deactivated" }
    })
    expect(changed.byId.get("many-5")).toMatchObject({ status: "same", how: "list" })
    expect(changed.summary).toMatchObject({ same: count - 2, missing: 1, differs: 1, unknown: 0 })
    // Two lists, one of those that are hidden, and the one that is missing.
    expect(changed.requests.length).toBeLessThanOrEqual(4)

    const each = await at.verify("many.receipts", "--head")
    expect(each.requests).toHaveLength(count)
    expect(each.all.every(({ how }) => how === "head")).toBe(true)

    const read = await at.verify("many.receipts", "--sample", "10%")
    const reads = read.all.filter(({ how }) => how === "read")
    expect(reads.length).toBeGreaterThan(0)
    expect(reads.length).toBeLessThan(40)
    expect(reads.every(({ compared, status }) => status === "same" && compared.includes("sha512"))).toBe(true)
    expect(read.requests.filter(({ path }) => path.endsWith("/file"))).toHaveLength(reads.length)
    const again = await at.verify("many.receipts", "--sample", "10%")
    expect(
      again.all
        .filter(({ how }) => how === "read")
        .map(({ id }) => id)
        .sort()
    ).toEqual(reads.map(({ id }) => id).sort())
  }, 120_000)

  it("in two stores are one look, and one of them that is moved away is told", async () => {
    const [receipt] = await at.upload("copies", 1, () => [
      `glance://prod/${place}-copies?disk_format=raw&store=fast&store=cheap`
    ])
    const { id } = receipt!.destinations[0]!.object
    const both = await at.verify("copies.receipts")
    expect(both.code, both.stderr).toBe(0)
    expect(both.all.map(({ object, uri }) => [/store=(\w+)/.exec(uri)?.[1], object?.store])).toEqual([
      ["fast", "fast"],
      ["cheap", "cheap"]
    ])
    expect(both.requests).toHaveLength(1)
    const admin = await signIn(env("KEYSTONE"), "admin", "admin-secret", "admin").catch(() => undefined)
    const headers = { "x-auth-token": admin ?? "" }
    const moved = await fetch(`${env("KEYSTONE_GLANCE")}/v2/stores/fast/${id}`, { method: "DELETE", headers })
    expect(moved.status).toBe(204)
    const one = await at.verify("copies.receipts")
    expect(one.code).toBe(3)
    expect(one.all.map(({ message, status }) => [status, message])).toEqual([
      ["differs", "it is in cheap, and no more in fast"],
      ["same", expect.stringMatching(/^the same size/)]
    ])
  })

  it("of a cloud that is away, or unknown, are unknown, and others are looked at", async () => {
    const [receipt] = linesOf<Record<string, unknown>>(await readFile(join(at.folder, "copies.receipts"), "utf8"))
    const text = JSON.stringify(receipt)
    const stored = join(at.folder, "stored.raw")
    expect((await at.run("upload", join(at.folder, "many/0.raw"), "--to", stored, "--json")).code).toBe(0)
    const file = { uri: stored, status: "stored", required: true, object: { id: stored, size: 1024, digests: {} } }
    const lines = [
      text.replaceAll("glance://prod/", "glance://nobody/"),
      JSON.stringify({ id: "file", source: { uri: "x", size: 1024, digests: {} }, destinations: [file] })
    ]
    await writeFile(join(at.folder, "mixed"), lines.join("\n"))
    const ended = await at.verify("mixed")
    expect(ended.code).toBe(2)
    expect(ended.summary).toMatchObject({ same: 1, unknown: 2 })
    expect(ended.all.find(({ status }) => status === "unknown")?.message).toContain("nobody")
  })
})

describe.skipIf(env("S3") === "")("objects of a real S3", () => {
  let at: Bench
  beforeAll(async () => {
    at = await bench(
      env("S3"),
      () => "",
      (proxy) => ({
        AWS_ENDPOINT_URL_S3: proxy,
        AWS_REGION: "us-east-1",
        AWS_ACCESS_KEY_ID: env("S3_ACCESS_KEY"),
        AWS_SECRET_ACCESS_KEY: env("S3_SECRET_KEY")
      })
    )
  })
  afterAll(() => at.close())

  const uri = (index: number) => `s3://${env("S3_BUCKET")}/${place}/many/${index}/é x.raw`

  it("are looked at by pages of the list, and other bytes of the same size are seen", async () => {
    const count = 100
    await at.upload("many", count, (index) => [encodeURI(uri(index))], "--digest", "md5")
    const whole = await at.verify("many.receipts")
    expect(whole.code, whole.stderr).toBe(0)
    expect(
      whole.all.every(({ compared, how, status }) => status === "same" && how === "list" && compared.includes("md5"))
    ).toBe(true)
    expect(whole.requests).toHaveLength(1)

    await writeFile(join(at.folder, "other"), Command.random(1024 + 7))
    const replaced = await at.run("upload", "other", "--to", encodeURI(uri(7)), "--progress", "none")
    expect(replaced.code, replaced.stderr).toBe(0)
    const changed = await at.verify("many.receipts")
    expect(changed.code).toBe(3)
    expect(changed.byId.get("many-7")).toMatchObject({
      status: "differs",
      message: expect.stringMatching(/^its (?:md5|crc64nvme) is [0-9a-f]+, and was [0-9a-f]+$/) as unknown
    })
    const each = await at.verify("many.receipts", "--head")
    expect(each.requests).toHaveLength(count)
    expect(each.summary).toMatchObject({ same: count - 1, differs: 1 })
    const read = await at.verify("many.receipts", "--sample", "100%", "--limit", "10MiB/s")
    expect(read.summary).toMatchObject({ same: count - 1, differs: 1, how: { read: count - 1 } })
  }, 120_000)

  it("of which a list proves the size alone are asked for by themselves where they were written since", async () => {
    const count = 12
    const to = (index: number) => [`s3://${env("S3_BUCKET")}/${place}/sizes/${index}.raw`]
    await at.upload("sizes", count, to)
    const whole = await at.verify("sizes.receipts")
    expect(whole.code, whole.stderr).toBe(0)
    expect(whole.summary).toMatchObject({ same: count, sizeOnly: count, how: { list: count, head: 0, read: 0 } })
    expect(whole.all[0]!.message).toContain("--head asks for its digests")
    const proven = await at.verify("sizes.receipts", "--head")
    expect(proven.summary).toMatchObject({ same: count, sizeOnly: 0 })

    await writeFile(join(at.folder, "other"), Command.random(1024 + 3))
    expect((await at.run("upload", "other", "--to", to(3)[0]!, "--progress", "none")).code).toBe(0)
    // As if it had been an hour ago.
    const text = await readFile(join(at.folder, "sizes.receipts"), "utf8")
    const earlier = text.replace(/(?<="sizes-3".*"startedAt":")[^"]*/, new Date(Date.now() - 3_600_000).toISOString())
    await writeFile(join(at.folder, "sizes.receipts"), earlier)
    const changed = await at.verify("sizes.receipts")
    expect(changed.code).toBe(3)
    expect(changed.byId.get("sizes-3")).toMatchObject({
      status: "differs",
      how: "head",
      compared: ["size", "crc64nvme"]
    })
    expect(changed.requests).toHaveLength(2)
  }, 120_000)

  it("that lie far apart among others cost no more pages than objects", async () => {
    const receipts = await readFile(join(at.folder, "many.receipts"), "utf8")
    const few = receipts.split("\n").filter((line) => /"many-(?:\d|11)"/.test(line) && !line.includes('"many-7"'))
    await writeFile(join(at.folder, "few"), few.join("\n"))
    const ended = await at.verify("few")
    expect(ended.code, ended.stderr).toBe(0)
    expect(ended.requests.length).toBeLessThanOrEqual(few.length)
  })

  it("in parts have nothing to compare in a list, and that is said; read back they are proven", async () => {
    await writeFile(join(at.folder, "large.raw"), Command.random(12 * 1024 * 1024))
    const to = `s3://${env("S3_BUCKET")}/${place}/large.raw?part_size=5MiB`
    const sent = await at.run("upload", "large.raw", "--to", to, "--digest", "sha256", "--json")
    expect(sent.code, sent.stderr).toBe(0)
    await writeFile(join(at.folder, "large.receipt"), sent.stdout)
    const ended = await at.verify("large.receipt")
    expect(ended.code, ended.stderr).toBe(0)
    const [looked] = ended.all
    expect(looked).toMatchObject({ status: "same", how: "head" })
    const read = await at.verify("large.receipt", "--sample", "1%")
    expect(read.all[0]).toMatchObject({ status: "same", how: "read" })
    expect(read.all[0]!.compared).toContain("sha256")
  })

  it("of a bucket that is gone are missing", async () => {
    const receipts = await readFile(join(at.folder, "many.receipts"), "utf8")
    await writeFile(join(at.folder, "gone"), receipts.replaceAll(`s3://${env("S3_BUCKET")}/`, "s3://gone-for-good/"))
    const ended = await at.verify("gone")
    expect(ended.code).toBe(2)
    expect(ended.summary).toMatchObject({ missing: 100, same: 0 })
    expect(ended.requests.length).toBeLessThan(4)
  })
})

describe.skipIf(env("SWIFT_STORAGE_URL") === "")("objects of a real Swift", () => {
  let at: Bench
  let headers: Record<string, string> = {}
  beforeAll(async () => {
    const storage = new URL(env("SWIFT_STORAGE_URL"))
    at = await bench(
      storage.origin,
      (proxy) => `  swift:
    auth_type: v1password
    object_store_endpoint_override: ${proxy}${storage.pathname}
    auth:
      auth_url: ${env("SWIFT_AUTH_URL")}
      username: "${env("SWIFT_USER")}"
      password: ${env("SWIFT_KEY")}
`,
      () => ({})
    )
    const signedIn = await fetch(env("SWIFT_AUTH_URL"), {
      headers: { "x-auth-user": env("SWIFT_USER"), "x-auth-key": env("SWIFT_KEY") }
    })
    headers = { "x-auth-token": signedIn.headers.get("x-auth-token") ?? "" }
  })
  afterAll(() => at.close())

  const uri = (name: string) => `swift://swift/${place}/${name}`
  const url = (name: string) => `${env("SWIFT_STORAGE_URL")}/${name}`

  it("are looked at by pages of the list, small and large, and what became of them is told", async () => {
    const count = 40
    await at.upload("many", count, (index) => [uri(`many/${index}${index === 0 ? "?segment_size=500" : ""}`)])
    const whole = await at.verify("many.receipts")
    expect(whole.code, whole.stderr).toBe(0)
    expect(whole.summary).toMatchObject({ same: count, how: { list: count, head: 0, read: 0 }, sizeOnly: 1 })
    expect(whole.byId.get("many-0")?.message).toContain("large object")
    expect(whole.requests.filter(({ path }) => path.includes(place))).toHaveLength(1)

    expect((await fetch(url(`${place}/many/5`), { method: "DELETE", headers })).status).toBe(204)
    const other = Command.random(1024 + 6)
    expect((await fetch(url(`${place}/many/6`), { method: "PUT", headers, body: other as BodyInit })).status).toBe(201)
    const listed = await fetch(url(`${place}_segments?format=json`), { headers })
    const segments = (await listed.json()) as ReadonlyArray<{ readonly name: string }>
    const segment = encodeURI(segments.at(-1)!.name)
    expect((await fetch(url(`${place}_segments/${segment}`), { method: "DELETE", headers })).status).toBe(204)

    const changed = await at.verify("many.receipts")
    expect(changed.code).toBe(3)
    expect(changed.byId.get("many-5")).toMatchObject({ status: "missing" })
    expect(changed.byId.get("many-6")).toMatchObject({ status: "differs", compared: ["size", "md5"] })
    const each = await at.verify("many.receipts", "--head")
    expect(each.byId.get("many-0")).toMatchObject({
      status: "differs",
      message: expect.stringMatching(/^1 of its 3 segments is missing or changed: verify-/) as unknown
    })
    const read = await at.verify("many.receipts", "--sample", "100%")
    expect(read.byId.get("many-0")).toMatchObject({ status: "differs", how: "read" })
    expect(read.summary).toMatchObject({ same: count - 3, missing: 1, differs: 2 })
  }, 120_000)

  it("that are cut off at a file are told, too", async () => {
    const path = join(at.folder, "file.raw")
    await writeFile(join(at.folder, "source.raw"), Command.random(5000))
    const sent = await at.run("upload", "source.raw", "--to", path, "--digest", "sha256", "--json")
    await writeFile(join(at.folder, "file.receipt"), sent.stdout)
    const read = await at.verify("file.receipt", "--sample", "100%")
    expect(read.all).toEqual([expect.objectContaining({ status: "same", how: "read", compared: ["size", "sha256"] })])
    await truncate(path, 4096)
    const ended = await at.verify("file.receipt")
    expect(ended.code).toBe(3)
    expect(ended.all[0]).toMatchObject({ status: "differs", message: "it has 4096 bytes, and had 5000" })
  })
})
