import { assert, describe, it } from "@effect/vitest"
import * as Source from "@headrace/core/Source"
import * as FileStore from "@headrace/fs/FileStore"
import * as FileSource from "@headrace/node/FileSource"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import {
  appendFileSync,
  chmodSync,
  chownSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync
} from "node:fs"
import { join } from "node:path"
import { inFolder, MiB, names, pattern, session, streaming, upload } from "./support/disk.ts"

const descriptors = () => readdirSync("/proc/self/fd").length

describe("a file as a destination", () => {
  it.live("has the bytes, and what the receipt says; nothing else is left", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        for (const size of [1, MiB, 5 * MiB + 7]) {
          const bytes = pattern(size)
          const path = join(folder, "disk #1?.img")
          const receipt = yield* upload(Source.fromBytes(bytes), path)
          assert.deepStrictEqual(new Uint8Array(readFileSync(path)), bytes)
          const [destination] = receipt.destinations
          assert.strictEqual(destination!.status, "stored")
          assert.strictEqual(destination!.uri, path)
          assert.deepStrictEqual(destination!.object, { id: path, size, digests: {} })
          assert.strictEqual(destination!.bytesSent, size)
          assert.strictEqual(destination!.attempts, 1)
          assert.deepStrictEqual(names(folder), ["disk #1?.img"])
        }
      })
    )
  )

  it.live("is closed, and its folder, whether the upload succeeds or fails", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        yield* upload(Source.fromBytes(pattern(9)), path, { verify: "destination" })
        const before = descriptors()
        for (let n = 0; n < 4; n++) {
          yield* upload(Source.fromBytes(pattern(9)), path, { verify: "destination" })
          yield* Effect.flip(upload(streaming(Stream.succeed(pattern(9)), 10), path))
          yield* Effect.scoped(Effect.flatMap(session(path), ({ begin }) => begin))
        }
        assert.isBelow(descriptors(), before + 4)
      })
    )
  )

  it.live("takes a body of unknown size, and one of no bytes", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        const bytes = pattern(3 * MiB + 1)
        yield* upload(streaming(Stream.succeed(bytes)), path)
        assert.deepStrictEqual(new Uint8Array(readFileSync(path)), bytes)
        yield* upload(Source.fromBytes(new Uint8Array(0)), path, { allowEmpty: true })
        assert.strictEqual(statSync(path).size, 0)
        assert.deepStrictEqual(names(folder), ["f"])
      })
    )
  )

  it.live("is read back for the verdict that asks for it", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        const bytes = pattern(2 * MiB + 3)
        const receipt = yield* upload(Source.fromBytes(bytes), path, { verify: "destination", digest: ["sha256"] })
        const [destination] = receipt.destinations
        assert.strictEqual(destination!.status, "verified")
        assert.deepStrictEqual(destination!.proof?.compared, ["sha256"])
        assert.strictEqual(receipt.source.digests.sha256, createHash("sha256").update(bytes).digest("hex"))
      })
    )
  )

  for (const there of [false, true]) {
    const what = there ? "stays, as what was there before is gone" : "is deleted"
    it.live(`whose bytes are altered before they are read back ${what}`, () =>
      inFolder((folder) =>
        Effect.gen(function* () {
          const path = join(folder, "f")
          if (there) writeFileSync(path, "before")
          const store = FileStore.file(path)
          const error = yield* Effect.flip(
            upload(
              Source.fromBytes(pattern(2 * MiB)),
              {
                ...store,
                open: (content) =>
                  Effect.map(store.open(content), (session) => ({
                    ...session,
                    inspect: Effect.tap(session.inspect, () =>
                      Effect.sync(() => {
                        const fd = openSync(path, "r+")
                        writeSync(fd, "x", MiB)
                        closeSync(fd)
                      })
                    )
                  }))
              },
              { verify: "destination" }
            )
          )
          assert.strictEqual(error.reason._tag, "DigestMismatch")
          assert.strictEqual(error.left, there ? `object ${path}` : "none")
          assert.deepStrictEqual(names(folder), there ? ["f"] : [])
        })
      )
    )
  }

  it.live("may be its own source, and the other names of the old file keep the old content", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        const bytes = pattern(3 * MiB)
        writeFileSync(path, bytes)
        linkSync(path, join(folder, "other"))
        const { ino } = statSync(path)
        yield* upload(FileSource.make(path), path, { verify: "destination" })
        assert.deepStrictEqual(new Uint8Array(readFileSync(path)), bytes)
        assert.notStrictEqual(statSync(path).ino, ino)
        assert.strictEqual(statSync(join(folder, "other")).ino, ino)
        assert.deepStrictEqual(names(folder), ["f", "other"])
      })
    )
  )
})

