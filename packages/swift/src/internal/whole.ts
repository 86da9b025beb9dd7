/**
 * An object written as one body: one PUT, whose `Etag` is the MD5 of what has arrived.
 */
import type { Body, Content, Left, WholeSession } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Download from "./download.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Place from "./place.ts"
import * as Sending from "./sending.ts"

/** Milliseconds after which it is looked once more whether an object has come that was on its way. */
const waits = [250, 500, 1000]

export const make = (target: Place.Target, content: Content): WholeSession => {
  const { api, container, contentType, uri } = target
  /** Bytes of the whole, once they are known. */
  let size = content.size
  const place = Place.make(target, (found) => found.kind === "plain" && size !== undefined && found.size === size)

  const asStoreError = <A, E, R>(
    effect: Effect.Effect<A, E | Fault.Fault, R>
  ): Effect.Effect<A, Exclude<E, Fault.Fault> | StoreError.StoreError, R> =>
    Effect.mapError(effect, (error) =>
      error instanceof Fault.Fault ? Fault.toStoreError(error, uri) : (error as Exclude<E, Fault.Fault>)
    )

  const write = <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.suspend(() => {
      const { undo } = place.attempt()
      let sent = 0
      const sending = Sending.send<E, R>({
        api,
        path: Place.pathOf(target),
        body: {
          ...body,
          onSent: (bytes) => {
            sent += bytes
            place.unanswered.value = sent === body.length
            body.onSent(bytes)
          }
        },
        md5: content.digests?.md5,
        compares: false,
        contentType,
        what: "the object was not taken"
      }).pipe(
        Effect.flatMap(({ etag, requestId }) =>
          Effect.gen(function* () {
            size = sent
            // It is ours, whatever it is.
            place.taken(etag)
            const ours = (yield* body.finalDigests ?? Effect.undefined)?.md5
            if (ours === undefined || ours === etag) return
            const message = `the object arrived as other bytes: its MD5 is ${ours}, of what the service took ${etag}`
            return yield* Fault.make("DigestMismatch", message, {
              retryable: true,
              clear: false,
              status: 201,
              ...(requestId === undefined ? undefined : { requestId })
            })
          })
        ),
        Effect.tapError((error) =>
          Effect.sync(() => {
            const fault = error instanceof Fault.Fault ? error : undefined
            if (fault?.clear === true) undo()
            // A gateway has not waited for what Swift does yet.
            if (fault?.clear === true || fault?.requestId !== undefined) place.unanswered.value = false
          })
        ),
        Effect.catch((error): Effect.Effect<never, Fault.Fault | E> => {
          if (!(error instanceof Fault.Fault) || error.status !== 404) return Effect.fail(error)
          // Somebody has deleted the container meanwhile.
          const again = new Fault.Fault({ ...error, retryable: true })
          return Effect.andThen(place.ensure(container, undefined), Effect.fail(again))
        })
      )
      return Effect.mapError(sending, (error) =>
        error instanceof Fault.Fault ? Fault.toStoreError(error, uri) : error
      )
    })

  const left: Effect.Effect<Left> = Effect.suspend(() =>
    !place.attempted()
      ? Effect.succeed("none")
      : Effect.match(place.standing, {
          onFailure: () => `unknown ${uri}`,
          onSuccess: (standing) =>
            standing === "ours" || standing === "other"
              ? `object ${uri}`
              : place.unanswered.value
                ? `unknown ${uri}`
                : "none"
        })
  )

  return {
    shape: "whole",
    wanted: ["md5"],
    begin: asStoreError(
      Effect.suspend(() => (target.before === undefined ? place.ensure(container, target.policy) : Effect.void))
    ),
    write,
    inspect: asStoreError(place.inspect),
    checkPlace: () => Effect.void,
    // The next body takes the place of what is there.
    recreate: Effect.sync(place.again),
    owned: Effect.succeed(true),
    location: Effect.succeed(uri),
    discard: Effect.gen(function* () {
      if (!place.attempted()) return "none"
      // A request that was cut may still lie before the service, and be served after this look.
      for (const wait of place.unanswered.value ? [0, ...waits] : [0]) {
        yield* Effect.sleep(wait)
        const removed = yield* Effect.result(place.remove)
        if (Result.isFailure(removed)) return `unknown ${uri}`
        if (removed.success) return "none"
      }
      return yield* left
    }),
    left,
    seal: Effect.void,
    read: Stream.mapError(
      Download.stream(api, { path: Place.pathOf(target), offset: 0, size: undefined, etag: undefined }),
      (fault) => Fault.toStoreError(fault, uri)
    ),
    notes: Effect.sync(() => [...place.notes])
  }
}
