/**
 * The manifest of a static large object: what is sent, what is stored, and the ETag that Swift makes of it (the MD5 of
 * the segments' ETags, one behind the other; Swift's `slo.py`).
 */
import type { StoredPart } from "@headrace/core/Store"
import type * as Effect from "effect/Effect"
import { parse } from "./api.ts"
import * as Names from "./names.ts"
import * as Platform from "./platform.ts"

export const etagOf = (tags: ReadonlyArray<string>): Effect.Effect<string> => Platform.md5(tags.join(""))

/** What a manifest says of one segment, or of another manifest. */
export interface Entry {
  /** Within the segments' container. */
  readonly name: string
  readonly etag: string
  readonly bytes: number
}

export const entryOf = (upload: Names.Upload, { length, number, tag }: StoredPart): Entry => ({
  name: Names.segmentOf(upload, number),
  etag: tag,
  bytes: length
})

/** As Swift wants it: names as they are, not percent-encoded. */
export const bodyOf = ({ container }: Names.Upload, entries: ReadonlyArray<Entry>): Uint8Array =>
  Platform.utf8(
    JSON.stringify(entries.map(({ bytes, etag, name }) => ({ path: `/${container}/${name}`, etag, size_bytes: bytes })))
  )

const nameOf = (entry: unknown): ReadonlyArray<string> => {
  if (typeof entry !== "object" || entry === null) return []
  const name: unknown = Reflect.get(entry, "name")
  return typeof name === "string" ? [name.replace(/^\//, "")] : []
}

/** `CONTAINER/OBJECT` of each segment of a stored manifest (`multipart-manifest=get`). */
export const segmentsOf = (text: string): ReadonlyArray<string> => {
  const json = parse(text)
  return Array.isArray(json) ? json.flatMap(nameOf) : []
}

/** What is wrong with which segments, when a manifest is refused; the names only as numbers, the paths are long. */
export const problemsOf = (text: string): string | undefined => {
  const json = parse(text)
  const errors: unknown = typeof json === "object" && json !== null ? Reflect.get(json, "Errors") : undefined
  if (!Array.isArray(errors) || errors.length === 0) return undefined
  const lines = errors.flatMap((error: unknown) =>
    Array.isArray(error) && typeof error[0] === "string" && typeof error[1] === "string"
      ? [`segment ${Number(error[0].slice(-8))}: ${error[1]}`]
      : []
  )
  const shown = lines.slice(0, 3).join(", ")
  return lines.length > 3 ? `${shown} and ${lines.length - 3} more` : shown
}
