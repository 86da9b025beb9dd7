/**
 * Objects of one PUT, one after the other to one place: what the first has shown of the service is not asked again, and
 * what is not asked is decided rightly all the same.
 */
import { GetObjectCommand, HeadObjectCommand, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3"
import * as S3Store from "@headrace/s3/S3Store"
import type * as FaultProxy from "@headrace/testkit/FaultProxy"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import * as Put from "../src/internal/put.ts"
import * as Bed from "./support/bed.ts"

const { fresh, is, noise, place, says, upload } = Bed
const bytes = noise(300_000, 3)

let s3: S3Client
const open: Array<{ readonly close: () => Promise<void> }> = []
beforeAll(() => {
  if (!Bed.none) s3 = Bed.client()
})
afterEach(() => Promise.all(open.splice(0).map((one) => one.close())))
afterAll(async () => {
  s3?.destroy()
  await Bed.runtime.dispose()
})

const put = (Key: string, Body: Uint8Array, ContentType = "application/octet-stream") =>
  s3.send(new PutObjectCommand({ Bucket: Bed.bucket, Key, Body, ContentType }))

const stored = async (key: string): Promise<Buffer | undefined> => {
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: Bed.bucket, Key: key }))
    return Buffer.from(await answer.Body!.transformToByteArray())
  } catch {
    return undefined
  }
}

/** A place where an object was put and looked at already; from there on, requests that match have faults. */
const known = async (
  match: (request: Bed.Request) => boolean,
  faults: ReadonlyArray<FaultProxy.ProxyFault> = [],
  more: Partial<S3Store.Options> = {}
) => {
  const proxy = await Bed.behind(match, [])
  open.push(proxy)
  const options = (key: string): S3Store.Options => ({
    ...place(key),
    endpoint: proxy.url,
    region: "us-east-1",
    ...more
  })
  const first = await upload(bytes, options(fresh()))
  assert.strictEqual(first.receipt.destinations[0]!.status, "verified")
  assert.deepStrictEqual(
    proxy.requests.map(({ method }) => method),
    ["HEAD", "PUT", "HEAD"]
  )
  proxy.push(...faults)
  const asked = () => proxy.requests.slice(3)
  return { options, asked, methods: () => asked().map(({ method }) => method) }
}

const fine = async ({ error, receipt }: Bed.Outcome, key: string) => {
  assert.isUndefined(error, error?.message)
  const to = receipt.destinations[0]!
  assert.strictEqual(to.status, "verified")
  assert.deepStrictEqual(to.proof?.compared, ["crc64nvme"])
  assert.strictEqual(to.object?.size, bytes.length)
  assert.isTrue((await stored(key))?.equals(bytes))
  return to
}

