/**
 * One file being written: a partial file beside it, its bytes, the rename, and tidying up when it came to nothing.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { BigIntStats } from "node:fs"
import { unlink } from "node:fs/promises"
import type { Body, Content, Inspection, Left, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { calling } from "./fault.ts"
import * as Partial from "./partial.ts"
import * as Placing from "./placing.ts"
import { readBack } from "./readBack.ts"
import * as Room from "./room.ts"
import { checkAllowed, find, isSame, look, type Target } from "./target.ts"
import * as Writer from "./writer.ts"

interface Writing extends Partial.Partial {
  readonly target: Target
  /** Whether bytes may have been written to it. */
  used: boolean
  reserved: boolean
  /** Whether an fsync was left alone that has not ended: whoever closes the file waits for it. */
  abandoned: boolean
}

interface Placed extends Writing {
  /** Whether another file was there before. */
  readonly replaced: boolean
}

interface State {
  writing: Writing | undefined
  placed: Placed | undefined
  /** Why the bytes that were written are lost: a file whose fsync has failed is never put in place. */
  lost: StoreError.StoreError | undefined
  notes: ReadonlyArray<string>
}

const unsyncedFolder =
  "the folder may not be read, so its entry for the file cannot be synced: a power cut may undo the rename"

export const make = (uri: string, path: string, content: Content): Effect.Effect<WholeSession, never, Scope.Scope> =>
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

    const create = Effect.gen(function* () {
      const target = yield* calling(uri, "the file cannot be written", async () => {
        const found = await find(uri, path)
        await checkAllowed(found)
        if (content.size !== undefined && !sparse) await Room.check(uri, found.folder, content.size)
        state.notes = (await Placing.isReadable(found.folder)) ? [] : [unsyncedFolder]
        return found
      })
      // Nobody can interrupt between the making of the file and the knowing of it.
      return yield* Effect.uninterruptible(
        Effect.map(
          calling(uri, "the partial file cannot be made", () => Partial.create(target)),
          (part) => {
            const writing: Writing = { ...part, target, used: false, reserved: false, abandoned: false }
            state.writing = writing
            state.lost = undefined
            return writing
          }
        )
      )
    })

    /** Makes the partial file empty, and sets room aside for the bytes. */
    const empty = (writing: Writing): Effect.Effect<void, StoreError.StoreError> =>
      Effect.gen(function* () {
        if (writing.used) {
          yield* calling(uri, "the partial file cannot be emptied", () => writing.handle.truncate(0))
          writing.used = false
          writing.reserved = false
        }
        if (writing.reserved || content.size === undefined || sparse) return
        yield* Room.reserve(uri, writing.target.folder, writing.handle, content.size)
        writing.reserved = true
      })

    const begin = Effect.suspend(() =>
      Effect.flatMap(state.writing === undefined ? create : Effect.succeed(state.writing), empty)
    )

    const finish = (writing: Writing, bytes: number, answerMs: number): Effect.Effect<void, StoreError.StoreError> =>
      Effect.gen(function* () {
        const { target } = writing
        const abandon = () => {
          writing.abandoned = true
        }
        yield* Placing.settle(uri, writing, target, bytes, answerMs).pipe(
          Effect.tapError((error) =>
            Effect.sync(() => {
              if (error.reason._tag === "Stalled") abandon()
              if (!error.retryable) state.lost = error
            })
          ),
          Effect.onInterrupt(() => Effect.sync(abandon))
        )
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
        yield* Placing.syncFolder(uri, target.folder)
      })

    const write = <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
      Effect.gen(function* () {
        const { lost, writing } = state
        if (lost !== undefined) return yield* lost
        if (writing === undefined) {
          return yield* StoreError.make("NotFound", { uri, message: "there is no partial file to write to" })
        }
        yield* empty(writing)
        writing.used = true
        const bytes = yield* Writer.write({ uri, handle: writing.handle, sparse }, body)
        yield* finish(writing, bytes, body.answerMs)
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

    return {
      shape: "whole",
      wanted: [],
      begin,
      write,
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
  })
