/**
 * One image being written: made or found, filled, looked at, and tidied up when it came to nothing. It retries no
 * body; that is the engine's.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Algorithm } from "@headrace/core/Digest"
import type { Body, Content, Inspection, Left, StoredObject, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import * as Answer from "./answer.ts"
import type { Api, Call, Reply } from "./api.ts"
import * as Attributes from "./attributes.ts"
import * as Copying from "./copying.ts"
import * as Download from "./download.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import * as Imports from "./imports.ts"
import * as Platform from "./platform.ts"
import type { Wanted } from "./places.ts"
import * as Preflight from "./preflight.ts"
import * as Sending from "./sending.ts"
import type { Site } from "./site.ts"
import * as Staging from "./staging.ts"
import type { Way } from "./ways.ts"

interface State {
  /** The image that is written to, once it has an id. */
  id: string | undefined
  /** Whether this session made it: `maybe` after a creation without an answer. */
  made: "no" | "maybe" | "yes"
  /** Whether somebody had made it already, as `made` says now: its attributes are set when the data is proven. */
  found: boolean
  /** What it has to be declared as, once that is known. */
  ready: Preflight.Ready | undefined
  /** Whether the last body was refused for its token. */
  refused: boolean
}

export interface Options {
  readonly uri: string
  /** The cloud's name in URIs. */
  readonly cloud: string
  readonly image: Wanted
  readonly content: Content
  readonly wanted: ReadonlyArray<Algorithm>
  readonly way: Way
}

/** How often to look for an image whose creation may be under way still, and how many ms apart. */
const looks = 4
const lookEveryMs = 300

