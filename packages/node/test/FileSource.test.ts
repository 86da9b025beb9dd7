import { assert, describe, it } from "@effect/vitest"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import * as FileSource from "@headrace/node/FileSource"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  createWriteStream,
  mkdtempSync,
  readdirSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pattern, read } from "./support/reading.ts"

const MiB = 1024 * 1024

const inFolder = <A, E, R>(body: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.scoped(
    Effect.flatMap(
      Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "file-source-"))),
        (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
      ),
      body
    )
  )

const openDescriptors = () => readdirSync("/proc/self/fd").length

describe("a file", () => {
  it.live("is read in full blocks, from any offset, as often as wanted", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "a disk #1?.img")
        const bytes = pattern(2 * MiB + 5)
        writeFileSync(path, bytes)
        const source = FileSource.make(path)
        assert.strictEqual(source.uri, path)
        assert.isTrue(source.replayable)
        for (const offset of [0, 1, MiB, 2 * MiB + 4, 2 * MiB + 5, 3 * MiB]) {
          // A small share leaves none to read ahead into.
          for (const [share, most] of [
            [2, 1],
            [5, 3]
          ] as const) {
            const got = yield* read(source, offset, share)
            assert.deepStrictEqual(got.bytes, bytes.subarray(offset))
            assert.isTrue(got.lengths.every((length, i) => length === MiB || i === got.lengths.length - 1))
            assert.isAtMost(got.highWater, most)
            assert.strictEqual(got.inUse, 0)
          }
        }
      })
    )
  )

  it.live("is read to its end also when it was another one when its size was asked", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        for (const was of [0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB]) {
          for (const is of [0, 1, MiB - 1, MiB, MiB + 1, 2 * MiB, 2 * MiB + 1]) {
            writeFileSync(path, pattern(was))
            const source = FileSource.make(path)
            const { size } = yield* source.info
            if (was > 0) assert.strictEqual(size, was)
            const bytes = pattern(is)
            writeFileSync(path, bytes)
            for (const [offset, share] of [
              [0, 5],
              [0, 2],
              [1, 5]
            ] as const) {
              const got = yield* read(source, offset, share)
              assert.isTrue(Buffer.from(got.bytes).equals(bytes.subarray(offset)), `${was} bytes were ${is}`)
              assert.strictEqual(got.inUse, 0)
            }
          }
        }
      })
    )
  )

  it.live("says its size, and something that changes with it", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "hello")
        const { info } = FileSource.make(path)
        const first = yield* info
        assert.strictEqual(first.size, 5)
        assert.deepStrictEqual(yield* info, first)
        appendFileSync(path, "!")
        const grown = yield* info
        assert.strictEqual(grown.size, 6)
        assert.notStrictEqual(grown.identity, first.identity)
        utimesSync(path, 1, 1)
        assert.notStrictEqual((yield* info).identity, grown.identity)
        const same = yield* info
        rmSync(path)
        writeFileSync(join(folder, "other"), "")
        writeFileSync(path, "hello!")
        utimesSync(path, 1, 1)
        assert.notStrictEqual((yield* info).identity, same.identity)
      })
    )
  )

  it.live("says whether it has holes", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        const full = pattern(2 * MiB)
        writeFileSync(path, full)
        assert.deepStrictEqual(yield* FileSource.make(path).hints!, { sparse: false })
        truncateSync(path, 3 * MiB)
        assert.deepStrictEqual(yield* FileSource.make(path).hints!, { sparse: true })
        assert.deepStrictEqual(yield* FileSource.make("/dev/null").hints!, {})
        rmSync(path)
        const { message } = yield* Effect.flip(FileSource.make(path).hints!)
        assert.strictEqual(message, `cannot read '${path}': no such file`)
      })
    )
  )

  it.live("may be empty", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "")
        assert.strictEqual((yield* FileSource.make(path).info).size, 0)
        assert.strictEqual((yield* read(FileSource.make(path))).bytes.byteLength, 0)
      })
    )
  )

  it.live("that shrinks or grows while it is read gives what is there", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        for (const [change, expected] of [
          [() => truncateSync(path, 4 * MiB + 10), 4 * MiB + 10],
          [() => appendFileSync(path, "more"), 6 * MiB + 4]
        ] as const) {
          for (const blocks of [1, 5]) {
            writeFileSync(path, pattern(6 * MiB))
            const share = yield* BlockPool.makeUnsafe({ bytes: blocks * MiB }).share(blocks)
            let count = 0
            yield* Stream.runForEach(Blocks.toBytes(FileSource.make(path).open(0)), (chunk) =>
              Effect.sync(() => {
                if (count === 0) change()
                count += chunk.byteLength
              })
            ).pipe(Effect.provideService(BlockPool.BlockShare, share))
            assert.strictEqual(count, expected)
            assert.strictEqual(share.inUse(), 0)
          }
        }
      })
    )
  )

  it.live("is closed when its stream ends, fails or is interrupted", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, pattern(3 * MiB))
        const before = openDescriptors()
        yield* read(FileSource.make(path))
        assert.strictEqual(openDescriptors(), before)
        const share = yield* BlockPool.makeUnsafe({ bytes: MiB }).share(1)
        const source = FileSource.make(path).open(0)
        // The second read waits for the first block, which nobody gives back.
        const fiber = yield* Effect.forkChild(
          Stream.runDrain(source).pipe(Effect.provideService(BlockPool.BlockShare, share))
        )
        yield* Effect.sleep(50)
        assert.strictEqual(openDescriptors(), before + 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(openDescriptors(), before)
      })
    )
  )

  it.live("is closed, and its blocks are back, only when no read is under way any more", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, pattern(20 * MiB))
        const before = openDescriptors()
        const share = yield* BlockPool.makeUnsafe({ bytes: 8 * MiB }).share(8)
        for (let stopAt = 1; stopAt <= 20; stopAt++) {
          let seen = 0
          yield* Stream.runForEach(Stream.take(FileSource.make(path).open(0), stopAt), (block) =>
            Effect.sync(() => {
              assert.deepStrictEqual(block.bytes.slice(0, 64), pattern(64, seen))
              seen += block.length
              block.release()
            })
          ).pipe(Effect.provideService(BlockPool.BlockShare, share))
          assert.strictEqual(openDescriptors(), before)
          assert.strictEqual(share.inUse(), 0, `${stopAt}`)
        }
      })
    )
  )
})

