/** Uploads of segments that are gone on with: by a session, and by a process after another was killed. */
import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Receipt } from "@headrace/core/Receipt"
import type { PartsSession, StoredPart } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Swift from "./support/upload.ts"

const kib = 1024
const partBytes = 64 * kib
const bytes = Swift.noise(3 * partBytes + 5)

let account: Swift.Account
const folders: Array<string> = []
const temporary = () => {
  const folder = mkdtempSync(join(tmpdir(), "headrace-swift-resume-"))
  folders.push(folder)
  return folder
}
beforeAll(async () => {
  if (!Swift.none) account = await Swift.account()
})
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
  return Swift.runtime.dispose()
})

const run = <A, E>(effect: Effect.Effect<A, E, BlockPool.BlockPool>) => Swift.runtime.runPromise(effect)

const open = async (container: string, size: number | undefined = bytes.length): Promise<PartsSession> => {
  const store = account.store({ container, object: "o", segmentSize: partBytes })
  const session = await Swift.runtime.runPromise(Effect.scoped(store.open({ size, head: bytes.subarray(0, 100) })))
  return session.shape === "parts" ? session : assert.fail("it is sent as one body")
}

const piece = (number: number, from: Buffer = bytes) => from.subarray((number - 1) * partBytes, number * partBytes)

const send = async (session: PartsSession, number: number, content = piece(number)): Promise<StoredPart> => {
  const digests = { md5: Swift.md5(content) }
  const offset = (number - 1) * partBytes
  const tag = await run(
    Effect.scoped(
      Effect.gen(function* () {
        const share = yield* (yield* BlockPool.BlockPool).share(4)
        return yield* session.writePart({
          number,
          offset,
          length: content.length,
          digests,
          stream: Stream.provideService(Blocks.fromBytes(Stream.succeed(content)), BlockPool.BlockShare, share),
          onSent: () => undefined,
          stallMs: 5000,
          answerMs: 5000
        })
      })
    )
  )
  return { number, offset, length: content.length, tag, digests }
}

const cut = { partBytes, size: bytes.length }

/** An upload of which the first three segments are there. */
const begun = async (container: string) => {
  const session = await open(container)
  await run(session.begin)
  const parts = [await send(session, 1), await send(session, 2), await send(session, 3)]
  const token = await run(session.resumption!.token)
  return { session, parts, token }
}

const finish = (session: PartsSession, parts: ReadonlyArray<StoredPart>) =>
  run(session.finish({ parts, size: bytes.length, digests: {}, answerMs: 5000 }))

