import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { JournalDatabase } from "../src/internal/journalDatabase.ts"
import { JournalLoading } from "../src/internal/journalLoading.ts"
import { JournalStore } from "../src/internal/journalStore.ts"
import type { Journal, JournalError } from "../src/Journal.ts"
import * as Line from "../src/Line.ts"
import type { Read } from "../src/Manifest.ts"
import * as SqliteJournal from "../src/SqliteJournal.ts"

let folder: string
let path: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-journal-"))
  path = join(folder, "m.journal")
})
afterEach(() => rm(folder, { recursive: true }))

const withJournal = <A, E>(use: (journal: Journal) => Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(SqliteJournal.open(path), use)))

const refused = <A>(effect: Effect.Effect<A, JournalError, Scope.Scope>) =>
  Effect.runPromise(Effect.scoped(Effect.flip(effect)))

const line = (number: number, id: string, more: object = {}): Read => ({
  _tag: "Line",
  number,
  line: Result.getOrThrow(
    Line.decode({ id, source: `glance://old/${id}`, to: [`glance://new/${id}`], ...more }, number)
  )
})
const wrong: Read = { _tag: "Wrong", number: 9, field: "to", message: "allowed: a list" }

const load = (
  journal: Journal,
  lines: ReadonlyArray<Read>,
  options: {
    readonly replan?: boolean
    readonly skipInvalid?: boolean
    readonly content?: string
    readonly trial?: boolean
  } = {}
) =>
  Effect.gen(function* () {
    const told: Array<string> = []
    const { content, replan = false, skipInvalid = false, trial = false } = options
    const onLine = (one: { kind: string; number: number; field: string; message: string }) =>
      void told.push(`${one.kind} ${one.number}: ${one.field}: ${one.message}`)
    const loaded = yield* journal.load({
      lines: Stream.fromIterable(lines),
      content,
      replan,
      skipInvalid,
      trial,
      onLine
    })
    return { ...loaded, told }
  })

const next = (journal: Journal, order: "listed" | "largest", end: "first" | "last", limit: number) =>
  Effect.map(journal.next({ order, end, limit, now: 7 }), (items) => items.map((item) => item.line.id).join(" "))

describe("lines", () => {
  it("come in the order that is asked for, from both ends, none twice", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        const sizes = [5, 9, undefined, 1, 7]
        yield* load(
          journal,
          sizes.map((size, at) => line(at + 1, `l${size ?? "?"}`, size === undefined ? {} : { size }))
        )
        expect(yield* journal.counts).toEqual({ open: 5, done: 0, failed: 0, openBytes: 22, openUnsized: 1 })
        expect(yield* next(journal, "largest", "first", 2)).toBe("l9 l7")
        expect(yield* next(journal, "largest", "last", 1)).toBe("l?")
        expect(yield* next(journal, "largest", "last", 9)).toBe("l1 l5")
        expect(yield* next(journal, "largest", "first", 9)).toBe("")
      })
    ))

  it("come as listed", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        yield* load(
          journal,
          ["c", "a", "b"].map((id, at) => line(at + 1, id, { size: at }))
        )
        expect(yield* next(journal, "listed", "first", 2)).toBe("c a")
        expect(yield* next(journal, "listed", "first", 2)).toBe("b")
      })
    ))

  it("with an id that was there before are refused, with both line numbers", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        const twice = [line(1, "a"), line(2, "b"), line(5, "a")]
        expect(yield* load(journal, twice)).toMatchObject({
          taken: false,
          wrong: 1,
          told: ['wrong 5: id: "a" is the id of line 1 already']
        })
        expect(yield* journal.counts).toMatchObject({ open: 0 })
        expect(yield* load(journal, [...twice, wrong], { skipInvalid: true })).toMatchObject({ taken: true, wrong: 2 })
        expect(yield* journal.counts).toMatchObject({ open: 2 })
      })
    ))
})

