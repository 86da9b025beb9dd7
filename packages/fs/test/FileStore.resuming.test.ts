/** Uploads to a file that were cut off, and are gone on with in the partial file. */
import { assert, describe, it } from "@effect/vitest"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as Leftovers from "@headrace/core/Leftovers"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import type { Content, PartsSession, Store, StoredPart } from "@headrace/core/Store"
import * as FileStore from "@headrace/fs/FileStore"
import * as FileSource from "@headrace/node/FileSource"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { once } from "node:events"
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { errno } from "../src/internal/fault.ts"
import type * as PartialFile from "../src/internal/partial.ts"
import { secure } from "../src/internal/placing.ts"
import { afterPowerCut, disks, inFolder, MiB, mounts, names, inTmpfs, onDisk, pattern, upload } from "./support/disk.ts"

const program = fileURLToPath(new URL("support/resumable.ts", import.meta.url))

interface Run {
  /** Numbers of the parts that were noted. */
  readonly parts: ReadonlyArray<number>
  readonly begun: boolean
  readonly end: { readonly receipt: Receipt; readonly opened: ReadonlyArray<number> } | undefined
}

/** Runs the program; kills it so many milliseconds after so many of its lines. */
const run = async (
  args: ReadonlyArray<string>,
  kill?: { readonly lines: number; readonly ms: number }
): Promise<Run> => {
  const child = spawn(process.execPath, [program, ...args], { stdio: ["ignore", "pipe", "inherit"] })
  let out = ""
  let killing = false
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text
    if (kill === undefined || killing || out.split("\n").length <= kill.lines) return
    killing = true
    setTimeout(() => child.kill("SIGKILL"), kill.ms)
  })
  await once(child, "close")
  const lines = out.split("\n").slice(0, -1)
  const last = lines.at(-1) ?? ""
  return {
    begun: lines.includes("begun"),
    parts: lines.flatMap((line) => (line.startsWith("part ") ? [Number(line.slice(5))] : [])),
    end: last.startsWith("{") ? (JSON.parse(last) as NonNullable<Run["end"]>) : undefined
  }
}

const notes = (state: string) => (existsSync(join(state, "uploads")) ? readdirSync(join(state, "uploads")) : [])

describe("an upload to a file whose process is killed (SIGKILL)", () => {
  it("goes on where it was, at any of its moments, and is proven whole", { timeout: 300_000 }, async () => {
    const partBytes = 1024 * 1024
    const count = 64
    const kills = 20
    const program = (folder: string) =>
      Effect.promise(async () => {
        const bytes = randomBytes(count * partBytes + 4321)
        const sha256 = createHash("sha256").update(bytes).digest("hex")
        const [source, to, state] = [join(folder, "disk.img"), join(folder, "to", "disk.img"), join(folder, "state")]
        writeFileSync(source, bytes)
        mkdirSync(join(folder, "to"))
        let killed = 0
        let again = 0
        let readTwice = 0
        for (let round = 0; killed < kills; round++) {
          assert.isBelow(round, 2 * kills)
          const args = [source, to, state, String(partBytes)]
          const lines = 1 + Math.floor(Math.random() * count)
          const cut = await run(args, { lines, ms: Math.floor(Math.random() * 6) })
          if (cut.end !== undefined) {
            rmSync(to)
            continue
          }
          killed++
          assert.isFalse(existsSync(to))
          const [partial, ...others] = names(join(folder, "to"))
          assert.deepStrictEqual(others, [])
          const [noted, ...more] = await Effect.runPromise(FileUploadJournal.make({ folder: state }).list)
          assert.deepStrictEqual(more, [])
          assert.isTrue(noted!.token!.startsWith(partial!))
          assert.isFalse(noted!.running)
          const numbers = noted!.parts.map(({ number }) => number)
          assert.includeMembers(numbers, [...cut.parts])
          const there = readFileSync(join(folder, "to", partial!))
          const rangeOf = (number: number) => [(number - 1) * partBytes, number * partBytes] as const
          for (const number of numbers) {
            assert.isTrue(there.subarray(...rangeOf(number)).equals(bytes.subarray(...rangeOf(number))))
          }
          const begun = Array.from({ length: count + 1 }, (_, index) => index + 1).filter(
            (number) => !numbers.includes(number) && there.subarray(...rangeOf(number)).some((byte) => byte !== 0)
          )
          // As many as may be on their way at once.
          assert.isAtMost(begun.length, 2)

          const { end } = await run(args)
          const [destination] = end!.receipt.destinations
          assert.strictEqual(destination!.status, "verified")
          assert.strictEqual(end!.receipt.source.digests.sha256, sha256)
          assert.isTrue(readFileSync(to).equals(bytes))
          assert.match(destination!.notes!.join(), /^goes on with the upload of /)
          // What is not noted is written, and nothing else, but for a last part that no sync has followed.
          const standing = numbers.filter((number) => number <= count)
          assert.strictEqual(destination!.bytesSent, bytes.byteLength - standing.length * partBytes)
          // What is read begins where the hashers stood, besides parts before that which are missing.
          const from = standing.length === 0 ? 0 : (noted!.state?.bytes ?? 0)
          const missing = Array.from({ length: from / partBytes }, (_, index) => index + 1).filter(
            (number) => !standing.includes(number)
          )
          // At the beginning there is a look at the first bytes, before anything is known of a destination.
          const opened = new Set([0, from, ...missing.map((number) => (number - 1) * partBytes)])
          assert.sameMembers([...new Set(end!.opened)], [...opened])
          again += begun.length
          readTwice += standing.length - (from / partBytes - missing.length)
          assert.deepStrictEqual(names(join(folder, "to")), ["disk.img"])
          assert.deepStrictEqual(notes(state), [])
          rmSync(to)
        }
        console.log(`killed ${killed} times: ${again} parts written again, ${readTwice} read again to be hashed`)
      })
    await Effect.runPromise(inFolder(program))
  })
})

