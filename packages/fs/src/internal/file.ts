/**
 * One file being written, in whatever shape: a partial file beside it, the rename, and tidying up when it came to nothing.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BigIntStats } from "node:fs"
import { unlink } from "node:fs/promises"
import type { Content, Inspection, Left, SessionBase, StoredPart } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { calling } from "./fault.ts"
import * as Partial from "./partial.ts"
import * as Placing from "./placing.ts"
import { readBack } from "./readBack.ts"
import * as Room from "./room.ts"
import { checkAllowed, find, isSame, look, type Target } from "./target.ts"

export interface Writing extends Partial.Partial {
  readonly target: Target
  /** Numbers of the parts that something may have been written of; `all` where an earlier session has written. */
  readonly touched: Set<number> | "all"
  /** Parts that are in it. */
  readonly taken: Map<number, Pick<StoredPart, "offset" | "length" | "tag">>
  /** Whether bytes of a body may have been written to it. */
  used: boolean
  reserved: boolean
  /** Whether a sync was left alone that has not ended: whoever closes the file waits for it. */
  abandoned: boolean
}

interface Placed extends Writing {
  /** Whether another file was there before. */
  readonly replaced: boolean
}

interface State {
  writing: Writing | undefined
  placed: Placed | undefined
  /** Why the bytes that were written are lost: a file whose sync has failed is never put in place. */
  lost: StoreError.StoreError | undefined
  notes: ReadonlyArray<string>
}

/** What both shapes of sessions are made of. */
export interface File {
  readonly uri: string
  readonly content: Content
  readonly state: State
  /** Where the file is to be, when it may be made there. */
  readonly find: Effect.Effect<Target, StoreError.StoreError>
  /** Takes a partial file that an earlier session has made. */
  readonly adopt: (part: Partial.Partial, target: Target) => Writing
  /** Leaves the partial file where it is, for nobody. */
  readonly forget: Effect.Effect<void>
  /** Sets room aside for what is not written yet, where that can be done. */
  readonly reserve: (writing: Writing) => Effect.Effect<void, StoreError.StoreError>
  /** Has nothing in the partial file. */
  readonly empty: (writing: Writing) => Effect.Effect<void, StoreError.StoreError>
  /** The partial file that can be written to. */
  readonly writing: Effect.Effect<Writing, StoreError.StoreError>
  /** Remembers that bytes are lost, when a sync says so or does not end. */
  readonly watching: (
    writing: Writing
  ) => (sync: Effect.Effect<void, StoreError.StoreError>) => Effect.Effect<void, StoreError.StoreError>
  /** Syncs the file, puts it in its place, and syncs the folder. */
  readonly finish: (writing: Writing, bytes: number, answerMs: number) => Effect.Effect<void, StoreError.StoreError>
  readonly base: SessionBase
}

const unsyncedFolder =
  "the folder may not be read, so its entry for the file cannot be synced: a power cut may undo the rename"

