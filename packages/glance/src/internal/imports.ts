/**
 * What an image service shows of its imports (interoperable image import). An import is a task behind a 202. It holds the
 * image's lock, `os_glance_import_task`, and shows its progress in properties of the image; how it ended is seen when the
 * lock is gone, as a status of its own it has not.
 */
import * as Effect from "effect/Effect"
import type { Api, Reply } from "./api.ts"
import type * as Fault from "@headrace/keystone/ServiceFault"
import type * as Image from "./image.ts"
import * as Preflight from "./preflight.ts"
import * as Words from "@headrace/keystone/ServiceWords"

/** Methods, as `/v2/info/import` names them. */
export const copyImage = "copy-image"
export const glanceDirect = "glance-direct"

export interface Task {
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

export const pathOf = (id: string): string => `/v2/images/${encodeURIComponent(id)}`

/** Names of stores, for a person. */
export const list = (places: ReadonlyArray<string>): string => places.map((place) => `"${place}"`).join(", ")

/** The tasks of an image; `undefined` where the service does not show them (before Image API v2.12). */
export const tasks = (api: Api, id: string): Effect.Effect<ReadonlyArray<Task> | undefined, Fault.Fault> =>
  Effect.map(
    api.call({
      method: "GET",
      path: `${pathOf(id)}/tasks`,
      what: `the tasks of image ${id} cannot be read`,
      accept: [400, 403, 404, 405, 501]
    }),
    (reply) => (reply.status === 200 ? decodeTasks(reply.json) : undefined)
  )

/**
 * Asks for an import. After a lost answer it is looked at before it is asked for again, so there is one try. What is
 * refused in a way that is the caller's to judge is an answer.
 */
export const request = (
  api: Api,
  input: { readonly id: string; readonly method: string; readonly stores: ReadonlyArray<string>; readonly what: string }
): Effect.Effect<Reply, Fault.Fault> =>
  api.call({
    method: "POST",
    path: `${pathOf(input.id)}/import`,
    what: input.what,
    // Otherwise the first store that fails takes from the others what they have got.
    json: { method: { name: input.method }, stores: input.stores, all_stores_must_succeed: false },
    accept: [400, 403, 404, 409],
    tries: 1
  })

/** Between the end of a task and the end of its lock: a moment, unless the service died in it. */
const unlockMs = 500

/** What the last import did, as far as the service shows its tasks. */
export interface Import {
  /** Whether it still has the image. */
  readonly running: boolean
  readonly task: Task | undefined
  /** Whether the service shows tasks. Where it does not it may have no lock either (before Victoria), and start late. */
  readonly told: boolean
}

export interface Seen extends Import {
  readonly record: Image.ImageRecord
}

const ended = (status: string): boolean => status === "success" || status === "failure"

const imported = (api: Api, record: Image.ImageRecord): Effect.Effect<Import, Fault.Fault> =>
  Effect.map(tasks(api, record.id), (all): Import => {
    const lock = record.importTask
    if (all === undefined) {
      return { running: lock !== undefined || record.status === "importing", task: undefined, told: false }
    }
    const latest = all.toSorted((a, b) => a.createdAt.localeCompare(b.createdAt)).at(-1)
    if (lock === undefined) return { running: false, task: latest, told: true }
    const task = all.find(({ id }) => id === lock)
    // A lock whose task has ended, or is not known any more, is one that nobody will open.
    return { running: task !== undefined && !ended(task.status), task, told: true }
  })

const read = (api: Api, id: string) => Preflight.get(api, id, `image ${id} cannot be looked at`)

/** What the last import of an image that was just looked at has come to; `undefined` when the image is gone by now. */
export const of = (api: Api, before: Image.ImageRecord): Effect.Effect<Seen | undefined, Fault.Fault> =>
  Effect.gen(function* () {
    const found = yield* imported(api, before)
    if (before.importTask === undefined || found.running) return { record: before, ...found }
    yield* Effect.sleep(unlockMs)
    const record = yield* read(api, before.id)
    return record === undefined ? undefined : { record, ...(yield* imported(api, record)) }
  })

/** Looks at an image and its last import; `undefined` when there is no such image. */
export const look = (api: Api, id: string): Effect.Effect<Seen | undefined, Fault.Fault> =>
  Effect.flatMap(read(api, id), (record) => (record === undefined ? Effect.undefined : of(api, record)))

/** Everything of an image that changes while an import goes on. */
export const mark = (record: Image.ImageRecord, task: Task | undefined): string =>
  JSON.stringify([record.status, record.stores, record.importing, record.failedImport, record.importTask, task])

/** Why an import, or its part for one store, came to nothing, as far as its task says it. */
export const reason = (task: Task | undefined): { readonly said: string; readonly quota: boolean } => {
  const words = Words.of(task?.status === "failure" ? task.message : "", undefined)
  return { said: words === "" ? "it does not say why" : words, quota: /over (?:a )?limit|quota/i.test(words) }
}