it("a line whose end could not be made durable is not handed out again", () => {
  const db = new DatabaseSync(":memory:")
  const base = new JournalDatabase(db)
  base.prepare("write")
  base.claim()
  const store = new JournalStore(base)
  const loading = new JournalLoading(base)
  loading.loadBegin()
  loading.load([{ id: "a", number: 1, size: 1, text: "{}", image: null, places: [] }], false)
  loading.loadEnd("keep", undefined)
  const [item] = store.next("largest", "first", 5, 7)
  store.committed()
  const end = () => store.end(item!.seq, { ending: "done", receipt: "{}", bytes: 1, objects: [], left: false })
  db.exec("BEGIN")
  end()
  db.exec("ROLLBACK")
  store.rolledBack()
  expect(store.next("largest", "first", 5, 8)).toEqual([])
  end()
  store.committed()
  expect(store.next("largest", "first", 5, 9)).toEqual([])
  db.close()
})

it("of a line that has ended, what was not there is looked for again, and what its receipt says is left is not", async () => {
  const made = (object: string) => ({ place: 0, object, uri: "glance://new/a" })
  await withJournal((journal) =>
    Effect.gen(function* () {
      yield* load(journal, [line(1, "a")])
      const { seq } = (yield* journal.take("a", 7))!
      yield* journal.make(seq, made("missing"))
    })
  )
  await withJournal((journal) =>
    Effect.gen(function* () {
      const { seq } = (yield* journal.take("a", 8))!
      yield* journal.make(seq, made("kept"))
      yield* journal.end(seq, { ending: "done", receipt: '{"id":"a"}', bytes: 1, objects: [], left: true })
    })
  )
  await withJournal((journal) =>
    Effect.gen(function* () {
      expect((yield* journal.strays).map((item) => item.made)).toEqual([[made("missing")]])
    })
  )
})

describe("a manifest that has changed", () => {
  it("lets no two lines write to one place, whatever they were before", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        const to = { to: ["s3://b/x"] }
        yield* load(journal, [line(1, "a", to), line(2, "b", { to: ["s3://b/y"] })])
        expect(yield* load(journal, [line(1, "c", to), line(2, "a", to)])).toMatchObject({
          taken: false,
          told: ["wrong 2: to: s3://b/x is where line 1 writes to"]
        })
        expect(yield* load(journal, [line(1, "a", to), line(2, "b", to)], { replan: true })).toMatchObject({
          taken: false,
          told: ["wrong 2: to: s3://b/x is where line 1 writes to"]
        })
        const secret = { to: ["https://user:pw@host/x?sig=1"] }
        const { told } = yield* load(journal, [line(1, "d", secret), line(2, "e", secret)])
        expect(told).toEqual(["wrong 2: to: https://host/x is where line 1 writes to"])
      })
    ))

  const ended = (journal: Journal, id: string) =>
    Effect.gen(function* () {
      const item = (yield* journal.take(id, 7))!
      yield* journal.end(item.seq, { ending: "done", receipt: `{"id":"${id}"}`, bytes: 3, objects: [], left: false })
    })

  it("runs new lines, says vanished ones, and refuses changed ones unless told", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        yield* load(journal, [line(1, "a"), line(2, "b"), line(3, "c")])
        yield* ended(journal, "a")
        const changed = [line(1, "new"), line(2, "a", { to: ["glance://new/other"] }), line(3, "b")]
        expect(yield* load(journal, changed)).toMatchObject({ taken: false, fresh: 1, changed: 1, same: 1 })
        expect(yield* journal.counts).toMatchObject({ open: 2, done: 1 })
        expect(yield* load(journal, changed, { replan: true })).toMatchObject({
          taken: true,
          vanished: 1,
          told: [
            'changed 2: id: "a" was another transfer in an earlier run',
            'vanished 3: id: "c" is not in the manifest any more'
          ]
        })
        expect(yield* journal.counts).toMatchObject({ open: 3, done: 0 })
        expect((yield* journal.take("a", 7))?.line.to).toEqual(["glance://new/other"])
        // Back again: it is to be done.
        expect(yield* load(journal, [...changed, line(4, "c")], { replan: true })).toMatchObject({
          same: 4,
          vanished: 0
        })
        expect(yield* journal.counts).toMatchObject({ open: 4 })
      })
    ))

  it("is not read again when its content is known", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        yield* load(journal, [line(1, "a")], { content: "x" })
        expect(yield* load(journal, [wrong], { content: "x" })).toMatchObject({ taken: true, wrong: 0 })
        expect(yield* load(journal, [wrong], { content: "y" })).toMatchObject({ taken: false, wrong: 1 })
        yield* load(journal, [line(1, "a"), wrong], { content: "y", skipInvalid: true })
        expect(yield* load(journal, [line(1, "a"), wrong], { content: "y" })).toMatchObject({ taken: false })
      })
    ))
})

