import { appendFile, open as openFile } from "node:fs/promises"
import { join } from "node:path"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, cloud, open, whenFlowing } from "./support/command.ts"
import { endOf, read } from "./support/events.ts"

describe("what a destination or source does wrong", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open({ stores: [{ id: "fast", default: true }] })
    await bench.file("disk.raw", 3_000_000)
  })
  afterAll(() => bench.close())

  const upload = async (to: string, ...args: ReadonlyArray<string>) => {
    const ended = await bench.run(["upload", "disk.raw", "--to", to, "--json", "--retries", "0", ...args])
    return { ...ended, lines: read(ended.stdout) }
  }

  const oneLine = (stderr: string) => {
    expect(stderr).toMatch(/^headrace: [^\n]+\n$/)
    return stderr
  }

  it("an unknown store: exit code 2, the known ones named", async () => {
    const { code, lines, stderr } = await upload("glance://emb/x?store=nowhere")
    expect(code).toBe(2)
    expect(endOf(lines)).toMatchObject({ attempts: 0, bytesSent: 0, error: { reason: "UnknownStore", left: "none" } })
    expect(oneLine(stderr)).toMatch(/no store "nowhere"; the stores are: fast: nothing was sent, .*headrace stores/)
  })

  it("tries that reach nobody: counted in what is told, and no attempt in the receipt", async () => {
    const upload = async (to: string, retries: number) => {
      const ended = await bench.run(["upload", "disk.raw", "--to", to, "--json", `--retries=${retries}`])
      return { ...ended, lines: read(ended.stdout) }
    }
    await appendFile(join(bench.folder, "clouds.yaml"), cloud("away", "http://127.0.0.1:1"))
    const { code, lines } = await upload("glance://away/x", 2)
    expect(code).toBe(2)
    expect(lines.filter(({ type }) => type === "retry").map((line) => line["attempt"])).toEqual([1, 2])
    expect(endOf(lines)).toMatchObject({ attempts: 0, bytesSent: 0, error: { reason: "ConnectionLost", left: "none" } })
    // The image is made, and the body's connection is cut before its first byte.
    bench.glance.faults.push(
      { type: "drop", at: "before", how: "reset" },
      { type: "answer", at: "before", status: 503 }
    )
    const cut = await upload("glance://emb/cut", 1)
    expect(endOf(cut.lines)).toMatchObject({ attempts: 1, bytesSent: 0, error: { status: 503, left: "none" } })
  })

  it("an image that is not there: exit code 2", async () => {
    const id = "00000000-0000-4000-8000-000000000000"
    const { code, lines, stderr } = await upload(`glance://emb/${id}`)
    expect(code).toBe(2)
    expect(endOf(lines)).toMatchObject({ error: { reason: "NotFound" } })
    expect(oneLine(stderr)).toContain(`glance://emb/${id}: `)
  })

  it("a refusal with its status, and what is left", async () => {
    bench.glance.faults.push({ type: "answer", at: "before", status: 403, requestId: true })
    const { code, lines, stderr } = await upload("glance://emb/refused")
    expect(code).toBe(2)
    expect(endOf(lines)).toMatchObject({ status: "failed", error: { reason: "Forbidden", status: 403, left: "none" } })
    expect(oneLine(stderr)).toMatch(/^headrace: glance:\/\/emb\/refused: .*403.*: .*, ask for the right/)
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("refused")
  })

  it("other bytes than were sent: exit code 3, and what we made is deleted", async () => {
    bench.glance.faults.push({ type: "corrupt", offset: 2_999_999 })
    const corrupt = await upload("glance://emb/corrupt")
    expect(corrupt.code).toBe(3)
    expect(endOf(corrupt.lines)).toMatchObject({ error: { reason: "DigestMismatch", left: "none" } })
    expect(oneLine(corrupt.stderr)).toMatch(/of what was sent is .*: nothing is left behind, /)
    bench.glance.faults.push({ type: "truncate", bytes: 1_000_000 })
    const short = await upload("glance://emb/short")
    expect(short.code).toBe(3)
    expect(endOf(short.lines)).toMatchObject({ error: { reason: "SizeMismatch", left: "none" } })
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("corrupt")
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("short")
  })

  it("a source that changes under the upload: exit code 2", async () => {
    await bench.file("changing.raw", 6_000_000)
    const args = ["upload", "changing.raw", "--to", "glance://emb/changing", "--json", "--limit", "3MB/s"]
    const { code, stderr, stdout } = await bench.run(args, {
      during: (child) => whenFlowing(child, () => void overwrite(join(bench.folder, "changing.raw")))
    })
    expect(code).toBe(2)
    expect(endOf(read(stdout))).toMatchObject({ error: { reason: "SourceChanged", left: "none" } })
    expect(stderr).toMatch(/^headrace: changing\.raw: .*changed.*: nothing is left behind, /m)
    expect(bench.glance.images.list().map(({ name }) => name)).not.toContain("changing")
  })

  it("a source image that is not there: exit code 1, as for a missing file", async () => {
    const ended = await bench.run(["upload", "glance://emb/nosuchimage", "--to", "glance://emb/y"])
    expect(ended.code).toBe(1)
    expect(oneLine(ended.stderr)).toMatch(/^headrace: glance:\/\/emb\/nosuchimage: .*: nothing was sent/)
  })

  it("a service that is not there: exit code 2, after retries", async () => {
    const gone = await EmbeddedGlance.start()
    await gone.close()
    const env = { OS_AUTH_TYPE: "none", OS_ENDPOINT: gone.url }
    const args = ["upload", "disk.raw", "--to", "glance://envvars/x", "--json", "--retries", "1"]
    const { code, stdout } = await bench.run(args, { env })
    expect(code).toBe(2)
    const lines = read(stdout)
    expect(lines.filter(({ type }) => type === "retry")).toHaveLength(1)
    expect(endOf(lines)).toMatchObject({ error: { reason: "ConnectionLost" } })
  })
})

