/**
 * An object written as segments and a manifest that names them: a static large object. The object does not exist before
 * its manifest does; until then the segments lie in a container of their own.
 *
 * Every segment's MD5 is compared with ours: told beforehand where it is known, else computed while the bytes pass and
 * compared with the answer's. The manifest repeats them, and its own ETag is checked against the same sum made here.
 */
import type { Content, Left, PartBody, PartsSession, StoredPart } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Assembly from "./assembly.ts"
import * as Download from "./download.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Manifest from "./manifest.ts"
import * as Names from "./names.ts"
import * as Objects from "./objects.ts"
import * as Place from "./place.ts"
import * as Platform from "./platform.ts"
import * as Sending from "./sending.ts"
import * as Uploads from "./uploads.ts"

export interface Cut {
  readonly minBytes: number
  readonly maxBytes: number
  /** Of one manifest. */
  readonly maxSegments: number
  readonly preferredBytes: number
}

interface State {
  upload: Names.Upload | undefined
  /** Numbers of the segments that may be there, whatever a listing says. */
  readonly begun: Set<number>
  /** Of these, those that were sent whole and of which nobody has answered: they may come into being yet. */
  readonly unanswered: Set<number>
  /** ETag of the object that `finish` is to make. */
  expected: string | undefined
  /** Why the segments do not make the object. */
  spoiled: string | undefined
  /** The object that was there before is made of these very segments. */
  inUse: boolean
  segments: number
}

/** Milliseconds after which it is looked once more whether a segment has come that was on its way. */
const waits = [250, 500, 1000]

/** The same, of whether a manifest has made its object. */
const standingWaits = [50, 200, 600]