export const make = (uri: string, path: string, content: Content): Effect.Effect<File, never, Scope.Scope> =>
  Effect.gen(function* () {
    const state: State = { writing: undefined, placed: undefined, lost: undefined, notes: [] }
    const sparse = content.sparse === true

    const close = ({ abandoned, handle }: Writing): Effect.Effect<void> =>
      Effect.promise(() => {
        // All that could be wrong with the bytes was said by the fsync.
        const closed = handle.close().catch(() => {})
        return abandoned ? Promise.resolve() : closed
      })
    const closeIfOpen = (file: Writing | undefined) => (file === undefined ? Effect.void : close(file))
    // Also what is in place is open until then: nothing else can get its number, by which it is told from others.
    yield* Effect.addFinalizer(() =>
      Effect.suspend(() => Effect.andThen(closeIfOpen(state.writing), closeIfOpen(state.placed)))
    )

    const checked = (roomFor: number | undefined) =>
      calling(uri, "the file cannot be written", async () => {
        const found = await find(uri, path)
        await checkAllowed(found)
        if (roomFor !== undefined && !sparse) await Room.check(uri, found.folder, roomFor)
        state.notes = (await Placing.isReadable(found.folder)) ? [] : [unsyncedFolder]
        return found
      })

    const take = (part: Partial.Partial, target: Target, touched: Writing["touched"]): Writing => {
      state.lost = undefined
      return (state.writing = {
        ...part,
        target,
        touched,
        taken: new Map(),
        used: false,
        reserved: false,
        abandoned: false
      })
    }

    // Nobody can interrupt between the making of the file and the knowing of it.
    const create = Effect.flatMap(checked(content.size), (target) =>
      Effect.uninterruptible(
        Effect.map(
          calling(uri, "the partial file cannot be made", () => Partial.create(target)),
          (part) => take(part, target, new Set())
        )
      )
    )

    const reserve = (writing: Writing): Effect.Effect<void, StoreError.StoreError> =>
      Effect.gen(function* () {
        const { handle, target } = writing
        const { size } = content
        if (writing.reserved || size === undefined) return
        // What ends with a hole is as long as it will be, so that one can see what is in it.
        if (sparse) yield* calling(uri, "the partial file cannot be given its size", () => handle.truncate(size))
        else yield* Room.reserve(uri, target.folder, handle, size)
        writing.reserved = true
      })

    const empty = (writing: Writing): Effect.Effect<void, StoreError.StoreError> =>
      Effect.gen(function* () {
        if (writing.used) {
          yield* calling(uri, "the partial file cannot be emptied", () => writing.handle.truncate(0))
          writing.used = false
          writing.reserved = false
        }
        yield* reserve(writing)
      })

    const begin = Effect.suspend(() =>
      Effect.flatMap(state.writing === undefined ? create : Effect.succeed(state.writing), empty)
    )

    const writing = Effect.suspend(() => {
      if (state.lost !== undefined) return Effect.fail(state.lost)
      return state.writing === undefined
        ? Effect.fail(StoreError.make("NotFound", { uri, message: "there is no partial file to write to" }))
        : Effect.succeed(state.writing)
    })

    const watching: File["watching"] = (writing) => (sync) => {
      const abandon = () => {
        writing.abandoned = true
      }
      return sync.pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error.reason._tag === "Stalled") abandon()
            if (!error.retryable) state.lost = error
          })
        ),
        Effect.onInterrupt(() => Effect.sync(abandon))
      )
    }

    const finish: File["finish"] = (writing, bytes, answerMs) =>
      Effect.gen(function* () {
        const { target } = writing
        yield* watching(writing)(Placing.settle(uri, writing, target, bytes, answerMs))
        yield* Effect.uninterruptible(
          Effect.gen(function* () {
            const existing = yield* calling(uri, `the file cannot be put in place as ${target.path}`, () =>
              Placing.place(uri, writing, target)
            )
            const { placed } = state
            // What an earlier attempt of ours has put there is no other file.
            const other = existing !== undefined && !(placed !== undefined && isSame(existing, placed.made))
            state.placed = { ...writing, replaced: other || placed?.replaced === true }
            state.writing = undefined
            yield* closeIfOpen(placed)
          })
        )
        yield* Effect.tapError(Placing.syncFolder(uri, target.folder), (error) =>
          Effect.sync(() => {
            state.lost = error
          })
        )
      })

    /** The file in its place; nothing when it is gone. Fails when another one is there. */
    const ours = ({ made, target }: Placed): Effect.Effect<BigIntStats | undefined, StoreError.StoreError> =>
      calling(uri, "the file cannot be looked at", async () => {
        const found = await look(target.path)
        if (found === undefined || isSame(found, made)) return found
        throw StoreError.make("Conflict", { uri, message: "another file has taken its place" })
      })

    const isThere = ({ made, path }: Writing): Effect.Effect<boolean, StoreError.StoreError> =>
      calling(uri, `the partial file ${path} cannot be looked at`, async () => isSame(await look(path), made))

    const inspect: Effect.Effect<Inspection, StoreError.StoreError> = Effect.gen(function* () {
      const { placed, writing } = state
      if (writing !== undefined) return { _tag: (yield* isThere(writing)) ? "Ready" : "Absent" }
      if (placed === undefined) return { _tag: "Absent" }
      // It is there, and nobody knows for how long.
      if (state.lost !== undefined) return yield* state.lost
      const found = yield* ours(placed)
      if (found === undefined) return { _tag: "Absent" }
      return { _tag: "Stored", object: { id: placed.target.path, size: Number(found.size), digests: {} } }
    })

    /** Deletes the partial file, unless another one has its name by now. */
    const removePartial = Effect.uninterruptible(
      Effect.gen(function* () {
        const { writing } = state
        if (writing === undefined) return
        if (yield* isThere(writing)) {
          yield* calling(uri, `the partial file ${writing.path} cannot be deleted`, () => unlink(writing.path))
        }
        state.writing = undefined
        yield* close(writing)
      })
    )

    const removePlaced = Effect.uninterruptible(
      Effect.gen(function* () {
        const { placed } = state
        // What was there before is gone: without ours there would be nothing.
        if (placed === undefined || placed.replaced) return
        if ((yield* ours(placed)) !== undefined) {
          yield* calling(uri, "the file cannot be deleted", () => unlink(placed.target.path))
        }
        state.placed = undefined
        yield* close(placed)
        yield* Effect.ignore(Placing.syncFolder(uri, placed.target.folder))
      })
    )

    const left: Effect.Effect<Left> = Effect.gen(function* () {
      const { placed, writing } = state
      if (writing !== undefined && (yield* isThere(writing))) return `partial file ${writing.path}`
      return placed !== undefined && (yield* ours(placed)) !== undefined ? `object ${uri}` : "none"
    }).pipe(
      Effect.catch((error) =>
        // Another writer's file is not what this upload has left.
        Effect.succeed(error.reason._tag === "Conflict" ? "none" : `unknown ${uri}`)
      )
    )

    const base: SessionBase = {
      wanted: [],
      begin,
      inspect,
      checkPlace: () => Effect.void,
      recreate: Effect.andThen(removePartial, begin),
      owned: Effect.sync(() => state.writing !== undefined || state.placed !== undefined),
      location: Effect.succeed(uri),
      discard: Effect.andThen(Effect.andThen(Effect.ignore(removePartial), Effect.ignore(removePlaced)), left),
      left,
      seal: Effect.void,
      read: readBack(uri, () => state.placed),
      notes: Effect.sync(() => state.notes)
    }

    return {
      uri,
      content,
      state,
      base,
      find: checked(undefined),
      adopt: (part, target) => take(part, target, "all"),
      forget: Effect.suspend(() => {
        const { writing } = state
        state.writing = undefined
        return closeIfOpen(writing)
      }),
      reserve,
      empty,
      writing,
      watching,
      finish
    }
  })
