/** Clouds of `clouds.yaml`, and services that are set up otherwise: by Keystone, short tokens, small limits. */
import { Host } from "@headrace/core/Host"
import * as Clouds from "@headrace/keystone/Clouds"
import * as Source from "@headrace/core/Source"
import * as SwiftSource from "@headrace/swift/SwiftSource"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as BlockPool from "@headrace/core/BlockPool"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { type Keystone, startKeystone, startSwift, type Swift as Service } from "../../../testbed/testbed.ts"
import * as Swift from "./support/upload.ts"

const mib = 1024 * 1024
const small = Swift.noise(300_000)
const large = Swift.noise(3 * mib + 17, 2)

describe.skipIf(Swift.none)("a Swift of a cloud", () => {
  let keystone: Keystone
  let service: Service
  let machine: typeof Swift.runtime

  beforeAll(async () => {
    keystone = await startKeystone()
    service = await startSwift({
      keystone,
      tokenSeconds: 4,
      listingLimit: 1,
      maxSegments: 4,
      noBulk: true,
      maxFileSize: 2 * mib
    })
    const file = JSON.stringify({
      clouds: {
        v1: {
          auth_type: "v1password",
          auth: { auth_url: service.authUrl, username: service.user, password: service.key },
          region_name: "RegionOne"
        },
        wrong: {
          auth_type: "v1password",
          auth: { auth_url: service.authUrl, username: service.user, password: "wr0ng-key" }
        },
        v3: {
          auth: { auth_url: keystone.url, username: "demo", password: "demo-secret", project_name: "demo" },
          object_store_endpoint_override: `${service.url}/v1/KEY_%(project_id)s`
        },
        nowhere: {
          auth: { auth_url: keystone.url, username: "demo", password: "demo-secret", project_name: "demo" }
        }
      }
    })
    const host = Host.of({
      env: Effect.succeed({}),
      cwd: Effect.succeed("/work"),
      home: Effect.succeed("/home"),
      readFile: (path) => Effect.succeed(path === "/work/clouds.yaml" ? file : undefined)
    })
    machine = ManagedRuntime.make(
      Layer.mergeAll(
        BlockPool.layer({ bytes: 16 * mib, blockBytes: 64 * 1024 }),
        NodeTransport.layer,
        Layer.succeed(Host, host),
        Layer.succeed(Clouds.Clouds, Clouds.make())
      )
    )
  })
  afterAll(async () => {
    await Promise.all([machine?.dispose(), Swift.runtime.dispose(), Swift.narrow.dispose()])
    await Promise.all([service?.stop(), keystone?.stop()])
  })

  const names = async (container: string) => {
    const all: Array<string> = []
    for (let page = [""]; page.length > 0;) {
      // Tokens end soon here.
      const fresh = await Swift.account(service.authUrl)
      const marker = encodeURIComponent(all.at(-1) ?? "")
      const answer = await fresh.send("GET", `/${container}?format=json&marker=${marker}`)
      if (answer.status !== 404) assert.include([200, 204], answer.status)
      page = answer.status === 200 ? ((await answer.json()) as Array<{ name: string }>).map(({ name }) => name) : []
      all.push(...page)
    }
    return all
  }

  for (const cloud of ["v1", "v3"]) {
    it(`signs in as ${cloud} says, writes, and reads`, async () => {
      const container = Swift.container()
      for (const [bytes, object] of [
        [small, "s m"],
        [large, "l"]
      ] as const) {
        const store = SwiftStore.fromUri(
          `swift://${cloud}/${container}/${encodeURIComponent(object)}?segment_size=1MiB`
        )
        if (store._tag === "Failure") return assert.fail(store.failure.message)
        const outcome = await Swift.run(bytes, store.success, { verify: "destination" }, { machine })
        assert.isUndefined(outcome.error, outcome.error?.message)
        const back = await Swift.run(
          SwiftSource.object({ cloud, container, object }),
          SwiftStore.object({ cloud, container, object: "copy", segmentSize: mib }),
          { verify: "destination" },
          { machine }
        )
        assert.isUndefined(back.error, back.error?.message)
        assert.strictEqual(back.receipt.source.size, bytes.length)
      }
    })
  }

  it("goes on over the ends of several tokens", async () => {
    const container = Swift.container()
    const store = SwiftStore.object({ cloud: "v1", container, object: "slow", segmentSize: mib })
    const begin = Date.now()
    const slow = Source.fromStream({
      uri: "memory:slow",
      replayable: true,
      info: Effect.succeed({ size: large.length, identity: "slow" }),
      open: (offset) =>
        Stream.fromIterable(
          Array.from({ length: 49 }, (_, i) => large.subarray(offset + i * 65_536, offset + (i + 1) * 65_536))
        ).pipe(
          Stream.rechunk(1),
          Stream.tap(() => Effect.sleep(150))
        )
    })
    const outcome = await Swift.run(slow, store, { verify: "destination" }, { machine })
    assert.isUndefined(outcome.error, outcome.error?.message)
    assert.isAtLeast(Date.now() - begin, 6000)
    assert.lengthOf(await names(`${container}_segments`), 4)
  })

  it("refuses a wrong key, which is not shown, and a cloud without Swift", async () => {
    const container = Swift.container()
    for (const [cloud, reason] of [
      ["wrong", "Unauthorized"],
      ["nowhere", "NotFound"],
      ["unknown", "InvalidConfig"]
    ] as const) {
      const { error } = await Swift.run(small, SwiftStore.object({ cloud, container, object: "o" }), {}, { machine })
      assert.strictEqual(error?.reason._tag, reason, error?.message)
      assert.notInclude(error!.message, "wr0ng-key")
      assert.strictEqual(error!.left, "none")
    }
  })

  it("has limits, which are kept: larger segments where there would be too many, and none too large", async () => {
    const container = Swift.container()
    const put = (bytes: Uint8Array, segmentSize?: number) =>
      Swift.run(bytes, SwiftStore.object({ cloud: "v1", container, object: "o", segmentSize }), {}, { machine })
    // 13 segments of 256 KiB are 4 of a MiB here.
    assert.isUndefined((await put(large, mib / 4)).error)
    assert.lengthOf(await names(`${container}_segments`), 4)
    // Above 2 MiB there is no plain object.
    assert.match((await put(large)).receipt.destinations[0]!.notes!.join(), /its 2 segments/)
    const { error } = await put(Swift.noise(9 * mib))
    assert.strictEqual(error?.reason._tag, "TooLarge", error?.message)
    const sized = await put(small, 3 * mib)
    assert.strictEqual(sized.error?.reason._tag, "InvalidConfig")
  })

  it("takes more segments than a manifest may name, of a source of unknown size", async () => {
    const container = Swift.container()
    const store = SwiftStore.object({ cloud: "v1", container, object: "o", segmentSize: mib / 4 })
    const outcome = await Swift.run(Swift.unsized(large, false), store, { verify: "destination" }, { machine })
    assert.isUndefined(outcome.error, outcome.error?.message)
    // Of 8 blocks each.
    const parts = await names(`${container}_segments`)
    const isManifest = (name: string) => /\/m\d{8}$/.test(name)
    assert.lengthOf(parts.filter(isManifest), 2)
    assert.lengthOf(parts, 2 + 7)
    assert.match(outcome.receipt.destinations[0]!.notes!.join(), /its 7 segments/)
    assert.deepStrictEqual(await machine.runPromise(Stream.runCollect(store.unfinished!)), [])
    // A manifest may name 4 manifests of 4 segments here.
    const { error } = await Swift.run(Swift.unsized(Swift.noise(17 * (mib / 2))), store, {}, { machine })
    assert.strictEqual(error?.reason._tag, "TooLarge", error?.message)
    assert.match(error!.message, /at most 16 segments/)
    assert.strictEqual(error!.left, "none")
    assert.lengthOf(await names(`${container}_segments`), 2 + 7)
  })

  it("gives manifests up with their segments, whose bytes alone count", async () => {
    const container = Swift.container()
    const store = SwiftStore.object({ cloud: "v1", container, object: "o", segmentSize: mib / 4 })
    const target = `/${container}_segments`
    const fresh = await Swift.account(service.authUrl)
    await fresh.send("PUT", `/${container}`)
    // Whatever becomes of it, it is no object's.
    await fresh.send("PUT", target)
    await fresh.send("PUT", `${target}/o/headrace/1795711010063-0123abcd/unsized/m00000001`, "m")
    await fresh.send("PUT", `${target}/o/headrace/1795711010063-0123abcd/unsized/00000001`, "x")
    const [left] = await machine.runPromise(Stream.runCollect(store.unfinished!))
    assert.strictEqual(left!.bytes, 1)
    await machine.runPromise(Effect.scoped(store.abort!(left!.token)))
    assert.deepStrictEqual(await names(`${container}_segments`), [])
  })

  it("has listings of many pages, and segments that are deleted one by one", async () => {
    const container = Swift.container()
    const store = SwiftStore.object({ cloud: "v1", container, object: "o", segmentSize: mib })
    const fresh = await Swift.account(service.authUrl)
    const prefix = "o/headrace/1795711010063-0123abcd/77/"
    await fresh.send("PUT", `/${container}_segments`)
    for (const number of [1, 2, 3])
      await fresh.send("PUT", `/${container}_segments/${prefix}0000000${number}`, "seven..")
    // Not a segment, whatever it looks like.
    await fresh.send("PUT", `/${container}_segments/o/headrace/mine`, "seven..")
    const left = await machine.runPromise(Stream.runCollect(store.unfinished!))
    const token = `${container}_segments/${prefix.replace(/\/$/, "")}`
    assert.deepStrictEqual(left, [{ token, uri: store.uri, startedAt: 1_795_711_010_063, bytes: 21 }])
    await machine.runPromise(Effect.scoped(store.abort!(token)))
    assert.deepStrictEqual(await names(`${container}_segments`), ["o/headrace/mine"])
  })
})
