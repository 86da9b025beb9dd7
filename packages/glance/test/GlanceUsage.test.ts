/** The limits of a project, as an embedded Glance tells them and as a real one with a real Keystone does. */
import * as GlanceUsage from "@headrace/glance/GlanceUsage"
import { start, type Options } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { afterAll, assert, describe, it } from "vitest"
import { startGlance, startKeystone } from "../../../testbed/testbed.ts"
import { runtime, upload } from "./support/upload.ts"

const MiB = 1024 * 1024

const read = (endpoint: string, token?: string) =>
  runtime.runPromise(
    Effect.result(GlanceUsage.read({ endpoint, ...(token === undefined ? {} : { token: Redacted.make(token) }) }))
  )

const against = async (options: Options, use: (url: string) => Promise<void>) => {
  const glance = await start(options)
  try {
    await use(glance.url)
  } finally {
    await glance.close()
  }
}

const told = async (endpoint: string, token?: string): Promise<GlanceUsage.Usage> => {
  const result = await read(endpoint, token)
  if (result._tag === "Failure") throw result.failure
  return result.success
}

afterAll(() => runtime.dispose())

describe("the usage of a project", () => {
  it("is empty where there are no limits", () =>
    against({ manner: "uwsgi" }, async (url) => assert.deepStrictEqual(await told(url), {})))

  it("is empty where the service is too old to tell", () =>
    against({ manner: "eventlet", release: "zed" }, async (url) => assert.deepStrictEqual(await told(url), {})))

  it("is that of now, in MiB and images", () =>
    against({ manner: "uwsgi", quota: { imageSizeTotal: 10, imageCountUploading: 3 } }, async (url) => {
      assert.deepStrictEqual((await told(url))["image_size_total"], { limit: 10, usage: 0 })
      await upload({ endpoint: url }, new Uint8Array(2 * MiB).fill(7), { name: "x" })
      assert.deepStrictEqual(await told(url), {
        image_size_total: { limit: 10, usage: 2 },
        image_stage_total: { limit: -1, usage: 0 },
        image_count_total: { limit: -1, usage: 1 },
        image_count_uploading: { limit: 3, usage: 0 }
      })
    }))

  it("of a service that is not there is an error of the place", async () => {
    const result = await read("http://127.0.0.1:1", "s3cret")
    assert.strictEqual(result._tag, "Failure")
    if (result._tag !== "Failure") return
    assert.strictEqual(result.failure.uri, "glance://127.0.0.1:1")
    assert.strictEqual(result.failure.reason._tag, "ConnectionLost")
    assert.notInclude(JSON.stringify(result.failure) + result.failure.message, "s3cret")
  })

  // It starts a Keystone and a Glance with limits of its own.
  it.skipIf(process.env["HEADRACE_LONG"] === undefined || process.env["HEADRACE_TESTBED_GLANCE"] === undefined)(
    "[optional] is what a real Glance says",
    async () => {
      // One that is not registered with the Keystone is 0.
      const limits = { image_size_total: 10, image_stage_total: 10, image_count_total: 10, image_count_uploading: 5 }
      const keystone = await startKeystone({ limits })
      try {
        const glance = await startGlance({ auth: keystone, limits: true })
        try {
          const token = await keystone.token("demo")
          const { error } = await upload({ endpoint: glance.url, token }, new Uint8Array(3 * MiB).fill(7), {
            name: "x"
          })
          assert.isUndefined(error)
          const usage = await told(glance.url, token)
          assert.deepStrictEqual(usage["image_size_total"], { limit: 10, usage: 3 })
          assert.deepStrictEqual(usage["image_count_uploading"], { limit: 5, usage: 0 })
        } finally {
          await glance.stop()
        }
      } finally {
        await keystone.stop()
      }
    },
    240_000
  )
})
