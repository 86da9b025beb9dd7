/**
 * What the header of an HTTP answer says of the content behind a URL (RFC 9110 §8).
 */
import type { Response } from "@headrace/core/Transport"

type Headers = Response["headers"]

/**
 * Something that differs when the content does. `strong`: only what may stand in `If-Range`, so that bytes of two answers
 * belong together.
 */
export const validatorOf = (headers: Headers, kind: "any" | "strong" = "any"): string | undefined => {
  const etag = headers["etag"]
  if (etag !== undefined && !etag.startsWith("W/")) return etag
  return headers["last-modified"] ?? (kind === "any" ? etag : undefined)
}

export const lengthOf = (headers: Headers): number | undefined => {
  const text = headers["content-length"]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** The first byte's offset and the whole size, of a 206. */
export const rangeOf = (
  headers: Headers
): { readonly start: number; readonly size: number | undefined } | undefined => {
  const found = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "")
  return found === null ? undefined : { start: Number(found[1]), size: found[2] === "*" ? undefined : Number(found[2]) }
}

const wholeSize = (headers: Headers): number | undefined =>
  headers["content-range"] === undefined ? lengthOf(headers) : rangeOf(headers)?.size

/** Whether a later answer is about the content that an earlier one was about, as far as both say. */
export const sameContent = (earlier: Headers, later: Headers): boolean => {
  if (validatorOf(earlier) !== validatorOf(later)) return false
  const [before, now] = [wholeSize(earlier), wholeSize(later)]
  return before === undefined || now === undefined || before === now
}
