/**
 * Copies of an active image in further stores, made by the service: `copy-image` imports (interoperable image import,
 * Image API v2.11). An import is a task behind a 202. It holds the image's lock, `os_glance_import_task`, and shows its
 * progress in properties of the image; how it ended is seen when the lock is gone, as a status of its own it has not.
 */
import * as Effect from "effect/Effect"
import type { Copying, CopyLook, CopyState } from "@headrace/core/Copies"
import type { StoredObject } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Api, Reply } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import * as Preflight from "./preflight.ts"
import type { Site } from "./site.ts"
import * as Words from "@headrace/keystone/ServiceWords"

const method = "copy-image"

const list = (places: ReadonlyArray<string>): string => places.map((place) => `"${place}"`).join(", ")

/** Fails where the service is known to copy nothing. */
export const checkOffered = (site: Site): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const methods = yield* site.importMethods
    if (methods === undefined || methods.includes(method)) return
    const offered = methods.length === 0 ? "none" : methods.join(", ")
    return yield* Fault.make(
      "Unsupported",
      `this image service does not copy images to further stores (its import methods: ${offered}); upload to one store, or have ${method} enabled`
    )
  })

const pathOf = (id: string): string => `/v2/images/${encodeURIComponent(id)}`

/** What an answer to `POST …/import` means that is no 202. */
const refusal = (reply: Reply, what: string, stores: string): Fault.Fault => {
  const said = reply.words === "" ? Words.status(reply.status) : reply.words
  const make = (reason: Parameters<typeof Fault.make>[0], message: string, more?: Parameters<typeof Fault.make>[2]) =>
    Fault.make(reason, message, { status: reply.status, ...more })
  switch (reply.status) {
    case 403:
      return make(
        "Forbidden",
        `${what}: ${said}; copying to stores is for administrators unless the cloud's policy (copy_image) says otherwise: ask them to copy the image to ${stores}`
      )
    case 404:
      return make("NotFound", `${what}: there is no such image any more`)
    case 409:
      if (/store for identifier .* not found/i.test(said)) return make("UnknownStore", `${what}: ${said}`)
      // Somebody else's import has the image locked.
      return make("Conflict", `${what}: ${said}`, /active task/i.test(said) ? { retryable: true, clear: false } : {})
    default:
      // Somebody has copied it there since it was looked at.
      return /already present/i.test(said)
        ? make("Conflict", `${what}: ${said}`, { retryable: true, clear: false })
        : make("Rejected", `${what}: ${said}`)
  }
}

interface Task {
  readonly id: string
  readonly status: string
  readonly message: string
  readonly createdAt: string
  readonly updatedAt: string
}

const text = (value: unknown): string => (typeof value === "string" ? value : "")

const decodeTasks = (json: unknown): ReadonlyArray<Task> | undefined => {
  const tasks = (json as { readonly tasks?: unknown } | undefined)?.tasks
  if (!Array.isArray(tasks)) return undefined
  return tasks.map((task: Readonly<Record<string, unknown>>) => ({
    id: text(task["id"]),
    status: text(task["status"]),
    message: text(task["message"]),
    createdAt: text(task["created_at"]),
    updatedAt: text(task["updated_at"])
  }))
}

/** Between the end of a task and the end of its lock: a moment, unless the service died in it. */
const unlockMs = 500

/** What the last import did, as far as the service shows its tasks (Image API v2.12). */
interface Import {
  /** Whether it still has the image. */
  readonly running: boolean
  readonly task: Task | undefined
}

const ended = (status: string): boolean => status === "success" || status === "failure"

