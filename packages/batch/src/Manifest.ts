/**
 * A manifest: an NDJSON file, one transfer a line. A blank line and one that begins with `#` is left out; a byte order
 * mark and CRLF are taken. It is read as a stream: at any time only the lines that are on their way are in memory.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import ndjson from "ndjson"
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { stat } from "node:fs/promises"
import { type Readable, pipeline } from "node:stream"
import { ManifestLines } from "./internal/manifestLines.ts"
import * as Line from "./Line.ts"

/**
 * A manifest that cannot be read.
 *
 * @since 0.1.0
 * @category errors
 */
export class ManifestError extends Data.TaggedError("ManifestError")<{
  /** The file, `-` for standard input. */
  readonly name: string
  readonly message: string
}> {}

/**
 * A line as it was read: well, or with what is wrong with it.
 *
 * @since 0.1.0
 * @category models
 */
export type Read =
  | { readonly _tag: "Line"; readonly number: number; readonly line: Line.Line }
  | { readonly _tag: "Wrong"; readonly number: number; readonly field: string; readonly message: string }

/**
 * What is wrong with a line, as it is told: `FILE:LINE: field: what is allowed`.
 *
 * @since 0.1.0
 * @category formatting
 */
export const told = (
  name: string,
  wrong: { readonly number: number; readonly field: string; readonly message: string }
) => `${name}:${wrong.number}: ${wrong.field}: ${wrong.message}`

const words: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EACCES: "it may not be read",
  EISDIR: "it is a folder"
}

const unreadable = (name: string, cause: unknown): ManifestError => {
  const { code, message } = cause as NodeJS.ErrnoException
  return new ManifestError({ name, message: `it cannot be read: ${words[code ?? ""] ?? message}` })
}

/** Lines that are handed on at once. */
const batchLines = 512

const read = (row: readonly [number, ...ReadonlyArray<unknown>]): Read => {
  const [number, json] = row
  if (row.length !== 2) {
    return { _tag: "Wrong", number, field: "line", message: "this is more than one JSON object" }
  }
  const line = Line.decode(json, number)
  return Result.isSuccess(line)
    ? { _tag: "Line", number, line: line.success }
    : { _tag: "Wrong", number, field: line.failure.field, message: line.failure.message }
}

async function* batches(readable: Readable): AsyncGenerator<ReadonlyArray<Read>, void> {
  const lines = new ManifestLines()
  const parser = ndjson.parse({ strict: false })
  // The iterator hears of an error of any of them: it destroys what comes after.
  pipeline(readable, lines, parser, () => {})
  let batch: Array<Read> = []
  const broken = (before: number): void => {
    for (const { number, why } of lines.brokenBefore(before)) {
      batch.push({ _tag: "Wrong", number, field: "line", message: why })
    }
  }
  for await (const row of parser as AsyncIterable<readonly [number, ...ReadonlyArray<unknown>]>) {
    broken(row[0])
    lines.arrived(row[0])
    batch.push(read(row))
    if (batch.length >= batchLines) {
      yield batch
      batch = []
    }
  }
  broken(Infinity)
  if (batch.length > 0) yield batch
}

/**
 * Reads a manifest from a Node stream, which is closed with the stream of lines.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromReadable = (open: () => Readable, name: string): Stream.Stream<Read, ManifestError> =>
  Stream.unwrap(
    Effect.map(
      Effect.acquireRelease(Effect.sync(open), (readable) => Effect.sync(() => readable.destroy())),
      (readable) =>
        Stream.flattenIterable(Stream.fromAsyncIterable(batches(readable), (cause) => unreadable(name, cause)))
    )
  )

/**
 * Reads a manifest from a file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromFile = (path: string): Stream.Stream<Read, ManifestError> =>
  fromReadable(() => createReadStream(path, { highWaterMark: 256 * 1024 }), path)

/**
 * Names a file's content: whoever has read it under this name need not read it again. `undefined` where it is no ordinary
 * file.
 *
 * @since 0.1.0
 * @category reading
 */
export const contentOf = (path: string): Effect.Effect<string | undefined, ManifestError> =>
  Effect.tryPromise({
    try: async (signal) => {
      // What comes out of a pipe comes once.
      if (!(await stat(path)).isFile()) return undefined
      const hash = createHash("sha256")
      for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal }))
        hash.update(chunk as Buffer)
      return hash.digest("hex")
    },
    catch: (cause) => unreadable(path, cause)
  })