const kib = 1024
const partBytes = 64 * kib
const content = (bytes: Uint8Array, more: Partial<Content> = {}): Content => ({
  size: bytes.byteLength,
  head: bytes.slice(0, 64 * kib),
  ...more
})

/** A session of parts, and a way to write one of them. */
const parts = (path: string, bytes: Uint8Array, more: Partial<Content> = {}) =>
  Effect.gen(function* () {
    const open = yield* FileStore.file(path, { partBytes }).open(content(bytes, more))
    if (open.shape !== "parts") return yield* Effect.die(new Error("it is to be written as parts"))
    const session: PartsSession = open
    const pool = BlockPool.makeUnsafe({ bytes: 16 * partBytes, blockBytes: partBytes })
    const share = yield* pool.share(4)
    const write = (number: number, its = bytes.subarray((number - 1) * partBytes, number * partBytes)) =>
      Effect.map(
        session.writePart<never, never>({
          number,
          offset: (number - 1) * partBytes,
          length: its.byteLength,
          digests: {},
          stream: Stream.provideService(Blocks.fromBytes(Stream.succeed(its)), BlockPool.BlockShare, share),
          stallMs: 10_000,
          answerMs: 10_000,
          onSent: () => {}
        }),
        (tag): StoredPart => ({ number, offset: (number - 1) * partBytes, length: its.byteLength, tag, digests: {} })
      )
    const finish = (all: ReadonlyArray<StoredPart>) =>
      session.finish({ parts: all, size: bytes.byteLength, digests: {}, answerMs: 10_000 })
    const resume = (token: string, noted: ReadonlyArray<StoredPart>) =>
      session.resumption!.resume(token, noted, { partBytes, size: bytes.byteLength })
    return { ...session, write, finish, resume, token: session.resumption!.token }
  })

/** An upload whose session ended after some parts. */
const left = (path: string, bytes: Uint8Array, numbers: ReadonlyArray<number>, more: Partial<Content> = {}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const open = yield* parts(path, bytes, more)
      yield* open.begin
      const noted = yield* Effect.forEach(numbers, (number) => open.write(number))
      return { token: yield* open.token, noted }
    })
  )

