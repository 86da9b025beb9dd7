/**
 * Uploads that were cut off, by a failure or with their process, and go on with what is there.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { GetObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import type { Receipt } from "@headrace/core/Receipt"
import * as FileUploadJournal from "@headrace/node/FileUploadJournal"
import * as S3Store from "@headrace/s3/S3Store"
import type { FaultProxy } from "@headrace/testkit/FaultProxy"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Bed from "./support/bed.ts"

const { fresh, is, mib, noise, place, upload } = Bed
const partSize = 5 * mib
const bytes = noise(7 * partSize + 77, 3)

let s3: S3Client
const folders: Array<string> = []
beforeAll(() => {
  if (!Bed.none) s3 = Bed.client()
})
afterAll(async () => {
  s3?.destroy()
  for (const folder of folders) rmSync(folder, { recursive: true })
  await Bed.runtime.dispose()
})

const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "headrace-s3-"))
  folders.push(folder)
  return folder
}

const stored = async (key: string): Promise<Buffer> => {
  const answer = await s3.send(new GetObjectCommand({ Bucket: Bed.bucket, Key: key }))
  return Buffer.from(await answer.Body!.transformToByteArray())
}

const unfinished = async (key: string) =>
  Bed.runtime.runPromise(Stream.runCollect(S3Store.object(place(key)).unfinished!))

const noted = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync(join(folder, "uploads"))
  } catch {
    return []
  }
}

/** Takes what is left of the faults: each is for one request. */
const drain = async (proxy: FaultProxy) => {
  while (proxy.waiting() > 0) {
    await fetch(`${proxy.url}/x?partNumber=1`, { method: "PUT" }).then((answer) => answer.arrayBuffer())
  }
  return proxy.requests.length
}

describe.skipIf(Bed.none)("an upload that failed", () => {
  const cut = async (key: string, state: string, parts: number) => {
    const journal = FileUploadJournal.make({ folder: state })
    const proxy = await Bed.behind(is.part, [
      ...Array.from({ length: parts }, () => ({ type: "none" }) as const),
      ...Array.from({ length: 30 }, () => Bed.says(403, "AccessDenied"))
    ])
    const options = { ...place(key), endpoint: proxy.url, partSize }
    const outcome = await upload(Bed.named(bytes), options, { keepFailed: true }, { journal })
    return { journal, options, outcome, proxy }
  }

  it("leaves its upload when it is told to, and the next one sends only what is missing", async () => {
    const key = fresh()
    const state = temporary()
    const { journal, options, outcome, proxy } = await cut(key, state, 3)
    const [left, ...others] = await unfinished(key)
    assert.deepStrictEqual(others, [])
    assert.strictEqual(outcome.error?.left, `upload ${left!.token} of ${S3Store.object(options).uri}`)
    assert.strictEqual(noted(state).length, 1)
    const before = await drain(proxy)
    const again = await upload(Bed.named(bytes), options, {}, { journal })
    assert.isUndefined(again.error, again.error?.message)
    const to = again.receipt.destinations[0]!
    assert.strictEqual(to.status, "verified")
    assert.include(to.notes!.join("\n"), "are there already")
    assert.isBelow(to.bytesSent, bytes.length)
    assert.strictEqual(proxy.requests.slice(before).filter(is.create).length, 0)
    assert.isAtMost(proxy.requests.slice(before).filter(is.part).length, 8 - 3)
    assert.isTrue((await stored(key)).equals(bytes))
    assert.deepStrictEqual(noted(state), [])
    await proxy.close()
  })

  it("begins anew when the source is another one, or the upload is no more", async () => {
    for (const change of ["source", "upload"] as const) {
      const key = fresh()
      const state = temporary()
      const { journal, options, proxy } = await cut(key, state, 3)
      const before = await drain(proxy)
      const [left] = await unfinished(key)
      const direct = S3Store.object(place(key))
      if (change === "upload") {
        await Bed.runtime.runPromise(Effect.scoped(direct.abort!(left!.token)))
      }
      const source = change === "source" ? Bed.named(noise(bytes.length, 9), "v2") : Bed.named(bytes)
      const again = await upload(source, options, {}, { journal })
      assert.isUndefined(again.error, again.error?.message)
      assert.strictEqual(again.receipt.destinations[0]!.status, "verified")
      assert.strictEqual(proxy.requests.slice(before).filter(is.create).length, 1)
      assert.strictEqual(proxy.requests.slice(before).filter(is.part).length, 8)
      await proxy.close()
    }
  })
})

const program = fileURLToPath(new URL("support/resuming.ts", import.meta.url))

/** Runs the upload until so many parts were taken, or to its end. */
const run = async (file: string, key: string, state: string, killAfter: number) => {
  const child = spawn(process.execPath, [program, file, key, state], { stdio: ["ignore", "pipe", "inherit"] })
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
  const parts = lines.filter((line) => /^\d+ \d+$/.test(line)).map((line) => Number(line.split(" ")[1]))
  const last = lines.at(-1) ?? ""
  return { parts, receipt: last.startsWith("{") ? (JSON.parse(last) as Receipt) : undefined }
}

describe.skipIf(Bed.none)("an upload whose process is killed (SIGKILL)", () => {
  it("is listed, and goes on where it was until it is proven whole", async () => {
    const key = fresh()
    const folder = temporary()
    const file = join(folder, "disk.img")
    writeFileSync(file, bytes)
    const state = join(folder, "state")
    let sent = 0
    let receipt: Receipt | undefined
    let runs = 0
    for (; receipt === undefined; runs++) {
      assert.isBelow(runs, 8)
      const one = await run(file, key, state, [1, 2, 3][runs] ?? Infinity)
      receipt = one.receipt
      sent += one.parts.reduce((sum, length) => sum + length, 0)
      // One upload, which the notes know of.
      if (receipt === undefined) assert.strictEqual((await unfinished(key)).length, 1)
    }
    assert.isAtLeast(runs, 2)
    assert.strictEqual(receipt.destinations[0]!.status, "verified")
    assert.deepStrictEqual(receipt.destinations[0]!.proof?.compared, ["crc64nvme"])
    assert.isTrue((await stored(key)).equals(bytes))
    assert.deepStrictEqual(await unfinished(key), [])
    assert.deepStrictEqual(noted(state), [])
    // At most what was on its way when it was killed is taken twice.
    assert.isAtMost(sent - bytes.length, (runs - 1) * 6 * partSize)
  }, 120_000)
})
