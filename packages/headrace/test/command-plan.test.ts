import { createHash, randomUUID } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { startGlance } from "../../../testbed/testbed.ts"
import { type Bench, cloud, type Ended, folder, open, run } from "./support/command.ts"

interface Line {
  readonly id: string
  readonly source: string
  readonly to: ReadonlyArray<string>
  readonly also?: ReadonlyArray<string>
  readonly size: number
  readonly expect?: Readonly<Record<string, string>>
  readonly properties?: Readonly<Record<string, string | null>>
}

const rowsOf = ({ stdout }: Ended): ReadonlyArray<string> => stdout.split("\n").filter((row) => row !== "")
const linesOf = (ended: Ended): ReadonlyArray<Line> =>
  rowsOf(ended)
    .filter((row) => !row.startsWith("#"))
    .map((row) => JSON.parse(row) as Line)
const commentsOf = (ended: Ended): ReadonlyArray<string> => rowsOf(ended).filter((row) => row.startsWith("#"))

/** Makes an image that holds the text, or none, and gives its id. */
const put = async (url: string, values: Readonly<Record<string, unknown>>, content?: string): Promise<string> => {
  const body = JSON.stringify({ disk_format: "raw", container_format: "bare", ...values })
  const made = await fetch(`${url}/v2/images`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body
  })
  const text = await made.text()
  if (made.status !== 201) throw new Error(text)
  const { id } = JSON.parse(text) as { readonly id: string }
  if (content === undefined) return id
  const headers = { "content-type": "application/octet-stream" }
  const filled = await fetch(`${url}/v2/images/${id}/file`, { method: "PUT", headers, body: content })
  if (filled.status !== 204) throw new Error(await filled.text())
  return id
}

