/**
 * Stage and import against a real Glance 33, by a member who may not copy: with the proxy in between that loses answers,
 * with a plugin that changes the bytes, with imports into stores at the same time, and with a policy of the cloud's own.
 */
import { createHash, randomBytes } from "node:crypto"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import { afterAll, assert, describe, it } from "vitest"
import { type Glance, type GlanceOptions, startGlance } from "../../../testbed/testbed.ts"
import { type Outcome, runtime, upload } from "./support/upload.ts"

const bytes = randomBytes(3_000_000)
// Not by chance a boot signature, which would be refused.
bytes[510] = 0
const sha512 = createHash("sha512").update(bytes).digest("hex")

const member = "alice:p-alice:member"

type Json = Readonly<Record<string, unknown>>

const results = ({ receipt }: Outcome) => receipt.destinations.map(({ error, status }) => error?.reason ?? status)
const left = ({ receipt }: Outcome) => receipt.destinations.map(({ error }) => error?.left)

const list = async (url: string) => {
  const response = await fetch(`${url}/v2/images`, { headers: { "X-Auth-Token": member } })
  return ((await response.json()) as { readonly images: ReadonlyArray<Json> }).images
}

const within = async (options: GlanceOptions, use: (glance: Glance) => Promise<void>): Promise<void> => {
  const glance = await startGlance({ stores: ["fast", "cheap", "broken"], ...options })
  try {
    await rm(glance.storeDirectory("broken"), { recursive: true })
    await use(glance)
  } finally {
    await glance.stop()
  }
}

const send = (
  url: string,
  store: ReadonlyArray<string>,
  more: { readonly retries?: number; readonly body?: Uint8Array; readonly signal?: AbortSignal } = {}
) =>
  upload(
    { endpoint: url, token: member },
    more.body ?? bytes,
    { store },
    { retries: more.retries ?? 1, answerMs: 20_000, stallMs: 20_000 },
    more.signal
  )

