/**
 * Several stores of one service for people who may not copy: the bytes are staged once and imported into all. The embedded
 * Glance in both manners, whose staging and imports go well, fail, hang and are lost.
 */
import { createHash, randomBytes } from "node:crypto"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { buffer } from "node:stream/consumers"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import { type EmbeddedGlance, type Fault, type Options, start } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import { type Outcome, runtime, upload } from "./support/upload.ts"

const bytes = randomBytes(1_500_000)
// Not by chance a boot signature, which would be refused.
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")

const member = "ann:one:member"
const stores = [
  { id: "fast", default: true },
  { id: "cheap" },
  { id: "cold" },
  { id: "full", fullAfterBytes: 1000 },
  { id: "gone", missing: true }
]

const open: Array<EmbeddedGlance> = []
afterEach(() => Promise.all(open.splice(0).map((glance) => glance.close())))
afterAll(() => runtime.dispose())

interface More {
  readonly token?: string
  readonly image?: GlanceStore.ImageOptions
  readonly transfer?: Partial<Transfer.Options>
  readonly source?: Source.Source
}

const send = (glance: EmbeddedGlance, store: ReadonlyArray<string>, more: More = {}): Promise<Outcome> =>
  upload(
    { endpoint: glance.url, token: more.token ?? member },
    more.source ?? bytes,
    { store, ...more.image },
    { retries: 1, answerMs: 1500, ...more.transfer }
  )

const results = ({ receipt }: Pick<Outcome, "receipt">) =>
  receipt.destinations.map(({ error, status }) => error?.reason ?? status)
const attempts = ({ receipt }: Outcome) => receipt.destinations.map(({ attempts }) => attempts)
const left = ({ receipt }: Outcome) => receipt.destinations.map(({ error }) => error?.left)

/** Requests of one kind. */
const count = (glance: EmbeddedGlance, method: string, path: RegExp) =>
  glance.requests.filter((request) => request.method === method && path.test(request.path)).length
/** Bodies to the store and to the staging area, imports, and deletions. */
const counts = (glance: EmbeddedGlance) => [
  count(glance, "PUT", /\/file$/),
  count(glance, "PUT", /\/stage$/),
  count(glance, "POST", /\/import$/),
  count(glance, "DELETE", /./)
]

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

const call = async (
  glance: EmbeddedGlance,
  method: string,
  path: string,
  body?: Uint8Array | object,
  token = member
) => {
  const raw = body instanceof Uint8Array
  const response = await fetch(`${glance.url}${path}`, {
    method,
    headers: { "X-Auth-Token": token, "Content-Type": raw ? "application/octet-stream" : "application/json" },
    ...(body === undefined ? {} : { body: raw ? Buffer.from(body) : JSON.stringify(body) })
  })
  return response.text()
}

const create = async (glance: EmbeddedGlance, values: object = {}, token = member): Promise<string> =>
  (JSON.parse(await call(glance, "POST", "/v2/images", values, token)) as { readonly id: string }).id

/** An image that was there before. */
const seed = async (glance: EmbeddedGlance, values: object = {}, token = member) => {
  const id = await create(glance, { disk_format: "raw", container_format: "bare", ...values }, token)
  await call(glance, "PUT", `/v2/images/${id}/file`, Buffer.alloc(100), token)
}

const planned = async (glance: EmbeddedGlance, store: ReadonlyArray<string>, token = member) => {
  const to = [GlanceStore.image({ endpoint: glance.url, token: Redacted.make(token), name: "x", store })]
  const plan = await runtime.runPromise(Transfer.plan({ source: Source.fromBytes(bytes), to }))
  return plan.destinations.map(({ action, problem, why }) => [problem?.reason ?? action, why])
}

