/**
 * Everything that can be known to be wrong before the first byte: the store, the given image, the format, the limits.
 */
import * as Effect from "effect/Effect"
import * as Monotonic from "@headrace/core/Monotonic"
import type { Content } from "@headrace/core/Store"
import * as DiskFormat from "../DiskFormat.ts"
import type { Api, Reply } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import type { Wanted } from "./places.ts"
import type { Site, Usage } from "./site.ts"

/** An image that may be written to, and what it has to be declared as. */
export interface Ready {
  /** The image that was given; `undefined` when one is to be made. */
  readonly given: Image.ImageRecord | undefined
  readonly diskFormat: string
  readonly containerFormat: string
  readonly notes: ReadonlyArray<string>
}

export const checkStore = (site: Site, store: string): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const places = yield* site.stores
    if (places === undefined) {
      return yield* Fault.make(
        "UnknownStore",
        `this image service has a single store without a name and would ignore the store "${store}"; leave it out`
      )
    }
    const place = places.find(({ id }) => id === store)
    const writable = places.filter(({ readOnly }) => !readOnly).map(({ id }) => id)
    if (place === undefined) {
      return yield* Fault.make("UnknownStore", `there is no store "${store}"; the stores are: ${writable.join(", ")}`)
    }
    if (place.readOnly) {
      return yield* Fault.make("UnknownStore", `the store "${store}" is read-only; others are: ${writable.join(", ")}`)
    }
  })

const lookEveryMs = 500

/** A page for people, perhaps, that some other server gives to everybody. */
export const noRecord = (what: string): Fault.Fault =>
  Fault.make("Rejected", `${what}: the answer is no image record; is this the image service's endpoint?`)

export const get = (api: Api, id: string, what: string): Effect.Effect<Image.ImageRecord | undefined, Fault.Fault> =>
  Effect.gen(function* () {
    const reply = yield* api.call({
      method: "GET",
      path: `/v2/images/${encodeURIComponent(id)}`,
      what,
      accept: [404]
    })
    if (reply.status === 404) return undefined
    const record = Image.decode(reply.json)
    if (record === undefined) return yield* noRecord(what)
    return record
  })

/** Whether an image is no more; one that was deleted while its upload ended stays in Glance's list for ever. */
export const isGone = (record: Image.ImageRecord | undefined): boolean =>
  record === undefined || Image.inspection(record)._tag === "Absent"

/** Deletes an image: 403 where it is protected, 409 where it is in use, 404 where there is none (any more). */
export const remove = (api: Api, id: string, what: string): Effect.Effect<Reply, Fault.Fault> =>
  Effect.gen(function* () {
    const path = `/v2/images/${encodeURIComponent(id)}`
    const reply = yield* api.call({ method: "DELETE", path, what, accept: [400, 403, 404, 409] })
    if (reply.status !== 400) return reply
    // What is deleted already cannot be deleted again.
    if (isGone(yield* get(api, id, what))) return { ...reply, status: 404 }
    return yield* Fault.make("Rejected", `${what}: ${reply.words}`, { status: 400 })
  })

const checkGiven = (api: Api, id: string): Effect.Effect<Image.ImageRecord, Fault.Fault> =>
  Effect.gen(function* () {
    const deadline = (yield* Monotonic.now) + Image.restMs
    while (true) {
      const record = yield* get(api, id, `image ${id} cannot be looked at`)
      if (record === undefined) return yield* Fault.make("NotFound", `there is no image ${id}`)
      const found = Image.inspection(record)
      switch (found._tag) {
        case "Ready":
          return record
        case "Busy":
          if (record.status !== "saving") break
          if ((yield* Monotonic.now) < deadline) {
            yield* Effect.sleep(lookEveryMs)
            continue
          }
          return yield* Fault.make("Conflict", `image ${id} has been saving for more than ${Image.restMs / 1000} s`)
        case "Absent":
          return yield* Fault.make("NotFound", `image ${id} is deleted`)
        case "Spoiled":
          return yield* Fault.make("Conflict", `image ${id} takes no data any more: ${found.why}`)
        case "Stored":
          break
      }
      return yield* Fault.make("Conflict", `image ${id} is ${record.status}; only a queued image takes data`)
    }
  })

const checkFree = (api: Api, id: string): Effect.Effect<void, Fault.Fault> =>
  Effect.flatMap(get(api, id, `image ${id} cannot be looked at`), (record) =>
    record === undefined ? Effect.void : Fault.make("Conflict", `an image with the id ${id} exists already`)
  )

/** Containers that a disk format comes in unless another is asked for: Glance wants these to be alike. */
const alike: ReadonlySet<string> = new Set(["aki", "ari", "ami"])

