import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import type { Receipt } from "@headrace/core/Receipt"
import type { Key } from "@headrace/core/UploadJournal"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as Owner from "../src/internal/uploadOwner.ts"
import * as PartsFolder from "./support/PartsFolder.ts"

const folders: Array<string> = []
const temporary = () => {
  const folder = mkdtempSync(join(tmpdir(), "headrace-journal-"))
  folders.push(folder)
  return folder
}
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

const key: Key = { source: "disk.img", destination: "s3://b/k", identity: "1", size: 100 }
const state = { bytes: 20, states: { sha256: "AAAA" } }
const part = (number: number) => ({ number, offset: (number - 1) * 10, length: 10, tag: `t${number}`, digests: {} })

const files = (folder: string) => readdirSync(join(folder, "uploads")).map((name) => join(folder, "uploads", name))

/** Notes an upload of two parts, and leaves it. */
const noted = (folder: string, of: Key = key) =>
  Effect.scoped(
    Effect.gen(function* () {
      const entry = yield* FileUploadJournal.make({ folder }).open(of, { fresh: false })
      yield* entry.begun({ token: "upload-1", earlier: undefined })
      yield* entry.cut(10)
      yield* entry.taken(part(1), undefined)
      yield* entry.taken(part(2), state)
    })
  )

/** How this machine is called in the names of notes. */
const machine = Owner.mine().split("-")[0]!

const earlierOf = (folder: string, of: Key = key) =>
  Effect.scoped(Effect.map(FileUploadJournal.make({ folder }).open(of, { fresh: false }), ({ earlier }) => earlier))

describe("notes of an upload", () => {
  it.live("are there for whoever goes on, and are for nobody else to read", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      const earlier = yield* earlierOf(folder)
      assert.deepInclude(earlier, { token: "upload-1", partBytes: 10, parts: [part(1), part(2)], state })
      assert.isAtMost(Math.abs(Date.now() - earlier!.startedAt), 60_000)
      // Looking at them is no use of them.
      assert.deepStrictEqual(yield* earlierOf(folder), earlier)
      assert.strictEqual(statSync(join(folder, "uploads")).mode & 0o77, 0)
      assert.strictEqual(statSync(files(folder)[0]!).mode & 0o77, 0)
    })
  )

  it.live("are not those of another source, place, content or size", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      for (const other of [{ source: "x" }, { destination: "y" }, { identity: "2" }, { size: 101 }]) {
        assert.isUndefined(yield* earlierOf(folder, { ...key, ...other }))
      }
      assert.isDefined(yield* earlierOf(folder))
    })
  )

  it.live("are taken by one alone, and go back when it leaves", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      const scope = yield* Scope.make()
      const journal = FileUploadJournal.make({ folder })
      const open = Effect.map(journal.open(key, { fresh: false }), ({ earlier }) => earlier?.token)
      const both = yield* Scope.provide(Effect.all([open, open], { concurrency: 2 }), scope)
      assert.sameMembers(both, ["upload-1", undefined])
      assert.isTrue((yield* journal.list)[0]!.running)
      yield* Scope.close(scope, Exit.void)
      assert.isFalse((yield* journal.list)[0]!.running)
      assert.strictEqual((yield* earlierOf(folder))?.token, "upload-1")
    })
  )

  it.skipIf(process.platform !== "linux")(
    "of a process that has ended are nobody's, also before its parent waits for it",
    async () => {
      // sh replaces itself by a program that never waits, and its child ends.
      const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] })
      try {
        const [line] = (await once(parent.stdout, "data")) as [Buffer]
        const pid = Number(line.toString())
        const stat = () => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
        while (stat()[0] !== "Z") await new Promise((resolve) => setTimeout(resolve, 5))
        assert.isFalse(Owner.lives(`${machine}-${pid}-${stat()[19]}-x`, Date.now()))
        assert.isTrue(Owner.lives(Owner.mine(), Date.now()))
      } finally {
        parent.kill()
      }
    }
  )

  it.live("end with a line that was cut off, wherever", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      const [path] = files(folder)
      const whole = readFileSync(path!, "utf8")
      const lines = whole.split("\n")
      for (let length = whole.length; length >= 0; length -= 7) {
        writeFileSync(path!, whole.slice(0, length))
        const complete = whole.slice(0, length).split("\n").length - 1
        const [found] = yield* FileUploadJournal.make({ folder }).list
        if (complete === 0) assert.isUndefined(found)
        else assert.strictEqual(found!.parts.length, Math.max(0, complete - 3))
        if (complete > 1) assert.strictEqual(found!.token, "upload-1")
      }
      assert.strictEqual(lines.length, 6)
    })
  )

  it.live(
    "that were written and not yet in place when their writer ended are put there, and what says nothing goes",
    () =>
      Effect.gen(function* () {
        const folder = temporary()
        yield* noted(folder)
        const [file] = files(folder)
        const whole = readFileSync(file!, "utf8")
        // Of a process that is no more: its number is larger than any.
        const ended = file!.replace(/\.free-.*$/, `.${machine}-4194305-1-x`)
        writeFileSync(`${ended}.upload.new`, whole)
        writeFileSync(`${ended}-torn.upload.new`, whole.slice(0, whole.indexOf("\n") + 5))
        rmSync(file!)
        assert.deepInclude(yield* earlierOf(folder), { token: "upload-1", parts: [part(1), part(2)] })
        assert.strictEqual(files(folder).length, 1)
        // Beside notes that are in place it is of no use; a writer that lives is let be.
        const [now] = files(folder)
        writeFileSync(`${now!}.new`, whole)
        const writing = `${ended.replace(/4194305-1-x$/, "")}${process.pid}-0-x.upload.new`
        writeFileSync(writing, whole)
        yield* earlierOf(folder)
        assert.strictEqual(files(folder).length, 2)
        assert.include(files(folder), writing)
      })
  )

  it.live("of a newer version are not read, and not touched", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      const [path] = files(folder)
      const newer = readFileSync(path!, "utf8").replace('"version":1', '"version":2')
      writeFileSync(path!, newer)
      assert.isUndefined(yield* earlierOf(folder))
      assert.strictEqual(readFileSync(path!, "utf8"), newer)
    })
  )

  it.live("forget what was noted of an upload before", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const entry = yield* FileUploadJournal.make({ folder }).open(key, { fresh: false })
          yield* entry.begun({ token: "upload-2", earlier: undefined })
        })
      )
      const [only, ...others] = yield* FileUploadJournal.make({ folder }).list
      assert.deepInclude(only, { token: "upload-2", parts: [], partBytes: undefined })
      assert.deepStrictEqual(others, [])
    })
  )

  it.live("are gone when it is done, and when they are to be forgotten", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* noted(folder)
      yield* noted(folder, { ...key, size: 7 })
      const journal = FileUploadJournal.make({ folder })
      yield* Effect.scoped(Effect.flatMap(journal.open(key, { fresh: false }), (entry) => entry.done))
      const [left] = yield* journal.list
      assert.strictEqual(left!.size, 7)
      yield* left!.forget
      assert.deepStrictEqual(files(folder), [])
    })
  )

  it.live("of which nothing was begun leave no file", () =>
    Effect.gen(function* () {
      const folder = temporary()
      yield* Effect.scoped(FileUploadJournal.make({ folder }).open(key, { fresh: false }))
      assert.deepStrictEqual(files(folder), [])
      assert.deepStrictEqual(yield* FileUploadJournal.make({ folder: join(folder, "none") }).list, [])
    })
  )

  it.live("that cannot be written say where, and why", () =>
    Effect.gen(function* () {
      const folder = temporary()
      writeFileSync(join(folder, "uploads"), "")
      const error = yield* Effect.flip(Effect.scoped(FileUploadJournal.make({ folder }).open(key, { fresh: false })))
      assert.include(error.message, `cannot note an upload in '${join(folder, "uploads")}'`)
    })
  )
})

