import { assert, describe, it } from "@effect/vitest"
import * as Source from "@headrace/core/Source"
import type { TransferError } from "@headrace/core/Transfer"
import * as FileStore from "@headrace/fs/FileStore"
import * as FileSource from "@headrace/node/FileSource"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { once } from "node:events"
import { createServer } from "node:net"
import { join } from "node:path"
import { codeOf, toStoreError } from "../src/internal/fault.ts"
import {
  asNobody,
  bind,
  disks,
  freeze,
  inFolder,
  inRamfs,
  inTmpfs,
  MiB,
  mounts,
  names,
  onDisk,
  others,
  pattern,
  remount,
  session,
  streaming,
  thaw,
  thawAtEnd,
  upload,
  withPrograms
} from "./support/disk.ts"

const bytes = (size: number) => Source.fromBytes(pattern(size))

const failing = <A, R>(effect: Effect.Effect<A, TransferError, R>) =>
  Effect.map(Effect.flip(effect), ({ left, message, reason, retryable }) => ({
    reason: reason._tag,
    message,
    left,
    retryable
  }))

describe.skipIf(!mounts)("a file system without room [optional]", () => {
  it.live("is found before a byte, where the size is known", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        const error = yield* failing(upload(bytes(5 * MiB), path))
        assert.deepStrictEqual(error, {
          reason: "QuotaExceeded",
          message: "no room on the file system: needs 5.00 MiB, has 4.00 MiB free",
          left: "none",
          retryable: false
        })
        assert.deepStrictEqual(names(folder), ["f"])
        assert.strictEqual(readFileSync(path, "utf8"), "before")
      })
    )
  )

  it.live("is found where one byte is missing", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        const { message } = yield* failing(upload(bytes(4 * MiB + 1), join(folder, "f")))
        assert.strictEqual(message, "no room on the file system: needs 4194305 bytes, has 4194304 free")
        yield* upload(bytes(4 * MiB), join(folder, "f"))
      })
    )
  )

  it.live.skipIf(!disks)("is found by setting it aside, where the file system needs some for itself [optional]", () =>
    onDisk(48 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const { bfree, bsize } = statfsSync(folder)
          const size = bfree * bsize
          const open = yield* session(join(folder, "f"), { size })
          const error = yield* Effect.flip(open.begin)
          assert.strictEqual(error.reason._tag, "QuotaExceeded")
          assert.match(error.message, /^no room on the file system: needs [\d.]+ MiB, (and has less|has .* free)$/)
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), [])
        })
      )
    )
  )

  it.live("is found before a byte, and a file is written, also without the program that sets it aside", () =>
    inTmpfs(4 * MiB, (folder) =>
      withPrograms(
        "/nonexistent",
        Effect.gen(function* () {
          const path = join(folder, "f")
          const error = yield* Effect.flip(upload(bytes(5 * MiB), path))
          assert.strictEqual(error.message, "no room on the file system: needs 5.00 MiB, has 4.00 MiB free")
          assert.strictEqual(error.receipt.destinations[0]!.bytesSent, 0)
          yield* upload(bytes(3 * MiB), path)
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )

  it.live("is found in the middle, where it is not, and nothing is left", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        const error = yield* failing(upload(streaming(Stream.succeed(pattern(9 * MiB))), path))
        assert.deepStrictEqual(error, {
          reason: "QuotaExceeded",
          message: "the file cannot be written: the file system is full",
          left: "none",
          retryable: false
        })
        assert.deepStrictEqual(names(folder), ["f"])
        assert.strictEqual(readFileSync(path, "utf8"), "before")
      })
    )
  )

  it.live("is told as soon as a write fails, not with the next block", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        const silent = Stream.concat(Stream.succeed(pattern(7 * MiB)), Stream.never)
        const error = yield* failing(upload(streaming(silent), join(folder, "f")))
        assert.strictEqual(error.reason, "QuotaExceeded")
        assert.deepStrictEqual(names(folder), [])
      })
    )
  )

  it.live("has it set aside: whoever writes meanwhile cannot take it", () =>
    inTmpfs(8 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"), { size: 6 * MiB })
          yield* open.begin
          assert.throws(() => writeFileSync(join(folder, "other"), pattern(4 * MiB)), /ENOSPC/)
          yield* open.write(Stream.succeed(pattern(6 * MiB)), { length: 6 * MiB })
          assert.isTrue(readFileSync(join(folder, "f")).equals(pattern(6 * MiB)))
        })
      )
    )
  )

  it.live("has it set aside anew for another attempt", () =>
    inTmpfs(8 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"), { size: 6 * MiB })
          yield* open.begin
          yield* Effect.flip(open.write(Stream.succeed(pattern(MiB)), { length: 6 * MiB }))
          const more = Stream.concat(
            Stream.succeed(pattern(MiB)),
            Stream.fromEffect(
              Effect.sync(() => {
                assert.throws(() => writeFileSync(join(folder, "other"), pattern(4 * MiB)), /ENOSPC/)
                return pattern(5 * MiB)
              })
            )
          )
          yield* open.write(more, { length: 6 * MiB })
          assert.strictEqual(statSync(join(folder, "f")).size, 6 * MiB)
        })
      )
    )
  )

  it.live("may not be known of, and nothing be set aside: then it is written all the same", () =>
    inRamfs((folder) =>
      Effect.gen(function* () {
        const store = FileStore.file(join(folder, "f"))
        assert.strictEqual((yield* Effect.scoped(store.capabilities)).details["free"], "not told")
        yield* upload(bytes(3 * MiB), store, { verify: "destination" })
        assert.deepStrictEqual(names(folder), ["f"])
      })
    )
  )

  it.live("may have enough for a source with holes that is larger than it", () =>
    inFolder((from) =>
      inTmpfs(4 * MiB, (folder) =>
        Effect.gen(function* () {
          const path = join(from, "sparse")
          writeFileSync(path, pattern(MiB))
          truncateSync(path, 100 * MiB)
          yield* upload(FileSource.make(path), join(folder, "f"), { verify: "destination" })
          assert.strictEqual(statSync(join(folder, "f")).size, 100 * MiB)
        })
      )
    )
  )
})