describe("a plan", () => {
  let bench: Bench
  let fresh: EmbeddedGlance.EmbeddedGlance
  beforeAll(async () => {
    bench = await open()
    fresh = await EmbeddedGlance.start()
    const clouds = [cloud("emb", bench.glance.url), cloud("new", fresh.url), cloud("away", "http://127.0.0.1:9")]
    await writeFile(join(bench.folder, "clouds.yaml"), `clouds:\n${clouds.join("")}`)
    await put(bench.glance.url, { name: "small", visibility: "private", hw_rng: "1", old_x: "2" }, "x".repeat(1024))
    await put(bench.glance.url, { name: "large\nname\u001b[31m", disk_format: "qcow2" }, `QFI\u00fb${"y".repeat(4000)}`)
    await put(bench.glance.url, { name: "wait\u202eing\n" })
  })
  afterAll(async () => {
    await fresh.close()
    await bench.close()
  })

  it("is a manifest on standard output and what it comes to on standard error", async () => {
    const ended = await bench.run([
      "plan",
      "--from",
      "glance://emb",
      "--to",
      "glance://new?store=fast",
      "--limit",
      "1KiB/s"
    ])
    expect(ended.code, ended.stderr).toBe(0)
    expect(
      linesOf(ended)
        .map(({ id }) => id)
        .sort()
    ).toEqual(["large\nname\u001b[31m", "small"])
    expect(linesOf(ended).find(({ id }) => id === "small")!.expect).toEqual({
      sha512: createHash("sha512").update("x".repeat(1024)).digest("hex")
    })
    expect(commentsOf(ended)).toEqual([
      expect.stringMatching(
        /^# skipped wait\\u202eing \([0-9a-f-]{36}\): it is queued: only an active image has data to read$/
      )
    ])
    expect(ended.stderr.split("\n")).toEqual([
      expect.stringMatching(/^headrace: plan: 2 images would move, .* KiB: 1 qcow2 \(.*\), 1 raw \(1\.00 KiB\)$/),
      "headrace: plan: left out: 1 not active",
      expect.stringMatching(/^headrace: plan: about 14 requests: /),
      expect.stringMatching(/^headrace: plan: about \d\.\ds for .* KiB at 1\.00 KiB\/s$/),
      ""
    ])
    // Nothing was made, and no image was read.
    expect(fresh.requests.every(({ method }) => method === "GET")).toBe(true)
    expect(bench.glance.requests.some(({ method, path }) => method === "GET" && path.endsWith("/file"))).toBe(false)
  })

  it("takes filters, rules, one image, and further destinations", async () => {
    await writeFile(join(bench.folder, "map.json"), '{"rename":{"old_*":"new_*"},"drop":["hw_*"],"set":{"site":"b"}}')
    const also = ["--also", "backup/", "--also", "s3://b/p/"]
    const filters = ["--filter", "visibility=private", "--filter", "size>1000"]
    const [filtered, single] = await Promise.all([
      bench.run(["plan", "--from", "glance://emb", "--to", "glance://new", ...also, ...filters, "--map", "map.json"]),
      bench.run(["plan", "--from", "glance://emb/small", "--to", "out/"])
    ])
    expect(filtered.code, filtered.stderr).toBe(0)
    expect(linesOf(filtered)).toEqual([
      expect.objectContaining({
        id: "small",
        also: ["backup/small.raw", "s3://b/p/small.raw"],
        properties: { new_x: "2", site: "b", hw_rng: null, old_x: null }
      })
    ])
    expect(filtered.stderr).toContain("left out: 2 by --filter")
    expect(linesOf(single).map(({ to }) => to)).toEqual([["out/small.raw"]])
  })

  it("is empty when all of it is done, which its own lines bring about", async () => {
    const plan = () => bench.run(["plan", "--from", "glance://emb", "--to", "glance://new", "--filter", "name=small"])
    const [line] = linesOf(await plan())
    const sha512 = line!.expect!["sha512"]!
    const before = [bench.glance.requests.length, fresh.requests.length] as const
    const upload = await bench.run(["upload", line!.source, "--to", line!.to[0]!, "--expect", `sha512:${sha512}`])
    expect(upload.code, upload.stderr).toBe(0)
    // As the estimate counts them, besides what is asked of a cloud once.
    const atOld = bench.glance.requests.slice(before[0])
    expect(atOld.map(({ path }) => path.endsWith("/file"))).toEqual([false, false, true, false])
    const atNew = fresh.requests.slice(before[1]).filter(({ path }) => /^\/v2\/images(?:\/|$)/.test(path))
    expect(atNew.map(({ method }) => method)).toEqual(["POST", "PUT", "GET"])
    const done = await plan()
    expect(done.code).toBe(0)
    expect(linesOf(done)).toEqual([])
    expect(commentsOf(done)[0]).toMatch(
      /^# skipped small \(.*\): it is there already: glance:\/\/new as image .*\(same sha512 and size\)$/
    )
    expect(done.stderr).toMatch(/^headrace: plan: nothing would move, of 3 images$/m)
  })

  describe("that is cut off", () => {
    const clouds = (listed: string) => folder([cloud("emb", bench.glance.url), cloud("many", listed)].join(""))

    it("by a signal while images are listed is none at all", async () => {
      const server = await lister(Number.POSITIVE_INFINITY)
      const ended = await run(await clouds(server.url), ["plan", "--from", "glance://many", "--to", "out/"], {
        during: (child) => setTimeout(() => child.kill("SIGINT"), 1500)
      }).finally(server.close)
      expect(ended).toMatchObject({ code: 130, stdout: "" })
      expect(ended.stderr).toBe("headrace: glance://many: interrupted (SIGINT): the plan is not complete\n")
    })

    it("by a signal while it is written says so in its last line", async () => {
      const server = await lister(2000)
      const ended = await run(await clouds(server.url), ["plan", "--from", "glance://many", "--to", "out/"], {
        during: (child) => {
          // A pager that is paused, and goes on when the signal was sent.
          child.stdout.once("data", () => {
            child.stdout.pause()
            setTimeout(() => child.kill("SIGINT"), 1500)
            setTimeout(() => child.stdout.resume(), 1700)
          })
        }
      }).finally(server.close)
      expect(ended.code, ended.stderr).toBe(130)
      expect(ended.stdout.trimEnd().split("\n").at(-1)).toBe("# the plan is not complete: it was ended here")
      expect(linesOf(ended).length).toBeLessThan(2000)
    })

    it("by a reader who has gone ends at once", async () => {
      const ended = await run(await clouds("http://127.0.0.1:9"), ["plan", "--from", "glance://emb", "--to", "out/"], {
        during: (child) => child.stdout.destroy()
      })
      expect(ended.code).toBe(141)
      expect(ended.stderr).not.toContain("would move")
    })
  })

  const wrong: ReadonlyArray<readonly [what: string, args: ReadonlyArray<string>, line: RegExp]> = [
    ["no --from", ["--to", "a/"], /^headrace: --from: it is missing: say what is to be moved, as glance:\/\/CLOUD$/],
    ["no --to", ["--from", "glance://emb"], /^headrace: --to: it is missing: say where to/],
    [
      "a file as --from",
      ["--from", "disk.raw", "--to", "a/"],
      /^headrace: disk\.raw: a plan is made of the images of a cloud/
    ],
    [
      "a filter",
      ["--from", "glance://emb", "--to", "a/", "--filter", "size>big"],
      /^headrace: --filter: "size>big": its value is a size, such as 1GiB$/
    ],
    [
      "a rate",
      ["--from", "glance://emb", "--to", "a/", "--limit", "08:00,1MB/s"],
      /^headrace: --limit: "08:00,1MB\/s" is no rate to estimate at/
    ],
    [
      "what to skip",
      ["--from", "glance://emb", "--to", "a/", "--skip-existing", "all"],
      /^headrace: --skip-existing: "all" is not one of name, hash, none$/
    ],
    [
      "no rules",
      ["--from", "glance://emb", "--to", "a/", "--map", "absent.json"],
      /^headrace: absent\.json: the rules of --map cannot be read \(ENOENT\)$/
    ],
    [
      "wrong rules",
      ["--from", "glance://emb", "--to", "a/", "--map", "bad.json"],
      /^headrace: bad\.json: drop\[0\]: allowed: a key, in which \* is any text$/
    ],
    [
      "an image's name as --to",
      ["--from", "glance://emb", "--to", "glance://new/x"],
      /^headrace: glance:\/\/new\/x: the images keep their names/
    ],
    [
      "a cloud that nobody knows",
      ["--from", "glance://nobody", "--to", "a/"],
      /^headrace: glance:\/\/nobody: .*nobody/
    ],
    ["a source that is away", ["--from", "glance://away", "--to", "a/"], /^headrace: glance:\/\/away: /],
    [
      "an image that is not there",
      ["--from", `glance://emb/${randomUUID()}`, "--to", "a/"],
      /^headrace: glance:\/\/emb\/\S+: there is no image /
    ]
  ]
  it.each(wrong)("with %s is one line, and exit code 1", async (_, args, line) => {
    await writeFile(join(bench.folder, "bad.json"), '{"drop":[1]}')
    const ended = await bench.run(["plan", ...args])
    expect(ended).toMatchObject({ code: 1, stdout: "" })
    expect(ended.stderr.trimEnd()).toMatch(line)
    expect(ended.stderr.trimEnd()).not.toContain("\n")
  })

  it("to a cloud that is away is exit code 2, and nothing is written", async () => {
    const ended = await bench.run(["plan", "--from", "glance://emb", "--to", "glance://away"])
    expect(ended).toMatchObject({ code: 2, stdout: "" })
    expect(ended.stderr).toMatch(/^headrace: glance:\/\/away: .*\n$/)
  })
})

