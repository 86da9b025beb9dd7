/**
 * What receipts say, held against embedded clouds and files.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import type { Receipt } from "@headrace/core/Receipt"
import { createHash } from "node:crypto"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Receipts from "../src/Receipts.ts"
import * as Verify from "../src/Verify.ts"
import { before, walk } from "../src/internal/verify/walk.ts"
import type { Answer, Asked } from "../src/internal/verify/found.ts"
import type { FileTarget } from "../src/internal/verify/target.ts"
import { cloud, type Cloud, machine } from "./support/clouds.ts"

const sum = (algorithm: "md5" | "sha512", text: string): string => createHash(algorithm).update(text).digest("hex")

const end = (uri: string, object: object | undefined, status = "verified") => ({
  uri,
  required: true,
  status,
  ...(object === undefined ? undefined : { object: { size: null, digests: {}, ...object } }),
  attempts: 1,
  bytesSent: 1,
  startedAt: "2026-01-01T00:00:00.000Z",
  elapsedMs: 1
})

const receipt = (id: string, text: string, ...destinations: ReadonlyArray<object>): Receipt =>
  ({
    id,
    source: { uri: "x", size: Buffer.byteLength(text), digests: { sha512: sum("sha512", text) } },
    destinations
  }) as unknown as Receipt

const pool = BlockPool.layer({ bytes: 16 * 1024 * 1024, blockBytes: 64 * 1024 })

const verified = (receipts: ReadonlyArray<Receipt>, options: Verify.Options, ...clouds: ReadonlyArray<Cloud>) =>
  Stream.runCollect(Verify.run(Stream.fromIterable(receipts), options)).pipe(
    Effect.map((all) => new Map(all.map((one) => [one.id, one]))),
    Effect.provide(Layer.mergeAll(machine(...clouds), pool))
  )

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "headrace-verify-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true }))
)

describe("images", () => {
  it.live(
    "500 of them are looked at with 10 requests, the hidden, the changed and the missing ones with few more",
    () =>
      Effect.gen(function* () {
        const at = yield* cloud()
        const ids = yield* Effect.forEach(
          Array.from({ length: 500 }, (_, index) => index),
          (index) => at.image({ name: `same name`, os_hidden: index >= 10 && index < 20 }, `content ${index}`),
          { concurrency: 8 }
        )
        const receipts = ids.map((id, index) =>
          receipt(`${index}`, `content ${index}`, end(`glance://${at.name}/same%20name`, { id }))
        )
        yield* at.post(`/v2/images/${ids[1]}/actions/deactivate`)
        receipts[2] = receipt("2", "context 2", end(`glance://${at.name}/same%20name`, { id: ids[2] }))
        receipts[3] = receipt("3", "content 33", end(`glance://${at.name}/same%20name`, { id: ids[3] }))
        const absent = "00000000-0000-4000-8000-000000000000"
        receipts[4] = receipt("4", "content 4", end(`glance://${at.name}/same%20name`, { id: absent }))
        receipts[5] = receipt("5", "content 5", end(`glance://${at.name}/same%20name`, { id: ids[5] }, "failed"))
        let requests = 0
        const before = at.glance.requests.length
        const found = yield* verified(receipts, { onRequest: () => requests++ }, at)
        assert.strictEqual(found.size, 499)
        assert.deepStrictEqual(
          { ...found.get("1"), at: "", object: found.get("1")?.object?.status },
          {
            type: "verification",
            at: "",
            id: "1",
            uri: `glance://${at.name}/same%20name`,
            object: "deactivated",
            status: "differs",
            how: "list",
            compared: ["size", "sha512"],
            message: `image ${ids[1]} is deactivated`
          }
        )
        assert.match(found.get("2")!.message, /^its sha512 is [0-9a-f]{128}, and was [0-9a-f]{128}$/)
        assert.strictEqual(found.get("3")?.message, "it has 9 bytes, and had 10")
        assert.deepInclude(found.get("4"), { status: "missing", how: "head", message: `there is no image ${absent}` })
        assert.deepInclude(found.get("10"), { status: "same", how: "list" })
        assert.strictEqual([...found.values()].filter(({ status }) => status === "same").length, 495)
        // Ten lists, one of the hidden ones, and the one that is missing.
        assert.isAtMost(requests, 12)
        assert.strictEqual(at.glance.requests.length - before, requests)
      }).pipe(Effect.scoped)
  )

  it.live("of an unknown cloud are unknown, and those of others are looked at all the same", () =>
    Effect.gen(function* () {
      const at = yield* cloud()
      const id = yield* at.image({ name: "a" }, "a")
      const away = yield* cloud()
      yield* Effect.promise(() => away.glance.close())
      const found = yield* verified(
        [
          receipt("good", "a", end(`glance://${at.name}/a`, { id })),
          receipt("nobody", "a", end("glance://nobody/a", { id })),
          receipt("away", "a", end(`glance://${away.name}/a`, { id })),
          receipt("unsaid", "a", end(`glance://${at.name}/a`, undefined)),
          receipt("foreign", "a", end("ftp://host/a", { id: "a" }))
        ],
        {},
        at,
        away
      )
      assert.deepStrictEqual([...found.values()].map(({ id, status }) => `${id} ${status}`).sort(), [
        "away unknown",
        "foreign unknown",
        "good same",
        "nobody unknown",
        "unsaid unknown"
      ])
      assert.match(found.get("nobody")!.message, /nobody/)
      assert.match(found.get("foreign")!.message, /^unknown scheme "ftp"/)
    }).pipe(Effect.scoped)
  )
})

describe("files", () => {
  it.live("are there or not, and what is read back is chosen by the receipts alone, one at least", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = (index: number) => join(at, `${index}.raw`)
      const write = (index: number, text: string) => Effect.promise(() => writeFile(path(index), text))
      const count = 300
      yield* Effect.forEach(
        Array.from({ length: count }, (_, index) => index),
        (index) => write(index, `content ${index}`),
        { discard: true }
      )
      const receipts = Array.from({ length: count }, (_, index) =>
        receipt(`${index}`, `content ${index}`, end(path(index), { id: path(index), size: 9 }, "stored"))
      )
      const tenth = yield* verified(receipts, { sample: 0.1 })
      const readOf = (found: typeof tenth) =>
        [...found.values()].flatMap(({ compared, how, id, status }) =>
          how === "read" && status === "same" && compared.includes("sha512") ? [id] : []
        )
      const chosen = readOf(tenth)
      assert.isAbove(chosen.length, 10)
      assert.isBelow(chosen.length, 60)
      assert.sameMembers(readOf(yield* verified(receipts.toReversed(), { sample: 0.1 })), chosen)
      assert.lengthOf(readOf(yield* verified(receipts, { sample: 1e-9 })), 1)
      assert.lengthOf(readOf(yield* verified(receipts, {})), 0)

      const other = chosen.map(Number).find((index) => index > 3)!
      yield* write(other, `contend ${other}`)
      yield* Effect.promise(() => rm(path(1)))
      yield* Effect.promise(() => rm(path(2)))
      yield* Effect.promise(() => symlink(path(3), path(2)))
      const found = yield* verified(receipts, { sample: 1, concurrency: 2 })
      assert.deepInclude(found.get(`${other}`), { status: "differs", how: "read", compared: ["size", "sha512"] })
      assert.deepInclude(found.get("1"), { status: "missing", message: "the file is not there" })
      assert.strictEqual(found.size, count)
    }).pipe(Effect.scoped)
  )
})

interface Entry {
  readonly name: string
}

/** A list of names, as a service that keeps to their order gives it, and what was asked of it. */
const container = (there: ReadonlyArray<string>, size: number) => {
  const sorted = [...there].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
  const asked = { pages: 0, singly: 0 }
  const names = new Set(there)
  return {
    asked,
    page: ({ after, prefix }: { readonly after: string; readonly prefix: string }) =>
      Effect.sync(() => {
        asked.pages++
        const rest = sorted.filter(
          (name) => name.startsWith(prefix) && Buffer.compare(Buffer.from(name), Buffer.from(after)) > 0
        )
        return { objects: rest.slice(0, size).map((name): Entry => ({ name })), more: rest.length > size }
      }),
    nameOf: ({ name }: Entry) => name,
    tell: () => ({ _tag: "There", how: "list", size: 1, digests: {} }) as const,
    each: (all: ReadonlyArray<Asked<FileTarget>>) =>
      Effect.sync(() => {
        asked.singly += all.length
        return all.map((one): Answer<FileTarget> => ({
          asked: one,
          found: names.has(one.target.key)
            ? { _tag: "There", how: "head", size: 1, digests: {} }
            : { _tag: "Absent", how: "head" }
        }))
      })
  }
}

