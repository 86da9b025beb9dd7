import { createHash } from "node:crypto"
import { readFile, readdir, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import type { Destination, Receipt } from "headrace"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as ExitCode from "../src/cli/ExitCode.ts"
import { type Bench, open, random } from "./support/command.ts"
import { read } from "./support/events.ts"

const size = 5 * 1024 * 1024 + 77
const bytes = random(size)
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")
const nobody = "http://127.0.0.1:9/disk"

/** A web server that gives one object, and keeps what is put there. */
const web = async () => {
  const objects = new Map<string, Buffer>()
  let reads = 0
  const server: Server = createServer((request, response) => {
    const path = request.url!
    if (request.method === "PUT") {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        objects.set(path, Buffer.concat(chunks))
        response.writeHead(201).end()
      })
      return
    }
    if (path === "/source" && request.method === "GET") reads++
    const body = path === "/source" ? bytes : objects.get(path)
    if (body === undefined) return void response.writeHead(404).end()
    response.writeHead(200, { "content-length": body.byteLength })
    response.end(request.method === "HEAD" ? undefined : body)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    objects,
    reads: () => reads,
    close: () => {
      server.closeAllConnections()
      server.close()
    }
  }
}

const statuses = ({ destinations }: Receipt) => destinations.map(({ required, status }) => ({ required, status }))