describe("the name", () => {
  it.live("of a link stays a link: what it leads to is written, also when nothing is there yet", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        mkdirSync(join(folder, "real"))
        writeFileSync(join(folder, "real", "a"), "before")
        symlinkSync("real/a", join(folder, "link"))
        symlinkSync("link", join(folder, "second"))
        symlinkSync("real/new", join(folder, "dangling"))
        yield* upload(Source.fromBytes(pattern(9)), join(folder, "second"))
        assert.strictEqual(readlinkSync(join(folder, "second")), "link")
        assert.strictEqual(readlinkSync(join(folder, "link")), "real/a")
        assert.deepStrictEqual(new Uint8Array(readFileSync(join(folder, "real", "a"))), pattern(9))
        yield* upload(Source.fromBytes(pattern(5)), join(folder, "dangling"))
        assert.isTrue(lstatSync(join(folder, "dangling")).isSymbolicLink())
        assert.deepStrictEqual(new Uint8Array(readFileSync(join(folder, "real", "new"))), pattern(5))
        assert.deepStrictEqual(names(folder), ["dangling", "link", "real", "second"])
        assert.deepStrictEqual(names(join(folder, "real")), ["a", "new"])
      })
    )
  )

  it.live("may be as long as the file system takes, in any letters", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const name = `${"é".repeat(125)}.img`
          const path = join(folder, name)
          const open = yield* session(path)
          yield* open.begin
          const [partial] = names(folder)
          assert.match(partial!, /^\.é{115}\.headrace-[0-9a-f]{8}\.part$/)
          yield* open.write(Stream.succeed(pattern(3)))
          assert.deepStrictEqual(names(folder), [name])
        })
      )
    )
  )

  it.live("is the destination's in receipts, unless another one is given", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const store = FileStore.file(join(folder, "f"), { uri: "file:///f" })
        const receipt = yield* upload(Source.fromBytes(pattern(3)), store)
        assert.strictEqual(receipt.destinations[0]!.uri, "file:///f")
      })
    )
  )
})

describe("permissions", () => {
  it.live("of a new file are as of any new file, of one that is replaced as they were", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const mode = (name: string) => statSync(join(folder, name)).mode & 0o7777
        writeFileSync(join(folder, "any"), "")
        yield* upload(Source.fromBytes(pattern(3)), join(folder, "new"))
        assert.strictEqual(mode("new"), mode("any"))
        for (const bits of [0o640, 0o777, 0o444, 0o600, 0o000]) {
          writeFileSync(join(folder, "old"), "before")
          chmodSync(join(folder, "old"), bits)
          yield* upload(Source.fromBytes(pattern(3)), join(folder, "old"))
          assert.strictEqual(mode("old"), bits)
          assert.strictEqual(statSync(join(folder, "old")).size, 3)
          chmodSync(join(folder, "old"), 0o600)
        }
      })
    )
  )

  it.live("are nobody else's while a file that others may not read is being replaced", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          writeFileSync(path, "secret")
          chmodSync(path, 0o600)
          const open = yield* session(path)
          yield* open.begin
          const partial = names(folder).find((name) => name !== "f")
          assert.strictEqual(statSync(join(folder, partial!)).mode & 0o777, 0o600)
          yield* open.discard
        })
      )
    )
  )

  it.live.skipIf(process.getuid?.() !== 0)("and the owner are kept by root [optional]", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        chownSync(path, 1234, 2345)
        chmodSync(path, 0o640)
        yield* upload(Source.fromBytes(pattern(3)), path)
        const { gid, mode, uid } = statSync(path)
        assert.deepStrictEqual([uid, gid, mode & 0o777], [1234, 2345, 0o640])
      })
    )
  )
})

