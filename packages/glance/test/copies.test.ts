/**
 * Several stores of one service from one sending: the embedded Glance in both manners, whose imports go well, fail, hang
 * and are lost.
 */
import { createHash, randomBytes } from "node:crypto"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import { type EmbeddedGlance, type Fault, type Options, start } from "@headrace/testkit/EmbeddedGlance"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { type Outcome, runtime, upload } from "./support/upload.ts"

const bytes = randomBytes(1_500_000)
// Not by chance a boot signature, which would be refused.
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")

const admin = "root:ops:admin"
const member = "ann:one:member"
const stores = [
  { id: "fast", default: true },
  { id: "cheap" },
  { id: "cold" },
  { id: "full", fullAfterBytes: 1000 },
  { id: "web", readOnly: true }
]

const open: Array<EmbeddedGlance> = []
afterEach(() => Promise.all(open.splice(0).map((glance) => glance.close())))
afterAll(() => runtime.dispose())

const begin = async (options: Options = {}): Promise<EmbeddedGlance> => {
  const glance = await start({ auth: "fake", stores, ...options })
  open.push(glance)
  return glance
}

interface More {
  readonly token?: string
  readonly image?: GlanceStore.ImageOptions
  readonly transfer?: Partial<Transfer.Options>
}

const send = (glance: EmbeddedGlance, store: ReadonlyArray<string>, more: More = {}): Promise<Outcome> =>
  upload(
    { endpoint: glance.url, token: more.token ?? admin },
    bytes,
    { store, ...more.image },
    { retries: 1, answerMs: 1500, ...more.transfer }
  )

const results = ({ receipt }: Pick<Outcome, "receipt">) =>
  receipt.destinations.map(({ error, status }) => error?.reason ?? status)

/** Requests of one kind. */
const count = (glance: EmbeddedGlance, method: string, path: RegExp) =>
  glance.requests.filter((request) => request.method === method && path.test(request.path)).length
const asked = (glance: EmbeddedGlance) => count(glance, "POST", /\/import$/)

const only = (glance: EmbeddedGlance) => {
  const images = glance.images.list()
  assert.strictEqual(images.length, 1)
  return images[0]!
}