describe("a partial file", () => {
  it.live("is gone on with; the last part, which no sync has followed, is written again", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const bytes = pattern(3 * partBytes + 5)
          const { noted, token } = yield* left(path, bytes, [1, 2, 4])
          const open = yield* parts(path, bytes)
          const there = yield* open.resume(token, noted)
          assert.deepStrictEqual(
            there!.map(({ number }) => number),
            [1, 2]
          )
          assert.strictEqual(yield* open.left, `partial file ${join(folder, names(folder)[0]!)}`)
          const rest = [yield* open.write(3), yield* open.write(4)]
          yield* open.finish([...there!, ...rest])
          assert.isTrue(readFileSync(path).equals(bytes))
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )

  it.live("is none that is gone, was replaced or has grown, or is another target's; such are left alone", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const bytes = pattern(3 * partBytes)
          const spoil: ReadonlyArray<(partial: string) => void> = [
            (partial) => rmSync(partial),
            (partial) => {
              // Another file by its name, with the same bytes.
              copyFileSync(partial, join(folder, "copy"))
              renameSync(join(folder, "copy"), partial)
            },
            (partial) => appendFileSync(partial, "more"),
            (partial) => {
              renameSync(partial, join(folder, "away"))
              symlinkSync("away", partial)
            },
            (partial) => {
              rmSync(partial)
              mkdirSync(partial)
            }
          ]
          for (const [index, how] of spoil.entries()) {
            const path = join(folder, `f${index}`)
            const { noted, token } = yield* left(path, bytes, [1, 2])
            const partial = join(
              folder,
              names(folder).find((name) => name.startsWith(`.f${index}.`))!
            )
            how(partial)
            const before = names(folder)
            const open = yield* parts(path, bytes)
            assert.isUndefined(yield* open.resume(token, noted))
            assert.deepStrictEqual(names(folder), before)
            assert.isFalse(yield* open.owned)
          }
          const { noted, token } = yield* left(join(folder, "g"), bytes, [1])
          for (const other of [token.replace(".g.", ".h."), `../${token}`, "", "f#1", token.replace(/#.*/, "")]) {
            assert.isUndefined(yield* (yield* parts(join(folder, "g"), bytes)).resume(other, noted))
          }
          assert.isUndefined(yield* (yield* parts(join(folder, "h"), bytes)).resume(token, noted))
        })
      )
    )
  )

  it.live("that is shorter than what was noted of it has only the parts that are in it", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const bytes = pattern(3 * partBytes)
          const { noted, token } = yield* left(path, bytes, [1, 2])
          const fd = openSync(join(folder, names(folder)[0]!), "r+")
          ftruncateSync(fd, 2 * partBytes - 1)
          closeSync(fd)
          const there = yield* (yield* parts(path, bytes)).resume(token, noted)
          assert.deepStrictEqual(
            there!.map(({ number }) => number),
            [1]
          )
        })
      )
    )
  )

  it.live("keeps its holes, and what was written of a part that is written again does not show", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          // A hole from the first part to the end, but for some bytes in the sixth.
          const bytes = new Uint8Array(12 * partBytes)
          bytes.set(pattern(1000), 10)
          bytes.set(pattern(1000), 5 * partBytes + 100)
          const { noted, token } = yield* left(path, bytes, [1, 2], { sparse: true })
          const partial = join(folder, names(folder)[0]!)
          assert.strictEqual(statSync(partial).size, bytes.byteLength)
          const fd = openSync(partial, "r+")
          writeSync(fd, pattern(5000), 0, 5000, 3 * partBytes + 8192)
          closeSync(fd)
          const open = yield* parts(path, bytes, { sparse: true })
          const there = yield* open.resume(token, noted)
          assert.lengthOf(there!, 2)
          const rest = yield* Effect.forEach([3, 4, 5, 6, 7, 8, 9, 10, 11, 12], (number) => open.write(number))
          yield* open.finish([...there!, ...rest])
          assert.isTrue(readFileSync(path).equals(bytes))
          // Two pieces of the source, and what had been written; not the eight parts of zeros.
          assert.isAtMost(statSync(path).blocks * 512, 4 * partBytes)
        })
      )
    )
  )

  it.live("of one session keeps nothing of a part that is sent again with other bytes", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const bytes = new Uint8Array(2 * partBytes)
          const open = yield* parts(path, bytes, { sparse: true })
          yield* open.begin
          yield* open.write(1, pattern(partBytes))
          yield* open.finish([yield* open.write(1), yield* open.write(2)])
          assert.isTrue(readFileSync(path).equals(bytes))
        })
      )
    )
  )

  it.live("is not put in place without a part, or with one that was not taken as it is named", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const bytes = pattern(2 * partBytes + 1)
          const open = yield* parts(path, bytes)
          yield* open.begin
          const [first, second, third] = yield* Effect.forEach([1, 2, 3], (number) => open.write(number))
          for (const wrong of [
            [first!, third!],
            [first!, { ...second!, tag: "another" }, third!],
            [first!, { ...second!, length: 1 }, third!],
            [second!, first!, third!]
          ]) {
            const error = yield* Effect.flip(open.finish(wrong))
            assert.strictEqual(error.reason._tag, "Rejected")
          }
          const short = yield* Effect.flip(open.finish([first!, second!]))
          assert.strictEqual(short.reason._tag, "SizeMismatch")
          assert.isFalse(existsSync(path))
          yield* open.finish([first!, second!, third!])
          assert.isTrue(readFileSync(path).equals(bytes))
        })
      )
    )
  )
})

