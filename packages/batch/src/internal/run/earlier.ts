/**
 * What an earlier run has begun and not brought to an end, as a crash leaves it: images that were made, known by the ids
 * that were noted before. One that is complete, and proven by the digest that the source is known to have, is taken for
 * done; all others are deleted, and the line is done again.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { BlockPool } from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import type { Host } from "@headrace/core/Host"
import * as Leftovers from "@headrace/core/Leftovers"
import type { Source } from "@headrace/core/Source"
import type { Store, StoredObject } from "@headrace/core/Store"
import type { StoreError } from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import type * as GlanceUri from "@headrace/glance/GlanceUri"
import type { Item, Made } from "../../Journal.ts"
import * as Pace from "../../Pace.ts"
import * as Uri from "../../Uri.ts"
import { digestsOf } from "../digesting.ts"
import type { Books } from "./books.ts"

/** An image that was not there; one whose creation was under way may come into being after it was looked for. */
export interface Missing {
  readonly seq: number
  readonly made: Made
  readonly image: GlanceUri.Destination
}

/** An image that stands for the line's only destination, and by which digest. */
export interface Complete {
  readonly object: StoredObject
  readonly by: keyof Digest.Digests
  /** Who says what the digest of the source is. */
  readonly computedBy: string
}

export interface Found {
  readonly complete?: Complete
  readonly missing: ReadonlyArray<Missing>
}

/** What nobody can make other bytes for, and then what is good against accidents. */
const strongest = ["sha512", "sha256", "md5"] as const

const imageAt = (text: string | undefined) =>
  Effect.gen(function* () {
    const uri = text === undefined ? undefined : Result.getOrUndefined(Result.try(() => Uri.parseDestination(text)))
    if (uri?._tag !== "Glance") return undefined
    const { destinationFrom } = yield* Effect.promise(() => import("@headrace/glance/GlanceUri"))
    return Result.getOrUndefined(destinationFrom(uri.uri))
  })

/** Whether it is in the store that was asked for. */
const isThere = ({ store }: StoredObject, image: GlanceUri.Destination): boolean =>
  image.store === undefined || (store ?? "").split(",").some((name) => name === image.store)

/** What the line and the source's own service say of the bytes. */
const claimsOf = ({ line }: Item, source: Source<Transport | Host>) =>
  Effect.gen(function* () {
    const { size } = yield* source.info
    const hints = source.hints === undefined ? {} : yield* source.hints
    const reported = Object.entries(hints.digests ?? {}).filter(([name]) => Digest.isAlgorithm(name))
    return { size, digests: { ...(Object.fromEntries(reported) as Digest.Digests), ...line.expect } }
  })

/**
 * By which digest the object is the source, and who computed it: what is said of the source, or, where that is nothing that
 * the service knows, the source itself, read once.
 */
const proven = (item: Item, object: StoredObject, source: Source<Transport | Host>) =>
  Effect.gen(function* () {
    const { proof } = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
    const known = Option.getOrUndefined(yield* Effect.option(claimsOf(item, source)))
    const said = known === undefined ? undefined : proof(object, known)
    if (said !== undefined) {
      const computedBy = item.line.expect?.[said] === undefined ? "the source's service" : "whoever wrote the manifest"
      return { by: said, computedBy }
    }
    const algorithm = strongest.find((name) => object.digests[name] !== undefined)
    if (algorithm === undefined) return undefined
    const read = Option.getOrUndefined(yield* Effect.option(digestsOf(source, [algorithm])))
    const by = read === undefined ? undefined : proof(object, read)
    return by === undefined ? undefined : { by, computedBy: (yield* Digest.Hasher).provider }
  })

const isOnly = ({ line }: Item, { store }: GlanceUri.Destination): boolean =>
  line.to.length === 1 && line.also.length === 0 && (store === undefined || typeof store === "string")

/** Brings what was begun of a line to an end. */
export const settle = (
  item: Item,
  books: Books,
  source: Source<Transport | Host>,
  /** As the image is to be when it is complete. */
  wanted: (place: number) => GlanceUri.Destination | undefined
): Effect.Effect<Found, StoreError, Transport | Host | BlockPool> =>
  Effect.gen(function* () {
    const missing: Array<Missing> = []
    const ends = [...item.line.to, ...item.line.also]
    for (const made of item.made) {
      const image = yield* imageAt(made.uri)
      if (image === undefined) continue
      const isAsNow = ends[made.place] === made.uri
      const GlanceMade = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
      const named = { id: made.object, uri: image.uri }
      const found = yield* GlanceMade.atRest(image, named)
      if (found._tag === "Complete" && isAsNow && isOnly(item, image) && isThere(found.object, image)) {
        const proof = yield* proven(item, found.object, source)
        if (proof !== undefined) {
          yield* GlanceMade.finish(wanted(made.place) ?? image, named)
          return { complete: { object: found.object, ...proof }, missing }
        }
      }
      // An id that the manifest names may be somebody else's image, and is used once: it is never deleted.
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

/**
 * The image that a line names for its only destination, when it holds the source's bytes: an earlier run has brought them,
 * and the service takes none a second time. `undefined` where it takes bytes, or holds others.
 */
export const filled = (
  item: Item,
  source: Source<Transport | Host>
): Effect.Effect<Complete | undefined, StoreError, Transport | Host | BlockPool> =>
  Effect.gen(function* () {
    const image = yield* imageAt(item.line.to[0])
    if (image?.id === undefined || !isOnly(item, image)) return undefined
    const GlanceMade = yield* Effect.promise(() => import("@headrace/glance/GlanceMade"))
    const named = { id: image.id, uri: image.uri }
    const found = yield* GlanceMade.atRest(image, named)
    if (found._tag !== "Complete" || !isThere(found.object, image)) return undefined
    const proof = yield* proven(item, found.object, source)
    if (proof === undefined) return undefined
    yield* GlanceMade.finish(image, named)
    return { object: found.object, ...proof }
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
export const strays = (items: ReadonlyArray<Pick<Item, "seq" | "made">>): Effect.Effect<ReadonlyArray<Missing>> =>
  Effect.map(
    Effect.forEach(items, ({ made, seq }) =>
      Effect.forEach(made, (one) =>
        // An id that the manifest names may be somebody else's image.
        Effect.map(imageAt(one.uri), (image) =>
          image === undefined || image.newId !== undefined ? [] : [{ seq, made: one, image }]
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
