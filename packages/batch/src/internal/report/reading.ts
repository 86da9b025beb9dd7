/**
 * The lines of a program's output, each with its number, as they come; at any time only those on their way are in memory.
 */
import ndjson from "ndjson"
import { type Readable, pipeline } from "node:stream"
import { ManifestLines } from "../manifestLines.ts"

/** A line: its JSON, or why there is none. */
export type Read =
  | { readonly _tag: "Value"; readonly number: number; readonly value: unknown }
  | {
      readonly _tag: "Broken"
      readonly number: number
      readonly why: string
      /** It is the last one, and has no line end. */
      readonly cut: boolean
    }

/** Lines that are handed on at once. */
const batchLines = 512

export async function* batches(readable: Readable): AsyncGenerator<ReadonlyArray<Read>, void> {
  const lines = new ManifestLines()
  const parser = ndjson.parse({ strict: false })
  let ended = true
  let newest = 0
  const watched = async function* (chunks: AsyncIterable<Buffer>) {
    for await (const chunk of chunks) {
      if (chunk.length === 0) continue
      ended = chunk.at(-1) === 0x0a
      for (let at = chunk.indexOf(0x0a); at >= 0; at = chunk.indexOf(0x0a, at + 1)) newest++
      yield chunk
    }
  }
  // The iterator hears of an error of any of them: it destroys what comes after.
  pipeline(readable, watched, lines, parser, () => {})
  let batch: Array<Read> = []
  const broken = (before: number): void => {
    for (const { number, why } of lines.brokenBefore(before)) {
      batch.push({ _tag: "Broken", number, why, cut: !ended && number === newest + 1 })
    }
  }
  for await (const row of parser as AsyncIterable<readonly [number, ...ReadonlyArray<unknown>]>) {
    const [number, value] = row
    broken(number)
    lines.arrived(number)
    batch.push(
      row.length === 2
        ? { _tag: "Value", number, value }
        : { _tag: "Broken", number, why: "this is more than one JSON value", cut: false }
    )
    if (batch.length >= batchLines) {
      yield batch
      batch = []
    }
  }
  broken(Infinity)
  if (batch.length > 0) yield batch
}
