import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync } from "node:fs"
import { chmod } from "node:fs/promises"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { type Glance, startGlance, startKeystone, startSwift } from "../testbed.ts"
import { assert, describe, it } from "vitest"

const member = "alice:p-alice:member"
const mebibyte = 1024 * 1024

const create = async (url: string, token: string): Promise<{ readonly status: number; readonly id: string }> => {
  const response = await fetch(`${url}/v2/images`, {
    method: "POST",
    headers: { "x-auth-token": token, "content-type": "application/json" },
    body: JSON.stringify({ name: "trial", disk_format: "raw", container_format: "bare" })
  })
  const body = await response.text()
  return { status: response.status, id: response.ok ? JSON.parse(body).id : "" }
}

const put = async (url: string, token: string, id: string, size: number, store?: string): Promise<number> => {
  const response = await fetch(`${url}/v2/images/${id}/file`, {
    method: "PUT",
    headers: {
      "x-auth-token": token,
      "content-type": "application/octet-stream",
      ...(store === undefined ? {} : { "x-image-meta-store": store })
    },
    body: new Uint8Array(size)
  })
  await response.arrayBuffer()
  return response.status
}

const upload = async (url: string, token: string, size: number, store?: string): Promise<number> => {
  const image = await create(url, token)
  assert.strictEqual(image.status, 201)
  return put(url, token, image.id, size, store)
}

const status = async (url: string, token: string): Promise<number> => {
  const response = await fetch(url, { headers: { "x-auth-token": token } })
  await response.arrayBuffer()
  return response.status
}

const using = async <A extends { readonly stop: () => Promise<void> }>(
  service: Promise<A>,
  use: (service: A) => Promise<void>
): Promise<void> => {
  const started = await service
  try {
    await use(started)
  } finally {
    await started.stop()
  }
}

const gone = async (glance: Glance): Promise<boolean> => {
  const answered = await fetch(glance.url).then(
    () => true,
    () => false
  )
  return !answered && !existsSync(glance.directory)
}

describe.skipIf(process.env["HEADRACE_TESTBED_GLANCE"] === undefined)("testbed", () => {
  const glance = process.env["HEADRACE_TESTBED_GLANCE"] ?? ""

  it("takes an image with a token USER:PROJECT:ROLE, and none without", async () => {
    assert.strictEqual(await upload(glance, member, 1000), 204)
    assert.strictEqual((await create(glance, "nonsense")).status, 401)
    assert.strictEqual((await create(glance, "rita:p-alice:reader")).status, 403)
  })

  it("has a Keystone whose tokens the second Glance takes", async () => {
    const keystone = process.env["HEADRACE_TESTBED_KEYSTONE"] ?? ""
    const response = await fetch(`${keystone}/auth/tokens`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({
        auth: {
          identity: {
            methods: ["application_credential"],
            application_credential: {
              id: process.env["HEADRACE_TESTBED_APP_CREDENTIAL_ID"],
              secret: process.env["HEADRACE_TESTBED_APP_CREDENTIAL_SECRET"]
            }
          }
        }
      })
    })
    const catalog = JSON.stringify(await response.json())
    const url = process.env["HEADRACE_TESTBED_KEYSTONE_GLANCE"] ?? ""
    assert.include(catalog, url)
    assert.strictEqual(await upload(url, response.headers.get("x-subject-token") ?? "", 1000), 204)
  })

  it("stops a Glance and removes its directory", async () => {
    const own = await startGlance()
    assert.strictEqual(await status(`${own.url}/v2/images`, member), 200)
    await own.stop()
    assert.isTrue(await gone(own))
  })

  it("stops a Glance whose starter was killed", async () => {
    const program = `import { startGlance } from ${JSON.stringify(join(import.meta.dirname, "../testbed.ts"))}
      const { url, directory } = await startGlance()
      console.log(JSON.stringify({ url, directory }))
      setInterval(() => undefined, 1000)`
    const starter = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"]
    })
    const [line] = await once(starter.stdout, "data")
    const own: Glance = JSON.parse(String(line))
    assert.strictEqual(await status(`${own.url}/v2/images`, member), 200)
    starter.kill("SIGKILL")
    for (let waited = 0; waited < 8000 && !(await gone(own)); waited += 100) await sleep(100)
    assert.isTrue(await gone(own))
  })

  it("answers 413 above a cap, and 503 where the store may not write", async () => {
    await using(startGlance({ conf: "[DEFAULT]\nimage_size_cap = 1048576" }), async (own) => {
      assert.strictEqual(await upload(own.url, member, mebibyte + 1), 413)
      assert.strictEqual(await upload(own.url, member, mebibyte), 204)
      await chmod(own.storeDirectory("cheap"), 0o500)
      assert.strictEqual(await upload(own.url, member, 1000, "cheap"), 503)
      await chmod(own.storeDirectory("cheap"), 0o700)
    })
  })

  it("answers 413 when the store is full, and 410 for one that cannot write", async () => {
    await using(startGlance({ stores: ["fast", "web:http"], tinyMb: 8 }), async (own) => {
      assert.strictEqual(await upload(own.url, member, 9 * mebibyte), 413)
      assert.strictEqual(await upload(own.url, member, 1000, "web"), 410)
      assert.strictEqual(await upload(own.url, member, 7 * mebibyte), 204)
    })
  })

  it("can have one store only, behind uWSGI's router, for everybody", async () => {
    await using(startGlance({ auth: "none", singleStore: true, router: true }), async (own) => {
      assert.strictEqual(await status(`${own.url}/v2/info/stores`, ""), 404)
      assert.strictEqual(await upload(own.url, "", 1000), 204)
    })
  })

  it("can have the unified limits of a Keystone", async () => {
    const limits = { image_size_total: 1, image_stage_total: 1, image_count_total: 1, image_count_uploading: 5 }
    await using(startKeystone({ limits }), async (keystone) => {
      await using(startGlance({ auth: keystone, limits: true }), async (own) => {
        const token = await keystone.token("demo")
        const image = await create(own.url, token)
        assert.strictEqual(await put(own.url, token, image.id, 2 * mebibyte), 413)
        assert.strictEqual(await put(own.url, token, image.id, 1000), 204)
        assert.strictEqual((await create(own.url, token)).status, 413)
      })
    })
  })

  it("can have a Swift that takes the tokens of a Keystone, and tells its limits", async () => {
    await using(startKeystone(), async (keystone) => {
      await using(startSwift({ keystone, maxSegments: 7 }), async (own) => {
        const headers = { "x-auth-token": await keystone.token("demo") }
        const container = `${own.url}/v1/KEY_${keystone.projectId}/c`
        const made = await fetch(container, { method: "PUT", headers })
        assert.strictEqual(made.status, 201)
        assert.strictEqual((await fetch(`${own.url}/v1/KEY_other/c`, { headers })).status, 403)
        const info = await (await fetch(`${own.url}/info`)).json()
        assert.strictEqual(info.slo.max_manifest_segments, 7)
      })
    })
  })

  it("can have tokens that end soon", async () => {
    await using(startKeystone({ tokenSeconds: 2 }), async (keystone) => {
      const token = await keystone.token("demo")
      assert.strictEqual(await status(`${keystone.url}/auth/projects`, token), 200)
      await sleep(3000)
      assert.strictEqual(await status(`${keystone.url}/auth/projects`, token), 401)
    })
  })
})
