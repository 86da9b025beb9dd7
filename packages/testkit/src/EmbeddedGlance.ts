/**
 * A Glance that lives in the process of a test or a demo. It keeps the real service's status machine, order of checks,
 * error words, policies, quotas, stores and digests, in either of the two manners that a client meets on the wire:
 * `eventlet` (Zed) and `uwsgi` (33). It is a stand-in for tests, not a service: records are in memory and end with it.
 * Faults are data: what goes wrong with the next request, when, and what becomes of the image.
 */
import { allBytes, type DataMode } from "./internal/data.ts"
import {
  type Aftermath,
  type Fault,
  FaultQueue,
  type ImportEnd,
  type Moment,
  type Operation
} from "./internal/faults.ts"
import { makeApp } from "./internal/glanceApp.ts"
import type { Framing } from "./internal/httpBody.ts"
import { type Exchanged, makeManner, startHttpServer } from "./internal/httpServer.ts"
import { type Authenticator, fakeTokens, type Identity } from "./internal/identity.ts"
import { type Image, type ImageStatus, view } from "./internal/image.ts"
import { makeQuota, type QuotaOptions } from "./internal/quota.ts"
import type { Counters, ImportMethod, Release, Site } from "./internal/site.ts"
import { makeStores, type StoreOptions, type StoresOption } from "./internal/stores.ts"

export type {
  Aftermath,
  Authenticator,
  DataMode,
  Fault,
  Identity,
  ImageStatus,
  ImportEnd,
  ImportMethod,
  Moment,
  Operation,
  QuotaOptions,
  Release,
  StoreOptions,
  StoresOption
}

/**
 * What a hook on uploads is told.
 *
 * @since 0.1.0
 * @category models
 */
export interface UploadContext {
  /** Counts uploads from 1. */
  readonly number: number
  readonly imageId: string
  readonly headers: Readonly<Record<string, string>>
  readonly image: ImageState | undefined
}

/**
 * How the embedded Glance behaves. All is optional.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** Default `127.0.0.1`. */
  readonly host?: string
  /** Default 0: a free one. */
  readonly port?: number
  /** The server in front of the application. Default `eventlet`. */
  readonly manner?: "eventlet" | "uwsgi"
  /** Default `zed` behind eventlet, `33` behind uWSGI. */
  readonly release?: Release
  /** Longest silence in a body in ms. Default 900,000 for eventlet, 10,000 for uWSGI. */
  readonly socketTimeoutMs?: number
  /** Largest HTTP chunk in bytes. Default 1,048,567 for uWSGI, no limit for eventlet. */
  readonly chunkLimit?: number
  /** Where image data goes. Default `memory`. */
  readonly data?: DataMode
  /** Whether `checksum` and `os_hash_value` are computed. Without, both stay null. Default true. */
  readonly hash?: boolean
  /** The site's `hashing_algorithm`. Default `sha512`. */
  readonly hashAlgo?: string
  /** Several stores, or `single`: a site without named stores. Default `single`. */
  readonly stores?: StoresOption
  readonly quota?: QuotaOptions
  /** `none`: everyone is an administrator. `fake`: tokens `USER:PROJECT:ROLE`. Or somebody who knows. Default `none`. */
  readonly auth?: "none" | "fake" | Authenticator
  /** Lets those without a token read. Default false. */
  readonly allowAnonymous?: boolean
  /** Whether the format of what arrived is looked at (33 refuses a wrong one). Default true. */
  readonly inspectFormats?: boolean
  /** Default `glance-direct` and `copy-image`. */
  readonly importMethods?: ReadonlyArray<ImportMethod>
  /** A site whose policy `copy_image` is not for administrators alone. Default false. */
  readonly membersMayCopy?: boolean
  /** How long each step of an import takes in ms. Default 10. */
  readonly importStepMs?: number
  /** What goes wrong, in order, one a request of the fault's kind. */
  readonly faults?: ReadonlyArray<Fault>
  /** Asked for each upload for which no fault waits. */
  readonly onUpload?: (context: UploadContext) => Fault | undefined | Promise<Fault | undefined>
}

/**
 * An image as the service has it inside.
 *
 * @since 0.1.0
 * @category models
 */
export interface ImageState {
  readonly id: string
  readonly name: string | null
  readonly status: ImageStatus
  readonly owner: string | null
  readonly size: number | null
  readonly checksum: string | null
  readonly hashAlgo: string | null
  readonly hashValue: string | null
  /** Where its data is. */
  readonly stores: ReadonlyArray<string>
  /** Everything that a `GET` of it shows. */
  readonly view: Readonly<Record<string, unknown>>
}

/**
 * One request as it was on the wire.
 *
 * @since 0.1.0
 * @category models
 */
export interface RequestRecord {
  readonly method: string
  /** With the query, as sent. */
  readonly path: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** Body bytes that arrived, without framing. */
  readonly bodyBytes: number
  readonly framing: Framing
  /** The largest HTTP chunk in bytes, 0 without chunks. */
  readonly largestChunk: number
  /** `undefined` where the connection ended without an answer. */
  readonly status: number | undefined
  /** Whether a 100 Continue was sent. */
  readonly continued: boolean
  /** Counts connections from 1. */
  readonly connection: number
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readonly endedAt: number
}

/**
 * A running embedded Glance.
 *
 * @since 0.1.0
 * @category models
 */
