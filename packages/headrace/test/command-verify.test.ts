import { spawn } from "node:child_process"
import { readFile, writeFile } from "node:fs/promises"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

interface Told {
  readonly type: string
  readonly status: string
}

describe("what was uploaded", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open({ stores: [{ id: "fast", default: true }, { id: "cheap" }] })
    await bench.file("disk.raw", 100_000)
    const to = ["--to", "glance://emb/disk?store=fast", "--to", "glance://emb/disk?store=cheap", "--to", "out.raw"]
    const ended = await bench.run(["upload", "disk.raw", ...to, "--json"])
    expect(ended.code, ended.stderr).toBe(0)
    await writeFile(join(bench.folder, "r.ndjson"), ended.stdout)
  })
  afterAll(() => bench.close())

  const told = (text: string) =>
    text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Told & Record<string, unknown>)

  it("and is as it was is said in a few lines: exit code 0", async () => {
    const ended = await bench.run(["verify", "r.ndjson"])
    expect(ended).toMatchObject({ code: 0, stderr: "" })
    expect(ended.stdout).toBe(
      [
        "3 objects of 1 receipt: 3 the same, 0 missing, 0 different, 0 unknown",
        "  of 1 nothing but the size could be compared",
        "  looked at 3 by themselves, with 2 requests",
        ""
      ].join("\n")
    )
  })

  it("is told as NDJSON, a line each and a summary", async () => {
    const ended = await bench.run(["verify", "-", "--json", "--sample", "100%"], {
      stdin: await readFile(join(bench.folder, "r.ndjson"))
    })
    expect(ended).toMatchObject({ code: 0, stderr: "" })
    const all = told(ended.stdout)
    expect(all.map(({ type }) => type)).toEqual(["verification", "verification", "verification", "summary"])
    expect(all.find(({ uri }) => uri === "out.raw")).toEqual({
      type: "verification",
      at: expect.stringMatching(/^\d{4}-.*Z$/) as unknown,
      id: expect.any(String) as unknown,
      uri: "out.raw",
      object: {
        id: join(bench.folder, "out.raw"),
        size: 100_000,
        digests: expect.objectContaining({ sha512: expect.stringMatching(/^[0-9a-f]{128}$/) as unknown }) as unknown
      },
      status: "same",
      how: "read",
      compared: expect.arrayContaining(["size", "sha512"]) as unknown,
      message: expect.stringMatching(/^the same size.* and .*, by reading it back$/) as unknown
    })
    expect(all.at(-1)).toEqual({
      type: "summary",
      at: expect.any(String) as unknown,
      receipts: 1,
      same: 3,
      missing: 0,
      differs: 0,
      unknown: 0,
      how: { list: 0, head: 0, read: 3 },
      sizeOnly: 0,
      requests: expect.any(Number) as unknown,
      foreign: 0,
      cut: false
    })
  })

  it("and is another one now has a line: exit code 3; and is gone: exit code 2", async () => {
    const path = join(bench.folder, "out.raw")
    const bytes = await readFile(path)
    await writeFile(path, bytes.subarray(1))
    const shorter = await bench.run(["verify", "r.ndjson"])
    expect(shorter).toMatchObject({ code: 3, stderr: "" })
    expect(shorter.stdout).toMatch(
      /^differs out\.raw: it has 99999 bytes, and had 100000\n3 objects of 1 receipt: 2 the/
    )
    const other = Buffer.from(bytes)
    other[5]! ^= 1
    await writeFile(path, other)
    expect((await bench.run(["verify", "r.ndjson"])).code).toBe(0)
    const read = await bench.run(["verify", "r.ndjson", "--sample", "100%", "--hasher", "native"])
    expect(read.code).toBe(3)
    expect(read.stdout).toMatch(/^differs out\.raw: its sha512 is [0-9a-f]{128}, and was [0-9a-f]{128}$/m)
    await writeFile(path, bytes)
    const text = await readFile(join(bench.folder, "r.ndjson"), "utf8")
    const gone = text.replaceAll(/"id":"[0-9a-f-]{36}","store"/g, '"id":"00000000-0000-4000-8000-000000000000","store"')
    const missing = await bench.run(["verify", "-"], { stdin: Buffer.from(gone) })
    expect(missing.code).toBe(2)
    expect(missing.stdout).toMatch(/^missing glance:\/\/emb\/disk\?store=fast: there is no image 0{8}-/m)
    expect(missing.stdout).toContain("1 the same, 2 missing, 0 different, 0 unknown")
  })

  it("that a limit holds back takes its time", async () => {
    const begun = Date.now()
    const ended = await bench.run(["verify", "r.ndjson", "--sample", "100%", "--limit", "150kB/s", "--memory", "4MiB"])
    expect(ended.code, ended.stderr).toBe(0)
    // 300 kB, of which a burst passes at once.
    expect(Date.now() - begun).toBeGreaterThan(1200)
  })

  it("lines that are no receipt are told, and do not keep others from being looked at", async () => {
    const text = await readFile(join(bench.folder, "r.ndjson"), "utf8")
    const lines = Array.from({ length: 12 }, () => "x").join("\n")
    await writeFile(join(bench.folder, "odd.ndjson"), `${lines}\n${text}{"id":`)
    const ended = await bench.run(["verify", "odd.ndjson"])
    expect(ended.code).toBe(0)
    const errors = ended.stderr.trimEnd().split("\n")
    expect(errors).toHaveLength(11)
    expect(errors[0]).toBe("headrace: odd.ndjson:1: this is no JSON: it is left out")
    expect(errors[10]).toBe("headrace: odd.ndjson: 13 lines are no receipt, one of them the last, which has no end")
  })

  it("is looked for in a journal, too, where its run has noted it", async () => {
    const line = { id: "j", source: "disk.raw", to: ["glance://emb/journal", "j.raw"] }
    await writeFile(join(bench.folder, "m.ndjson"), JSON.stringify(line))
    expect((await bench.run(["run", "m.ndjson", "--progress", "none"])).code).toBe(0)
    const ended = await bench.run(["verify", "m.ndjson.journal", "--json"])
    expect(ended.code, ended.stderr).toBe(0)
    expect(told(ended.stdout).at(-1)).toMatchObject({ receipts: 1, same: 2 })
  })

  it("in a cloud where nobody can sign in is unknown, not missing", async () => {
    const clouds = await readFile(join(bench.folder, "clouds.yaml"), "utf8")
    const auth = `auth_url: ${bench.glance.url}/nowhere/v3, username: u, password: secret-1234, project_name: p`
    const domains = "user_domain_name: Default, project_domain_name: Default"
    await writeFile(join(bench.folder, "clouds.yaml"), `${clouds}  lost:\n    auth: {${auth}, ${domains}}\n`)
    const text = await readFile(join(bench.folder, "r.ndjson"), "utf8")
    await writeFile(join(bench.folder, "lost.ndjson"), text.replaceAll("glance://emb/", "glance://lost/"))
    for (const how of [[], ["--head"]]) {
      const ended = await bench.run(["verify", "lost.ndjson", ...how])
      expect(ended.code, ended.stdout).toBe(2)
      expect(ended.stdout).toContain("1 the same, 0 missing, 0 different, 2 unknown")
      expect(`${ended.stdout}${ended.stderr}`).not.toContain("secret-1234")
    }
  })

  it.each([
    [["none.ndjson"], "none.ndjson: it cannot be read: there is no such file"],
    [["."], ".: it cannot be read: it is a folder"],
    [["disk.raw"], "disk.raw: there is no receipt in it"],
    [["r.ndjson", "--sample", "0%"], '--sample: "0%" is no share: more than 0% and up to 100%, such as 1%'],
    [["r.ndjson", "--sample", "5"], '--sample: "5" is no share: more than 0% and up to 100%, such as 1%'],
    [["r.ndjson", "--concurrency", "0"], '--concurrency: "0" is no number of objects at once: 1 to 1000'],
    [["r.ndjson", "--progress", "loud"], '--progress: "loud" is not one of auto, plain, none']
  ])("%j is wrong usage: exit code 1", async (args, line) => {
    const ended = await bench.run(["verify", ...args])
    expect(ended).toMatchObject({ code: 1, stdout: "" })
    expect(ended.stderr.trimEnd().split("\n").at(-1)).toBe(`headrace: ${line}`)
  })

  describe("at a server that does not answer", () => {
    let server: Server
    let url = ""
    beforeAll(async () => {
      server = createServer((request, response) => {
        if (request.url === "/denied?key=secret-1234") response.writeHead(403).end()
        else if (request.url === "/there") response.writeHead(200, { "content-length": "5" }).end()
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    })
    afterAll(() => {
      server.closeAllConnections()
      server.close()
    })

    const receipt = (path: string) =>
      JSON.stringify({
        id: path,
        source: { uri: "x", size: 5, digests: {} },
        destinations: [
          { uri: `${url}${path}`, required: true, status: "stored", object: { id: "x", size: 5, digests: {} } }
        ]
      })

    it("is unknown, and no secret is told", async () => {
      const lines = [receipt("/denied?key=secret-1234"), receipt("/there")].join("\n")
      const ended = await bench.run(["verify", "-"], { stdin: Buffer.from(lines) })
      expect(ended.code).toBe(2)
      expect(ended.stdout).toMatch(
        /^unknown http:\/\/127\.0\.0\.1:\d+\/denied: the server does not say what is there \(403/
      )
      expect(ended.stdout).toContain("1 the same, 0 missing, 0 different, 1 unknown")
      expect(`${ended.stdout}${ended.stderr}`).not.toContain("secret-1234")
    })

    it("waits until it is interrupted: exit code 130, and one line", async () => {
      const ended = await bench.run(["verify", "-"], {
        stdin: Buffer.from(receipt("/silent")),
        during: (child) => void setTimeout(() => child.kill("SIGINT"), 1500)
      })
      expect(ended).toMatchObject({
        code: 130,
        stdout: "",
        stderr: "headrace: standard input: interrupted (SIGINT)\n"
      })
    })
  })

  it("ends quietly when its reader has gone", async () => {
    const line = JSON.stringify({
      id: "f",
      source: { uri: "x", size: 5, digests: {} },
      destinations: [
        { uri: "gone.raw", required: true, status: "stored", object: { id: "gone.raw", size: 5, digests: {} } }
      ]
    })
    await writeFile(join(bench.folder, "long.ndjson"), Array.from({ length: 20_000 }, () => line).join("\n"))
    const bin = fileURLToPath(new URL("../dist/command/headrace.js", import.meta.url))
    const script = `"$0" "$1" verify long.ndjson --json | head -n 1 >/dev/null; echo "\${PIPESTATUS[0]}"`
    const ended = await new Promise<string>((resolve, reject) => {
      const child = spawn("bash", ["-c", script, process.execPath, bin], {
        cwd: bench.folder,
        stdio: ["ignore", "pipe", "pipe"]
      })
      let text = ""
      child.stdout.setEncoding("utf8").on("data", (some: string) => (text += some))
      child.stderr.setEncoding("utf8").on("data", (some: string) => (text += some))
      child.on("error", reject)
      child.on("close", () => resolve(text))
    })
    expect(ended).toBe("141\n")
  })
})