describe("holes", () => {
  it.live("of a source are holes of the file", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const from = join(folder, "from")
        const fd = openSync(from, "w")
        writeSync(fd, pattern(100_000), 0, 100_000, 0)
        // Not where a block or a page begins.
        writeSync(fd, pattern(300_001), 0, 300_001, 20 * MiB + 5)
        ftruncateSync(fd, 40 * MiB + 1)
        closeSync(fd)
        const to = join(folder, "to")
        // In one go, and in parts.
        for (const store of [FileStore.file(to), FileStore.file(to, { partBytes: 3 * MiB })]) {
          yield* upload(FileSource.make(from), store, { verify: "destination" })
          assert.isTrue(readFileSync(to).equals(readFileSync(from)))
          const used = statSync(to).blocks * 512
          assert.isAtLeast(used, 400_001)
          assert.isAtMost(used, statSync(from).blocks * 512 + 131_072)
        }
      })
    )
  )

  it.live("are not made where the source has none", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const from = join(folder, "from")
        writeFileSync(from, new Uint8Array(4 * MiB))
        const to = join(folder, "to")
        yield* upload(FileSource.make(from), to)
        assert.isTrue(readFileSync(to).equals(readFileSync(from)))
        assert.isAtLeast(statSync(to).blocks * 512, 4 * MiB)
      })
    )
  )

  it.live("do not keep what an earlier attempt has written", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const open = yield* session(path, { size: 2 * MiB, sparse: true })
          yield* open.begin
          yield* Effect.flip(open.write(Stream.succeed(pattern(MiB)), { length: 2 * MiB }))
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Ready" })
          const bytes = new Uint8Array(2 * MiB)
          bytes.set(pattern(10), MiB)
          yield* open.write(Stream.succeed(bytes), { length: 2 * MiB })
          assert.isTrue(readFileSync(path).equals(bytes))
          assert.isAtMost(statSync(path).blocks * 512, MiB + 65_536)
        })
      )
    )
  )
})

describe("a session", () => {
  it.live("makes a partial file, and deletes it and no other", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const open = yield* session(path)
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Absent" })
          assert.isFalse(yield* open.owned)
          assert.strictEqual(yield* open.left, "none")
          yield* open.begin
          yield* open.begin
          const [partial, ...others] = names(folder)
          assert.match(partial!, /^\.f\.headrace-[0-9a-f]{8}\.part$/)
          assert.deepStrictEqual(others, [])
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Ready" })
          assert.isTrue(yield* open.owned)
          assert.strictEqual(yield* open.left, `partial file ${join(folder, partial!)}`)
          yield* open.recreate
          const [second] = names(folder)
          assert.notStrictEqual(second, partial)
          assert.strictEqual(yield* open.discard, "none")
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), [])
        })
      )
    )
  )

  it.live("gives every block back, and tells what was written", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"))
          yield* open.begin
          yield* open.write(Stream.succeed(pattern(40 * MiB)))
          assert.strictEqual(open.sent(), 40 * MiB)
          assert.strictEqual(open.inUse(), 0)
          const bytes = Buffer.concat(yield* Stream.runCollect(open.read))
          assert.isTrue(bytes.equals(pattern(40 * MiB)))
        })
      )
    )
  )

  it.live("takes no body of another length than was announced, and then one that is right", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          writeFileSync(path, "before")
          const open = yield* session(path, { size: 3 * MiB })
          yield* open.begin
          const short = yield* Effect.flip(open.write(Stream.succeed(pattern(2 * MiB)), { length: 3 * MiB }))
          assert.strictEqual(short.reason._tag, "Rejected")
          assert.strictEqual(short.message, `the body ended after ${2 * MiB} of the announced ${3 * MiB} bytes`)
          // The end of one that is too long is not waited for.
          const endless = Stream.concat(Stream.succeed(pattern(3 * MiB + 1)), Stream.never)
          const long = yield* Effect.flip(open.write(endless, { length: 3 * MiB }))
          assert.strictEqual(long.message, `the body has more than the announced ${3 * MiB} bytes`)
          assert.strictEqual(open.inUse(), 0)
          assert.strictEqual(readFileSync(path, "utf8"), "before")
          yield* open.write(Stream.succeed(pattern(3 * MiB)), { length: 3 * MiB })
          assert.isTrue(readFileSync(path).equals(pattern(3 * MiB)))
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )

  it.live("knows its file from another that has taken its place, and leaves that alone", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const open = yield* session(path)
          yield* open.begin
          yield* open.write(Stream.succeed(pattern(9)))
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Stored", object: { id: path, size: 9, digests: {} } })
          assert.strictEqual(yield* open.left, `object ${path}`)
          yield* upload(Source.fromBytes(pattern(5)), path)
          const error = yield* Effect.flip(open.inspect)
          assert.strictEqual(error.reason._tag, "Conflict")
          assert.strictEqual(error.message, "another file has taken its place")
          const unread = yield* Effect.flip(Stream.runDrain(open.read))
          assert.strictEqual(unread.reason._tag, "Conflict")
          assert.strictEqual(yield* open.discard, "none")
          assert.strictEqual(statSync(path).size, 5)
        })
      )
    )
  )

  it.live("knows it also from one that was made when it had been deleted", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const open = yield* session(path)
          yield* open.begin
          yield* open.write(Stream.succeed(pattern(9)))
          rmSync(path)
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Absent" })
          // File systems give the number of a deleted file to the next one, unless somebody has it open still.
          writeFileSync(path, pattern(9))
          assert.strictEqual((yield* Effect.flip(open.inspect)).reason._tag, "Conflict")
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )

  it.live("deletes its file when there was none before", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"))
          yield* open.begin
          yield* open.write(Stream.succeed(pattern(9)))
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), [])
          assert.deepStrictEqual(yield* open.inspect, { _tag: "Absent" })
        })
      )
    )
  )
})