describe("room that is being set aside", () => {
  it.live("is given up at once when the upload is", () =>
    inFolder((folder) =>
      inFolder((programs) =>
        Effect.scoped(
          Effect.gen(function* () {
            // A file system that takes its time, as some servers do: the program's number is left in a file.
            const pid = join(programs, "pid")
            writeFileSync(join(programs, "fallocate"), `#!/bin/sh\necho $$ > ${pid}\nexec /bin/sleep 600\n`, {
              mode: 0o755
            })
            const open = yield* session(join(folder, "f"), { size: 9 })
            yield* withPrograms(
              programs,
              Effect.gen(function* () {
                const beginning = yield* Effect.forkChild(open.begin)
                while (!existsSync(pid) || readFileSync(pid, "utf8") === "") yield* Effect.sleep(5)
                yield* Fiber.interrupt(beginning)
              })
            )
            assert.isFalse(existsSync(`/proc/${readFileSync(pid, "utf8").trim()}`))
            assert.strictEqual(yield* open.discard, "none")
            assert.deepStrictEqual(names(folder), [])
          })
        )
      )
    )
  )
})

describe("what may not be written", () => {
  it.live.skipIf(!mounts)("is on a read-only file system [optional]", () =>
    inTmpfs(4 * MiB, (folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        remount(folder, "ro")
        const expected = {
          reason: "Forbidden",
          message: "the file cannot be written: the file system is read-only"
        } as const
        assert.deepInclude(yield* failing(upload(bytes(9), path)), { ...expected, left: "none" })
        const planned = yield* Effect.flip(
          Effect.scoped(FileStore.file(path).plan({ size: 9, head: new Uint8Array(0) }))
        )
        assert.strictEqual(planned.message, expected.message)
        remount(folder, "rw")
        assert.deepStrictEqual(names(folder), ["f"])
      })
    )
  )

  describe.skipIf(!others)("by others than root [optional]", () => {
    /** An upload of three bytes by a process of its own, as nobody: what it comes to. */
    const uploadAsNobody = (path: string): { readonly [name: string]: unknown } =>
      JSON.parse(asNobody("small.ts", path))

    it.live("is in a folder of somebody else's", () =>
      inFolder((folder) =>
        Effect.sync(() => {
          const path = join(folder, "f")
          chmodSync(folder, 0o755)
          const what = "the file cannot be written"
          const denied = { reason: "Forbidden", message: `${what}: permission denied`, left: "none", bytesSent: 0 }
          assert.deepStrictEqual(uploadAsNobody(path), denied)
          // A folder for everybody, where nobody replaces another's file.
          chmodSync(folder, 0o1777)
          writeFileSync(path, "before")
          const kept = { ...denied, message: `${what}: the operation is not permitted` }
          assert.deepStrictEqual(uploadAsNobody(path), kept)
          assert.strictEqual(readFileSync(path, "utf8"), "before")
          chownSync(path, 65534, 65534)
          assert.deepStrictEqual(uploadAsNobody(path), { status: "stored", notes: [] })
          assert.strictEqual(statSync(path).size, 3)
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )

    it.live("is a folder's entry, to the disk, where the folder may not be read: that is said", () =>
      inFolder((folder) =>
        Effect.sync(() => {
          chmodSync(folder, 0o333)
          const { notes, status } = uploadAsNobody(join(folder, "f"))
          assert.strictEqual(status, "stored")
          assert.match(String(notes), /^the folder may not be read, so its entry for the file cannot be synced/)
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )

    it.live("is another's group, so what the group might do is no more than what all might", () =>
      inFolder((folder) =>
        Effect.sync(() => {
          chmodSync(folder, 0o777)
          const path = join(folder, "f")
          for (const [before, after] of [
            [0o660, 0o600],
            [0o664, 0o644],
            [0o606, 0o666]
          ] as const) {
            writeFileSync(path, "before")
            chownSync(path, 1234, 2345)
            chmodSync(path, before)
            assert.deepStrictEqual(uploadAsNobody(path), { status: "stored", notes: [] })
            const { gid, mode, uid } = statSync(path)
            assert.deepStrictEqual([uid, gid, mode & 0o777], [65534, 65534, after])
          }
        })
      )
    )
  })

  it.live.skipIf(!disks)("is a file that nobody may change [optional]", () =>
    onDisk(32 * MiB, (folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        execFileSync("chattr", ["+i", path])
        const error = yield* failing(upload(bytes(9), path))
        execFileSync("chattr", ["-i", path])
        assert.deepInclude(error, {
          reason: "Forbidden",
          message: "the file cannot be written: the operation is not permitted",
          left: "none"
        })
        assert.strictEqual(readFileSync(path, "utf8"), "before")
      })
    )
  )
})

describe("a path that no file can have", () => {
  const refused = (path: string) => failing(upload(bytes(9), path))

  it.live("is in no folder, or is one", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        writeFileSync(join(folder, "f"), "before")
        mkdirSync(join(folder, "d"))
        symlinkSync("d", join(folder, "to-d"))
        symlinkSync("none/f", join(folder, "to-none"))
        symlinkSync("loop", join(folder, "loop"))
        const what = "the file cannot be written"
        for (const [name, reason, message] of [
          ["none/f", "NotFound", `${what}: the folder does not exist`],
          ["to-none", "NotFound", `${what}: the folder does not exist`],
          ["f/g", "NotFound", `${what}: what should be its folder is none`],
          ["d", "Conflict", `${what}: a folder is there`],
          ["to-d", "Conflict", `${what}: a folder is there`],
          ["d/", "InvalidUri", "the path is not a file's: it names a folder"],
          ["new/", "InvalidUri", "the path is not a file's: it names a folder"],
          ["a\0b", "InvalidUri", "the path is not a file's: it has a NUL in it"],
          ["loop", "InvalidUri", `${what}: too many levels of links`],
          ["x".repeat(256), "InvalidUri", `${what}: the name is too long`]
        ] as const) {
          assert.deepInclude(yield* refused(join(folder, name)), { reason, message, left: "none" }, name)
        }
        assert.deepInclude(yield* refused(""), { message: "the path is not a file's: it is empty" })
        assert.deepInclude(yield* refused("/"), { reason: "InvalidUri" })
        assert.deepStrictEqual(names(folder), ["d", "f", "loop", "to-d", "to-none"])
        assert.deepStrictEqual(names(join(folder, "d")), [])
        assert.strictEqual(readFileSync(join(folder, "f"), "utf8"), "before")
      })
    )
  )

  it.live("is a device's, a pipe's or a socket's, which stay", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        execFileSync("mkfifo", [join(folder, "pipe")])
        symlinkSync("/dev/null", join(folder, "null"))
        const server = createServer().listen(join(folder, "socket"))
        yield* Effect.addFinalizer(() => Effect.promise(async () => server[Symbol.asyncDispose]()))
        yield* Effect.promise(() => once(server, "listening"))
        for (const [name, what] of [
          ["pipe", "a pipe"],
          ["socket", "a socket"],
          ["null", "a device"]
        ] as const) {
          assert.deepInclude(yield* refused(join(folder, name)), {
            reason: "Unsupported",
            message: `the path is ${what}, only files can be written`,
            left: "none"
          })
        }
        assert.isTrue(statSync(join(folder, "pipe")).isFIFO())
        assert.isTrue(statSync("/dev/null").isCharacterDevice())
      }).pipe(Effect.scoped)
    )
  )

  it.live("becomes a pipe's or a folder's on the way", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          const open = yield* session(path)
          yield* open.begin
          mkdirSync(path)
          const error = yield* Effect.flip(open.write(Stream.succeed(pattern(9))))
          assert.strictEqual(error.reason._tag, "Conflict")
          assert.strictEqual(error.message, `the file cannot be put in place as ${path}: a folder is there`)
          rmSync(path, { recursive: true })
          execFileSync("mkfifo", [path])
          assert.strictEqual((yield* Effect.flip(open.write(Stream.succeed(pattern(9))))).reason._tag, "Unsupported")
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), ["f"])
          assert.isTrue(statSync(path).isFIFO())
        })
      )
    )
  )

  it.live.skipIf(!mounts)("is one that something is mounted on [optional]", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          writeFileSync(path, "before")
          writeFileSync(join(folder, "other"), "other")
          yield* bind(join(folder, "other"), path)
          assert.deepInclude(yield* refused(path), {
            reason: "Conflict",
            message: `the file cannot be put in place as ${path}: it is in use by the system: something may be mounted on it`,
            left: "none"
          })
          assert.deepStrictEqual(names(folder), ["f", "other"])
          assert.strictEqual(readFileSync(path, "utf8"), "other")
        })
      )
    )
  )
})

