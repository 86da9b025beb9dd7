import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as BlockPool from "@headrace/core/BlockPool"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import * as TusStore from "@headrace/example-store-tus/TusStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import { FileStore } from "@tus/file-store"
import { Server } from "@tus/server"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const mib = 1024 * 1024
const runtime = ManagedRuntime.make(
  Layer.mergeAll(BlockPool.layer({ bytes: 64 * mib, blockBytes: mib }), NodeTransport.layer)
)
const folder = mkdtempSync(join(tmpdir(), "headrace-tus-"))
const objects = join(folder, "objects")
const tus = new Server({
  path: "/files",
  datastore: new FileStore({ directory: objects }),
  respectForwardedHeaders: true
})
const server = createServer((request, response) => void tus.handle(request, response))
let port = 0

beforeAll(async () => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  await runtime.dispose()
  server.closeAllConnections()
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

const endpoint = (at = port) => `http://127.0.0.1:${at}/files`

const uploads = (): ReadonlyArray<string> => readdirSync(objects).filter((name) => !name.endsWith(".json"))

const stored = (receipt: Receipt): Buffer =>
  readFileSync(join(objects, new URL(receipt.destinations[0]!.object!.id).pathname.split("/").at(-1)!))

/** Runs a transfer, and gives the receipt also of one that failed. */
const upload = (
  source: Source.Source,
  store = TusStore.upload({ endpoint: endpoint() }),
  more: Partial<Transfer.Options> = {}
) =>
  runtime.runPromise(
    Effect.match(Transfer.run({ source, to: [store as never], retries: 2, stallMs: 2000, ...more }), {
      onSuccess: (receipt) => receipt,
      onFailure: (error) => error.receipt
    }) as Effect.Effect<Receipt, never, never>
  )

const bytes = randomBytes(20 * mib + 321)

const unsized: Source.Source = Source.fromStream({
  uri: "unsized:",
  replayable: true,
  info: Effect.succeed({ size: undefined, identity: undefined }),
  open: (offset) => Stream.succeed(bytes.subarray(offset))
})

describe("an upload to a tus server", () => {
  it("is there, byte for byte, and proven when it is read back", async () => {
    for (const content of [bytes, bytes.subarray(0, 1), bytes.subarray(0, 8 * mib)]) {
      const receipt = await upload(Source.fromBytes(content), undefined, { verify: "destination" })
      assert.strictEqual(receipt.destinations[0]!.status, "verified", JSON.stringify(receipt))
      assert.isTrue(stored(receipt).equals(content))
      const plain = await upload(Source.fromBytes(content))
      assert.strictEqual(plain.destinations[0]!.status, "stored")
    }
  })

  it("may have no bytes, or a number of them that nobody knows before", async () => {
    const empty = await upload(Source.fromBytes(new Uint8Array(0)), undefined, { allowEmpty: true })
    assert.strictEqual(empty.destinations[0]!.status, "stored", JSON.stringify(empty))
    const receipt = await upload(unsized, undefined, { verify: "destination" })
    assert.strictEqual(receipt.destinations[0]!.status, "verified", JSON.stringify(receipt))
    assert.isTrue(stored(receipt).equals(bytes))
  })
})

/** An upload through a proxy that does something to its PATCHes, one after the other. */
const hurt = async (faults: ReadonlyArray<FaultProxy.ProxyFault>, more: Partial<Transfer.Options> = {}) => {
  const match = ({ method }: { readonly method: string }) => method === "PATCH"
  await using proxy = await FaultProxy.start({ target: { port }, match, faults })
  const store = TusStore.upload({ endpoint: endpoint(proxy.port) })
  const receipt = await upload(Source.fromBytes(bytes), store, { verify: "destination", ...more })
  return { receipt, to: receipt.destinations[0]!, waiting: proxy.waiting(), requests: [...proxy.requests] }
}

describe("when something fails on the way", () => {
  it("goes on where the connection broke, and sends little twice", async () => {
    const { to, waiting } = await hurt([
      { type: "cutRequest", afterBytes: 3 * mib, how: "reset" },
      { type: "cutRequest", afterBytes: mib, how: "close" },
      { type: "none" },
      { type: "dropAnswer", how: "reset" },
      { type: "replaceAnswer", status: 502 }
    ])
    assert.strictEqual(to.status, "verified", JSON.stringify(to))
    assert.strictEqual(waiting, 0)
    assert.strictEqual(to.attempts, 5)
    // A part of 8 MiB, twice at most.
    assert.isBelow(to.bytesSent, bytes.byteLength + 16 * mib)
  })

  it("goes on after a stall, and after the server was away", async () => {
    const { to } = await hurt(
      [
        { type: "stallRequest", afterBytes: 2 * mib },
        { type: "answerEarly", afterBytes: 0, status: 503, headers: [["Retry-After", "1"]] }
      ],
      { stallMs: 500 }
    )
    assert.strictEqual(to.status, "verified", JSON.stringify(to))
    assert.strictEqual(to.attempts, 3)
  })

  it("gives up in the end, and deletes what there is", async () => {
    const before = uploads()
    const faults = Array.from({ length: 9 }, () => ({ type: "cutRequest", afterBytes: 1000, how: "reset" }) as const)
    const { to } = await hurt(faults, { retries: 1 })
    assert.strictEqual(to.status, "failed")
    assert.strictEqual(to.error?.reason, "ConnectionLost")
    assert.strictEqual(to.error?.left, "none")
    assert.deepStrictEqual(uploads(), before)
  })

  it("says so in a line when nobody is there, or it is no tus server, and shows no password", async () => {
    const web = createServer((_, response) => response.writeHead(404).end())
    web.listen(0, "127.0.0.1")
    await once(web, "listening")
    const { port: other } = web.address() as AddressInfo
    const store = TusStore.upload({ endpoint: `http://ann:secret@127.0.0.1:${other}/files?key=secret` })
    const receipt = await upload(Source.fromBytes(bytes), store)
    assert.strictEqual(receipt.destinations[0]!.error?.reason, "NotFound")
    assert.strictEqual(
      receipt.destinations[0]!.error?.message,
      "the server does not say what it can do: the server answered 404"
    )
    assert.notInclude(JSON.stringify(receipt), "secret")
    web.close()
    await once(web, "close")
    const gone = await upload(Source.fromBytes(bytes), TusStore.upload({ endpoint: endpoint(other) }), { retries: 0 })
    assert.strictEqual(gone.destinations[0]!.error?.reason, "ConnectionLost")
  })
})

describe("what the server can do", () => {
  it("is asked, and what it would refuse is not begun", async () => {
    const capabilities = await runtime.runPromise(Effect.scoped(TusStore.upload({ endpoint: endpoint() }).capabilities))
    assert.deepInclude(capabilities, {
      shape: "parts",
      needsSize: false,
      unfinished: { list: false, abort: true, resume: true }
    })
    const small = new Server({ path: "/files", datastore: new FileStore({ directory: objects }), maxSize: 1000 })
    const web = createServer((request, response) => void small.handle(request, response))
    web.listen(0, "127.0.0.1")
    await once(web, "listening")
    const store = TusStore.upload({ endpoint: endpoint((web.address() as AddressInfo).port) })
    const receipt = await upload(Source.fromBytes(bytes), store)
    assert.strictEqual(receipt.destinations[0]!.error?.reason, "TooLarge")
    assert.strictEqual(receipt.destinations[0]!.attempts, 0)
    web.closeAllConnections()
    web.close()
  })
})

const killable = fileURLToPath(new URL("support/killable.ts", import.meta.url))

/** Runs an upload in a process of its own, which is killed when so many bytes are at the server. */
const uploadAndKill = async (file: string, state: string, killAt: number) => {
  const child = spawn(process.execPath, [killable, file, endpoint(), state], { stdio: ["ignore", "pipe", "inherit"] })
  let out = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text
    if (Number(out.split("\n").at(-2)) >= killAt) child.kill("SIGKILL")
  })
  await once(child, "close")
  const last = out.split("\n").at(-2) ?? ""
  return last.startsWith("{") ? (JSON.parse(last) as Receipt) : undefined
}

describe("an upload whose process is killed (SIGKILL)", () => {
  it("goes on at the server's offset", async () => {
    const file = join(folder, "disk.img")
    const state = join(folder, "state")
    writeFileSync(file, bytes)
    const before = uploads().length
    for (const killAt of [mib, 7 * mib, 15 * mib]) assert.isUndefined(await uploadAndKill(file, state, killAt))
    const receipt = await uploadAndKill(file, state, Infinity)
    const to = receipt!.destinations[0]!
    assert.strictEqual(to.status, "verified", JSON.stringify(to))
    assert.match(to.notes![0]!, /^goes on with the upload of /)
    assert.isBelow(to.bytesSent, 8 * mib)
    assert.isTrue(stored(receipt!).equals(bytes))
    assert.strictEqual(uploads().length, before + 1)
  }, 60_000)
})