describe.skipIf(Bed.none)("an object of one PUT where another one was put before", () => {
  it("costs one request, whose answer is its proof", async () => {
    const { asked, methods, options } = await known(is.put)
    for (const key of [fresh(), fresh("ünï code+&?#%2f~()'*!"), fresh("a//b")])
      await fine(await upload(bytes, options(key)), key)
    assert.deepStrictEqual(methods(), ["PUT", "PUT", "PUT"])
    for (const { headers } of asked()) {
      assert.strictEqual(headers["if-none-match"], "*")
      assert.strictEqual(headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD")
      assert.match(headers["x-amz-checksum-crc64nvme"] ?? "", /^[A-Za-z0-9+/]{11}=$/)
      assert.match(headers["authorization"] ?? "", /SignedHeaders=[^,]*x-amz-checksum-crc64nvme/)
    }
  })

  it("is looked at first, and replaced, where there is one", async () => {
    const { asked, methods, options } = await known(is.put)
    const keys = [fresh(), fresh(), fresh()]
    for (const key of keys.slice(0, 2)) await put(key, Buffer.from("before"))
    for (const key of keys) {
      const outcome = await upload(bytes, options(key))
      await fine(outcome, key)
      const last = outcome.events.findLast((event) => event.type === "progress")
      assert.strictEqual(last?.destinations[0]!.sent, bytes.length)
    }
    // Refused and seen; looked at, as there was one where the last was put; looked at, and there was none.
    assert.deepStrictEqual(methods(), ["PUT", "HEAD", "PUT", "HEAD", "PUT", "HEAD", "PUT"])
    assert.deepStrictEqual(
      asked().flatMap(({ method, status }) => (method === "PUT" ? [status] : [])),
      [412, 200, 200, 200]
    )
  })

  it("is looked at before it is put by who must not replace one", async () => {
    const { methods, options } = await known(is.put)
    const key = fresh()
    await fine(await upload(bytes, { ...options(key), ifNoneMatch: true }), key)
    assert.deepStrictEqual(methods(), ["HEAD", "PUT"])
  })

  it("is planned by looking", async () => {
    const { methods, options } = await known(is.put)
    const key = fresh()
    await put(key, Buffer.from("before"))
    const store = S3Store.object(options(key))
    const plan = await Bed.planned(store, bytes.length)
    assert.match(plan.why, /^replaces 6 bytes/)
    assert.deepStrictEqual(methods(), ["HEAD"])
  })

  it("is put unconditionally by a service that does not know the condition after all", async () => {
    const refuse = { ...says(501, "NotImplemented"), type: "answerEarly", afterBytes: 0 } as const
    const { methods, options } = await known(is.put, [refuse])
    const key = fresh()
    await fine(await upload(bytes, options(key)), key)
    assert.deepStrictEqual(methods(), ["PUT", "HEAD", "PUT"])
  })

  for (const [name, fault] of [
    ["is lost", { type: "dropAnswer", how: "reset" }],
    ["is a gateway's", { type: "replaceAnswer", status: 502 }]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault]>) {
    it(`is ours when the answer ${name} and what is there is the same`, async () => {
      const { methods, options } = await known(is.put, [fault, fault])
      const key = fresh()
      await fine(await upload(bytes, options(key)), key)
      assert.include(methods(), "HEAD")
    })

    it(`is put again when the answer ${name} and what is there was made otherwise`, async () => {
      const { options } = await known(is.put, [fault, fault])
      const key = fresh()
      // The same bytes, as something else: the refusal is the answer that nobody hears.
      await put(key, bytes, "image/png")
      const to = await fine(await upload(bytes, options(key)), key)
      assert.isAtLeast(to.attempts, 2)
      const { ContentType } = await s3.send(new HeadObjectCommand({ Bucket: Bed.bucket, Key: key }))
      assert.strictEqual(ContentType, "application/octet-stream")
    })
  }

  it("is looked at when the answer shows another checksum, or none", async () => {
    for (const headers of [[], [["x-amz-checksum-crc64nvme", "AAAAAAAAAAA="]]] as const) {
      const { methods, options } = await known(is.put, [{ type: "replaceAnswer", status: 200, headers, body: "" }])
      const key = fresh()
      await fine(await upload(bytes, options(key)), key)
      assert.deepStrictEqual(methods(), ["PUT", "HEAD"])
    }
  })

  describe("and that cannot be read back", () => {
    const hidden = Array.from({ length: 12 }, () => says(403, "AccessDenied"))

    it("is deleted where it is known that there was none before", async () => {
      const { options } = await known(is.get, hidden)
      const key = fresh()
      const { error } = await upload(bytes, options(key), { verify: "destination" })
      assert.strictEqual(error?.reason._tag, "Forbidden")
      assert.strictEqual(error?.left, "none")
      assert.isUndefined(await stored(key))
    })

    it("stays where it replaced one", async () => {
      const { options } = await known(is.get, hidden)
      const key = fresh()
      await put(key, Buffer.from("before"))
      const { error } = await upload(bytes, options(key), { verify: "destination" })
      assert.match(error?.left ?? "", /^object s3:/)
      assert.isTrue((await stored(key))?.equals(bytes))
    })

    it("stays where nobody knows whether there was one, as it may be another writer's", async () => {
      const { options } = await known(
        (request) => is.put(request) || is.get(request),
        [{ type: "dropAnswer", how: "reset" }, { type: "dropAnswer", how: "reset" }, ...hidden]
      )
      const key = fresh()
      await put(key, bytes)
      const { error } = await upload(bytes, options(key), { verify: "destination" })
      assert.strictEqual(error?.reason._tag, "Forbidden")
      assert.match(error?.left ?? "", /^object s3:/)
      assert.isTrue((await stored(key))?.equals(bytes))
    })
  })

  it("is sent once more, and costs no attempt, when the kept connection is dead", async () => {
    const { asked, options } = await known(is.put, [{ type: "refuse" }])
    const key = fresh()
    const to = await fine(await upload(bytes, options(key), { retries: 0 }), key)
    assert.strictEqual(to.attempts, 1)
    assert.isAtLeast(asked().filter(is.put).length, 1)
  })
})

describe.skipIf(Bed.none)("the keys of a place", () => {
  it("are those that are in the object now, and not what was in it before", async () => {
    const keys = { ...Bed.keys }
    const { options } = await known(is.put, [], { credentials: keys })
    const key = fresh()
    keys.secretAccessKey = "another secret"
    const { error } = await upload(bytes, options(key))
    assert.strictEqual(error?.reason._tag, "Unauthorized")
    keys.secretAccessKey = Bed.keys.secretAccessKey
    const again = await upload(bytes, options(key))
    assert.isUndefined(again.error, again.error?.message)
  })

  it("are those that are in the object when those of before have ended", async () => {
    const keys: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } = { ...Bed.keys }
    keys.sessionToken = "ended-t0ken"
    const proxy = await Bed.behind(
      (request) => {
        delete keys.sessionToken
        return is.head(request)
      },
      [{ type: "answerEarly", afterBytes: 0, status: 400, body: "" }]
    )
    open.push(proxy)
    const key = fresh()
    await fine(await upload(bytes, { ...place(key), endpoint: proxy.url, credentials: keys }), key)
    assert.deepStrictEqual(
      proxy.requests.map(({ headers }) => headers["x-amz-security-token"]),
      ["ended-t0ken", undefined, undefined, undefined]
    )
  })

  it("are fetched anew after they were refused", async () => {
    let secretAccessKey = "an old secret"
    const credentials = () => Promise.resolve({ ...Bed.keys, secretAccessKey })
    const proxy = await Bed.behind(is.put, [])
    open.push(proxy)
    const options = { ...place(fresh()), endpoint: proxy.url, credentials }
    const { error } = await upload(bytes, options)
    assert.strictEqual(error?.reason._tag, "Unauthorized")
    ;({ secretAccessKey } = Bed.keys)
    const again = await upload(bytes, options)
    assert.isUndefined(again.error, again.error?.message)
  })

  it("are fetched once for several objects, and anew when the service says that they have ended", async () => {
    let asked = 0
    const credentials = () => {
      asked++
      return Promise.resolve({ ...Bed.keys, expiration: new Date(Date.now() + 3_600_000) })
    }
    const ended = { ...says(400, "ExpiredToken"), type: "answerEarly", afterBytes: 0 } as const
    const { options } = await known(is.put, [{ type: "none" }, ended], { credentials })
    for (const key of [fresh(), fresh()]) await fine(await upload(bytes, options(key)), key)
    assert.strictEqual(asked, 2)
  })
})

