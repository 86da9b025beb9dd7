/** The stage that docs/pipelines.md shows, taken from there as it is written. */
import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, open, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { createGunzip, type Gunzip, gzipSync } from "node:zlib"
import { BlockPool } from "@headrace/core/BlockPool"
import type { Digests } from "@headrace/core/Digest"
import type { Source } from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import { afterAll, afterEach, assert, beforeAll, beforeEach, describe, it, vi } from "vitest"
import * as Documents from "../../../scripts/test/support/documents.ts"
import { runtime, upload } from "./support/upload.ts"

interface Block {
  readonly unpacked: (
    path: string,
    onPacked: (digests: Digests) => Effect.Effect<unknown, SourceError.SourceError>
  ) => Source
}

const hex = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest("hex")

const plain = randomBytes(3_000_000)
const packed = gzipSync(plain)

describe("the gunzip of docs/pipelines.md", () => {
  let folder = ""
  let path = ""
  let unpacked: Block["unpacked"]
  let glance: EmbeddedGlance.EmbeddedGlance
  let digests: Array<Digests>

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headrace-pipelines-"))
    path = join(folder, "disk.gz")
    // the packages are found as a program finds them that has installed them
    await symlink(join(import.meta.dirname, "../node_modules"), join(folder, "node_modules"))
    const [code, ...more] = Documents.blocks("docs/pipelines.md", "ts")
    assert.isEmpty(more)
    const module = join(folder, "unpacked.ts")
    await writeFile(module, code!)
    const block: Block = await import(/* @vite-ignore */ pathToFileURL(module).href)
    unpacked = block.unpacked
  })
  afterAll(async () => {
    await runtime.dispose()
    await rm(folder, { recursive: true, force: true })
  })
  beforeEach(async () => {
    digests = []
    glance = await EmbeddedGlance.start()
  })
  afterEach(() => glance.close())

  const source = () => unpacked(path, (found) => Effect.sync(() => digests.push(found)))
  const inUse = () => runtime.runSync(BlockPool).stats().inUse

  it("uploads what was packed, with digests before and after", async () => {
    await writeFile(path, packed)
    const { receipt } = await upload({ endpoint: glance.url }, source())
    const [end] = receipt.destinations
    assert.strictEqual(end?.status, "verified")
    assert.deepStrictEqual(digests.at(-1), { sha256: hex("sha256", packed) })
    assert.strictEqual(receipt.source.size, plain.length)
    assert.strictEqual(receipt.source.digests["sha512"], hex("sha512", plain))
    const [image] = glance.images.list()
    assert.isTrue((await glance.images.bytes(image!.id))?.equals(plain))
    assert.strictEqual(inUse(), 0)
  })

  it("unpacks anew for another attempt", async () => {
    await writeFile(path, packed)
    glance.faults.push({ type: "drop", at: { afterBytes: 1_000_000 }, how: "reset" })
    const { receipt } = await upload({ endpoint: glance.url }, source())
    assert.strictEqual(receipt.destinations[0]?.status, "verified")
    assert.strictEqual(receipt.destinations[0]?.attempts, 2)
    assert.deepStrictEqual(digests.at(-1), { sha256: hex("sha256", packed) })
    assert.deepStrictEqual(
      glance.images.list().map(({ hashValue, status }) => [status, hashValue]),
      [["active", hex("sha512", plain)]]
    )
  })

  it("reads a file to its end that has something after its gzip", async () => {
    const padded = Buffer.concat([packed, Buffer.alloc(2_000_000)])
    await writeFile(path, padded)
    const { receipt } = await upload({ endpoint: glance.url }, source())
    assert.strictEqual(receipt.source.digests["sha512"], hex("sha512", plain))
    assert.deepStrictEqual(digests.at(-1), { sha256: hex("sha256", padded) })
  })

  it.each([
    ["is none", plain, "incorrect header check"],
    ["is cut off", packed.subarray(0, 2_000_000), "unexpected end of file"],
    ["has a changed byte", Buffer.from(packed).fill(0, 2_000_000, 2_000_064), "incorrect"],
    ["does not have its checksum", Buffer.concat([packed.subarray(0, -8), Buffer.alloc(8)]), "incorrect data check"],
    ["is empty", new Uint8Array(), "unexpected end of file"]
  ])("a gzip file that %s leaves nothing", async (_what, bytes, message) => {
    await writeFile(path, bytes)
    const { error, receipt } = await upload({ endpoint: glance.url }, source())
    assert.strictEqual(error?.reason._tag, "SourceUnreadable")
    assert.include(error?.message, `gunzip: Error: ${message}`)
    assert.strictEqual(receipt.destinations[0]?.error?.left, "none")
    assert.isEmpty(glance.images.list())
    assert.strictEqual(inUse(), 0)
  })

  it("an error from before the stage stays what it is, and leaves nothing", async () => {
    await writeFile(path, packed)
    const mismatch = SourceError.make("SourceMismatch", { uri: path, message: "not the file that was published" })
    const { error, receipt } = await upload(
      { endpoint: glance.url },
      unpacked(path, () => Effect.fail(mismatch))
    )
    assert.strictEqual(error?.reason._tag, "SourceMismatch")
    assert.include(error?.message, "not the file that was published")
    assert.strictEqual(receipt.destinations[0]?.error?.left, "none")
    assert.isEmpty(glance.images.list())
  })

  it("an interruption closes the file, ends zlib and leaves nothing, also while it waits for more", async () => {
    const pipe = join(folder, "pipe.gz")
    execFileSync("mkfifo", [pipe])
    const ended = vi.spyOn(Object.getPrototypeOf(createGunzip()) as Gunzip, "_destroy")
    const stop = new AbortController()
    const running = upload(
      { endpoint: glance.url },
      unpacked(pipe, () => Effect.void),
      {},
      {},
      stop.signal
    )
    const writer = await open(pipe, "w")
    try {
      await writer.write(packed.subarray(0, 2_000_000))
      await vi.waitFor(() => assert.strictEqual(glance.images.list()[0]?.status, "saving"), { timeout: 20_000 })
      // time to come to where everybody waits
      await new Promise((resolve) => setTimeout(resolve, 500))
      stop.abort()
      assert.instanceOf(await running.catch((error: unknown) => error), Error)
      assert.strictEqual(ended.mock.calls.length, 1)
      assert.strictEqual(inUse(), 0)
      assert.isEmpty(glance.images.list())
      // nobody reads any more
      await vi.waitFor(async () => {
        const written = await writer.write(packed.subarray(0, 1)).catch((error: NodeJS.ErrnoException) => error.code)
        assert.strictEqual(written, "EPIPE")
      })
    } finally {
      await writer.close()
      ended.mockRestore()
    }
  })
})
