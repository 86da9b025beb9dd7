/**
 * One object being written: what was at its URL before is remembered, so that it is never taken for ours, and never
 * deleted. It retries no body; that is the engine's.
 */
import type { Algorithm } from "@headrace/core/Digest"
import type { Body, Content, Inspection, Left, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Answer from "./answer.ts"
import { download } from "./download.ts"
import * as Look from "./look.ts"
import * as Sending from "./sending.ts"
import * as Target from "./target.ts"
import * as Words from "./words.ts"

export interface Options {
  readonly transport: Transport["Service"]
  readonly target: Target.Target
  readonly settings: Sending.Settings
  readonly content: Content
  readonly wanted: ReadonlyArray<Algorithm>
  readonly etagIs: "md5" | undefined
  /** What was there before; a POST makes something of its own, elsewhere. */
  readonly before: Look.Look
}

interface State {
  way: Sending.Way
  /** Whether something at the destination may be of our making. */
  maybe: boolean
  /** Whether somebody else was found to be there. */
  foreign: boolean
  /** Of the last body, if it was. */
  taken: Sending.Taken | undefined
  /** Whether one has, and nobody has answered: it may come into being after it was looked for. */
  unanswered: boolean
  readonly notes: Set<string>
}

export const spotOf = (target: Target.Target, etagIs: "md5" | undefined, url = target.url): Look.Spot => {
  const ours = new URL(url).origin === target.origin
  return {
    uri: target.uri,
    url,
    headers: ours ? Target.lookHeaders(target.headers) : {},
    tls: ours ? target.tls : Target.anonymous(target.tls),
    etagIs
  }
}

const unaskedWhy = (look: Exclude<Look.Look, Look.Found>): string =>
  look._tag === "Absent" ? Words.status(404) : Words.status(look.status)

export const make = (options: Options): WholeSession => {
  const { content, etagIs, settings, target, transport, wanted } = options
  const { uri } = target
  const post = settings.method === "POST"
  const start: Sending.Way = { url: new URL(target.url), hops: 0 }
  const state: State = {
    way: start,
    maybe: false,
    foreign: false,
    taken: undefined,
    unanswered: false,
    notes: new Set()
  }
  /** Bytes of the whole, once they are known. */
  let size = content.size
  let { before } = options
  /** Whether HEAD is known to deny what is there. */
  let denies = false

  /** Where the object is; a POST's is where the server says that it has made it (RFC 9110 §9.3.3). */
  const place = (): URL | undefined =>
    !post ? start.url : state.taken?.status === 201 ? state.taken.location : undefined
  const placeUri = (): string => Target.uriOf(place() ?? start.url)

  const look = (url: URL, doubtful: boolean) =>
    Effect.tap(Look.at(transport, spotOf(target, etagIs, url.href), doubtful || denies), (found) =>
      Effect.sync(() => {
        if (found._tag !== "Found" || !found.denied) return
        // What it said of the time before is worth nothing either.
        denies = true
        if (before._tag === "Absent") before = { _tag: "Unasked", status: 404, away: false }
      })
    )

  const begin: Effect.Effect<void, StoreError.StoreError> = Effect.suspend(() =>
    settings.ifNoneMatch && before._tag === "Found" && !state.maybe
      ? Effect.fail(StoreError.make("Conflict", { uri, message: "there is an object already, which is not replaced" }))
      : Effect.void
  )

  const write = <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.suspend(() => {
      const maybeBefore = state.maybe
      const progress: Sending.Progress = { started: false, ended: false }
      const { way } = state
      let sent = 0
      state.taken = undefined
      state.way = start
      // From the first byte on something may come into being, however this ends.
      state.maybe = true
      return Sending.send({
        transport,
        target,
        settings,
        way,
        progress,
        body: {
          ...body,
          onSent: (bytes) => {
            sent += bytes
            body.onSent(bytes)
          }
        },
        onWay: (next) => {
          state.way = next
        }
      }).pipe(
        Effect.map((taken) => {
          state.taken = taken
          state.way = start
          state.unanswered = false
          size = sent
          if (taken.origin !== target.origin) state.notes.add(`the server had the object sent to ${taken.origin}`)
        }),
        Effect.mapError((error): StoreError.StoreError | E => {
          if (progress.ended) size = sent
          if (!(error instanceof StoreError.StoreError)) return error
          if (progress.ended && error.status === undefined && !error.clear) state.unanswered = true
          if (error.clear || !progress.started) state.maybe = maybeBefore
          if (error.reason._tag === "Conflict") state.foreign = true
          // Sent again, a POST may make a second object.
          if (!post || error.clear || !progress.ended || !error.retryable) return error
          return new StoreError.StoreError({
            ...error,
            retryable: false,
            message: `${error.message}; a POST that may have been taken is not sent again`
          })
        })
      )
    })

  const stored = (found: Look.Found | undefined): Inspection => ({
    _tag: "Stored",
    object: { id: placeUri(), size: found?.size, digests: found?.digests ?? {} }
  })

  /** Taken, and not to be seen: nothing but the server's word says that it is there. */
  const unseen = (why: string) =>
    Effect.sync(() => {
      const took =
        state.taken?.status === 202 ? "has accepted the object, which may not be stored yet" : "took the object"
      state.notes.add(`the server ${took}, and does not let it be looked at (${why}): its size is not known`)
      return stored(undefined)
    })

  const inspect: Effect.Effect<Inspection, StoreError.StoreError> = Effect.gen(function* () {
    const { taken } = state
    if (!state.maybe && taken === undefined) return { _tag: "Ready" }
    const url = place()
    if (url === undefined) {
      return taken === undefined ? { _tag: "Ready" } : yield* unseen("it does not say where it is")
    }
    const now = yield* look(url, taken !== undefined)
    if (taken === undefined) {
      // Not ours unless it is another one than before, and as long as what was sent.
      const ours = now._tag === "Found" && Look.differs(before, now) && size !== undefined && now.size === size
      return ours ? stored(now) : { _tag: "Ready" }
    }
    const late = taken.status === 202
    switch (now._tag) {
      case "Found":
        if (Look.isOther(taken.etag, now)) {
          state.foreign = true
          return yield* StoreError.make("Conflict", { uri, message: "another writer's bytes are there now" })
        }
        return late && !post && before._tag !== "Unasked" && !Look.differs(before, now)
          ? { _tag: "Busy", what: "the server has accepted it, and shows what was there before" }
          : stored(now)
      case "Absent":
        if (late) return { _tag: "Busy", what: "the server has accepted it, and does not show it" }
        // Of a URL that has shown an object it can be believed.
        return before._tag === "Found" ? { _tag: "Absent" } : yield* unseen(unaskedWhy(now))
      case "Unasked":
        if (now.away && before._tag !== "Unasked") {
          const message = `the object cannot be looked at: the server answered ${Words.status(now.status)}`
          return yield* StoreError.make("Unavailable", {
            uri,
            message,
            status: now.status,
            retryable: true,
            clear: false
          })
        }
        return yield* unseen(unaskedWhy(now))
    }
  })

  /** What is there, and whether it may be deleted: only what was not there before, and nobody else has put there. */
  const remains = Effect.gen(function* () {
    const touched = state.maybe || state.taken !== undefined
    const url = place()
    if (url === undefined) return { left: touched ? `unknown ${uri}` : "none", mine: undefined }
    const where = placeUri()
    const now = yield* Effect.option(look(url, false))
    if (now._tag === "None" || now.value._tag === "Unasked") {
      return { left: touched ? `unknown ${where}` : "none", mine: undefined }
    }
    if (now.value._tag === "Absent") return { left: state.unanswered ? `unknown ${where}` : "none", mine: undefined }
    const found = now.value
    // A server may name any address as that of what a POST has made; another's is not ours to delete there.
    const made = post ? url.origin === target.origin : before._tag === "Absent"
    const mine = touched && made && !state.foreign && !Look.isOther(state.taken?.etag, found)
    return { left: `object ${where}`, mine: mine ? { url, found } : undefined }
  })

  const discard: Effect.Effect<Left> = Effect.gen(function* () {
    const { left, mine } = yield* remains
    if (mine === undefined) return left
    const { found, url } = mine
    const { headers, tls } = spotOf(target, etagIs, url.href)
    const answer = yield* Effect.option(
      Effect.scoped(
        transport.send({
          method: "DELETE",
          url: url.href,
          // Whoever has put something else there in this moment keeps it (RFC 9110 §13.1.1).
          headers: { ...headers, ...(Look.isStrong(found.etag) ? { "If-Match": found.etag } : undefined) },
          ...(tls === undefined ? undefined : { tls })
        })
      )
    )
    if (answer._tag === "None") return `unknown ${placeUri()}`
    const { status } = answer.value
    if (status === 202) return (yield* remains).left
    if (!(status >= 200 && status < 300) && status !== 404 && status !== 410) return left
    state.maybe = false
    state.taken = undefined
    return "none"
  })

  const recreate: Effect.Effect<void, StoreError.StoreError> = Effect.gen(function* () {
    // What is there is replaced by the next body, unless that may only be the first.
    if (settings.ifNoneMatch && (yield* discard) !== "none") {
      return yield* StoreError.make("Conflict", {
        uri,
        message: "what is there cannot be deleted, and is not replaced"
      })
    }
    state.taken = undefined
  })

  return {
    shape: "whole",
    wanted,
    begin,
    write,
    inspect,
    checkPlace: () => Effect.void,
    recreate,
    owned: Effect.succeed(true),
    location: Effect.sync(placeUri),
    discard,
    left: Effect.map(remains, ({ left }) => left),
    seal: Effect.void,
    read: download(() => {
      const url = place()
      return url === undefined
        ? StoreError.make("Unsupported", { uri, message: "the object cannot be read back: nobody knows where it is" })
        : { transport, spot: spotOf(target, etagIs, url.href), secrets: Target.withSecretsOf(url, target.secrets) }
    }),
    notes: Effect.sync(() => [...state.notes])
  }
}

/** What cannot be written, for `plan`. */
export const unplannable = (look: Look.Look, target: Target.Target): StoreError.StoreError | undefined =>
  look._tag === "Unasked" && look.away
    ? Answer.refusal(
        { status: look.status, headers: {}, words: "", retryAfterMs: undefined },
        { method: "HEAD", what: "the URL cannot be looked at", uri: target.uri, signed: false }
      )
    : undefined
