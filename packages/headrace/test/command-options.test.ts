import { createHash } from "node:crypto"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"
import { endOf, read } from "./support/events.ts"

const hash = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest("hex")

describe("options of upload", () => {
  let bench: Bench
  let disk: Uint8Array
  beforeAll(async () => {
    bench = await open({ stores: [{ id: "fast", default: true }, { id: "slow" }] })
    disk = await bench.file("disk.raw", 3 * 1024 * 1024 + 1)
  })
  afterAll(() => bench.close())

  let count = 0
  /** Uploads the disk to a new image with these options, events as JSON. */
  const upload = async (...args: ReadonlyArray<string>) => {
    const name = `image-${++count}`
    const ended = await bench.run(["upload", "disk.raw", "--to", `glance://emb/${name}`, "--json", ...args])
    const image = bench.glance.images.list().find((found) => found.name === name)
    return { ...ended, image, lines: ended.stdout === "" ? [] : read(ended.stdout) }
  }

  it("--json prints start, progress, verdict and receipt, and nothing else", async () => {
    const { code, image, lines } = await upload("--limit", "3MiB/s")
    expect(code).toBe(0)
    expect([...new Set(lines.map(({ type }) => type))]).toEqual(["start", "progress", "verdict", "receipt"])
    expect(lines[0]).toMatchObject({ source: { uri: "disk.raw", size: disk.length } })
    const end = endOf(lines)
    expect(end).toMatchObject({
      required: true,
      status: "verified",
      attempts: 1,
      bytesSent: disk.length,
      object: { id: image!.id, size: disk.length, digests: { sha512: hash("sha512", disk), md5: hash("md5", disk) } }
    })
    const { type: _type, at: _at, id: _id, ...verdict } = lines.at(-2)!
    expect(verdict).toEqual(end)
    const progress = lines.filter(({ type }) => type === "progress")
    for (let i = 2; i < progress.length - 1; i++) {
      const gap = Date.parse(progress[i]!["at"] as string) - Date.parse(progress[i - 1]!["at"] as string)
      expect(gap, "at most four a second").toBeGreaterThanOrEqual(200)
    }
  })

  it("--limit takes a rate, and a timetable", async () => {
    for (const limit of ["2MiB/s", "16Mbit/s", "00:00,2MiB/s", "00:00,2MiB/s 00:01,2MiB/s 23:59,2MiB/s"]) {
      const { code, lines } = await upload("--limit", limit)
      expect(code).toBe(0)
      const elapsed = endOf(lines)["elapsedMs"] as number
      expect(elapsed, limit).toBeGreaterThan(1000)
      expect(elapsed, limit).toBeLessThan(4000)
    }
  })

  it("--digest computes more", async () => {
    const { code, lines } = await upload("--digest", "sha256,crc32c", "--digest", "blake3")
    expect(code).toBe(0)
    const source = lines.at(-1)!["source"] as { readonly digests: Record<string, string> }
    expect(source.digests["sha256"]).toBe(hash("sha256", disk))
    expect(Object.keys(source.digests)).toEqual(expect.arrayContaining(["sha256", "crc32c", "blake3", "sha512"]))
    expect(source.digests["crc32c"]).toHaveLength(8)
  })

  it("--expect passes what is right, in any case of letters", async () => {
    const { code } = await upload("--expect", `sha256:${hash("sha256", disk).toUpperCase()}`)
    expect(code).toBe(0)
  })

  it("--expect: a source that is not as expected leaves nothing, exit code 3", async () => {
    const { code, image, lines, stderr } = await upload("--expect", `md5:${"0".repeat(32)}`)
    expect(code).toBe(3)
    expect(image).toBeUndefined()
    expect(endOf(lines)).toMatchObject({ status: "failed", error: { reason: "SourceMismatch", left: "none" } })
    expect(stderr).toMatch(/^headrace: disk\.raw: .*md5 is .*: nothing is left behind, .*--expect\n$/m)
  })

  it("--verify source reads the source again, destination reads the image back", async () => {
    const source = await upload("--verify", "source")
    expect(source.code).toBe(0)
    expect(endOf(source.lines)).toMatchObject({ status: "verified", proof: { level: "source" } })
    const before = bench.glance.requests.filter(({ method, path }) => method === "GET" && path.endsWith("/file")).length
    const destination = await upload("--verify", "destination")
    expect(destination.code).toBe(0)
    expect(endOf(destination.lines)).toMatchObject({ status: "verified", proof: { level: "destination" } })
    const after = bench.glance.requests.filter(({ method, path }) => method === "GET" && path.endsWith("/file")).length
    expect(after - before).toBe(1)
    const human = await bench.run(["upload", "disk.raw", "--to", "glance://emb/back", "--verify", "destination"])
    expect(human.stdout).toContain("by the service, and of the bytes read back: equal")
  })

  it("--retries: so many attempts after the first, each told", async () => {
    const unavailable = { type: "answer", at: "after", status: 503 } as const
    bench.glance.faults.push(unavailable)
    const none = await upload("--retries", "0")
    expect(none.code).toBe(2)
    expect(none.image).toBeUndefined()
    expect(none.lines.some(({ type }) => type === "retry")).toBe(false)
    expect(endOf(none.lines)).toMatchObject({ attempts: 1, error: { reason: "Unavailable", status: 503 } })
    expect(none.stderr).toMatch(/^headrace: glance:\/\/emb\/\S+: .*503.*: nothing is left behind, try again later$/m)

    bench.glance.faults.push(unavailable)
    const one = await upload("--retries", "1")
    expect(one.code).toBe(0)
    const retry = one.lines.find(({ type }) => type === "retry")
    expect(retry).toMatchObject({ attempt: 1, reason: "Unavailable", status: 503 })
    expect(endOf(one.lines)).toMatchObject({ attempts: 2, bytesSent: 2 * disk.length })
    expect(one.stderr).toMatch(/: attempt 1 failed, Unavailable \(503\)/)
  })

  it("--stall ends an attempt in which no byte moves", async () => {
    // The disk must not fit into the sockets' memory, or all of it has moved.
    await bench.file("large.raw", 32 * 1024 * 1024)
    bench.glance.faults.push({ type: "drop", at: { afterBytes: 100_000 }, how: "hang", image: "queued" })
    const started = Date.now()
    const args = ["upload", "large.raw", "--to", "glance://emb/stalled", "--json", "--stall", "700ms", "--retries", "0"]
    const { code, stdout } = await bench.run(args)
    expect(Date.now() - started).toBeLessThan(10_000)
    expect(code).toBe(2)
    expect(endOf(read(stdout))).toMatchObject({ error: { reason: "Stalled" } })
  })

  it("--answer ends a wait for an answer", async () => {
    bench.glance.faults.push({ type: "drop", at: "after", how: "hang", image: "queued" })
    const started = Date.now()
    const { code, lines } = await upload("--answer", "700ms", "--retries", "0")
    expect(Date.now() - started).toBeLessThan(10_000)
    expect(code).toBe(2)
    expect(endOf(lines)).toMatchObject({ error: { reason: "Stalled" } })
  })

  it("--memory bounds the data in flight", async () => {
    await bench.file("many.raw", 24 * 1024 * 1024)
    const args = ["upload", "many.raw", "--to", "glance://emb/many", "--json", "--memory", "4MiB", "--limit", "20MiB/s"]
    const { code, stdout } = await bench.run(args)
    expect(code).toBe(0)
    const used = read(stdout).flatMap((line) => (line.type === "progress" ? [line["memory"] as number] : []))
    expect(Math.max(...used)).toBeLessThanOrEqual(4 * 1024 * 1024)
    expect(Math.max(...used)).toBeGreaterThan(0)
  })

  it("--hasher native is node:crypto, wasm is hash-wasm", async () => {
    const native = await upload("--hasher", "native")
    expect(endOf(native.lines)).toMatchObject({ status: "verified", proof: { computedBy: "node:crypto" } })
    const both = await upload("--hasher", "native", "--digest", "blake3,sha256")
    expect(endOf(both.lines)).toMatchObject({ proof: { computedBy: "node:crypto, hash-wasm (blake3)" } })
    const wasm = await upload("--hasher", "wasm")
    expect(endOf(wasm.lines)).toMatchObject({ status: "verified", proof: { computedBy: "hash-wasm" } })
  })

  it("--progress: plain tells retries, none tells nothing", async () => {
    bench.glance.faults.push({ type: "answer", at: "before", status: 503 })
    const plain = await upload("--progress", "plain")
    expect(plain.stderr).toMatch(/attempt 1 failed, Unavailable[\s\S]*: verified\n$/)
    bench.glance.faults.push({ type: "answer", at: "before", status: 503 })
    const none = await upload("--progress", "none")
    expect(none).toMatchObject({ code: 0, stderr: "" })
  })

  it("--dry-run makes nothing, and ends as the real run would", async () => {
    const images = bench.glance.images.list().length
    const before = bench.glance.requests.length
    const fine = await upload("--dry-run")
    expect(fine.code).toBe(0)
    expect(fine.lines).toHaveLength(1)
    expect(fine.lines[0]).toMatchObject({ type: "plan", source: { uri: "disk.raw", size: disk.length } })
    expect(endOf(fine.lines)).toMatchObject({ action: "create" })
    const words = await bench.run(["upload", "disk.raw", "--to", "glance://emb/dry", "--dry-run"])
    expect(words.code).toBe(0)
    expect(words.stdout).toMatch(/^would create glance:\/\/emb\/dry: .*\n$/)
    expect(words.stderr).toBe("")

    const args = ["upload", "disk.raw", "--dry-run", "--json", "--to"]
    const unknown = await bench.run([...args, "glance://emb/dry?store=nowhere"])
    expect(unknown.code).toBe(2)
    expect(endOf(read(unknown.stdout))).toMatchObject({ action: "fail", why: expect.stringContaining("nowhere") })
    expect(unknown.stderr).toMatch(/^headrace: glance:\/\/emb\/dry\?store=nowhere: .*fast, slow.*\n$/)
    expect((await bench.run([...args, "glance://nocloud/dry"])).code).toBe(1)
    const missing = await bench.run(["upload", "nosuch", "--dry-run", "--to", "glance://emb/dry"])
    expect(missing).toMatchObject({ code: 1, stdout: "" })
    expect(missing.stderr).toMatch(/^headrace: nosuch: .*\n$/)

    expect(bench.glance.images.list()).toHaveLength(images)
    expect(bench.glance.requests.slice(before).filter(({ method }) => method !== "GET")).toEqual([])
  })

  it("--keep-failed leaves what failed, otherwise it is deleted", async () => {
    bench.glance.faults.push({ type: "corrupt", offset: 1000 })
    const kept = await upload("--keep-failed")
    expect(kept.code).toBe(3)
    expect(kept.image?.status).toBe("active")
    expect(endOf(kept.lines)).toMatchObject({ error: { left: `active image ${kept.image!.id}` } })
    expect(kept.stderr).toContain(`active image ${kept.image!.id} is left behind`)
    bench.glance.faults.push({ type: "corrupt", offset: 1000 })
    const deleted = await upload()
    expect(deleted.code).toBe(3)
    expect(deleted.image).toBeUndefined()
    expect(endOf(deleted.lines)).toMatchObject({ error: { reason: "DigestMismatch", left: "none" } })
  })

  it("--allow-empty accepts an empty source, which is an error before any request otherwise", async () => {
    await writeFile(join(bench.folder, "empty"), "")
    const before = bench.glance.requests.length
    const refused = await bench.run(["upload", "empty", "--to", "glance://emb/empty"])
    expect(refused).toMatchObject({ code: 1, stdout: "" })
    expect(refused.stderr).toMatch(
      /^headrace: empty: .*empty.*: nothing was sent, give --allow-empty if that is meant\n/
    )
    expect(bench.glance.requests.length).toBe(before)
    const stdin = await bench.run(["upload", "-", "--to", "glance://emb/empty"], { stdin: new Uint8Array(0) })
    expect(stdin.code).toBe(1)
    expect(bench.glance.requests.length).toBe(before)
    const allowed = await bench.run(["upload", "empty", "--to", "glance://emb/empty", "--allow-empty"])
    expect(allowed.stderr).not.toMatch(/^headrace:/m)
    expect(allowed.code).toBe(0)
    expect(bench.glance.images.list().find(({ name }) => name === "empty")?.size).toBe(0)
  })

  it("--no-resume and --state are taken, for stores with parts", async () => {
    expect((await upload("--no-resume", "--state", "somewhere")).code).toBe(0)
  })
})
