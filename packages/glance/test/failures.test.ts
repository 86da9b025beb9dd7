/**
 * The table of docs/failures.md, row by row, on a wire: the embedded Glance in both manners breaks, and what the upload
 * makes of it is compared with what the service then holds.
 */
import { createHash, randomBytes } from "node:crypto"
import { type EmbeddedGlance, type Fault, type Options, start } from "@headrace/testkit/EmbeddedGlance"
import type * as GlanceStore from "@headrace/glance/GlanceStore"
import * as Source from "@headrace/core/Source"
import type * as Transfer from "@headrace/core/Transfer"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, assert, describe, it } from "vitest"
import { runtime, upload } from "./support/upload.ts"

const bytes = randomBytes(3_000_000)
const sha512 = createHash("sha512").update(bytes).digest("hex")

interface Row {
  readonly name: string
  readonly faults?: ReadonlyArray<Fault>
  readonly options?: Options
  readonly image?: GlanceStore.ImageOptions
  readonly transfer?: Partial<Transfer.Options>
  /** The reason of the failure; none: the upload is verified. */
  readonly reason?: string | undefined
  /** PUTs that reached the service. */
  readonly uploads?: number
  /** What is left, as a pattern. */
  readonly left?: RegExp | undefined
  readonly manners?: ReadonlyArray<"eventlet" | "uwsgi">
}

const at = { before: "before", after: "after", in: { afterBytes: 1_500_000 } } as const
const html = "<html><body><h1>502 Bad Gateway</h1></body></html>"

const answers = (
  status: number,
  reason: string | undefined,
  more: { readonly uploads?: number; readonly when?: ReadonlyArray<keyof typeof at>; readonly body?: string } = {}
): ReadonlyArray<Row> =>
  (more.when ?? (["before", "in", "after"] as const)).map((when) => ({
    name: `${status} ${when === "before" ? "before" : when === "in" ? "in the middle of" : "after"} the body`,
    faults: [
      {
        type: "answer",
        at: at[when],
        status,
        requestId: status !== 502,
        body: more.body ?? "scripted",
        headers: [["Content-Type", "text/html"]]
      }
    ],
    reason,
    left: reason === undefined ? undefined : /^none$/,
    uploads: more.uploads ?? (reason === undefined ? 2 : 1)
  }))