/** A service that does nothing but list so many images, without an end if that is wanted. */
const lister = (total: number): Promise<{ readonly url: string; readonly close: () => void }> =>
  new Promise((resolve) => {
    let left = total
    const server = createServer((request, response) => {
      const count = request.url?.includes("os_hidden=true") === true ? 0 : Math.min(left, 100)
      left -= count
      const images = Array.from({ length: count }, () => ({ id: randomUUID(), name: "x", status: "active", size: 1 }))
      response.end(JSON.stringify({ images, ...(left > 0 && count > 0 ? { next: "/v2/images?marker=x" } : {}) }))
    })
    server.listen(0, "127.0.0.1", () =>
      resolve({
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        close: () => {
          server.close()
          server.closeAllConnections()
        }
      })
    )
  })

describe.skipIf(process.env["HEADRACE_TESTBED_GLANCE"] === undefined)("a plan between real services", () => {
  it("has a line for each image, whatever it is called, and a service that wants more is heard", async () => {
    const conf = "[DEFAULT]\nimage_property_quota = -1\n"
    const imageSchema = { properties: { team: { type: "string", description: "whose" } }, required: ["team"] }
    const [old, fresh, strict] = await Promise.all([
      startGlance({ auth: "none", conf }),
      startGlance({ auth: "none", conf }),
      startGlance({ auth: "none", imageSchema })
    ])
    try {
      const at = await folder(cloud("old", old.url) + cloud("new", fresh.url) + cloud("strict", strict.url))
      const kernel = await put(old.url, { name: "kernel", disk_format: "aki", container_format: "aki" }, "kernel")
      const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`key ${i}/~`, "v".repeat(300)]))
      await put(old.url, { name: "a kernel's", kernel_id: kernel, ...many }, "disk")
      const names = ["with space", "a/b", "what?", `it's "q"`, "line\nend", "%41&x=1+#", randomUUID(), ".."]
      for (const name of names) await put(old.url, { name, tags: ["a,b", "é ?"], protected: true }, name)
      await put(old.url, {}, "nameless")
      await put(old.url, { name: "hidden", os_hidden: true }, "hidden")
      await put(old.url, { name: "empty" }, "")
      const plan = await run(at, ["plan", "--from", "glance://old", "--to", "glance://new?store=cheap"])
      expect(plan.code, plan.stderr).toBe(0)
      const lines = linesOf(plan)
      expect(lines).toHaveLength(12)
      expect(lines.findIndex(({ id }) => id === "kernel")).toBeLessThan(
        lines.findIndex(({ id }) => id === "a kernel's")
      )
      for (const line of lines) {
        const sent = await run(at, ["upload", line.source, ...line.to.flatMap((uri) => ["--to", uri])])
        expect(sent.code, `${line.id}: ${sent.stderr}`).toBe(0)
      }
      const again = await run(at, ["plan", "--from", "glance://old", "--to", "glance://new", "--skip-existing", "name"])
      expect(again.stderr).toMatch(
        /^headrace: plan: nothing would move, of 13 images\nheadrace: plan: left out: .*12 there already/
      )
      const refused = await run(at, ["plan", "--from", "glance://old", "--to", "glance://strict"])
      expect(refused.code).toBe(2)
      expect(linesOf(refused)).toEqual([])
      expect(commentsOf(refused)[0]).toContain("glance://strict wants the property team, which this image lacks")
      const given = await run(at, ["plan", "--from", "glance://old/kernel", "--to", "glance://strict?property.team=x"])
      const [line] = linesOf(given)
      expect((await run(at, ["upload", line!.source, "--to", line!.to[0]!])).code).toBe(0)
    } finally {
      await Promise.all([old.stop(), fresh.stop(), strict.stop()])
    }
  }, 180_000)
})
