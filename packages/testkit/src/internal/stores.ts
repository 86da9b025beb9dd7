/**
 * The stores of a site: which one an upload lands in, and what keeps a store from taking it. A site with one store
 * knows no store names and ignores the header that carries one.
 */
import { HttpFailure } from "./errorPage.ts"

/**
 * One store.
 *
 * @since 0.1.0
 * @category models
 */
export interface StoreOptions {
  readonly id: string
  readonly description?: string
  /** The store of an upload that names none. Without any, the first that can be written. */
  readonly default?: boolean
  /** A store of type http: listed as read-only, 410 for whoever writes. */
  readonly readOnly?: boolean
  /** Bytes after which the disk is full: 413 in the middle of the body. */
  readonly fullAfterBytes?: number
  /** A directory without write permission: 503 before the body. */
  readonly unwritable?: boolean
  /** A directory that is gone: 500 before the body. */
  readonly missing?: boolean
  /** Shown to administrators by 33. Default 0. */
  readonly weight?: number
  /** Whether a download may start in the middle. RBD, S3 and Swift cannot. Default true. */
  readonly randomRead?: boolean
}

export const stagingStore = "os_glance_staging_store"
const reserved: ReadonlyArray<string> = [stagingStore, "os_glance_tasks_store"]

/** The name that the one store of a single-store site has inside. */
export const singleStore = "file"

export interface Stores {
  readonly multi: boolean
  readonly list: ReadonlyArray<StoreOptions>
  readonly defaultId: string
  readonly get: (id: string) => StoreOptions | undefined
}

/**
 * Several stores by name, or the one of a site that knows no names.
 *
 * @since 0.1.0
 * @category models
 */
export type StoresOption = ReadonlyArray<StoreOptions> | "single" | Omit<StoreOptions, "id">

const isList = (stores: StoresOption): stores is ReadonlyArray<StoreOptions> => Array.isArray(stores)

export const makeStores = (stores: StoresOption): Stores => {
  const multi = isList(stores)
  const list = multi ? stores : [{ ...(stores === "single" ? {} : stores), id: singleStore }]
  if (list.length === 0) throw new Error("stores: at least one is needed")
  const byId = new Map(list.map((store) => [store.id, store]))
  if (byId.size < list.length) throw new Error("stores: two have the same id")
  const chosen =
    list.find((store) => store.default === true) ?? list.find((store) => store.readOnly !== true) ?? list[0]!
  return {
    multi,
    list,
    defaultId: chosen.id,
    get: (id) => byId.get(id) ?? (multi && reserved.includes(id) ? { id } : undefined)
  }
}

/** The store that an upload asks for. Throws 400 for one that is not there. */
export const selectStore = (stores: Stores, asked: string | undefined): StoreOptions => {
  const id = stores.multi ? (asked ?? stores.defaultId) : stores.defaultId
  const store = stores.get(id)
  if (store === undefined) throw new HttpFailure(400, `Store for identifier ${id} not found`)
  return store
}

/** Throws what a store says before it has read a byte. */
export const checkWritable = (store: StoreOptions): void => {
  if (store.readOnly === true) {
    throw new HttpFailure(410, "Error in store configuration. Adding images to store is disabled.")
  }
  if (store.unwritable === true) {
    throw new HttpFailure(
      503,
      "Insufficient permissions on image storage media: Permission to write image storage media denied."
    )
  }
  if (store.missing === true) throw new HttpFailure(500)
}

export const checkFull = (store: StoreOptions, bytes: number): void => {
  if (store.fullAfterBytes !== undefined && bytes > store.fullAfterBytes) {
    throw new HttpFailure(
      413,
      "Image storage media is full: There is not enough disk space on the image storage media."
    )
  }
}

/** `GET /v2/info/stores`. */
export const storesInfo = (stores: Stores): Array<Record<string, unknown>> => {
  if (!stores.multi) throw new HttpFailure(404, "Multi backend is not supported at this site.")
  return stores.list.map((store) => ({
    id: store.id,
    ...(store.description === undefined ? {} : { description: store.description }),
    ...(store.id === stores.defaultId ? { default: "true" } : {}),
    ...(store.readOnly === true ? { "read-only": "true" } : {})
  }))
}

/** What the answer to a create names: the reserved stores too, once something was uploaded. */
export const storeIdsHeader = (stores: Stores, used: boolean): string =>
  [...stores.list.map((store) => store.id), ...(used ? reserved : [])].join(",")
