/**
 * The journal of uploads in parts as files in a folder, one for each upload. A process that is killed at any moment
 * leaves notes that another one reads as far as they go.
 *
 * An upload's name at the store is on the disk (fsync(2)) before the upload is used. Parts are written at once, and are
 * on the disk when the machine gets to it: after a power failure some are sent again.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { type FileHandle, mkdir, open as openFile, readdir, readFile, rename, stat, unlink } from "node:fs/promises"
import { homedir } from "node:os"
import { dirname, join } from "node:path"
import {
  type Entry,
  type Key,
  type Listed,
  type Noted,
  UploadJournal,
  UploadJournalError,
  type UploadJournalService
} from "@headrace/core/UploadJournal"
import { describeFault, errorCode } from "./internal/fault.ts"
import * as Owner from "./internal/uploadOwner.ts"
import * as Record from "./internal/uploadRecord.ts"

const suffix = ".upload"
/** Of notes that are being written, and do not count before they have their name. */
const newSuffix = `${suffix}.new`

/** Uploads of the same source to the same place have the same beginning of their name. */
const stem = ({ destination, source }: Key): string =>
  createHash("sha256").update(`${source}\n${destination}`).digest("hex").slice(0, 32)

interface Found {
  readonly name: string
  readonly owner: string
  readonly writtenAt: number
  readonly header: Record.Header
  readonly noted: Noted
}

/**
 * The folder that the platform has for such things: `$XDG_STATE_HOME/headrace`, or `~/.local/state/headrace` (XDG Base
 * Directory Specification), on macOS `~/Library/Application Support/headrace`, on Windows `%LOCALAPPDATA%\headrace`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const defaultFolder = (env: Readonly<globalThis.Record<string, string | undefined>> = process.env): string => {
  const given = env["XDG_STATE_HOME"]
  // A relative one is to be ignored, says the specification.
  if (given?.startsWith("/") === true) return join(given, "headrace")
  if (process.platform === "win32") return join(env["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "headrace")
  if (process.platform === "darwin") return join(homedir(), "Library", "Application Support", "headrace")
  return join(homedir(), ".local", "state", "headrace")
}

/**
 * Makes the journal. The folder is made when it is needed, for its owner alone to read.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: { readonly folder: string }): UploadJournalService => {
  const folder = join(options.folder, "uploads")

  const calling = <A>(what: string, call: () => Promise<A>): Effect.Effect<A, UploadJournalError> =>
    Effect.tryPromise({
      try: call,
      catch: (cause) =>
        new UploadJournalError({ message: `cannot ${what} in '${folder}': ${describeFault(cause)}`, cause })
    })

  /** Puts notes in place whose writer ended before it could, and removes them where they say nothing. */
  const adopt = async (name: string): Promise<string | undefined> => {
    const path = join(folder, name)
    const owner = name.slice(name.indexOf(".") + 1, -newSuffix.length)
    const read = await whenThere(async () => ({ stats: await stat(path), content: await readFile(path, "utf8") }))
    if (read === undefined || Owner.lives(owner, read.stats.mtimeMs)) return undefined
    const place = `${name.slice(0, -newSuffix.length)}${suffix}`
    const whole = Record.read(read.content)?.noted.token !== undefined
    const taken = (await whenThere(() => stat(join(folder, place)))) !== undefined
    if (!whole || taken) await whenThere(() => unlink(path))
    else if ((await whenThere(async () => (await rename(path, join(folder, place)), true))) === true) return place
    return undefined
  }

  const find = async (prefix: string): Promise<ReadonlyArray<Found>> => {
    const found: Array<Found> = []
    for (const given of await names()) {
      if (!given.startsWith(prefix)) continue
      const name = given.endsWith(newSuffix) ? await adopt(given) : given
      if (name?.endsWith(suffix) !== true) continue
      const path = join(folder, name)
      const owner = name.slice(name.indexOf(".") + 1, -suffix.length)
      const read = await whenThere(async () => ({ stats: await stat(path), content: await readFile(path, "utf8") }))
      const record = read && Record.read(read.content)
      if (record !== undefined) found.push({ name, owner, writtenAt: read!.stats.mtimeMs, ...record })
    }
    return found
  }

  const names = async (): Promise<ReadonlyArray<string>> => (await whenThere(() => readdir(folder))) ?? []

  const open = (
    key: Key,
    { fresh }: { readonly fresh: boolean }
  ): Effect.Effect<Entry, UploadJournalError, Scope.Scope> =>
    Effect.map(
      Effect.acquireRelease(
        calling("note an upload", async () => {
          await makeFolder(folder)
          const name = `${stem(key)}.${Owner.mine()}${suffix}`
          const earlier = fresh ? undefined : await takeOver(key, name)
          return new Notes(folder, name, { ...key, startedAt: earlier?.startedAt ?? Date.now() }, earlier)
        }),
        (notes) => Effect.promise(() => notes.leave())
      ),
      (notes): Entry => ({
        earlier: notes.earlier,
        begun: ({ earlier, token }) => calling("note an upload", () => notes.begin(token, earlier)),
        cut: (partBytes) => calling("note an upload", () => notes.add({ partBytes })),
        taken: (part, state) => calling("note a part", () => notes.add({ part, state })),
        done: calling("remove notes", () => notes.remove())
      })
    )

  /** Takes the notes over of which most is to be had, from whoever does not live any more. */
  const takeOver = async (key: Key, name: string): Promise<Noted | undefined> => {
    const same = (await find(`${stem(key)}.`))
      .filter(({ header, noted }) => isSame(header, key) && noted.token !== undefined)
      .filter(({ owner, writtenAt }) => !Owner.lives(owner, writtenAt))
      .sort((a, b) => b.noted.parts.length - a.noted.parts.length)
    for (const { name: old, noted } of same) {
      const mine = await whenThere(async () => {
        await rename(join(folder, old), join(folder, name))
        return true
      })
      if (mine === true) return noted
    }
    return undefined
  }

  const list = Effect.map(
    calling("read the notes", () => find("")),
    (found) =>
      found.map(({ header, name, noted, owner, writtenAt }): Listed => ({
        ...header,
        ...noted,
        running: Owner.lives(owner, writtenAt),
        forget: Effect.asVoid(calling("remove notes", () => whenThere(() => unlink(join(folder, name)))))
      }))
  )

  return { open, list }
}

