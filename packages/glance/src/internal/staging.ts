/**
 * An image that goes to several stores in one go: its bytes are staged (`PUT …/stage`), and the service imports them into
 * all stores (`glance-direct`). Nothing is sent twice because an answer was lost: what the image shows decides whether the
 * bytes are staged, and whether the import was taken.
 *
 * An import that some stores fail leaves the image active in the others. One that all fail takes it back to `queued`, and
 * one that fails before the first store leaves it `importing`, for ever; both are seen by the end of its task.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Monotonic from "@headrace/core/Monotonic"
import type { Body, Inspection, StoredObject } from "@headrace/core/Store"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Image from "./image.ts"
import * as Imports from "./imports.ts"
import * as Preflight from "./preflight.ts"
import * as Words from "@headrace/keystone/ServiceWords"

export interface Staging {
  /** Stages a body that `send` sends, and has it imported. Succeeds when the image is in one of the stores at least. */
  readonly fill: <E, R>(
    id: string,
    body: Body<E, R>,
    send: (body: Body<E, R>) => Effect.Effect<void, Fault.Fault | E, R>
  ) => Effect.Effect<void, Fault.Fault | E, R>
  /** What the image is to whoever wants to write, now that an import may have it. */
  readonly inspection: (record: Image.ImageRecord) => Effect.Effect<Inspection, Fault.Fault>
  /** Whether an image that is not in the first store is in others that were asked for. */
  readonly elsewhere: (object: StoredObject) => boolean
  /** What is to be said of stores that the import has left out; `more`: where the image is, or why it is not copied. */
  readonly missed: (id: string, places: ReadonlyArray<string>, more: string) => Fault.Fault
}

const firstLookMs = 100
const longestLookMs = 5000

/** Reasons of a body whose answer did not come from the service, or said nothing of it. */
const unanswered: ReadonlySet<string> = new Set(["ConnectionLost", "Stalled", "Unavailable"])

/** How often an import is asked for anew that was taken and of which there is no trace. */
const longestLost = 3

