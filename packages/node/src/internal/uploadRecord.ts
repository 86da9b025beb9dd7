/**
 * The notes of one upload as lines of JSON: first what it is, then what happened, each line complete in itself. A line
 * that was cut off, by a crash, ends the notes before it.
 */
import { type Algorithm, isAlgorithm, type State } from "@headrace/core/Digest"
import type { StoredPart } from "@headrace/core/Store"
import type { Key, Noted } from "@headrace/core/UploadJournal"

/** Written into each file; a newer one is not read. */
export const version = 1

export interface Header extends Key {
  readonly startedAt: number
}

/** What is noted besides the header. */
export type Line =
  | { readonly token: string }
  | { readonly partBytes: number }
  | { readonly part: StoredPart; readonly state?: State | undefined }

const text = (line: object) => `${JSON.stringify(line)}\n`

export const headerLine = ({ destination, identity, size, source, startedAt }: Header): string =>
  text({ version, source, destination, identity, size, startedAt })

export const lineOf = (line: Line): string => text(line)

/** All that is known of an upload, in as few lines as it takes. */
export const linesOf = (header: Header, noted: Noted): string =>
  headerLine(header) +
  (noted.token === undefined ? "" : lineOf({ token: noted.token })) +
  (noted.partBytes === undefined ? "" : lineOf({ partBytes: noted.partBytes })) +
  noted.parts
    .map((part, index) => lineOf(index === noted.parts.length - 1 ? { part, state: noted.state } : { part }))
    .join("")

type Fields = Readonly<Record<string, unknown>>

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const parsed = (line: string): Fields | undefined => {
  try {
    const value: unknown = JSON.parse(line)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

const isHexes = (value: unknown): value is Partial<Record<Algorithm, string>> =>
  isFields(value) && Object.entries(value).every(([name, text]) => isAlgorithm(name) && typeof text === "string")

const partOf = (value: unknown): StoredPart | undefined => {
  if (!isFields(value)) return undefined
  const { digests, length, number, offset, tag } = value
  return isCount(number) && isCount(offset) && isCount(length) && typeof tag === "string" && isHexes(digests)
    ? { number, offset, length, tag, digests }
    : undefined
}

const stateOf = (value: unknown): State | undefined =>
  isFields(value) && isCount(value["bytes"]) && isHexes(value["states"])
    ? { bytes: value["bytes"], states: value["states"] }
    : undefined

const headerOf = (line: string): Header | undefined => {
  const { destination, identity, size, source, startedAt, version: of } = parsed(line) ?? {}
  if (of !== version || typeof source !== "string" || typeof destination !== "string" || !isCount(startedAt)) {
    return undefined
  }
  if (identity !== undefined && typeof identity !== "string") return undefined
  if (size !== undefined && !isCount(size)) return undefined
  return { source, destination, identity, size, startedAt }
}

/** Reads what was noted, as far as it is whole; nothing when not even the header is, or is of another version. */
export const read = (content: string): { readonly header: Header; readonly noted: Noted } | undefined => {
  const [first = "", ...rest] = content.split("\n")
  const header = headerOf(first)
  if (header === undefined) return undefined
  let token: string | undefined
  let partBytes: number | undefined
  let state: State | undefined
  const parts = new Map<number, StoredPart>()
  // What comes after the last line's end is a line that was cut off, or nothing.
  for (const line of rest.slice(0, -1)) {
    const fields = parsed(line)
    if (fields === undefined) break
    if (typeof fields["token"] === "string") {
      token = fields["token"]
      partBytes = state = undefined
      parts.clear()
    } else if (isCount(fields["partBytes"]) && fields["partBytes"] > 0) {
      partBytes = fields["partBytes"]
      state = undefined
      parts.clear()
    } else {
      const part = partOf(fields["part"])
      if (part === undefined) break
      parts.set(part.number, part)
      state = stateOf(fields["state"]) ?? state
    }
  }
  return { header, noted: { token, startedAt: header.startedAt, partBytes, parts: [...parts.values()], state } }
}
