import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open, random } from "./support/command.ts"
import { endOf, read } from "./support/events.ts"

const sha512 = (bytes: Uint8Array) => createHash("sha512").update(bytes).digest("hex")

describe("where things come from and go to", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open({ stores: [{ id: "fast", default: true }, { id: "slow" }] })
  })
  afterAll(() => bench.close())

  /** The image that was made, by its name. */
  const image = (name: string) => bench.glance.images.list().find((found) => found.name === name)
  const holds = async (name: string, bytes: Uint8Array) => {
    const found = image(name)
    expect(found?.status).toBe("active")
    const stored = await bench.glance.images.bytes(found!.id)
    expect(stored?.equals(bytes)).toBe(true)
  }

  it("a path, to a new image, with the proof in words", async () => {
    const bytes = await bench.file("disk one.raw", 3 * 1024 * 1024 + 5)
    const ended = await bench.run(["upload", "disk one.raw", "--to", "glance://emb/one?store=slow"])
    expect(ended.code).toBe(0)
    await holds("one", bytes)
    expect(image("one")?.stores).toEqual(["slow"])
    const [first, ...rest] = ended.stdout.split("\n")
    expect(first).toBe("verified glance://emb/one?store=slow")
    expect(rest.join("\n")).toContain("3,145,733 bytes (3.00 MiB)")
    expect(rest.join("\n")).toContain(`holds     image ${image("one")!.id} in store slow of 3,145,733 bytes`)
    expect(rest.join("\n")).toContain(`${sha512(bytes)}  computed here by hash-wasm and by the service: equal`)
  })

  it("a path is taken as it is, with percents and colons", async () => {
    const bytes = await bench.file("a%20b:c?d#e", 1000)
    const ended = await bench.run(["upload", "a%20b:c?d#e", "--to", "glance://emb/as%20it%2Fis?disk_format=raw"])
    expect(ended.code).toBe(0)
    await holds("as it/is", bytes)
  })

  it("a file URI is percent-decoded", async () => {
    const bytes = await bench.file("ä b%.raw", 1000)
    const uri = `file://${bench.folder}/${encodeURIComponent("ä b%.raw")}`
    const ended = await bench.run(["upload", uri, "--to", "glance://emb/uri"])
    expect(ended.code).toBe(0)
    await holds("uri", bytes)
  })

  it("standard input, once, of unknown size", async () => {
    const bytes = random(2_500_000)
    const ended = await bench.run(["upload", "-", "--to", "glance://emb/stdin", "--json"], { stdin: bytes })
    expect(ended.code).toBe(0)
    await holds("stdin", bytes)
    const lines = read(ended.stdout)
    expect(lines[0]).toMatchObject({ type: "start", source: { uri: "-", size: null } })
    expect(lines.at(-1)).toMatchObject({ source: { uri: "-", size: 2_500_000, digests: { sha512: sha512(bytes) } } })
  })

  it("a URL, its query and password never shown", async () => {
    const bytes = random(2_000_000)
    let asked: string | undefined
    let authorization: string | undefined
    const server: Server = createServer((request, response) => {
      asked = request.url
      authorization = request.headers.authorization
      response.writeHead(200, { "content-length": bytes.length, etag: '"one"' }).end(bytes)
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as AddressInfo
    const url = `http://me:pass-secret@127.0.0.1:${port}/a/disk.raw?signature=query-secret`
    const ended = await bench.run(["upload", url, "--to", "glance://emb/url", "--json"])
    server.close()
    expect(ended.code).toBe(0)
    expect(asked).toBe("/a/disk.raw?signature=query-secret")
    expect(authorization).toBe(`Basic ${Buffer.from("me:pass-secret").toString("base64")}`)
    await holds("url", bytes)
    expect(ended.stdout + ended.stderr).not.toMatch(/secret/)
    expect(read(ended.stdout).at(-1)).toMatchObject({ source: { uri: `http://127.0.0.1:${port}/a/disk.raw` } })
  })

  it("an image of a cloud, by name, with its format", async () => {
    const bytes = await bench.file("from.raw", 1_500_000)
    expect((await bench.run(["upload", "from.raw", "--to", "glance://emb/from?disk_format=ari"])).code).toBe(0)
    const ended = await bench.run(["upload", "glance://emb/from", "--to", "glance://emb/copy"])
    expect(ended.stderr).not.toMatch(/^headrace:/m)
    expect(ended.code).toBe(0)
    await holds("copy", bytes)
    expect(image("copy")?.view["disk_format"]).toBe("ari")
  })

  it("a queued image that is given by its id", async () => {
    const made = await fetch(`${bench.glance.url}/v2/images`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "given", disk_format: "raw", container_format: "bare" })
    })
    const { id } = (await made.json()) as { readonly id: string }
    const bytes = await bench.file("given.raw", 5000)
    const ended = await bench.run(["upload", "given.raw", "--to", `glance://emb/${id}`, "--json"])
    expect(ended.code).toBe(0)
    expect(endOf(read(ended.stdout))["object"]).toMatchObject({ id })
    await holds("given", bytes)
  })

  it("parameters of a glance URI reach the image", async () => {
    await bench.file("p.raw", 100)
    const query =
      "disk_format=aki&container_format=aki&visibility=private&min_disk=3&min_ram=64&tag=a&tag=b&property.os_distro=al%20pine"
    const ended = await bench.run(["upload", "p.raw", "--to", `glance://emb/params?${query}`])
    expect(ended.stderr).not.toMatch(/^headrace:/m)
    expect(image("params")?.view).toMatchObject({
      disk_format: "aki",
      container_format: "aki",
      visibility: "private",
      min_disk: 3,
      min_ram: 64,
      tags: ["a", "b"],
      os_distro: "al pine"
    })
  })

  it("stores: a table, and one line of JSON", async () => {
    const table = await bench.run(["stores", "glance://emb"])
    expect(table.code).toBe(0)
    expect(table.stderr).toBe("")
    expect(table.stdout).toMatch(/^glance:\/\/emb\n/)
    expect(table.stdout).toMatch(/^ {2}stores +fast \(default\), slow \(probed\)$/m)
    expect(table.stdout).toMatch(/^ {2}digests +sha512, md5/m)
    const json = await bench.run(["stores", "glance://emb/any", "--json"])
    expect(json.code).toBe(0)
    const found = JSON.parse(json.stdout) as Record<string, unknown>
    expect(found).toMatchObject({ type: "store", shape: "whole", maxObjectBytes: null, needsSize: false })
    expect((found["places"] as ReadonlyArray<{ readonly id: string }>).map(({ id }) => id)).toEqual(["fast", "slow"])
  })

  it("sum prints what sha512sum prints, and asks nobody", async () => {
    const before = bench.glance.requests.length
    const bytes = await bench.file("sum.raw", 3_000_001)
    const md5 = createHash("md5").update(bytes).digest("hex")
    const one = await bench.run(["sum", "sum.raw"])
    expect(one).toMatchObject({ code: 0, stdout: `${sha512(bytes)}  sum.raw\n`, stderr: "" })
    const native = await bench.run(["sum", "sum.raw", "--digest", "md5", "--hasher", "native", "--memory", "4MiB"])
    expect(native).toMatchObject({ code: 0, stdout: `${md5}  sum.raw\n` })
    const stdin = await bench.run(["sum", "-", "--digest", "md5"], { stdin: bytes })
    expect(stdin).toMatchObject({ code: 0, stdout: `${md5}  -\n` })
    const several = await bench.run(["sum", "sum.raw", "--digest", "md5,sha512", "--digest", "md5"])
    expect(several.stdout).toBe(`MD5 (sum.raw) = ${md5}\nSHA512 (sum.raw) = ${sha512(bytes)}\n`)
    const missing = await bench.run(["sum", "nosuch"])
    expect(missing).toMatchObject({ code: 1, stdout: "" })
    expect(missing.stderr).toMatch(/^headrace: nosuch: .*no such file.*\n$/)
    expect(bench.glance.requests.length).toBe(before)
  })

  it("sum escapes names as coreutils does, and takes an empty source", async () => {
    const name = "a\\b\nc"
    await writeFile(join(bench.folder, name), "")
    const ended = await bench.run(["sum", name, "--digest", "md5"])
    expect(ended).toMatchObject({ code: 0, stdout: "\\d41d8cd98f00b204e9800998ecf8427e  a\\\\b\\nc\n" })
  })
})
