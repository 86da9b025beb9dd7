/**
 * Objects of S3 and of Swift: by pages of the bucket's or the container's list, or each by itself.
 */
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Asking from "./asking.ts"
import type { Claim } from "./claim.ts"
import type { Answer, Asked } from "./found.ts"
import type { S3Target, SwiftTarget } from "./target.ts"
import * as Walk from "./walk.ts"

/** So few are asked for by themselves. */
const few = 8

const withHead = "--head asks for its digests"

interface Etag {
  readonly digests: { readonly md5?: string }
  readonly mute?: string
  /** Whether it may well show that the bytes are others. */
  readonly doubtful?: boolean
}

/**
 * What an ETag says of the bytes. One of 32 digits need not be their MD5 (where the service encrypts with keys of its own
 * it is not), so it counts where it was theirs before, or is it now.
 */
const ofEtag = (etag: string | undefined, claims: ReadonlyArray<Claim>): Etag => {
  if (etag === undefined) return { digests: {}, mute: "no ETag is told" }
  const parts = /-(\d+)$/.exec(etag)?.[1]
  if (parts !== undefined) return { digests: {}, mute: `its ETag is that of ${parts} parts` }
  const md5 = etag.toLowerCase()
  const isMd5 = /^[0-9a-f]{32}$/.test(md5)
  if (isMd5 && claims.some(({ digests, reported }) => reported.md5 !== undefined || digests.md5 === md5)) {
    return { digests: { md5 } }
  }
  return isMd5 && claims.some(({ digests }) => digests.md5 !== undefined)
    ? { digests: {}, mute: "its ETag is not the MD5 of the bytes, which need not mean anything", doubtful: true }
    : { digests: {}, mute: "the receipt has nothing that its ETag could be compared with" }
}

/** Clocks of services differ from ours. */
const skewMs = 60_000

/** Whether it was written since, so that its size alone says little. */
const wasWritten = (claims: ReadonlyArray<Claim>, modified: number | undefined): boolean =>
  modified !== undefined && claims.some(({ endedAt }) => endedAt !== undefined && modified > endedAt + skewMs)

const eachOfS3 = (asking: Asking.Asking, all: ReadonlyArray<Asked<S3Target>>) =>
  Effect.flatMap(
    Effect.promise(() => import("@headrace/s3/S3Look")),
    ({ look }) =>
      Asking.each(asking, all, ({ claims, target: { place } }) =>
        Asking.look(asking, look(place), ({ digests, etag, size }) => {
          const said = ofEtag(etag, claims)
          return { size, digests: { ...said.digests, ...digests }, mute: said.mute }
        })
      )
  )

export const s3 = (
  asking: Asking.Asking,
  all: ReadonlyArray<Asked<S3Target>>
): Stream.Stream<Answer<S3Target>, never, Transport | Host> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { isListable, page } = yield* Effect.promise(() => import("@headrace/s3/S3Listing"))
      const each = (some: ReadonlyArray<Asked<S3Target>>) => eachOfS3(asking, some)
      const [listable, others] = [
        all.filter(({ target }) => isListable(target.key)),
        all.filter(({ target }) => !isListable(target.key))
      ]
      if (asking.head || listable.length <= few) return Stream.fromIterableEffect(each(all))
      const { key: _, ...bucket } = listable[0]!.target.place
      const walked = Walk.walk(listable, {
        each,
        page: (range) => Asking.turn(asking, page(bucket, range), false),
        nameOf: ({ key }) => key,
        tell: ({ claims }, { etag, modified, size }) => {
          const { digests, doubtful, mute } = ofEtag(etag, claims)
          if (doubtful === true || (mute !== undefined && wasWritten(claims, modified))) return undefined
          return { _tag: "There", how: "list", size, digests, mute: mute === undefined ? mute : `${mute}; ${withHead}` }
        }
      })
      return Stream.concat(walked, Stream.fromIterableEffect(each(others)))
    })
  )

const wrongSegments = ({ count, wrong }: { readonly count: number; readonly wrong: ReadonlyArray<string> }) => {
  if (wrong.length === 0) return undefined
  const more = wrong.length > 1 ? `, and ${wrong.length - 1} more` : ""
  return `${wrong.length} of its ${count} segments ${wrong.length === 1 ? "is" : "are"} missing or changed: ${wrong[0]}${more}`
}

export const eachOfSwift = (asking: Asking.Asking, all: ReadonlyArray<Asked<SwiftTarget>>) =>
  Effect.flatMap(
    Effect.promise(() => import("@headrace/swift/SwiftLook")),
    ({ look }) =>
      Asking.each(asking, all, ({ target: { cloud, container, key } }) =>
        Asking.look(
          asking,
          look({ cloud, container, object: key, segments: asking.head }),
          ({ digests, kind, segments, size }) => ({
            size,
            digests,
            wrong: segments === undefined ? undefined : wrongSegments(segments),
            mute:
              kind === "plain"
                ? undefined
                : segments === undefined
                  ? "it is a large object, whose ETag is no digest of its bytes"
                  : `it is a large object, whose ETag is no digest of its bytes; its segments (${segments.count}) are as its manifest says`
          }),
          true
        )
      )
  )

export const swift = (
  asking: Asking.Asking,
  all: ReadonlyArray<Asked<SwiftTarget>>
): Stream.Stream<Answer<SwiftTarget>, never, Transport | Host> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const { page } = yield* Effect.promise(() => import("@headrace/swift/SwiftListing"))
      const each = (some: ReadonlyArray<Asked<SwiftTarget>>) => eachOfSwift(asking, some)
      if (asking.head || all.length <= few) return Stream.fromIterableEffect(each(all))
      const { cloud, container } = all[0]!.target
      return Walk.walk(all, {
        each,
        page: (range) => Asking.turn(asking, page({ cloud, container }, range), true),
        nameOf: ({ name }) => name,
        tell: ({ claims }, { bytes, hash, large }) => {
          if (large) {
            const mute = `it is a large object, whose segments are not looked at; --head does that`
            return { _tag: "There", how: "list", size: bytes, digests: {}, mute }
          }
          // Another hash may be that of a manifest, where the service does not tell which objects are large.
          const known = claims.every(({ digests }) => digests.md5 === hash)
          return known ? { _tag: "There", how: "list", size: bytes, digests: { md5: hash } } : undefined
        }
      })
    })
  )