describe("the partial file", () => {
  it.live("may be deleted by somebody: then it is made anew, and sent again", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        let removed = 0
        const source = streaming(
          Stream.concat(
            Stream.succeed(pattern(3 * MiB)),
            Stream.fromEffect(
              Effect.sync(() => {
                for (const name of names(folder)) if (removed === 0) rmSync(join(folder, name))
                removed++
                return pattern(9)
              })
            )
          )
        )
        const receipt = yield* upload(source, path)
        assert.strictEqual(receipt.destinations[0]!.attempts, 2)
        assert.deepStrictEqual(names(folder), ["f"])
        assert.strictEqual(statSync(path).size, 3 * MiB + 9)
      })
    )
  )

  it.live("is looked for in the folder where it was made; without it there is nothing to go on with", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        mkdirSync(join(folder, "d"))
        const source = streaming(
          Stream.concat(
            Stream.succeed(pattern(3 * MiB)),
            Stream.fromEffect(
              Effect.sync(() => {
                renameSync(join(folder, "d"), join(folder, "e"))
                return pattern(9)
              })
            )
          )
        )
        const error = yield* failing(upload(source, join(folder, "d", "f")))
        assert.deepInclude(error, {
          reason: "NotFound",
          message: "the file cannot be written: the folder does not exist",
          left: "none"
        })
        // Nobody can say where it has gone; it is not under the final name.
        assert.notInclude(names(join(folder, "e")), "f")
      })
    )
  )

  it.live("is left with another file that has its name by now", () =>
    inFolder((folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"))
          yield* open.begin
          const [partial] = names(folder)
          rmSync(join(folder, partial!))
          writeFileSync(join(folder, partial!), "another's")
          const error = yield* Effect.flip(open.write(Stream.succeed(pattern(9))))
          assert.strictEqual(error.reason._tag, "Gone")
          assert.isTrue(error.retryable)
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), [partial])
        })
      )
    )
  )
})

