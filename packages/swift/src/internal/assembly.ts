/**
 * Makes an object of its segments: a manifest that names them, or manifests that name manifests where they are too many
 * for one.
 */
import type { StoredPart } from "@headrace/core/Store"
import * as Effect from "effect/Effect"
import type { Reply } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Manifest from "./manifest.ts"
import * as Names from "./names.ts"
import * as Place from "./place.ts"

export const what = "the large object was not made"

export interface Assembly {
  /** What the object's own manifest names. Makes the manifests in between, if there are any. */
  readonly entriesOf: (
    upload: Names.Upload,
    parts: ReadonlyArray<StoredPart>,
    answerMs: number
  ) => Effect.Effect<ReadonlyArray<Manifest.Entry>, Fault.Fault>
  /** Makes the object. */
  readonly put: (
    upload: Names.Upload,
    entries: ReadonlyArray<Manifest.Entry>,
    etag: string,
    answerMs: number
  ) => Effect.Effect<Reply, Fault.Fault>
  /** Makes an object of no bytes: nothing but a plain one is empty. */
  readonly putEmpty: (etag: string, answerMs: number) => Effect.Effect<Reply, Fault.Fault>
}

/** `onSpoiled` is told why the same segments would be refused again. */
export const make = (target: Place.Target, maxSegments: number, onSpoiled: (why: string) => void): Assembly => {
  const { api, contentType } = target

  const putEmpty: Assembly["putEmpty"] = (etag, answerMs) =>
    api.call({
      method: "PUT",
      path: Place.pathOf(target),
      what,
      headers: { ETag: etag, "Content-Type": contentType },
      answerMs,
      tries: 1
    })

  const putManifest = (path: string, body: Uint8Array, etag: string, answerMs: number) =>
    Effect.flatMap(
      api.call({
        method: "PUT",
        path: `${path}?multipart-manifest=put`,
        what,
        headers: { ETag: etag, "Content-Type": contentType },
        body,
        accept: [400, 422],
        answerMs,
        tries: 1
      }),
      (reply): Effect.Effect<Reply, Fault.Fault> => {
        const { requestId, status } = reply
        if (status !== 400 && status !== 422) return Effect.succeed(reply)
        const said = Manifest.problemsOf(reply.text)
        const why = said ?? (status === 422 ? "the MD5 of its segments is another" : "the manifest was refused")
        // Sent again, the same segments would be refused again.
        const spoiled = said !== undefined || status === 422
        if (spoiled) onSpoiled(why)
        const fields = { status, ...(requestId === undefined ? undefined : { requestId }) }
        return Effect.fail(Fault.make("Rejected", `${what}: ${why}`, { ...fields, retryable: spoiled }))
      }
    )

  const entriesOf: Assembly["entriesOf"] = (upload, parts, answerMs) => {
    const all = parts.map((part) => Manifest.entryOf(upload, part))
    if (all.length <= maxSegments) return Effect.succeed(all)
    const groups = Array.from({ length: Math.ceil(all.length / maxSegments) }, (_, index) =>
      all.slice(index * maxSegments, (index + 1) * maxSegments)
    )
    return Effect.forEach(groups, (entries, index) =>
      Effect.gen(function* () {
        const name = Names.manifestOf(upload, index + 1)
        const etag = yield* Manifest.etagOf(entries.map(({ etag }) => etag))
        yield* putManifest(Names.pathOf(upload.container, name), Manifest.bodyOf(upload, entries), etag, answerMs)
        return { name, etag, bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0) }
      })
    )
  }

  return {
    entriesOf,
    put: (upload, entries, etag, answerMs) =>
      putManifest(Place.pathOf(target), Manifest.bodyOf(upload, entries), etag, answerMs),
    putEmpty
  }
}
