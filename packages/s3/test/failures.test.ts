/**
 * What goes wrong at a real S3 or on the way to it, on real wires, and what is left behind.
 */
import {
  AbortMultipartUploadCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client
} from "@aws-sdk/client-s3"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import type { Source } from "@headrace/core/Source"
import * as Effect from "effect/Effect"
import * as S3Source from "@headrace/s3/S3Source"
import type * as S3Store from "@headrace/s3/S3Store"
import { once } from "node:events"
import { connect, createServer, type Socket } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, afterEach, assert, beforeAll, describe, it } from "vitest"
import { cert, key } from "../../http/test/support/certificate.ts"
import * as Bed from "./support/bed.ts"

const { fresh, is, mib, noise, place, says, upload } = Bed
const partSize = 5 * mib
const big = noise(3 * partSize + 4321)
const small = noise(2 * mib + 3, 2)

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

/** Where an object goes, with a proxy in between. */
const behind = async (
  match: (request: Bed.Request) => boolean,
  faults: ReadonlyArray<FaultProxy.ProxyFault>,
  more: Partial<S3Store.Options> = {}
) => {
  const proxy = await Bed.behind(match, faults)
  open.push(proxy)
  const key = fresh()
  const options: S3Store.Options = { ...place(key), endpoint: proxy.url, partSize, ...more }
  return { proxy, key, options, seen: (match: (request: Bed.Request) => boolean) => proxy.requests.filter(match) }
}

const stored = async (key: string): Promise<Buffer | undefined> => {
  try {
    const answer = await s3.send(new GetObjectCommand({ Bucket: Bed.bucket, Key: key }))
    return Buffer.from(await answer.Body!.transformToByteArray())
  } catch {
    return undefined
  }
}

const put = (key: string, bytes: Uint8Array) =>
  s3.send(new PutObjectCommand({ Bucket: Bed.bucket, Key: key, Body: bytes }))

const uploads = async (key: string): Promise<ReadonlyArray<string>> => {
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket: Bed.bucket, Prefix: key }))
  return (Uploads ?? []).map(({ UploadId }) => UploadId!)
}

const whole = async ({ error, receipt }: Bed.Outcome, key: string, bytes: Uint8Array) => {
  assert.isUndefined(error, error?.message)
  const to = receipt.destinations[0]!
  assert.strictEqual(to.status, "verified")
  assert.isTrue((await stored(key))?.equals(bytes))
  return to
}

const fine = async (outcome: Bed.Outcome, key: string, bytes: Uint8Array) => {
  const to = await whole(outcome, key, bytes)
  assert.deepStrictEqual(await uploads(key), [])
  return to
}

const failed = ({ error, told }: Bed.Outcome, reason: string, message: RegExp, left: string | RegExp) => {
  if (error === undefined) return assert.fail("it succeeded")
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.notInclude(error.message, "\n")
  assert.match(error.message, message)
  assert.notInclude(told, Bed.keys.secretAccessKey)
  if (typeof left === "string") assert.strictEqual(error.left, left)
  else assert.match(error.left, left)
  return error
}

const slowDown = {
  ...says(503, "SlowDown", "Please reduce your request rate."),
  headers: [["Retry-After", "1"]] as const
}

/** An answer that comes in front of the body, so that the service does nothing. */
const early = ({ body, headers, status }: ReturnType<typeof says>): FaultProxy.ProxyFault => ({
  type: "answerEarly",
  afterBytes: 0,
  body,
  headers,
  status
})

