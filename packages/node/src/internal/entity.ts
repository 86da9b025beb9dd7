/**
 * What the header of an HTTP answer says of the content behind a URL (RFC 9110 §8).
 */
import type { Response } from "@headrace/core/Transport"

type Headers = Response["headers"]

const isStrong = (etag: string | undefined): etag is string => etag !== undefined && !etag.startsWith("W/")

/**
 * Something that differs when the content does. A weak ETag and a date can each stay the same over a change that the
 * other shows.
 */
export const identityOf = (headers: Headers): string | undefined => {
  const { etag, "last-modified": date } = headers
  if (isStrong(etag)) return etag
  return etag === undefined || date === undefined ? (etag ?? date) : `${etag} ${date}`
}

/** What may stand in `If-Range`, so that bytes of two answers belong together. */
export const rangeValidatorOf = (headers: Headers): string | undefined =>
  isStrong(headers["etag"]) ? headers["etag"] : headers["last-modified"]

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
  if (identityOf(earlier) !== identityOf(later)) return false
  const [before, now] = [wholeSize(earlier), wholeSize(later)]
  return before === undefined || now === undefined || before === now
}
