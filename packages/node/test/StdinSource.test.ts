import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { spawn, type StdioOptions } from "node:child_process"
import { createHash } from "node:crypto"
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pattern } from "./support/reading.ts"

/** Reads its standard input and says what it was told, which blocks came when, and what was in them. */
const program = `
  import * as BlockPool from "@headrace/core/BlockPool"
  import * as StdinSource from "@headrace/node/StdinSource"
  import * as Effect from "effect/Effect"
  import * as Stream from "effect/Stream"
  import { createHash } from "node:crypto"
  const source = StdinSource.make()
  const hash = createHash("sha256"), lengths = [], times = [], begin = performance.now()
  await Effect.runPromise(Effect.scoped(Effect.gen(function* () {
    const share = yield* BlockPool.makeUnsafe({ bytes: 8 << 20 }).share(2)
    const info = yield* source.info
    yield* Stream.runForEach(source.open(0), (block) => Effect.sync(() => {
      hash.update(block.bytes); lengths.push(block.length); times.push(performance.now() - begin); block.release()
    })).pipe(Effect.provideService(BlockPool.BlockShare, share))
    console.log(JSON.stringify({ replayable: source.replayable, info, lengths, times, sum: hash.digest("hex") }))
  })))`

interface Said {
  readonly replayable: boolean
  readonly info: { readonly size?: number }
  readonly lengths: ReadonlyArray<number>
  readonly times: ReadonlyArray<number>
  readonly sum: string
}

const run = (stdin: "pipe" | number, feed?: (input: NodeJS.WritableStream) => Promise<void>) =>
  Effect.promise<Said>(async () => {
    const stdio: StdioOptions = [stdin, "pipe", "inherit"]
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: new URL("..", import.meta.url).pathname,
      stdio
    })
    let out = ""
    child.stdout!.on("data", (chunk) => (out += chunk))
    const ended = new Promise((resolve) => child.once("close", resolve))
    if (child.stdin !== null) await feed?.(child.stdin)
    await ended
    return JSON.parse(out) as Said
  })

const sum = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

describe("standard input", () => {
  it.live("that is a pipe is read whole, in large blocks, of unknown size", () =>
    Effect.gen(function* () {
      const bytes = pattern(5_000_001)
      const said = yield* run("pipe", async (input) => void input.end(bytes))
      assert.strictEqual(said.sum, sum(bytes))
      assert.isFalse(said.replayable)
      assert.strictEqual(said.info.size, undefined)
      assert.isBelow(said.lengths.length, 8)
    })
  )

  it.live("whose producer is slow is passed on within a second", () =>
    Effect.gen(function* () {
      const said = yield* run("pipe", async (input) => {
        await new Promise((resolve) => setTimeout(resolve, 500))
        for (let i = 0; i < 3; i++) {
          input.write(pattern(1000))
          await new Promise((resolve) => setTimeout(resolve, 800))
        }
        input.end()
      })
      assert.deepStrictEqual(said.lengths, [1000, 1000, 1000])
      assert.isTrue(said.times.every((time, i) => i === 0 || time - said.times[i - 1]! < 1000))
    })
  )

  it.live("that is a file has its size from where it stands", () =>
    Effect.acquireUseRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "stdin-"))),
      (folder) =>
        Effect.gen(function* () {
          const bytes = pattern(3_000_000)
          writeFileSync(join(folder, "f"), bytes)
          for (const from of [0, 1000]) {
            const fd = openSync(join(folder, "f"), "r")
            if (from > 0) readSync(fd, new Uint8Array(from), 0, from, null)
            const said = yield* run(fd)
            closeSync(fd)
            assert.strictEqual(said.sum, sum(bytes.subarray(from)))
            assert.strictEqual(said.info.size, bytes.byteLength - from)
          }
        }),
      (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
    )
  )
})