describe.skipIf(Bed.none)("a part", () => {
  for (const [name, fault] of [
    ["reset at its beginning", { type: "refuse" }],
    ["reset in its middle", { type: "cutRequest", afterBytes: 3 * mib + 17, how: "reset" }],
    ["half closed in its middle", { type: "cutRequest", afterBytes: 17, how: "close" }],
    ["whose answer is lost", { type: "dropAnswer", how: "reset" }],
    ["whose answer is a gateway's", { type: "replaceAnswer", status: 502 }],
    ["answered by InternalError", says(500, "InternalError")],
    ["answered by RequestTimeout", says(400, "RequestTimeout")],
    ["said to be corrupted", says(400, "BadDigest")],
    ["said to be corrupted, as MinIO says it", says(400, "XAmzContentChecksumMismatch")],
    ["answered by IncompleteBody", says(400, "IncompleteBody")],
    ["that stalls", { type: "stallRequest", afterBytes: 2 * mib }]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault]>) {
    it(`${name} is sent again, and no other`, async () => {
      const { key, options, seen } = await behind(is.part, [{ type: "none" }, fault])
      const to = await fine(await upload(big, options, { stallMs: 500 }), key, big)
      assert.strictEqual(seen(is.part).length, 5)
      assert.strictEqual(seen(is.create).length, 1)
      // A kept connection that is dead before a byte was sent costs no attempt.
      if (fault.type !== "refuse") assert.isAtLeast(to.attempts, 2)
    })
  }

  it("answered by SlowDown is sent again after as long as it says", async () => {
    const { key, options, seen } = await behind(is.part, [slowDown, slowDown])
    const begin = Date.now()
    await fine(await upload(big, options), key, big)
    assert.isAtLeast(Date.now() - begin, 1000)
    assert.strictEqual(seen(is.part).length, 6)
  })

  for (const [name, fault, reason] of [
    ["refused for good", says(403, "AccessDenied"), "Forbidden"],
    ["too large", says(400, "EntityTooLarge"), "TooLarge"],
    ["over a quota", says(403, "QuotaExceeded"), "QuotaExceeded"]
  ] as const) {
    it(`${name} ends the upload, and it is given up`, async () => {
      const { key, options, seen } = await behind(is.part, [fault])
      failed(
        await upload(big, options),
        reason,
        new RegExp(`^part \\d was not taken: ${reason === "Forbidden" ? "AccessDenied" : ""}`),
        "none"
      )
      assert.deepStrictEqual(await uploads(key), [])
      assert.isAtLeast(seen(is.abort).length, 1)
      assert.isUndefined(await stored(key))
    })
  }

  it("that never gets through ends it after so many retries, and it is given up", async () => {
    const { key, options } = await behind(
      is.part,
      Array.from({ length: 40 }, () => says(503, "ServiceUnavailable"))
    )
    failed(await upload(big, options, { retries: 1 }), "Unavailable", /ServiceUnavailable \(503\)/, "none")
    assert.deepStrictEqual(await uploads(key), [])
  })

  it("of an upload that somebody has aborted is sent into another one", async () => {
    const slow = Array.from({ length: 4 }, () => ({ type: "stallRequest", afterBytes: 1000, ms: 500 }) as const)
    const { key, options, seen } = await behind(is.part, slow)
    const running = upload(big, options)
    while (seen(is.part).length < 4) await sleep(5)
    for (const UploadId of await uploads(key)) {
      await s3.send(new AbortMultipartUploadCommand({ Bucket: Bed.bucket, Key: key, UploadId }))
    }
    await fine(await running, key, big)
    assert.strictEqual(seen(is.create).length, 2)
    assert.include(
      seen(is.part).map(({ status }) => status),
      404
    )
  })
})

