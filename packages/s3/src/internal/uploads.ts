/**
 * Calls about uploads of parts: begun, listed, given up.
 */
import type { Part } from "@aws-sdk/client-s3"
import type { UnfinishedUpload } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type * as Fault from "./fault.ts"
import type { Site } from "./site.ts"
import { uriOf } from "./target.ts"

/** Whether a fault says that there is no such upload. */
export const isGone = ({ code, status }: Fault.Fault): boolean =>
  code === "NoSuchUpload" || (status === 404 && code !== "NoSuchBucket")

export const isForbidden = ({ reason }: Fault.Fault): boolean => reason === "Forbidden"

export interface Listing {
  readonly algorithm: string | undefined
  readonly parts: ReadonlyArray<Part>
}

/** The parts that are there, of all pages or of the first `most`; nothing where the upload is no more. */
export const parts = (site: Site, upload: string, most?: number): Effect.Effect<Listing | undefined, Fault.Fault> => {
  const { bucket, key } = site.place
  const page = (marker: string | undefined) =>
    site.call("the parts of the upload cannot be listed", (s3, { ListPartsCommand }, options) =>
      s3.send(
        new ListPartsCommand({
          Bucket: bucket,
          Key: key,
          UploadId: upload,
          ...(most === undefined ? undefined : { MaxParts: most }),
          ...(marker === undefined ? undefined : { PartNumberMarker: marker })
        }),
        options
      )
    )
  return Effect.catch(
    Effect.gen(function* () {
      const found: Array<Part> = []
      let marker: string | undefined
      while (true) {
        const { ChecksumAlgorithm, IsTruncated, NextPartNumberMarker, Parts } = yield* page(marker)
        found.push(...(Parts ?? []))
        const more = IsTruncated === true && most === undefined && NextPartNumberMarker !== undefined
        // A service that gives the same page for ever is not asked for ever.
        if (!more || NextPartNumberMarker === marker) return { algorithm: ChecksumAlgorithm, parts: found }
        marker = NextPartNumberMarker
      }
    }),
    (fault) => (isGone(fault) ? Effect.undefined : Effect.fail(fault))
  )
}

/** Gives an upload up; succeeds also when there is none. */
export const abort = (site: Site, upload: string, answerMs?: number): Effect.Effect<void, Fault.Fault> => {
  const { bucket, key } = site.place
  return site
    .call(
      "the upload cannot be given up",
      (s3, { AbortMultipartUploadCommand }, options) =>
        s3.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: upload }), options),
      answerMs
    )
    .pipe(
      Effect.asVoid,
      Effect.catch((fault) => (isGone(fault) ? Effect.void : Effect.fail(fault)))
    )
}

/** Waits between tries to give an upload up, in milliseconds; all of it ends before a person who waits is told. */
const abortWaits = [250, 500, 1000]
const abortMs = 1500
const allAbortsMs = 3500

/**
 * Gives an upload up, again where the service is away for a moment, and again where a part that was on its way has come
 * in since, as AWS says one has to. Whether it is known to be gone.
 */
export const abandon = (site: Site, upload: string): Effect.Effect<boolean> => {
  const once = Effect.andThen(
    abort(site, upload, abortMs),
    // Who may give up need not be allowed to list.
    Effect.catch(parts(site, upload, 1), (fault) => (isForbidden(fault) ? Effect.undefined : Effect.fail(fault)))
  )
  const tries = Effect.gen(function* () {
    for (const wait of [...abortWaits, undefined]) {
      const outcome = yield* Effect.result(once)
      if (outcome._tag === "Success" && outcome.success === undefined) return true
      if (outcome._tag === "Failure" && !outcome.failure.retryable) return false
      if (wait !== undefined) yield* Effect.sleep(wait)
    }
    return false
  })
  return Effect.map(
    Effect.timeoutOption(tries, allAbortsMs),
    Option.getOrElse(() => false)
  )
}

/**
 * Uploads that are not finished, whoever began them: of this object, or `under` its key of all objects whose keys begin
 * so.
 */
export const unfinished = (site: Site, under = false): Stream.Stream<UnfinishedUpload, Fault.Fault> => {
  const { place } = site
  const page = (from: { readonly key: string; readonly upload: string } | undefined) =>
    site.call("the unfinished uploads cannot be listed", (s3, { ListMultipartUploadsCommand }, options) =>
      s3.send(
        new ListMultipartUploadsCommand({
          Bucket: place.bucket,
          ...(place.key === "" ? undefined : { Prefix: place.key }),
          ...(from === undefined ? undefined : { KeyMarker: from.key, UploadIdMarker: from.upload })
        }),
        options
      )
    )
  return Stream.paginate(undefined as { readonly key: string; readonly upload: string } | undefined, (from) =>
    Effect.map(page(from), ({ IsTruncated, NextKeyMarker, NextUploadIdMarker, Uploads }) => {
      const found = (Uploads ?? []).flatMap(({ Initiated, Key, UploadId }): ReadonlyArray<UnfinishedUpload> =>
        // The prefix finds longer keys too.
        Key === undefined || UploadId === undefined || (!under && Key !== place.key)
          ? []
          : [
              {
                token: UploadId,
                uri: uriOf({ ...place, key: Key }),
                startedAt: Initiated?.getTime(),
                bytes: undefined
              }
            ]
      )
      const more =
        IsTruncated === true &&
        NextKeyMarker !== undefined &&
        (under || NextKeyMarker === place.key) &&
        NextUploadIdMarker !== undefined &&
        NextUploadIdMarker !== from?.upload
      const next = more ? Option.some({ key: NextKeyMarker, upload: NextUploadIdMarker }) : Option.none()
      return [found, next] as const
    })
  )
}