const declare = (
  options: Wanted,
  content: Content,
  given: Image.ImageRecord | undefined,
  inspector: DiskFormat.Inspector
): Effect.Effect<Omit<Ready, "given">, Fault.Fault> =>
  Effect.gen(function* () {
    const notes: Array<string> = []
    const asked = options.diskFormat ?? given?.diskFormat ?? content.diskFormat
    const diskFormat = asked ?? DiskFormat.guess(content.head)
    if (asked === undefined) notes.push(`disk_format ${diskFormat}, taken from the first bytes`)
    const containerFormat =
      options.containerFormat ??
      given?.containerFormat ??
      content.containerFormat ??
      (alike.has(diskFormat) ? diskFormat : "bare")
    if (containerFormat === "bare" && content.size !== 0) {
      const verdict = DiskFormat.check(diskFormat, content.head, inspector)
      if (verdict.refuse !== undefined) return yield* Fault.make("UnsupportedFormat", verdict.refuse)
      notes.push(...verdict.notes)
    }
    return { diskFormat, containerFormat, notes }
  })

const mib = 1024 * 1024

/** Whether an image is to be made, and whether its bytes are to be staged. */
interface Purpose {
  readonly making: boolean
  readonly staged: boolean
}

const exceeded = (usage: Usage, size: number | undefined, { making, staged }: Purpose): Fault.Fault | undefined => {
  const stage = usage["image_stage_total"]
  if (staged && stage !== undefined && stage.limit >= 0) {
    // As the service counts: what is begun of a MiB is free.
    const needed = Math.floor((size ?? 0) / mib)
    if (stage.usage + needed > stage.limit) {
      return Fault.make(
        "QuotaExceeded",
        `the project may stage ${stage.limit} MiB (image_stage_total), ${stage.usage} MiB are used, ${needed} MiB more are needed`,
        { retryable: stage.usage > 0 && needed <= stage.limit }
      )
    }
  }
  const total = usage["image_size_total"]
  if (total !== undefined && total.limit >= 0) {
    const needed = size === undefined ? 0 : Math.ceil(size / mib)
    if (total.usage + needed > total.limit || (size === undefined && total.usage >= total.limit)) {
      return Fault.make(
        "QuotaExceeded",
        `the project's images may take ${total.limit} MiB (image_size_total), ${total.usage} MiB are used` +
          (size === undefined ? "" : `, ${needed} MiB more are needed`)
      )
    }
  }
  const count = usage["image_count_total"]
  if (making && count !== undefined && count.limit >= 0 && count.usage + 1 > count.limit) {
    return Fault.make(
      "QuotaExceeded",
      `the project may have ${count.limit} images (image_count_total), ${count.usage} are there, 1 more is needed`
    )
  }
  const uploading = usage["image_count_uploading"]
  if (uploading !== undefined && uploading.limit >= 0 && uploading.usage + 1 > uploading.limit) {
    return Fault.make(
      "QuotaExceeded",
      `the project may upload ${uploading.limit} images at once (image_count_uploading), ${uploading.usage} are under way`,
      { retryable: true }
    )
  }
  return undefined
}

const checkQuota = (site: Site, size: number | undefined, purpose: Purpose): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    if (exceeded(yield* site.usage(false), size, purpose) === undefined) return
    // What was remembered may be over: somebody has deleted an image meanwhile.
    const fault = exceeded(yield* site.usage(true), size, purpose)
    if (fault !== undefined) return yield* fault
  })

export const run = (
  api: Api,
  site: Site,
  options: Wanted,
  content: Content,
  staged: boolean
): Effect.Effect<Ready, Fault.Fault> =>
  Effect.gen(function* () {
    for (const store of options.store === undefined ? [] : [options.store, ...options.copyTo])
      yield* checkStore(site, store)
    const given = options.id === undefined ? undefined : yield* checkGiven(api, options.id)
    if (options.newId !== undefined) yield* checkFree(api, options.newId)
    const declared = yield* declare(options, content, given, yield* site.inspector)
    yield* checkQuota(site, content.size, { making: given === undefined, staged })
    return { given, ...declared }
  })

interface Enumeration {
  readonly key: "disk_format" | "container_format"
  readonly value: string | undefined
}

const allowedOf = (schema: unknown, key: string): ReadonlyArray<string> | undefined => {
  const property = (schema as { readonly properties?: Readonly<Record<string, unknown>> } | undefined)?.properties?.[
    key
  ]
  const values = (property as { readonly enum?: unknown } | undefined)?.enum
  return Array.isArray(values) ? values.filter((value): value is string => typeof value === "string") : undefined
}

/** What the service itself would say when the image is made; only asked where no image is going to be made. */
export const checkNames = (api: Api, options: Wanted): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const asked: ReadonlyArray<Enumeration> = [
      { key: "disk_format", value: options.diskFormat },
      { key: "container_format", value: options.containerFormat }
    ]
    if (asked.every(({ value }) => value === undefined)) return
    const reply = yield* api.call({
      method: "GET",
      path: "/v2/schemas/image",
      what: "the image service does not tell its formats",
      accept: [403, 404]
    })
    for (const { key, value } of asked) {
      const allowed = allowedOf(reply.json, key)
      if (value !== undefined && allowed !== undefined && !allowed.includes(value)) {
        return yield* Fault.make("Rejected", `${key} is "${value}"; this service allows: ${allowed.join(", ")}`)
      }
    }
  })
