/**
 * A page in a file: written beside it and renamed when it is whole, so that nobody ever reads half of one.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { open as openFile, realpath, rename, rm, stat } from "node:fs/promises"

/** A page that cannot be written. */
export class PageFileError extends Data.TaggedError("PageFileError")<{
  readonly path: string
  readonly message: string
}> {}

export interface PageFile {
  /** Puts the page there. */
  readonly write: (pieces: Iterable<string>) => Effect.Effect<void, PageFileError>
}

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such folder",
  ENOTDIR: "there is no such folder",
  EACCES: "this may not be written",
  ENOSPC: "there is no room",
  EROFS: "this may not be written"
}

const attempt = <A>(path: string, work: () => Promise<A>): Effect.Effect<A, PageFileError> =>
  Effect.tryPromise({
    try: work,
    catch: (cause) => {
      const { code, message } = cause as NodeJS.ErrnoException
      return new PageFileError({ path, message: `the page cannot be written: ${words[code ?? ""] ?? code ?? message}` })
    }
  })

const missing = (error: NodeJS.ErrnoException): undefined => {
  if (error.code !== "ENOENT") throw error
  return undefined
}

/** Characters that are gathered before they are written. */
const pieceLength = 256 * 1024

const put = async (path: string, pieces: Iterable<string>): Promise<void> => {
  const file = await openFile(path, "w")
  try {
    let text = ""
    for (const piece of pieces) {
      text += piece
      if (text.length < pieceLength) continue
      await file.appendFile(text)
      text = ""
    }
    await file.appendFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** Looks whether a page can be written to `path`, which must not be the file that is read. Nothing is there afterwards but the page. */
export const open = (path: string, source: string): Effect.Effect<PageFile, PageFileError, Scope.Scope> =>
  Effect.gen(function* () {
    if (path === "" || path === "-") {
      return yield* new PageFileError({
        path: "--html",
        message: `"${path}" is no name of a file to write a page into`
      })
    }
    const found = yield* attempt(path, () => stat(path).catch(missing))
    if (found?.isFile() === false) {
      return yield* new PageFileError({ path, message: "this is no file to write a page into" })
    }
    const read = yield* Effect.promise(() => stat(source).catch(() => undefined))
    if (found !== undefined && read !== undefined && found.ino === read.ino && found.dev === read.dev) {
      return yield* new PageFileError({
        path,
        message: "this is what the report is of: name another file for the page"
      })
    }
    // What a link leads to is replaced, not the link.
    const target = found === undefined ? path : yield* attempt(path, () => realpath(path))
    const beside = `${target}.${randomBytes(4).toString("hex")}.new`
    yield* Effect.acquireRelease(
      attempt(path, () => put(beside, [])),
      () => Effect.promise(() => rm(beside, { force: true }))
    )
    return {
      write: (pieces) =>
        attempt(path, async () => {
          await put(beside, pieces)
          await rename(beside, target)
        })
    }
  })
