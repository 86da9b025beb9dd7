/**
 * A URL as a source. A connection that is lost in the middle goes on where it was, by `Range` and `If-Range`
 * (RFC 9110 §13.1.5, §14.2), when the server can do that and the content is still the same. Otherwise the error is one
 * that may be retried, by opening the source anew from its start: that is the engine's decision.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import { type Response, Transport, TransportError } from "@headrace/core/Transport"
import { identityOf, lengthOf, rangeOf, rangeValidatorOf, sameContent } from "./internal/entity.ts"

/** Lost connections in a row, without a byte between them, after which the source has failed. */
const patience = 5

const firstWaitMs = 200
const longestWaitMs = 5000

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const unusable = (message: string): Source.Source<never> => {
  const error = SourceError.make("InvalidUri", { uri: "http:", message })
  return { uri: "http:", replayable: true, info: Effect.fail(error), open: () => Stream.fail(error) }
}

/** Whether the server could be reached, and closed the connection instead of answering. */
const hungUp = (cause: unknown): boolean =>
  cause instanceof TransportError && cause.reason._tag === "ConnectionLost" && cause.phase === "answer"

/** Why there is no connection. A passing reason is worth another try from the same offset. */
interface Refusal {
  readonly error: SourceError.SourceError
  readonly passing: boolean
}

/** An open connection that gives the bytes from some offset on. */
interface Connection {
  readonly scope: Scope.Closeable
  /** The offset at which the bytes must end, where it is known. */
  readonly end: number | undefined
  readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, TransportError>
}