/** One byte at the start, so that size and place stay. */
const overwrite = async (path: string) => {
  const file = await openFile(path, "r+")
  await file.write("x", 0)
  await file.close()
}

describe("secrets", () => {
  let bench: Bench
  let keystone: EmbeddedKeystone.EmbeddedKeystone
  const password = "pass-word-of-mine"
  const env = (given = password) => ({
    OS_AUTH_URL: keystone.authUrl,
    OS_USERNAME: "demo",
    OS_PASSWORD: given,
    OS_PROJECT_NAME: "demo",
    OS_USER_DOMAIN_NAME: "Default",
    OS_PROJECT_DOMAIN_NAME: "Default"
  })
  const upload = ["upload", "disk.raw", "--to", "glance://envvars/x", "--retries", "0"]

  beforeAll(async () => {
    keystone = await EmbeddedKeystone.start({
      users: [{ name: "demo", password }],
      projects: [{ name: "demo" }],
      assignments: [{ user: "demo", project: "demo", roles: ["member"] }]
    })
    bench = await open({ auth: keystone })
    keystone.addService({
      type: "image",
      name: "glance",
      endpoints: [{ interface: "public", region: "RegionOne", url: bench.glance.url }]
    })
    await bench.file("disk.raw", 1_000_000)
  })
  afterAll(async () => {
    await bench.close()
    await keystone.close()
  })

  /** Nothing of what was printed is the password or a token. */
  const expectNone = (...printed: ReadonlyArray<string>) => {
    for (const text of printed) {
      expect(text).not.toContain(password)
      for (const token of keystone.tokens) expect(text).not.toContain(token)
    }
  }

  it("none in what a good upload prints", async () => {
    const words = await bench.run(upload, { env: env() })
    expect(words.stderr).not.toMatch(/^headrace:/m)
    expect(words.code).toBe(0)
    const lines = await bench.run([...upload, "--json"], { env: env() })
    expect(endOf(read(lines.stdout))).toMatchObject({ status: "verified" })
    const stores = await bench.run(["stores", "glance://envvars"], { env: env() })
    expect(stores.code).toBe(0)
    expect(keystone.tokens.length).toBe(3)
    expectNone(words.stdout, words.stderr, lines.stdout, lines.stderr, stores.stdout, stores.stderr)
  })

  it("none when the sign-in is refused, exit code 2", async () => {
    for (const args of [
      [...upload, "--json"],
      [...upload, "--dry-run"],
      ["stores", "glance://envvars"]
    ]) {
      const { code, stderr, stdout } = await bench.run(args, { env: env("another-word") })
      expect(code).toBe(2)
      expect(stderr).toMatch(/^headrace: glance:\/\/envvars[^\n]*401[^\n]*check the user, password or token[^\n]*\n$/)
      expect(stdout + stderr).not.toContain("another-word")
      if (args.includes("--json")) expect(endOf(read(stdout))).toMatchObject({ error: { reason: "Unauthorized" } })
    }
  })

  it("none when the service fails in the middle, and no stack", async () => {
    bench.glance.faults.push({ type: "drop", at: { afterBytes: 500_000 }, how: "reset" })
    const { code, stderr, stdout } = await bench.run(upload, { env: env() })
    expect(code).toBe(2)
    expectNone(stdout, stderr)
    expect(stderr).not.toContain("    at ")
  })

  it("none when it is interrupted", async () => {
    const { code, stderr, stdout } = await bench.run([...upload, "--json", "--limit", "300kB/s"], {
      env: env(),
      during: (child) => whenFlowing(child, () => child.kill("SIGTERM"))
    })
    expect(code).toBe(143)
    expectNone(stdout, stderr)
  })
})
