/**
 * What is known of the services that speak S3, as data: what they check, what they report, how large an object may be.
 * Which one it is, is seen by the address and by what its answers carry.
 *
 * @since 0.1.0
 */

/**
 * How it is proven that an object is what was sent.
 *
 * - `full`: the service has one CRC64NVME of the whole object (`FULL_OBJECT`), is told ours and refuses other bytes.
 * - `composite`: it checks a CRC32C of each part, and has a checksum of these.
 * - `etag`: it checks `Content-MD5` of each part, and its ETag is the MD5 of the MD5s.
 * - `probe`: nobody knows; the service is asked for these in this order when an upload is begun.
 *
 * @since 0.1.0
 * @category models
 */
export type Checksums = "full" | "composite" | "etag" | "probe"

/**
 * @since 0.1.0
 * @category models
 */
export interface Profile {
  readonly name: string
  readonly checksums: Checksums
  /** Largest object, in bytes. */
  readonly maxObjectBytes: number
  /** Whether `If-None-Match: *` holds for whole objects and for objects of parts; `undefined`: not known. */
  readonly conditionalCreate: boolean | undefined
}

const tib = 1024 ** 4

/** 10,000 parts of 5 GiB. AWS has taken objects of 50 TB, which is what they call it, since December 2025. */
const allParts = 10_000 * 5 * 1024 ** 3

/**
 * The services that are known by name. `generic` is every other one.
 *
 * @since 0.1.0
 * @category models
 */
export const profiles = {
  aws: { name: "AWS", checksums: "full", maxObjectBytes: allParts, conditionalCreate: true },
  versitygw: { name: "versitygw", checksums: "full", maxObjectBytes: 5 * tib, conditionalCreate: true },
  // It looks whether there is an object when a PUT begins, not when it ends: another writer's may come in between.
  minio: { name: "MinIO", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: undefined },
  ceph: { name: "Ceph", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: undefined },
  swift: { name: "Swift", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: undefined },
  r2: { name: "R2", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: true },
  seaweedfs: { name: "SeaweedFS", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: undefined },
  generic: { name: "generic", checksums: "probe", maxObjectBytes: 5 * tib, conditionalCreate: undefined }
} as const satisfies Readonly<Record<string, Profile>>

/**
 * The name of a profile, as options have it.
 *
 * @since 0.1.0
 * @category models
 */
export type Vendor = keyof typeof profiles

/**
 * Whether a word names a profile.
 *
 * @since 0.1.0
 * @category guards
 */
export const isVendor = (name: string): name is Vendor => Object.hasOwn(profiles, name)

/**
 * Who it is: by the host's name, else by the fields of an answer (names in lower case).
 *
 * @since 0.1.0
 * @category conversions
 */
export const recognized = (host: string, headers: Readonly<Record<string, string>>): Vendor => {
  if (isAws(host)) return "aws"
  if (/(^|\.)r2\.cloudflarestorage\.com$/.test(host)) return "r2"
  const server = headers["server"] ?? ""
  if (/^versitygw/i.test(server)) return "versitygw"
  if (/^minio/i.test(server)) return "minio"
  if (/^seaweedfs/i.test(server)) return "seaweedfs"
  if (/ceph/i.test(server) || headers["x-rgw-object-type"] !== undefined) return "ceph"
  return headers["x-trans-id"] !== undefined && headers["x-openstack-request-id"] !== undefined ? "swift" : "generic"
}

/**
 * Whether a host is one of AWS's.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAws = (host: string): boolean => /(^|\.)(amazonaws\.com(\.cn)?|api\.aws)$/.test(host)