describe("one source to several destinations", () => {
  let bench: Bench
  let server: Awaited<ReturnType<typeof web>>
  beforeAll(async () => {
    bench = await open({ manner: "eventlet" })
    server = await web()
    await writeFile(join(bench.folder, "disk.raw"), bytes)
  })
  afterAll(async () => {
    server.close()
    await bench.close()
  })

  const upload = (args: ReadonlyArray<string>) => bench.run(["upload", ...args])
  const file = (name: string) => readFile(join(bench.folder, name))

  it("reads it once, and has a verdict for each", async () => {
    const image = "glance://emb/many"
    const { code, stderr, stdout } = await upload([
      `${server.url}/source`,
      "--to",
      image,
      "--to",
      `${server.url}/copy`,
      "--also",
      "copy.raw",
      "--json",
      "--progress",
      "none"
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(server.reads()).toBe(1)
    const events = read(stdout)
    const start = events.find(({ type }) => type === "start") as unknown as { destinations: ReadonlyArray<Destination> }
    expect(start.destinations.map(({ required, uri }) => ({ required, uri }))).toEqual([
      { uri: image, required: true },
      { uri: `${server.url}/copy`, required: true },
      { uri: "copy.raw", required: false }
    ])
    const receipt = events.at(-1) as unknown as Receipt
    expect(statuses(receipt)).toEqual([
      { required: true, status: "verified" },
      { required: true, status: "stored" },
      { required: false, status: "stored" }
    ])
    expect(receipt.source.digests.sha512).toBe(sha512)
    expect(server.objects.get("/copy")!.equals(bytes)).toBe(true)
    expect((await file("copy.raw")).equals(bytes)).toBe(true)
    expect(bench.glance.images.list().find(({ name }) => name === "many")).toMatchObject({ hashValue: sha512 })
  })

  it("tells people what was read once, and of each what it holds", async () => {
    const { code, stderr, stdout } = await upload(["disk.raw", "--to", "glance://emb/words", "--to", "words.raw"])
    expect(code).toBe(0)
    expect(stderr).toMatch(/^words\.raw: stored$/m)
    expect(stdout.split("\n").filter((line) => line.includes(sha512))).toEqual([
      `  sha512    ${sha512}`,
      `  sha512    ${sha512}  computed here by hash-wasm and by the service: equal`
    ])
    expect(stdout).toMatch(/^read disk\.raw\n {2}size +5,242,957 bytes/)
    expect(stdout).toMatch(/^stored words\.raw\n.*\n {2}holds +file .*words\.raw of 5,242,957 bytes$/m)
    expect(stdout).toMatch(/^ {2}proof +a file system reports no digest: only the size was compared$/m)
  })

  it("one that is read back from a file is verified", async () => {
    const { code, stdout } = await upload(["disk.raw", "--to", "back.raw", "--verify", "destination"])
    expect(code).toBe(0)
    expect(stdout).toMatch(/^verified back\.raw$/m)
  })

  it("a required one that fails: exit code 2, its line, and the others stand", async () => {
    const args = ["disk.raw", "--to", nobody, "--to", "glance://emb/stands", "--retries", "0", "--progress", "none"]
    const { code, stderr, stdout } = await upload(args)
    expect(code).toBe(2)
    expect(stderr).toMatch(
      /^headrace: http:\/\/127\.0\.0\.1:9\/disk: .*refused: nothing was sent, check the network.*\n$/
    )
    expect(stdout).toMatch(/^verified glance:\/\/emb\/stands$/m)
  })

  it("one on best effort that fails: exit code 0, and its line", async () => {
    const args = ["disk.raw", "--to", "effort.raw", "--also", nobody, "--retries", "0", "--progress", "none"]
    const { code, stderr, stdout } = await upload([...args, "--json"])
    expect(code).toBe(0)
    expect(stderr).toMatch(/^headrace: http:\/\/127\.0\.0\.1:9\/disk: .*\n$/)
    expect(statuses(read(stdout).at(-1) as unknown as Receipt)).toEqual([
      { required: true, status: "stored" },
      { required: false, status: "failed" }
    ])
  })

  it("a wrong one beside good ones: exit code 2, as something was done", async () => {
    const args = ["disk.raw", "--to", "glance://nocloud/x", "--to", "good.raw", "--progress", "none"]
    const { code, stderr } = await upload(args)
    expect(code).toBe(2)
    expect(stderr).toMatch(/^headrace: glance:\/\/nocloud\/x: .*\n$/)
    expect((await file("good.raw")).equals(bytes)).toBe(true)
  })

  it("a source that is not as expected: exit code 3, one line, and nothing anywhere", async () => {
    const before = (await readdir(bench.folder)).sort()
    const expected = `sha512:${"0".repeat(128)}`
    const ends = ["--to", "glance://emb/wrong", "--to", "wrong.raw", "--also", `${server.url}/wrong`]
    const { code, stderr, stdout } = await upload(["disk.raw", ...ends, "--expect", expected, "--progress", "none"])
    expect(code).toBe(3)
    expect(stderr).toMatch(/^headrace: disk\.raw: [^\n]*\n$/)
    expect(stdout).toBe("")
    expect((await readdir(bench.folder)).sort()).toEqual(before)
    expect(server.objects.has("/wrong")).toBe(false)
    expect(bench.glance.images.list().some(({ name }) => name === "wrong")).toBe(false)
  })

  it("a dry run plans each, and makes nothing", async () => {
    const before = bench.glance.images.list().length
    const ends = ["--to", "glance://emb/dry", "--to", "dry.raw", "--also", "nosuch/dry.raw"]
    const { code, stderr, stdout } = await upload(["disk.raw", ...ends, "--dry-run"])
    expect(stdout).toMatch(/^would create glance:\/\/emb\/dry: .*\nwould create dry\.raw: a new file in .*\n$/)
    expect(stderr).toMatch(/^headrace: nosuch\/dry\.raw: .*: nothing was sent, check the path\n$/)
    expect(code).toBe(0)
    expect(bench.glance.images.list()).toHaveLength(before)
    await expect(file("dry.raw")).rejects.toThrow(/ENOENT/)
  })

  it.each(["--also", "--to"])("standard input to one that hangs (%s): it fails alone", async (option) => {
    const hanging = createServer((request, response) => {
      if (request.method !== "PUT") response.writeHead(404).end()
    })
    await new Promise<void>((resolve) => hanging.listen(0, "127.0.0.1", resolve))
    const ends = ["--to", `alone${option}.raw`, "--to", `glance://emb/alone${option}`]
    const url = `http://127.0.0.1:${(hanging.address() as AddressInfo).port}/x`
    const large = random(40 * 1024 * 1024)
    large[510] = 0
    const { code, stderr } = await bench.run(
      ["upload", "-", ...ends, option, url, "--stall", "1500ms", "--progress", "none", "--retries", "0"],
      { stdin: large }
    )
    hanging.closeAllConnections()
    hanging.close()
    expect(stderr).toMatch(/^headrace: http:[^\n]*\n$/)
    expect(code).toBe(option === "--to" ? 2 : 0)
    expect((await file(`alone${option}.raw`)).equals(large)).toBe(true)
    const image = bench.glance.images.list().find(({ name }) => name === `alone${option}`)
    expect(image).toMatchObject({ hashValue: createHash("sha512").update(large).digest("hex") })
  })

  it("a folder for notes that cannot be made is no reason to refuse what needs none", async () => {
    const { code, stderr } = await upload([
      "disk.raw",
      "--to",
      "noted.raw",
      "--state",
      "disk.raw",
      "--progress",
      "none"
    ])
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })
})

describe("the exit code of a transfer", () => {
  const of = (reasons: Parameters<typeof ExitCode.ofTransfer>[0]["reasons"], stands = false, asked = true) =>
    ExitCode.ofTransfer({ reasons, asked, stands })

  it("is that of the worst end that had to succeed", () => {
    expect(of([])).toBe(0)
    expect(of(["Unavailable"])).toBe(2)
    expect(of(["Unavailable", "DigestMismatch", "InvalidConfig"], true)).toBe(3)
    expect(of(["InvalidConfig", "Conflict"])).toBe(2)
    expect(of(["InvalidConfig"])).toBe(1)
    expect(of(["InvalidConfig"], true)).toBe(2)
    expect(of(["SourceUnreadable"], false, false)).toBe(1)
  })
})