const table: ReadonlyArray<Row> = [
  { name: "all is well", uploads: 1 },
  ...answers(400, "Rejected"),
  ...answers(403, "Forbidden"),
  ...answers(413, "TooLarge", { body: "The incoming image is too large: The provided image is too large." }),
  ...answers(413, "QuotaExceeded", { body: "Image exceeds the storage quota: 1 bytes remaining.", when: ["after"] }),
  ...answers(415, "UnsupportedFormat", { when: ["after"] }),
  ...answers(429, undefined),
  ...answers(500, undefined),
  ...answers(502, undefined, { body: html }),
  ...answers(503, undefined),
  ...answers(504, undefined, { when: ["after"] }),
  {
    name: "400 about the size is tried again on the same image",
    faults: [
      { type: "answer", at: "after", status: 400, body: "Size mismatch: expected 2 bytes, got 1", requestId: true }
    ],
    uploads: 2
  },
  {
    name: "409 of an image that is free again",
    faults: [{ type: "answer", at: "before", status: 409, body: "not allowed", requestId: true }],
    uploads: 2
  },
  {
    name: "410 of an image that takes bytes again",
    faults: [{ type: "answer", at: "before", status: 410, body: "gone", requestId: true }],
    uploads: 2
  },
  ...[409, 410].map((status): Row => ({
    name: `${status} over an image that holds the same bytes: success by its digest`,
    faults: [{ type: "answer", at: "after", status, body: "not allowed", requestId: true, image: "active" }],
    uploads: 1
  })),
  {
    name: "410, the image deleted during the upload: made anew",
    faults: [{ type: "delete", at: at.in }],
    uploads: 2
  },
  {
    name: "404, the image deleted before the upload: final, somebody meant it",
    faults: [{ type: "delete", at: "before" }],
    reason: "NotFound",
    left: /^none$/,
    uploads: 1
  },
  {
    name: "another writer won: its bytes are left alone",
    faults: [{ type: "otherWriter", bytes: new Uint8Array([1, 2, 3]) }],
    reason: "Gone",
    left: /^active image /,
    uploads: 1
  },
  ...(["before", "in", "after"] as const).map((when): Row => ({
    name: `a reset ${when === "before" ? "before" : when === "in" ? "in" : "after"} the body`,
    faults: [{ type: "drop", at: at[when], how: "reset" }],
    uploads: 2
  })),
  ...(["in", "after"] as const).map((when): Row => ({
    name: `a close without an answer ${when} the body`,
    faults: [{ type: "drop", at: at[when], how: "close" }],
    uploads: 2
  })),
  {
    name: "the 204 is lost, the image is active: success by its digest",
    faults: [{ type: "drop", at: "after", how: "reset", image: "active" }],
    uploads: 1
  },
  {
    name: "a 502 hides a 204: success by its digest",
    faults: [{ type: "answer", at: "after", status: 502, body: html, image: "active" }],
    uploads: 1
  },
  {
    name: "the 204 is lost, the digest is wrong: deleted, made anew",
    faults: [{ type: "drop", at: at.in, how: "reset", image: "active" }],
    uploads: 2
  },
  {
    name: "a reader that stops",
    faults: [{ type: "drop", at: at.in, how: "hang" }],
    transfer: { stallMs: 400 },
    uploads: 2
  },
  {
    name: "a service that never answers",
    faults: [{ type: "drop", at: "after", how: "hang" }],
    transfer: { answerMs: 500 },
    uploads: 2
  },
  { name: "a reader that trickles", faults: [{ type: "trickle", bytesPerSecond: 4_000_000 }], uploads: 1 },
  {
    name: "`saving` that ends well",
    faults: [{ type: "drop", at: "after", how: "reset", image: { status: "saving", forMs: 600, then: "active" } }],
    uploads: 1
  },
  {
    name: "`saving` that ends as `queued`",
    faults: [{ type: "drop", at: at.in, how: "reset", image: { status: "saving", forMs: 600, then: "queued" } }],
    uploads: 2
  },
  {
    name: "`saving` that does not end: deleted, made anew",
    faults: [{ type: "drop", at: at.in, how: "reset", image: "saving" }],
    transfer: { answerMs: 700 },
    uploads: 2
  },
  {
    name: "`queued` with a checksum (spoiled): deleted, made anew",
    faults: [{ type: "answer", at: "after", status: 500, image: "poisoned", requestId: true }],
    uploads: 2
  },
  {
    name: "a service that is away when the image is to be looked at: what is left is not known",
    faults: [
      { type: "drop", at: "after", how: "reset" },
      ...(["show", "delete"] as const).flatMap((on) =>
        Array.from({ length: 100 }, (): Fault => ({ type: "answer", on, at: "before", status: 503 }))
      )
    ],
    transfer: { answerMs: 300 },
    reason: "ConnectionLost",
    left: /^unknown glance:\/\/[^/]+\/[0-9a-f-]{36}$/,
    uploads: 1
  },
  {
    name: "a byte differs at the service",
    faults: [{ type: "corrupt", offset: 2_000_000 }],
    reason: "DigestMismatch",
    left: /^none$/,
    uploads: 1
  },
  {
    name: "bytes are missing at the service",
    faults: [{ type: "truncate", bytes: 2_999_999 }],
    reason: "SizeMismatch",
    left: /^none$/,
    uploads: 1
  },
  {
    name: "what failed is kept when told so",
    faults: [{ type: "corrupt", offset: 5 }],
    transfer: { keepFailed: true },
    reason: "DigestMismatch",
    left: /^active image /,
    uploads: 1
  },
  {
    name: "the store's header is ignored",
    options: { stores: [{ id: "fast", default: true }, { id: "cheap" }] },
    image: { store: "cheap" },
    faults: [{ type: "store", id: "fast" }],
    reason: "StoreIgnored",
    left: /^none$/,
    uploads: 1
  },
  {
    name: "an unknown store is found before a byte",
    options: { stores: [{ id: "fast", default: true }] },
    image: { store: "nosuch" },
    reason: "UnknownStore",
    left: /^none$/,
    uploads: 0
  },
  {
    name: "a service that is broken for good: as many attempts as asked for, nothing left",
    faults: Array.from({ length: 5 }, (): Fault => ({ type: "answer", at: at.in, status: 503, requestId: true })),
    transfer: { retries: 1 },
    reason: "Unavailable",
    left: /^none$/,
    uploads: 2
  }
]