describe("two uploads to one file at the same time", () => {
  it.live("have partial files of their own; the later rename wins, and each file is whole", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        const bodies = [1, 2, 3].map((n) => new Uint8Array(20 * partBytes + n).fill(n))
        yield* Effect.forEach(
          bodies,
          (body) => Effect.exit(upload(Source.fromBytes(body), FileStore.file(path, { partBytes }))),
          { concurrency: 3 }
        )
        const found = readFileSync(path)
        assert.isTrue(bodies.some((body) => found.equals(body)))
        assert.deepStrictEqual(names(folder), ["f"])
      })
    )
  )
})

describe("what is left behind", () => {
  const keep = (source: Source.Source, to: Store, state: string) =>
    upload(source, to, { keepFailed: true, retries: 0 }).pipe(
      Effect.provide(FileUploadJournal.layer({ folder: state }))
    )

  /** Breaks when something of it has been noted. */
  const breaking = (from: string, state: string): Source.Source => {
    const file = FileSource.make(from)
    const noted = FileUploadJournal.make({ folder: state }).list.pipe(
      Effect.andThen((all) => (all.some(({ parts }) => parts.length > 0) ? Effect.void : Effect.fail("not yet"))),
      Effect.retry({ schedule: Schedule.spaced(2) }),
      Effect.orDie
    )
    const broken = Effect.andThen(
      noted,
      SourceError.make("SourceUnreadable", { uri: from, message: "the source broke", retryable: false })
    )
    return {
      ...file,
      open: (offset) => Stream.concat(Stream.take(file.open(offset), 4), Stream.fromEffect(broken))
    }
  }

  it.live("is kept where it is asked for, known by journal and by name, and gone on with", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const [from, to, state] = [join(folder, "from"), join(folder, "to"), join(folder, "state")]
        mkdirSync(to)
        const bytes = pattern(5 * MiB)
        writeFileSync(from, bytes)
        const path = join(to, "a b.img")
        const store = FileStore.file(path, { partBytes: 512 * kib })
        const exit = yield* Effect.exit(keep(breaking(from, state), store, state))
        assert.strictEqual(exit._tag, "Failure")
        const [partial] = names(to)
        const find = (path: string, options?: FileStore.FileOptions) =>
          Leftovers.find(FileStore.file(path, options)).pipe(Effect.provide(FileUploadJournal.layer({ folder: state })))
        // Of the file, of the folder by either of its names, and of the folder as a URI.
        for (const [where, uri, called] of [
          [path, undefined, path],
          [`${to}/`, undefined, path],
          [to, undefined, path],
          [to, "file:///to", "file:///to/a%20b.img"]
        ] as const) {
          const [found, ...others] = yield* find(where, uri === undefined ? {} : { uri })
          assert.deepStrictEqual(others, [])
          assert.deepInclude(found, { uri: called, known: "both", running: false })
          assert.isAbove(found!.bytes!, 0)
          assert.isAtMost(Math.abs(Date.now() - found!.startedAt!), 600_000)
          assert.isTrue(found!.token.startsWith(partial!))
        }
        assert.deepStrictEqual(yield* find(join(to, "b.img")), [])
        const opened: Array<number> = []
        const file = FileSource.make(from)
        const watched: Source.Source = {
          ...file,
          open: (offset) => {
            opened.push(offset)
            return file.open(offset)
          }
        }
        const receipt = yield* keep(watched, store, state)
        // For its first bytes, and for what is missing, which may lie before what is there: no digest needs more.
        assert.strictEqual(opened[0], 0)
        assert.isAbove(opened.length, 1)
        for (const offset of opened.slice(1)) assert.isAbove(offset, 0)
        assert.match(receipt.destinations[0]!.notes!.join(), /^goes on with the upload of /)
        assert.isBelow(receipt.destinations[0]!.bytesSent, bytes.byteLength)
        assert.isTrue(readFileSync(path).equals(bytes))
        assert.deepStrictEqual(names(to), ["a b.img"])
        assert.deepStrictEqual(notes(state), [])
      })
    )
  )

  it.live("is given up by its token, with the notes of it; nothing else is", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const bytes = pattern(2 * partBytes)
          yield* left(join(folder, "a"), bytes, [1])
          yield* left(join(folder, "b"), bytes, [1])
          writeFileSync(join(folder, "a"), "before")
          const found = yield* Leftovers.find(FileStore.file(join(folder, "a")))
          assert.strictEqual(found.length, 1)
          assert.deepInclude(found[0], { known: "listed", uri: join(folder, "a") })
          const { abort } = FileStore.file(join(folder, "a"))
          const [b] = yield* Leftovers.find(FileStore.file(join(folder, "b")))
          // Another file's, a file that is none of ours, and one that has got the name of one.
          for (const token of [b!.token, "a#1", `${found[0]!.token}1`, "../a"]) yield* abort!(token)
          assert.lengthOf(names(folder), 3)
          yield* found[0]!.discard
          yield* found[0]!.discard
          assert.deepStrictEqual(
            names(folder).filter((name) => name !== "a"),
            [b!.token.split("#")[0]]
          )
          yield* FileStore.file(`${folder}/`).abort!(b!.token)
          assert.deepStrictEqual(names(folder), ["a"])
        })
      )
    )
  )

  it.live("of a name that is too long is told by its own path", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const name = `${"é".repeat(125)}.img`
        yield* left(join(folder, name), pattern(2 * partBytes), [1])
        const [partial] = names(folder)
        const ofFile = yield* Leftovers.find(FileStore.file(join(folder, name)))
        const ofFolder = yield* Leftovers.find(FileStore.file(folder))
        for (const found of [ofFile, ofFolder]) {
          assert.deepStrictEqual(
            found.map(({ uri }) => uri),
            [join(folder, partial!)]
          )
        }
      })
    )
  )

  it.live("cannot be listed where there is no folder", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        for (const path of [join(folder, "none", "f"), join(folder, "none/")]) {
          const error = yield* Effect.flip(Leftovers.find(FileStore.file(path)))
          assert.strictEqual(error._tag === "StoreError" && error.reason._tag, "NotFound")
        }
      })
    )
  )
})