const resuming = fileURLToPath(new URL("support/resuming.ts", import.meta.url))

/** Runs the upload until so many parts were taken, or to its end. */
const upload = async (file: string, folder: string, state: string, partBytes: number, killAfter: number) => {
  const child = spawn(process.execPath, [resuming, file, folder, state, String(partBytes)], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let out = ""
  let killed = false
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text
    if (!killed && out.split("\n").length > killAfter) {
      killed = true
      child.kill("SIGKILL")
    }
  })
  await once(child, "close")
  const lines = out.split("\n").slice(0, -1)
  const parts = lines.filter((line) => /^\d+ \d+$/.test(line)).map((line) => line.split(" ").map(Number))
  const last = lines.at(-1) ?? ""
  return { parts, receipt: last.startsWith("{") ? (JSON.parse(last) as Receipt) : undefined }
}

describe("an upload whose process is killed (SIGKILL)", () => {
  it("goes on where it was, at any of its moments, and is proven whole", async () => {
    const partBytes = 256 * 1024
    const bytes = randomBytes(40 * partBytes + 12_345)
    const folder = temporary()
    const file = join(folder, "disk.img")
    const store = join(folder, "store")
    writeFileSync(file, bytes)
    let receipt: Receipt | undefined
    let sent = 0
    let runs = 0
    for (; receipt === undefined; runs++) {
      assert.isBelow(runs, 60)
      const killAfter = runs < 8 ? Math.floor(Math.random() * 7) : Infinity
      const run = await upload(file, store, join(folder, "state"), partBytes, killAfter)
      receipt = run.receipt
      sent += run.parts.reduce((sum, [, length]) => sum + length!, 0)
      // One upload, which the notes know of.
      if (receipt === undefined) assert.isAtMost(PartsFolder.unfinished(store).length, 1)
    }
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
    assert.isTrue(readFileSync(PartsFolder.objectPath(store)).equals(bytes))
    assert.strictEqual(receipt.source.digests.sha256, createHash("sha256").update(bytes).digest("hex"))
    assert.deepStrictEqual(PartsFolder.unfinished(store), [])
    assert.deepStrictEqual(files(join(folder, "state")), [])
    const again = sent - bytes.byteLength
    console.log(`killed ${runs - 1} times: ${again} of ${bytes.byteLength} bytes taken more than once`)
    // Six parts are on their way at once.
    assert.isAtMost(again, (runs - 1) * 6 * partBytes)
  }, 120_000)
})