export const make = (api: Api, stores: readonly [first: string, ...others: ReadonlyArray<string>]): Staging => {
  /** An image that nothing is to be waited for any more. */
  let stuck: { readonly id: string; readonly why: string } | undefined
  /** The import that has brought the image to some of its stores. */
  let done: Imports.Task | undefined

  const failure = (id: string, places: ReadonlyArray<string>, task: Imports.Task | undefined, more = "") => {
    const { quota, said } = Imports.reason(task)
    return Fault.make(
      quota ? "QuotaExceeded" : "Unavailable",
      `the service could not import image ${id} into ${Imports.list(places)}${more}: ${said}`,
      { retryable: !quota, clear: quota }
    )
  }

  /** Whether the body is staged whole, after its answer was lost. */
  const arrived = (id: string, bytes: number, answerMs: number): Effect.Effect<boolean> =>
    Effect.gen(function* () {
      const deadline = (yield* Monotonic.now) + answerMs
      while (true) {
        const looked = yield* Effect.result(Preflight.get(api, id, `image ${id} cannot be looked at`))
        if (Result.isSuccess(looked)) {
          if (looked.success?.status !== "uploading") return false
          // The size is known when all is staged.
          if (looked.success.size !== undefined) return looked.success.size === bytes
        } else if (!looked.failure.retryable) return false
        if ((yield* Monotonic.now) >= deadline) return false
        yield* Effect.sleep(firstLookMs * 5)
      }
    })

  /** Succeeds when the service has the import, or has had it; a refusal that says neither is a failure. */
  const request = (id: string): Effect.Effect<void, Fault.Fault> =>
    Effect.gen(function* () {
      const what = `image ${id} cannot be imported into ${Imports.list(stores)}`
      const reply = yield* Imports.request(api, { id, method: Imports.glanceDirect, stores, what })
      if (reply.status < 300) return
      const said = reply.words === "" ? Words.status(reply.status) : reply.words
      const fail = (reason: Parameters<typeof Fault.make>[0], more?: Parameters<typeof Fault.make>[2]) =>
        Fault.make(reason, `${what}: ${said}`, { status: reply.status, ...more })
      switch (reply.status) {
        case 403:
          return yield* fail("Forbidden")
        case 404:
          // Deleted meanwhile, or a proxy's; the look will tell.
          return yield* fail("Gone", { retryable: true, clear: false })
        case 409:
          if (/store for identifier .* not found/i.test(said)) return yield* fail("UnknownStore")
          // An earlier request was taken, whose answer was lost.
          if (/active task|still in progress|needs to be staged|status active/i.test(said)) return
          return yield* fail("Conflict")
        default:
          return yield* fail("Rejected")
      }
    })

  const importing = (id: string, answerMs: number): Effect.Effect<void, Fault.Fault> =>
    Effect.gen(function* () {
      // Imports of an earlier time are not taken for this one.
      const before = new Set(
        (yield* Effect.orElseSucceed(Imports.tasks(api, id), () => undefined))?.map(({ id }) => id)
      )
      /** How the last request ended; `undefined` before any. */
      let asked: Result.Result<void, Fault.Fault> | undefined
      let lost = 0
      let mark: string | undefined
      let changedAt = yield* Monotonic.now
      let wait = firstLookMs
      const silent = Effect.map(Monotonic.now, (now) => now - changedAt >= answerMs)
      const pause = Effect.suspend(() => {
        const ms = Math.min(wait, answerMs)
        wait = Math.min(longestLookMs, wait * 1.5)
        return Effect.sleep(ms)
      })

      while (true) {
        if (asked === undefined) {
          asked = yield* Effect.result(request(id))
          if (Result.isFailure(asked) && asked.failure.clear) return yield* asked.failure
        }
        const looked = yield* Effect.result(Imports.look(api, id))
        if (Result.isFailure(looked)) {
          // A service that is away for a moment may go on importing.
          if (!looked.failure.retryable || (yield* silent)) return yield* looked.failure
          yield* pause
          continue
        }
        const seen = looked.success
        if (seen === undefined) {
          return yield* Fault.make("Gone", `image ${id} was deleted before it was imported`, { clear: false })
        }
        const { record } = seen
        // Where nothing is told, a request that was taken may begin late, and goes on while stores are named.
        const late = record.status === "uploading" ? Result.isSuccess(asked) : record.importing.length > 0
        const running = seen.running || (!seen.told && late)
        const task = seen.task !== undefined && before.has(seen.task.id) ? undefined : seen.task
        const shown = Imports.mark(record, task)
        if (shown !== mark) {
          mark = shown
          changedAt = yield* Monotonic.now
          wait = firstLookMs
        }
        const stored = record.status === "active" || record.status === "deactivated"
        if (running && !(yield* silent)) {
          yield* pause
          continue
        }
        if (stored) {
          done = task
          return
        }
        if (running) {
          stuck = { id, why: "its import does not get on" }
          const to = record.importing.length === 0 ? "" : ` into ${Imports.list(record.importing)}`
          return yield* Fault.make(
            "Stalled",
            `the service is importing image ${id}${to}, and nothing has changed for ${Math.round(answerMs / 1000)} s`,
            { retryable: true, clear: false }
          )
        }
        // Nothing is under way. What is staged still is there for another request, unless that has been refused too often.
        if (record.status === "uploading" && task?.status !== "failure") {
          if (Result.isFailure(asked) ? !(yield* silent) : lost++ < longestLost) {
            asked = undefined
            yield* pause
            continue
          }
          if (Result.isFailure(asked)) return yield* asked.failure
        }
        return yield* failure(id, stores, task, record.status === "queued" ? "" : `, and left it ${record.status}`)
      }
    })

  const fill: Staging["fill"] = <E, R>(
    id: string,
    body: Body<E, R>,
    send: (body: Body<E, R>) => Effect.Effect<void, Fault.Fault | E, R>
  ) =>
    Effect.gen(function* () {
      let sent = 0
      const onSent = (bytes: number) => {
        sent += bytes
        body.onSent(bytes)
      }
      const staged = yield* Effect.result(send({ ...body, onSent }))
      if (Result.isFailure(staged)) {
        const fault = staged.failure
        if (!(fault instanceof Fault.Fault) || fault.clear) return yield* Effect.fail(fault)
        if (/has data on staging/i.test(fault.message)) {
          // What an import has left there is in the way of all that is staged under this id.
          stuck = { id, why: "it has data in the staging area that nobody imports" }
          return yield* Fault.make("Conflict", fault.message, { retryable: true, clear: false, status: 409 })
        }
        const ended = body.finalDigests !== undefined && (yield* body.finalDigests) !== undefined
        if (!ended || !unanswered.has(fault.reason) || !(yield* arrived(id, sent, body.answerMs)))
          return yield* Effect.fail(fault)
      }
      yield* importing(id, body.answerMs)
    })

  const inspection: Staging["inspection"] = (record) => {
    const found = Image.inspection(record)
    const spoiled = (why: string): Inspection => ({ _tag: "Spoiled", why })
    if (found._tag === "Absent") return Effect.succeed(found)
    if (found._tag === "Stored" && Image.names(record.stores).includes(stores[0])) {
      // The others have entries of their own.
      return Effect.succeed({ _tag: "Stored", object: { ...found.object, store: stores[0] } })
    }
    if (record.id === stuck?.id && found._tag !== "Stored") {
      return Effect.succeed(spoiled(`it is ${record.status}, and ${stuck.why}`))
    }
    if (record.importTask === undefined && record.status !== "importing" && record.status !== "uploading") {
      return Effect.succeed(found)
    }
    return Effect.map(Imports.of(api, record), (seen): Inspection => {
      if (seen === undefined) return { _tag: "Absent" }
      if (seen.running) return { _tag: "Busy", what: `image ${record.id} is being imported` }
      if (seen.record.status === "importing") return spoiled("it is importing, and its import has ended")
      // Bytes that are on their way have no size yet.
      return seen.record.status === "uploading" && seen.record.size !== undefined
        ? spoiled("it is uploading, and nobody imports what is staged")
        : Image.inspection(seen.record)
    })
  }

  const elsewhere: Staging["elsewhere"] = (object) => {
    const there = Image.names(object.store)
    return !there.includes(stores[0]) && stores.some((store) => there.includes(store))
  }

  const missed: Staging["missed"] = (id, places, more) => {
    const { message, reason } = failure(id, places, done)
    return Fault.make(reason, `${message}; ${more}`)
  }

  return { fill, inspection, elsewhere, missed }
}
