/** The kit catches adapters that a wire which breaks shows to be broken. */
import type { Store } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as HttpStore from "@headrace/http/HttpStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import { afterAll, assert, describe, it } from "vitest"
import * as Web from "../../http/test/support/web.ts"
import { credentials, inMemory } from "./support/broken.ts"
import { overHttp } from "./support/brokenWire.ts"
import * as Shelf from "./support/shelf.ts"

const web = await Web.start({
  etags: true,
  reports: (bytes) => ({ "Repr-Digest": `sha-256=:${Web.base64("sha256", bytes)}:` })
})
afterAll(() => web.close())

const options = {
  capabilities: { shape: "whole" },
  truth: (key: string) => Effect.sync(() => web.objects.get(`/${key}`)),
  service: { port: web.port },
  secrets: ["hunter2"],
  patienceMs: 2000
} as const

describe.concurrent("an adapter of a web server that", () => {
  for (const { breaks, caughtBy, fault, says } of overHttp) {
    it(`${fault} is caught`, async () => {
      const scenario = Conformance.scenarios({
        ...options,
        make: ({ address, key }) =>
          breaks(HttpStore.put({ url: `http://user:hunter2@${address!.host}:${address!.port}/${key}` }))
      }).find(({ name }) => name === caughtBy)
      const violation = await Effect.runPromise(Effect.flip(scenario!.run).pipe(Effect.provide(NodeTransport.layer)))
      assert.match(violation.message, says)
      assert.strictEqual(violation.scenario, caughtBy)
    })
  }
})

const shelf = await Shelf.start()
afterAll(() => shelf.close())

const onShelf = (alter: (store: ReturnType<typeof Shelf.object>) => ReturnType<typeof Shelf.object> = (same) => same) =>
  ({
    capabilities: {
      shape: "parts",
      parts: Shelf.limits,
      reports: ["sha256"],
      unfinished: { list: true, abort: true, resume: true }
    },
    make: ({ address, key }) => alter(Shelf.object({ address: address!, key })),
    truth: (key) => Effect.sync(() => shelf.objects.get(key)?.bytes),
    put: (key, bytes) => Effect.sync(() => shelf.objects.set(key, { bytes: Buffer.from(bytes), upload: "another" })),
    unfinished: (key) => Effect.sync(() => [...shelf.uploads.values()].filter((upload) => upload.key === key).length),
    service: {
      port: shelf.port,
      isBegin: ({ method, path }) => method === "PUT" && path.includes("?key="),
      isFinish: ({ path }) => path.endsWith("/finish")
    },
    keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this"]
  }) satisfies Conformance.Options<Transport>

Conformance.suite("a shelf, in parts over the wire", NodeTransport.layer, onShelf())

const ofParts = [
  {
    fault: "makes an upload each time that it begins",
    caughtBy: "makes nothing twice when the answer to the beginning was lost",
    says: /nothing but the object is left\n {2}but the service has 1 unfinished upload of it/,
    make: ({ address, key }: Conformance.Target) => Shelf.object({ address: address!, key, keepsId: false })
  },
  {
    fault: "gives up when a finish is lost",
    caughtBy: "finds out what became of an object whose last answer was lost",
    says: /a transfer goes on after a finish that a gateway has refused, and is proven\n {2}but it failed with Unavailable/,
    make: ({ address, key }: Conformance.Target): Store<Transport> => {
      const store = Shelf.object({ address: address!, key })
      const open: Store<Transport>["open"] = (content) =>
        Effect.map(store.open(content), (session) => ({
          ...session,
          finish: (object) =>
            Effect.mapError(
              session.finish(object),
              (error) => new StoreError.StoreError({ ...error, retryable: false, clear: true })
            )
        }))
      return { ...store, open }
    }
  }
]

describe.concurrent("an adapter of a shelf that", () => {
  for (const { caughtBy, fault, make, says } of ofParts) {
    it(`${fault} is caught`, async () => {
      const scenario = Conformance.scenarios<Transport>({ ...onShelf(), make }).find(({ name }) => name === caughtBy)
      const violation = await Effect.runPromise(Effect.flip(scenario!.run).pipe(Effect.provide(NodeTransport.layer)))
      assert.match(violation.message, says)
    })
  }
})

describe("the kit", () => {
  it("has an adapter that each scenario catches", () => {
    const caught = new Set(
      [...inMemory, ...overHttp, ...ofParts, { caughtBy: credentials }].map(({ caughtBy }) => caughtBy)
    )
    assert.deepStrictEqual(
      Conformance.names.filter((name) => !caught.has(name)),
      []
    )
  })
})
