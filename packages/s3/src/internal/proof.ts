/**
 * The ways in which a service can be told what a part is, and show afterwards what it has: as data, for a session to
 * send and to compare by.
 *
 * The digest of a part stands in front of it, in a header. The other way, behind it in `aws-chunked` trailers, is the
 * SDK's, and many services refuse it. It can stand in front because the engine collects a part before it is sent: so
 * the signature leaves the payload out (`UNSIGNED-PAYLOAD`), and the service still refuses bytes that are not ours.
 */
import type { CompletedPart, CreateMultipartUploadCommandInput } from "@aws-sdk/client-s3"
import type { Algorithm, Digests } from "@headrace/core/Digest"
import type { StoredPart } from "@headrace/core/Store"
import type { Checksums, Profile } from "../Profile.ts"
import { base64OfHex } from "./encoding.ts"

export type Mode = Exclude<Checksums, "probe">

export interface Proof {
  readonly mode: Mode
  /** Of each part and of the whole. */
  readonly algorithm: Algorithm
  /** What the service answers to the creation of such an upload. */
  readonly echo: "CRC64NVME" | "CRC32C" | undefined
  readonly create: Pick<CreateMultipartUploadCommandInput, "ChecksumAlgorithm" | "ChecksumType">
  /** The header of a part's digest. */
  readonly header: "x-amz-checksum-crc64nvme" | "x-amz-checksum-crc32c" | undefined
  readonly words: string
}

export const proofs: { readonly [M in Mode]: Proof & { readonly mode: M } } = {
  full: {
    mode: "full",
    algorithm: "crc64nvme",
    echo: "CRC64NVME",
    create: { ChecksumAlgorithm: "CRC64NVME", ChecksumType: "FULL_OBJECT" },
    header: "x-amz-checksum-crc64nvme",
    words: "the service's CRC64NVME of the whole object"
  },
  composite: {
    mode: "composite",
    algorithm: "crc32c",
    echo: "CRC32C",
    // The type is left out: not every service that knows the algorithm knows it, and this is the default (AWS).
    create: { ChecksumAlgorithm: "CRC32C" },
    header: "x-amz-checksum-crc32c",
    words: "the service's checksum of the parts' CRC32Cs, from which the whole's follows"
  },
  etag: {
    mode: "etag",
    algorithm: "md5",
    echo: undefined,
    create: {},
    header: undefined,
    words: "the ETag, where it is the MD5 of the bytes, or of the parts' MD5s"
  }
}

/** What is tried, best first. */
export const candidates = ({ checksums }: Profile): ReadonlyArray<Proof> =>
  checksums === "probe" ? [proofs.full, proofs.composite, proofs.etag] : [proofs[checksums]]

/** For an object of one PUT, which nothing precedes that could be asked. A header that it does not know it ignores. */
export const ofSingle = ({ checksums }: Profile): Proof => proofs[checksums === "probe" ? "etag" : checksums]

/** As the upload was begun with. */
export const ofAlgorithm = (algorithm: string | undefined): Proof =>
  Object.values(proofs).find(({ echo }) => echo !== undefined && echo === algorithm) ?? proofs.etag

/** Fields that tell the service what the bytes are. */
export const fieldsOf = (
  { algorithm, mode }: Proof,
  digests: Digests
): { readonly ChecksumCRC64NVME?: string; readonly ChecksumCRC32C?: string; readonly ContentMD5?: string } => {
  const hex = digests[algorithm]
  if (hex === undefined) return {}
  const value = base64OfHex(hex)
  return mode === "full"
    ? { ChecksumCRC64NVME: value }
    : mode === "composite"
      ? { ChecksumCRC32C: value }
      : { ContentMD5: value }
}

/** `reported`: what the service has of a part of which nobody computed the digest here. It wants to be told all the same. */
export const completed = (proof: Proof, { digests, number, tag }: StoredPart, reported: Digests): CompletedPart => {
  const { ContentMD5: _, ...checksums } = fieldsOf(proof, { ...reported, ...digests })
  return { PartNumber: number, ETag: tag, ...checksums }
}
