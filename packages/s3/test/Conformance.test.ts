/** The conformance kit, against a real S3 (versitygw). */
import { GetObjectCommand, ListMultipartUploadsCommand, NoSuchKey, PutObjectCommand } from "@aws-sdk/client-s3"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as S3Store from "@headrace/s3/S3Store"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import { afterAll } from "vitest"
import { bucket, client, endpoint, is, keys, mib, none } from "./support/bed.ts"

if (!none) {
  const other = client()
  afterAll(() => other.destroy())
  const partSize = 5 * mib

  Conformance.suite("S3Store, a real S3", NodeTransport.layer, {
    capabilities: {
      shape: "parts",
      needsSize: false,
      sharedMemory: true,
      unfinished: { list: true, abort: true, resume: true }
    },
    make: ({ address, key }) =>
      S3Store.object({
        bucket,
        key,
        endpoint: `http://${address!.host}:${address!.port}`,
        credentials: keys,
        partSize
      }),
    truth: (key) =>
      Effect.promise(async () => {
        try {
          const { Body } = await other.send(new GetObjectCommand({ Bucket: bucket, Key: key }))
          return await Body!.transformToByteArray()
        } catch (error) {
          if (error instanceof NoSuchKey) return undefined
          throw error
        }
      }),
    put: (key, bytes) =>
      Effect.promise(() => other.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: bytes }))),
    unfinished: (key) =>
      Effect.promise(async () => {
        const { Uploads } = await other.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: key }))
        return Uploads?.length ?? 0
      }),
    service: { port: Number(new URL(endpoint).port), isBegin: is.create, isFinish: is.complete },
    keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this", "plus+and space"],
    secrets: [keys.secretAccessKey],
    partBytes: partSize,
    patienceMs: 20_000,
    except: {
      "makes nothing twice when the answer to the beginning was lost":
        "S3 names uploads itself: one whose name got lost is known to nobody, and stays to be listed"
    }
  })
}
