/**
 * What uploads have left behind: those that a store lists as unfinished, and those that the journal has notes of.
 * Nothing is deleted unless it is told.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Store, UnfinishedUpload } from "./Store.ts"
import * as StoreError from "./StoreError.ts"
import { type Listed, UploadJournal, type UploadJournalError } from "./UploadJournal.ts"

/**
 * One upload that was not finished.
 *
 * @since 0.1.0
 * @category models
 */
export interface Leftover {
  /** Of the object that it would have made. */
  readonly uri: string
  /** What the store calls it. */
  readonly token: string
  /** Milliseconds since 1970, where it is known. */
  readonly startedAt: number | undefined
  /** Bytes that the store has of it, where that is known: what was noted, where the store does not say. */
  readonly bytes: number | undefined
  /** Who knows of it. What is only noted may be gone at the store; what is only listed, somebody else may have begun. */
  readonly known: "listed" | "noted" | "both"
  /** The process that writes it lives. */
  readonly running: boolean
}

/**
 * One that can be given up.
 *
 * @since 0.1.0
 * @category models
 */
export interface Found<R> extends Leftover {
  /** Gives it up at the store, and forgets the notes of it. Fails with `Unsupported` where the store cannot. */
  readonly discard: Effect.Effect<void, StoreError.StoreError | UploadJournalError, R | Scope.Scope>
}

const noted = ({ parts }: Listed): number => parts.reduce((sum, { length }) => sum + length, 0)

/** Whether a destination is the store's object, or one in the container that the store is. */
const isWithin = (store: string, destination: string): boolean => {
  if (store === destination) return true
  const [path = "", query] = store.split("?", 2)
  const [of = "", rest] = destination.split("?", 2)
  return rest === query && of.startsWith(path.endsWith("/") ? path : `${path}/`)
}

/**
 * Finds what was left at a destination. A store that lists a whole container gives all that is in it.
 *
 * @since 0.1.0
 * @category running
 */
export const find = <R>(
  store: Store<R>
): Effect.Effect<ReadonlyArray<Found<R>>, StoreError.StoreError | UploadJournalError, R> =>
  Effect.gen(function* () {
    const listed = store.unfinished === undefined ? [] : yield* Stream.runCollect(store.unfinished)
    const journal = yield* UploadJournal
    const notes = (journal === undefined ? [] : yield* journal.list).filter(({ token }) => token !== undefined)
    const uris = new Set(listed.map(({ uri }) => uri))
    const tokens = new Set(listed.map(({ token }) => token))
    const unlisted = notes.filter(
      ({ destination, token }) => !tokens.has(token!) && (uris.has(destination) || isWithin(store.uri, destination))
    )

    const discard = (token: string, uri: string, of: ReadonlyArray<Listed>): Found<R>["discard"] =>
      Effect.andThen(
        store.abort?.(token, uri) ??
          Effect.fail(
            StoreError.make("Unsupported", { uri: store.uri, message: "the store cannot give up an unfinished upload" })
          ),
        Effect.forEach(of, ({ forget }) => forget, { discard: true })
      )

    const ofListed = (upload: UnfinishedUpload): Found<R> => {
      // Whoever began it may have typed another path to the same place; a store's names for uploads are not used twice.
      const same = notes.filter(({ token }) => token === upload.token)
      return {
        ...upload,
        bytes: upload.bytes ?? (same[0] && noted(same[0])),
        known: same.length > 0 ? "both" : "listed",
        running: same.some(({ running }) => running),
        discard: discard(upload.token, upload.uri, same)
      }
    }
    const ofNoted = (upload: Listed): Found<R> => ({
      uri: upload.destination,
      token: upload.token!,
      startedAt: upload.startedAt,
      bytes: noted(upload),
      known: "noted",
      running: upload.running,
      discard: discard(upload.token!, upload.destination, [upload])
    })
    return [...listed.map(ofListed), ...unlisted.map(ofNoted)]
  })