describe.skipIf(Bed.none)("one PUT", () => {
  for (const [name, fault, puts] of [
    ["reset at its beginning is sent again", { type: "refuse" }, 2],
    ["reset in its middle is sent again", { type: "cutRequest", afterBytes: mib + 17, how: "reset" }, 2],
    ["answered by SlowDown is sent again", early(slowDown), 2],
    ["said to be corrupted is sent again", early(says(400, "BadDigest")), 2],
    ["whose answer is lost is looked at", { type: "dropAnswer", how: "reset" }, 1],
    ["whose answer is a gateway's is looked at", { type: "replaceAnswer", status: 502 }, 1]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault, number]>) {
    for (const ifNoneMatch of [false, true]) {
      it(`${name}${ifNoneMatch ? ", with ifNoneMatch" : ""}`, async () => {
        const { key, options, seen } = await behind(is.put, [fault], { ifNoneMatch })
        await fine(await upload(small, options), key, small)
        assert.strictEqual(seen(is.put).length, puts)
      })
    }
  }

  it("whose answer is lost, and that cannot be looked at, is told by the next one being refused, with ifNoneMatch", async () => {
    const { key, options, proxy, seen } = await behind(
      (request) => is.put(request) || is.head(request),
      [{ type: "none" }, { type: "dropAnswer", how: "reset" }, { type: "refuse" }, { type: "refuse" }],
      { ifNoneMatch: true }
    )
    await fine(await upload(small, options), key, small)
    assert.strictEqual(proxy.waiting(), 0)
    assert.strictEqual(seen(is.put).length, 2)
  })

  it("is refused where another writer's object comes in between, with ifNoneMatch", async () => {
    const { key, options, seen } = await behind(is.put, [{ type: "stallRequest", afterBytes: 0, ms: 400 }], {
      ifNoneMatch: true
    })
    const running = upload(small, options)
    while (seen(is.put).length < 1) await sleep(5)
    await put(key, Buffer.from("theirs"))
    failed(await running, "Conflict", /PreconditionFailed \(412\)|there is an object already/, "none")
    assert.strictEqual((await stored(key))?.toString(), "theirs")
  })

  it("that another writer replaces before it is looked at is left alone", async () => {
    const { key, options, seen } = await behind(is.head, [
      { type: "none" },
      { type: "stallRequest", afterBytes: 0, ms: 1 }
    ])
    const slow = await Bed.behind(is.put, [{ type: "delayAnswer", ms: 400 }])
    open.push(slow)
    const running = upload(small, { ...options, endpoint: slow.url })
    while (slow.requests.find(is.put)?.status === undefined) await sleep(5)
    await put(key, Buffer.from("theirs"))
    failed(await running, "Conflict", /another writer's object is there now/, "none")
    assert.strictEqual((await stored(key))?.toString(), "theirs")
    assert.strictEqual(seen(is.remove).length, 0)
  })
})

describe.skipIf(Bed.none)("the beginning of an upload", () => {
  for (const [name, fault] of [
    ["reset", { type: "refuse" }],
    ["answered by SlowDown", slowDown]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault]>) {
    it(`${name} is tried again`, async () => {
      const { key, options, seen } = await behind(is.create, [fault])
      await whole(await upload(big, options), key, big)
      // A kept connection that was reset is tried once more by the transport.
      assert.isAtLeast(seen(is.create).length, 2)
    })
  }

  it("whose answer is lost leaves an upload without parts, and says so", async () => {
    const lost = { type: "replaceAnswer", status: 502 } as const
    const { key, options } = await behind(is.create, [lost])
    const { error, receipt } = await upload(big, options)
    assert.isUndefined(error)
    assert.include(
      receipt.destinations[0]!.notes ?? [],
      "an upload whose creation got no answer may be there, without parts; nobody knows its id"
    )
    assert.strictEqual((await uploads(key)).length, 1)
  })

  it("is refused for good once", async () => {
    const { options, seen } = await behind(is.create, [says(403, "AccessDenied")])
    failed(
      await upload(big, options),
      "Forbidden",
      /^the upload cannot be begun: AccessDenied \(403\): because$/,
      "none"
    )
    assert.strictEqual(seen(is.create).length, 1)
  })

  it("at a service that refuses the checksum goes on with a lesser one", async () => {
    const refuse = says(400, "InvalidRequest")
    const { key, options } = await behind(is.create, [refuse], { vendor: "generic" })
    // The proxy changes the answer of a service that has begun one, so these are left.
    const to = await whole(await upload(big, options), key, big)
    assert.deepStrictEqual(to.proof?.compared, ["crc32c"])
    assert.match(to.notes![0]!, /the service's checksum of the parts' CRC32Cs, .* \(probed\)$/)
    const none = await behind(is.create, [refuse, says(501, "NotImplemented")], { vendor: "generic" })
    const by = await whole(await upload(big, none.options), none.key, big)
    assert.deepStrictEqual(by.proof?.compared, ["md5"])
    assert.match(by.notes![0]!, /^proof: the ETag/)
    // The parts were told by Content-MD5.
    assert.match(none.seen(is.part)[0]!.headers["content-md5"] ?? "", /^[A-Za-z0-9+/]{22}==$/)
  })

  it("never uses aws-chunked, and announces each part's checksum in front of it", async () => {
    const { key, options, seen } = await behind(() => false, [])
    await fine(await upload(big, options), key, big)
    for (const { headers } of seen(is.part)) {
      assert.isUndefined(headers["content-encoding"])
      assert.isUndefined(headers["x-amz-trailer"])
      assert.isUndefined(headers["transfer-encoding"])
      assert.strictEqual(headers["x-amz-content-sha256"], "UNSIGNED-PAYLOAD")
      assert.match(headers["x-amz-checksum-crc64nvme"] ?? "", /^[A-Za-z0-9+/]{11}=$/)
    }
    const [complete] = seen(is.complete)
    assert.strictEqual(complete!.headers["x-amz-mp-object-size"], String(big.length))
    assert.strictEqual(complete!.headers["x-amz-checksum-type"], "FULL_OBJECT")
  })
})

describe.skipIf(Bed.none)("Complete", () => {
  it("that answers 200 with an error is none, and is tried again", async () => {
    const { key, options, seen } = await behind(is.complete, [
      says(200, "InternalError", "We encountered an internal error. Please try again.")
    ])
    // The proxy changes the answer of a service that has made it: so it is looked at, and ours.
    await fine(await upload(big, options), key, big)
    assert.strictEqual(seen(is.complete).length, 1)
  })

  it("that answers 200 with an error and has made nothing is tried again", async () => {
    const fault = early(says(200, "InternalError"))
    const { key, options, seen } = await behind(is.complete, [fault])
    await fine(await upload(big, options), key, big)
    assert.strictEqual(seen(is.complete).length, 2)
  })

  for (const [name, fault, tries] of [
    ["whose answer is lost is looked at", { type: "dropAnswer", how: "reset" }, 1],
    ["whose answer is a gateway's is looked at", { type: "replaceAnswer", status: 504 }, 1],
    ["that does not get through is sent again", { type: "answerEarly", afterBytes: 0, status: 503 }, 2]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault, number]>) {
    for (const before of [undefined, "other", "same"]) {
      it(`${name}${before === undefined ? "" : `, where ${before} bytes were before`}`, async () => {
        const { key, options, seen } = await behind(is.complete, [fault])
        if (before === "other") await put(key, Buffer.from("before"))
        // The same bytes, cut alike: the object before cannot be told from ours.
        if (before === "same") await upload(big, { ...place(key), partSize })
        await fine(await upload(big, options), key, big)
        assert.isAtLeast(seen(is.complete).length, tries)
      })
    }
  }

  it("that is refused for good leaves nothing", async () => {
    const refuse = early(says(403, "AccessDenied"))
    const { key, options } = await behind(is.complete, [refuse])
    failed(await upload(big, options), "Forbidden", /^the object could not be made of its parts: AccessDenied/, "none")
    assert.deepStrictEqual(await uploads(key), [])
    assert.isUndefined(await stored(key))
  })

  it("that says the whole's checksum is wrong is no success, and is not repeated", async () => {
    const refuse = early(says(400, "BadDigest"))
    const { key, options, seen } = await behind(is.complete, [refuse])
    failed(await upload(big, options), "DigestMismatch", /BadDigest \(400\)/, "none")
    assert.strictEqual(seen(is.complete).length, 1)
    assert.deepStrictEqual(await uploads(key), [])
  })

  it("is refused where another writer's object comes in between, with ifNoneMatch", async () => {
    const { key, options, seen } = await behind(is.complete, [{ type: "stallRequest", afterBytes: 0, ms: 400 }], {
      ifNoneMatch: true
    })
    const running = upload(big, options)
    while (seen(is.complete).length < 1) await sleep(5)
    await put(key, Buffer.from("theirs"))
    failed(await running, "Conflict", /PreconditionFailed \(412\)/, "none")
    assert.strictEqual((await stored(key))?.toString(), "theirs")
    assert.deepStrictEqual(await uploads(key), [])
  })

  it("that conflicts with another writer for a moment is tried again", async () => {
    const fault = early(says(409, "ConditionalRequestConflict"))
    const { key, options, seen } = await behind(is.complete, [fault], { ifNoneMatch: true })
    await fine(await upload(big, options), key, big)
    assert.strictEqual(seen(is.complete).length, 2)
  })
})

/** The answers to HEAD after the object is there say that it is another one than was sent. */
const wrongHead = async (key: string): Promise<FaultProxy.ProxyFault> => {
  const { ETag } = await s3.send(new HeadObjectCommand({ Bucket: Bed.bucket, Key: key }))
  return {
    type: "replaceAnswer",
    status: 200,
    body: "",
    headers: [
      ["ETag", ETag!],
      ["x-amz-checksum-crc64nvme", "AAAAAAAAAAA="],
      ["x-amz-checksum-type", "FULL_OBJECT"]
    ]
  }
}

describe.skipIf(Bed.none)("an object that is not what was sent", () => {
  for (const [name, before] of [
    ["is deleted", undefined],
    ["is deleted also where it replaced another one", "before"]
  ] as const) {
    it(name, async () => {
      const model = fresh()
      await upload(big, { ...place(model), partSize })
      const wrong = await wrongHead(model)
      const { key, options, seen } = await behind(is.head, [{ type: "none" }, wrong, wrong, wrong])
      if (before !== undefined) await put(key, Buffer.from(before))
      failed(await upload(big, options), "SizeMismatch", /\d+ bytes were sent, the store holds/, "none")
      assert.isUndefined(await stored(key))
      assert.strictEqual(seen(is.remove).length, 1)
    })
  }
})

describe.skipIf(Bed.none)("keys that end in mid-upload", () => {
  const expired = (afterBytes: number, status = 400, code = "ExpiredToken") =>
    ({ ...says(status, code, "The provided token has expired."), type: "answerEarly", afterBytes }) as const

  const counted = () => {
    let asked = 0
    return {
      asked: () => asked,
      credentials: () => {
        asked++
        return Promise.resolve({ ...Bed.keys, expiration: new Date(Date.now() + 3_600_000) })
      }
    }
  }

  it("are fetched anew, and the part is sent without costing an attempt", async () => {
    const fetcher = counted()
    const { key, options, seen } = await behind(is.part, [{ type: "none" }, expired(0)], {
      credentials: fetcher.credentials
    })
    const outcome = await upload(big, options, { retries: 0 })
    const to = await fine(outcome, key, big)
    assert.strictEqual(to.attempts, 1)
    assert.strictEqual(seen(is.part).length, 5)
    assert.isAbove(fetcher.asked(), 1)
  })

  it("when bytes were taken already, the part is sent again as an attempt", async () => {
    const fetcher = counted()
    const { key, options } = await behind(is.part, [expired(mib, 403, "ExpiredTokenException")], {
      credentials: fetcher.credentials
    })
    const to = await fine(await upload(big, options), key, big)
    assert.strictEqual(to.attempts, 2)
  })

  for (const [name, match] of [
    ["at the beginning", is.create],
    ["at Complete", is.complete],
    ["at the look", is.head]
  ] as const) {
    it(`${name} are fetched anew`, async () => {
      const fetcher = counted()
      const fault = match === is.head ? { type: "replaceAnswer" as const, status: 400, body: "" } : expired(0)
      const { key, options } = await behind(match, [fault], { credentials: fetcher.credentials })
      const to = await whole(await upload(big, options, { retries: 0 }), key, big)
      assert.strictEqual(to.attempts, 1)
      assert.isAbove(fetcher.asked(), 1)
    })
  }

  it("and that are no better when fetched anew end the upload", async () => {
    const { key, options } = await behind(is.complete, [expired(0), expired(0)])
    failed(await upload(big, options, { retries: 0 }), "Unauthorized", /ExpiredToken \(400\)/, "none")
    assert.deepStrictEqual(await uploads(key), [])
  })
})

describe.skipIf(Bed.none)("a bucket in another region", () => {
  // The service itself says so: it has one region, and the signature names another.
  for (const [name, bytes] of [
    ["in parts", big],
    ["by one PUT", small]
  ] as const) {
    it(`is followed there, ${name}`, async () => {
      const { key, options } = await behind(() => false, [], { region: "eu-west-1" })
      await fine(await upload(bytes, options, { retries: 0 }), key, bytes)
    })
  }

  it("is followed once", async () => {
    const moved = (region: string): FaultProxy.ProxyFault => ({
      ...says(301, "PermanentRedirect"),
      headers: [["x-amz-bucket-region", region]]
    })
    const { options, seen } = await behind(is.create, [moved("eu-west-1"), moved("eu-west-2")])
    failed(await upload(big, options), "Rejected", /PermanentRedirect \(301\)/, "none")
    assert.strictEqual(seen(is.create).length, 2)
  })
})

describe.skipIf(Bed.none)("giving an upload up", () => {
  const refuse = says(403, "AccessDenied")

  it("is tried again when the service is away for a moment", async () => {
    const { key, options } = await behind(
      (request) => is.part(request) || is.abort(request),
      [refuse, { type: "replaceAnswer", status: 503 }, { type: "refuse" }]
    )
    failed(await upload(big, options), "Forbidden", /AccessDenied/, "none")
    assert.deepStrictEqual(await uploads(key), [])
  })

  it("leaves it and says so when the service stays away", async () => {
    const { key, options, proxy, seen } = await behind(() => true, [])
    const running = upload(big, options, { retries: 0 })
    while (seen(is.part).length < 1) await sleep(2)
    // From here on nothing gets through.
    proxy.push(...Array.from({ length: 100 }, () => ({ type: "refuse" }) as const))
    const error = failed(await running, "ConnectionLost", /connection/, /^upload \S+ of s3:\/\/|^unknown s3:/)
    const [id] = await uploads(key)
    assert.strictEqual(error.left, `upload ${id} of ${error.uri}`)
  })

  it("happens when the upload is interrupted", async () => {
    const { key, options, seen } = await behind(is.part, [{ type: "none" }, { type: "stallRequest", afterBytes: 100 }])
    const controller = new AbortController()
    const running = upload(big, options, {}, { signal: controller.signal }).then(
      () => "ended",
      () => "interrupted"
    )
    while (seen(is.part).length < 2) await sleep(5)
    assert.strictEqual((await uploads(key)).length, 1)
    controller.abort()
    assert.strictEqual(await running, "interrupted")
    for (let i = 0; i < 100 && (await uploads(key)).length > 0; i++) await sleep(50)
    assert.deepStrictEqual(await uploads(key), [])
  })
})

/** Changes one byte of one body on its way; what the service makes of it is its own. */
const corrupting = async (head: RegExp) => {
  let struck = 0
  const clients = new Set<Socket>()
  const server = createServer((client) => {
    clients.add(client)
    const service = connect(Number(new URL(Bed.endpoint).port), "127.0.0.1")
    let meant = false
    let passed = 0
    client.on("data", (chunk) => {
      // A connection may carry several requests; each begins with what is sent before its body may come.
      if (!meant && head.test(chunk.toString("latin1"))) {
        meant = true
        passed = 0
      }
      passed += chunk.length
      if (meant && struck === 0 && passed > 100_000) {
        struck++
        chunk[chunk.length - 1]! ^= 1
      }
      service.write(chunk)
    })
    service.on("data", (chunk) => void client.write(chunk))
    const end = () => {
      client.destroy()
      service.destroy()
    }
    for (const socket of [client, service]) socket.on("error", end).on("close", end)
  }).listen(0, "127.0.0.1")
  await once(server, "listening")
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const client of clients) client.destroy()
    })
  open.push({ close })
  const { port } = server.address() as { readonly port: number }
  return { url: `http://127.0.0.1:${port}`, struck: () => struck }
}