const until = async (holds: () => boolean): Promise<void> => {
  for (let waited = 0; !holds(); waited += 5) {
    if (waited > 5000) throw new Error("it did not come to pass within five seconds")
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe.each(["eventlet", "uwsgi"] as const)("an image in several stores, behind %s", (manner) => {
  const site = (options: Options = {}) => begin({ manner, ...options })

  it("is sent once, copied by the service, and proven in each", async () => {
    const glance = await site()
    const outcome = await send(glance, ["fast", "cheap", "cold"])
    assert.deepStrictEqual(results(outcome), ["verified", "verified", "verified"])
    const image = only(glance)
    assert.deepStrictEqual(image.stores, ["fast", "cheap", "cold"])
    for (const store of image.stores) assert.isTrue((await glance.images.bytes(image.id, store))?.equals(bytes))
    const host = new URL(glance.url).host
    assert.deepStrictEqual(
      outcome.receipt.destinations.map((end) => [
        end.uri,
        end.object?.store,
        end.object?.size,
        end.object?.digests.sha512,
        end.attempts,
        end.bytesSent
      ]),
      ["fast", "cheap", "cold"].map((store, index) => [
        `glance://${host}/test?store=${store}`,
        store,
        bytes.length,
        sha512,
        1,
        index === 0 ? bytes.length : 0
      ])
    )
    assert.deepStrictEqual(outcome.receipt.destinations[1]?.proof?.compared, ["md5", "sha512"])
    assert.deepStrictEqual([count(glance, "PUT", /\/file$/), asked(glance)], [1, 1])
  })

  it("is protected and proven when it is copied, and a given image is as good", async () => {
    const glance = await site()
    assert.deepStrictEqual(results(await send(glance, ["cheap", "fast"], { image: { protected: true } })), [
      "verified",
      "verified"
    ])
    const made = await fetch(`${glance.url}/v2/images`, {
      method: "POST",
      headers: { "X-Auth-Token": admin, "Content-Type": "application/json" },
      body: JSON.stringify({ name: "given" })
    })
    const { id } = (await made.json()) as { readonly id: string }
    const outcome = await send(glance, ["fast", "cold"], { image: { id, name: undefined } })
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
    assert.deepStrictEqual(glance.images.get(id)?.stores, ["fast", "cold"])
  })

  it("of which one is full has that one tried again, and the others stand", async () => {
    const glance = await site()
    const outcome = await send(glance, ["fast", "full", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "Unavailable", "verified"])
    const { error, attempts } = outcome.receipt.destinations[1]!
    const { id, stores } = only(glance)
    assert.deepStrictEqual(stores, ["fast", "cheap"])
    assert.deepStrictEqual([attempts, error?.left], [2, `active image ${id}`])
    assert.include(error?.message, `the service could not copy image ${id} to "full"`)
    assert.strictEqual(outcome.error?.uri, outcome.receipt.destinations[1]?.uri)
    assert.strictEqual(outcome.error?.reason._tag, "Unavailable")
  })

  it.each([
    ["fails", 1, "verified", 2],
    ["lost", 1, "verified", 2],
    ["orphaned", 1, "verified", 2],
    ["fails", 2, "Unavailable", 2],
    ["lost", 2, "Unavailable", 2],
    ["hangs", 1, "Stalled", 1]
  ] as const)("whose import %s %i times is %s after %i requests", async (ends, times, result, requests) => {
    const glance = await site()
    for (let i = 0; i < times; i++) glance.faults.push({ type: "import", on: "import", ends })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", result])
    assert.strictEqual(asked(glance), requests)
    assert.strictEqual(outcome.receipt.destinations[1]?.attempts, requests)
    const image = only(glance)
    assert.strictEqual(image.hashValue, sha512)
    if (result !== "verified") {
      assert.strictEqual(outcome.receipt.destinations[1]?.error?.left, `active image ${image.id}`)
    }
  })

  it.each([
    ["lost after the service took it", { type: "drop", on: "import", at: "after", how: "reset" }],
    ["lost before the service saw it", { type: "drop", on: "import", at: "before", how: "reset" }],
    ["a proxy's 502, though it was taken", { type: "answer", on: "import", at: "after", status: 502 }],
    ["a 503", { type: "answer", on: "import", at: "before", status: 503, requestId: true }]
  ] as ReadonlyArray<readonly [string, Fault]>)(
    "whose answer to the request is %s, is copied by one import",
    async (_name, fault) => {
      const glance = await site({ importStepMs: 100 })
      glance.faults.push(fault)
      assert.deepStrictEqual(results(await send(glance, ["fast", "cheap"])), ["verified", "verified"])
      const answer = await fetch(`${glance.url}/v2/images/${only(glance).id}/tasks`, {
        headers: { "X-Auth-Token": admin }
      })
      const { tasks } = (await answer.json()) as { readonly tasks: ReadonlyArray<{ readonly status: string }> }
      assert.deepStrictEqual(
        tasks.map(({ status }) => status),
        ["success"]
      )
    }
  )

  it("is not copied for a member where nothing can be staged, who is told whom to ask", async () => {
    const glance = await site({ importMethods: ["copy-image"] })
    const outcome = await send(glance, ["fast", "cheap"], { token: member })
    assert.deepStrictEqual(results(outcome), ["verified", "Forbidden"])
    const { attempts, error } = outcome.receipt.destinations[1]!
    assert.deepStrictEqual([attempts, error?.status, error?.left], [1, 403, `active image ${only(glance).id}`])
    assert.match(
      error?.message ?? "",
      /copying to stores is for administrators .*: ask them to copy the image to "cheap"$/
    )
  })

  it("is not copied where the service has no imports, which a plan says before", async () => {
    const glance = await site({ importMethods: [] })
    const to = [
      GlanceStore.image({ endpoint: glance.url, token: Redacted.make(admin), name: "x", store: ["fast", "cheap"] })
    ]
    const planned = await runtime.runPromise(Transfer.plan({ source: Source.fromBytes(bytes), to }))
    assert.deepStrictEqual(
      planned.destinations.map(({ action, problem }) => [action, problem?.reason]),
      [
        ["create", undefined],
        ["fail", "Unsupported"]
      ]
    )
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "Unsupported"])
    assert.deepStrictEqual([asked(glance), outcome.receipt.destinations[1]?.attempts], [0, 0])
    assert.include(outcome.receipt.destinations[1]?.error?.message, "(its import methods: none)")
  })

  it("waits for somebody else's import, and does not ask for what that has brought", async () => {
    const glance = await site({ importStepMs: 150 })
    const other = async (): Promise<number> => {
      await until(() => glance.images.list()[0]?.status === "active")
      const answer = await fetch(`${glance.url}/v2/images/${only(glance).id}/import`, {
        method: "POST",
        headers: { "X-Auth-Token": admin, "Content-Type": "application/json" },
        body: JSON.stringify({ method: { name: "copy-image" }, stores: ["cheap"], all_stores_must_succeed: false })
      })
      return answer.status
    }
    // The record that proves the upload comes late, so that the other is first.
    glance.faults.push({ type: "delay", on: "show", at: "after", ms: 400 })
    const [outcome, status] = await Promise.all([send(glance, ["fast", "cheap", "cold"]), other()])
    assert.strictEqual(status, 202)
    assert.deepStrictEqual(results(outcome), ["verified", "verified", "verified"])
    assert.deepStrictEqual(
      outcome.receipt.destinations.map(({ attempts }) => attempts),
      [1, 0, 1]
    )
    assert.deepStrictEqual(only(glance).stores, ["fast", "cheap", "cold"])
  })

  it("that is deleted while it is copied has no copies", async () => {
    const glance = await site({ importStepMs: 300 })
    const running = send(glance, ["fast", "cheap"])
    await until(() => asked(glance) === 1)
    await fetch(`${glance.url}/v2/images/${only(glance).id}`, { method: "DELETE", headers: { "X-Auth-Token": admin } })
    const outcome = await running
    assert.deepStrictEqual(results(outcome), ["verified", "Gone"])
    assert.strictEqual(outcome.receipt.destinations[1]?.error?.left, "none")
  })

  it("whose service goes away while it copies is left unknown", async () => {
    const glance = await site({ importStepMs: 300 })
    const running = send(glance, ["fast", "cheap"])
    await until(() => asked(glance) === 1)
    const { id } = only(glance)
    await glance.close()
    const outcome = await running
    assert.deepStrictEqual(results(outcome), ["verified", "ConnectionLost"])
    const host = new URL(glance.url).host
    assert.strictEqual(outcome.receipt.destinations[1]?.error?.left, `unknown glance://${host}/${id}`)
  })

  it("is watched through the image where its tasks are not shown", async () => {
    const glance = await site({ importStepMs: 100 })
    const hidden: Fault = { type: "answer", on: "tasks", at: "before", status: 403, requestId: true }
    glance.faults.push(...Array.from({ length: 100 }, () => hidden))
    assert.deepStrictEqual(results(await send(glance, ["fast", "cheap", "full"])), [
      "verified",
      "verified",
      "Unavailable"
    ])
  })

  it("that is interrupted stays where it is proven, and the receipt says so", async () => {
    const glance = await site({ importStepMs: 2000 })
    const abort = new AbortController()
    const events: Array<TransferEvent> = []
    const place = { endpoint: glance.url, token: Redacted.make(admin) }
    const running = runtime.runPromiseExit(
      Transfer.run({
        source: Source.fromBytes(bytes),
        to: [GlanceStore.image({ ...place, name: "test", store: ["fast", "cheap"] })],
        onEvent: (event) => Effect.sync(() => void events.push(event))
      }),
      { signal: abort.signal }
    )
    await until(() => asked(glance) === 1)
    const began = performance.now()
    abort.abort()
    await running
    assert.isBelow(performance.now() - began, 5000)
    const receipt = events.at(-1)
    if (receipt?.type !== "receipt") return assert.fail("no receipt")
    assert.deepStrictEqual(
      receipt.destinations.map(({ error, status }) => [status, error?.left]),
      [
        ["verified", undefined],
        ["cancelled", `active image ${only(glance).id}`]
      ]
    )
    assert.include(receipt.destinations[1]?.error?.message, "the service may go on copying by itself")
    assert.deepInclude(only(glance), { status: "active", hashValue: sha512 })
    assert.strictEqual(count(glance, "DELETE", /./), 0)
  })

  it("is read back from where the bytes were sent; the copies say that they are not", async () => {
    const glance = await site()
    const { receipt } = await send(glance, ["fast", "cheap"], { transfer: { verify: "destination" } })
    assert.deepStrictEqual(
      receipt.destinations.map(({ proof, status }) => [status, proof?.level]),
      [
        ["verified", "destination"],
        ["verified", "transfer"]
      ]
    )
    assert.match(receipt.destinations[1]?.notes?.[0] ?? "", /^a copy cannot be read back by itself/)
  })

  it("fails whole, and before a byte, where a store is none that can be written", async () => {
    const glance = await site()
    for (const [list, reason, words] of [
      [["fast", "nosuch"], "UnknownStore", 'there is no store "nosuch"; the stores are: fast, cheap, cold, full'],
      [["fast", "web"], "UnknownStore", 'the store "web" is read-only'],
      [["fast", "cheap", "fast"], "InvalidConfig", 'the store "fast" is named twice'],
      [["fast", "cheap", "cheap"], "InvalidConfig", 'the store "cheap" is named twice'],
      [["fast", ""], "InvalidConfig", "the name of a store is empty"],
      [[], "InvalidConfig", "the list of stores is empty"]
    ] as const) {
      const outcome = await send(glance, list)
      assert.deepStrictEqual(new Set(results(outcome)), new Set([reason]))
      assert.include(outcome.error?.message, words)
      assert.strictEqual(outcome.receipt.destinations[0]?.error?.left, "none")
    }
    assert.deepStrictEqual([glance.images.list().length, count(glance, "POST", /./)], [0, 0])
    const place = { endpoint: glance.url, token: Redacted.make(admin), name: "x" }
    const to = [GlanceStore.image({ ...place, store: ["fast", "cheap", "nosuch"] })]
    const planned = await runtime.runPromise(Transfer.plan({ source: Source.fromBytes(bytes), to }))
    assert.deepStrictEqual(
      planned.destinations.map(({ action, problem, why }) => [action, problem?.reason ?? why]),
      [
        ["fail", "UnknownStore"],
        ["create", "the service copies the image there from the store fast"],
        ["fail", "UnknownStore"]
      ]
    )
  })

  it("copies nothing where the upload failed", async () => {
    const glance = await site({ quota: { imageSizeCap: 1_000_000 } })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["TooLarge", "TooLarge"])
    assert.include(outcome.receipt.destinations[1]?.error?.message, "there is nothing to copy: ")
    assert.deepStrictEqual([asked(glance), glance.images.list().length], [0, 0])
  })

  it("is not asked for again where the project's limit is in the way", async () => {
    const glance = await site({ quota: { imageStageTotal: 0 } })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "QuotaExceeded"])
    assert.include(outcome.receipt.destinations[1]?.error?.message, "image_stage_total")
    assert.strictEqual(asked(glance), 1)
  })
})

