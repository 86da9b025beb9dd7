/**
 * What a run finds that another one was killed before: the journal is put into the state that `kill -9` leaves at the moments
 * that are too short to be met by chance.
 */
import { createHash, randomUUID } from "node:crypto"
import { readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import type { Receipt } from "headrace"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest"
import * as Command from "./support/command.ts"

let refusing = false
/** Lets go the uploads that wait. */
let go: () => void = () => {}
let glance: EmbeddedGlance.EmbeddedGlance
beforeAll(async () => {
  glance = await EmbeddedGlance.start({
    onUpload: async ({ image }) => {
      if (image?.name?.endsWith("-waits") === true) await new Promise<void>((resolve) => void (go = resolve))
      return refusing && image?.name?.endsWith("-refused") === true
        ? { type: "answer", at: "before", status: 403, body: "no" }
        : undefined
    }
  })
})
afterAll(() => glance.close())

let folder: string
beforeEach(async () => {
  refusing = false
  folder = await Command.folder(Command.cloud("emb", glance.url))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const run = (...args: ReadonlyArray<string>) =>
  Command.run(folder, ["run", "m.ndjson", "--receipts", "r", "--progress", "none", ...args], {
    env: { XDG_STATE_HOME: join(folder, "state") }
  })

const bytes = Command.random(5000)
const sha512 = createHash("sha512").update(bytes).digest("hex")

let names = 0
const write = async (line: object) => {
  await writeFile(join(folder, "bytes"), bytes)
  await writeFile(join(folder, "m.ndjson"), `${JSON.stringify({ id: "one", source: "bytes", ...line })}\n`)
}
const images = (name: string) => glance.images.list().filter((image) => image.name === name)
const receiptOf = async () => JSON.parse(await readFile(join(folder, "r"), "utf8")) as Receipt

/** As it was just before the end of the line was noted. */
const before = async (noted: { readonly image?: string; readonly uri?: string }) => {
  await rm(join(folder, "r"))
  const db = new DatabaseSync(join(folder, "m.ndjson.journal"))
  db.exec("UPDATE line SET state = 1; DELETE FROM receipt")
  const { to } = JSON.parse(await readFile(join(folder, "m.ndjson"), "utf8")) as { readonly to: ReadonlyArray<string> }
  if (noted.image !== undefined)
    db.prepare("INSERT INTO made VALUES (1, 0, ?, ?, 1, 0)").run(noted.image, noted.uri ?? to[0]!)
  db.close()
}

it("an image that was complete stands for its line, also in all runs after that", async () => {
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`], expect: { sha512 } })
  expect((await run()).code).toBe(0)
  const [{ id } = { id: "" }] = images(name)
  await before({ image: id })
  for (let time = 1; time <= 3; time++) {
    const { code, stderr } = await run()
    expect(code, stderr).toBe(0)
    expect(images(name)).toMatchObject([{ id, status: "active" }])
  }
  expect(await receiptOf()).toMatchObject({ destinations: [{ status: "verified", attempts: 0, object: { id } }] })
})

it("an image is proven by the source itself where nobody says its digest", async () => {
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`] })
  expect((await run()).code).toBe(0)
  const [{ id } = { id: "" }] = images(name)
  await before({ image: id })
  expect((await run()).code).toBe(0)
  expect(images(name)).toMatchObject([{ id }])
  const { destinations } = await receiptOf()
  expect(destinations).toMatchObject([{ status: "verified", attempts: 0, proof: { computedBy: "hash-wasm" } }])
})

it("an image of other bytes is made anew, once", async () => {
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`] })
  expect((await run()).code).toBe(0)
  const [{ id } = { id: "" }] = images(name)
  await before({ image: id })
  await writeFile(join(folder, "bytes"), Command.random(5000))
  expect((await run()).code).toBe(0)
  const [{ id: second } = { id: "" }, ...others] = images(name)
  expect(others).toEqual([])
  expect(second).not.toBe(id)
  expect((await run()).code).toBe(0)
  expect(images(name)).toMatchObject([{ id: second }])
})

const made = async (more: object) => {
  const answer = await fetch(`${glance.url}/v2/images`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ disk_format: "raw", container_format: "bare", ...more })
  })
  return ((await answer.json()) as { readonly id: string }).id
}

it("an image that was there, and is filled, stands for its line; of other bytes it is left alone", async () => {
  const id = await made({ name: "given" })
  await write({ to: [`glance://emb/${id}?property.a=b`] })
  expect((await run()).code).toBe(0)
  await before({})
  const again = await run()
  expect(again.code, again.stderr).toBe(0)
  expect(await receiptOf()).toMatchObject({ destinations: [{ status: "verified", attempts: 0, object: { id } }] })
  await before({})
  await writeFile(join(folder, "bytes"), Command.random(5000))
  expect((await run()).code).toBe(2)
  expect(await receiptOf()).toMatchObject({ destinations: [{ status: "failed", error: { reason: "Conflict" } }] })
  expect(glance.images.get(id)).toMatchObject({ status: "active", hashValue: sha512 })
})