/** One upload's file. */
class Notes {
  readonly earlier: Noted | undefined
  readonly #folder: string
  readonly #path: string
  readonly #header: Record.Header
  readonly #stem: string
  #file: FileHandle | undefined
  /** Lines are written one after the other. */
  #last: Promise<unknown> = Promise.resolve()
  #removed = false

  constructor(folder: string, name: string, header: Record.Header, earlier: Noted | undefined) {
    this.earlier = earlier
    this.#folder = folder
    this.#path = join(folder, name)
    this.#stem = name.slice(0, name.indexOf("."))
    this.#header = header
  }

  /** Writes a file afresh, and has it on the disk under its name. */
  async begin(token: string, earlier: Noted | undefined): Promise<void> {
    await this.#close()
    const noted: Noted = earlier ?? { token, startedAt: Date.now(), partBytes: undefined, parts: [], state: undefined }
    const path = this.#path.slice(0, -suffix.length) + newSuffix
    const file = await openFile(path, "w", 0o600)
    try {
      await file.writeFile(Record.linesOf({ ...this.#header, startedAt: noted.startedAt }, { ...noted, token }))
      await file.sync()
      await rename(path, this.#path)
      await syncFolder(this.#folder)
    } catch (cause) {
      await file.close()
      await whenThere(() => unlink(path))
      throw cause
    }
    this.#file = file
    this.#removed = false
  }

  add(line: Record.Line): Promise<void> {
    return this.#next(async () => {
      if (this.#file === undefined) throw new Error("the notes are closed")
      await this.#file.appendFile(Record.lineOf(line))
    })
  }

  async remove(): Promise<void> {
    await this.#close()
    this.#removed = true
    await whenThere(() => unlink(this.#path))
  }

  /** Leaves what there is to whoever goes on. */
  async leave(): Promise<void> {
    await this.#close()
    if (this.#removed) return
    const free = join(this.#folder, `${this.#stem}.${Owner.nobody()}${suffix}`)
    // What cannot be renamed is found to be nobody's when this process has ended.
    await rename(this.#path, free).catch(() => {})
  }

  #next<A>(call: () => Promise<A>): Promise<A> {
    const next = this.#last.then(call, call)
    this.#last = next.catch(() => {})
    return next
  }

  #close(): Promise<void> {
    return this.#next(async () => {
      const file = this.#file
      this.#file = undefined
      await file?.close()
    })
  }
}

const isSame = (header: Record.Header, key: Key): boolean =>
  header.source === key.source &&
  header.destination === key.destination &&
  header.identity === key.identity &&
  header.size === key.size

/** Nothing when the file is not there, or not any more. */
const whenThere = async <A>(call: () => Promise<A>): Promise<A | undefined> => {
  try {
    return await call()
  } catch (cause) {
    if (errorCode(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** Node says of a file system that is read-only that there is no such file; made by itself, a folder says what is wrong. */
const makeFolder = async (folder: string): Promise<void> => {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (cause) {
    const parent = dirname(folder)
    if (errorCode(cause) !== "ENOENT" || parent === folder) throw cause
    if ((await whenThere(() => stat(parent))) === undefined) await makeFolder(parent)
    await mkdir(folder, { mode: 0o700 })
  }
}

/** A name is on the disk when its folder is. Windows has no such call. */
const syncFolder = async (folder: string): Promise<void> => {
  if (process.platform === "win32") return
  const handle = await openFile(folder, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * Provides the `UploadJournal` of `@headrace/core/UploadJournal`.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer = (options: { readonly folder: string }): Layer.Layer<never> =>
  Layer.succeed(UploadJournal, make(options))
