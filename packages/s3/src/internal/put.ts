/**
 * A request with a body of ours: an object, or a part of one. It is signed by the SDK's signer alone: the rest of what the
 * SDK does with a command takes longer than a small object takes to be sent.
 */
import type { PutObjectCommandInput } from "@aws-sdk/client-s3"
import type * as SdkModule from "@aws-sdk/client-s3"
import type { S3Client } from "@aws-sdk/client-s3"
import { encode, placeholder, type Signed } from "./wire.ts"

/** What is said of the bytes, in the SDK's words. */
export interface Put {
  readonly ContentLength: number
  readonly ContentType?: string | undefined
  readonly ContentMD5?: string | undefined
  readonly ChecksumCRC64NVME?: string | undefined
  readonly ChecksumCRC32C?: string | undefined
  readonly StorageClass?: PutObjectCommandInput["StorageClass"]
  readonly IfNoneMatch?: "*" | undefined
  /** Of a part. */
  readonly part?: { readonly UploadId: string; readonly PartNumber: number }
}

const fields = {
  ContentLength: "content-length",
  ContentType: "content-type",
  ContentMD5: "content-md5",
  ChecksumCRC64NVME: "x-amz-checksum-crc64nvme",
  ChecksumCRC32C: "x-amz-checksum-crc32c",
  StorageClass: "x-amz-storage-class",
  IfNoneMatch: "if-none-match"
} as const satisfies { readonly [F in Exclude<keyof Put, "part">]-?: string }

/** The same as one of the SDK's commands, which is not to be sent. */
export const command = (
  s3: S3Client,
  { PutObjectCommand, UploadPartCommand }: typeof SdkModule,
  { Bucket, Key }: { readonly Bucket: string; readonly Key: string },
  { part, ...put }: Put
): Promise<unknown> => {
  const input = { Bucket, Key, Body: placeholder(), ...put }
  return part === undefined
    ? s3.send(new PutObjectCommand(input))
    : s3.send(new UploadPartCommand({ ...input, ...part }))
}

/** Where a bucket's objects are, and for whom requests to it are signed: as the SDK does it. */
export interface Base {
  readonly protocol: string
  readonly hostname: string
  readonly port: number | undefined
  /** What stands in front of a key. */
  readonly prefix: string
  readonly region: string
  readonly userAgent: string | undefined
}

const pathOf = (key: string): string => key.split("/").map(encode).join("/")

/**
 * Takes a request for an object apart that the SDK has signed. Nothing where it signs in another way than with the keys
 * themselves for one region, as it does for directory buckets.
 */
export const baseOf = ({ headers, url }: Signed, key: string): Base | undefined => {
  const named = (name: string) => Object.entries(headers).find(([other]) => other.toLowerCase() === name)?.[1]
  const scope = /^AWS4-HMAC-SHA256 Credential=[^,]+\/\d{8}\/([^/,]+)\/s3\/aws4_request,/
  const region = scope.exec(named("authorization") ?? "")?.[1]
  const { hostname, pathname, port, protocol } = new URL(url)
  if (region === undefined || named("x-amz-s3session-token") !== undefined) return undefined
  const path = pathOf(key)
  // A URL writes some characters in its own way: a key with these says nothing of where the bucket is.
  if (!pathname.endsWith(`/${path}`)) return undefined
  return {
    protocol,
    hostname,
    port: port === "" ? undefined : Number(port),
    prefix: pathname.slice(0, -path.length),
    region,
    userAgent: named("user-agent")
  }
}

/** A request before it is signed, in the shape that the SDK's signer takes. */
export const unsigned = (base: Base, key: string, put: Put) => {
  const { hostname, port, prefix, protocol, userAgent } = base
  const headers: Record<string, string> = {
    host: port === undefined ? hostname : `${hostname}:${port}`,
    // The service checks the bytes by the checksum that stands in front of them.
    "x-amz-content-sha256": "UNSIGNED-PAYLOAD",
    ...(userAgent === undefined ? undefined : { "user-agent": userAgent })
  }
  for (const name of Object.keys(fields) as Array<keyof typeof fields>) {
    if (put[name] !== undefined) headers[fields[name]] = String(put[name])
  }
  const { part } = put
  const query: Record<string, string> =
    part === undefined
      ? { "x-id": "PutObject" }
      : { partNumber: String(part.PartNumber), uploadId: part.UploadId, "x-id": "UploadPart" }
  return {
    method: "PUT",
    protocol,
    hostname,
    ...(port === undefined ? undefined : { port }),
    path: `${prefix}${pathOf(key)}`,
    query,
    headers
  }
}