const wanted = (names: ReadonlyArray<string>): ReadonlyArray<Asked<FileTarget>> =>
  names.map((key) => ({ target: { _tag: "File", service: "file:", key }, claims: [] }))

const tagOf = (answers: ReadonlyArray<Answer<FileTarget>>) =>
  new Map(answers.map(({ asked, found }) => [asked.target.key, found._tag]))

describe("a list", () => {
  const numbers = (count: number, step = 1) =>
    Array.from({ length: count }, (_, index) => `dir/${String(index * step).padStart(7, "0")}`)

  it.effect("of names that lie together costs a page for each thousand", () =>
    Effect.gen(function* () {
      const names = numbers(5000)
      const service = container([...names, ...names.map((name) => `other/${name}`)], 1000)
      const found = tagOf(yield* Stream.runCollect(walk(wanted(names), service)))
      assert.strictEqual(found.size, 5000)
      assert.deepStrictEqual(service.asked, { pages: 5, singly: 0 })
    })
  )

  it.effect("of names that lie far apart is left soon, and what is missing is asked for", () =>
    Effect.gen(function* () {
      const all = numbers(200_000)
      const some = all.filter((_, index) => index % 2000 === 7)
      const service = container(all, 1000)
      const found = tagOf(yield* Stream.runCollect(walk(wanted([...some, "dir/none"]), service)))
      assert.strictEqual([...found.values()].filter((tag) => tag === "There").length, some.length)
      assert.strictEqual(found.get("dir/none"), "Absent")
      assert.isAtMost(service.asked.pages, 6)
      assert.isAtMost(service.asked.pages + service.asked.singly, some.length + 3)
    })
  )

  it.effect("begins before any name, whatever characters are in it", () =>
    Effect.gen(function* () {
      const names = [
        "a",
        "a b",
        "a/b",
        "a/é",
        "a/\ud83d\ude00",
        "\ue000",
        "a!",
        "!",
        " ",
        "a/\ud83d\ude01",
        "z".repeat(900)
      ]
      for (const name of names) assert.isBelow(Buffer.compare(Buffer.from(before(name)), Buffer.from(name)), 0, name)
      const service = container([...names, ...numbers(100)], 3)
      const found = tagOf(yield* Stream.runCollect(walk(wanted(names), service)))
      assert.deepStrictEqual(
        [...found.values()],
        names.map(() => "There")
      )
    })
  )
})

