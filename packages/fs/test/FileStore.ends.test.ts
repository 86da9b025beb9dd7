import { assert, describe, it } from "@effect/vitest"
import * as Source from "@headrace/core/Source"
import * as FileStore from "@headrace/fs/FileStore"
import * as FileSource from "@headrace/node/FileSource"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inFolder, MiB, names, pattern, streaming, upload } from "./support/disk.ts"

const program = fileURLToPath(new URL("support/uploads.ts", import.meta.url))

/** The program of its own, killed when `until` holds. */
const killed = (how: "slow" | "fast", path: string, until: () => Promise<void>) =>
  Effect.promise(async () => {
    const child = spawn(process.execPath, [program, how, path], { stdio: ["ignore", "ignore", "inherit"] })
    const ended = once(child, "exit")
    await Promise.race([until(), ended])
    child.kill("SIGKILL")
    const [, signal] = await ended
    assert.strictEqual(signal, "SIGKILL")
  })

const until = async (holds: () => boolean) => {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Whether it is one of the bodies that are all of one letter. */
const isWhole = (bytes: Uint8Array): boolean => {
  const [size, letter] = bytes[0] === 97 ? [5 * MiB + 1, 97] : [3 * MiB + 1, 98]
  return bytes.byteLength === size && Buffer.alloc(size, letter).equals(bytes)
}

describe("kill -9", () => {
  it.live("in the middle leaves what was there before, and a partial file that is found", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        const partial = () => names(folder).find((name) => name !== "f")
        yield* killed("slow", path, () =>
          until(() => partial() !== undefined && statSync(join(folder, partial()!)).size >= 3 * MiB)
        )
        assert.strictEqual(readFileSync(path, "utf8"), "before")
        const found = yield* FileStore.leftovers(folder)
        assert.deepStrictEqual(
          found.map(({ path }) => path),
          [join(folder, partial()!)]
        )
        assert.isAtLeast(found[0]!.bytes, 3 * MiB)
        assert.isAtMost(Math.abs(Date.now() - found[0]!.mtime.getTime()), 60_000)
        // It is in nobody's way.
        yield* upload(Source.fromBytes(pattern(9)), path)
        assert.strictEqual(statSync(path).size, 9)
        assert.lengthOf(yield* FileStore.leftovers(folder), 1)
      })
    )
  )

  it.live("at any moment leaves a whole file under the name, and at most one partial file", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        for (let round = 0; round < 8; round++) {
          const before = (yield* FileStore.leftovers(folder)).length
          const { mtimeMs } = existsSync(path) ? statSync(path) : { mtimeMs: 0 }
          yield* killed("fast", path, async () => {
            await until(() => existsSync(path) && statSync(path).mtimeMs !== mtimeMs)
            await new Promise((resolve) => setTimeout(resolve, 7 * round))
          })
          assert.isTrue(isWhole(readFileSync(path)))
          assert.isAtMost((yield* FileStore.leftovers(folder)).length, before + 1)
        }
      })
    )
  )
})

describe("a reader", () => {
  it.live("never sees a part of a file", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        let reads = 0
        let stopped = false
        const reading = yield* Effect.forkChild(
          Effect.promise(async () => {
            while (!stopped) {
              const bytes = await readFile(path).catch((error: NodeJS.ErrnoException) => {
                // Before the first of them there is nothing, and afterwards always something.
                assert.strictEqual(error.code, "ENOENT")
                assert.strictEqual(reads, 0)
                return undefined
              })
              if (bytes === undefined) continue
              assert.isTrue(isWhole(bytes))
              reads++
            }
          })
        )
        for (let n = 0; n < 20; n++) {
          const body = new Uint8Array((n % 2 === 0 ? 5 : 3) * MiB + 1).fill(n % 2 === 0 ? 97 : 98)
          yield* upload(Source.fromBytes(body), path)
        }
        stopped = true
        yield* Fiber.join(reading)
        assert.isAtLeast(reads, 20)
      })
    )
  )
})

describe("an interruption", () => {
  it.live("while the source is waited for leaves nothing, and what was there before", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const path = join(folder, "f")
        writeFileSync(path, "before")
        const source = streaming(Stream.concat(Stream.succeed(pattern(5 * MiB)), Stream.never))
        const uploading = yield* Effect.forkChild(upload(source, path))
        yield* Effect.promise(() => until(() => names(folder).length === 2))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(uploading)
        assert.deepStrictEqual(names(folder), ["f"])
        assert.strictEqual(readFileSync(path, "utf8"), "before")
      })
    )
  )

  it.live("leaves the partial file where it was asked to", () =>
    inFolder((folder) =>
      Effect.gen(function* () {
        const lefts: Array<string> = []
        const source = streaming(Stream.concat(Stream.succeed(pattern(5 * MiB)), Stream.never))
        const uploading = yield* Effect.forkChild(
          upload(source, join(folder, "f"), {
            keepFailed: true,
            onEvent: (event) =>
              Effect.sync(() => {
                if (event.type === "receipt") lefts.push(event.destinations[0]!.error!.left)
              })
          })
        )
        yield* Effect.promise(() => until(() => names(folder).length === 1))
        yield* Effect.sleep(50)
        yield* Fiber.interrupt(uploading)
        const [partial] = yield* FileStore.leftovers(folder)
        assert.deepStrictEqual(lefts, [`partial file ${partial!.path}`])
      })
    )
  )

  for (const partBytes of [undefined, MiB]) {
    it.live(`at any moment leaves nothing${partBytes === undefined ? "" : ", also of parts"}`, () =>
      inFolder((folder) =>
        inFolder((to) =>
          Effect.gen(function* () {
            const from = join(folder, "from")
            writeFileSync(from, pattern(24 * MiB))
            const path = join(to, "f")
            const before = readdirSync("/proc/self/fd").length
            let interrupted = 0
            for (let ms = 0; ms <= 120; ms += 6) {
              let verdict: string | undefined
              const uploading = yield* Effect.forkChild(
                upload(FileSource.make(from), FileStore.file(path, partBytes === undefined ? {} : { partBytes }), {
                  onEvent: (event) =>
                    Effect.sync(() => {
                      if (event.type === "verdict") verdict = event.status
                    })
                })
              )
              yield* Effect.sleep(ms)
              yield* Fiber.interrupt(uploading)
              const exit = yield* Fiber.await(uploading)
              // What is proven stands, also when the interruption comes after that.
              if (Exit.isSuccess(exit) || verdict === "stored") {
                assert.strictEqual(statSync(path).size, 24 * MiB)
                assert.deepStrictEqual(names(to), ["f"])
                break
              }
              interrupted++
              assert.deepStrictEqual(names(to), [])
            }
            assert.isAtLeast(interrupted, 1)
            // A sync that was left alone is ended, and its file closed, behind us.
            yield* Effect.promise(() => until(() => readdirSync("/proc/self/fd").length <= before + 2))
          })
        )
      )
    )
  }
})