describe("what cannot be read", () => {
  it.live("is one clear line", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const missing = join(folder, "missing")
        for (const [path, message] of [
          [missing, `cannot read '${missing}': no such file`],
          [folder, `cannot read '${folder}': it is a folder`],
          [`${folder}/missing/file`, `cannot read '${folder}/missing/file': no such file`]
        ] as const) {
          const source = FileSource.make(path)
          const error = yield* Effect.flip(source.info)
          assert.strictEqual(error.message, message)
          assert.strictEqual(error.reason._tag, "SourceUnreadable")
          assert.isFalse(error.retryable)
          const got = yield* read(source)
          assert.strictEqual(got.error?.message, message)
          assert.strictEqual(got.inUse, 0)
        }
      })
    )
  )
})

describe("a pipe with a name", () => {
  it.live("is read once, of unknown size, as slowly as it is written", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "pipe")
        execFileSync("mkfifo", [path])
        const source = FileSource.make(path)
        assert.isFalse(source.replayable)
        assert.deepStrictEqual(yield* source.info, { size: undefined, identity: undefined })
        const fiber = yield* Effect.forkChild(read(source))
        const writer = createWriteStream(path)
        const bytes = pattern(3 * MiB + 3)
        writer.write(bytes.subarray(0, 10))
        yield* Effect.sleep(700)
        writer.end(bytes.subarray(10))
        const got = yield* Fiber.join(fiber)
        assert.deepStrictEqual(got.bytes, bytes)
        // The first bytes did not wait for the others.
        assert.strictEqual(got.lengths[0], 10)
      })
    )
  )

  it.live("that nobody writes to can be let go of", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "pipe")
        execFileSync("mkfifo", [path])
        const before = openDescriptors()
        const fiber = yield* Effect.forkChild(read(FileSource.make(path)))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(fiber)
        yield* Effect.sleep(20)
        assert.isAtMost(openDescriptors(), before + 1)
      })
    )
  )
})