describe("receipts in a file", () => {
  it.live("are read between events; foreign lines and a last one without an end are told", () =>
    Effect.gen(function* () {
      const at = yield* folder
      const path = join(at, "r.ndjson")
      const one = JSON.stringify(receipt("a", "é", end("/x", { id: "/x" })))
      const text = [
        `\ufeff${one}\r`,
        '{"type":"progress","read":1}',
        "",
        JSON.stringify({ type: "receipt", ...receipt("b", "b") }),
        "what is this",
        '{"id":"c","source":{"uri":"x","size":-1},"destinations":[]}',
        one.slice(0, 60)
      ].join("\n")
      yield* Effect.promise(() => writeFile(path, text))
      const reads = yield* Stream.runCollect(Receipts.fromFile(path))
      assert.deepStrictEqual(
        reads.map((read) => (read._tag === "Receipt" ? read.receipt.id : [read.number, read.message, read.cut])),
        [
          "a",
          "b",
          [5, "this is no JSON", false],
          [6, "source: this is none of a receipt", false],
          [7, "it has no end", true]
        ]
      )
      const none = yield* Effect.flip(Stream.runCollect(Receipts.fromFile(join(at, "none"))))
      assert.strictEqual(none.message, "it cannot be read: there is no such file")
      yield* Effect.promise(() => writeFile(path, "SQLite format 3\0 and nothing more"))
      const journal = yield* Effect.flip(Stream.runCollect(Receipts.fromFile(path)))
      assert.match(journal.message, /^the journal: /)
    }).pipe(Effect.scoped)
  )
})
