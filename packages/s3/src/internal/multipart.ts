/**
 * An object of several parts: `CreateMultipartUpload`, `UploadPart` and `CompleteMultipartUpload`.
 */
import type { CreateMultipartUploadCommandOutput } from "@aws-sdk/client-s3"
import type { Digests } from "@headrace/core/Digest"
import type { Inspection, Left, PartBody, PartsSession, Resumption, StoredPart } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Earlier from "./earlier.ts"
import { hexOfBase64 } from "./encoding.ts"
import * as Fault from "./fault.ts"
import { digestsOf } from "./look.ts"
import { Ours } from "./ours.ts"
import * as Proof from "./proof.ts"
import { asStore, common, free, other, replaces, type Setting, there, toStore } from "./setting.ts"
import * as Uploads from "./uploads.ts"

const mib = 1024 * 1024

/** How long the answer to a creation is awaited by those who tidy up, in milliseconds. */
const hearMs = 1500

/** What every part but the last has at least, what none has more of, and how many there are (S3's quotas). */
export const limits = { minBytes: 5 * mib, maxBytes: 5 * 1024 * mib, maxParts: 10_000 }

const wantsAllWhy = "it wants checksums of parts that there was no memory for"

export const make = (setting: Setting): PartsSession => {
  const { before, ifNoneMatch, metadata, profile, site, uri } = setting
  const { bucket, key } = site.place
  const ours = new Ours(setting)
  const stored = asStore(uri)
  let upload: string | undefined
  /** A creation whose answer nobody waits for any more. */
  let creating: Fiber.Fiber<CreateMultipartUploadCommandOutput, Fault.Fault> | undefined
  /** There may be an upload whose id nobody has heard. */
  let unheard = false
  let proof = Proof.candidates(profile)[0]!
  /** Digests that the service has computed of parts, by their ETags. */
  const reports = new Map<string, Digests>()

  /** Whether the service refuses parts without the checksum that nobody had the memory to compute in front of them. */
  let wantsAll = false

  const chosen = (found: Proof.Proof, how: string, words = found.words) => {
    proof = found
    for (const note of ours.notes) if (note.startsWith("proof: ")) ours.notes.delete(note)
    ours.notes.add(`proof: ${words} (${how})`)
  }

  const begin = Effect.gen(function* () {
    if (upload !== undefined) return
    if (replaces(setting)) return yield* Fault.make("Conflict", there)
    const candidates = wantsAll ? [Proof.proofs.etag] : Proof.candidates(profile)
    for (const [index, candidate] of candidates.entries()) {
      // It goes on when nobody waits: only its answer has the id by which the upload can be given up.
      creating = yield* Effect.forkDetach(
        site.call("the upload cannot be begun", (s3, { CreateMultipartUploadCommand }, options) =>
          s3.send(
            new CreateMultipartUploadCommand({ Bucket: bucket, Key: key, ...metadata, ...candidate.create }),
            options
          )
        ),
        { startImmediately: true }
      )
      const answer = yield* Effect.result(Fiber.join(creating))
      creating = undefined
      if (answer._tag === "Failure") {
        const fault = answer.failure
        // A service that does not know the checksum says so here.
        if ((fault.status === 400 || fault.status === 501) && index < candidates.length - 1) continue
        if (!fault.clear) {
          unheard = true
          ours.notes.add("an upload whose creation got no answer may be there, without parts; nobody knows its id")
        }
        return yield* fault
      }
      const { ChecksumAlgorithm, UploadId } = answer.success
      if (UploadId === undefined) {
        return yield* Fault.make("Rejected", "the upload cannot be begun: the service gave it no id")
      }
      upload = UploadId
      if (wantsAll) chosen(Proof.proofs.etag, wantsAllWhy, "what the service has of the whole by itself, else its size")
      else if (candidates.length === 1) {
        chosen(candidate, setting.known === "configured" ? "configured" : `known of ${profile.name}`)
      } else chosen(candidate.echo === ChecksumAlgorithm ? candidate : Proof.proofs.etag, "probed")
      return
    }
  })

  const writePart = <E, R>(part: PartBody<E, R>): Effect.Effect<string, StoreError.StoreError | E, R> => {
    const what = `part ${part.number} was not taken`
    const sent = Effect.gen(function* () {
      const headers = yield* site.send(
        what,
        {
          ContentLength: part.length,
          ...Proof.fieldsOf(proof, part.digests),
          part: { UploadId: upload ?? "", PartNumber: part.number }
        },
        part
      )
      const { etag } = headers
      if (etag === undefined) return yield* Fault.make("Rejected", `${what}: the service gave it no ETag`)
      const reported = proof.header === undefined ? undefined : headers[proof.header]
      const theirs = reported === undefined ? undefined : hexOfBase64(reported)
      const mine = part.digests[proof.algorithm]
      if (theirs !== undefined && mine !== undefined && theirs !== mine) {
        const message = `${what}: its ${proof.algorithm} is ${mine}, the service has ${theirs}`
        return yield* Fault.make("DigestMismatch", message, { retryable: true })
      }
      if (theirs !== undefined) reports.set(etag, { [proof.algorithm]: theirs })
      return etag
    })
    const unannounced = proof.header !== undefined && part.digests[proof.algorithm] === undefined
    return Effect.mapError(sent, (error) => {
      if (!(error instanceof Fault.Fault) || !unannounced || error.status !== 400) return toStore(uri)(error)
      // Not to be sent again into this upload: into another one, that is begun without checksums.
      wantsAll = true
      return Fault.toStoreError(Fault.unclear(error), uri)
    })
  }

  const complete = (parts: ReadonlyArray<StoredPart>, size: number, digests: Digests, answerMs: number) =>
    Effect.gen(function* () {
      const earlier = ours.unclear
      if (!earlier) yield* free(setting)
      ours.claim = { size, digests, parts }
      // From here on there may be an object of ours, however this ends: an interruption has no answer either.
      ours.unclear = true
      const whole = proof.mode === "full" ? Proof.fieldsOf(proof, digests) : {}
      const answer = yield* Effect.result(
        site.call(
          "the object could not be made of its parts",
          (s3, { CompleteMultipartUploadCommand }, options) =>
            s3.send(
              new CompleteMultipartUploadCommand({
                Bucket: bucket,
                Key: key,
                UploadId: upload,
                MultipartUpload: {
                  Parts: parts.map((part) => Proof.completed(proof, part, reports.get(part.tag) ?? {}))
                },
                ...(proof.mode === "full" ? { ChecksumType: "FULL_OBJECT", MpuObjectSize: size, ...whole } : undefined),
                ...(ifNoneMatch ? { IfNoneMatch: "*" } : undefined)
              }),
              options
            ),
          answerMs
        )
      )
      if (answer._tag === "Success") {
        const { ETag, VersionId } = answer.success
        const version = VersionId === "null" ? undefined : VersionId
        ours.made = { etag: ETag, version, digests: digestsOf(answer.success) }
        ours.unclear = false
        return
      }
      const fault = answer.failure
      if (earlier && (Uploads.isGone(fault) || fault.status === 412)) {
        const found = yield* ours.find(true)
        if (found._tag === "Ours") return
      }
      if (fault.clear || Uploads.isGone(fault)) ours.unclear = earlier
      // The same parts give the same digest again.
      return yield* fault.reason === "DigestMismatch" ? Fault.retrying(fault, false) : fault
    })

  const exists = Effect.suspend(() =>
    upload === undefined
      ? Effect.succeed(false)
      : Uploads.parts(site, upload, 1).pipe(
          Effect.map((found) => found !== undefined),
          // Keys that may not list: what is sent next tells.
          Effect.catch((fault) => (Uploads.isForbidden(fault) ? Effect.succeed(true) : Effect.fail(fault)))
        )
  )

  const inspect: Effect.Effect<Inspection, Fault.Fault> = Effect.gen(function* () {
    const found = ours.possible ? yield* ours.find(false) : undefined
    if (found?._tag === "Ours") return found.inspection
    if (found?._tag === "Other") return yield* other
    if (ours.made !== undefined) {
      ours.made = undefined
      return { _tag: "Absent" }
    }
    // An upload into which the parts cannot go is as good as none.
    const usable = !wantsAll || proof.mode === "etag"
    if (usable && (yield* exists)) return { _tag: "Ready" }
    // What looks like before may be ours all the same, as nobody else ends our upload.
    const last = ours.unclear ? yield* ours.find(true) : undefined
    return last?._tag === "Ours" ? last.inspection : { _tag: "Absent" }
  })

  /** Gives the upload up; what it says is left of it. */
  const abandon: Effect.Effect<Left> = Effect.suspend(() => {
    if (ours.made !== undefined) return Effect.succeed("none")
    if (upload === undefined) return Effect.succeed(unheard ? `unknown ${uri}` : "none")
    const id = upload
    return Effect.map(Uploads.abandon(site, id), (gone) => {
      if (!gone) return `upload ${id} of ${uri}`
      upload = undefined
      return "none"
    })
  })

  /** Waits for the id of an upload whose creation was not waited for. */
  const heard = Effect.gen(function* () {
    if (creating === undefined) return
    const creation = creating
    creating = undefined
    const exit = yield* Effect.timeoutOption(Fiber.await(creation), hearMs)
    if (Option.isNone(exit)) yield* Fiber.interrupt(creation)
    if (Option.isSome(exit) && Exit.isSuccess(exit.value)) upload = exit.value.value.UploadId
    else unheard = true
  })

  const discard: Effect.Effect<Left> = Effect.gen(function* () {
    yield* heard
    const left = yield* abandon
    if (left !== "none") return left
    // An object that was made of it is not given up with it.
    return yield* ours.remove
  })

  const left: Effect.Effect<Left> = Effect.gen(function* () {
    yield* heard
    if (unheard && upload === undefined) return `unknown ${uri}`
    if (ours.made !== undefined) return yield* ours.left
    const found = yield* Effect.result(exists)
    if (found._tag === "Success" && !found.success) return yield* ours.left
    return `upload ${upload} of ${uri}`
  })

  const resumption: Resumption = {
    token: Effect.sync(() => upload ?? ""),
    resume: (token, noted, { partBytes, size }) =>
      stored(
        Effect.gen(function* () {
          const listing = yield* Uploads.parts(site, token)
          if (listing === undefined && Earlier.isMadeOf(before, noted, size)) {
            // The process ended between Complete and its answer. Complete is asked again, and told that it is so.
            upload = token
            ours.unclear = true
            return noted
          }
          if (replaces(setting)) return yield* Fault.make("Conflict", there)
          if (listing === undefined) return undefined
          upload = token
          const begunWith = Proof.ofAlgorithm(listing.algorithm)
          // Not every service that has checksums lists them.
          const untold = listing.algorithm === undefined && profile.checksums !== "probe"
          chosen(untold ? proof : begunWith, untold ? `known of ${profile.name}` : "as the upload was begun")
          return Earlier.same(listing.parts, noted, proof, { partBytes, size })
        })
      )
  }

  return {
    ...common(setting, ours),
    shape: "parts",
    limits: { ...limits, preferredBytes: setting.partBytes },
    // What the service checks is known when the upload is begun.
    get wanted() {
      return [proof.algorithm]
    },
    get partDigests() {
      return [proof.algorithm]
    },
    begin: stored(begin),
    writePart,
    finish: ({ answerMs, digests, parts, size }) => stored(complete(parts, size, digests, answerMs)),
    inspect: stored(inspect),
    recreate: stored(
      Effect.gen(function* () {
        const rest = yield* discard
        if (rest !== "none" && ifNoneMatch && ours.possible) return yield* Fault.make("Conflict", there)
        if (rest.startsWith("upload ")) ours.notes.add(`left behind: ${rest}`)
        upload = undefined
        ours.made = undefined
        ours.unclear = false
        yield* begin
      })
    ),
    discard,
    left,
    resumption
  }
}
