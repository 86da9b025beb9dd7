/**
 * Receipts in a file, a line each, as the journal has them: in its order, each once, also after a crash in the middle of a
 * line. What is in the journal and not in the file comes into it.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { type FileHandle, open as openFile, stat, truncate } from "node:fs/promises"
import type { Journal, JournalError } from "./Journal.ts"

/**
 * A file that cannot be written, or that holds something else.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReceiptsFileError extends Data.TaggedError("ReceiptsFileError")<{
  readonly path: string
  readonly message: string
}> {}

const attempt = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, ReceiptsFileError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => {
      const { code, message } = cause as NodeJS.ErrnoException
      return new ReceiptsFileError({ path, message: `the receipts cannot be written: ${code ?? message}` })
    }
  })

/** Of the end of a file: a receipt has far fewer, but for one of a thousand destinations. */
const tailBytes = 4 * 1024 * 1024

interface Tail {
  /** Bytes of the lines that are complete. */
  readonly complete: number
  /** The last receipt. */
  readonly last: string
  /** The id of the last receipt; `undefined` when there is none, and `null` when it is none. */
  readonly id: string | undefined | null
}

const tailOf = async (file: FileHandle, size: number): Promise<Tail> => {
  const from = Math.max(0, size - tailBytes)
  const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
  const bytes = buffer.subarray(0, bytesRead)
  const end = bytes.lastIndexOf(0x0a)
  if (end < 0) return { complete: 0, last: "", id: from === 0 && isBeginning(bytes) ? undefined : null }
  const line = bytes.subarray(bytes.lastIndexOf(0x0a, end - 1) + 1, end).toString("utf8")
  return { complete: from + end + 1, last: line, id: idOf(line) }
}

/** What a crash has left of the first line. */
const isBeginning = (bytes: Uint8Array): boolean =>
  /^\{"id":"(?:[^"\\]|\\.)*","source":\{"uri":/.test(Buffer.from(bytes).toString("utf8"))

const idOf = (line: string): string | null => {
  try {
    const { destinations, id } = JSON.parse(line) as { readonly id?: unknown; readonly destinations?: unknown }
    return typeof id === "string" && Array.isArray(destinations) ? id : null
  } catch {
    return null
  }
}

/**
 * A file that follows a journal.
 *
 * @since 0.1.0
 * @category models
 */
export interface Following {
  /** To be run whenever the journal has more. */
  readonly moved: Effect.Effect<void>
  /** Fails when the file cannot be written. */
  readonly lost: Effect.Effect<never, ReceiptsFileError | JournalError>
  /** Brings the file to the journal's end, durably. */
  readonly finish: Effect.Effect<void, ReceiptsFileError | JournalError>
}

/**
 * Keeps a file at what the journal has, until the scope closes; `moved` is to be run whenever there is more. A file that
 * holds something else than this journal's receipts is refused, and is not touched.
 *
 * @since 0.1.0
 * @category constructors
 */
export const follow = (
  path: string,
  journal: Journal
): Effect.Effect<Following, ReceiptsFileError | JournalError, Scope.Scope> =>
  Effect.gen(function* () {
    let after = yield* resume(path, journal)
    const file = yield* Effect.acquireRelease(
      attempt(path, () => openFile(path, "a")),
      (file) => Effect.promise(() => file.close())
    )
    let length = (yield* attempt(path, () => file.stat())).size
    /** A page is in the file as a whole, or not at all: of a disk that is full a part of it may be. */
    const append = async (text: string) => {
      try {
        await file.appendFile(text)
        length += Buffer.byteLength(text)
      } catch (error) {
        await file.truncate(length)
        throw error
      }
    }
    const copy = Effect.suspend(() =>
      Stream.runForEachArray(journal.receipts(after), (page) =>
        // What is on its way into the file arrives there, and must not come a second time.
        Effect.uninterruptible(
          Effect.map(
            attempt(path, () => append(page.map(({ receipt }) => `${receipt}\n`).join(""))),
            () => {
              after = page.at(-1)!.order
            }
          )
        )
      )
    )
    yield* copy
    if (yield* journal.tookBack) yield* journal.copied
    const lock = Semaphore.makeUnsafe(1)
    const wake = yield* Queue.sliding<void>(1)
    const lost = yield* Deferred.make<never, ReceiptsFileError | JournalError>()
    const finish = Effect.andThen(
      lock.withPermits(1)(copy),
      attempt(path, () => file.sync())
    )
    // After an interruption: when what wrote the receipts has come to its end.
    yield* Effect.addFinalizer(() => Effect.ignore(finish))
    yield* Effect.forkScoped(
      Effect.catch(Effect.forever(Effect.andThen(Queue.take(wake), lock.withPermits(1)(copy))), (error) =>
        Deferred.fail(lost, error)
      )
    )
    return { moved: Effect.asVoid(Queue.offer(wake, undefined)), lost: Deferred.await(lost), finish }
  })

/** What is in the file; `undefined` where there is nothing. Fails where it is not this journal's. */
const look = (
  path: string,
  journal: Journal
): Effect.Effect<(Tail & { readonly size: number }) | undefined, ReceiptsFileError | JournalError> =>
  Effect.gen(function* () {
    const found = yield* attempt(path, () => stat(path).catch(missing))
    if (found === undefined) return undefined
    if (!found.isFile())
      return yield* new ReceiptsFileError({ path, message: "this is no file to write receipts into" })
    if (found.size === 0) return undefined
    const tail = yield* attempt(path, async () => {
      const file = await openFile(path, "r")
      try {
        return await tailOf(file, found.size)
      } finally {
        await file.close()
      }
    })
    const { id, last } = tail
    if (id === null || (id !== undefined && !(yield* journal.knows(id, last)))) {
      const message = "it holds something else than receipts of this manifest: name another file"
      return yield* new ReceiptsFileError({ path, message })
    }
    return { ...tail, size: found.size }
  })

/**
 * Looks whether a file can follow a journal, and touches neither.
 *
 * @since 0.1.0
 * @category reading
 */
export const check = (path: string, journal: Journal): Effect.Effect<void, ReceiptsFileError | JournalError> =>
  Effect.asVoid(look(path, journal))

/** Brings the file to a state that can be gone on with, and gives the order of its last receipt. */
const resume = (path: string, journal: Journal): Effect.Effect<number, ReceiptsFileError | JournalError> =>
  Effect.gen(function* () {
    const found = yield* look(path, journal)
    if (found === undefined) return 0
    const { complete, id, size } = found
    const order = typeof id === "string" ? yield* journal.receiptOf(id) : undefined
    // Some of its lines are done again: all are written anew, so that each has one receipt.
    if (order === undefined || (yield* journal.tookBack)) return yield* anew(path)
    yield* attempt(path, async () => {
      const file = await openFile(path, "r+")
      try {
        if (complete < size) await file.truncate(complete)
      } finally {
        await file.close()
      }
    })
    return order
  })

const missing = (error: NodeJS.ErrnoException): undefined => {
  if (error.code !== "ENOENT") throw error
  return undefined
}

/** Empties it: what was in it is in the journal, and comes again. */
const anew = (path: string): Effect.Effect<number, ReceiptsFileError> =>
  attempt(path, async () => {
    await truncate(path, 0)
    return 0
  })