describe("a plan", () => {
  const content = { size: 10, head: new Uint8Array(0) }

  it.live("says what would be done, and does nothing", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const store = FileStore.file(path)
          assert.deepStrictEqual(yield* store.plan(content), { action: "create", why: `a new file in ${folder}` })
          writeFileSync(path, "12345")
          assert.deepStrictEqual(yield* store.plan(content), { action: "use", why: "replaces a file of 5 bytes" })
          assert.deepStrictEqual(names(folder), ["f"])
          const full = yield* Effect.flip(store.plan({ ...content, size: Number.MAX_SAFE_INTEGER }))
          assert.strictEqual(full.reason._tag, "QuotaExceeded")
          assert.match(full.message, /^no room on the file system: needs 8192 TiB, has [\d.]+ [MGT]iB free$/)
          // Of one with holes nobody knows how much it needs.
          yield* store.plan({ ...content, size: Number.MAX_SAFE_INTEGER, sparse: true })
        })
      )
    )
  )

  it.live("goes with what the store can do", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { details, needsSize, reports, shape, sharedMemory } = yield* FileStore.file(join(folder, "f"))
            .capabilities
          assert.deepStrictEqual([shape, sharedMemory, needsSize, reports], ["parts", true, false, []])
          assert.strictEqual(details["folder"], folder)
          assert.match(details["free"]!, /^[\d.]+ [MGT]iB$/)
        })
      )
    )
  )
})

describe("leftovers", () => {
  it.live("are our partial files, and no others", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const ours = ".a.img.headrace-0123abcd.part"
        for (const name of [ours, "a.headrace-0123abcd.part", ".a.headrace-0123.part", ".a.part", "b"]) {
          writeFileSync(join(folder, name), "12345")
        }
        mkdirSync(join(folder, ".b.headrace-0123abcd.part"))
        symlinkSync(ours, join(folder, ".c.headrace-0123abcd.part"))
        truncateSync(join(folder, ours), 4 * MiB)
        appendFileSync(join(folder, ours), "6")
        const found = yield* FileStore.leftovers(folder)
        assert.deepStrictEqual(found, [
          { path: join(folder, ours), bytes: 4 * MiB + 1, mtime: statSync(join(folder, ours), { bigint: true }).mtime }
        ])
        const error = yield* Effect.flip(FileStore.leftovers(join(folder, "none")))
        assert.strictEqual(error.reason._tag, "NotFound")
        assert.strictEqual(error.message, "the folder cannot be read: the folder does not exist")
      })
    )
  )
})