export const make = (
  api: Api,
  site: Site,
  { cloud, content, image: options, uri, wanted, way }: Options
): WholeSession => {
  const staged = way._tag === "Import"
  const staging =
    staged && options.store !== undefined ? Staging.make(api, [options.store, ...options.copyTo]) : undefined
  const given = options.id !== undefined
  const state: State = { id: options.id, made: "no", found: given, ready: undefined, refused: false }

  const path = (id: string) => `/v2/images/${encodeURIComponent(id)}`
  const asStoreError = <A, R>(
    effect: Effect.Effect<A, Fault.Fault | StoreError.StoreError, R>
  ): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (error) =>
      error instanceof Fault.Fault ? Fault.toStoreError(error, uri, state.id) : error
    )

  const patch = (id: string, operations: ReadonlyArray<Attributes.Operation>, what: string, more?: Partial<Call>) =>
    operations.length === 0
      ? Effect.void
      : Effect.asVoid(
          api.call({
            method: "PATCH",
            path: path(id),
            what,
            json: operations,
            contentType: Attributes.patchType,
            ...more
          })
        )

  /** Whether an image that has our id is the one that we have just tried to make: nobody had the id before. */
  const isOurs = (record: Image.ImageRecord): boolean => record.status === "queued" && record.name === options.name

  const create = Effect.gen(function* () {
    const ready = state.ready ?? (yield* Preflight.run(api, site, options, content, staged))
    state.ready = ready
    const id = state.id ?? options.newId ?? (yield* options.newIds ?? Platform.uuid)
    let unclear = state.made === "maybe"
    const what = "the image cannot be created"
    for (let failures = 0; ;) {
      // From here on there may be an image, whatever becomes of the answer.
      state.id = id
      state.made = "maybe"
      const result: Result.Result<Reply, Fault.Fault> = yield* Effect.result(
        api.call({
          method: "POST",
          path: "/v2/images",
          what,
          json: Attributes.creation(options, ready, id),
          accept: [409],
          tries: 1
        })
      )
      if (Result.isSuccess(result) && result.success.status !== 409) {
        const record = Image.decode(result.success.json)
        if (record === undefined) return yield* Preflight.noRecord(what)
        state.id = record.id
        state.made = "yes"
        return
      }
      if (Result.isFailure(result) && result.failure.clear) {
        if (!unclear) state.made = "no"
        return yield* result.failure
      }
      // No answer, or one that says the id is taken: by us, perhaps.
      const record = yield* Preflight.get(api, id, what)
      if (record !== undefined && isOurs(record)) {
        // Not by a request of this session: an earlier program's, that was given the same id.
        state.found = !unclear && Result.isSuccess(result)
        state.made = "yes"
        return
      }
      if (Result.isSuccess(result)) {
        state.made = "no"
        const why =
          record === undefined
            ? "it was an image's that is deleted, and an id is never used again"
            : "it exists already"
        return yield* Fault.make("Conflict", `${what} with the id ${id}: ${why}`, { status: 409 })
      }
      unclear = true
      if (++failures >= 3) return yield* result.failure
      yield* Effect.sleep(lookEveryMs)
    }
  })

  const find = Effect.gen(function* () {
    const ready = yield* Preflight.run(api, site, options, content, staged)
    state.ready = ready
    const id = options.id!
    yield* patch(id, Attributes.formats(ready, ready.given), `image ${id} cannot be declared as ${ready.diskFormat}`)
  })

  const begin = asStoreError(
    Effect.suspend((): Effect.Effect<void, Fault.Fault | StoreError.StoreError> =>
      given ? find : state.made === "yes" ? Effect.void : create
    )
  )

  const inspected = Effect.gen(function* () {
    if (state.id === undefined) return undefined
    const record = yield* Preflight.get(api, state.id, `image ${state.id} cannot be looked at`)
    if (record !== undefined) yield* site.learn(record)
    return record
  })

  const inspect = asStoreError(
    Effect.flatMap(inspected, (record): Effect.Effect<Inspection, Fault.Fault> =>
      record === undefined
        ? Effect.succeed({ _tag: "Absent" })
        : (staging?.inspection(record) ?? Effect.succeed(Image.inspection(record)))
    )
  )

  const location = Effect.sync(() => (state.id === undefined ? uri : `glance://${cloud}/${state.id}`))

  const left: Effect.Effect<Left> = Effect.suspend(() =>
    !given && state.made === "no"
      ? Effect.succeed("none")
      : Effect.matchEffect(inspected, {
          onSuccess: (record) =>
            Effect.succeed(
              record === undefined || Preflight.isGone(record) ? "none" : `${record.status} image ${record.id}`
            ),
          onFailure: () => Effect.map(location, (where) => `unknown ${where}`)
        })
  )

  /** Deletes the image that this session made; false when it could not be. */
  const remove = (id: string): Effect.Effect<boolean, Fault.Fault> =>
    Effect.gen(function* () {
      const what = `image ${id} cannot be deleted`
      for (let look = 1; ; look++) {
        const reply = yield* Preflight.remove(api, id, what)
        if (reply.status === 403) {
          // Protected a moment ago, by `seal`.
          yield* patch(id, [{ op: "replace", path: "/protected", value: false }], what)
          const again = yield* Preflight.remove(api, id, what)
          if (again.status === 403) return yield* Fault.make("Forbidden", `${what}: ${again.words}`, { status: 403 })
          return again.status !== 409
        }
        if (reply.status === 409) return false
        // An image whose creation was cut may come into being after it was looked for.
        if (reply.status !== 404 || state.made !== "maybe" || look >= looks) return true
        yield* Effect.sleep(lookEveryMs)
      }
    })

  const discard: Effect.Effect<Left> = Effect.suspend(() => {
    const { id } = state
    if (given || id === undefined || state.made === "no") return left
    return Effect.flatMap(Effect.result(remove(id)), (result) => {
      if (Result.isFailure(result) || !result.success) return left
      state.id = undefined
      state.made = "no"
      return Effect.succeed("none")
    })
  })

  const recreate = asStoreError(
    Effect.gen(function* () {
      if (given) {
        return yield* Fault.make("Conflict", `image ${options.id} was given, and is not ours to delete and make anew`)
      }
      if (options.newId !== undefined) {
        return yield* Fault.make(
          "Conflict",
          `image ${options.newId} would have to be made anew, and its id cannot be used a second time`
        )
      }
      if (state.id !== undefined && state.made !== "no") {
        if (!(yield* remove(state.id))) {
          return yield* Fault.make("Conflict", `image ${state.id} is in use and cannot be deleted`)
        }
      }
      state.id = undefined
      state.made = "no"
      state.found = false
      yield* create
    })
  )

  const sendBody = <E, R>(body: Body<E, R>, id: string): Effect.Effect<void, Fault.Fault | E, R> =>
    Effect.gen(function* () {
      const { store } = options
      const { bytes, refusal } = yield* Sending.send(
        api,
        staging === undefined
          ? { path: `${path(id)}/file`, store, body }
          : { path: `${path(id)}/stage`, store: undefined, body }
      )
      if (refusal === undefined) {
        state.refused = false
        return
      }
      const { answer, token } = refusal
      const fault = Answer.ofUpload(answer, bytes, store)
      if (fault.reason !== "Unauthorized") {
        state.refused = false
        if (Answer.formatsUnset(answer) && state.ready !== undefined) {
          yield* patch(
            id,
            Attributes.formats(state.ready),
            `image ${id} cannot be declared as ${state.ready.diskFormat}`
          )
        }
        // What we made ourselves is deleted.
        return yield* given && fault.reason === "UnsupportedFormat"
          ? Fault.make(fault.reason, `${fault.message}; the image takes no data any more, delete it`, fieldsOf(fault))
          : fault
      }
      // Refused twice in a row, the second time with a new token: a third one will not help.
      const again = !state.refused && (yield* api.renew(token))
      state.refused = true
      return yield* Fault.make(fault.reason, fault.message, { ...fieldsOf(fault), retryable: again })
    })

  const write = <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.suspend(() => {
      const { id } = state
      if (id === undefined) {
        return Effect.fail(StoreError.make("NotFound", { uri, message: "there is no image to write to", clear: true }))
      }
      const sent =
        staging === undefined ? sendBody(body, id) : staging.fill(id, body, (counted) => sendBody(counted, id))
      return Effect.mapError(sent, (error) =>
        error instanceof Fault.Fault ? Fault.toStoreError(error, uri, id) : error
      )
    })

  const checkPlace = (object: StoredObject): Effect.Effect<void, StoreError.StoreError> => {
    const { store } = options
    if (store === undefined || Image.names(object.store).includes(store)) return Effect.void
    if (staging?.elsewhere(object) === true) {
      const there = `it is in ${Imports.list(Image.names(object.store))}`
      return Effect.fail(Fault.toStoreError(staging.missed(object.id, [store], there), uri, object.id))
    }
    return Effect.fail(
      StoreError.make("StoreIgnored", {
        uri,
        message: `the image was to go to the store "${store}", the service put it ${object.store === undefined ? "into a store without a name" : `into "${object.store}"`}`,
        objectId: object.id
      })
    )
  }

  const seal = asStoreError(
    Effect.suspend(() =>
      state.id === undefined
        ? Effect.void
        : patch(
            state.id,
            Attributes.final(options, state.found),
            `image ${state.id} holds the data, but cannot be finished`
          )
    )
  )

  const read: Stream.Stream<Uint8Array, StoreError.StoreError> = Stream.suspend(() =>
    state.id === undefined
      ? Stream.fail(StoreError.make("NotFound", { uri, message: "there is no image to read" }))
      : Stream.mapError(Download.stream(api, { id: state.id, offset: 0, size: undefined }), (fault) =>
          Fault.toStoreError(fault, uri, state.id)
        )
  )

  return {
    shape: "whole",
    wanted,
    begin,
    write,
    inspect,
    checkPlace,
    recreate,
    owned: Effect.sync(() => state.made !== "no"),
    location,
    discard,
    left,
    seal,
    read,
    notes: Effect.sync(() => [
      ...(state.ready?.notes ?? []),
      ...(way._tag === "Import" ? [`staged, and imported into all stores in one go: ${way.why}`] : [])
    ]),
    ...(options.copyTo.length === 0
      ? undefined
      : { copying: Copying.make({ api, site, uri, id: () => state.id, staging }) })
  }
}

const fieldsOf = (fault: Fault.Fault) => ({
  clear: fault.clear,
  ...(fault.status === undefined ? undefined : { status: fault.status }),
  ...(fault.requestId === undefined ? undefined : { requestId: fault.requestId })
})