describe("parts of no bytes", () => {
  it.live("are refused, whatever is asked", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          for (const partBytes of [0, -1, 1.5, Number.NaN]) {
            const store = FileStore.file(join(folder, "f"), { partBytes })
            for (const asked of [
              store.capabilities,
              store.plan(content(pattern(9))),
              store.open(content(pattern(9)))
            ]) {
              const error = yield* Effect.flip<unknown, { readonly reason: { readonly _tag: string } }, never>(
                asked as never
              )
              assert.strictEqual(error.reason._tag, "InvalidConfig")
            }
          }
        })
      )
    )
  )
})

describe.skipIf(!mounts)("a part without room [optional]", () => {
  it.live("has it in the partial file that is gone on with, also where there is none for another", () =>
    inTmpfs(8 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const bytes = pattern(96 * partBytes)
          const store = FileStore.file(path, { partBytes })
          const { noted, token } = yield* left(path, bytes, [1])
          assert.strictEqual((yield* store.plan(content(bytes))).action, "create")
          const another = yield* Effect.flip(FileStore.file(join(folder, "g")).plan(content(bytes)))
          assert.strictEqual(another.reason._tag, "QuotaExceeded")
          const open = yield* parts(path, bytes)
          const there = yield* open.resume(token, noted)
          const rest = yield* Effect.forEach(
            Array.from({ length: 95 }, (_, index) => index + 2),
            (number) => open.write(number)
          )
          yield* open.finish([...there!, ...rest])
          assert.isTrue(readFileSync(path).equals(bytes))
        })
      )
    )
  )

  it.live("fails the upload, and nothing is left", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        // Of one with holes nothing is set aside.
        const from = Source.fromBytes(pattern(9 * MiB))
        const source: Source.Source = { ...from, hints: Effect.succeed({ sparse: true }) }
        const error = yield* Effect.flip(upload(source, FileStore.file(join(folder, "f"), { partBytes: 512 * kib })))
        assert.deepInclude(
          { reason: error.reason._tag, message: error.message, left: error.left },
          { reason: "QuotaExceeded", message: "the file cannot be written: the file system is full", left: "none" }
        )
        assert.deepStrictEqual(names(folder), [])
      })
    )
  )
})