describe.skipIf(Bed.none)("a byte that is changed on its way", () => {
  for (const [name, bytes, head] of [
    ["a part", big, /^PUT \S+partNumber=2/],
    ["one PUT", small, /^PUT /]
  ] as const) {
    it(`in ${name} is seen by the service, and it is sent again`, async () => {
      const proxy = await corrupting(head)
      const name = fresh()
      const outcome = await upload(bytes, { ...place(name), endpoint: proxy.url, partSize })
      const to = await fine(outcome, name, bytes)
      assert.strictEqual(proxy.struck(), 1)
      assert.strictEqual(to.attempts, 2)
      const retry = outcome.events.find(({ type }) => type === "retry")
      assert.match(JSON.stringify(retry), /BadDigest|XAmzContentChecksumMismatch/)
    })
  }
})

describe.skipIf(Bed.none)("TLS", () => {
  it("is spoken with authorities that are given, and with no others", async () => {
    const proxy = await FaultProxy.start({ target: { port: Number(new URL(Bed.endpoint).port) }, tls: { key, cert } })
    open.push(proxy)
    for (const bytes of [small, big]) {
      const name = fresh()
      const options = { ...place(name), endpoint: `https://localhost:${proxy.port}`, partSize }
      await fine(await upload(bytes, { ...options, tls: { verify: true, ca: cert } }), name, bytes)
      failed(await upload(bytes, options, { retries: 0 }), "ConnectionLost", /certificate/, "none")
    }
  })
})

