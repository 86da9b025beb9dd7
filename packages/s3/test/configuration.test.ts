/**
 * Endpoint, region and keys as the AWS tools find them.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as FaultServer from "@headrace/testkit/FaultServer"
import * as NodeTransport from "@headrace/node/NodeTransport"
import { Transport } from "@headrace/core/Transport"
import * as S3Source from "@headrace/s3/S3Source"
import * as S3Store from "@headrace/s3/S3Store"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { afterAll, afterEach, assert, describe, it } from "vitest"
import * as Bed from "./support/bed.ts"

const { fresh, noise, upload } = Bed
const bytes = noise(50_000)
const { AWS_PROFILE: _, ...clean } = process.env
const folder = mkdtempSync(join(tmpdir(), "headrace-s3-"))
let files = 0

/** The environment alone, and no metadata service. */
const set = (env: Readonly<Record<string, string>>) => {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name]
  Object.assign(process.env, {
    AWS_EC2_METADATA_DISABLED: "true",
    AWS_CONFIG_FILE: join(folder, "none"),
    AWS_SHARED_CREDENTIALS_FILE: join(folder, "none"),
    ...env
  })
}

const file = (text: string): string => {
  const path = join(folder, `${++files}`)
  writeFileSync(path, text)
  return path
}

afterEach(() => set({}))
afterAll(async () => {
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) delete process.env[name]
  Object.assign(process.env, clean)
  rmSync(folder, { recursive: true })
  await Bed.runtime.dispose()
})

const fine = ({ error, receipt }: Bed.Outcome) => {
  assert.isUndefined(error, error?.message)
  assert.strictEqual(receipt.destinations[0]!.status, "verified")
}

const target = () => ({ bucket: Bed.bucket, key: fresh() })
const keysOf = ({ accessKeyId, secretAccessKey }: typeof Bed.keys) =>
  `aws_access_key_id = ${accessKeyId}\naws_secret_access_key = ${secretAccessKey}\n`

describe.skipIf(Bed.none)("where the service is, and with which keys", () => {
  it("is in the environment", async () => {
    set({
      AWS_ENDPOINT_URL_S3: Bed.endpoint,
      AWS_ACCESS_KEY_ID: Bed.keys.accessKeyId,
      AWS_SECRET_ACCESS_KEY: Bed.keys.secretAccessKey
    })
    // Without a region, and with the bucket in the path.
    fine(await upload(bytes, target()))
  })

  it("is in a URI, which the store and the source show again", async () => {
    set({ AWS_ACCESS_KEY_ID: Bed.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: Bed.keys.secretAccessKey })
    const key = fresh("a b&c?.img")
    const path = key.split("/").map(encodeURIComponent).join("/")
    const uri = `s3://${Bed.bucket}/${path}?endpoint=${Bed.endpoint}`
    const store = Result.getOrThrow(S3Store.fromUri(`${uri}&part_size=5MiB&region=us-east-1`))
    assert.strictEqual(store.uri, uri)
    fine(await upload(bytes, target(), { to: [store] as never }))
    const source = Result.getOrThrow(S3Source.fromUri(uri))
    assert.strictEqual(source.uri, uri)
    const info = await Bed.runtime.runPromise(source.info)
    assert.strictEqual(info.size, bytes.length)
  })

  it("is in the shared files, under the profile that is named", async () => {
    const profile = `[default]\nregion = eu-west-1\n[profile work]\nregion = us-east-1\nendpoint_url = ${Bed.endpoint}\n`
    const credentials = `[default]\naws_access_key_id = no\naws_secret_access_key = no\n[work]\n${keysOf(Bed.keys)}`
    set({ AWS_CONFIG_FILE: file(profile), AWS_SHARED_CREDENTIALS_FILE: file(credentials) })
    fine(await upload(bytes, { ...target(), profile: "work" }))
    set({ AWS_CONFIG_FILE: file(profile), AWS_SHARED_CREDENTIALS_FILE: file(credentials), AWS_PROFILE: "work" })
    fine(await upload(bytes, target()))
  })

  it("is given, before all of these; secrets may be Redacted", async () => {
    set({ AWS_ENDPOINT_URL_S3: "http://127.0.0.1:9", AWS_ACCESS_KEY_ID: "no", AWS_SECRET_ACCESS_KEY: "no" })
    const secretAccessKey = Redacted.make(Bed.keys.secretAccessKey)
    fine(await upload(bytes, { ...target(), endpoint: Bed.endpoint, credentials: { ...Bed.keys, secretAccessKey } }))
  })

  it("is read afresh when the keys have ended", async () => {
    const path = file(`[default]\n${keysOf(Bed.keys)}aws_session_token = ended-t0ken\n`)
    set({ AWS_SHARED_CREDENTIALS_FILE: path })
    const proxy = await Bed.behind(Bed.is.put, [
      { ...Bed.says(400, "ExpiredToken"), type: "answerEarly", afterBytes: 0 } as never
    ])
    try {
      const running = upload(bytes, { ...target(), endpoint: proxy.url })
      // Whoever wrote the file writes a new one.
      while (proxy.requests.length === 0) await new Promise((resolve) => setTimeout(resolve, 1))
      writeFileSync(path, `[default]\n${keysOf(Bed.keys)}`)
      const outcome = await running
      assert.notInclude(outcome.told, "ended-t0ken")
      const last = proxy.requests.findLast(Bed.is.put)!
      assert.isUndefined(last.headers["x-amz-security-token"])
    } finally {
      await proxy.close()
    }
  })
})

