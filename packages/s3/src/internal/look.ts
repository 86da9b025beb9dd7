/**
 * Looks at an object: what it is called, when it was made, and which digests the service has of it.
 */
import type { Algorithm, Digests } from "@headrace/core/Digest"
import * as Effect from "effect/Effect"
import { hexOfBase64 } from "./encoding.ts"
import type * as Fault from "./fault.ts"
import type { Site } from "./site.ts"

export interface Found {
  readonly _tag: "Found"
  readonly size: number | undefined
  readonly etag: string | undefined
  readonly version: string | undefined
  readonly modified: number | undefined
  readonly contentType: string | undefined
  readonly storageClass: string | undefined
  /** Of the whole object, in lower-case hex. */
  readonly digests: Digests
  /** Checksums of the parts' checksums: hex, and how many parts. */
  readonly composite: { readonly [A in Algorithm]?: { readonly hex: string; readonly parts: number } }
}

/** `Unseen`: the keys do not let it be looked at. `Unknown`: nobody has looked. */
export type Look =
  | Found
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Unseen"; readonly fault: Fault.Fault }
  | { readonly _tag: "Unknown" }

/** What a service says when it is asked. */
export type Looked = Exclude<Look, { readonly _tag: "Unknown" }>

/** What a service says of checksums, with HEAD, with Complete and in the fields of a PUT. */
export interface Reported {
  readonly ChecksumCRC64NVME?: string | undefined
  readonly ChecksumCRC32C?: string | undefined
  readonly ChecksumSHA256?: string | undefined
  readonly ChecksumSHA1?: string | undefined
  readonly ChecksumType?: string | undefined
}

const names = {
  crc64nvme: "ChecksumCRC64NVME",
  crc32c: "ChecksumCRC32C",
  sha256: "ChecksumSHA256",
  sha1: "ChecksumSHA1"
} as const satisfies { readonly [A in Algorithm]?: keyof Reported }

/** What a checksum of another length is, nobody knows: some services give one for the other. */
const hexDigits: Readonly<Record<keyof typeof names, number>> = { crc64nvme: 16, crc32c: 8, sha256: 64, sha1: 40 }

const hexOf = (algorithm: keyof typeof names, text: string): string | undefined => {
  const hex = hexOfBase64(text)
  return hex?.length === hexDigits[algorithm] ? hex : undefined
}

const entriesOf = (reported: Reported) =>
  (Object.keys(names) as Array<keyof typeof names>).flatMap((algorithm) => {
    const text = reported[names[algorithm]]
    return text === undefined ? [] : [[algorithm, text] as const]
  })

/** Digests of the whole. Who does not tell the type tells by `-N` that it is of N parts. */
export const digestsOf = (reported: Reported): Digests =>
  reported.ChecksumType === "COMPOSITE"
    ? {}
    : Object.fromEntries(
        entriesOf(reported).flatMap(([algorithm, text]) => {
          const hex = hexOf(algorithm, text)
          return hex === undefined ? [] : [[algorithm, hex] as const]
        })
      )

const compositeOf = (reported: Reported): Found["composite"] =>
  Object.fromEntries(
    entriesOf(reported).flatMap(([algorithm, text]) => {
      const match = /^(.+)-(\d+)$/.exec(text)
      const hex = match === null ? undefined : hexOf(algorithm, match[1]!)
      return hex === undefined ? [] : [[algorithm, { hex, parts: Number(match![2]) }] as const]
    })
  )

const what = "the object cannot be looked at"

/** A HEAD has no body, so it does not say why it is refused; the answer to a GET does. */
const why = ({ call, place }: Site, fault: Fault.Fault): Effect.Effect<Fault.Fault> =>
  call(what, (s3, { GetObjectCommand }, options) =>
    s3.send(new GetObjectCommand({ Bucket: place.bucket, Key: place.key, Range: "bytes=0-0" }), options)
  ).pipe(Effect.as(fault), Effect.catch(Effect.succeed))

/** Whether an answer says that there is nothing, or that we may not know. */
const ofFault = (site: Site, fault: Fault.Fault): Effect.Effect<Looked, Fault.Fault> =>
  Effect.gen(function* () {
    const told = (fault.status === 403 || fault.status === 400) && fault.code === undefined
    const known = told ? yield* why(site, fault) : fault
    if (known.status === 404 && known.code !== "NoSuchBucket" && known.reason === "NotFound") return { _tag: "Absent" }
    // Who may write and not list gets this also where there is nothing.
    if (known.reason === "Forbidden") return { _tag: "Unseen", fault: known }
    return yield* known
  })

export const at = (site: Site): Effect.Effect<Looked, Fault.Fault> =>
  site
    .call(what, (s3, { HeadObjectCommand }, options) =>
      s3.send(
        new HeadObjectCommand({ Bucket: site.place.bucket, Key: site.place.key, ChecksumMode: "ENABLED" }),
        options
      )
    )
    .pipe(
      Effect.map((head): Looked => ({
        _tag: "Found",
        size: head.ContentLength,
        etag: head.ETag,
        version: head.VersionId === "null" ? undefined : head.VersionId,
        modified: head.LastModified?.getTime(),
        contentType: head.ContentType,
        storageClass: head.StorageClass,
        digests: digestsOf(head),
        composite: compositeOf(head)
      })),
      Effect.catch((fault) => ofFault(site, fault))
    )

/** Whether what is there now is known to be something else than what was there before. */
export const differs = (before: Look, now: Found): boolean =>
  before._tag === "Absent" ||
  (before._tag === "Found" &&
    (before.etag !== now.etag ||
      before.version !== now.version ||
      before.size !== now.size ||
      before.modified !== now.modified))
