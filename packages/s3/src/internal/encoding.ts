/**
 * Digests as S3 writes them: checksums and `Content-MD5` in base64, ETags in hex between quotes.
 */
import { createHash } from "node:crypto"

export const base64OfHex = (hex: string): string => Buffer.from(hex, "hex").toString("base64")

/** Lower-case hex; nothing where it is no base64. */
export const hexOfBase64 = (text: string): string | undefined => {
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return undefined
  return Buffer.from(text, "base64").toString("hex")
}

/** An ETag without its quotes. */
export const bare = (etag: string): string => etag.replace(/^(?:W\/)?"(.*)"$/, "$1")

/** The MD5 that an ETag is, as far as its looks go. */
export const md5OfEtag = (etag: string | undefined): string | undefined => {
  const text = etag === undefined ? "" : bare(etag).toLowerCase()
  return /^[0-9a-f]{32}$/.test(text) ? text : undefined
}

const joined = (hexes: ReadonlyArray<string>): Buffer => Buffer.concat(hexes.map((hex) => Buffer.from(hex, "hex")))

/** The ETag of an object of parts, from the MD5 of each: the MD5 of the MD5s, and their number. */
export const etagOfParts = (md5s: ReadonlyArray<string>): string =>
  `${createHash("md5").update(joined(md5s)).digest("hex")}-${md5s.length}`

/** The bytes that a composite checksum is the checksum of: those of the parts, one behind the other. */
export const compositeInput = (hexes: ReadonlyArray<string>): Uint8Array => joined(hexes)