describe.skipIf(Bed.none)("keys that may not list parts", () => {
  it("upload, and give up, all the same", async () => {
    const lists = (request: Bed.Request) => request.method === "GET" && request.path.includes("uploadId=")
    const never = Array.from({ length: 40 }, () => says(403, "AccessDenied"))
    const { key, options } = await behind(lists, never)
    await fine(await upload(big, options), key, big)
    const both = await behind(
      (request) => is.complete(request) || lists(request),
      [early(says(403, "AccessDenied")), ...never]
    )
    failed(await upload(big, both.options), "Forbidden", /AccessDenied/, "none")
    assert.deepStrictEqual(await uploads(both.key), [])
  })
})

describe.skipIf(Bed.none)("an interruption", () => {
  for (const [name, bytes, match] of [
    ["while Complete is under way", big, is.complete],
    ["while the answer to a PUT is under way", small, is.put]
  ] as const) {
    for (const before of [false, true]) {
      it(`${name} ${before ? "leaves what replaced another object, and says so" : "leaves nothing"}`, async () => {
        const { key, options, seen } = await behind(match, [{ type: "delayAnswer", ms: 60_000 }])
        if (before) await put(key, Buffer.from("before"))
        const controller = new AbortController()
        let left: string | undefined
        const running = upload(
          bytes,
          options,
          {
            answerMs: 60_000,
            onEvent: (event) =>
              Effect.sync(() => {
                if (event.type === "receipt") left = event.destinations[0]?.error?.left
              })
          },
          { signal: controller.signal }
        ).catch(() => undefined)
        while (seen(match)[0]?.status === undefined) await sleep(5)
        assert.isTrue((await stored(key))?.equals(bytes))
        controller.abort()
        await running
        for (let i = 0; i < 100 && left === undefined; i++) await sleep(50)
        if (before) assert.match(left ?? "", /^object s3:/)
        else {
          assert.strictEqual(left, "none")
          assert.isUndefined(await stored(key))
        }
        assert.deepStrictEqual(await uploads(key), [])
      })
    }
  }
})