describe("the URIs of an image in several stores", () => {
  it("name one store each, whatever the destination is called", () => {
    const uris = (options: GlanceStore.ImageOptions) => {
      const made = GlanceStore.image({ cloud: "prod", ...options })
      return [made.uri, ...(made.copies ?? []).map(({ uri }) => uri)]
    }
    assert.deepStrictEqual(uris({ name: "a b", store: ["x", "y/z"] }), [
      "glance://prod/a%20b?store=x",
      "glance://prod/a%20b?store=y%2Fz"
    ])
    assert.deepStrictEqual(uris({ uri: "glance://prod/d?store=x&tag=t&store=y", store: ["x", "y"] }), [
      "glance://prod/d?store=x&tag=t",
      "glance://prod/d?store=y&tag=t"
    ])
    assert.deepStrictEqual(uris({ uri: "glance://prod/d?tag=t&store=x", store: "x" }), [
      "glance://prod/d?tag=t&store=x"
    ])
    assert.deepStrictEqual(uris({ name: "d", store: ["x"] }), ["glance://prod/d?store=x"])
    const typed = Result.getOrThrow(GlanceStore.fromUri("glance://prod/d?store=x&tag=t&store=y&store=z"))
    assert.deepStrictEqual(
      [typed.uri, ...(typed.copies ?? []).map(({ uri }) => uri)],
      ["x", "y", "z"].map((store) => `glance://prod/d?store=${store}&tag=t`)
    )
  })
})