it("tries a manifest without noting anything", async () => {
  await withJournal((journal) => load(journal, [line(1, "a")]))
  await withJournal((journal) =>
    Effect.gen(function* () {
      expect(yield* load(journal, [line(1, "b"), line(2, "c")], { trial: true })).toMatchObject({
        fresh: 2,
        vanished: 1
      })
      expect(yield* journal.counts).toMatchObject({ open: 2 })
      expect(yield* next(journal, "listed", "first", 9)).toBe("b c")
    })
  )
  await withJournal((journal) =>
    Effect.gen(function* () {
      expect(yield* next(journal, "listed", "first", 9)).toBe("a")
    })
  )
})

describe("a run", () => {
  it("finds what an earlier one has begun, with the names that it gave", async () => {
    const first = await withJournal((journal) =>
      Effect.gen(function* () {
        yield* load(journal, [line(1, "a", { size: 1 }), line(2, "b", { size: 9 })])
        const item = (yield* journal.take("a", 7))!
        yield* journal.make(item.seq, { place: 0, object: "gone", uri: "glance://new/x" })
        yield* journal.make(item.seq, { place: 1, object: "there", uri: "glance://new/x" })
        yield* journal.unmake(item.seq, { place: 0, object: "gone", uri: "glance://new/x" })
        return journal.epoch
      })
    )
    await withJournal((journal) =>
      Effect.gen(function* () {
        expect(journal.epoch).toBe(first + 1)
        const items = yield* journal.next({ order: "largest", end: "first", limit: 5, now: 7 })
        expect(items.map(({ begunAt, line, made }) => [line.id, begunAt, made])).toEqual([
          ["a", 7, [{ place: 1, object: "there", uri: "glance://new/x" }]],
          ["b", undefined, []]
        ])
        yield* journal.end(items[0]!.seq, {
          ending: "failed",
          receipt: '{"id":"a"}',
          bytes: 1,
          objects: [],
          left: false
        })
        yield* journal.release(items[1]!.seq, { left: false, standing: undefined })
        expect(yield* journal.counts).toMatchObject({ open: 1, failed: 1 })
        yield* journal.reopen({ failed: undefined })
        expect(yield* journal.counts).toMatchObject({ open: 2, failed: 0 })
        expect(yield* Stream.runCollect(journal.receipts(0))).toEqual([])
      })
    )
  })

  it("gives receipts in the order in which they were noted, also to others while it runs", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        const ids = Array.from({ length: 700 }, (_, at) => `i${at}`)
        yield* load(
          journal,
          ids.map((id, at) => line(at + 1, id))
        )
        const items = yield* journal.next({ order: "listed", end: "first", limit: 1000, now: 7 })
        yield* Effect.forEach(
          items,
          ({ line, seq }) =>
            journal.end(seq, {
              ending: "done",
              receipt: JSON.stringify({ id: line.id }),
              bytes: 1,
              objects: [],
              left: false
            }),
          { concurrency: "unbounded" }
        )
        // All writes that come together are made durable together.
        expect(journal.commits()).toBeLessThan(50)
        const read = (yield* Stream.runCollect(SqliteJournal.readReceipts(path))).map(
          ({ receipt }) => JSON.parse(receipt).id
        )
        expect(read).toEqual(ids)
        expect(yield* journal.receiptOf("i3")).toBe(4)
        expect(yield* Stream.runCount(journal.receipts(690))).toBe(10)
      })
    ))

  it("finds lines by the image that is their source", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        const id = "0C0F6C6E-5c4c-4f2a-9a53-0b7e3c7c2b11"
        yield* load(journal, [line(1, "k", { source: `glance://old/${id}` }), line(2, "x")])
        const found = yield* journal.ofImage(id)
        expect(found.map(({ line, state }) => [line.id, state])).toEqual([["k", "open"]])
      })
    ))
})