describe.skipIf(process.env["HEADRACE_TESTBED_GLANCE"] === undefined)("a member's image in several stores", () => {
  it.each([
    ["stage", { type: "dropAnswer", how: "reset" }, 1],
    ["stage", { type: "replaceAnswer", status: 504 }, 1],
    ["stage", { type: "cutRequest", afterBytes: 1_000_000, how: "reset" }, 2],
    ["import", { type: "dropAnswer", how: "reset" }, 1],
    ["import", { type: "refuse" }, 1],
    ["import", { type: "replaceAnswer", status: 502 }, 1]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault, number]>)(
    "is there after a fault of its request to %s: %j",
    (request, fault, bodies) =>
      within({}, async (glance) => {
        const proxy = await FaultProxy.start({
          target: { port: Number(new URL(glance.url).port) },
          match: ({ path }) => path.endsWith(`/${request}`),
          faults: [fault]
        })
        try {
          const outcome = await send(proxy.url, ["fast", "cheap"])
          assert.deepStrictEqual(results(outcome), ["verified", "verified"])
          assert.strictEqual(proxy.waiting(), 0)
          assert.strictEqual(proxy.requests.filter(({ path }) => path.endsWith("/stage")).length, bodies)
          const images = await list(glance.url)
          assert.deepStrictEqual(
            images.map(({ os_hash_value, status, stores }) => [status, stores, os_hash_value]),
            [["active", "fast,cheap", sha512]]
          )
        } finally {
          await proxy.close()
        }
      }),
    120_000
  )

  it(
    "that a plugin decompresses is another than what was sent, and is deleted",
    () =>
      within({ conf: "[image_import_opts]\nimage_import_plugins = [image_decompression]" }, async (glance) => {
        const outcome = await send(glance.url, ["fast", "cheap"], { body: gzipSync(bytes) })
        assert.deepStrictEqual(results(outcome), ["SizeMismatch", "SizeMismatch"])
        assert.deepStrictEqual([left(outcome), await list(glance.url)], [["none", "none"], []])
        // What it leaves alone is as ever.
        assert.deepStrictEqual(results(await send(glance.url, ["fast", "cheap"])), ["verified", "verified"])
      }),
    120_000
  )

  it(
    "whose plugin fails is not waited for, and nothing is left",
    () =>
      within({ conf: "[image_import_opts]\nimage_import_plugins = [image_decompression]" }, async (glance) => {
        // The head of a gzip file alone: the plugin fails, and nobody takes the image back from `importing`.
        const body = Buffer.concat([gzipSync(bytes).subarray(0, 1000), Buffer.alloc(1000)])
        const outcome = await send(glance.url, ["fast", "cheap"], { body })
        assert.deepStrictEqual(results(outcome), ["Unavailable", "Unavailable"])
        assert.include(outcome.receipt.destinations[0]?.error?.message, "left it importing")
        assert.strictEqual(outcome.receipt.destinations[0]?.attempts, 2)
        assert.deepStrictEqual([left(outcome), await list(glance.url)], [["none", "none"], []])
      }),
    120_000
  )

  it(
    "whose import cannot begin is not waited for, though its lock stays",
    () =>
      // A list without its brackets, which the service finds out when it makes the task's flow.
      within({ conf: "[image_import_opts]\nimage_import_plugins = image_decompression" }, async (glance) => {
        const outcome = await send(glance.url, ["fast", "cheap"])
        assert.deepStrictEqual(results(outcome), ["Unavailable", "Unavailable"])
        assert.include(outcome.receipt.destinations[0]?.error?.message, "left it uploading")
        assert.deepStrictEqual([left(outcome), await list(glance.url)], [["none", "none"], []])
      }),
    120_000
  )

  it(
    "is imported into its stores at the same time, where the cloud does so",
    () =>
      within({ conf: "[image_import_opts]\nmax_parallel_stores = 3" }, async (glance) => {
        assert.deepStrictEqual(results(await send(glance.url, ["cheap", "fast"])), ["verified", "verified"])
        const partial = await send(glance.url, ["broken", "fast", "cheap"])
        assert.deepStrictEqual(results(partial), ["Unavailable", "verified", "verified"])
        const nowhere = await startGlance({
          stores: ["one", "two"],
          conf: "[image_import_opts]\nmax_parallel_stores = 3"
        })
        try {
          for (const store of ["one", "two"]) await rm(nowhere.storeDirectory(store), { recursive: true })
          const outcome = await send(nowhere.url, ["one", "two"])
          assert.deepStrictEqual(results(outcome), ["Unavailable", "Unavailable"])
          assert.deepStrictEqual([left(outcome), await list(nowhere.url)], [["none", "none"], []])
        } finally {
          await nowhere.stop()
        }
      }),
    120_000
  )

  it("is copied where the policy lets its owner copy, as soon as there is an image to ask about", async () => {
    const folder = await mkdtemp(join(tmpdir(), "headrace-policy-"))
    try {
      const file = join(folder, "policy.yaml")
      await writeFile(file, '"copy_image": "role:member and project_id:%(project_id)s"\n')
      await within({ conf: `[oslo_policy]\npolicy_file = ${file}` }, async (glance) => {
        const first = await send(glance.url, ["fast", "cheap"])
        assert.deepStrictEqual(results(first), ["verified", "verified"])
        assert.include(first.receipt.destinations[0]?.notes?.join(), "this account may not have images copied")
        // Another account of the same project: what was learnt of the first holds for ten minutes.
        const second = await upload({ endpoint: glance.url, token: "amy:p-alice:member" }, bytes, {
          store: ["fast", "cheap"]
        })
        assert.deepStrictEqual(results(second), ["verified", "verified"])
        assert.strictEqual(second.receipt.destinations[1]?.attempts, 1)
        assert.isFalse(second.receipt.destinations[0]?.notes?.join().includes("staged"))
      })
    } finally {
      await rm(folder, { recursive: true })
    }
  }, 120_000)

  it(
    "that is interrupted while it is imported is deleted, and so is what is staged",
    () =>
      within({}, async (glance) => {
        const large = Buffer.alloc(200_000_000, 7)
        large[510] = 0
        const abort = new AbortController()
        const running = send(glance.url, ["fast", "cheap"], { body: large, signal: abort.signal }).catch(
          () => undefined
        )
        let status: unknown
        for (let waited = 0; status !== "importing"; waited += 5) {
          if (waited > 60_000) assert.fail("the import does not begin")
          await new Promise((resolve) => setTimeout(resolve, 5))
          status = (await list(glance.url))[0]?.["status"]
        }
        const began = performance.now()
        abort.abort()
        await running
        assert.isBelow(performance.now() - began, 5000)
        assert.deepStrictEqual([await list(glance.url), await readdir(join(glance.directory, "staging"))], [[], []])
      }),
    120_000
  )
})

afterAll(() => runtime.dispose())