describe("without keys", () => {
  it("nothing is asked, and the error says so", async () => {
    set({})
    const { error } = await upload(bytes, { bucket: "bucket", key: "key", endpoint: "http://127.0.0.1:9" })
    assert.strictEqual(error?.reason._tag, "InvalidConfig")
    assert.match(error?.message ?? "", /^there are no credentials: Could not load credentials from any providers/)
  })

  it("of a profile that is not there neither", async () => {
    set({})
    const options = { bucket: "bucket", key: "key", endpoint: "http://127.0.0.1:9", profile: "nobody" }
    const { error } = await upload(bytes, options)
    assert.strictEqual(error?.reason._tag, "InvalidConfig")
  })

  it("of a program that prints rubbish the error holds none of it", async () => {
    const config = file(`[profile odd]\ncredential_process = echo s3cr3t-not-json\n`)
    set({ AWS_CONFIG_FILE: config, AWS_SHARED_CREDENTIALS_FILE: config })
    const { error, told } = await upload(bytes, {
      bucket: "b-1",
      key: "k",
      endpoint: "http://127.0.0.1:9",
      profile: "odd"
    })
    assert.strictEqual(error?.reason._tag, "InvalidConfig")
    assert.notInclude(told, "s3cr3t")
  })
})

/** Where the first request goes, as a proxy sees it that lets nothing through. */
const asked = async (options: Partial<S3Store.Options> & { readonly bucket: string }, env = {}) => {
  const proxy = await FaultServer.start(async (connection) => {
    await connection.readHead()
    await connection.respond(403, [], "")
  })
  try {
    set(env)
    const store = S3Store.object({ key: "a/b", credentials: { accessKeyId: "a", secretAccessKey: "b" }, ...options })
    const through = NodeTransport.make({ env: { http_proxy: proxy.url, https_proxy: proxy.url } })
    await Bed.runtime.runPromise(
      Effect.exit(Effect.scoped(Effect.provideServiceEffect(store.capabilities, Transport, through)))
    )
    const [request] = proxy.requests
    return `${request?.method} ${request?.path}`
  } finally {
    await proxy.close()
  }
}

describe("the bucket's name", () => {
  for (const [name, options, env, request] of [
    ["is in the host's name at AWS", { region: "eu-west-1" }, {}, "CONNECT images.s3.eu-west-1.amazonaws.com:443"],
    [
      "is there in the region of the environment",
      {},
      { AWS_REGION: "eu-west-2" },
      "CONNECT images.s3.eu-west-2.amazonaws.com:443"
    ],
    ["is there in us-east-1 when nobody names a region", {}, {}, "CONNECT images.s3.us-east-1.amazonaws.com:443"],
    [
      "is in the path at AWS when it cannot be a host's",
      { bucket: "my.images" },
      {},
      "CONNECT s3.us-east-1.amazonaws.com:443"
    ],
    ["is in the path of an endpoint", { endpoint: "http://s3.test:9000" }, {}, "HEAD http://s3.test:9000/images/a/b"],
    [
      "is in the path of the environment's endpoint",
      {},
      { AWS_ENDPOINT_URL: "http://s3.test" },
      "HEAD http://s3.test/images/a/b"
    ],
    [
      "is in the host's name of an endpoint where that is asked for",
      { endpoint: "http://s3.test:9000", pathStyle: false },
      {},
      "HEAD http://images.s3.test:9000/a/b"
    ]
  ] as const) {
    it(name, async () => void assert.strictEqual(await asked({ bucket: "images", ...options }, env), request))
  }
})
