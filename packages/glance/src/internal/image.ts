/**
 * The record of an image as `GET /v2/images/{id}` gives it: only what is used, and nothing taken on trust.
 */
import { type Algorithm, type Digests, isAlgorithm } from "@headrace/core/Digest"
import type { Inspection, StoredObject } from "@headrace/core/Store"

export interface ImageRecord {
  readonly id: string
  readonly name: string | undefined
  readonly status: string
  readonly size: number | undefined
  readonly checksum: string | undefined
  readonly hashAlgorithm: string | undefined
  readonly hashValue: string | undefined
  readonly diskFormat: string | undefined
  readonly containerFormat: string | undefined
  /** Names of stores, joined by commas; absent where there is one store without a name. */
  readonly stores: string | undefined
  /** The project that it is of; `null` where there are none. */
  readonly owner: string | null
  readonly visibility: string | undefined
  readonly createdAt: string | undefined
  readonly updatedAt: string | undefined
  /** The task that has the image locked for an import (`os_glance_import_task`), while there is one. */
  readonly importTask: string | undefined
  /** Stores that an import is, or was, about to write to (`os_glance_importing_to_stores`). */
  readonly importing: ReadonlyArray<string>
  /** Stores that the last imports into them have failed for (`os_glance_failed_import`). */
  readonly failedImport: ReadonlyArray<string>
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const string = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined)

/** Names of stores, joined by commas. */
export const names = (joined: unknown): ReadonlyArray<string> =>
  (string(joined) ?? "").split(/\s*,\s*/).filter((name) => name !== "")

export const decode = (json: unknown): ImageRecord | undefined => {
  if (!isRecord(json)) return undefined
  const id = string(json["id"])
  const status = string(json["status"])
  if (id === undefined || status === undefined) return undefined
  const size = json["size"]
  return {
    id,
    status,
    name: string(json["name"]),
    size: typeof size === "number" && Number.isSafeInteger(size) && size >= 0 ? size : undefined,
    checksum: string(json["checksum"]),
    hashAlgorithm: string(json["os_hash_algo"]),
    hashValue: string(json["os_hash_value"]),
    diskFormat: string(json["disk_format"]),
    containerFormat: string(json["container_format"]),
    stores: string(json["stores"]),
    owner: string(json["owner"]) ?? null,
    visibility: string(json["visibility"]),
    createdAt: string(json["created_at"]),
    updatedAt: string(json["updated_at"]),
    importTask: string(json["os_glance_import_task"]),
    importing: names(json["os_glance_importing_to_stores"]),
    failedImport: names(json["os_glance_failed_import"])
  }
}

export const decodeList = (json: unknown): ReadonlyArray<ImageRecord> | undefined => {
  if (!isRecord(json) || !Array.isArray(json["images"])) return undefined
  return json["images"].map(decode).filter((image) => image !== undefined)
}

/** The algorithm of `os_hash_value` under our name for it; `other` when we cannot compute it. */
export const algorithm = (record: ImageRecord): Algorithm | "other" | undefined => {
  if (record.hashAlgorithm === undefined || record.hashValue === undefined) return undefined
  const name = record.hashAlgorithm.toLowerCase()
  return isAlgorithm(name) ? name : "other"
}

export const digests = (record: ImageRecord): Digests => {
  const out: { [A in Algorithm]?: string } = {}
  if (record.checksum !== undefined) out.md5 = record.checksum.toLowerCase()
  const name = algorithm(record)
  if (name !== undefined && name !== "other") out[name] = record.hashValue!.toLowerCase()
  return out
}

/** The digests under the names that the service gives them, which need not be algorithms that we know. */
export const namedDigests = (record: ImageRecord): Readonly<Record<string, string>> => ({
  ...(record.checksum === undefined ? undefined : { md5: record.checksum.toLowerCase() }),
  ...(record.hashAlgorithm === undefined || record.hashValue === undefined
    ? undefined
    : { [record.hashAlgorithm.toLowerCase()]: record.hashValue.toLowerCase() })
})

export const stored = (record: ImageRecord): StoredObject => ({
  id: record.id,
  ...(record.stores === undefined ? undefined : { store: record.stores }),
  size: record.size,
  digests: digests(record)
})

/** Glance notices within 10 s that whoever sent the data is no more, and then the image is free again. */
export const restMs = 15_000

/** What a status means for whoever wants to write. */
export const inspection = (record: ImageRecord): Inspection => {
  switch (record.status) {
    case "queued":
      // The bytes of an earlier body are still in the store, and every further one meets an error (glance 30 to 33).
      return record.checksum === undefined && record.hashValue === undefined
        ? { _tag: "Ready" }
        : { _tag: "Spoiled", why: "it is queued, but has the checksum of an earlier body" }
    case "saving":
    case "uploading":
      return { _tag: "Busy", what: `image ${record.id} is ${record.status}`, restMs }
    case "importing":
      return { _tag: "Busy", what: `image ${record.id} is ${record.status}` }
    case "deleted":
    case "pending_delete":
      return { _tag: "Absent" }
    case "active":
    case "deactivated":
      // A real service knows the size of what is active. Without it nothing could be compared, and nothing is believed.
      return record.size === undefined
        ? { _tag: "Spoiled", why: `it is ${record.status}, but without a size` }
        : { _tag: "Stored", object: stored(record) }
    default:
      return { _tag: "Spoiled", why: `its status is ${record.status}` }
  }
}