describe("a request that the SDK has signed", () => {
  const scope = (service: string) =>
    `AWS4-HMAC-SHA256 Credential=AK/ID/20260101/eu-west-1/${service}/aws4_request, SignedHeaders=host, Signature=0`
  const signed = (url: string, authorization: string, more = {}) => ({
    method: "HEAD",
    url,
    headers: { authorization, "user-agent": "sdk", ...more }
  })

  it("tells where the bucket is, and for which region it is signed", () => {
    assert.deepInclude(Put.baseOf(signed("https://b.s3.eu-west-1.amazonaws.com/key", scope("s3")), "key"), {
      hostname: "b.s3.eu-west-1.amazonaws.com",
      port: undefined,
      prefix: "/",
      region: "eu-west-1"
    })
    assert.deepInclude(Put.baseOf(signed("http://[::1]:9000/base/b/key", scope("s3")), "key"), {
      port: 9000,
      prefix: "/base/b/"
    })
  })

  it("tells nothing where it is signed in another way", () => {
    const url = "https://b.test/key"
    for (const other of [
      signed(url, scope("s3express")),
      signed(url, "AWS4-ECDSA-P256-SHA256 Credential=A/20260101/s3/aws4_request, SignedHeaders=host, Signature=0"),
      signed(url, scope("s3"), { "X-Amz-S3Session-Token": "t" }),
      signed("https://b.test/other", scope("s3")),
      { method: "HEAD", url, headers: {} }
    ]) {
      assert.isUndefined(Put.baseOf(other, "key"))
    }
  })
})
