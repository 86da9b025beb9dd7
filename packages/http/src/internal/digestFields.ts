/**
 * Digests as header fields: `Repr-Digest` and `Content-Digest` (RFC 9530), `Content-MD5` (RFC 1864), and `Digest`
 * (RFC 3230), which is only read.
 */
import type { Algorithm, Digests } from "@headrace/core/Digest"
import type { Response } from "@headrace/core/Transport"
import { base64OfHex, hexOfBase64 } from "./encoding.ts"

/** A field that can be sent. */
export type DigestField = "repr-digest" | "content-md5"

/** The algorithms that each field can carry. */
export const carried: Readonly<Record<DigestField, ReadonlyArray<Algorithm>>> = {
  "repr-digest": ["sha256", "sha512"],
  "content-md5": ["md5"]
}

/** The one that is computed for a field when none is known. */
export const preferred: Readonly<Record<DigestField, Algorithm>> = { "repr-digest": "sha256", "content-md5": "md5" }

export const nameOf: Readonly<Record<DigestField, string>> = {
  "repr-digest": "Repr-Digest",
  "content-md5": "Content-MD5"
}

/** Names of the IANA registry of hash algorithms for HTTP digest fields, and those of RFC 3230. */
const registered: Readonly<Record<string, { readonly algorithm: Algorithm; readonly bytes: number }>> = {
  "sha-256": { algorithm: "sha256", bytes: 32 },
  "sha-512": { algorithm: "sha512", bytes: 64 },
  md5: { algorithm: "md5", bytes: 16 },
  sha: { algorithm: "sha1", bytes: 20 },
  crc32c: { algorithm: "crc32c", bytes: 4 }
}

const bytesOf = (algorithm: Algorithm): number | undefined =>
  Object.values(registered).find((known) => known.algorithm === algorithm)?.bytes

/** What to ask for: digests of the whole, the strongest that servers usually have first (RFC 9530 §4, RFC 3230 §4.3.1). */
export const wants: Readonly<Record<string, string>> = {
  "Want-Repr-Digest": "sha-256=10, sha-512=8, md5=1",
  "Want-Digest": "sha-256;q=1, sha-512;q=0.8, md5;q=0.1"
}

/** The value of a field; `undefined` when no digest that it carries is known. */
export const valueOf = (field: DigestField, digests: Digests): string | undefined => {
  const found = carried[field].flatMap((algorithm) => {
    const hex = digests[algorithm] ?? ""
    const base64 = base64OfHex(hex)
    // What the transfer expects may be anything; of another length it is no digest to tell a server.
    return base64 === undefined || hex.length !== 2 * bytesOf(algorithm)! ? [] : [{ algorithm, base64 }]
  })
  if (found.length === 0) return undefined
  if (field === "content-md5") return found[0]!.base64
  return found.map(({ algorithm, base64 }) => `${algorithm.replace("sha", "sha-")}=:${base64}:`).join(", ")
}

const checked = (name: string, base64: string): Digests => {
  const known = registered[name.toLowerCase()]
  const hex = hexOfBase64(base64)
  return known === undefined || hex?.length !== 2 * known.bytes ? {} : { [known.algorithm]: hex }
}

const all = (text: string | undefined, pattern: RegExp): Digests =>
  Object.assign({}, ...Array.from((text ?? "").matchAll(pattern), ([, name, base64]) => checked(name!, base64!)))

/** A dictionary of byte sequences (RFC 8941 §3.2), which is what RFC 9530 writes. */
const dictionary = /(?:^|,)[ \t]*([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):/g

const instance = /(?:^|,)[ \t]*([A-Za-z0-9-]+)=([A-Za-z0-9+/]+={0,2})/g

/**
 * The digests that an answer reports of the whole object. Those of what an answer itself holds say that only when it
 * is the whole, as it is; a coded answer reports those of the coded bytes.
 */
export const reported = (
  { headers, status }: Pick<Response, "headers" | "status">,
  etagIs: "md5" | undefined
): Digests => {
  const coding = headers["content-encoding"]
  if (coding !== undefined && coding.trim().toLowerCase() !== "identity") return {}
  const whole = status === 200
  const etag = etagIs === "md5" ? /^"([0-9a-f]{32})"$/i.exec(headers["etag"] ?? "")?.[1] : undefined
  return {
    ...(etag === undefined ? undefined : { md5: etag.toLowerCase() }),
    ...(whole && headers["content-md5"] !== undefined ? checked("md5", headers["content-md5"].trim()) : undefined),
    ...all(headers["digest"], instance),
    ...(whole ? all(headers["content-digest"], dictionary) : undefined),
    ...all(headers["repr-digest"], dictionary)
  }
}
