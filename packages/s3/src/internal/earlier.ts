/**
 * What an earlier process has left of an upload: which of its parts are the ones that were noted, and whether the object
 * was made of them already.
 */
import type { Part } from "@aws-sdk/client-s3"
import type { Digests } from "@headrace/core/Digest"
import type { StoredPart } from "@headrace/core/Store"
import { bare, etagOfParts, hexOfBase64, md5OfEtag } from "./encoding.ts"
import type { Look } from "./look.ts"
import type * as Proof from "./proof.ts"

/** The digest that a listed part has, where the service tells one. */
const digestsOfListed = ({ algorithm, mode }: Proof.Proof, part: Part): Digests => {
  const text = mode === "full" ? part.ChecksumCRC64NVME : part.ChecksumCRC32C
  const hex = mode === "etag" ? md5OfEtag(part.ETag) : text === undefined ? undefined : hexOfBase64(text)
  return hex === undefined ? {} : { [algorithm]: hex }
}

/** The parts that are there, as far as each is as long as it was cut, and the one that was noted if one was. */
export const same = (
  listed: ReadonlyArray<Part>,
  noted: ReadonlyArray<StoredPart>,
  proof: Proof.Proof,
  { partBytes, size }: { readonly partBytes: number; readonly size: number | undefined }
): ReadonlyArray<StoredPart> => {
  const byNumber = new Map(noted.map((part) => [part.number, part]))
  return listed.flatMap((part): ReadonlyArray<StoredPart> => {
    const { ETag: tag, PartNumber: number, Size: length } = part
    if (tag === undefined || number === undefined || length === undefined) return []
    const offset = (number - 1) * partBytes
    const wanted = size === undefined ? undefined : Math.min(partBytes, size - offset)
    if (wanted === undefined ? length > partBytes : length !== wanted) return []
    const note = byNumber.get(number)
    const theirs = digestsOfListed(proof, part)
    // A part of the same number that is not the one which was noted was sent by somebody else.
    if (note !== undefined && (bare(note.tag) !== bare(tag) || note.length !== length)) return []
    const mine = note?.digests[proof.algorithm]
    if (mine !== undefined && theirs[proof.algorithm] !== undefined && mine !== theirs[proof.algorithm]) return []
    return [{ number, offset, length, tag, digests: { ...note?.digests, ...theirs } }]
  })
}

/** Whether an object is the one that all parts of an upload make. */
export const isMadeOf = (now: Look, parts: ReadonlyArray<StoredPart>, size: number | undefined): boolean => {
  if (now._tag !== "Found" || now.etag === undefined || now.size !== size) return false
  const inOrder = [...parts].sort((a, b) => a.number - b.number)
  const md5s = inOrder.map(({ tag }) => md5OfEtag(tag))
  return (
    inOrder.every(({ number }, index) => number === index + 1) &&
    inOrder.reduce((sum, { length }) => sum + length, 0) === size &&
    md5s.every((md5) => md5 !== undefined) &&
    bare(now.etag) === etagOfParts(md5s)
  )
}