export interface EmbeddedGlance {
  /** Without a path: `http://127.0.0.1:PORT`. */
  readonly url: string
  readonly port: number
  readonly manner: "eventlet" | "uwsgi"
  readonly release: Release
  readonly images: {
    /** In order of creation, without the deleted ones. */
    readonly list: () => ReadonlyArray<ImageState>
    /** Also a deleted one. */
    readonly get: (id: string) => ImageState | undefined
    /** The stored bytes of an image, `undefined` where there are none to read. */
    readonly bytes: (id: string, store?: string) => Promise<Buffer | undefined>
  }
  /** Every request that was answered or ended, in the order of their ends. */
  readonly requests: ReadonlyArray<RequestRecord>
  readonly stats: Readonly<Counters> & { readonly openConnections: number }
  readonly faults: {
    readonly push: (...faults: ReadonlyArray<Fault>) => void
    readonly clear: () => void
    /** How many still wait. */
    readonly waiting: () => number
  }
  /** Cuts every connection as a killed process does: uploads that run leave their image `saving` for ever. */
  readonly kill: () => void
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

const stateOf = (image: Image, multi: boolean): ImageState => ({
  id: image.id,
  name: image.name,
  status: image.status,
  owner: image.owner,
  size: image.size,
  checksum: image.checksum,
  hashAlgo: image.hashAlgo,
  hashValue: image.hashValue,
  stores: image.locations.map((location) => location.store),
  view: view(image, multi)
})

const recordOf = ({ continued, exchange, startedAt, status }: Exchanged): RequestRecord => ({
  method: exchange.head.method,
  path: exchange.head.target,
  headers: exchange.head.headers,
  bodyBytes: exchange.body.bytes,
  framing: exchange.body.framing,
  largestChunk: exchange.body.largestChunk,
  status,
  continued,
  connection: exchange.connection,
  startedAt,
  endedAt: Date.now()
})

const authenticatorOf = (auth: Options["auth"]): Authenticator | undefined =>
  auth === undefined || auth === "none" ? undefined : auth === "fake" ? fakeTokens : auth

/** Timers that end with the server. */
const makeTimers = () => {
  const timers = new Set<NodeJS.Timeout>()
  const later = (ms: number, run: () => void): void => {
    const timer = setTimeout(() => {
      timers.delete(timer)
      run()
    }, ms)
    timers.add(timer)
  }
  return {
    later,
    sleep: (ms: number) => new Promise<void>((resolve) => later(ms, resolve)),
    stop: () => {
      for (const timer of timers) clearTimeout(timer)
    }
  }
}

const makeSite = (options: Options, queue: FaultQueue, timers: ReturnType<typeof makeTimers>): Site => {
  const manner = options.manner ?? "eventlet"
  const images = new Map<string, Image>()
  const stores = makeStores(options.stores ?? "single")
  let uploads = 0
  return {
    release: options.release ?? (manner === "uwsgi" ? "33" : "zed"),
    manner,
    images,
    tasks: new Map(),
    staged: new Map(),
    stores,
    quota: makeQuota(options.quota ?? {}, images),
    data: options.data ?? "memory",
    hash: options.hash ?? true,
    hashAlgo: options.hashAlgo ?? "sha512",
    inspectFormats: options.inspectFormats ?? true,
    importMethods: options.importMethods ?? ["glance-direct", "copy-image"],
    membersMayCopy: options.membersMayCopy ?? false,
    importStepMs: options.importStepMs ?? 10,
    life: { killed: 0 },
    counters: { connections: 0, requests: 0, uploads: 0, bodyBytes: 0, storedBytes: 0 },
    nextFault: async (operation, exchange, id) => {
      if (operation === "upload") uploads++
      const waiting = queue.take(operation)
      if (waiting !== undefined || operation !== "upload" || id === undefined) return waiting
      const image = images.get(id.toLowerCase())
      return options.onUpload?.({
        number: uploads,
        imageId: id,
        headers: exchange.head.headers,
        image: image === undefined ? undefined : stateOf(image, stores.multi)
      })
    },
    later: timers.later,
    sleep: timers.sleep
  }
}

/**
 * Starts an embedded Glance. Close it: it holds a port.
 *
 * @since 0.1.0
 * @category constructors
 */
export const start = async (options: Options = {}): Promise<EmbeddedGlance> => {
  const queue = new FaultQueue(options.faults ?? [])
  const timers = makeTimers()
  const site = makeSite(options, queue, timers)
  const requests: Array<RequestRecord> = []
  const host = options.host ?? "127.0.0.1"
  const server = await startHttpServer({
    manner: makeManner(site.manner, options.socketTimeoutMs, options.chunkLimit),
    host,
    port: options.port ?? 0,
    handle: makeApp(site, authenticatorOf(options.auth), options.allowAnonymous ?? false),
    onConnection: () => void site.counters.connections++,
    onAnswered: (exchanged) => {
      site.counters.requests++
      site.counters.bodyBytes += exchanged.exchange.body.bytes
      requests.push(recordOf(exchanged))
    }
  })
  const { port } = server
  const close = async () => {
    timers.stop()
    await server.close()
  }
  const multi = site.stores.multi
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${port}`,
    port,
    manner: site.manner,
    release: site.release,
    images: {
      list: () =>
        [...site.images.values()].filter((image) => image.status !== "deleted").map((image) => stateOf(image, multi)),
      get: (id) => {
        const image = site.images.get(id.toLowerCase())
        return image === undefined ? undefined : stateOf(image, multi)
      },
      bytes: async (id, store) => {
        const locations = site.images.get(id.toLowerCase())?.locations ?? []
        const found = locations.find((location) => store === undefined || location.store === store)
        return found === undefined || !found.data.readable ? undefined : allBytes(found.data)
      }
    },
    requests,
    get stats() {
      return { ...site.counters, openConnections: server.open() }
    },
    faults: {
      push: (...faults) => queue.push(...faults),
      clear: () => queue.clear(),
      waiting: () => queue.length
    },
    kill: () => {
      site.life.killed++
      server.resetAll()
    },
    close,
    [Symbol.asyncDispose]: close
  }
}