describe.skipIf(Swift.none)("a session that goes on with an upload", () => {
  it("finds what was noted, and finishes it with what it sends itself", async () => {
    const container = Swift.container()
    const { parts, session: earlier, token } = await begun(container)
    assert.match(token, /^c-[0-9a-f-]+_segments\/o\/headrace\/\d+-[0-9a-f]{8}\/196613$/)
    assert.strictEqual(await run(earlier.left), `upload ${token} of ${await run(earlier.location)}`)
    const session = await open(container)
    const found = await run(session.resumption!.resume(token, parts, cut))
    assert.deepStrictEqual(found, parts)
    assert.strictEqual(await run(session.resumption!.token), token)
    assert.strictEqual((await run(session.inspect))._tag, "Ready")
    await finish(session, [...found!, await send(session, 4)])
    assert.strictEqual((await run(session.inspect))._tag, "Stored")
    assert.isTrue((await account.bytes(`/${container}/o`)).equals(bytes))
  })

  it("takes only what is there as it was noted", async () => {
    const container = Swift.container()
    const { parts, token } = await begun(container)
    const [first, second, third] = await account.names(`${container}_segments`)
    await account.send("DELETE", `/${container}_segments/${first}`)
    await account.send("PUT", `/${container}_segments/${second}`, "something else")
    const session = await open(container)
    assert.deepStrictEqual(await run(session.resumption!.resume(token, parts, cut)), [parts[2]!])
    // What nobody noted may be what nobody compared.
    const other = await open(container)
    assert.deepStrictEqual(await run(other.resumption!.resume(token, [parts[2]!], cut)), [parts[2]!])
    assert.isDefined(third)
    assert.strictEqual(await run(session.discard), "none")
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
  })

  it("finds nothing where the upload is no more, or was another object's", async () => {
    const container = Swift.container()
    const { parts, session: earlier, token } = await begun(container)
    const session = await open(container)
    for (const stranger of [token.replace("/o/", "/p/"), token.replace(/^[^/]+/, "elsewhere"), "", "%"]) {
      assert.isUndefined(await run(session.resumption!.resume(stranger, parts, cut)), stranger)
    }
    assert.strictEqual(await run(earlier.discard), "none")
    assert.isUndefined(await run(session.resumption!.resume(token, parts, cut)))
  })

  it("never deletes segments that the object is made of: it was finished, and the process killed before it was noted", async () => {
    const container = Swift.container()
    const { parts, session: earlier, token } = await begun(container)
    const all = [...parts, await send(earlier, 4)]
    await finish(earlier, all)
    const session = await open(container)
    assert.deepStrictEqual(await run(session.resumption!.resume(token, all, cut)), all)
    assert.strictEqual(await run(session.discard), `object ${await run(session.location)}`)
    assert.isTrue((await account.bytes(`/${container}/o`)).equals(bytes))
    await finish(session, all)
    assert.strictEqual((await run(session.inspect))._tag, "Stored")
    assert.notInclude((await run(session.notes)).join(), "a large object was there before")
    assert.isTrue((await account.bytes(`/${container}/o`)).equals(bytes))
  })

  it("that sends nothing makes an empty object, and keeps no segment", async () => {
    const container = Swift.container()
    const session = await open(container, undefined)
    await run(session.begin)
    const part = await send(session, 1, Buffer.alloc(0))
    await run(session.finish({ parts: [part], size: 0, digests: {}, answerMs: 5000 }))
    const found = await run(session.inspect)
    assert.strictEqual(found._tag, "Stored")
    const head = await account.send("HEAD", `/${container}/o`)
    assert.strictEqual(head.headers.get("content-length"), "0")
    assert.isNull(head.headers.get("x-static-large-object"))
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
  })

  it("has no more segments than an object may have", async () => {
    const session = await open(Swift.container())
    await run(session.begin)
    const error = await send(session, 1001, piece(1)).then(
      () => undefined,
      (error: unknown) => error
    )
    assert.match(String(error), /at most 1000 segments/)
  })
})

const resuming = fileURLToPath(new URL("support/resuming.ts", import.meta.url))

/** Runs the upload until so many segments were taken, or to its end. */
const upload = async (file: string, container: string, state: string, size: number, killAfter: number) => {
  const child = spawn(process.execPath, [resuming, file, container, state, String(size), account.url, account.token], {
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

describe.skipIf(Swift.none)("an upload to Swift whose process is killed (SIGKILL)", () => {
  it("leaves segments that are listed, and goes on where it was", async () => {
    const size = 512 * kib
    const content = randomBytes(30 * size + 12_345)
    const container = Swift.container()
    const folder = temporary()
    const file = join(folder, "disk.img")
    writeFileSync(file, content)
    const store = account.store({ container, object: "disk.img" })
    let receipt: Receipt | undefined
    let sent = 0
    let runs = 0
    for (; receipt === undefined; runs++) {
      assert.isBelow(runs, 20)
      const killAfter = runs < 4 ? 2 + Math.floor(Math.random() * 7) : Infinity
      const run = await upload(file, container, join(folder, "state"), size, killAfter)
      receipt = run.receipt
      sent += run.parts.reduce((sum, [, length]) => sum + length!, 0)
      // One upload, which the notes know of.
      const left = await Swift.runtime.runPromise(Stream.runCollect(store.unfinished!))
      assert.lengthOf(left, receipt === undefined ? 1 : 0)
    }
    assert.isAtLeast(runs, 3)
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
    assert.match(
      receipt.destinations[0]!.notes!.join(),
      /goes on with the upload of .*made of the MD5s of its 31 segments/
    )
    assert.isTrue((await account.bytes(`/${container}/disk.img`)).equals(content))
    assert.lengthOf(await account.names(`${container}_segments`), 31)
    assert.deepStrictEqual(readdirSync(join(folder, "state", "uploads")), [])
    const again = sent - content.byteLength
    console.log(`killed ${runs - 1} times: ${again} of ${content.byteLength} bytes taken more than once`)
    // Six segments are on their way at once.
    assert.isAtMost(again, (runs - 1) * 6 * size)
  }, 120_000)
})
