/**
 * A store in memory that behaves as a script says: one step for each body that is written. What it has done is there
 * to look at.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Body, Inspection, Store, StoredObject, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Reason } from "@headrace/core/Reason"

export type Step =
  /** Takes the body. `answer: "lost"`: the store holds it, the client is told of a lost connection. */
  | {
      readonly take: "whole"
      readonly answer?: "lost"
      readonly busyLooks?: number
      readonly corrupt?: boolean
      readonly truncate?: number
    }
  /** Fails after so many bytes of the body; `leaves` is what the object is afterwards; `late`: it has the first body. */
  | {
      readonly failAfter: number
      readonly reason: Reason
      readonly retryable?: boolean
      readonly clear?: boolean
      readonly retryAfterMs?: number
      readonly leaves?: Inspection["_tag"] | "foreign" | "late"
      readonly busyLooks?: number
    }
  | { readonly hang: true }

export interface Log {
  readonly calls: Array<string>
  readonly bodies: Array<Uint8Array>
  object: { id: string; bytes: Uint8Array | undefined; state: Inspection["_tag"] } | undefined
  readonly deleted: Array<string>
  sealed: boolean
}

export const make = (options: {
  readonly steps?: ReadonlyArray<Step>
  readonly given?: boolean
  readonly digests?: ReadonlyArray<"md5" | "sha512">
  readonly place?: "ignored"
  readonly readBack?: (bytes: Uint8Array) => Uint8Array
}): { readonly store: Store<never, WholeSession>; readonly log: Log } => {
  const uri = "script://store/object"
  const log: Log = { calls: [], bodies: [], object: undefined, deleted: [], sealed: false }
  const steps = [...(options.steps ?? [])]
  const digests = options.digests ?? ["md5", "sha512"]
  const given = options.given === true
  let ids = 0
  let busyLooks = 0
  if (given) log.object = { id: "given", bytes: undefined, state: "Ready" }

  const fail = (reason: Reason, more?: Partial<StoreError.Fields>) =>
    StoreError.make(reason, { uri, message: `scripted ${reason}`, ...more })

  const create = Effect.sync(() => {
    log.calls.push("begin")
    if (log.object === undefined && !given) log.object = { id: `new-${++ids}`, bytes: undefined, state: "Ready" }
  })

  const left = Effect.sync(() => {
    const o = log.object
    return o === undefined || o.state === "Absent" ? "none" : `${o.state.toLowerCase()} object ${o.id}`
  })

  const describe = (): StoredObject => {
    const bytes = log.object!.bytes!
    return {
      id: log.object!.id,
      size: bytes.byteLength,
      digests: Object.fromEntries(digests.map((a) => [a, createHash(a).update(bytes).digest("hex")]))
    }
  }

  const write = <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.gen(function* () {
      log.calls.push("write")
      const step = steps.shift() ?? { take: "whole" as const }
      if (log.object === undefined || log.object.state !== "Ready") {
        return yield* fail("Conflict", { clear: false, status: 409 })
      }
      const object = log.object
      const chunks: Array<Uint8Array> = []
      let got = 0
      const limit = "failAfter" in step ? step.failAfter : "hang" in step ? 0 : Infinity
      if (limit > 0) {
        object.state = "Busy"
        yield* Stream.runForEach(body.stream, (block) =>
          Effect.suspend(() => {
            const room = Math.min(block.length, limit - got)
            chunks.push(block.copy().subarray(0, room))
            got += room
            body.onSent(room)
            block.release()
            return got >= limit ? Effect.fail("enough" as const) : Effect.void
          })
        ).pipe(
          Effect.catchIf(
            (e): e is E & "enough" => e === "enough",
            () => Effect.void
          ),
          Effect.onError(() =>
            Effect.sync(() => {
              object.state = "Ready"
            })
          )
        ) as Effect.Effect<void, E, R>
        object.state = "Ready"
      }
      const bytes = Buffer.concat(chunks)
      log.bodies.push(bytes)
      if ("hang" in step) return yield* Effect.never
      if ("failAfter" in step) {
        busyLooks = step.busyLooks ?? 0
        if (step.leaves === "Absent") log.object = undefined
        else if (step.leaves === "foreign") {
          object.state = "Stored"
          object.bytes = new Uint8Array([1, 2, 3])
        } else if (step.leaves === "late") {
          object.state = "Stored"
          object.bytes = log.bodies[0]
        } else if (step.leaves !== undefined) object.state = step.leaves
        return yield* fail(step.reason, {
          retryable: step.retryable ?? false,
          clear: step.clear ?? false,
          ...(step.retryAfterMs === undefined ? undefined : { retryAfterMs: step.retryAfterMs })
        })
      }
      busyLooks = step.busyLooks ?? 0
      object.bytes = step.truncate === undefined ? bytes : bytes.subarray(0, step.truncate)
      if (step.corrupt === true && object.bytes.byteLength > 0) object.bytes[0]! ^= 1
      object.state = "Stored"
      if (step.answer === "lost") return yield* fail("ConnectionLost", { retryable: true, clear: false })
    })

  const session: WholeSession = {
    shape: "whole",
    wanted: digests,
    begin: create,
    write,
    inspect: Effect.sync((): Inspection => {
      log.calls.push("inspect")
      const o = log.object
      if (o === undefined) return { _tag: "Absent" }
      if (busyLooks > 0) {
        busyLooks--
        return { _tag: "Busy", what: "scripted busy" }
      }
      if (o.state === "Stored") return { _tag: "Stored", object: describe() }
      if (o.state === "Busy") return { _tag: "Busy", what: "scripted busy" }
      if (o.state === "Spoiled") return { _tag: "Spoiled", why: "scripted" }
      return { _tag: "Ready" }
    }),
    checkPlace: () => (options.place === "ignored" ? Effect.fail(fail("StoreIgnored")) : Effect.void),
    recreate: Effect.suspend(() => {
      log.calls.push("recreate")
      if (given) return Effect.fail(fail("Conflict"))
      if (log.object !== undefined) log.deleted.push(log.object.id)
      log.object = { id: `new-${++ids}`, bytes: undefined, state: "Ready" }
      return Effect.void
    }),
    owned: Effect.sync(() => !given),
    location: Effect.sync(() => `${uri}/${log.object?.id ?? ""}`),
    discard: Effect.suspend(() => {
      log.calls.push("discard")
      if (given) return left
      if (log.object !== undefined) log.deleted.push(log.object.id)
      log.object = undefined
      return Effect.succeed("none")
    }),
    left,
    seal: Effect.sync(() => {
      log.sealed = true
    }),
    read: Stream.suspend(() =>
      Stream.succeed((options.readBack ?? ((b: Uint8Array) => b))(log.object!.bytes!) as Uint8Array)
    ),
    notes: Effect.succeed([])
  }
  return {
    log,
    store: {
      uri,
      capabilities: Effect.die("not asked"),
      plan: () => Effect.succeed({ action: "create", why: "scripted" }),
      open: () => Effect.succeed(session)
    }
  }
}
