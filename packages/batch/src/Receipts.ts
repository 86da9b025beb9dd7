/**
 * Receipts that were written: in a file or a stream of lines, or in a journal. They are read as a stream: at any time only
 * those that are on their way are in memory.
 *
 * @since 0.1.0
 */
import type { Receipt } from "@headrace/core/Receipt"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { open } from "node:fs/promises"
import type { Readable } from "node:stream"
import { StringDecoder } from "node:string_decoder"
import * as Lines from "./internal/verify/receiptLines.ts"
import * as SqliteJournal from "./SqliteJournal.ts"

/**
 * Receipts that cannot be read.
 *
 * @since 0.1.0
 * @category errors
 */
export class ReceiptsError extends Data.TaggedError("ReceiptsError")<{
  /** The file, or what else they were to come from. */
  readonly name: string
  readonly message: string
}> {}

/**
 * A line as it was read. `Foreign`: it is none that a run writes; `cut`: it is the last one, and has no end, as a crash
 * leaves it.
 *
 * @since 0.1.0
 * @category models
 */
export type Read =
  | { readonly _tag: "Receipt"; readonly receipt: Receipt }
  | { readonly _tag: "Foreign"; readonly number: number; readonly message: string; readonly cut: boolean }

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a folder"
}

const unreadable = (name: string, cause: unknown): ReceiptsError => {
  if (cause instanceof ReceiptsError) return cause
  const { code, message } = cause as NodeJS.ErrnoException
  return new ReceiptsError({ name, message: `it cannot be read: ${words[code ?? ""] ?? message}` })
}

/** A receipt of thousands of destinations has fewer characters; a longer line is passed over, not kept. */
const mostCharacters = 16 * 1024 * 1024

/** How a file of SQLite begins. */
const journalMark = "SQLite format 3\0"

const readOf = (number: number, text: string, ended: boolean): ReadonlyArray<Read> => {
  const line = number === 1 ? text.replace(/^\ufeff/, "") : text
  if (/^\s*$/.test(line)) return []
  const receipt = Lines.read(line)
  if (receipt === undefined) return []
  return typeof receipt === "string"
    ? [{ _tag: "Foreign", number, message: ended ? receipt : "it has no end", cut: !ended }]
    : [{ _tag: "Receipt", receipt }]
}

async function* pieces(readable: Readable, name: string): AsyncGenerator<ReadonlyArray<Read>, void> {
  const decoder = new StringDecoder("utf8")
  let number = 0
  let rest = ""
  let tooLong = false
  for await (const chunk of readable as AsyncIterable<Buffer>) {
    if (number === 0 && rest === "" && chunk.subarray(0, journalMark.length).toString("latin1") === journalMark) {
      throw new ReceiptsError({ name, message: "this is a journal, which can only be read from a file" })
    }
    const lines = (rest + decoder.write(chunk)).split("\n")
    rest = lines.pop() ?? ""
    const reads: Array<Read> = []
    for (const line of lines) {
      number++
      if (tooLong) reads.push({ _tag: "Foreign", number, message: "this line is too long", cut: false })
      else reads.push(...readOf(number, line, true))
      tooLong = false
    }
    if (tooLong || rest.length > mostCharacters) {
      tooLong = true
      rest = ""
    }
    if (reads.length > 0) yield reads
  }
  rest += decoder.end()
  if (tooLong) yield [{ _tag: "Foreign", number: number + 1, message: "this line is too long", cut: false }]
  else yield readOf(number + 1, rest, false)
}

/**
 * Reads them from a Node stream, which is closed with the stream of receipts. Events of other types, which `--json` prints
 * between them, are left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromReadable = (open: () => Readable, name: string): Stream.Stream<Read, ReceiptsError> =>
  Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(Effect.sync(open), (readable) => Effect.sync(() => readable.destroy())),
      (readable) =>
        Stream.flattenIterable(Stream.fromAsyncIterable(pieces(readable, name), (cause) => unreadable(name, cause)))
    )
  )

const isJournal = (path: string): Effect.Effect<boolean, ReceiptsError> =>
  Effect.tryPromise({
    try: async () => {
      const file = await open(path)
      try {
        // Of what is no file, such as a named pipe, nothing may be taken away.
        if (!(await file.stat()).isFile()) return false
        const { buffer, bytesRead } = await file.read(Buffer.alloc(journalMark.length), 0, journalMark.length, 0)
        return buffer.toString("latin1", 0, bytesRead) === journalMark
      } finally {
        await file.close()
      }
    },
    catch: (cause) => unreadable(path, cause)
  })

const ofJournal = (path: string): Stream.Stream<Read, ReceiptsError> =>
  SqliteJournal.readReceipts(path).pipe(
    Stream.map(({ order, receipt: text }): ReadonlyArray<Read> => {
      const receipt = Lines.read(text)
      return typeof receipt === "object"
        ? [{ _tag: "Receipt", receipt }]
        : [{ _tag: "Foreign", number: order, message: receipt ?? "this is no receipt", cut: false }]
    }),
    Stream.flattenIterable,
    Stream.mapError(({ message }) => new ReceiptsError({ name: path, message: `the journal: ${message}` }))
  )

/**
 * Reads them from a file: one of lines, or a journal, also of a run that goes on.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromFile = (path: string): Stream.Stream<Read, ReceiptsError> =>
  Stream.unwrap(
    Effect.map(isJournal(path), (journal) =>
      journal ? ofJournal(path) : fromReadable(() => createReadStream(path, { highWaterMark: 256 * 1024 }), path)
    )
  )