/**
 * A source at `http://` or `https://`. A user and password in the URL are sent as Basic credentials and never shown;
 * the query is not shown either, since it often is the secret (signed URLs).
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (url: string): Source.Source<Transport> => {
  if (!URL.canParse(url)) return unusable("the URL is not valid")
  const parsed = new URL(url)
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") {
    return unusable(`'${parsed.protocol}' is not a URL that can be read (allowed: http:, https:)`)
  }
  const headers: Record<string, string> = { "accept-encoding": "identity" }
  if (parsed.username !== "" || parsed.password !== "") {
    const pair = `${decoded(parsed.username)}:${decoded(parsed.password)}`
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`
    parsed.username = ""
    parsed.password = ""
  }
  parsed.hash = ""
  const target = parsed.href
  const uri = `${parsed.origin}${parsed.pathname}`

  const fail = (
    reason: SourceError.SourceReason,
    message: string,
    more?: {
      readonly retryable?: boolean
      readonly status?: number
      readonly offset?: number
      readonly cause?: unknown
    }
  ) => SourceError.make(reason, { uri, message, ...more })

  const ofTransport = (error: TransportError) =>
    fail(
      error.reason._tag === "InvalidConfig" ? "InvalidConfig" : "SourceUnreadable",
      `cannot read '${uri}': ${error.message}`,
      { retryable: error.reason._tag !== "InvalidConfig", cause: error }
    )

  const refused = (status: number, offset?: number) => {
    const reason =
      status === 401
        ? "Unauthorized"
        : status === 403
          ? "Forbidden"
          : status === 404 || status === 410
            ? "NotFound"
            : status >= 500 || status === 429 || status === 408
              ? "Unavailable"
              : "Rejected"
    return fail(reason, `cannot read '${uri}': the server answered ${status}`, {
      status,
      retryable: reason === "Unavailable",
      ...(offset === undefined ? undefined : { offset })
    })
  }

  const ask = (method: "GET" | "HEAD", more: Record<string, string>) =>
    Effect.flatMap(Transport, (transport) =>
      transport.send({ method, url: target, headers: { ...headers, ...more } })
    ).pipe(Effect.mapError(ofTransport))

  const info = Effect.scoped(
    Effect.gen(function* () {
      const head = yield* Effect.result(ask("HEAD", {}))
      if (Result.isFailure(head)) {
        if (!hungUp(head.failure.cause)) return yield* head.failure
      } else {
        const { headers, status } = head.success
        const size = status >= 200 && status < 300 ? lengthOf(headers) : undefined
        if (size !== undefined && size > 0) return { size, identity: identityOf(headers) }
      }
      // Signed URLs often allow GET alone, and some servers know no HEAD, or no length for it but 0. One byte is enough
      // to learn all.
      const answer = yield* ask("GET", { range: "bytes=0-0" })
      const whole =
        answer.status === 206 ? rangeOf(answer.headers)?.size : answer.status === 416 ? 0 : lengthOf(answer.headers)
      if (answer.status !== 416 && (answer.status < 200 || answer.status >= 300)) return yield* refused(answer.status)
      return { size: whole, identity: identityOf(answer.headers) }
    })
  )

  /** One connection's bytes from `offset` on; `known` is the first answer's header. */
  const connect = (offset: number, known: Response["headers"] | undefined) =>
    Effect.gen(function* () {
      const validator = known === undefined ? undefined : rangeValidatorOf(known)
      const answer = yield* Effect.mapError(
        ask("GET", {
          ...(offset === 0 ? undefined : { range: `bytes=${offset}-` }),
          ...(offset === 0 || validator === undefined ? undefined : { "if-range": validator })
        }),
        (error): Refusal => ({ error, passing: error.retryable })
      )
      const stop = (error: SourceError.SourceError) => Effect.fail<Refusal>({ error, passing: false })
      if (answer.status < 200 || answer.status >= 300) {
        const error = refused(answer.status, offset)
        return yield* Effect.fail<Refusal>({ error, passing: error.retryable })
      }
      if (known !== undefined && !sameContent(known, answer.headers)) {
        return yield* stop(fail("SourceChanged", `'${uri}' changed while it was read`, { offset }))
      }
      const range = answer.status === 206 ? rangeOf(answer.headers) : undefined
      if (answer.status === 206 && offset === 0 && range?.start !== 0) {
        return yield* stop(fail("SourceUnreadable", `'${uri}' was asked for whole, and gives a part`))
      }
      if (offset > 0 && range?.start !== offset) {
        const message = `cannot go on reading '${uri}' at byte ${offset}: the server starts anew`
        return yield* stop(fail("SourceUnreadable", message, { retryable: true, offset }))
      }
      const length = lengthOf(answer.headers)
      return {
        headers: answer.headers,
        end: range?.size ?? (length === undefined ? undefined : offset + length),
        pull: yield* Stream.toPull(answer.stream)
      }
    })

  const open = (from: number) =>
    Stream.scoped(
      Stream.unwrap(
        Effect.gen(function* () {
          const outer = yield* Effect.scope
          let at = from
          let lostInARow = 0
          let known: Response["headers"] | undefined
          let connection: Connection | undefined

          const reconnect = Effect.gen(function* () {
            const scope = yield* Scope.fork(outer)
            const made = yield* Effect.onError(Scope.provide(connect(at, known), scope), () =>
              Scope.close(scope, Exit.void)
            )
            known ??= made.headers
            connection = { scope, end: made.end, pull: made.pull }
            return connection
          })

          /** Waits before the next connection, if there is to be one. */
          const lost = (error: SourceError.SourceError) =>
            Effect.gen(function* () {
              // Without a date or a strong ETag nobody can say whether the rest belongs to the beginning.
              const resumable = at > from && known !== undefined && rangeValidatorOf(known) !== undefined
              if (!resumable || ++lostInARow > patience) return yield* error
              yield* Effect.sleep(Math.min(longestWaitMs, firstWaitMs * 2 ** (lostInARow - 1)))
            })

          const connected: Effect.Effect<Connection, SourceError.SourceError, Transport> = Effect.catch(
            Effect.suspend(() => (connection === undefined ? reconnect : Effect.succeed(connection))),
            ({ error, passing }) => Effect.andThen(passing ? lost(error) : Effect.fail(error), connected)
          )

          const next: Pull.Pull<
            Arr.NonEmptyReadonlyArray<Uint8Array>,
            SourceError.SourceError,
            void,
            Transport
          > = Effect.gen(function* () {
            const { end, pull, scope } = yield* connected
            const exit = yield* Effect.exit(pull)
            if (Exit.isSuccess(exit)) {
              for (const chunk of exit.value) at += chunk.byteLength
              lostInARow = 0
              return exit.value
            }
            if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
            if (Pull.isDoneCause(exit.cause) && (end === undefined || at >= end)) return yield* Cause.done()
            connection = undefined
            yield* Scope.close(scope, Exit.void)
            const message = `the connection to '${uri}' was lost after ${at} bytes`
            yield* lost(fail("SourceUnreadable", message, { retryable: true, offset: at }))
            return yield* next
          })
          return Stream.fromPull(Effect.succeed(next))
        })
      )
    )

  return Source.fromStream({ uri, replayable: true, info, open })
}
