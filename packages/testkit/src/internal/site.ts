/**
 * What all parts of the embedded Glance share: its records, its stores, its limits, and how it behaves.
 */
import type { DataMode, StoredData } from "./data.ts"
import { HttpFailure } from "./errorPage.ts"
import type { Fault, Operation } from "./faults.ts"
import type { Exchange } from "./httpServer.ts"
import type { Context } from "./identity.ts"
import { become, type Image, mayBecome, remove } from "./image.ts"
import { enforce, isVisible } from "./policy.ts"
import type { Quota } from "./quota.ts"
import type { Stores } from "./stores.ts"

/**
 * The ways to import that are there.
 *
 * @since 0.1.0
 * @category models
 */
export type ImportMethod = "glance-direct" | "copy-image"

/**
 * Whose behaviour is imitated: Glance 25.1 (Zed) or 33.0.
 *
 * @since 0.1.0
 * @category models
 */
export type Release = "zed" | "33"

export interface Task {
  readonly id: string
  readonly imageId: string
  status: "pending" | "processing" | "success" | "failure"
  message: string
  readonly owner: string | null
  readonly userId: string | null
  readonly requestId: string
  /** The request's body. */
  readonly body: unknown
  readonly stores: ReadonlyArray<string>
  readonly createdAt: number
  updatedAt: number
}

export interface Counters {
  connections: number
  requests: number
  /** Uploads that read at least one body byte. */
  uploads: number
  /** Body bytes that arrived, of all requests. */
  bodyBytes: number
  /** Bytes that went to a store, partial ones too. */
  storedBytes: number
}

export interface Site {
  readonly release: Release
  readonly manner: "eventlet" | "uwsgi"
  readonly images: Map<string, Image>
  readonly tasks: Map<string, Task>
  /** What waits in the staging area, by image. */
  readonly staged: Map<string, StoredData>
  readonly stores: Stores
  readonly quota: Quota
  readonly data: DataMode
  readonly hash: boolean
  readonly hashAlgo: string
  readonly inspectFormats: boolean
  readonly importMethods: ReadonlyArray<ImportMethod>
  /** Whether the policy `copy_image` lets those copy that may change the image. */
  readonly membersMayCopy: boolean
  /** How long each step of an import takes in ms. */
  readonly importStepMs: number
  /** The fault for this request, if one waits for its kind. */
  readonly nextFault: (operation: Operation, exchange: Exchange, id: string | undefined) => Promise<Fault | undefined>
  readonly counters: Counters
  /** How often the service was killed: who began before finds nobody to tidy up. */
  readonly life: { killed: number }
  /** Runs later, unless the server is closed by then. */
  readonly later: (ms: number, run: () => void) => void
  readonly sleep: (ms: number) => Promise<void>
}

const notFound = (id: string) => new HttpFailure(404, `No image found with ID ${id}`)

/** The record, if there is one that this caller may know of. Throws 404. */
export const findImage = (site: Site, context: Context, id: string): Image => {
  const image = site.images.get(id.toLowerCase())
  if (image === undefined || image.status === "deleted" || !isVisible(context, image)) throw notFound(id)
  return image
}

/** `GET`s go through here: found, and allowed to be read. */
export const showImage = (site: Site, context: Context, id: string): Image => {
  const image = findImage(site, context, id)
  enforce(context, "get_image", image)
  return image
}

/** Makes an image something, without asking who may. For faults. */
export const force = (image: Image, to: "active" | "queued" | "deleted"): void => {
  if (image.status === "deleted") return
  if (to === "deleted") {
    image.protected = false
    remove(image)
  } else if (mayBecome(image.status, to)) become(image, to)
}
