/**
 * Objects in a real S3: versitygw, which checks signatures and checksums.
 */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  PutObjectCommand,
  type S3Client
} from "@aws-sdk/client-s3"
import * as Leftovers from "@headrace/core/Leftovers"
import type { PartsSession, StoredPart } from "@headrace/core/Store"
import type { StoreError } from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import type * as Scope from "effect/Scope"
import * as Source from "@headrace/core/Source"
import * as S3Source from "@headrace/s3/S3Source"
import * as S3Store from "@headrace/s3/S3Store"
import * as Blocks from "@headrace/core/Blocks"
import { BlockPool, BlockShare } from "@headrace/core/BlockPool"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import * as Bed from "./support/bed.ts"

const { fresh, mib, noise, place, upload } = Bed
const big = noise(3 * 5 * mib + 4321)
const small = noise(100_000, 2)

let s3: S3Client
beforeAll(() => {
  if (!Bed.none) s3 = Bed.client()
})
afterAll(async () => {
  s3?.destroy()
  await Bed.runtime.dispose()
})

const stored = async (key: string): Promise<Buffer> => {
  const answer = await s3.send(new GetObjectCommand({ Bucket: Bed.bucket, Key: key }))
  return Buffer.from(await answer.Body!.transformToByteArray())
}

const put = (key: string, bytes: Uint8Array) =>
  s3.send(new PutObjectCommand({ Bucket: Bed.bucket, Key: key, Body: bytes }))

const head = (key: string) => s3.send(new HeadObjectCommand({ Bucket: Bed.bucket, Key: key, ChecksumMode: "ENABLED" }))

const uploads = async (key: string): Promise<number> => {
  const { Uploads } = await s3.send(new ListMultipartUploadsCommand({ Bucket: Bed.bucket, Prefix: key }))
  return Uploads?.length ?? 0
}

const fine = ({ error, receipt }: Bed.Outcome) => {
  assert.isUndefined(error, error?.message)
  return receipt.destinations[0]!
}

const failed = ({ error, told }: Bed.Outcome, reason: string, message?: RegExp, left?: string) => {
  if (error === undefined) return assert.fail("it succeeded")
  assert.strictEqual(error.reason._tag, reason, error.message)
  assert.notInclude(error.message, "\n")
  assert.notInclude(told, Bed.keys.secretAccessKey)
  if (message !== undefined) assert.match(error.message, message)
  if (left !== undefined) assert.strictEqual(error.left, left)
  return error
}

