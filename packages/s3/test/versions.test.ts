/**
 * A bucket that keeps versions: what is deleted is ours, and what was there before is seen again.
 */
import {
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectVersionsCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client
} from "@aws-sdk/client-s3"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { startVersitygw, type Versitygw } from "../../../testbed/testbed.ts"
import * as Bed from "./support/bed.ts"

const { is, mib, noise, upload } = Bed
const big = noise(5 * mib + 4321)
const small = noise(100_000, 2)

describe.skipIf(Bed.none)("in a bucket that keeps versions an object", () => {
  let service: Versitygw
  let s3: S3Client
  beforeAll(async () => {
    service = await startVersitygw({ versions: true })
    const credentials = { accessKeyId: service.accessKey, secretAccessKey: service.secretKey }
    s3 = new S3Client({ endpoint: service.url, region: "us-east-1", forcePathStyle: true, credentials })
    const VersioningConfiguration = { Status: "Enabled" } as const
    await s3.send(new PutBucketVersioningCommand({ Bucket: service.bucket, VersioningConfiguration }))
  })
  afterAll(async () => {
    s3?.destroy()
    await service?.stop()
    await Bed.runtime.dispose()
  })

  const place = (key: string, endpoint = service.url) => ({
    bucket: service.bucket,
    key,
    endpoint,
    partSize: 5 * mib,
    credentials: { accessKeyId: service.accessKey, secretAccessKey: service.secretKey }
  })

  const stored = async (key: string): Promise<Buffer> => {
    const answer = await s3.send(new GetObjectCommand({ Bucket: service.bucket, Key: key }))
    return Buffer.from(await answer.Body!.transformToByteArray())
  }

  it("is another version, and the receipt says which", async () => {
    for (const [key, bytes] of [
      ["small", small],
      ["big", big]
    ] as const) {
      for (let i = 1; i <= 2; i++) {
        const { error, receipt } = await upload(bytes, place(key))
        assert.isUndefined(error, error?.message)
        const to = receipt.destinations[0]!
        assert.strictEqual(to.status, "verified")
        const { VersionId } = await s3.send(new HeadObjectCommand({ Bucket: service.bucket, Key: key }))
        assert.include(to.notes ?? [], `version ${VersionId}`)
        const { Versions } = await s3.send(new ListObjectVersionsCommand({ Bucket: service.bucket, Prefix: key }))
        assert.strictEqual(Versions?.length, i)
      }
    }
  })

  it("that cannot be verified is deleted, and the one before is seen again", async () => {
    for (const bytes of [small, big]) {
      const key = `wrong-${bytes.length}`
      await s3.send(new PutObjectCommand({ Bucket: service.bucket, Key: key, Body: "before" }))
      const hidden = { type: "replaceAnswer", status: 403, headers: [], body: "" } as const
      const proxy = await FaultProxy.start({
        target: { port: Number(new URL(service.url).port) },
        match: (request) => is.get(request),
        faults: [hidden]
      })
      const { error } = await upload(bytes, place(key, proxy.url), { verify: "destination" })
      assert.strictEqual(error?.reason._tag, "Forbidden")
      assert.strictEqual(error?.left, "none")
      assert.strictEqual((await stored(key)).toString(), "before")
      await proxy.close()
    }
  })
})