describe.skipIf(!disks)("a part that does not reach the disk [optional]", () => {
  it.live("is not taken, and the file is never put in place", () =>
    onDisk(8 * MiB, (folder) =>
      Effect.gen(function* () {
        const source: Source.Source = {
          ...Source.fromBytes(pattern(24 * MiB)),
          hints: Effect.succeed({ sparse: true })
        }
        const error = yield* Effect.flip(upload(source, FileStore.file(join(folder, "f"), { partBytes: 4 * MiB })))
        assert.strictEqual(error.reason._tag, "Unavailable")
        assert.match(error.message, /^the bytes did not reach the disk \(fdatasync\): the (file system|device) [^\n]+$/)
        assert.isFalse(error.retryable)
        assert.deepStrictEqual(names(folder), [])
      })
    )
  )
})

describe.skipIf(!disks)("a power cut [optional]", () => {
  for (const sparse of [false, true]) {
    it.live(`leaves each part that was taken${sparse ? ", with its holes" : ""}, in the file that is named`, () =>
      onDisk(64 * MiB, (folder, image) =>
        Effect.scoped(
          Effect.gen(function* () {
            const bytes = pattern(100 * partBytes)
            if (sparse) bytes.fill(0, partBytes, 2 * partBytes + 5000)
            const open = yield* parts(join(folder, "f"), bytes, { sparse })
            yield* open.begin
            const numbers = [1, 2, 3, 7, 90]
            const noted = yield* Effect.forEach(numbers, (number) => open.write(number))
            const token = yield* open.token
            yield* afterPowerCut(image, (cut) =>
              Effect.sync(() => {
                const [partial, ...others] = names(cut)
                assert.deepStrictEqual(others, [])
                const path = join(cut, partial!)
                assert.strictEqual(`${partial}#${statSync(path).ino}`, token)
                const there = readFileSync(path)
                for (const { length, offset } of noted) {
                  const range = [offset, offset + length] as const
                  assert.isTrue(there.subarray(...range).equals(bytes.subarray(...range)))
                }
              })
            )
          })
        )
      )
    )
  }
})

describe("a sync of a part", () => {
  /** What `secure` asks of a file, of disks that cannot be had here. */
  const handleThat = (datasync: () => Promise<void>) => ({ handle: { datasync } }) as unknown as PartialFile.Partial
  const failing = (datasync: () => Promise<void>) =>
    Effect.map(Effect.flip(secure("/f", handleThat(datasync), 20)), ({ message, reason, retryable }) => ({
      reason: reason._tag,
      message,
      retryable
    }))

  it.live("that does not end is final, and so is one that fails with what could be tried again", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* failing(() => new Promise(() => {})), {
        reason: "Stalled",
        message: "a part of the file was not on the disk within 0.02 s",
        retryable: false
      })
      assert.deepStrictEqual(yield* failing(() => Promise.reject(errno("EIO"))), {
        reason: "Unavailable",
        message: "the bytes did not reach the disk (fdatasync): the device reports an I/O error",
        retryable: false
      })
    })
  )
})