export const make = (input: {
  readonly api: Api
  readonly site: Site
  /** The destination's, for errors. */
  readonly uri: string
  readonly id: () => string | undefined
}): Copying => {
  const { api, site, uri } = input

  const asStoreError = <A>(effect: Effect.Effect<A, Fault.Fault>): Effect.Effect<A, StoreError.StoreError> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri, input.id()))

  const imageId = Effect.suspend(() => {
    const id = input.id()
    return id === undefined ? Fault.make("NotFound", "there is no image to copy") : Effect.succeed(id)
  })

  const request = (places: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      yield* checkOffered(site)
      const id = yield* imageId
      const what = `image ${id} cannot be copied to ${list(places)}`
      const reply = yield* api.call({
        method: "POST",
        path: `${pathOf(id)}/import`,
        what,
        // Otherwise the first store that fails takes from the others what they have got.
        json: { method: { name: method }, stores: places, all_stores_must_succeed: false },
        accept: [400, 403, 404, 409],
        // After a lost answer it is looked at before it is asked for again.
        tries: 1
      })
      if (reply.status >= 300) return yield* refusal(reply, what, list(places))
    })

  const tasks = (id: string): Effect.Effect<ReadonlyArray<Task> | undefined, Fault.Fault> =>
    Effect.map(
      api.call({
        method: "GET",
        path: `${pathOf(id)}/tasks`,
        what: `the tasks of image ${id} cannot be read`,
        accept: [400, 403, 404, 405, 501]
      }),
      (reply) => (reply.status === 200 ? decodeTasks(reply.json) : undefined)
    )

  const imported = (record: Image.ImageRecord): Effect.Effect<Import, Fault.Fault> =>
    Effect.map(tasks(record.id), (all): Import => {
      const lock = record.importTask
      if (all === undefined) return { running: lock !== undefined, task: undefined }
      const latest = all.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt)).at(-1)
      if (lock === undefined) return { running: false, task: latest }
      const task = all.find(({ id }) => id === lock)
      // A lock whose task has ended, or is not known any more, is one that nobody will open.
      return { running: task !== undefined && !ended(task.status), task }
    })

  const read = (id: string) => Preflight.get(api, id, `image ${id} cannot be looked at`)

  const look = (places: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const id = yield* imageId
      let record = yield* read(id)
      if (record === undefined) return absent
      let found: Import = { running: false, task: undefined }
      const isThere = (place: string) => Image.names(record?.stores).includes(place)
      if (record.importTask !== undefined || !places.every(isThere)) {
        found = yield* imported(record)
        if (record.importTask !== undefined && !found.running) {
          yield* Effect.sleep(unlockMs)
          record = yield* read(id)
          if (record === undefined) return absent
          found = yield* imported(record)
        }
      }
      const seen = Image.inspection(record)
      if (seen._tag === "Absent") return absent
      const object: StoredObject = seen._tag === "Stored" ? seen.object : Image.stored(record)
      const there = Image.names(record.stores)
      const { importing } = record
      const to = importing.length === 0 ? "" : ` to ${list(importing)}`
      return {
        object,
        busy: found.running ? `the service is importing image ${id}${to}` : undefined,
        mark: JSON.stringify([there, importing, record.failedImport, record.importTask, found.task]),
        places: new Map(
          places.map((place) => [
            place,
            there.includes(place) ? { _tag: "Copied" } : (failure(record!, found.task, place) ?? { _tag: "Missing" })
          ])
        )
      } satisfies CopyLook
    })

  /** Why a copy is not there, once the import is over. */
  const failure = (record: Image.ImageRecord, task: Task | undefined, place: string): CopyState | undefined => {
    const failed = record.failedImport.includes(place)
    if (!failed && !record.importing.includes(place) && task?.status !== "failure") return undefined
    const words = Words.of(task?.status === "failure" ? task.message : "", undefined)
    const said = words === "" ? "it does not say why" : words
    const quota = /over (?:a )?limit|quota/i.test(words)
    const how = failed || !record.importing.includes(place) ? "" : ", though the image still says that it goes on"
    return {
      _tag: "Failed",
      error: StoreError.make(quota ? "QuotaExceeded" : "Unavailable", {
        uri,
        message: `the service could not copy image ${record.id} to "${place}"${how}: ${said}`,
        retryable: !quota,
        objectId: record.id
      })
    }
  }

  return {
    request: (places) => asStoreError(request(places)),
    look: (places) => asStoreError(look(places)),
    unreadable:
      "a copy cannot be read back by itself, as the service chooses the store; its digest is what the service computed when it copied"
  }
}

const absent: CopyLook = { object: undefined, busy: undefined, mark: "absent", places: new Map() }
