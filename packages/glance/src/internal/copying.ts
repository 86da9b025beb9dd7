/**
 * Copies of an active image in further stores, made by the service: `copy-image` imports (interoperable image import,
 * Image API v2.11).
 */
import * as Effect from "effect/Effect"
import type { Copying, CopyLook, CopyState } from "@headrace/core/Copies"
import type { StoredObject } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Api, Reply } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import * as Imports from "./imports.ts"
import * as Preflight from "./preflight.ts"
import type { Site } from "./site.ts"
import type { Staging } from "./staging.ts"
import * as Words from "@headrace/keystone/ServiceWords"

/** Fails where the service is known to copy nothing. */
export const checkOffered = (site: Site): Effect.Effect<void, Fault.Fault> =>
  Effect.gen(function* () {
    const methods = yield* site.importMethods
    if (methods === undefined || methods.includes(Imports.copyImage)) return
    const offered = methods.length === 0 ? "none" : methods.join(", ")
    return yield* Fault.make(
      "Unsupported",
      `this image service does not copy images to further stores (its import methods: ${offered}); upload to one store, or have ${Imports.copyImage} enabled`
    )
  })

export const forAdministrators =
  "copying to stores is for administrators unless the cloud's policy (copy_image) says otherwise"

export const unstageable = `this image service has no ${Imports.glanceDirect} import, which needs none`

const forbidden = (reply: Reply, what: string, stores: string, unstaged: boolean): Fault.Fault =>
  Fault.make(
    "Forbidden",
    `${what}: ${saidOf(reply)}; ${forAdministrators}${unstaged ? `, and ${unstageable}` : ""}: ask them to copy the image to ${stores}`,
    { status: 403 }
  )

const saidOf = (reply: Reply): string => (reply.words === "" ? Words.status(reply.status) : reply.words)

/** What another answer to `POST …/import` means that is no 202. */
const refusal = (reply: Reply, what: string): Fault.Fault => {
  const said = saidOf(reply)
  const make = (reason: Parameters<typeof Fault.make>[0], message: string, more?: Parameters<typeof Fault.make>[2]) =>
    Fault.make(reason, message, { status: reply.status, ...more })
  switch (reply.status) {
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

export const make = (input: {
  readonly api: Api
  readonly site: Site
  /** The destination's, for errors. */
  readonly uri: string
  readonly id: () => string | undefined
  /** How the image came to its stores, where that was by an import of what was staged. */
  readonly staging: Staging | undefined
}): Copying => {
  const { api, site, staging, uri } = input

  const asStoreError = <A>(effect: Effect.Effect<A, Fault.Fault>): Effect.Effect<A, StoreError.StoreError> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri, input.id()))

  const imageId = Effect.suspend(() => {
    const id = input.id()
    return id === undefined ? Fault.make("NotFound", "there is no image to copy") : Effect.succeed(id)
  })

  const copy = (places: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      yield* checkOffered(site)
      const id = yield* imageId
      const what = `image ${id} cannot be copied to ${Imports.list(places)}`
      const reply = yield* Imports.request(api, { id, method: Imports.copyImage, stores: places, what })
      if (reply.status === 403) {
        // A proxy's refusal says nothing of the policy.
        if (/copy_image/.test(reply.words)) yield* site.copiesRefused
        const unstaged = (yield* site.importMethods)?.includes(Imports.glanceDirect) === false
        return yield* forbidden(reply, what, Imports.list(places), unstaged)
      }
      if (reply.status >= 300) return yield* refusal(reply, what)
    })

  /** Of a store that an import has left out, its failure is what is worth saying where nobody may copy. */
  const request = (places: ReadonlyArray<string>) =>
    Effect.mapError(copy(places), (fault) =>
      fault.reason === "Forbidden" || fault.reason === "Unsupported"
        ? (staging?.missed(input.id() ?? "", places, fault.message) ?? fault)
        : fault
    )

  const look = (places: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const id = yield* imageId
      const before = yield* Preflight.get(api, id, `image ${id} cannot be looked at`)
      if (before === undefined) return absent
      const isThere = (place: string) => Image.names(before.stores).includes(place)
      const still: Imports.Seen = { record: before, running: false, task: undefined, told: false }
      const looked = before.importTask !== undefined || !places.every(isThere) ? yield* Imports.of(api, before) : still
      if (looked === undefined) return absent
      const { record, running, task } = looked
      const seen = Image.inspection(record)
      if (seen._tag === "Absent") return absent
      const object: StoredObject = seen._tag === "Stored" ? seen.object : Image.stored(record)
      const there = Image.names(record.stores)
      const { importing } = record
      const to = importing.length === 0 ? "" : ` to ${Imports.list(importing)}`
      return {
        object,
        busy: running ? `the service is importing image ${id}${to}` : undefined,
        mark: Imports.mark(record, task),
        places: new Map(
          places.map((place) => [
            place,
            there.includes(place) ? { _tag: "Copied" } : (failure(record, task, place) ?? { _tag: "Missing" })
          ])
        )
      } satisfies CopyLook
    })

  /** Why a copy is not there, once the import is over. */
  const failure = (record: Image.ImageRecord, task: Imports.Task | undefined, place: string): CopyState | undefined => {
    const failed = record.failedImport.includes(place)
    if (!failed && !record.importing.includes(place) && task?.status !== "failure") return undefined
    const { quota, said } = Imports.reason(task)
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
    ...(staging === undefined ? undefined : { elsewhere: staging.elsewhere }),
    unreadable:
      "a copy cannot be read back by itself, as the service chooses the store; its digest is what the service computed when it copied"
  }
}

const absent: CopyLook = { object: undefined, busy: undefined, mark: "absent", places: new Map() }
