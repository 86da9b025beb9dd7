/**
 * What an image service is like: versions, stores, the hash that it keeps, limits. It is asked once and remembered for
 * a while, so that a thousand small images are not a thousand times the same questions.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Algorithm } from "@headrace/core/Digest"
import type { Inspector } from "../DiskFormat.ts"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as CopyRight from "./copyRight.ts"
import * as Image from "./image.ts"

export interface Place {
  readonly id: string
  readonly default: boolean
  readonly readOnly: boolean
}

/** In the service's own units: MiB for sizes, images for counts. A limit of -1 is none. */
export interface Limit {
  readonly limit: number
  readonly usage: number
}

export type Usage = Readonly<Record<string, Limit>>

export interface Site {
  /** Ids such as `v2.8`; `undefined` when the service does not tell. They are features, not a range. */
  readonly versions: Effect.Effect<ReadonlySet<string> | undefined, Fault.Fault>
  /** How closely it looks at what it stores. */
  readonly inspector: Effect.Effect<Inspector, Fault.Fault>
  /** The stores by name; `undefined` where there is only one, without a name. */
  readonly stores: Effect.Effect<ReadonlyArray<Place> | undefined, Fault.Fault>
  /** How it takes data other than by an upload: `copy-image`, …; `undefined` when it does not tell. */
  readonly importMethods: Effect.Effect<ReadonlyArray<string> | undefined, Fault.Fault>
  /** Whether this account may have images copied to further stores. */
  readonly copyRight: Effect.Effect<CopyRight.CopyRight, Fault.Fault>
  /** Takes over that a copy was refused. */
  readonly copiesRefused: Effect.Effect<void>
  /** The algorithm of `os_hash_value`; `undefined` before any image has one. */
  readonly hash: Effect.Effect<Algorithm | "other" | undefined, Fault.Fault>
  /** Takes over what an image of this service tells. */
  readonly learn: (record: Image.ImageRecord) => Effect.Effect<void>
  /** Limits and what is used of them; empty where there are none. `fresh` asks again. */
  readonly usage: (fresh: boolean) => Effect.Effect<Usage, Fault.Fault>
}

const longMs = 600_000
const shortMs = 5000

interface Memo<A> {
  readonly get: <E>(lookup: Effect.Effect<A, E>, fresh?: boolean) => Effect.Effect<A, E>
  readonly set: (value: A) => Effect.Effect<void>
}

/** Remembers a value for `keepMs` of it; those who ask at the same time ask once. */
const memo = <A>(keepMs: (value: A) => number): Memo<A> => {
  let kept: { readonly value: A; readonly until: number } | undefined
  const lock = Semaphore.makeUnsafe(1)
  const set = (value: A) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      kept = { value, until: now + keepMs(value) }
    })
  return {
    set,
    get: (lookup, fresh = false) =>
      lock.withPermits(1)(
        Effect.gen(function* () {
          if (!fresh && kept !== undefined && kept.until > (yield* Clock.currentTimeMillis)) return kept.value
          const value = yield* lookup
          yield* set(value)
          return value
        })
      )
  }
}

interface Known {
  readonly versions: Memo<ReadonlySet<string> | undefined>
  readonly stores: Memo<ReadonlyArray<Place> | undefined>
  readonly importMethods: Memo<ReadonlyArray<string> | undefined>
  readonly copyRight: Memo<CopyRight.CopyRight>
  readonly hash: Memo<Algorithm | "other" | undefined>
  readonly usage: Memo<Usage>
}

const nothingKnown = (): Known => ({
  versions: memo(() => longMs),
  stores: memo(() => longMs),
  importMethods: memo(() => longMs),
  copyRight: memo((value) => (value === "unknown" ? shortMs : longMs)),
  // Before the first image there is nothing to know, and soon there is.
  hash: memo((value) => (value === undefined ? 0 : longMs)),
  usage: memo((value) => (Object.keys(value).length === 0 ? longMs : shortMs))
})

/** What is known of all services, by address and account. One for the process, unless another is provided. */
export const Sites: Context.Reference<Map<string, Known>> = Context.Reference<Map<string, Known>>(
  "@headrace/glance/Sites",
  { defaultValue: () => new Map() }
)

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const decodeVersions = (json: unknown): ReadonlySet<string> | undefined => {
  if (!isRecord(json) || !Array.isArray(json["versions"])) return undefined
  const ids = json["versions"].flatMap((version: unknown) =>
    isRecord(version) && typeof version["id"] === "string" && version["status"] !== "EXPERIMENTAL"
      ? [version["id"]]
      : []
  )
  return ids.length === 0 ? undefined : new Set(ids)
}