describe.skipIf(Bed.none)("an object", () => {
  it("of one part is one PUT, proven by the service's checksum", async () => {
    const key = fresh("dir/a b+c&ü'(*)!=~@.img")
    const to = fine(await upload(small, place(key)))
    assert.strictEqual(to.status, "verified")
    assert.deepStrictEqual(to.proof?.compared, ["crc64nvme"])
    assert.strictEqual(to.object?.size, small.length)
    assert.deepStrictEqual(to.notes, ["proof: the service's CRC64NVME of the whole object (known of versitygw)"])
    assert.isTrue((await stored(key)).equals(small))
    const { ContentType, ETag } = await head(key)
    assert.strictEqual(ContentType, "application/octet-stream")
    // One PUT has no -N.
    assert.strictEqual(ETag, `"${Bed.hex("md5", small)}"`)
  })

  it("of several parts is sent in parts, proven by one checksum of the whole", async () => {
    const key = fresh()
    const to = fine(await upload(big, { ...place(key), partSize: 5 * mib, contentType: "application/x-disk" }))
    assert.strictEqual(to.status, "verified")
    assert.deepStrictEqual(to.proof?.compared, ["crc64nvme"])
    assert.isTrue((await stored(key)).equals(big))
    const { ChecksumType, ContentType, ETag } = await head(key)
    assert.strictEqual(ChecksumType, "FULL_OBJECT")
    assert.strictEqual(ContentType, "application/x-disk")
    assert.match(ETag!, /-4"$/)
    assert.strictEqual(to.bytesSent, big.length)
    assert.strictEqual(await uploads(key), 0)
  })

  it("of exactly one part's size is one PUT, and of one byte more is two parts", async () => {
    for (const [length, etag] of [
      [5 * mib, /"[0-9a-f]{32}"/],
      [5 * mib + 1, /-2"$/]
    ] as const) {
      const key = fresh()
      assert.strictEqual(
        fine(await upload(big.subarray(0, length), { ...place(key), partSize: 5 * mib })).status,
        "verified"
      )
      assert.match((await head(key)).ETag!, etag)
    }
  })

  it("of no bytes is one, of known size and of unknown", async () => {
    for (const source of [Source.fromBytes(new Uint8Array()), Bed.unsized(new Uint8Array())]) {
      const key = fresh()
      const to = fine(await upload(source, place(key), { allowEmpty: true }))
      assert.strictEqual(to.status, "verified")
      assert.strictEqual((await head(key)).ContentLength, 0)
      assert.strictEqual(await uploads(key), 0)
    }
  })

  it("of unknown size is sent in parts", async () => {
    const key = fresh()
    const to = fine(await upload(Bed.unsized(big), place(key)))
    assert.strictEqual(to.status, "verified")
    assert.isTrue((await stored(key)).equals(big))
  })

  it("is read back when that is asked for", async () => {
    for (const bytes of [small, big]) {
      const to = fine(
        await upload(bytes, { ...place(fresh()), partSize: 5 * mib }, { verify: "destination", digest: ["sha256"] })
      )
      assert.deepStrictEqual(to.proof?.compared, ["crc64nvme", "sha256"])
    }
  })

  it("goes to two places at once, read once", async () => {
    const keys = [fresh(), fresh()]
    const outcome = await upload(
      big,
      { ...place(keys[0]!), partSize: 5 * mib },
      { also: [S3Store.object({ ...place(keys[1]!), partSize: 6 * mib })] as never }
    )
    assert.deepStrictEqual(
      outcome.receipt.destinations.map(({ status }) => status),
      ["verified", "verified"]
    )
    for (const key of keys) assert.isTrue((await stored(key)).equals(big))
  })

  it("is sent without memory for whole parts too, then without a checksum in front of each", async () => {
    const key = fresh()
    const proxy = await Bed.behind(() => false, [])
    const outcome = await Bed.runtime.runPromise(
      Effect.gen(function* () {
        const pool = yield* BlockPool
        // Somebody else has most of it.
        yield* pool.share(96 - 12)
        const options = { ...place(key), endpoint: proxy.url, partSize: 10 * mib }
        return yield* Effect.promise(() => upload(Bed.named(big), options))
      }).pipe(Effect.scoped)
    )
    await proxy.close()
    const to = fine(outcome)
    assert.strictEqual(to.status, "verified")
    assert.deepStrictEqual(to.proof?.compared, ["crc64nvme"])
    const parts = proxy.requests.filter(Bed.is.part)
    assert.strictEqual(parts.length, 2)
    for (const { headers } of parts) assert.isUndefined(headers["x-amz-checksum-crc64nvme"])
    assert.isTrue((await stored(key)).equals(big))
  })

  it("is begun anew without checksums where the service wants them of all parts and there is no memory", async () => {
    const key = fresh()
    // As MinIO does.
    const missing = {
      ...Bed.says(400, "InvalidArgument", "checksum missing"),
      type: "answerEarly",
      afterBytes: 0
    } as const
    const proxy = await Bed.behind(Bed.is.part, [missing] as never)
    const outcome = await Bed.runtime.runPromise(
      Effect.gen(function* () {
        const pool = yield* BlockPool
        yield* pool.share(96 - 12)
        const options = { ...place(key), endpoint: proxy.url, partSize: 10 * mib }
        return yield* Effect.promise(() => upload(Bed.named(big), options))
      }).pipe(Effect.scoped)
    )
    await proxy.close()
    const to = fine(outcome)
    // This one has a checksum of the whole by itself, as AWS does; MinIO has none then, and it is `stored`.
    assert.deepStrictEqual(to.proof?.compared, ["crc64nvme"])
    assert.match(
      to.notes!.join("\n"),
      /what the service has of the whole by itself, .* \(it wants checksums of parts that there was no memory for\)/
    )
    assert.strictEqual(proxy.requests.filter(Bed.is.create).length, 2)
    assert.isTrue((await stored(key)).equals(big))
    assert.strictEqual(await uploads(key), 0)
  })

  it("replaces what was there", async () => {
    for (const bytes of [small, big]) {
      const key = fresh()
      await put(key, Buffer.from("before"))
      assert.strictEqual(fine(await upload(bytes, { ...place(key), partSize: 5 * mib })).status, "verified")
      assert.isTrue((await stored(key)).equals(bytes))
    }
  })

  it("that is there is not replaced with ifNoneMatch, and nothing is left", async () => {
    for (const bytes of [small, big]) {
      const key = fresh()
      const options = { ...place(key), partSize: 5 * mib, ifNoneMatch: true }
      assert.strictEqual(fine(await upload(bytes, options)).status, "verified")
      const error = failed(await upload(bytes, options), "Conflict", /there is an object already/, "none")
      assert.isFalse(error.retryable)
      assert.isTrue((await stored(key)).equals(bytes))
      assert.strictEqual(await uploads(key), 0)
    }
  })

  it("is not made in a bucket that is not there", async () => {
    for (const bytes of [small, big]) {
      failed(
        await upload(bytes, { ...place("key"), bucket: "nobody-has-this" }),
        "NotFound",
        /NoSuchBucket \(404\)/,
        "none"
      )
    }
  })

  it("is not made with a wrong secret or an unknown key, and the error holds neither", async () => {
    for (const bytes of [small, big]) {
      const wrong = { ...Bed.keys, secretAccessKey: "wr0ng-s3cret" }
      const outcome = await upload(bytes, { ...place(fresh()), credentials: wrong })
      failed(outcome, "Unauthorized", /SignatureDoesNotMatch \(403\)/, "none")
      assert.notInclude(outcome.told, "wr0ng-s3cret")
      const unknown = await upload(bytes, { ...place(fresh()), credentials: { ...Bed.keys, accessKeyId: "nobody" } })
      failed(unknown, "Unauthorized", /XAdminUserNotFound|InvalidAccessKeyId/, "none")
    }
  })

  it("is not begun when there are no credentials, without asking anybody", async () => {
    const credentials = () => Promise.reject(new Error("vault s3cr3t unreachable"))
    const outcome = await upload(small, { ...place(fresh()), credentials })
    const error = failed(outcome, "InvalidConfig")
    assert.notInclude(outcome.told, "s3cr3t")
    assert.isFalse(error.retryable)
  })
})

describe.skipIf(Bed.none)("a plan", () => {
  const plan = (options: S3Store.Options, size: number | undefined) =>
    Bed.runtime.runPromise(Effect.result(Effect.scoped(S3Store.object(options).plan({ size, head: new Uint8Array() }))))

  it("says what would be done", async () => {
    const key = fresh()
    assert.deepStrictEqual(await plan(place(key), 5), await plan(place(key), 5))
    const fresher = await plan(place(key), 5)
    assert.deepInclude(fresher, { _tag: "Success", success: { action: "create", why: "a new object, by one PUT" } })
    await put(key, small)
    const replaced = await plan(place(key), undefined)
    assert.deepInclude(replaced, { success: { action: "create", why: "replaces 100000 bytes, in parts" } })
    const kept = await plan({ ...place(key), ifNoneMatch: true }, 5)
    assert.deepInclude(kept, { success: { action: "fail", why: "there is an object already, which is not replaced" } })
  })

  it("fails where the upload would", async () => {
    for (const [options, size, reason] of [
      [{ bucket: "nobody-has-this" }, 5, "NotFound"],
      [{ credentials: { ...Bed.keys, secretAccessKey: "wrong" } }, 5, "Unauthorized"],
      [{}, 6 * 1024 ** 4, "TooLarge"]
    ] as const) {
      const result = await plan({ ...place(fresh()), ...options }, size)
      if (result._tag === "Success") return assert.fail(`${JSON.stringify(options)}: ${result.success.why}`)
      assert.strictEqual(result.failure.reason._tag, reason)
    }
  })

  it("knows the service", async () => {
    const capabilities = await Bed.runtime.runPromise(Effect.scoped(S3Store.object(place(fresh())).capabilities))
    assert.deepInclude(capabilities, { shape: "parts", reports: ["crc64nvme"], conditionalCreate: true })
    assert.deepInclude(capabilities.details, { service: "versitygw", object: "none" })
    assert.strictEqual(capabilities.learnt["reports"], "profile")
    const told = S3Store.object({ ...place(fresh()), vendor: "generic" })
    const generic = await Bed.runtime.runPromise(Effect.scoped(told.capabilities))
    assert.deepInclude(generic.learnt, { reports: "assumed", maxObjectBytes: "configured" })
  })
})

/** What another kind of service is asked for, of one that has all kinds. */
describe.skipIf(Bed.none)("the proof", () => {
  it("of a service that nobody knows is probed", async () => {
    const options = { ...place(fresh()), partSize: 5 * mib, vendor: "generic" } as const
    const to = fine(await upload(big, options))
    assert.strictEqual(to.status, "verified")
    assert.deepStrictEqual(to.notes, ["proof: the service's CRC64NVME of the whole object (probed)"])
  })

  it("of one PUT to such a service is its ETag", async () => {
    const options = { ...place(fresh()), vendor: "generic" } as const
    const to = fine(await upload(small, options))
    assert.strictEqual(to.status, "verified")
    assert.deepStrictEqual(to.proof?.compared, ["md5"])
    assert.match(to.notes![0]!, /^proof: the ETag/)
  })
})

/** Runs what a program that goes on with uploads does, without an engine. */
const session = (
  options: S3Store.Options,
  size: number | undefined
): Effect.Effect<PartsSession, StoreError, Transport | Scope.Scope> =>
  S3Store.object(options).open({ size, head: new Uint8Array() })

const partOf = (number: number, bytes: Uint8Array, partBytes: number, digests: StoredPart["digests"] = {}) => {
  const offset = (number - 1) * partBytes
  const piece = bytes.subarray(offset, offset + partBytes)
  return {
    number,
    offset,
    length: piece.byteLength,
    digests,
    stream: Blocks.fromBytes(Stream.succeed(piece)),
    onSent: () => {},
    stallMs: 5000,
    answerMs: 5000
  }
}

const withBlocks = <A, E, R>(effect: Effect.Effect<A, E, R>): Promise<A> =>
  Bed.runtime.runPromise(
    Effect.gen(function* () {
      const pool = yield* BlockPool
      const share = yield* pool.share(8)
      return yield* Effect.provideService(effect, BlockShare, share)
    }).pipe(Effect.scoped) as Effect.Effect<A, E, never>
  )

describe.skipIf(Bed.none)("an upload that was begun", () => {
  const partBytes = 5 * mib
  const cut = { partBytes, size: big.length }

  it("is listed, gone on with where each part is the same, and finished", async () => {
    const options = { ...place(fresh()), partSize: partBytes }
    const outcome = await withBlocks(
      Effect.gen(function* () {
        const first = yield* session(options, big.length)
        yield* first.begin
        const token = yield* first.resumption!.token
        const tags = [
          yield* first.writePart(partOf(1, big, partBytes)),
          yield* first.writePart(partOf(3, big, partBytes))
        ]
        const store = S3Store.object(options)
        const listed = yield* Stream.runCollect(store.unfinished!)
        assert.deepStrictEqual(
          listed.map(({ token, uri }) => ({ token, uri })),
          [{ token, uri: store.uri }]
        )
        assert.isAtMost(Math.abs(listed[0]!.startedAt! - Date.now()), 60_000)
        const second = yield* session(options, big.length)
        // The first one is noted, the third one is not, and one is noted that is not there.
        const noted = [
          { number: 1, offset: 0, length: partBytes, tag: tags[0]!, digests: {} },
          { number: 2, offset: partBytes, length: partBytes, tag: '"0123"', digests: {} }
        ]
        const there = yield* second.resumption!.resume(token, noted, cut)
        assert.deepStrictEqual(
          there!.map(({ number, offset, tag }) => ({ number, offset, tag })),
          [
            { number: 1, offset: 0, tag: tags[0]! },
            { number: 3, offset: 2 * partBytes, tag: tags[1]! }
          ]
        )
        const rest: Array<StoredPart> = [...there!]
        for (const number of [2, 4]) {
          const part = partOf(number, big, partBytes)
          const tag = yield* second.writePart(part)
          rest.push({ number, offset: part.offset, length: part.length, tag, digests: {} })
        }
        assert.strictEqual((yield* second.inspect)._tag, "Ready")
        const parts = rest.sort((a, b) => a.number - b.number)
        yield* second.finish({ parts, size: big.length, digests: {}, answerMs: 5000 })
        return yield* second.inspect
      })
    )
    assert.strictEqual(outcome._tag, "Stored")
    assert.isTrue((await stored(options.key)).equals(big))
    assert.strictEqual(await uploads(options.key), 0)
  })

  it("is found to be complete, when nobody heard the answer to Complete", async () => {
    const options = { ...place(fresh()), partSize: partBytes, ifNoneMatch: true }
    const outcome = await withBlocks(
      Effect.gen(function* () {
        const first = yield* session(options, big.length)
        yield* first.begin
        const token = yield* first.resumption!.token
        const parts = yield* Effect.forEach([1, 2, 3, 4], (number) => {
          const part = partOf(number, big, partBytes)
          return Effect.map(first.writePart(part), (tag): StoredPart => ({ ...part, tag }))
        })
        const whole = { parts, size: big.length, digests: {}, answerMs: 5000 }
        yield* first.finish(whole)
        // Another process, which knows of the parts and not of the end.
        const second = yield* session(options, big.length)
        const there = yield* second.resumption!.resume(token, parts, cut)
        assert.strictEqual(there?.length, 4)
        yield* second.finish({ ...whole, parts: there! })
        // Of less it is another object, which is in the way.
        const third = yield* session(options, big.length)
        const error = yield* Effect.flip(third.resumption!.resume(token, parts.slice(1), cut))
        assert.strictEqual(error.reason._tag, "Conflict")
        return yield* second.inspect
      })
    )
    assert.strictEqual(outcome._tag, "Stored")
    assert.isTrue((await stored(options.key)).equals(big))
  })

  it("is not gone on with where a part is not the one that was noted, or of another size", async () => {
    const options = { ...place(fresh()), partSize: partBytes }
    await withBlocks(
      Effect.gen(function* () {
        const first = yield* session(options, big.length)
        yield* first.begin
        const token = yield* first.resumption!.token
        const tag = yield* first.writePart(partOf(1, big, partBytes))
        yield* first.writePart(partOf(2, big, partBytes))
        const resume = (noted: ReadonlyArray<StoredPart>, how = cut) =>
          Effect.gen(function* () {
            const next = yield* session(options, big.length)
            return (yield* next.resumption!.resume(token, noted, how))?.map(({ number }) => number)
          })
        const one = { number: 1, offset: 0, length: partBytes, tag, digests: {} }
        assert.deepStrictEqual(yield* resume([one]), [1, 2])
        assert.deepStrictEqual(yield* resume([{ ...one, tag: '"00000000000000000000000000000000"' }]), [2])
        assert.deepStrictEqual(yield* resume([{ ...one, digests: { crc64nvme: "0000000000000000" } }]), [2])
        assert.deepStrictEqual(yield* resume([one], { partBytes: 6 * mib, size: big.length }), [])
        const store = S3Store.object(options)
        yield* store.abort!(token)
        // Once more is no error.
        yield* store.abort!(token)
        assert.isUndefined(yield* resume([one]))
        assert.deepStrictEqual(yield* Stream.runCollect(store.unfinished!), [])
      })
    )
    assert.strictEqual(await uploads(options.key), 0)
  })

  it("is given up when it is discarded, and of a longer key is not listed", async () => {
    const options = { ...place(fresh()), partSize: partBytes }
    await withBlocks(
      Effect.gen(function* () {
        const one = yield* session(options, big.length)
        yield* one.begin
        // Once more makes no second one.
        yield* one.begin
        const longer = yield* session({ ...options, key: `${options.key}.old` }, big.length)
        yield* longer.begin
        const listed = yield* Stream.runCollect(S3Store.object(options).unfinished!)
        assert.strictEqual(listed.length, 1)
        const token = yield* one.resumption!.token
        assert.strictEqual(yield* one.left, `upload ${token} of ${S3Store.object(options).uri}`)
        assert.strictEqual(yield* one.discard, "none")
        assert.strictEqual(yield* one.left, "none")
        assert.strictEqual((yield* one.inspect)._tag, "Absent")
        assert.strictEqual(yield* longer.discard, "none")
      })
    )
    assert.strictEqual(await uploads(options.key), 0)
  })

  it("is listed by its bucket with all others under a prefix, and given up from there", async () => {
    const { key, ...bucket } = { ...place(fresh()), partSize: partBytes }
    const keys = [`${key}/b c`, `${key}/d/é`]
    await withBlocks(
      Effect.gen(function* () {
        for (const one of [...keys, `${key}-not`]) yield* (yield* session({ ...bucket, key: one }, big.length)).begin
        const store = S3Store.bucket({ ...bucket, prefix: `${key}/` })
        const found = yield* Leftovers.find(store)
        assert.deepStrictEqual(
          found.map(({ known, uri }) => ({ known, uri })),
          keys.map((key) => ({ known: "listed", uri: S3Store.object({ ...bucket, key }).uri }))
        )
        const all = yield* Stream.runCollect(S3Store.bucket(bucket).unfinished!)
        assert.isAtLeast(all.length, 3)
        yield* Effect.forEach(found, ({ discard }) => discard)
        assert.deepStrictEqual(yield* Leftovers.find(store), [])
        const unnamed = yield* Effect.flip(store.abort!("upload"))
        assert.include(unnamed.message, "it is not said of which object the upload is")
        yield* Effect.forEach(
          yield* Leftovers.find(S3Store.object({ ...bucket, key: `${key}-not` })),
          (one) => one.discard
        )
      })
    )
    assert.strictEqual(await uploads(key), 0)
  })

  it("and its bucket says what the service can do, and takes no object", async () => {
    const { key: _, ...bucket } = place(fresh())
    await withBlocks(
      Effect.gen(function* () {
        const store = S3Store.bucket(bucket)
        assert.deepInclude(yield* store.capabilities, { shape: "parts", reports: ["crc64nvme"] })
        const content = { size: 1, head: new Uint8Array(1) }
        assert.strictEqual((yield* Effect.flip(store.open(content))).reason._tag, "InvalidUri")
        const none = yield* Effect.flip(S3Store.bucket({ ...bucket, bucket: "no-such-bucket" }).capabilities)
        assert.strictEqual(none.reason._tag, "NotFound")
        const wrong = yield* Effect.flip(S3Store.bucket({ ...bucket, bucket: "no bucket" }).capabilities)
        assert.strictEqual(wrong.reason._tag, "InvalidUri")
      })
    )
  })

  it("lists more than a thousand parts and goes on with all of them", async () => {
    const options = { ...place(fresh()), partSize: partBytes }
    const tiny = 1000
    await withBlocks(
      Effect.gen(function* () {
        const first = yield* session(options, undefined)
        yield* first.begin
        const token = yield* first.resumption!.token
        const bytes = noise(1002 * tiny)
        const numbers = Array.from({ length: 1002 }, (_, i) => i + 1)
        yield* Effect.forEach(numbers, (number) => first.writePart(partOf(number, bytes, tiny)), { concurrency: 8 })
        const next = yield* session(options, undefined)
        const there = yield* next.resumption!.resume(token, [], { partBytes: tiny, size: bytes.length })
        assert.deepStrictEqual(
          there!.map(({ number }) => number),
          numbers
        )
        assert.strictEqual(yield* next.discard, "none")
      })
    )
  })
})

describe.skipIf(Bed.none)("an object as a source", () => {
  const collect = (source: Source.Source<Transport>, offset = 0) =>
    withBlocks(Effect.map(Stream.runCollect(Blocks.toBytes(source.open(offset))), (pieces) => Buffer.concat(pieces)))

  it("has a size, an identity, the service's digests, and can be read from anywhere", async () => {
    const key = fresh("disk.img")
    fine(await upload(big, { ...place(key), partSize: 5 * mib }))
    const source = S3Source.object(place(key))
    const info = await Bed.runtime.runPromise(source.info)
    assert.strictEqual(info.size, big.length)
    assert.match(info.identity!, /^"[0-9a-f]{32}-4"$/)
    const hints = await Bed.runtime.runPromise(source.hints!)
    assert.strictEqual(hints.name, "disk.img")
    assert.match(hints.digests!["crc64nvme"]!, /^[0-9a-f]{16}$/)
    assert.isTrue((await collect(source)).equals(big))
    assert.isTrue((await collect(source, 7 * mib + 1)).equals(big.subarray(7 * mib + 1)))
    assert.strictEqual((await collect(source, big.length)).length, 0)
  })

  it("goes to another object, and is compared with what the service has of it", async () => {
    const from = fresh()
    fine(await upload(big, { ...place(from), partSize: 5 * mib }))
    const to = fine(await upload(S3Source.object(place(from)) as Source.Source, place(fresh())))
    assert.strictEqual(to.status, "verified")
  })

  it("that is not there, or may not be read, says so", async () => {
    failed(await upload(S3Source.object(place(fresh())) as Source.Source, place(fresh())), "NotFound", /no such object/)
    const wrong = { ...place(fresh()), credentials: { ...Bed.keys, secretAccessKey: "wrong" } }
    failed(
      await upload(S3Source.object(wrong) as Source.Source, place(fresh())),
      "Unauthorized",
      /SignatureDoesNotMatch/
    )
  })

  it("that is replaced while it is read is not half of each", async () => {
    const key = fresh()
    await put(key, big)
    const source = S3Source.object(place(key))
    const outcome = await withBlocks(
      Effect.result(
        Effect.gen(function* () {
          yield* source.info
          yield* Effect.promise(() => put(key, small))
          return yield* Stream.runDrain(Blocks.toBytes(source.open(10)))
        })
      )
    )
    assert.strictEqual(outcome._tag, "Success")
    const to = await upload(
      {
        ...source,
        open: (offset: number) => Stream.tap(source.open(offset), () => Effect.promise(() => put(key, noise(50))))
      } as unknown as Source.Source,
      place(fresh()),
      { retries: 0 }
    )
    failed(to, "SourceChanged")
  })

  it("of no bytes is empty", async () => {
    const key = fresh()
    await put(key, new Uint8Array())
    assert.strictEqual((await collect(S3Source.object(place(key)))).length, 0)
  })
})
