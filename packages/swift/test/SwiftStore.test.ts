/** Objects in a real Swift: plain and in segments, what is proven of them, and what becomes of what was there. */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Swift from "./support/upload.ts"

const mib = 1024 * 1024
const small = Swift.noise(300_000)
const large = Swift.noise(3 * mib + 17, 2)

afterAll(() => Promise.all([Swift.runtime.dispose(), Swift.narrow.dispose()]))

const fine = ({ error, receipt }: Swift.Outcome) => {
  assert.isUndefined(error, error?.message)
  assert.strictEqual(receipt.destinations[0]!.status, "verified")
  return receipt.destinations[0]!
}

const failed = ({ error }: Swift.Outcome, reason: string, message: RegExp, left?: string) => {
  if (error === undefined) return assert.fail("it succeeded")
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.match(error.message, message)
  assert.notInclude(error.message, "\n")
  if (left !== undefined) assert.strictEqual(error.left, left)
  return error
}

describe.skipIf(Swift.none)("an object of a real Swift", () => {
  let account: Swift.Account
  beforeAll(async () => {
    account = await Swift.account()
  })

  it("of known size is one body, proven by its MD5; its container is made", async () => {
    const container = Swift.container()
    const done = fine(await Swift.run(small, account.store({ container, object: "a/b.img" })))
    assert.deepStrictEqual(done.proof!.compared, ["md5"])
    assert.deepStrictEqual(done.object, {
      id: `${container}/a/b.img`,
      size: small.length,
      digests: { md5: Swift.md5(small) }
    })
    assert.include(done.notes!.join(), `there was no container "${container}": it was made`)
    assert.isTrue((await account.bytes(`/${container}/a/b.img`)).equals(small))
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
    const again = fine(await Swift.run(small.subarray(1), account.store({ container, object: "a/b.img" })))
    assert.isUndefined(again.notes)
  })

  it("is announced with its MD5 where that is expected", async () => {
    const container = Swift.container()
    const outcome = await Swift.run(small, account.store({ container, object: "o", contentType: "image/x" }), {
      expect: { md5: Swift.md5(small) }
    })
    fine(outcome)
    const head = await account.send("HEAD", `/${container}/o`)
    assert.strictEqual(head.headers.get("content-type"), "image/x")
  })

  it("may be empty, of known size and of unknown", async () => {
    const container = Swift.container()
    fine(await Swift.run(new Uint8Array(), account.store({ container, object: "known" }), { allowEmpty: true }))
    fine(
      await Swift.run(Swift.unsized(new Uint8Array()), account.store({ container, object: "unknown" }), {
        allowEmpty: true
      })
    )
    for (const name of ["known", "unknown"])
      assert.strictEqual((await account.bytes(`/${container}/${name}`)).length, 0)
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
  })

  for (const [what, machine] of [
    ["collected", Swift.runtime],
    ["sent while they are read", Swift.narrow]
  ] as const) {
    it(`above segmentSize is a static large object; segments are ${what}`, async () => {
      const container = Swift.container()
      const store = account.store({ container, object: "big", segmentSize: mib })
      const done = fine(await Swift.run(large, store, {}, { machine }))
      assert.include(done.notes!.join(), "made of the MD5s of its 4 segments")
      assert.deepStrictEqual(done.proof!.compared, ["md5 of each part"])
      assert.include(done.notes!.join(), `there was no container "${container}_segments": it was made`)
      assert.strictEqual(done.object!.size, large.length)
      const head = await account.send("HEAD", `/${container}/big`)
      assert.strictEqual(head.headers.get("x-static-large-object"), "True")
      assert.strictEqual(head.headers.get("etag"), `"${Swift.sloEtag(large, mib)}"`)
      assert.isTrue((await account.bytes(`/${container}/big`)).equals(large))
      const names = await account.names(`${container}_segments`)
      assert.lengthOf(names, 4)
      for (const name of names) assert.match(name, /^big\/headrace\/\d+-[0-9a-f]{8}\/3145745\/0000000[1-4]$/)
      assert.deepStrictEqual(await Swift.runtime.runPromise(unfinished(store)), [])
    })
  }

  for (const [what, size, count] of [
    ["an exact multiple", 2 * mib, 2],
    ["one byte more", 2 * mib + 1, 3],
    ["exactly segmentSize", mib, 0],
    ["a byte above it", mib + 1, 2]
  ] as const) {
    it(`${what} has ${count} segments`, async () => {
      const container = Swift.container()
      const bytes = Swift.noise(size, 3)
      const outcome = await Swift.run(bytes, account.store({ container, object: "o", segmentSize: mib }))
      fine(outcome)
      assert.lengthOf(await account.names(`${container}_segments`), count)
      assert.isTrue((await account.bytes(`/${container}/o`)).equals(bytes))
    })
  }

  it("of unknown size is in segments, and read once", async () => {
    const container = Swift.container()
    const outcome = await Swift.run(
      Swift.unsized(large, false),
      account.store({ container, object: "piped", segmentSize: mib })
    )
    fine(outcome)
    assert.isTrue((await account.bytes(`/${container}/piped`)).equals(large))
    for (const name of await account.names(`${container}_segments`)) assert.include(name, "/unsized/")
  })

  it("is compared as a whole when it is read back", async () => {
    const container = Swift.container()
    const store = account.store({ container, object: "o", segmentSize: mib })
    const done = fine(await Swift.run(large, store, { verify: "destination" }))
    assert.deepStrictEqual(done.proof!.compared, ["md5 of each part", "sha256"])
  })

  for (const name of [
    "a b/c%20d/é ü/日本.img",
    "what?#&=+;,'\"<>",
    "%2F%",
    "..a/.b./...",
    "//double//",
    "emoji 🚀",
    "line\nbreak"
  ]) {
    it(`may be called ${JSON.stringify(name)}, plain and in segments`, async () => {
      const container = `${Swift.container()} é%?`
      const path = `/${encodeURIComponent(container)}/`
      fine(await Swift.run(small, account.store({ container, object: name })))
      assert.deepStrictEqual(await account.names(container), [name])
      fine(await Swift.run(large, account.store({ container, object: name, segmentSize: mib })))
      assert.deepStrictEqual(await account.names(container), [name])
      assert.lengthOf(await account.names(`${container}_segments`), 4)
      const encoded = name.split("/").map(encodeURIComponent).join("/")
      assert.isTrue((await account.bytes(`${path}${encoded}`)).equals(large))
    })
  }

  it("takes the place of another, plain and large, whose segments are left and told of", async () => {
    const container = Swift.container()
    const put = (bytes: Uint8Array, segmentSize?: number) =>
      Swift.run(bytes, account.store({ container, object: "o", segmentSize }))
    fine(await put(small))
    assert.notInclude((fine(await put(large, mib)).notes ?? []).join(), "a large object was there before")
    const back = fine(await put(small))
    assert.include(back.notes!.join(), "a large object was there before")
    assert.lengthOf(await account.names(`${container}_segments`), 4)
    assert.isTrue((await account.bytes(`/${container}/o`)).equals(small))
    // What is left is no part of any object, and can be given up.
    const store = account.store({ container, object: "o" })
    const [left, ...others] = await Swift.runtime.runPromise(unfinished(store))
    assert.lengthOf(others, 0)
    assert.strictEqual(left!.bytes, large.length)
    await Swift.runtime.runPromise(Effect.scoped(store.abort!(left!.token)))
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
  })

  it("and the upload of the segments that it is made of are not given up", async () => {
    const container = Swift.container()
    const store = account.store({ container, object: "o", segmentSize: mib })
    fine(await Swift.run(large, store))
    const [first] = await account.names(`${container}_segments`)
    const token = `${container}_segments/${first!.replace(/\/\d+$/, "")}`
    const error = await Swift.runtime.runPromise(Effect.flip(Effect.scoped(store.abort!(token))))
    assert.strictEqual(error.reason._tag, "Conflict")
    const stranger = await Swift.runtime.runPromise(Effect.flip(Effect.scoped(store.abort!("x_segments/o/headrace/1"))))
    assert.strictEqual(stranger.reason._tag, "InvalidConfig")
    assert.lengthOf(await account.names(`${container}_segments`), 4)
  })

  it("that was the same before is not taken for ours: the time of the write tells", async () => {
    const container = Swift.container()
    const store = account.store({ container, object: "o" })
    fine(await Swift.run(small, store))
    const before = (await account.send("HEAD", `/${container}/o`)).headers.get("x-timestamp")
    fine(await Swift.run(small, store))
    assert.notStrictEqual((await account.send("HEAD", `/${container}/o`)).headers.get("x-timestamp"), before)
  })

  it("is not touched by an upload whose source is not as expected", async () => {
    const container = Swift.container()
    fine(await Swift.run(small, account.store({ container, object: "o" })))
    for (const segmentSize of [undefined, mib]) {
      const store = account.store({ container, object: "o", segmentSize })
      failed(await Swift.run(large, store, { expect: { sha256: "0".repeat(64) } }), "SourceMismatch", /sha256/, "none")
      assert.isTrue((await account.bytes(`/${container}/o`)).equals(small))
    }
    assert.deepStrictEqual(await account.names(`${container}_segments`), [])
  })

  it("cannot have a name that is too long, or a container with a slash", async () => {
    const container = Swift.container()
    failed(
      await Swift.run(small, account.store({ container, object: "x".repeat(1025) })),
      "InvalidUri",
      /1 to 1024 bytes/,
      "none"
    )
    const most = { container, object: "x".repeat(1000), segmentSize: mib }
    failed(await Swift.run(large, account.store(most)), "InvalidUri", /at most 960 bytes/)
    for (const object of ["..", "a/./b", "a/.."]) {
      failed(await Swift.run(small, account.store({ container, object })), "InvalidUri", /cannot be reached/, "none")
    }
    failed(
      await Swift.run(small, account.store({ container: "a/b", object: "o" })),
      "InvalidUri",
      /no container's name/
    )
    failed(
      await Swift.run(small, account.store({ container, object: "o", segmentSize: 0 })),
      "InvalidConfig",
      /segments have/
    )
    assert.strictEqual((await account.send("HEAD", `/${container}`)).status, 404)
  })

  it("of which a plan is made is not made", async () => {
    const container = Swift.container()
    const content = { size: large.length, head: large.subarray(0, 100) }
    const store = account.store({ container, object: "o", segmentSize: mib })
    const plan = await Swift.runtime.runPromise(Effect.scoped(store.plan(content)))
    assert.deepStrictEqual(plan, {
      action: "create",
      why: `a new object, in segments, in the container "${container}_segments"; the container "${container}" is made`
    })
    assert.strictEqual((await account.send("HEAD", `/${container}`)).status, 404)
    const can = await Swift.runtime.runPromise(Effect.scoped(store.capabilities))
    assert.deepInclude(can, { shape: "parts", reports: ["md5"], unfinished: { list: true, abort: true, resume: true } })
    assert.strictEqual(can.parts!.maxParts, 1000)
    assert.strictEqual(can.details["version"], "2.38.3")
  })
})

const unfinished = (store: ReturnType<Swift.Account["store"]>) => Stream.runCollect(store.unfinished!)
