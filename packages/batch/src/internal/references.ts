/**
 * Images that name another one, as their kernel or base say, when that was made anew under another id.
 */
import type { Host } from "@headrace/core/Host"
import type * as Receipt from "@headrace/core/Receipt"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Journal, JournalError } from "../Journal.ts"
import * as Mapping from "../Mapping.ts"

/** An image of a cloud that another one has taken the place of. */
export interface Replaced {
  readonly cloud: string
  readonly old: string
  readonly by: string
}

/** A property that named the old image. */
export interface Renewed {
  /** Of the image that has it. */
  readonly uri: string
  readonly key: string
  readonly from: string
  readonly to: string
  /** Why it still names the old one. */
  readonly failed?: string
}

const cloudOf = (uri: string): string | undefined => /^glance:\/\/([^/?#]+)/.exec(uri)?.[1]

/** By URI, the images that a receipt stands for. */
export const images = (receipt: string | undefined): ReadonlyMap<string, string> =>
  new Map(
    receipt === undefined
      ? []
      : (JSON.parse(receipt) as Receipt.Receipt).destinations.flatMap(({ error, object, uri }) =>
          error === undefined && object !== undefined && cloudOf(uri) !== undefined ? [[uri, object.id] as const] : []
        )
  )

/** What has another image now. */
export const replaced = (
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>
): ReadonlyArray<Replaced> =>
  [...before].flatMap(([uri, old]) => {
    const by = after.get(uri)
    const cloud = cloudOf(uri)
    return by === undefined || by === old || cloud === undefined ? [] : [{ cloud, old, by }]
  })

/** Gives the new id to the images of this journal that name an old one; others are not ours to change. */
export const renew = (
  journal: Journal,
  all: ReadonlyArray<Replaced>,
  onRenewed: (renewed: Renewed) => Effect.Effect<void>
): Effect.Effect<void, JournalError, Transport | Host> =>
  Effect.forEach(
    new Set(all.map(({ cloud }) => cloud)),
    (cloud) =>
      Effect.gen(function* () {
        const { list } = yield* Effect.promise(() => import("@headrace/glance/GlanceImages"))
        const { set } = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
        const ids = new Map(all.flatMap((one) => (one.cloud === cloud ? [[one.old, one.by] as const] : [])))
        const there = list({ cloud }, { status: ["active"] })
        const listed = yield* Effect.result(
          Stream.runForEach(there, ({ id, properties }) =>
            Effect.forEach(
              Mapping.references(properties).filter((reference) => ids.has(reference.id)),
              (reference) =>
                Effect.gen(function* () {
                  if (!(yield* journal.stands(id))) return
                  const uri = `glance://${cloud}/${id}`
                  const { id: from, key } = reference
                  const to = ids.get(from)!
                  const done = yield* Effect.result(set({ cloud }, { id, uri, key, value: to }))
                  const failed = Result.isFailure(done) ? { failed: done.failure.message } : undefined
                  yield* onRenewed({ uri, key, from, to, ...failed })
                }),
              { discard: true }
            )
          )
        )
        if (Result.isSuccess(listed)) return
        const { failure } = listed
        if (failure._tag === "JournalError") return yield* failure
        for (const [from, to] of ids) {
          // Whether any image names it is not known.
          yield* onRenewed({
            uri: `glance://${cloud}/`,
            key: "what may refer to it",
            from,
            to,
            failed: failure.message
          })
        }
      }),
    { discard: true }
  )
