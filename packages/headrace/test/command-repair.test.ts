/** `headrace repair`: what is gone or wrong is done again, and nothing else. */
import { readFile, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Command from "./support/command.ts"

describe("repair", () => {
  let bench: Command.Bench
  let folder: string
  beforeAll(async () => {
    bench = await Command.open()
    folder = bench.folder
  })
  afterAll(() => bench.close())
  const headrace = (...args: ReadonlyArray<string>) =>
    bench.run([...args, "--progress", "none"], { env: { XDG_STATE_HOME: join(folder, "state") } })
  const images = (name: string) => bench.glance.images.list().filter((image) => image.name === name)

  it("does again what is missing, differs or failed, and leaves the rest alone", async () => {
    const lines: Array<object> = []
    for (const name of ["a", "b", "c"]) {
      await bench.file(name, 5000)
      lines.push({ id: name, source: name, to: [`glance://emb/${name}`], also: [`copy-${name}`] })
    }
    lines.push({ id: "late", source: "late", to: ["glance://emb/late"] })
    await writeFile(join(folder, "m.ndjson"), lines.map((line) => JSON.stringify(line)).join("\n"))
    expect((await headrace("run", "m.ndjson")).code).toBe(2)
    const before = ["a", "b", "c"].map((name) => images(name)[0]!.id)

    const [, b] = before
    await fetch(`${bench.glance.url}/v2/images/${b}`, { method: "DELETE" })
    await truncate(join(folder, "copy-c"), 100)
    await bench.file("late", 3000)

    const tried = await headrace("repair", "m.ndjson.journal", "--dry-run")
    expect(tried.code, tried.stderr).toBe(0)
    expect(tried.stdout).toContain("b: would create glance://emb/b")
    expect(tried.stdout).toContain("c: would use copy-c")
    expect(tried.stdout).not.toContain("would create glance://emb/a")
    expect([images("b").length, images("late").length]).toEqual([0, 0])

    const repaired = await headrace("repair", "m.ndjson.journal", "--receipts", "r")
    expect(repaired.code, repaired.stderr).toBe(0)
    expect(repaired.stdout).toContain("4 as they were, 1 missing, 1 differ")
    expect(repaired.stderr).toContain("headrace: b: glance://emb/b: missing")
    expect(repaired.stderr).toContain("headrace: c: copy-c: differs")
    for (const name of ["a", "b", "c", "late"]) expect(images(name)).toHaveLength(1)
    expect([images("a")[0]!.id, images("c")[0]!.id]).toEqual([before[0], before[2]])
    expect(await readFile(join(folder, "copy-c"))).toEqual(await readFile(join(folder, "c")))
    const receipts = (await readFile(join(folder, "r"), "utf8")).trimEnd().split("\n")
    expect(receipts.map((line) => JSON.parse(line).destinations.length).sort()).toEqual([1, 2, 2, 2])

    const again = await headrace("repair", "m.ndjson.journal")
    expect(again.code).toBe(0)
    expect(again.stdout).toContain("7 as they were, 0 missing, 0 differ")
  })

  it("finds by reading back what the service's own digests do not tell, and does it again", async () => {
    await bench.file("read", 5000)
    await writeFile(join(folder, "s.ndjson"), JSON.stringify({ id: "read", source: "read", to: ["read-back"] }))
    expect((await headrace("run", "s.ndjson", "--digest", "sha256")).code).toBe(0)
    await writeFile(join(folder, "read-back"), Command.random(5000))
    const blind = await headrace("repair", "s.ndjson.journal")
    expect(blind.stdout).toContain("1 as they were, 0 missing, 0 differ")
    const read = await headrace("repair", "s.ndjson.journal", "--sample", "100%")
    expect(read.code, read.stderr).toBe(0)
    expect(read.stdout).toContain("0 as they were, 0 missing, 1 differ")
    expect(await readFile(join(folder, "read-back"))).toEqual(await readFile(join(folder, "read")))
    expect((await headrace("repair", "s.ndjson.journal", "--sample", "2")).stderr).toContain("--sample")
  })

  it("is not content with what could not be looked at", async () => {
    await bench.file("unseen", 5000)
    await writeFile(
      join(folder, "u.ndjson"),
      JSON.stringify({ id: "u", source: "unseen", to: ["glance://emb/unseen"] })
    )
    expect((await headrace("run", "u.ndjson")).code).toBe(0)
    const clouds = await readFile(join(folder, "clouds.yaml"), "utf8")
    await writeFile(join(folder, "clouds.yaml"), clouds.replaceAll(bench.glance.url, "http://127.0.0.1:9"))
    const { code, stdout } = await headrace("repair", "u.ndjson.journal", "--json")
    await writeFile(join(folder, "clouds.yaml"), clouds)
    expect(code).toBe(2)
    expect(stdout).toContain('"type":"looked"')
    expect(stdout).toContain('"unknown":1')
    expect(images("unseen")).toHaveLength(1)
  })

  it("of no journal is one line", async () => {
    const { code, stderr } = await headrace("repair", "none.journal")
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: "headrace: none.journal: the journal: there is no such file\n"
    })
    await rm(join(folder, "none.journal"), { force: true })
  })
})