for (const manner of ["eventlet", "uwsgi"] as const) {
  describe(`behind ${manner}`, () => {
    for (const row of table) {
      it.concurrent(row.name, async () => {
        const glance: EmbeddedGlance = await start({ manner, ...row.options, faults: row.faults ?? [] })
        try {
          const { error, receipt } = await upload({ endpoint: glance.url }, bytes, row.image, row.transfer)
          const destination = receipt.destinations[0]!
          const stored = glance.images.list()
          assert.strictEqual(error?.reason._tag, row.reason, error?.message)
          if (row.reason === undefined) {
            assert.strictEqual(destination.status, "verified")
            assert.strictEqual(stored.length, 1)
            assert.strictEqual(stored[0]!.status, "active")
            assert.strictEqual(stored[0]!.hashValue, sha512)
            assert.strictEqual(destination.object?.id, stored[0]!.id)
          } else {
            assert.strictEqual(destination.status, "failed")
            assert.match(destination.error!.left, row.left!)
            assert.strictEqual(stored.length, destination.error!.left === "none" ? 0 : 1)
          }
          const puts = glance.requests.filter((request) => request.method === "PUT").length
          if (row.uploads !== undefined) assert.strictEqual(puts, row.uploads)
        } finally {
          await glance.close()
        }
      })
    }
  })
}

describe("an image that was given", () => {
  const given = async (glance: EmbeddedGlance) => {
    const answer = await fetch(`${glance.url}/v2/images`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ name: "given", disk_format: "raw", container_format: "bare" })
    })
    return ((await answer.json()) as { id: string }).id
  }

  it("is used, and left when the upload fails", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      const id = await given(glance)
      glance.faults.push({ type: "corrupt", offset: 1 })
      const { receipt } = await upload({ endpoint: glance.url }, bytes, { id })
      assert.strictEqual(receipt.destinations[0]!.error?.reason, "DigestMismatch")
      assert.strictEqual(receipt.destinations[0]!.error?.left, `active image ${id}`)
      assert.strictEqual(glance.images.get(id)?.status, "active")
    } finally {
      await glance.close()
    }
  })

  it("must be queued, and must be there", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      const id = await given(glance)
      assert.isUndefined((await upload({ endpoint: glance.url }, bytes, { id })).error)
      assert.strictEqual((await upload({ endpoint: glance.url }, bytes, { id })).error?.reason._tag, "Conflict")
      const absent = "0e7f3d6c-3f0a-4a55-9d5c-8f0f0a3f6a01"
      assert.strictEqual((await upload({ endpoint: glance.url }, bytes, { id: absent })).error?.reason._tag, "NotFound")
      assert.strictEqual(glance.images.list().length, 1)
    } finally {
      await glance.close()
    }
  })

  it("is gone when somebody deletes it meanwhile", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      const id = await given(glance)
      glance.faults.push({ type: "delete", at: at.in })
      const { error } = await upload({ endpoint: glance.url }, bytes, { id })
      assert.strictEqual(error?.left, "none")
      assert.strictEqual(glance.images.list().length, 0)
    } finally {
      await glance.close()
    }
  })
})

describe("signing in", () => {
  it("a refused token is final, before a byte, and never shown", async () => {
    const glance = await start({ manner: "uwsgi", auth: "fake" })
    try {
      const { error, receipt } = await upload({ endpoint: glance.url, token: "s3cret-nonsense" }, bytes)
      assert.strictEqual(error?.reason._tag, "Unauthorized")
      assert.strictEqual(receipt.destinations[0]!.bytesSent, 0)
      assert.notInclude(JSON.stringify([error, receipt, error?.message]), "s3cret")
    } finally {
      await glance.close()
    }
  })

  it("a reader is forbidden", async () => {
    const glance = await start({ manner: "uwsgi", auth: "fake" })
    try {
      const { error } = await upload({ endpoint: glance.url, token: "rita:p-alice:reader" }, bytes)
      assert.strictEqual(error?.reason._tag, "Forbidden")
      assert.strictEqual(error?.left, "none")
    } finally {
      await glance.close()
    }
  })
})

