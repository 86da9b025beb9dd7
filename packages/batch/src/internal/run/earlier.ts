/**
 * What an earlier run has begun and not brought to an end, as a crash leaves it: images that were made, known by the ids
 * that were noted before. One that is complete, and proven by the digest that the source is known to have, is taken for
 * done; all others are deleted, and the line is done again.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { Digests } from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import * as Leftovers from "@headrace/core/Leftovers"
import type { Store, StoredObject } from "@headrace/core/Store"
import type { StoreError } from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import type { Item, Made } from "../../Journal.ts"
import * as Pace from "../../Pace.ts"
import * as Uri from "../../Uri.ts"
import type { Books } from "./books.ts"

/** An image that was not there; one whose creation was under way may come into being after it was looked for. */
export interface Missing {
  readonly seq: number
  readonly made: Made
  readonly image: GlanceUri.Destination
}

/** What is known of the bytes without reading them. */
export interface Claims {
  readonly size: number | undefined
  readonly digests: Digests
}

export interface Found {
  /** An image that stands for the line's only destination, and by which digest. */
  readonly complete?: {
    readonly object: StoredObject
    readonly by: keyof Digests
    readonly image: GlanceUri.Destination
  }
  readonly missing: ReadonlyArray<Missing>
}

const imageAt = (text: string | undefined) =>
  Effect.gen(function* () {
    const uri = text === undefined ? undefined : Result.getOrUndefined(Result.try(() => Uri.parseDestination(text)))
    if (uri?._tag !== "Glance") return undefined
    const { destinationFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
    return Result.getOrUndefined(destinationFrom(uri.uri))
  })

const isOnly = ({ line }: Item, { store }: GlanceUri.Destination): boolean =>
  line.to.length === 1 && line.also.length === 0 && (store === undefined || typeof store === "string")

/** Brings what was begun of a line to an end. `claims` is asked for when it is needed. */
export const settle = <R>(
  item: Item,
  books: Books,
  claims: Effect.Effect<Claims | undefined, never, R>,
  /** As the image is to be when it is complete. */
  wanted: (place: number) => GlanceUri.Destination | undefined
): Effect.Effect<Found, StoreError, Transport | Host | R> =>
  Effect.gen(function* () {
    const missing: Array<Missing> = []
    const ends = [...item.line.to, ...item.line.also]
    for (const made of item.made) {
      const image = yield* imageAt(ends[made.place])
      // The line was changed meanwhile, and says no more where the image was to be made.
      if (image === undefined) continue
      const GlanceMade = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
      const named = { id: made.object, uri: image.uri }
      const found = yield* GlanceMade.atRest(image, named)
      if (found._tag === "Complete" && isOnly(item, image)) {
        const known = yield* claims
        const by = known === undefined ? undefined : GlanceMade.proof(found.object, known)
        if (by !== undefined) {
          yield* GlanceMade.finish(wanted(made.place) ?? image, named)
          return { complete: { object: found.object, by, image }, missing }
        }
      }
      // An id that the manifest names may be somebody else's image: it is never deleted.
      if (image.newId !== undefined) continue
      if (found._tag === "Absent") {
        missing.push({ seq: item.seq, made, image })
        continue
      }
      yield* GlanceMade.remove(image, named)
      yield* books.note(books.journal.unmake(item.seq, made))
    }
    return { missing }
  })

/** The clock of a file system is not quite ours. */
const skewMs = 2000

/**
 * Gives up the partial files that an earlier run has begun and had no time to note. What is noted is gone on with; what was
 * there before the line was begun, or came after that run's end, is somebody else's. Of images all are noted by their
 * ids, and of other stores nobody could say whose an upload is: `gc` shows it.
 */
export const tidy = (
  { begunAt, until }: { readonly begunAt: number; readonly until: number },
  stores: ReadonlyArray<Store<Transport | Host>>
): Effect.Effect<void, never, Transport | Host> =>
  Effect.forEach(
    stores.filter(
      ({ abort, unfinished, uri }) =>
        abort !== undefined && unfinished !== undefined && Pace.placeOf(uri) === Pace.placeOf("file:///")
    ),
    (store) =>
      // What cannot be asked stays, and `gc` shows it.
      Effect.ignore(
        Effect.flatMap(Leftovers.find(store), (found) =>
          Effect.forEach(
            found.filter(
              ({ known, startedAt, uri }) =>
                known === "listed" &&
                uri === store.uri &&
                startedAt !== undefined &&
                startedAt >= begunAt - skewMs &&
                startedAt < until
            ),
            ({ discard }) => Effect.scoped(discard),
            { discard: true }
          )
        )
      ),
    { discard: true }
  )

/** Images of lines that are done that an earlier run has not looked for again. */
export const strays = (
  items: ReadonlyArray<Pick<Item, "seq" | "line" | "made">>
): Effect.Effect<ReadonlyArray<Missing>> =>
  Effect.map(
    Effect.forEach(items, ({ line, made, seq }) =>
      Effect.forEach(made, (one) =>
        Effect.map(imageAt([...line.to, ...line.also][one.place]), (image) =>
          image === undefined ? [] : [{ seq, made: one, image }]
        )
      )
    ),
    (found) => found.flat(2)
  )

/** Looks again for images that were not there, and deletes those that are now. */
export const lookAgain = (
  missing: ReadonlyArray<Missing>,
  books: Books
): Effect.Effect<void, StoreError, Transport | Host> =>
  Effect.forEach(
    missing,
    ({ image, made, seq }) =>
      Effect.gen(function* () {
        const GlanceMade = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
        const named = { id: made.object, uri: image.uri }
        if ((yield* GlanceMade.atRest(image, named))._tag !== "Absent") yield* GlanceMade.remove(image, named)
        yield* books.note(books.journal.unmake(seq, made))
      }),
    { concurrency: 4, discard: true }
  )