const isTrue = (value: unknown): boolean => value === true || String(value).toLowerCase() === "true"

const decodeStores = (json: unknown): ReadonlyArray<Place> | undefined => {
  if (!isRecord(json) || !Array.isArray(json["stores"])) return undefined
  return json["stores"].flatMap((store: unknown) =>
    isRecord(store) && typeof store["id"] === "string"
      ? [{ id: store["id"], default: isTrue(store["default"]), readOnly: isTrue(store["read-only"]) }]
      : []
  )
}

const decodeMethods = (json: unknown): ReadonlyArray<string> | undefined => {
  const methods = isRecord(json) ? json["import-methods"] : undefined
  if (!isRecord(methods) || !Array.isArray(methods["value"])) return undefined
  return methods["value"].filter((name: unknown): name is string => typeof name === "string")
}

const decodeUsage = (json: unknown): Usage => {
  const usage: Record<string, Limit> = {}
  if (!isRecord(json) || !isRecord(json["usage"])) return usage
  for (const [name, entry] of Object.entries(json["usage"])) {
    if (isRecord(entry) && typeof entry["limit"] === "number" && typeof entry["usage"] === "number") {
      usage[name] = { limit: entry["limit"], usage: entry["usage"] }
    }
  }
  return usage
}

/** Statuses of questions that a service may leave unanswered without being the less usable. */
const untold = [400, 401, 403, 404, 405, 410, 501]

const make = (api: Api, known: Known): Site => {
  const versions = known.versions.get(
    Effect.map(
      api.call({
        method: "GET",
        path: "/versions",
        what: "the image service does not tell its versions",
        anonymous: true,
        accept: [300, ...untold]
      }),
      (reply) => decodeVersions(reply.json)
    )
  )

  const stores = known.stores.get(
    Effect.gen(function* () {
      const told = yield* versions
      // Absent without multi-store, whatever the newest version is (glance/api/versions.py).
      if (told !== undefined && !told.has("v2.8")) return undefined
      const reply = yield* api.call({
        method: "GET",
        path: "/v2/info/stores",
        what: "the image service does not tell its stores",
        accept: [404]
      })
      if (reply.status === 404) return undefined
      const list = decodeStores(reply.json)
      if (list === undefined) {
        return yield* Fault.make("Rejected", "the image service's list of stores is not one; is this its endpoint?")
      }
      return list
    })
  )

  const importMethods = known.importMethods.get(
    Effect.map(
      api.call({
        method: "GET",
        path: "/v2/info/import",
        what: "the image service does not tell its import methods",
        accept: untold.filter((status) => status !== 401)
      }),
      // Before Queens there was no import.
      (reply) => (reply.status === 404 ? [] : decodeMethods(reply.json))
    )
  )

  const hash = known.hash.get(
    Effect.gen(function* () {
      const reply = yield* api.call({
        method: "GET",
        path: "/v2/images?limit=1&status=active&sort=created_at:desc",
        what: "the images cannot be listed",
        accept: untold.filter((status) => status !== 401)
      })
      if (reply.status !== 200) return undefined
      const images = Image.decodeList(reply.json)
      if (images === undefined) {
        return yield* Fault.make("Rejected", "the list of images is not one; is this the image service's endpoint?")
      }
      return images[0] === undefined ? undefined : Image.algorithm(images[0])
    })
  )

  return {
    versions,
    stores,
    importMethods,
    copyRight: known.copyRight.get(CopyRight.ask(api)),
    copiesRefused: known.copyRight.set("no"),
    hash,
    inspector: Effect.map(versions, (told) =>
      told === undefined || told.has("v2.17") ? (told?.has("v2.18") === true ? "strict" : "inspecting") : "lenient"
    ),
    learn: (record) => {
      const algorithm = Image.algorithm(record)
      return algorithm === undefined ? Effect.void : known.hash.set(algorithm)
    },
    usage: (fresh) =>
      known.usage.get(
        Effect.gen(function* () {
          const told = yield* versions
          // 2.13 is told only where there are several stores; the limits are everywhere since then.
          if (told?.has("v2.13") !== true && !(fresh && told?.has("v2.15") === true)) return {}
          const reply = yield* api.call({
            method: "GET",
            path: "/v2/info/usage",
            what: "the limits cannot be read",
            accept: [...untold, 500],
            tries: 1
          })
          return decodeUsage(reply.json)
        }),
        fresh
      )
  }
}

export const of = (api: Api): Effect.Effect<Site> =>
  Effect.map(Sites, (sites) => {
    const key = `${api.access.base} ${api.access.account}`
    let known = sites.get(key)
    if (known === undefined) {
      known = nothingKnown()
      sites.set(key, known)
    }
    return make(api, known)
  })