describe("the source", () => {
  const source = (over: Partial<Source.Source>, data: Uint8Array = bytes): Source.Source => ({
    ...Source.fromStream({
      uri: "test:source",
      replayable: true,
      info: Effect.succeed({ size: bytes.byteLength, identity: "a" }),
      open: () => Stream.succeed(data)
    }),
    ...over
  })
  let asked = 0
  const rows: ReadonlyArray<readonly [string, Source.Source, string]> = [
    ["shrinks", source({}, bytes.subarray(1)), "SourceTooShort"],
    ["grows", source({}, Buffer.concat([bytes, bytes.subarray(0, 1)])), "SourceTooLong"],
    [
      "changes",
      source({ info: Effect.sync(() => ({ size: bytes.byteLength, identity: String(asked++ > 0) })) }),
      "SourceChanged"
    ]
  ]
  for (const [what, changing, reason] of rows) {
    for (const manner of ["eventlet", "uwsgi"] as const) {
      it(`that ${what} never becomes an image, behind ${manner}`, async () => {
        asked = 0
        const glance = await start({ manner })
        try {
          const { error } = await upload({ endpoint: glance.url }, changing)
          assert.strictEqual(error?.reason._tag, reason)
          assert.strictEqual(error?.left, "none")
          assert.strictEqual(glance.images.list().length, 0)
        } finally {
          await glance.close()
        }
      })
    }
  }

  it("that is empty makes no request", async () => {
    const glance = await start({})
    try {
      const { error } = await upload({ endpoint: glance.url }, new Uint8Array(0))
      assert.strictEqual(error?.reason._tag, "SourceTooShort")
      assert.strictEqual(glance.requests.length, 0)
      const allowed = await upload({ endpoint: glance.url }, new Uint8Array(0), {}, { allowEmpty: true })
      assert.isUndefined(allowed.error)
    } finally {
      await glance.close()
    }
  })

  it("of unknown size is sent in HTTP chunks of at most 256 KiB", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      const { receipt } = await upload(
        { endpoint: glance.url },
        source({ info: Effect.succeed({ size: undefined, identity: undefined }) })
      )
      assert.strictEqual(receipt.destinations[0]!.status, "verified")
      const put = glance.requests.find((request) => request.method === "PUT")!
      assert.strictEqual(put.framing, "chunked")
      assert.isAtMost(put.largestChunk, 256 * 1024)
    } finally {
      await glance.close()
    }
  })
})

describe("interruption", () => {
  it("stops the bytes, deletes the image, and is done within 5 s", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      const abort = new AbortController()
      glance.faults.push({ type: "trickle", bytesPerSecond: 300_000 })
      const running = upload({ endpoint: glance.url }, bytes, {}, {}, abort.signal)
      await new Promise((resolve) => setTimeout(resolve, 1500))
      const began = performance.now()
      abort.abort()
      let rejected = false
      await running.catch(() => {
        rejected = true
      })
      assert.isTrue(rejected)
      assert.isBelow(performance.now() - began, 5000)
      assert.strictEqual(glance.images.list().length, 0)
    } finally {
      await glance.close()
    }
  })
})

describe("requests", () => {
  it("are three an image once the service is known", async () => {
    const glance = await start({ manner: "uwsgi" })
    try {
      for (let i = 0; i < 5; i++) await upload({ endpoint: glance.url }, bytes.subarray(0, 65536))
      const before = glance.requests.length
      for (let i = 0; i < 20; i++) await upload({ endpoint: glance.url }, bytes.subarray(0, 65536))
      assert.strictEqual(glance.requests.length - before, 60)
    } finally {
      await glance.close()
    }
  })
})

afterAll(() => runtime.dispose())
