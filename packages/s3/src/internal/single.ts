/**
 * An object that fits into one part: one `PutObject`. To the engine it is an object of one part, so that it is collected,
 * and its checksum known, before a byte is sent.
 */
import type { Inspection, PartBody, PartsSession } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as Effect from "effect/Effect"
import * as Fault from "./fault.ts"
import * as Look from "./look.ts"
import { Ours } from "./ours.ts"
import * as Proof from "./proof.ts"
import { asStore, common, free, other, replaces, type Setting, there, toStore } from "./setting.ts"

const what = "the object was not taken"

/** Whether a service says that there is an object already, or that it cannot be told to make only a new one. */
const isOccupied = ({ clear, status }: Fault.Fault): boolean =>
  clear && (status === 412 || status === 409 || status === 501)

export const make = (setting: Setting): PartsSession => {
  const { content, ifNoneMatch, metadata, profile, site, uri } = setting
  const proof = Proof.ofSingle(profile)
  const ours = new Ours(setting)
  ours.notes.add(
    `proof: ${proof.words} (${setting.known === "configured" ? "configured" : `known of ${profile.name}`})`
  )
  const stored = asStore(uri)
  /** What the answer to the PUT has proven, for who looks at once. */
  let told: Inspection | undefined

  const writePart = <E, R>(part: PartBody<E, R>): Effect.Effect<string, StoreError.StoreError | E, R> => {
    const { digests, length } = part
    let sent = 0
    const earlier = ours.unclear
    const body = {
      ...part,
      onSent: (bytes: number) => {
        sent += bytes
        // From here on there may be an object of ours, however this ends: an interruption has no answer either.
        if (sent >= length) ours.unclear = true
        part.onSent(bytes)
      }
    }
    const once = (IfNoneMatch: "*" | undefined) =>
      site.send(what, { ContentLength: length, ...metadata, ...Proof.fieldsOf(proof, digests), IfNoneMatch }, body)
    /** Finds out by writing whether there is an object already; one that is there is looked at, and then replaced. */
    const onlyNew = Effect.catch(
      Effect.tap(once("*"), () =>
        Effect.sync(() => {
          ours.before = { _tag: "Absent" }
        })
      ),
      (error) => {
        if (!(error instanceof Fault.Fault) || !isOccupied(error)) return Effect.fail(error)
        site.service.replacing = true
        ours.unclear = false
        sent = 0
        return Effect.andThen(look, once(undefined))
      }
    )
    const put = Effect.gen(function* () {
      if (!earlier) yield* free(setting)
      ours.claim = { size: length, digests, parts: undefined }
      told = undefined
      const unknown = ours.before._tag === "Unknown" && !earlier
      if (unknown && part.replayable !== true) yield* look
      const headers = yield* unknown && part.replayable === true ? onlyNew : once(ifNoneMatch ? "*" : undefined)
      const reported = Look.digestsOf({
        ChecksumCRC64NVME: headers["x-amz-checksum-crc64nvme"],
        ChecksumCRC32C: headers["x-amz-checksum-crc32c"],
        ChecksumType: headers["x-amz-checksum-type"]
      })
      const version = headers["x-amz-version-id"]
      ours.made = { etag: headers["etag"], version: version === "null" ? undefined : version, digests: reported }
      ours.unclear = false
      told = ours.told()
      return ours.made.etag ?? ""
    })
    /** Whether it is there all the same, after an answer that does not say so. */
    const mayBe = (fault: Fault.Fault): Effect.Effect<string, Fault.Fault> =>
      Effect.gen(function* () {
        // The transport sends it once more when a kept connection turns out to be dead.
        const before = earlier || sent > length
        if (fault.clear) ours.unclear = before
        // Our own object of before, whose answer was lost, is in the way of the same one.
        const inTheWay = ifNoneMatch && before && fault.status === 412
        if ((fault.clear && !inTheWay) || (!ours.unclear && !ifNoneMatch)) return yield* fault
        const found = yield* Effect.option(ours.find(false))
        if (found._tag === "Some" && found.value._tag === "Ours") return ours.made?.etag ?? ""
        if (!ifNoneMatch || found._tag === "None" || found.value._tag !== "None" || !found.value.taken)
          return yield* fault
        // Another one: whatever of ours is still on its way will be refused.
        ours.unclear = false
        // Many a service hangs up on a body that it refuses, before its answer is heard.
        return yield* fault.clear ? fault : Fault.make("Conflict", there)
      })
    return Effect.mapError(
      Effect.catch(put, (error): Effect.Effect<string, Fault.Fault | E> =>
        error instanceof Fault.Fault ? mayBe(error) : Effect.fail(error)
      ),
      toStore(uri)
    )
  }

  const look = Effect.map(Look.at(site), (now) => {
    ours.before = now
  })

  const inspect: Effect.Effect<Inspection, Fault.Fault> = Effect.suspend(() => {
    const known = told
    // Whoever looks again wants to know what is there then.
    told = undefined
    return known === undefined ? looked : Effect.succeed(known)
  })

  const looked: Effect.Effect<Inspection, Fault.Fault> = Effect.suspend(() =>
    !ours.possible
      ? Effect.succeed<Inspection>({ _tag: "Ready" })
      : Effect.flatMap(ours.find(false), (found): Effect.Effect<Inspection, Fault.Fault> => {
          if (found._tag === "Ours") return Effect.succeed(found.inspection)
          if (found._tag === "Other") return Effect.fail(other)
          if (ours.made === undefined) return Effect.succeed({ _tag: "Ready" })
          ours.made = undefined
          return Effect.succeed({ _tag: "Absent" })
        })
  )

  return {
    ...common(setting, ours),
    shape: "parts",
    wanted: [proof.algorithm],
    partDigests: [proof.algorithm],
    limits: {
      minBytes: 1,
      maxBytes: setting.partBytes,
      maxParts: 1,
      preferredBytes: Math.max(1, content.size ?? 1),
      inFlight: 1
    },
    begin: Effect.suspend(() =>
      replaces(setting) && !ours.possible
        ? Effect.fail(Fault.toStoreError(Fault.make("Conflict", there), uri))
        : Effect.void
    ),
    writePart,
    finish: ({ digests, size }) =>
      Effect.sync(() => {
        ours.claim = { size, digests: { ...ours.claim?.digests, ...digests }, parts: undefined }
      }),
    inspect: stored(inspect),
    // What is there is replaced by the next one, unless that may only be the first.
    recreate: Effect.suspend(() =>
      ifNoneMatch
        ? Effect.flatMap(ours.remove, (left) =>
            left === "none" ? Effect.void : Effect.fail(Fault.toStoreError(Fault.make("Conflict", there), uri))
          )
        : Effect.void
    ),
    discard: ours.remove,
    left: ours.left
  }
}
