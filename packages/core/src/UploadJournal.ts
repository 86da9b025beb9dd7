/**
 * What is noted of uploads in parts while they run, so that an upload which was cut off, by `kill -9` for instance, goes
 * on where it was: its name at the store before it is used, each part that the store has taken, and the state of the
 * hashers, which lets the digests of the whole be proven without reading the beginning again.
 *
 * Where it is kept is a service. Without one, which is the default, nothing is noted; `@headrace/node/FileUploadJournal`
 * keeps it in a folder.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Digest from "./Digest.ts"
import type { StoredPart } from "./Store.ts"

/**
 * The journal cannot be read or written. The message says where it is, and what is wrong.
 *
 * @since 0.1.0
 * @category errors
 */
export class UploadJournalError extends Data.TaggedError("UploadJournalError")<{
  readonly message: string
  readonly cause?: unknown
}> {}

/**
 * What makes an upload the same as an earlier one: the same bytes to the same place.
 *
 * @since 0.1.0
 * @category models
 */
export interface Key {
  /** URIs as users type them, without secrets. */
  readonly source: string
  readonly destination: string
  /** Of the source. An upload of a source that lacks either is noted, and never gone on with. */
  readonly identity: string | undefined
  readonly size: number | undefined
}

/**
 * An upload as it was noted.
 *
 * @since 0.1.0
 * @category models
 */
export interface Noted {
  /** What the store calls it; `undefined` when whoever began it ended before it was known. */
  readonly token: string | undefined
  /** Milliseconds since 1970. */
  readonly startedAt: number
  /** Bytes of each part but the last; `undefined` before the first was to be sent. */
  readonly partBytes: number | undefined
  /** Parts that the store has taken, in no order. */
  readonly parts: ReadonlyArray<StoredPart>
  /** The last state of the hashers; it stands at the end of a part. */
  readonly state: Digest.State | undefined
}

/**
 * The notes of one upload. Closing the scope in which they were opened leaves them for whoever goes on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Entry {
  /** What an earlier process has noted of the same upload, which no other one goes on with. */
  readonly earlier: Noted | undefined
  /** An upload was begun, or an earlier one is gone on with. What was noted of another one before is forgotten. */
  readonly begun: (upload: {
    readonly token: string
    readonly earlier: Noted | undefined
  }) => Effect.Effect<void, UploadJournalError>
  /** How it is cut. */
  readonly cut: (partBytes: number) => Effect.Effect<void, UploadJournalError>
  /** A part was taken; the state of the hashers is the last one that there is. */
  readonly taken: (part: StoredPart, state: Digest.State | undefined) => Effect.Effect<void, UploadJournalError>
  /** There is nothing to go on with any more: the object is complete, or nothing is left of it. */
  readonly done: Effect.Effect<void, UploadJournalError>
}

/**
 * Where notes are kept.
 *
 * @since 0.1.0
 * @category services
 */
export interface UploadJournalService {
  /** Opens the notes of an upload: an earlier one's, or with `fresh`, and where there are none, new ones. */
  readonly open: (
    key: Key,
    options: { readonly fresh: boolean }
  ) => Effect.Effect<Entry, UploadJournalError, Scope.Scope>
  /** All uploads that are noted. `running`: by a process that lives. */
  readonly list: Effect.Effect<ReadonlyArray<Listed>, UploadJournalError>
}

/**
 * @since 0.1.0
 * @category models
 */
export interface Listed extends Key, Noted {
  readonly running: boolean
  /** Forgets it; what is at the store is not touched. */
  readonly forget: Effect.Effect<void, UploadJournalError>
}

/**
 * The service; `undefined` when nothing is noted.
 *
 * @since 0.1.0
 * @category services
 */
export const UploadJournal: Context.Reference<UploadJournalService | undefined> = Context.Reference<
  UploadJournalService | undefined
>("@headrace/core/UploadJournal", { defaultValue: () => undefined })