describe("a journal", () => {
  it("is refused to a second run while the first lives, and free when it was killed", async () => {
    const program = `
      import * as Effect from "effect/Effect"
      import * as SqliteJournal from ${JSON.stringify(new URL("../src/SqliteJournal.ts", import.meta.url).href)}
      await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
        yield* SqliteJournal.open(${JSON.stringify(path)})
        console.log("open")
        yield* Effect.sleep(60_000)
      })))`
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    await once(child.stdout, "data")
    const { message, reason } = await refused(SqliteJournal.open(path))
    expect(reason).toBe("Locked")
    expect(message).toContain(`another run that lives writes it (process ${child.pid} on `)
    const ended = once(child, "exit")
    child.kill("SIGKILL")
    await ended
    expect(await withJournal((journal) => Effect.succeed(journal.epoch))).toBe(2)
  })

  it("takes no write of a run that was taken over", () =>
    withJournal((journal) =>
      Effect.gen(function* () {
        yield* load(journal, [line(1, "a")])
        const item = (yield* journal.take("a", 7))!
        const db = new DatabaseSync(path)
        db.exec("UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
        db.close()
        const error = yield* Effect.flip(journal.release(item.seq, { left: false, standing: undefined }))
        expect(error).toMatchObject({ reason: "Lost", message: "another run has taken it over; this one ends" })
      })
    ))

  it("of a later release, or that is none, is refused and not touched", async () => {
    await withJournal(() => Effect.void)
    const db = new DatabaseSync(path)
    db.exec("PRAGMA user_version = 99")
    db.close()
    expect(await refused(SqliteJournal.open(path))).toMatchObject({ reason: "Newer" })
    await writeFile(
      path,
      "this is text that is long enough to be looked at as a database file, and is none\n".repeat(20)
    )
    expect(await refused(SqliteJournal.open(path))).toMatchObject({ reason: "Foreign" })
    const other = join(folder, "other.db")
    const foreign = new DatabaseSync(other)
    foreign.exec("CREATE TABLE t (a)")
    foreign.close()
    expect(await refused(SqliteJournal.open(other))).toMatchObject({ reason: "Foreign" })
    expect(existsSync(`${other}-lock`)).toBe(false)
    expect(await refused(Stream.runDrain(SqliteJournal.readReceipts(other)))).toMatchObject({ reason: "Foreign" })
    expect(await refused(SqliteJournal.open(folder))).toMatchObject({ reason: "Unusable" })
    expect(await refused(SqliteJournal.open(join(folder, "none", "x")))).toMatchObject({ reason: "Unusable" })
  })

  const mountable = (): boolean => {
    try {
      execFileSync("unshare", ["-m", "true"], { stdio: "ignore" })
      return process.getuid?.() === 0
    } catch {
      return false
    }
  }

  it.skipIf(!mountable())(
    "on a full disk refuses what it cannot note, and goes on when there is room [optional]",
    async () => {
      const disk = join(folder, "disk")
      await mkdir(disk)
      execFileSync("mount", ["-t", "tmpfs", "-o", "size=600k", "tmpfs", disk])
      try {
        path = join(disk, "m.journal")
        await withJournal((journal) =>
          Effect.gen(function* () {
            yield* load(journal, [line(1, "a"), line(2, "b")])
            const [a] = yield* journal.next({ order: "listed", end: "first", limit: 2, now: 7 })
            const receipt = JSON.stringify({ pad: "x".repeat(500_000) })
            const error = yield* Effect.flip(
              journal.end(a!.seq, { ending: "done", receipt, bytes: 1, objects: [], left: false })
            )
            expect(error).toMatchObject({ reason: "Full", message: "there is no room on its disk" })
            execFileSync("mount", ["-o", "remount,size=20m", disk])
            yield* journal.end(a!.seq, { ending: "done", receipt, bytes: 1, objects: [], left: false })
            expect(yield* journal.counts).toMatchObject({ open: 1, done: 1 })
          })
        )
      } finally {
        execFileSync("umount", [disk])
      }
    }
  )
})
