import { createHash } from "node:crypto"
import { spawn } from "node:child_process"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { HeadraceError, type Input, type TransferEvent, upload, type UploadOptions } from "headrace"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open, random } from "./support/command.ts"

const sha512 = (bytes: Uint8Array) => createHash("sha512").update(bytes).digest("hex")

describe("upload", () => {
  let bench: Bench
  let count = 0
  beforeAll(async () => {
    bench = await open()
  })
  afterAll(() => bench.close())

  /** Uploads to a new image, from the folder with the clouds file. */
  const start = (input: Input, options?: Partial<UploadOptions>) => {
    const name = `image-${++count}`
    return { name, transfer: upload(input, { to: [`glance://emb/${name}`], cwd: bench.folder, env: {}, ...options }) }
  }
  const stored = async (name: string) => {
    const image = bench.glance.images.list().find((found) => found.name === name)
    return image === undefined ? undefined : bench.glance.images.bytes(image.id)
  }
  const failure = async (promise: Promise<unknown>): Promise<HeadraceError> => {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason
    )
    expect(error).toBeInstanceOf(HeadraceError)
    return error as HeadraceError
  }

  const bytes = random(2_500_000)
  function* pieces(from: number): Generator<Uint8Array> {
    for (let at = from; at < bytes.length; at += 77_777) yield bytes.subarray(at, at + 77_777)
  }
  async function* slowPieces(from: number): AsyncGenerator<Uint8Array> {
    for (const piece of pieces(from)) {
      await new Promise(setImmediate)
      yield piece
    }
  }

  const inputs: ReadonlyArray<readonly [what: string, make: () => Input, replayable: boolean]> = [
    ["a Uint8Array", () => bytes, true],
    ["a Node Readable", () => Readable.from(pieces(0)), false],
    ["a web ReadableStream", () => new Blob([bytes.slice()]).stream(), false],
    ["an iterable", () => pieces(0), false],
    ["an async iterable", () => slowPieces(0), false],
    ["a function that gives bytes", () => (offset) => bytes.subarray(offset), true],
    ["a function that gives a Readable", () => (offset) => Readable.from(pieces(offset)), true],
    ["a function that promises an async iterable", () => (offset) => Promise.resolve(slowPieces(offset)), true]
  ]

  it.each(inputs)("%s", async (_what, make) => {
    const { name, transfer } = start(make())
    const receipt = await transfer.receipt
    expect(receipt.source).toMatchObject({ size: bytes.length, digests: { sha512: sha512(bytes) } })
    expect(receipt.destinations[0]).toMatchObject({ status: "verified", attempts: 1 })
    expect((await stored(name))?.equals(bytes)).toBe(true)
  })

  it.each(inputs)(
    "%s, when the first attempt is cut: again only if it can be read again",
    async (_what, make, replayable) => {
      bench.glance.faults.push({ type: "drop", at: { afterBytes: 1_000_000 }, how: "reset" })
      const { name, transfer } = start(make())
      if (replayable) {
        expect((await transfer.receipt).destinations[0]).toMatchObject({ status: "verified", attempts: 2 })
        expect((await stored(name))?.equals(bytes)).toBe(true)
      } else {
        const error = await failure(transfer.receipt)
        expect(error).toMatchObject({ reason: "ConnectionLost", left: "none" })
        expect(await stored(name)).toBeUndefined()
      }
    }
  )

  it("a path from the given folder, and a URI", async () => {
    await writeFile(join(bench.folder, "disk.raw"), bytes)
    const path = start("disk.raw")
    expect((await path.transfer.receipt).source.size).toBe(bytes.length)
    expect((await stored(path.name))?.equals(bytes)).toBe(true)
    const uri = start(`file://${bench.folder}/disk.raw`, { to: "glance://emb/by-uri" })
    expect((await uri.transfer.receipt).destinations[0]).toMatchObject({ uri: "glance://emb/by-uri" })
  })

  it("a size that is told makes a body of that length, and is held to", async () => {
    const { transfer } = start(slowPieces(0), { size: bytes.length })
    await transfer.receipt
    expect(bench.glance.requests.findLast(({ method }) => method === "PUT")).toMatchObject({ framing: "length" })
    const wrong = await failure(start(slowPieces(0), { size: bytes.length + 1 }).transfer.receipt)
    expect(wrong).toMatchObject({ reason: "SourceTooShort", left: "none" })
  })

  it("events come in order and end with the receipt", async () => {
    const { transfer } = start(bytes, { limit: 3_000_000, id: "my-own-id" })
    const events: Array<TransferEvent> = []
    for await (const event of transfer.events) events.push(event)
    expect(events[0]!.type).toBe("start")
    expect(events.slice(-2).map(({ type }) => type)).toEqual(["verdict", "receipt"])
    expect(events.some(({ type }) => type === "progress")).toBe(true)
    expect(events.every(({ id }) => id === "my-own-id")).toBe(true)
    const { at: _at, type: _type, ...last } = events.at(-1)!
    expect(last).toEqual(await transfer.receipt)
  })

  it("events that are read late are all there but for old progress", async () => {
    const { transfer } = start(bytes, { limit: 2_000_000 })
    await transfer.receipt
    const types: Array<string> = []
    for await (const event of transfer.events) types.push(event.type)
    expect(types).toEqual(["start", "progress", "verdict", "receipt"])
  })

  it("leaving the loop over events early leaves the upload alone", async () => {
    const { name, transfer } = start(bytes, { limit: 5_000_000 })
    for await (const event of transfer.events) if (event.type === "start") break
    expect((await transfer.receipt).destinations[0]!.status).toBe("verified")
    expect(await stored(name)).toBeDefined()
  })

  it("a failure rejects with everything that is known, and events do not throw", async () => {
    bench.glance.faults.push({ type: "answer", at: "after", status: 403, requestId: true })
    const { transfer } = start(bytes, { retries: 0 })
    const types: Array<string> = []
    for await (const event of transfer.events) types.push(event.type)
    expect(types.at(-1)).toBe("receipt")
    const error = await failure(transfer.receipt)
    expect(error).toMatchObject({
      name: "HeadraceError",
      reason: "Forbidden",
      retryable: false,
      left: "none",
      status: 403
    })
    expect(error.message).not.toContain("\n")
    expect(error.receipt?.destinations[0]).toMatchObject({ status: "failed", error: { reason: "Forbidden" } })
  })

  it("an abort stops the bytes and tidies up", async () => {
    const stop = new AbortController()
    const { name, transfer } = start(bytes, { limit: "500kB/s", signal: stop.signal })
    let at = 0
    for await (const event of transfer.events) {
      if (event.type === "progress" && at === 0 && event.destinations[0]!.sent > 0) {
        at = Date.now()
        stop.abort(new Error("enough"))
      }
    }
    expect(at).toBeGreaterThan(0)
    expect(Date.now() - at).toBeLessThan(5000)
    const error = await failure(transfer.receipt)
    expect(error).toMatchObject({ reason: "Interrupted", left: "none", cause: stop.signal.reason })
    expect(error.receipt?.destinations[0]).toMatchObject({ status: "cancelled", error: { reason: "Interrupted" } })
    expect(await stored(name)).toBeUndefined()
  })

  it("an abort before the source gives anything is told with all events", async () => {
    const { transfer } = start(() => new Promise<never>(() => {}), { signal: AbortSignal.timeout(100) })
    const types: Array<string> = []
    for await (const event of transfer.events) types.push(event.type)
    expect(types).toEqual(["start", "verdict", "receipt"])
    expect(await failure(transfer.receipt)).toMatchObject({ reason: "Interrupted", left: "none" })
  })

  it("one of several destinations can be cancelled, and the others stand", async () => {
    const { transfer } = start(slowPieces(0), {
      to: "glance://emb/goes-on",
      also: ["glance://emb/cancelled", "copy-1.raw"],
      limit: "2MiB/s"
    })
    expect(() => transfer.cancel("glance://emb/other")).toThrow(RangeError)
    expect(() => transfer.cancel(3)).toThrow(RangeError)
    for await (const event of transfer.events) {
      if (event.type !== "progress" || event.read === 0) continue
      transfer.cancel("glance://emb/cancelled")
      transfer.cancel(2)
    }
    const { destinations } = await transfer.receipt
    expect(destinations.map(({ error, status }) => [status, error?.left])).toEqual([
      ["verified", undefined],
      ["cancelled", "none"],
      ["cancelled", "none"]
    ])
    expect(await stored("goes-on")).toEqual(Buffer.from(bytes))
    expect(await stored("cancelled")).toBeUndefined()
  })

  it("cancelled and required makes the upload fail", async () => {
    const { transfer } = start(slowPieces(0), { to: ["glance://emb/stays", "copy-2.raw"], limit: "2MiB/s" })
    transfer.cancel(1)
    const error = await failure(transfer.receipt)
    expect(error).toMatchObject({ reason: "Interrupted", left: "none", uri: "copy-2.raw" })
    expect(error.receipt!.destinations.map(({ status }) => status)).toEqual(["verified", "cancelled"])
  })

  it("an abort before the start asks nobody", async () => {
    const before = bench.glance.requests.length
    const error = await failure(start(bytes, { signal: AbortSignal.abort() }).transfer.receipt)
    expect(error).toMatchObject({ reason: "Interrupted", left: "none", receipt: undefined })
    expect(bench.glance.requests.length).toBe(before)
  })

  const wrong: ReadonlyArray<readonly [what: string, options: object, reason: string, message: RegExp]> = [
    ["a rate", { limit: "fast" }, "InvalidConfig", /^limit: "fast" is not a rate/],
    ["memory", { memory: 1000 }, "InvalidConfig", /^memory: "1000" is too little/],
    ["a digest", { expect: { md5: "12" } }, "InvalidConfig", /^expect: a md5 has 32/],
    ["an algorithm", { digest: ["md6"] }, "InvalidConfig", /^digest: "md6" is not an algorithm/],
    ["a destination", { to: ["ftp://x/y"] }, "InvalidUri", /unknown scheme "ftp"/],
    ["no destination", { to: [] }, "InvalidUri", /no destination/],
    ["a destination that is no text", { to: undefined }, "InvalidConfig", /^to: write a destination's URI/],
    ["a size", { size: -1 }, "InvalidConfig", /^size: -1 is not a number of bytes/],
    ["a folder for notes", { state: "" }, "InvalidConfig", /^state: write a folder's path/],
    ["a destination twice", { to: ["a", "./a"] }, "InvalidUri", /given twice/],
    ["a cloud", { to: ["glance://nocloud/x"] }, "InvalidConfig", /nocloud/]
  ]

  it.each(wrong)("%s that is wrong rejects, events just end", async (_what, options, reason, message) => {
    const { transfer } = start(bytes, options)
    for await (const event of transfer.events) expect(event.type).not.toBe("progress")
    const error = await failure(transfer.receipt)
    expect(error.reason).toBe(reason)
    expect(error.message).toMatch(message)
    expect(error.left).toBe("none")
  })

  it("the options of the command are those of the function", async () => {
    const { transfer } = start(bytes, {
      digest: ["sha256"],
      expect: { sha512: sha512(bytes) },
      verify: "destination",
      hasher: "native",
      memory: "8MiB",
      stall: "10s",
      answer: 10_000
    })
    const receipt = await transfer.receipt
    expect(Object.keys(receipt.source.digests)).toContain("sha256")
    expect(receipt.destinations[0]!.proof).toMatchObject({ level: "destination", computedBy: "node:crypto" })
    const empty = await failure(start(new Uint8Array(0)).transfer.receipt)
    expect(empty).toMatchObject({ reason: "SourceTooShort" })
    expect((await start(new Uint8Array(0), { allowEmpty: true }).transfer.receipt).source.size).toBe(0)
    bench.glance.faults.push({ type: "corrupt", offset: 1 })
    const kept = await failure(start(bytes, { keepFailed: true }).transfer.receipt)
    expect(kept).toMatchObject({ reason: "DigestMismatch", left: expect.stringMatching(/^active image /) })
  })

  it("many at once share an engine", async () => {
    const all = Array.from({ length: 8 }, () => start(bytes))
    const receipts = await Promise.all(all.map(({ transfer }) => transfer.receipt))
    expect(new Set(receipts.map(({ id }) => id)).size).toBe(8)
    for (const { name } of all) expect((await stored(name))?.equals(bytes)).toBe(true)
  })

  /** Runs a program that imports the package, and gives how it ended and how long it lived after `done`. */
  const program = async (body: string) => {
    const index = fileURLToPath(new URL("../dist/index.js", import.meta.url))
    const script =
      `import { upload } from ${JSON.stringify(index)}\n` +
      `const options = { to: ["glance://emb/program"], cwd: ${JSON.stringify(bench.folder)}, env: {}, retries: 0 }\n` +
      `const done = () => console.log(Date.now())\n${body}`
    const child = spawn(process.execPath, ["--input-type=module", "-e", script])
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text))
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
    const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
    return { code, stderr, lingered: Date.now() - Number(stdout) }
  }

  it("a program ends by itself, soon after its upload", async () => {
    const { code, lingered, stderr } = await program("await upload(new Uint8Array(2_000_000), options).receipt\ndone()")
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    expect(lingered).toBeLessThan(1500)
  })

  it("a failure that nobody looks at does not end the program", async () => {
    const { code, stderr } = await program(
      `const transfer = upload(new Uint8Array(1000), { ...options, to: ["glance://nocloud/x"] })\n` +
        "for await (const _ of transfer.events) {}\nawait new Promise((resolve) => setTimeout(resolve, 50))\ndone()"
    )
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
  })
})