it("an image with an id of the manifest's is filled where it was made, and stands where it was filled", async () => {
  const id = randomUUID()
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}?id=${id}&property.a=b&protected=true`] })
  await made({ id, name })
  const filled = await run()
  expect(filled.code, filled.stderr).toBe(0)
  expect(images(name)).toMatchObject([{ id, status: "active", hashValue: sha512, view: { a: "b", protected: true } }])
  await before({ image: id })
  expect((await run()).code).toBe(0)
  expect((await run()).code).toBe(0)
  expect(images(name)).toMatchObject([{ id, status: "active", hashValue: sha512 }])
})

it("an image that stands beside one that failed, and was left, is not taken for what is left", async () => {
  refusing = true
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`, `glance://emb/${name}-refused`] })
  expect((await run("--keep-failed")).code).toBe(2)
  const [{ id } = { id: "" }] = images(name)
  expect(images(`${name}-refused`)).toMatchObject([{ status: "queued" }])
  refusing = false
  expect((await run("--retry-failed")).code).toBe(0)
  expect(images(name)).toMatchObject([{ id, status: "active" }])
  expect(images(`${name}-refused`)).toMatchObject([{ status: "active" }])
  expect((await run()).code).toBe(0)
  expect(images(name)).toMatchObject([{ id, status: "active" }])
})

it("an image that was finished before the run was stopped goes on standing", async () => {
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`, `glance://emb/${name}-waits`] })
  const stopped = await run("--deadline", "2s")
  go()
  expect(stopped.code).not.toBe(0)
  const [{ id } = { id: "" }] = images(name)
  expect(images(name)).toMatchObject([{ status: "active" }])
  expect(images(`${name}-waits`)).toEqual([])
  const again = run()
  const letGo = setInterval(() => go(), 100)
  const { code, stderr } = await again
  clearInterval(letGo)
  expect(code, stderr).toBe(0)
  expect(images(name)).toMatchObject([{ id, status: "active" }])
  expect(images(`${name}-waits`)).toMatchObject([{ status: "active" }])
  expect((await receiptOf()).destinations).toMatchObject([{ status: "verified" }, { status: "verified" }])
})

it("an image of a place that the line does not name any more is deleted, not taken for the line's", async () => {
  const name = `crash-${names++}`
  await write({ to: [`glance://emb/${name}`] })
  expect((await run()).code).toBe(0)
  const [{ id } = { id: "" }] = images(name)
  await before({ image: id })
  await write({ to: [`glance://emb/${name}-new?property.a=b`] })
  expect((await run("--replan")).code).toBe(0)
  expect(images(name)).toEqual([])
  expect(images(`${name}-new`)).toMatchObject([{ status: "active", view: { a: "b" } }])
})

it("repair leaves alone what a line that the manifest has no more has written", async () => {
  await writeFile(join(folder, "bytes"), bytes)
  await writeFile(join(folder, "other"), Command.random(6000))
  const manifest = (line: object) => writeFile(join(folder, "m.ndjson"), JSON.stringify(line))
  await manifest({ id: "old", source: "bytes", to: ["there"] })
  expect((await run()).code).toBe(0)
  await manifest({ id: "new", source: "other", to: ["there"] })
  expect((await run()).code).toBe(0)
  const held = await readFile(join(folder, "there"))
  const repaired = await Command.run(folder, ["repair", "m.ndjson.journal", "--progress", "none"])
  expect(repaired.code, repaired.stderr).toBe(0)
  expect(await readFile(join(folder, "there"))).toEqual(held)
})