describe.each(["eventlet", "uwsgi"] as const)("an image in several stores of a member, behind %s", (manner) => {
  const begin = async (options: Options = {}): Promise<EmbeddedGlance> => {
    const glance = await start({ manner, auth: "fake", stores, ...options })
    open.push(glance)
    return glance
  }

  it("is staged once, imported by the service, and proven in each store", async () => {
    const glance = await begin()
    const outcome = await send(glance, ["cheap", "fast", "cold"], { image: { protected: true } })
    assert.deepStrictEqual(results(outcome), ["verified", "verified", "verified"])
    assert.deepStrictEqual(counts(glance), [0, 1, 1, 0])
    const image = only(glance)
    assert.deepStrictEqual(image.stores, ["cheap", "fast", "cold"])
    for (const store of image.stores) assert.isTrue((await glance.images.bytes(image.id, store))?.equals(bytes))
    assert.deepInclude(image.view, { protected: true, status: "active" })
    assert.deepStrictEqual(
      outcome.receipt.destinations.map(({ attempts, bytesSent, object, proof }) => [
        object?.store,
        object?.digests.sha512,
        proof?.compared,
        attempts,
        bytesSent
      ]),
      [
        ["cheap", sha512, ["md5", "sha512"], 1, bytes.length],
        ["fast", sha512, ["md5", "sha512"], 0, 0],
        ["cold", sha512, ["md5", "sha512"], 0, 0]
      ]
    )
    assert.include(
      outcome.receipt.destinations[0]?.notes?.join("\n"),
      "staged, and imported into all stores in one go: this account may not have images copied"
    )
  })

  it("is planned as it is done, without making anything", async () => {
    const glance = await begin()
    const why = "the service imports the image there from what is staged: this account may not have images copied"
    assert.deepStrictEqual(await planned(glance, ["fast", "cheap"]), [
      [
        "create",
        'a new image "x", raw in bare, staged and imported into the stores fast, cheap; disk_format raw, taken from the first bytes'
      ],
      ["create", why]
    ])
    await seed(glance)
    assert.deepStrictEqual((await planned(glance, ["fast", "cheap"]))[1], ["create", why])
    assert.strictEqual(only(glance).status, "active")
    assert.isUndefined(only(glance).view["os_glance_import_task"])
  })

  it.each([
    ["nobody but administrators", { membersMayCopy: false }, [0, 1, 2, 0] as ReadonlyArray<number>],
    ["those whose image it is", { membersMayCopy: true }, [1, 0, 2, 0] as ReadonlyArray<number>]
  ] as const)("is copied or imported as the policy lets %s copy", async (_name, options, expected) => {
    const glance = await begin(options)
    // Of another project's image one may be told no though one may copy one's own.
    await seed(glance)
    await seed(glance, { visibility: "public" }, "root:ops:admin")
    const before = counts(glance)
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
    // One of the imports is the question.
    assert.deepStrictEqual(
      counts(glance).map((now, index) => now - before[index]!),
      [...expected]
    )
    // It is asked once.
    await send(glance, ["fast", "cheap"])
    assert.strictEqual(counts(glance)[2], 3)
  })

  it("is asked about where an import has no lock on it, and by another right where it says nothing", async () => {
    const glance = await begin({ importStepMs: 3000 })
    await seed(glance)
    const { id } = only(glance)
    const copy = { method: { name: "copy-image" }, stores: ["cheap"], all_stores_must_succeed: false }
    await call(glance, "POST", `/v2/images/${id}/import`, copy, "root:ops:admin")
    assert.include((await planned(glance, ["fast", "cheap"]))[1]?.[1], "this account may not have images copied")
    assert.strictEqual(count(glance, "GET", /\/info\/stores\/detail$/), 1)
    // The one import is the copy.
    assert.strictEqual(counts(glance)[2], 1)
  })

  it("is staged after a copy was refused that was taken for allowed", async () => {
    const glance = await begin()
    // Whoever has the role of services sees the stores' details, and may not copy for all that.
    const token = "svc:one:member,service"
    assert.deepStrictEqual(results(await send(glance, ["fast", "cheap"], { token })), ["verified", "Forbidden"])
    assert.deepStrictEqual(results(await send(glance, ["fast", "cheap"], { token })), ["verified", "verified"])
    assert.deepStrictEqual(counts(glance), [1, 1, 2, 0])
  })

  it("is sent to the first store alone where there is neither way, and a plan says so", async () => {
    const glance = await begin({ importMethods: ["copy-image"] })
    const words =
      "copying to stores is for administrators unless the cloud's policy (copy_image) says otherwise, and this image service has no glance-direct import, which needs none"
    assert.deepStrictEqual((await planned(glance, ["fast", "cheap"]))[1], ["Forbidden", words])
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "Forbidden"])
    assert.include(outcome.receipt.destinations[1]?.error?.message, words)
    assert.deepStrictEqual(left(outcome), [undefined, `active image ${only(glance).id}`])
    assert.deepStrictEqual(counts(glance), [1, 0, 1, 0])
  })

  it("is imported also for an administrator where the service has no copy-image", async () => {
    const glance = await begin({ importMethods: ["glance-direct"] })
    const outcome = await send(glance, ["fast", "cheap"], { token: "root:ops:admin" })
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
    assert.include(outcome.receipt.destinations[0]?.notes?.join(), "the service has no copy-image import")
  })

  it("of which one is full stands in the others", async () => {
    const glance = await begin()
    const outcome = await send(glance, ["fast", "full", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "Unavailable", "verified"])
    const { id, stores } = only(glance)
    assert.deepStrictEqual(stores, ["fast", "cheap"])
    const { error } = outcome.receipt.destinations[1]!
    assert.strictEqual(error?.left, `active image ${id}`)
    assert.include(error?.message, `the service could not import image ${id} into "full"`)
    assert.include(error?.message, "copying to stores is for administrators")
  })

  it("of which the first is full stands in the others, and is sealed and kept", async () => {
    const glance = await begin()
    const outcome = await send(glance, ["full", "cheap", "fast"], { image: { hidden: true } })
    assert.deepStrictEqual(results(outcome), ["Unavailable", "verified", "verified"])
    const { id, stores, view } = only(glance)
    assert.deepStrictEqual([stores, view["os_hidden"]], [["cheap", "fast"], true])
    assert.strictEqual(
      outcome.receipt.destinations[0]?.error?.message,
      `the service could not import image ${id} into "full": it does not say why; it is in "cheap", "fast"`
    )
    assert.deepStrictEqual(left(outcome), [`active image ${id}`, undefined, undefined])
    assert.deepStrictEqual(counts(glance), [0, 1, 1, 0])
  })

  it("that no store takes is tried again, and nothing is left of it", async () => {
    const glance = await begin()
    const outcome = await send(glance, ["full", "gone"])
    assert.deepStrictEqual(results(outcome), ["Unavailable", "Unavailable"])
    assert.include(outcome.receipt.destinations[0]?.error?.message, 'into "full", "gone": ')
    assert.include(outcome.receipt.destinations[1]?.error?.message, "there is nothing to copy: ")
    assert.deepStrictEqual(left(outcome), ["none", "none"])
    assert.deepStrictEqual(counts(glance), [0, 2, 2, 1])
    assert.strictEqual(glance.images.list().length, 0)
  })

  it.each([
    ["fails", 1, "verified"],
    ["lost", 1, "verified"],
    ["orphaned", 1, "verified"],
    ["hangs", 1, "verified"],
    ["fails", 2, "Unavailable"],
    ["lost", 2, "Unavailable"],
    ["orphaned", 2, "Unavailable"],
    ["hangs", 2, "Stalled"]
  ] as const)("whose import %s %i times is made anew and %s", async (ends, times, result) => {
    const glance = await begin()
    for (let i = 0; i < times; i++) glance.faults.push({ type: "import", on: "import", ends })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), [result, result])
    assert.deepStrictEqual(counts(glance).slice(0, 3), [0, 2, 2])
    assert.strictEqual(outcome.receipt.destinations[0]?.attempts, 2)
    if (result === "verified") assert.strictEqual(only(glance).hashValue, sha512)
    else {
      assert.deepStrictEqual(left(outcome), ["none", "none"])
      assert.strictEqual(glance.images.list().length, 0)
    }
  })

  it.each([
    [
      "staging lost after the service took it",
      { type: "drop", on: "stage", at: "after", how: "reset", image: "active" }
    ],
    ["staging a proxy's 504", { type: "answer", on: "stage", at: "after", status: 504, image: "active" }],
    ["the import lost after the service took it", { type: "drop", on: "import", at: "after", how: "reset" }],
    ["the import lost before the service saw it", { type: "drop", on: "import", at: "before", how: "reset" }],
    ["the import a proxy's 502, though it was taken", { type: "answer", on: "import", at: "after", status: 502 }],
    ["the import a 503", { type: "answer", on: "import", at: "before", status: 503, requestId: true }],
    ["a look a 500", { type: "answer", on: "show", at: "before", status: 500, requestId: true }]
  ] as ReadonlyArray<readonly [string, Fault]>)("whose answer to %s is sent once", async (_name, fault) => {
    const glance = await begin({ importStepMs: 50 })
    glance.faults.push(fault)
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
    assert.deepStrictEqual([attempts(outcome)[0], counts(glance)[1], counts(glance)[3]], [1, 1, 0])
    const { tasks } = JSON.parse(await call(glance, "GET", `/v2/images/${only(glance).id}/tasks`)) as {
      readonly tasks: ReadonlyArray<{ readonly status: string }>
    }
    assert.deepStrictEqual(
      tasks.map(({ status }) => status),
      ["success"]
    )
  })

  it.each([
    [
      "cut is sent again to the same image",
      { type: "drop", on: "stage", at: { afterBytes: 500_000 }, how: "reset" },
      0
    ],
    [
      "never ended is sent again to another",
      { type: "drop", on: "stage", at: { afterBytes: 500_000 }, how: "reset", image: "saving" },
      1
    ]
  ] as ReadonlyArray<readonly [string, Fault, number]>)("whose body %s", async (_name, fault, deleted) => {
    const glance = await begin()
    glance.faults.push(fault)
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
    assert.deepStrictEqual(counts(glance), [0, 2, 1, deleted])
    assert.isTrue((await glance.images.bytes(only(glance).id, "cheap"))?.equals(bytes))
  })

  it("that a plugin of the import changes is a mismatch in every store, and is deleted", async () => {
    const glance = await begin()
    glance.faults.push({ type: "corrupt", on: "import", offset: 1000 })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["DigestMismatch", "DigestMismatch"])
    assert.deepStrictEqual(left(outcome), ["none", "none"])
    assert.strictEqual(glance.images.list().length, 0)
  })

  it("that the project may not stage is refused before a byte", async () => {
    const glance = await begin({ quota: { imageStageTotal: 0 } })
    const outcome = await send(glance, ["fast", "cheap"])
    assert.deepStrictEqual(results(outcome), ["QuotaExceeded", "QuotaExceeded"])
    assert.include(outcome.error?.message, "may stage 0 MiB (image_stage_total)")
    assert.deepStrictEqual([counts(glance)[1], glance.images.list().length], [0, 0])
  })

  it("that the project has no room for is not tried again, and what was given is left with what is in its way", async () => {
    const glance = await begin({ quota: { imageSizeTotal: 1 } })
    const id = await create(glance, { disk_format: "raw", container_format: "bare" })
    // Of no known size, so that nobody can say it before.
    const info = Effect.succeed({ size: undefined, identity: undefined })
    const large = Buffer.alloc(3_000_000)
    const given = { source: { ...Source.fromBytes(large), info }, image: { id, name: undefined } }
    const outcome = await send(glance, ["fast", "cheap"], given)
    assert.deepStrictEqual(results(outcome), ["QuotaExceeded", "QuotaExceeded"])
    assert.include(outcome.error?.message, "image_size_total")
    assert.deepStrictEqual([left(outcome)[0], counts(glance)[1]], [`queued image ${id}`, 1])
    const again = await send(glance, ["fast", "cheap"], given)
    assert.strictEqual(results(again)[0], "Conflict")
    assert.include(again.error?.message, "has data on staging")
  })

  it("that was given is imported, and left as it is where its import hangs", async () => {
    const glance = await begin()
    const id = await create(glance)
    const good = await send(glance, ["fast", "cold"], { image: { id, name: undefined } })
    assert.deepStrictEqual(results(good), ["verified", "verified"])
    const other = await create(glance)
    glance.faults.push({ type: "import", on: "import", ends: "hangs" })
    const bad = await send(glance, ["fast", "cold"], { image: { id: other, name: undefined } })
    assert.deepStrictEqual([results(bad)[0], left(bad)[0]], ["Stalled", `importing image ${other}`])
    assert.strictEqual(counts(glance)[3], 0)
  })

  it("that is deleted while it is imported is made anew", async () => {
    const glance = await begin({ importStepMs: 200 })
    const running = send(glance, ["fast", "cheap"])
    await until(() => counts(glance)[2] === 1)
    await call(glance, "DELETE", `/v2/images/${only(glance).id}`)
    assert.deepStrictEqual(results(await running), ["verified", "verified"])
    assert.deepStrictEqual(counts(glance).slice(0, 3), [0, 2, 2])
    assert.strictEqual(only(glance).hashValue, sha512)
  })

  it("is waited for as long as something changes, also where its tasks are not shown", async () => {
    const glance = await begin({ importStepMs: 400 })
    const hidden: Fault = { type: "answer", on: "tasks", at: "before", status: 403, requestId: true }
    glance.faults.push(...Array.from({ length: 200 }, () => hidden))
    const outcome = await send(glance, ["fast", "cheap", "cold"], { transfer: { answerMs: 900, retries: 0 } })
    assert.deepStrictEqual(results(outcome), ["verified", "verified", "verified"])
    assert.isAbove(outcome.receipt.destinations[0]!.elapsedMs, 1200)
  })

  it("is waited for where neither tasks, locks nor rights are told, as before Victoria", async () => {
    const glance = await begin({ importStepMs: 150 })
    const old = createServer((request, response) => {
      void (async () => {
        const body = await buffer(request)
        const path = request.url ?? "/"
        if (path.endsWith("/tasks") || path.endsWith("/detail")) {
          response.writeHead(404, { "x-openstack-request-id": "req-1" }).end()
          return
        }
        const answer = await fetch(`${glance.url}${path}`, {
          method: request.method!,
          headers: Object.entries(request.headers).flatMap(([name, value]): Array<[string, string]> =>
            ["host", "connection", "expect", "content-length", "transfer-encoding"].includes(name)
              ? []
              : [[name, String(value)]]
          ),
          ...(body.length === 0 ? {} : { body })
        })
        const { os_glance_import_task: _, ...shown } = JSON.parse((await answer.text()) || "{}") as Record<
          string,
          unknown
        >
        response
          .writeHead(answer.status, { "x-openstack-request-id": "req-1", "Content-Type": "application/json" })
          .end(answer.status === 204 ? undefined : JSON.stringify(shown))
      })()
    })
    await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve))
    try {
      const endpoint = `http://127.0.0.1:${(old.address() as AddressInfo).port}`
      const to = (store: ReadonlyArray<string>) =>
        upload({ endpoint, token: member }, bytes, { store }, { retries: 1, answerMs: 1500 })
      const outcome = await to(["fast", "full", "cheap"])
      assert.deepStrictEqual(results(outcome), ["verified", "Unavailable", "verified"])
      const notes = outcome.receipt.destinations[0]?.notes?.join()
      assert.include(notes, "the service does not say whether this account may have images copied")
      assert.deepStrictEqual(counts(glance).slice(0, 2), [0, 1])
      glance.faults.push({ type: "import", on: "import", ends: "fails" })
      assert.deepStrictEqual(results(await to(["fast", "cheap"])), ["verified", "verified"])
      assert.deepStrictEqual(counts(glance).slice(0, 2), [0, 3])
    } finally {
      old.closeAllConnections()
      old.close()
    }
  })

  it.each([
    ["staged", true],
    ["imported", false]
  ])("that is interrupted while it is %s is deleted", async (_name, stages) => {
    const glance = await begin({ importStepMs: 2000 })
    const abort = new AbortController()
    const events: Array<TransferEvent> = []
    const place = { endpoint: glance.url, token: Redacted.make(member) }
    if (stages) glance.faults.push({ type: "trickle", on: "stage", bytesPerSecond: 100_000 })
    const running = runtime.runPromiseExit(
      Transfer.run({
        source: Source.fromBytes(bytes),
        to: [GlanceStore.image({ ...place, name: "test", store: ["fast", "cheap"] })],
        onEvent: (event) => Effect.sync(() => void events.push(event))
      }),
      { signal: abort.signal }
    )
    await until(() => (stages ? glance.images.list()[0]?.status === "uploading" : counts(glance)[2] === 1))
    const began = performance.now()
    abort.abort()
    await running
    assert.isBelow(performance.now() - began, 5000)
    const receipt = events.at(-1)
    if (receipt?.type !== "receipt") return assert.fail("no receipt")
    assert.deepStrictEqual(
      receipt.destinations.map(({ error, status }) => [status, error?.left]),
      [
        ["cancelled", "none"],
        ["cancelled", "none"]
      ]
    )
    assert.strictEqual(glance.images.list().length, 0)
  })

  it("is read back from the service", async () => {
    const glance = await begin()
    const { receipt } = await send(glance, ["fast", "cheap"], { transfer: { verify: "destination" } })
    assert.deepStrictEqual(
      receipt.destinations.map(({ proof, status }) => [status, proof?.level]),
      [
        ["verified", "destination"],
        ["verified", "transfer"]
      ]
    )
  })

  it("of no bytes is imported too", async () => {
    const glance = await begin()
    const outcome = await send(glance, ["fast", "cheap"], {
      source: Source.fromBytes(new Uint8Array()),
      image: { diskFormat: "raw" },
      transfer: { allowEmpty: true }
    })
    assert.deepStrictEqual(results(outcome), ["verified", "verified"])
  })
})
