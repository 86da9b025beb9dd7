/**
 * Sends one body: to where the object goes, or to where a redirect has led. A redirect that comes before a byte of the
 * body (thanks to `Expect: 100-continue`) is followed at once; after that it takes a new reading of the source, which is
 * the engine's to begin.
 */
import { type Digests } from "@headrace/core/Digest"
import * as Guard from "@headrace/core/Guard"
import type { Body } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { type Response, type Trailers, type Transport, TransportError } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Answer from "./answer.ts"
import * as DigestFields from "./digestFields.ts"
import * as Redirect from "./redirect.ts"
import * as Target from "./target.ts"
import * as Words from "./words.ts"

export interface Settings {
  readonly method: "PUT" | "POST"
  readonly ifNoneMatch: boolean
  readonly fields: ReadonlyArray<DigestFields.DigestField>
  readonly trailers: boolean
  /** Digests that are claimed of the content before it is sent. */
  readonly claimed: Digests
}

/** Where the next body goes. */
export interface Way {
  readonly url: URL
  /** Redirects that have led there. */
  readonly hops: number
}

/** A success: what the server said of it. */
export interface Taken {
  readonly status: number
  /** Of whoever has taken it. */
  readonly origin: string
  readonly etag: string | undefined
  /** Where the server has put it, if it says so. */
  readonly location: URL | undefined
}

/** How far a body has come, for whoever has to judge a failure. */
export interface Progress {
  /** Whether the body's stream was opened. */
  started: boolean
  /** Whether all of it was handed on. */
  ended: boolean
}

const successes = new Set([200, 201, 202, 204])

export const what = "the object was not taken"

/** The fields that are known before the body, and those that can only be known at its end. */
const split = ({ claimed, fields, trailers }: Settings) => {
  const known: Record<string, string> = {}
  const later: Array<DigestFields.DigestField> = []
  for (const field of fields) {
    const value = DigestFields.valueOf(field, claimed)
    if (value !== undefined) known[DigestFields.nameOf[field]] = value
    else if (trailers) later.push(field)
  }
  return { known, later }
}

const trailersOf = (
  later: ReadonlyArray<DigestFields.DigestField>,
  finalDigests: Effect.Effect<Digests | undefined>
): Trailers<never, never> => ({
  names: later.map((field) => DigestFields.nameOf[field]),
  values: Effect.map(finalDigests, (digests = {}) =>
    Object.fromEntries(
      later.flatMap((field) => {
        const value = DigestFields.valueOf(field, digests)
        return value === undefined ? [] : [[DigestFields.nameOf[field], value]]
      })
    )
  )
})

const locationOf = ({ headers }: Response, from: URL): URL | undefined => {
  const { location } = headers
  return location !== undefined && URL.canParse(location, from.href) ? new URL(location, from) : undefined
}

/** Sends a body on a way. `onWay` is told of another way, when it takes another body to go there. */
export const send = <E, R>(input: {
  readonly transport: Transport["Service"]
  readonly target: Target.Target
  readonly settings: Settings
  readonly body: Body<E, R>
  readonly way: Way
  readonly progress: Progress
  readonly onWay: (way: Way) => void
}): Effect.Effect<Taken, StoreError.StoreError | E, R> => {
  const { body, onWay, progress, settings, target, transport } = input
  const { uri } = target
  const { known, later } = split(settings)
  const trailers = later.length === 0 ? undefined : trailersOf(later, body.finalDigests ?? Effect.undefined)
  let sent = 0
  const stream = Stream.suspend(() => {
    progress.started = true
    return Guard.atEnd(
      Effect.sync(() => {
        progress.ended = true
      })
    )(body.stream)
  })

  const once = ({ hops, url }: Way): Effect.Effect<Taken | Way, StoreError.StoreError | E, R> =>
    Effect.scoped(
      Effect.gen(function* () {
        const ours = url.origin === target.origin
        const tls = ours ? target.tls : Target.anonymous(target.tls)
        const response: Response = yield* transport
          .send<E, R>({
            method: settings.method,
            url: url.href,
            headers: {
              ...(ours ? target.headers : undefined),
              ...known,
              "Content-Type": target.contentType,
              ...(settings.ifNoneMatch ? { "If-None-Match": "*" } : undefined)
            },
            body: { _tag: "Blocks", stream, length: body.length },
            ...(trailers === undefined ? undefined : { trailers }),
            ...(tls === undefined ? undefined : { tls }),
            stallMs: body.stallMs,
            answerMs: body.answerMs,
            onSent: (bytes) => {
              sent += bytes
              body.onSent(bytes)
            }
          })
          .pipe(
            Effect.mapError((error) =>
              error instanceof TransportError ? Answer.ofTransport(error, uri) : (error as E)
            )
          )
        const { status } = response
        const refused = (message: string, more?: Partial<StoreError.Fields>) =>
          StoreError.make("Rejected", { uri, message: `${what}: ${message}`, status, ...more })
        if (status >= 200 && status < 300) {
          // Whoever counts the bytes may answer as soon as the last one is there.
          const counted = body.length !== undefined && trailers === undefined && sent >= body.length
          if (response.early && !counted) {
            const of = body.length === undefined ? "" : ` of ${body.length}`
            const message = `the server called it complete (${Words.status(status)}) after ${sent}${of} bytes`
            return yield* refused(message, { retryable: true, clear: false })
          }
          if (!successes.has(status)) {
            return yield* refused(`the server answered ${status}, which says nothing of the object`, { clear: false })
          }
          return { status, origin: url.origin, etag: response.headers["etag"], location: locationOf(response, url) }
        }
        if (status >= 300 && status < 400) {
          const next = Redirect.judge(url, response, hops)
          if (next._tag === "Refuse") {
            // Many a form answers so when it has taken what was posted (RFC 9110 §15.4.4).
            return yield* refused(next.why, { clear: settings.method === "PUT" || !progress.ended })
          }
          const way = { url: next.url, hops: hops + 1 }
          if (!progress.started) return way
          onWay(way)
          const message = `the server redirects to ${next.url.origin} (${Words.status(status)}): sent again, there`
          return yield* StoreError.make("Rejected", { uri, message, status, retryable: true })
        }
        const answer = yield* Answer.read(response, Target.withSecretsOf(url, target.secrets))
        return yield* Answer.refusal(answer, {
          method: settings.method,
          what,
          uri,
          signed: ours && target.headers["authorization"] !== undefined,
          sized: body.length !== undefined && trailers === undefined,
          contentType: target.contentType
        })
      })
    )

  const follow = (way: Way): Effect.Effect<Taken, StoreError.StoreError | E, R> =>
    Effect.flatMap(once(way), (result) => ("hops" in result ? follow(result) : Effect.succeed(result)))
  return follow(input.way)
}
