/** Objects of a real Swift as sources. */
import * as BlockPool from "@headrace/core/BlockPool"
import * as MemoryStore from "@headrace/core/MemoryStore"
import * as Blocks from "@headrace/core/Blocks"
import * as SwiftSource from "@headrace/swift/SwiftSource"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import * as Swift from "./support/upload.ts"

const mib = 1024 * 1024
const small = Swift.noise(300_000)
const large = Swift.noise(3 * mib + 17, 2)

let account: Swift.Account
let container = ""
const open: Array<{ readonly close: () => Promise<void> }> = []

const get = ({ method }: { readonly method: string }) => method === "GET"

const source = (object: string, through?: { readonly url: string }) =>
  SwiftSource.object({
    endpoint: through === undefined ? account.url : `${through.url}${new URL(account.url).pathname}`,
    token: Redacted.make(account.token),
    container,
    object
  })

const proxy = async (...faults: ReadonlyArray<FaultProxy.ProxyFault>) => {
  const made = await FaultProxy.start({ target: { port: Number(new URL(account.url).port) }, match: get, faults })
  open.push(made)
  return made
}

/** Read through the engine, as an upload reads it. */
const read = async (from: ReturnType<typeof source>) => {
  const store = MemoryStore.make()
  const outcome = await Swift.run(from, store.object("x"))
  return { ...outcome, bytes: Buffer.from(store.objects.get("x") ?? []) }
}

const fails = async (from: ReturnType<typeof source>, reason: string, message: RegExp) => {
  const { error } = await read(from)
  assert.strictEqual(error?.reason._tag, reason, error?.message)
  assert.match(error!.message, message)
}

describe.skipIf(Swift.none)("an object of a real Swift as a source", () => {
  beforeAll(async () => {
    account = await Swift.account()
    container = Swift.container()
    for (const [bytes, object] of [
      [small, "plain"],
      [large, "large ü/%?#"]
    ] as const) {
      const { error } = await Swift.run(bytes, account.store({ container, object, segmentSize: mib }))
      assert.isUndefined(error)
    }
    // A dynamic large object, of the segments of a static one.
    const [first] = await account.names(`${container}_segments`)
    const prefix = first!.replace(/\d+$/, "").split("/").map(encodeURIComponent).join("/")
    await account.send("PUT", `/${container}/dynamic`, "", { "X-Object-Manifest": `${container}_segments/${prefix}` })
  })
  afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))
  afterAll(() => Promise.all([Swift.runtime.dispose(), Swift.narrow.dispose()]))

  it("is read whole, and its MD5 is compared where it has one", async () => {
    const plain = await read(source("plain"))
    assert.isTrue(plain.bytes.equals(small))
    assert.strictEqual(plain.receipt.source.digests.md5, Swift.md5(small))
    for (const name of ["large ü/%?#", "dynamic"]) {
      const found = await read(source(name))
      assert.isUndefined(found.error, found.error?.message)
      assert.isTrue(found.bytes.equals(large), name)
      assert.isUndefined(found.receipt.source.digests.md5)
    }
  })

  it("says its size, its identity, and its name", async () => {
    const info = await Swift.runtime.runPromise(source("large ü/%?#").info)
    assert.strictEqual(info.size, large.length)
    assert.include(info.identity, Swift.sloEtag(large, mib))
    const hints = await Swift.runtime.runPromise(source("large ü/%?#").hints!)
    assert.deepStrictEqual(hints, { name: "%?#", digests: {} })
    assert.deepStrictEqual((await Swift.runtime.runPromise(source("plain").hints!)).digests, { md5: Swift.md5(small) })
  })

  for (const [name, whole] of [
    ["plain", small],
    ["large ü/%?#", large]
  ] as const) {
    it(`is read from the middle: ${name}`, async () => {
      for (const offset of [1, whole.length - 1, whole.length]) {
        const program = Effect.scoped(
          Effect.gen(function* () {
            const share = yield* (yield* BlockPool.BlockPool).share(4)
            const stream = Blocks.toBytes(source(name).open(offset))
            return yield* Stream.runCollect(Stream.provideService(stream, BlockPool.BlockShare, share))
          })
        )
        const chunks = await Swift.runtime.runPromise(program)
        assert.isTrue(Buffer.concat([...chunks]).equals(whole.subarray(offset)), String(offset))
      }
    })
  }

  it("goes on where it was when the connection is lost, or 503 comes", async () => {
    const through = await proxy(
      { type: "cutAnswer", afterBytes: 100_000, how: "reset" },
      { type: "replaceAnswer", status: 503 },
      { type: "cutAnswer", afterBytes: 50_000, how: "close" }
    )
    const found = await read(source("plain", through))
    assert.isUndefined(found.error, found.error?.message)
    assert.isTrue(found.bytes.equals(small))
    const gets = through.requests.filter(get)
    assert.lengthOf(gets, 4)
    assert.match(gets[3]!.headers["range"]!, /^bytes=[1-9]\d*-$/)
    assert.strictEqual(gets[3]!.headers["if-match"], `"${Swift.md5(small)}"`)
  })

  it("that is replaced while it is read is SourceChanged", async () => {
    await account.send("PUT", `/${container}/fickle`, Swift.noise(300_000, 7) as Uint8Array<ArrayBuffer>)
    const through = await FaultProxy.start({
      target: { port: Number(new URL(account.url).port) },
      match: get,
      faults: [{ type: "cutAnswer", afterBytes: 100_000, how: "reset" }]
    })
    open.push(through)
    const from = source("fickle", through)
    const replaced: typeof from = {
      ...from,
      open: (offset) =>
        Stream.tap(from.open(offset), () =>
          Effect.promise(() =>
            account.send("PUT", `/${container}/fickle`, Swift.noise(300_000, 8) as Uint8Array<ArrayBuffer>)
          )
        )
    }
    await fails(replaced, "SourceChanged", /it was replaced while it was read/)
  })

  it("that is not there, or cannot be reached by its name, says so", async () => {
    await fails(source("none"), "NotFound", /there is no such object/)
    await fails(source("a/../b"), "InvalidUri", /cannot be reached/)
  })

  it("of which a segment is missing is a Conflict", async () => {
    const { error } = await Swift.run(large, account.store({ container, object: "holey", segmentSize: mib }))
    assert.isUndefined(error)
    const name = (await account.names(`${container}_segments`)).find((name) => name.startsWith("holey/"))
    await account.send("DELETE", `/${container}_segments/${name}`)
    await fails(source("holey"), "Conflict", /a segment of it is missing/)
  })

  it("goes from one object to another", async () => {
    const to = account.store({ container, object: "copy", segmentSize: mib })
    const outcome = await Swift.run(source("large ü/%?#"), to)
    assert.isUndefined(outcome.error, outcome.error?.message)
    assert.isTrue((await account.bytes(`/${container}/copy`)).equals(large))
  })
})