describe.skipIf(!disks)("a disk that takes no more [optional]", () => {
  it.live("fails the fsync, and nothing is put in place, also not later", () =>
    onDisk(8 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const path = join(folder, "f")
          writeFileSync(path, "before")
          const open = yield* session(path)
          yield* open.begin
          const error = yield* Effect.flip(open.write(Stream.succeed(pattern(24 * MiB))))
          assert.strictEqual(error.reason._tag, "Unavailable")
          // The words are the kernel's: what the disk of the disk has answered, or EIO.
          assert.match(error.message, /^the bytes did not reach the disk \(fsync\): the (file system|device) [^\n]+$/)
          assert.isFalse(error.retryable)
          assert.strictEqual(open.inUse(), 0)
          // A second fsync of the same file would find nothing wrong.
          const again = yield* Effect.flip(open.write(Stream.succeed(pattern(9))))
          assert.strictEqual(again, error)
          assert.strictEqual(readFileSync(path, "utf8"), "before")
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )

  it.live("fails an upload once", () =>
    onDisk(8 * MiB, (folder) =>
      Effect.gen(function* () {
        const error = yield* failing(upload(streaming(Stream.succeed(pattern(24 * MiB))), join(folder, "f")))
        assert.deepInclude(error, { reason: "Unavailable", left: "none", retryable: false })
        assert.deepStrictEqual(names(folder), [])
      })
    )
  )
})

describe.skipIf(!disks)("a disk that hangs [optional]", () => {
  it.live("has a write called off only when it has ended, and nothing is left", () =>
    onDisk(48 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"))
          yield* open.begin
          yield* thawAtEnd(folder)
          yield* freeze(folder)
          const writing = yield* Effect.forkChild(open.write(Stream.succeed(pattern(8 * MiB))))
          yield* Effect.sleep(200)
          // Two are under way; the others wait for them.
          assert.strictEqual(open.sent(), 0)
          assert.isAtLeast(open.inUse(), 2)
          const stopping = yield* Effect.forkChild(Fiber.interrupt(writing))
          yield* Effect.sleep(200)
          assert.isUndefined(stopping.pollUnsafe())
          assert.isAtLeast(open.inUse(), 2)
          yield* thaw(folder)
          yield* Fiber.join(stopping)
          assert.strictEqual(open.inUse(), 0)
          assert.strictEqual(yield* open.discard, "none")
          assert.deepStrictEqual(names(folder), [])
        })
      )
    )
  )

  it.live("is a stall, of a write and of the end", () =>
    onDisk(48 * MiB, (folder) =>
      Effect.scoped(
        Effect.gen(function* () {
          const open = yield* session(join(folder, "f"))
          yield* open.begin
          yield* thawAtEnd(folder)
          yield* freeze(folder)
          yield* Effect.forkChild(Effect.andThen(Effect.sleep(1000), thaw(folder)))
          const stalled = yield* Effect.flip(open.write(Stream.succeed(pattern(4 * MiB)), { stallMs: 200 }))
          assert.deepInclude(stalled, { message: "no byte was written for 0.2 s", retryable: true })
          assert.strictEqual(stalled.reason._tag, "Stalled")
          yield* open.write(Stream.succeed(pattern(4 * MiB)))
          assert.strictEqual(statSync(join(folder, "f")).size, 4 * MiB)

          const second = yield* session(join(folder, "g"))
          yield* second.begin
          yield* thawAtEnd(folder)
          const frozen = Stream.concat(
            Stream.succeed(pattern(2 * MiB)),
            Stream.unwrap(Effect.as(Effect.andThen(Effect.sleep(300), freeze(folder)), Stream.empty))
          )
          const late = yield* Effect.flip(second.write(frozen, { answerMs: 300 }))
          yield* thaw(folder)
          assert.strictEqual(late.reason._tag, "Stalled")
          assert.strictEqual(late.message, "the file was not on the disk within 0.3 s")
          assert.strictEqual(yield* second.discard, "none")
          assert.deepStrictEqual(names(folder), ["f"])
        })
      )
    )
  )
})

describe("an error of the operating system", () => {
  const of = (code: string) => toStoreError("/f", "it failed", Object.assign(new Error(`${code}: words`), { code }))

  it("has the reason that fits, and says whether another attempt can help", () => {
    for (const [code, reason, retryable] of [
      ["ENOSPC", "QuotaExceeded", false],
      ["EDQUOT", "QuotaExceeded", false],
      ["EFBIG", "TooLarge", false],
      ["EROFS", "Forbidden", false],
      ["EACCES", "Forbidden", false],
      ["EPERM", "Forbidden", false],
      ["ENOENT", "NotFound", false],
      ["EISDIR", "Conflict", false],
      ["EXDEV", "Conflict", false],
      ["EBUSY", "Conflict", false],
      ["EIO", "Unavailable", true],
      ["EMFILE", "Unavailable", true],
      ["EDOM", "Rejected", false]
    ] as const) {
      const error = of(code)
      assert.deepStrictEqual([error.reason._tag, error.retryable, error.clear], [reason, retryable, true], code)
      assert.match(error.message, /^it failed: [^\n]+$/)
    }
    assert.strictEqual(codeOf(new Error("none")), undefined)
  })
})
