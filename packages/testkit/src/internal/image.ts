/**
 * An image and its status machine: which status may follow which, what must be set before data may be saved, and what
 * is forgotten on the way back to `queued`.
 */
import { HttpFailure } from "./errorPage.ts"
import type { StoredData } from "./data.ts"

/**
 * The statuses of an image.
 *
 * @since 0.1.0
 * @category models
 */
export type ImageStatus =
  | "queued"
  | "saving"
  | "uploading"
  | "importing"
  | "active"
  | "deactivated"
  | "deleted"
  | "killed"
  | "pending_delete"

export type Visibility = "public" | "private" | "shared" | "community"

/** Where one copy of the data is. */
export interface Location {
  readonly store: string
  readonly data: StoredData
}

export interface Image {
  readonly id: string
  name: string | null
  status: ImageStatus
  visibility: Visibility
  protected: boolean
  hidden: boolean
  owner: string | null
  diskFormat: string | null
  containerFormat: string | null
  minDisk: number
  minRam: number
  readonly tags: Set<string>
  readonly properties: Map<string, string>
  size: number | null
  virtualSize: number | null
  checksum: string | null
  hashAlgo: string | null
  hashValue: string | null
  readonly createdAt: number
  updatedAt: number
  /** Rises with each new image: creation order where the clock cannot tell. */
  readonly sequence: number
  locations: Array<Location>
}

const targets: Readonly<Record<ImageStatus, ReadonlyArray<ImageStatus>>> = {
  queued: ["saving", "uploading", "importing", "active", "deleted"],
  saving: ["active", "killed", "deleted", "queued"],
  uploading: ["importing", "queued", "deleted"],
  importing: ["active", "deleted", "queued"],
  active: ["pending_delete", "deleted", "deactivated"],
  killed: ["deleted"],
  pending_delete: ["deleted", "active"],
  deleted: [],
  deactivated: ["active", "deleted"]
}

/** Whether one status may follow another. */
export const mayBecome = (from: ImageStatus, to: ImageStatus): boolean => targets[from].includes(to)

const missingFormats = (image: Image): string | undefined => {
  const missing = [
    ...(image.diskFormat === null ? ["disk_format"] : []),
    ...(image.containerFormat === null ? ["container_format"] : [])
  ]
  if (missing.length === 0) return undefined
  return `${missing.length === 1 ? "Property" : "Properties"} ${missing.join(", ")} must be set prior to saving data.`
}

/** Moves an image on. Throws 409 for a move that is not in the machine, 400 where a format is missing. */
export const become = (image: Image, to: ImageStatus): void => {
  if (!mayBecome(image.status, to)) {
    throw new HttpFailure(409, `Image status transition from ${image.status} to ${to} is not allowed`)
  }
  if ((image.status === "queued" || image.status === "uploading") && ["saving", "active", "importing"].includes(to)) {
    const missing = missingFormats(image)
    if (missing !== undefined) throw new HttpFailure(400, missing)
  }
  if (to === "queued") {
    image.size = null
    image.virtualSize = null
  }
  image.status = to
  image.updatedAt = Date.now()
}

/** Puts a failed upload back to `queued`; what is elsewhere by now stays there. */
export const restore = (image: Image): void => {
  if (mayBecome(image.status, "queued")) become(image, "queued")
}

/** Deletes the record and its data. The id stays taken. */
export const remove = (image: Image): void => {
  if (image.protected) throw new HttpFailure(403, `Image ${image.id} is protected and cannot be deleted.`)
  if (!mayBecome(image.status, "deleted")) {
    throw new HttpFailure(400, `Image status transition from ${image.status} to deleted is not allowed`)
  }
  image.status = "deleted"
  image.updatedAt = Date.now()
  for (const location of image.locations) location.data.remove()
  image.locations = []
}

/** Seconds since the epoch as Glance prints them. */
const instant = (at: number): string => `${new Date(at).toISOString().slice(0, 19)}Z`

/** The image as `GET /v2/images/{id}` answers it. */
export const view = (image: Image, multiStore: boolean): Record<string, unknown> => ({
  ...Object.fromEntries(image.properties),
  name: image.name,
  disk_format: image.diskFormat,
  container_format: image.containerFormat,
  visibility: image.visibility,
  size: image.size,
  virtual_size: image.virtualSize,
  status: image.status,
  checksum: image.checksum,
  protected: image.protected,
  min_ram: image.minRam,
  min_disk: image.minDisk,
  owner: image.owner,
  os_hidden: image.hidden,
  os_hash_algo: image.hashAlgo,
  os_hash_value: image.hashValue,
  id: image.id,
  created_at: instant(image.createdAt),
  updated_at: instant(image.updatedAt),
  tags: [...image.tags],
  self: `/v2/images/${image.id}`,
  file: `/v2/images/${image.id}/file`,
  schema: "/v2/schemas/image",
  ...(multiStore && image.locations.length > 0
    ? { stores: image.locations.map((location) => location.store).join(",") }
    : {})
})
