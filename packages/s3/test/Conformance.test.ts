/** The conformance kit, against the real S3 of the testbed: in parts, and in one PUT. */
import {
  GetObjectCommand,
  ListMultipartUploadsCommand,
  NoSuchKey,
  PutObjectCommand,
  type S3ServiceException
} from "@aws-sdk/client-s3"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as S3Store from "@headrace/s3/S3Store"
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import { describe } from "vitest"
import * as Bed from "./support/bed.ts"

const partBytes = 5 * 1024 * 1024

const options = (): Conformance.Options<never> => {
  const client = Bed.client()
  const Bucket = Bed.bucket
  return {
    capabilities: {
      shape: "parts",
      parts: { minBytes: partBytes, maxBytes: 5 * 1024 ** 3, maxParts: 10_000, preferredBytes: partBytes },
      needsSize: false,
      sharedMemory: true,
      reports: ["crc64nvme"],
      unfinished: { list: true, abort: true, resume: true }
    },
    make: ({ address, key }) =>
      S3Store.object({
        ...Bed.place(key),
        endpoint: `http://${address!.host}:${address!.port}`,
        partSize: partBytes
      }) as never,
    truth: (Key) =>
      Effect.promise(async () => {
        try {
          const { Body } = await client.send(new GetObjectCommand({ Bucket, Key }))
          return await Body!.transformToByteArray()
        } catch (cause) {
          if (cause instanceof NoSuchKey || (cause as S3ServiceException).name === "NoSuchKey") return undefined
          throw cause
        }
      }),
    put: (Key, Body) => Effect.promise(() => client.send(new PutObjectCommand({ Bucket, Key, Body }))),
    unfinished: (Prefix) =>
      Effect.promise(async () => {
        const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket, Prefix }))
        return Uploads.filter(({ Key }) => Key === Prefix).length
      }),
    service: {
      port: Number(new URL(Bed.endpoint).port),
      isBegin: Bed.is.create,
      isFinish: Bed.is.complete
    },
    keys: ["ünïcode 日本", "a/b", "per%20cent", "what?is#this", "plus+and space"],
    secrets: [Bed.keys.secretAccessKey],
    partBytes,
    except: {
      "makes nothing twice when the answer to the beginning was lost":
        "S3 names uploads by itself: the one whose name nobody heard is listed, and found by those who look for leftovers"
    }
  }
}

if (Bed.none) describe.skip("the conformance kit against a real S3, which is not there")
else Conformance.suite("S3Store, versitygw", NodeTransport.layer as never, options())