export const make = (target: Place.Target, content: Content, cut: Cut): PartsSession => {
  const { api, container, limits, object, segmentContainer, uri } = target
  const state: State = {
    upload: undefined,
    begun: new Set(),
    unanswered: new Set(),
    expected: undefined,
    spoiled: undefined,
    inUse: false,
    segments: 0
  }
  // How many segments an object will have that nobody knows the size of, nobody knows either: manifests may name manifests.
  const maxParts = content.size === undefined ? cut.maxSegments ** 2 : cut.maxSegments
  const place = Place.make(
    target,
    (found) => found.etag === state.expected,
    () => !state.inUse,
    // The manifest's ETag is made by Swift, of the ETags that its segments have.
    (found) => found.kind === "slo" && state.segments > 0 && found.etag === state.expected
  )

  const assembly = Assembly.make(target, cut.maxSegments, (why) => {
    state.spoiled = why
  })

  const asStoreError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, StoreError.StoreError, R> =>
    Effect.mapError(effect, (fault) => Fault.toStoreError(fault, uri))

  const ensure = Effect.gen(function* () {
    yield* place.ensure(container, target.policy)
    yield* place.ensure(segmentContainer, undefined)
  })

  const begin = Effect.gen(function* () {
    if (state.upload !== undefined) return
    yield* ensure
    const now = yield* Clock.currentTimeMillis
    const random = yield* Platform.uuid
    state.upload = Names.newUpload({ container: segmentContainer, object, now, random, size: content.size })
  })

  const noUpload = Fault.make("NotFound", "there is no upload to send segments to")

  const writePart = <E, R>(part: PartBody<E, R>): Effect.Effect<string, Fault.Fault | E, R> =>
    Effect.suspend(() => {
      const { upload } = state
      const { digests, number } = part
      if (upload === undefined) return Effect.fail(noUpload)
      if (number > maxParts) {
        const message = `an object has at most ${maxParts} segments, and more bytes come than fit into those`
        return Effect.fail(Fault.make("TooLarge", message))
      }
      state.begun.add(number)
      let sent = 0
      return Effect.map(
        Sending.send<E, R>({
          api,
          path: Names.pathOf(segmentContainer, Names.segmentOf(upload, number)),
          body: {
            ...part,
            onSent: (bytes) => {
              sent += bytes
              if (sent === part.length) state.unanswered.add(number)
              part.onSent(bytes)
            }
          },
          md5: digests.md5,
          compares: digests.md5 === undefined,
          contentType: "application/octet-stream",
          what: `segment ${number} was not taken`
        }),
        ({ etag }) => {
          state.unanswered.delete(number)
          return etag
        }
      ).pipe(
        Effect.tapError((error) =>
          Effect.sync(() => {
            if (error instanceof Fault.Fault && error.clear) state.unanswered.delete(number)
          })
        ),
        Effect.catch((error): Effect.Effect<never, Fault.Fault | E> => {
          if (!(error instanceof Fault.Fault) || error.status !== 404) return Effect.fail(error)
          const again = new Fault.Fault({ ...error, retryable: true })
          return Effect.andThen(ensure, Effect.fail(again))
        })
      )
    })

  const finish = ({ answerMs, parts, size }: Parameters<PartsSession["finish"]>[0]): Effect.Effect<void, Fault.Fault> =>
    Effect.gen(function* () {
      const { upload } = state
      if (upload === undefined) return yield* noUpload
      const entries = size === 0 ? [] : yield* assembly.entriesOf(upload, parts, answerMs)
      const expected = yield* Manifest.etagOf(entries.map(({ etag }) => etag))
      state.expected = expected
      state.segments = size === 0 ? 0 : parts.length
      const { undo } = place.attempt()
      // Also for whoever is interrupted while the answer is awaited.
      place.unanswered.value = true
      const reply = yield* Effect.tapError(
        size === 0 ? assembly.putEmpty(expected, answerMs) : assembly.put(upload, entries, expected, answerMs),
        (fault) =>
          Effect.sync(() => {
            if (fault.clear) undo()
            // A gateway has not waited for what Swift does yet.
            if (fault.clear || fault.requestId !== undefined) place.unanswered.value = false
          })
      )
      const { requestId, status } = reply
      const etag = Objects.unquoted(reply.headers["etag"])
      place.taken(etag)
      if (etag !== expected) {
        state.spoiled = `its ETag is to be ${expected}, the service says ${etag === "" ? "none" : etag}`
        return yield* Fault.make("DigestMismatch", `${Assembly.what} of its segments: ${state.spoiled}`, {
          status,
          ...(requestId === undefined ? undefined : { requestId }),
          retryable: true,
          clear: false
        })
      }
      if (size === 0) yield* Effect.ignore(removeSegments(upload))
    }).pipe(
      Effect.catch((fault): Effect.Effect<never, Fault.Fault> => {
        if (fault.status !== 404) return Effect.fail(fault)
        // Somebody has deleted a container meanwhile.
        return Effect.andThen(ensure, Effect.fail(new Fault.Fault({ ...fault, retryable: true })))
      })
    )

  const removeSegments = (upload: Names.Upload): Effect.Effect<void, Fault.Fault> =>
    Effect.gen(function* () {
      // A listing may lag behind; what this session has begun it knows without.
      const listed = Effect.map(Objects.list(api, upload.container, upload.prefix), (all) =>
        all.map(({ name }) => name)
      )
      const names = new Set(yield* listed)
      for (const number of state.begun) names.add(Names.segmentOf(upload, number))
      yield* Objects.removeAll(api, limits, upload.container, [...names])
      // A request that was cut may still lie before the service, and be served after those that delete.
      for (const wait of state.unanswered.size === 0 ? [] : waits) {
        yield* Effect.sleep(wait)
        yield* Objects.removeAll(api, limits, upload.container, yield* listed)
      }
    })

  const forget = () => {
    state.upload = undefined
    state.begun.clear()
    state.unanswered.clear()
    state.spoiled = undefined
    state.inUse = false
    place.again()
  }

  const uploadLeft = (upload: Names.Upload): Left => `upload ${Names.tokenOf(upload)} of ${uri}`

  const discardUpload = (upload: Names.Upload): Effect.Effect<Left, Fault.Fault> =>
    Effect.gen(function* () {
      if (state.inUse) return `object ${uri}`
      if (place.attempted()) {
        let standing = yield* place.standing
        // A manifest that nobody has heard the end of is mostly made within a moment.
        for (const wait of place.unanswered.value ? standingWaits : []) {
          if (standing === "ours") break
          yield* Effect.sleep(wait)
          standing = yield* place.standing
        }
        if (standing === "ours" && !(yield* place.remove)) return `object ${uri}`
        // The manifest may come into being yet, and would then be one without segments.
        if (standing !== "ours" && place.unanswered.value) return uploadLeft(upload)
      }
      const removed = yield* Effect.result(removeSegments(upload))
      if (Result.isFailure(removed)) return uploadLeft(upload)
      forget()
      return "none"
    })

  const discard: Effect.Effect<Left> = Effect.suspend(() =>
    state.upload === undefined
      ? Effect.succeed("none")
      : Effect.orElseSucceed(discardUpload(state.upload), () => `unknown ${uri}`)
  )

  const left: Effect.Effect<Left> = Effect.suspend(() => {
    const { upload } = state
    if (upload === undefined) return Effect.succeed("none")
    return Effect.orElseSucceed(
      Effect.gen(function* () {
        if (state.inUse) return `object ${uri}`
        if (place.attempted() && (yield* place.standing) === "ours") return `object ${uri}`
        const listed = yield* Objects.list(api, upload.container, upload.prefix)
        return listed.length > 0 || state.begun.size > 0 ? uploadLeft(upload) : "none"
      }),
      () => `unknown ${uri}`
    )
  })

  /** Segments that are there as they were noted. What nobody has noted may be what nobody has compared. */
  const resume = (
    token: string,
    noted: ReadonlyArray<StoredPart>
  ): Effect.Effect<ReadonlyArray<StoredPart> | undefined, Fault.Fault> =>
    Effect.gen(function* () {
      const upload = Names.parseToken(segmentContainer, object, token)
      if (upload === undefined) return undefined
      const listed = yield* Objects.list(api, upload.container, upload.prefix)
      if (listed.length === 0) return undefined
      const there = new Map(listed.map((entry) => [entry.name, entry]))
      const parts = noted.filter(({ length, number, tag }) => {
        const found = there.get(Names.segmentOf(upload, number))
        return found !== undefined && found.bytes === length && found.hash === tag
      })
      const used = yield* Uploads.inUse(api, target)
      yield* ensure
      state.upload = upload
      state.inUse = used.has(upload.prefix)
      for (const { name } of listed) {
        const segment = Names.parseSegment(object, name)
        if (segment?.manifest === false) state.begun.add(segment.number)
      }
      return parts.map(({ length, number, offset, tag }) => ({ number, offset, length, tag, digests: { md5: tag } }))
    })

  return {
    shape: "parts",
    wanted: [],
    limits: {
      minBytes: cut.minBytes,
      maxBytes: cut.maxBytes,
      maxParts,
      preferredBytes: cut.preferredBytes
    },
    partDigests: ["md5"],
    begin: asStoreError(begin),
    writePart: (part) =>
      Effect.mapError(writePart(part), (error) =>
        error instanceof Fault.Fault ? Fault.toStoreError(error, uri) : error
      ),
    finish: (finished) => asStoreError(finish(finished)),
    resumption: {
      token: Effect.sync(() => (state.upload === undefined ? "" : Names.tokenOf(state.upload))),
      resume: (token, noted) => asStoreError(resume(token, noted))
    },
    inspect: asStoreError(
      Effect.suspend(() => {
        const { spoiled } = state
        if (spoiled !== undefined) return Effect.succeed({ _tag: "Spoiled" as const, why: spoiled })
        return state.upload === undefined ? Effect.succeed({ _tag: "Absent" as const }) : place.inspect
      })
    ),
    checkPlace: () => Effect.void,
    recreate: asStoreError(
      Effect.gen(function* () {
        const remains = yield* discard
        if (remains !== "none" && !remains.startsWith("object ")) {
          return yield* Fault.make("Conflict", `the segments of an earlier attempt cannot be deleted: ${remains}`)
        }
        forget()
        yield* begin
      })
    ),
    owned: Effect.succeed(true),
    location: Effect.succeed(uri),
    discard,
    left,
    seal: Effect.void,
    read: Stream.mapError(
      Download.stream(api, { path: Place.pathOf(target), offset: 0, size: undefined, etag: undefined }),
      (fault) => Fault.toStoreError(fault, uri)
    ),
    notes: Effect.sync(() => [
      ...place.notes,
      ...(place.isTaken() && state.segments > 0
        ? [`proof: the ETag of the manifest, which is made of the MD5s of its ${state.segments} segments`]
        : [])
    ])
  }
}
