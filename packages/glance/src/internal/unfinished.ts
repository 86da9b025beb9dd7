/**
 * Images that uploads have begun and not finished: made, and without their data. Glance keeps them until somebody deletes
 * them.
 */
import type { UnfinishedUpload } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as GlanceUri from "../GlanceUri.ts"
import * as Image from "./image.ts"
import * as Imports from "./imports.ts"
import type { Wanted } from "./places.ts"
import * as Preflight from "./preflight.ts"

/** Of which there may be more than one: whoever names no image means all of the project. */
export interface Scope {
  readonly image: Pick<Wanted, "id" | "newId" | "name">
  /** The destination's. */
  readonly uri: string
  /** The cloud's name in URIs. */
  readonly cloud: string
}

const statuses = ["queued", "saving", "uploading", "importing"]

/** The owner of what is the account's own: a project; `null` where nobody has one. */
const ownerOf = (api: Api): Effect.Effect<string | null, Fault.Fault> =>
  Effect.gen(function* () {
    const { project, token } = api.access
    const id = project === undefined ? undefined : yield* Effect.mapError(project, Fault.fromKeystone)
    if (id !== undefined) return id
    if ((yield* Effect.mapError(token, Fault.fromKeystone)) === undefined) return null
    return yield* Fault.make(
      "Unsupported",
      "unfinished images cannot be told from other projects', as a token alone does not say its project; name the project"
    )
  })

const isNamed = (scope: Scope, { id, name }: Image.ImageRecord): boolean => {
  const { image } = scope
  if (image.id !== undefined) return image.id.toLowerCase() === id.toLowerCase()
  if (image.newId !== undefined) return image.newId.toLowerCase() === id.toLowerCase()
  return image.name === undefined || image.name === name
}

const uriOf = ({ cloud, image, uri }: Scope, { id, name }: Image.ImageRecord): string => {
  if (image.id !== undefined || image.newId !== undefined || image.name !== undefined) return uri
  if (name === undefined) return `glance://${cloud}/${id}`
  const word = encodeURIComponent(name)
  return GlanceUri.isId(name) ? `glance://${cloud}?name=${word}` : `glance://${cloud}/${word}`
}

const startedAt = ({ createdAt }: Image.ImageRecord): number | undefined => {
  const at = createdAt === undefined ? Number.NaN : Date.parse(createdAt)
  return Number.isNaN(at) ? undefined : at
}

/** A page of the list, and where the next one is. */
const page = (api: Api, path: string) =>
  Effect.gen(function* () {
    const what = "the unfinished images cannot be listed"
    const { json } = yield* api.call({ method: "GET", path, what })
    const images = Image.decodeList(json)
    if (images === undefined) return yield* Preflight.noRecord(what)
    const next = (json as { readonly next?: unknown }).next
    return {
      images,
      next: typeof next === "string" && next.startsWith("/v2/images?") && next !== path ? next : undefined
    }
  })

export const list = (api: Api, scope: Scope): Stream.Stream<UnfinishedUpload, Fault.Fault> =>
  Stream.unwrap(
    Effect.map(ownerOf(api), (owner) => {
      // By name it is not asked for: Glance takes one that begins with "in:" for a list.
      const first = `/v2/images?limit=200&status=in:${statuses.join(",")}${owner === null ? "" : `&owner=${encodeURIComponent(owner)}`}`
      return Stream.paginate(first, (path) =>
        Effect.map(page(api, path), ({ images, next }) => {
          const found = images.flatMap((image): ReadonlyArray<UnfinishedUpload> =>
            statuses.includes(image.status) && image.owner === owner && isNamed(scope, image)
              ? [{ token: image.id, uri: uriOf(scope, image), startedAt: startedAt(image), bytes: image.size }]
              : []
          )
          return [found, Option.fromUndefinedOr(next)] as const
        })
      )
    })
  )

/** Deletes an image unless it is finished by now. Glance knows no condition, so it is looked at just before. */
export const abort = (api: Api, scope: Scope, id: string): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const what = `image ${id} cannot be deleted`
    if (!GlanceUri.isId(id)) return yield* Fault.make("InvalidConfig", `"${id}" is no image's id`)
    const owner = yield* ownerOf(api)
    const record = yield* Preflight.get(api, id, what)
    if (record === undefined || Image.inspection(record)._tag === "Absent") return
    if (record.owner !== owner || !isNamed(scope, record)) {
      return yield* Fault.make("InvalidConfig", `image ${id} is not of ${scope.uri}, and is left alone`)
    }
    if (!statuses.includes(record.status)) {
      return yield* Fault.make(
        "Conflict",
        `image ${id} is ${record.status}: its upload is finished, and it is left alone`
      )
    }
    yield* api.call({ method: "DELETE", path: Imports.pathOf(id), what, accept: [404] })
  })