describe.skipIf(Bed.none)("keys that may not look", () => {
  it("write all the same, and the answers to the writing are what is known", async () => {
    for (const [bytes, vendor, digest] of [
      [small, "versitygw", "crc64nvme"],
      [small, undefined, "md5"],
      [big, "versitygw", "crc64nvme"],
      [big, undefined, "crc64nvme"]
    ] as const) {
      const hidden = Array.from({ length: 20 }, () => says(403, "AccessDenied"))
      const { key, options } = await behind((request) => is.head(request) || is.get(request), hidden, {
        vendor
      })
      const to = await whole(await upload(bytes, options), key, bytes)
      assert.deepStrictEqual(to.proof?.compared, [digest])
      assert.strictEqual(to.object?.size, null)
      assert.include(to.notes ?? [], "the service took the object, and does not let these keys look at it")
    }
  })
})

describe.skipIf(Bed.none)("an object that is read", () => {
  for (const [name, fault] of [
    ["is reset in its middle", { type: "cutAnswer", afterBytes: 7 * mib + 11, how: "reset" }],
    ["is answered by SlowDown", slowDown],
    ["is reset at its beginning", { type: "refuse" }]
  ] as ReadonlyArray<readonly [string, FaultProxy.ProxyFault]>) {
    it(`and ${name} goes on where it was`, async () => {
      const from = fresh()
      await upload(big, { ...place(from), partSize })
      const { options, seen } = await behind(is.get, [fault])
      const to = fresh()
      const source = S3Source.object({ ...options, key: from }) as Source
      await fine(await upload(source, { ...place(to), partSize }, { retries: 0 }), to, big)
      assert.isAtLeast(seen(is.get).length, 2)
    })
  }
})
