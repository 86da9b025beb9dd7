import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { HeadraceError, type ManifestLine, run } from "headrace"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { cloud, folder as makeFolder, random } from "./support/command.ts"

let glance: EmbeddedGlance.EmbeddedGlance
let folder: string
beforeAll(async () => {
  glance = await EmbeddedGlance.start()
})
afterAll(() => glance.close())
beforeEach(async () => {
  folder = await makeFolder(cloud("emb", glance.url))
})
afterEach(() => rm(folder, { recursive: true }))

const files = async (...names: ReadonlyArray<string>): Promise<ReadonlyArray<ManifestLine>> => {
  for (const name of names) await writeFile(join(folder, name), random(5000))
  return names.map((name) => ({ id: name, source: name, to: [`glance://emb/${name}`] }))
}
const options = () => ({ cwd: folder, state: join(folder, "state"), journal: "j" })

describe("run", () => {
  it("runs the lines of a program, tells of each, and goes on where it was", async () => {
    const lines = await files("a", "b", "c")
    const first = run(lines, { ...options(), only: ["b"], receipts: "r" })
    const types: Array<string> = []
    for await (const event of first.events) types.push(event.type)
    expect(types[0]).toBe("batch")
    expect(types.at(-1)).toBe("summary")
    expect(types.filter((type) => type === "receipt")).toHaveLength(1)
    expect(await first.result).toMatchObject({ complete: false, summary: { verified: 1, remaining: 0 } })
    const second = await run(lines, { ...options(), receipts: "r" }).result
    expect(second).toMatchObject({ complete: true, summary: { verified: 2, failed: 0 } })
    const receipts = (await readFile(join(folder, "r"), "utf8")).trimEnd().split("\n")
    expect(receipts.map((line) => JSON.parse(line).id).sort()).toEqual(["a", "b", "c"])
  })

  it("resolves when lines fail, and says that it is not complete", async () => {
    const lines = [...(await files("ok")), { id: "no", source: "none", to: ["glance://emb/no"] }]
    const result = await run(lines, options()).result
    expect(result).toMatchObject({ complete: false, summary: { verified: 1, failed: 1 } })
    const again = await run(lines, options()).result
    expect(again).toMatchObject({ complete: false, failedBefore: 1, summary: { failed: 0 } })
    await writeFile(join(folder, "none"), "now")
    expect(await run(lines, { ...options(), retryFailed: true }).result).toMatchObject({ complete: true })
  })

  it("rejects what is wrong before anything is begun", async () => {
    const lines = await files("a")
    const fail = async (manifest: Parameters<typeof run>[0], more: object) => {
      const error: unknown = await run(manifest, { ...options(), ...more }).result.catch((error: unknown) => error)
      expect(error).toBeInstanceOf(HeadraceError)
      return (error as HeadraceError).message
    }
    expect(await fail(lines, { journal: undefined })).toContain("journal: it is missing")
    expect(await fail([...lines, ...lines], {})).toBe(
      '1 line of lines is wrong: nothing was begun; the first is lines:2: id: "a" is the id of line 1 already'
    )
    expect(await fail([{ source: "a", to: ["glance://emb/x?colour=red"] }], {})).toContain('unknown parameter "colour"')
    expect(await fail("none.ndjson", {})).toContain("there is no such file")
    expect(await fail(lines, { concurrency: 0 })).toContain('concurrency: "0" is not')
    expect(await fail(lines, { skipExisting: "size" })).toContain('skipExisting: allowed: "name", "hash"')
    expect(await fail(lines, { map: { rename: { a: 1 } } })).toMatch(/^map\.rename\.a: /)
    expect(await fail(lines, { only: ["x"] })).toBe('there is no line with the id "x"')
    expect(await fail(lines, { receipts: "a" })).toContain("it holds something else than receipts of this manifest")
  })

  it("maps what images take over, and leaves out what is there already", async () => {
    const [first] = await files("m1")
    await run([{ ...first!, to: ["glance://emb/m1?property.old_a=1&property.b=2"] }], { ...options(), journal: "jm" })
      .result
    const id = glance.images.list().find(({ name }) => name === "m1")!.id
    const move = [{ source: `glance://emb/${id}`, to: ["glance://emb/m2"] }]
    const moved = await run(move, {
      ...options(),
      map: { rename: { "old_*": "new_*" }, drop: ["b"], set: { c: "3" } }
    }).result
    expect(moved).toMatchObject({ complete: true, summary: { verified: 1 } })
    const there = () => glance.images.list().filter(({ name }) => name === "m2")
    expect(there()).toMatchObject([{ view: { new_a: "1", c: "3" } }])
    expect(there()[0]!.view).not.toHaveProperty("b")
    const again = await run(move, { ...options(), journal: "j2", skipExisting: "name" }).result
    expect(again).toMatchObject({ complete: true, summary: { skipped: 1 } })
    expect(there()).toHaveLength(1)
  })

  it("stops when it is aborted, tidied up, and goes on", async () => {
    const lines = await files("s1", "s2")
    const controller = new AbortController()
    const batch = run(lines, { ...options(), limit: 2000, signal: controller.signal })
    for await (const event of batch.events) {
      if (event.type === "progress" && event.destinations.some(({ sent }) => sent > 0)) controller.abort()
    }
    await expect(batch.result).rejects.toMatchObject({ reason: "Interrupted" })
    expect(glance.images.list().filter(({ name }) => name?.startsWith("s"))).toEqual([])
    expect(await run(lines, options()).result).toMatchObject({ complete: true, summary: { verified: 2 } })
  })

  it("does not wait for a program that reads no events, or no more of them", async () => {
    const lines = await files("u1", "u2", "u3")
    const batch = run(lines, options())
    for await (const event of batch.events) if (event.type === "batch") break
    expect(await batch.result).toMatchObject({ complete: true })
  })
})
