/**
 * A URL as a source. A connection that is lost in the middle goes on where it was, by `Range` and `If-Range`
 * (RFC 9110 §13.1.5, §14.2), when the server can do that and the content is still the same; otherwise the source is
 * opened anew from its start, which is the engine's decision.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import { type Response, Transport, type TransportError } from "@headrace/core/Transport"

/** Lost connections in a row, without a byte between them, after which the source has failed. */
const patience = 5

/** What the answer says of the content: a strong ETag, else the date. */
const validatorOf = (headers: Response["headers"]): string | undefined => {
  const etag = headers["etag"]
  return etag !== undefined && !etag.startsWith("W/") ? etag : headers["last-modified"]
}

const lengthOf = (headers: Response["headers"]): number | undefined => {
  const text = headers["content-length"]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** The first byte's offset and the whole size, of a 206. */
const rangeOf = (
  headers: Response["headers"]
): { readonly start: number; readonly size: number | undefined } | undefined => {
  const found = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(headers["content-range"] ?? "")
  return found === null ? undefined : { start: Number(found[1]), size: found[2] === "*" ? undefined : Number(found[2]) }
}

/**
 * A source at `http://` or `https://`. A user and password in the URL are sent as Basic credentials and never shown.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (url: string): Source.Source<Transport> => {
  const parsed = new URL(url)
  const headers: Record<string, string> = { "accept-encoding": "identity", "user-agent": "headrace" }
  if (parsed.username !== "" || parsed.password !== "") {
    const pair = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`
    headers["authorization"] = `Basic ${Buffer.from(pair).toString("base64")}`
    parsed.username = ""
    parsed.password = ""
  }
  const target = parsed.href
  // A query often is the secret (a signed URL), so it is not shown.
  const uri = `${parsed.origin}${parsed.pathname}`

  const fail = (
    reason: SourceError.SourceReason,
    message: string,
    more?: { retryable?: boolean; status?: number; offset?: number }
  ) => SourceError.make(reason, { uri, message, ...more })

  const ofTransport = (error: TransportError) =>
    fail("SourceUnreadable", `cannot read '${uri}': ${error.message}`, {
      retryable: error.reason._tag !== "InvalidConfig"
    })

  const refused = (status: number) =>
    fail(
      status === 401
        ? "Unauthorized"
        : status === 403
          ? "Forbidden"
          : status === 404 || status === 410
            ? "NotFound"
            : "SourceUnreadable",
      `cannot read '${uri}': the server answered ${status}`,
      { status, retryable: status >= 500 || status === 429 || status === 408 }
    )

  const get = (offset: number, validator: string | undefined) =>
    Effect.flatMap(Transport, (transport) =>
      transport.send({
        method: "GET",
        url: target,
        headers: {
          ...headers,
          ...(offset === 0 ? undefined : { range: `bytes=${offset}-` }),
          ...(offset === 0 || validator === undefined ? undefined : { "if-range": validator })
        }
      })
    ).pipe(Effect.mapError(ofTransport))

  const info = Effect.scoped(
    Effect.gen(function* () {
      const transport = yield* Transport
      const head = yield* Effect.mapError(transport.send({ method: "HEAD", url: target, headers }), ofTransport)
      // Signed URLs often allow GET alone: then a GET whose body is not read says the same.
      const answer = head.status >= 200 && head.status < 300 ? head : yield* get(0, undefined)
      if (answer.status < 200 || answer.status >= 300) return yield* refused(answer.status)
      const size = lengthOf(answer.headers)
      return { size, identity: validatorOf(answer.headers) }
    })
  )

  /** One connection's bytes from `offset` on. */
  const connect = (offset: number, validator: string | undefined) =>
    Effect.gen(function* () {
      const answer = yield* get(offset, validator)
      if (answer.status < 200 || answer.status >= 300) return yield* refused(answer.status)
      const range = answer.status === 206 ? rangeOf(answer.headers) : undefined
      if (offset > 0 && range?.start !== offset) {
        return yield* fail(
          "SourceUnreadable",
          `cannot go on reading '${uri}' at byte ${offset}: the server starts anew`,
          { retryable: true, offset }
        )
      }
      const found = validatorOf(answer.headers)
      if (validator !== undefined && found !== validator) {
        return yield* fail("SourceChanged", `'${uri}' changed while it was read`, { offset })
      }
      const length = lengthOf(answer.headers)
      return {
        validator: found,
        end: length === undefined ? undefined : offset + length,
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
          let validator: string | undefined
          let open:
            | {
                readonly scope: Scope.Closeable
                readonly end: number | undefined
                readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Uint8Array>, TransportError>
              }
            | undefined

          const reconnect = Effect.gen(function* () {
            const scope = yield* Scope.fork(outer)
            const made = yield* Scope.provide(connect(at, validator), scope)
            validator = made.validator
            open = { scope, end: made.end, pull: made.pull }
            return open
          })

          const next: Pull.Pull<
            Arr.NonEmptyReadonlyArray<Uint8Array>,
            SourceError.SourceError,
            void,
            Transport
          > = Effect.gen(function* () {
            const current = open ?? (yield* reconnect)
            const exit = yield* Effect.exit(current.pull)
            if (Exit.isSuccess(exit)) {
              for (const chunk of exit.value) at += chunk.byteLength
              lostInARow = 0
              return exit.value
            }
            const ended = Pull.isDoneCause(exit.cause)
            if (ended && (current.end === undefined || at >= current.end)) return yield* Cause.done()
            if (Exit.hasInterrupts(exit)) return yield* Effect.interrupt
            // Lost, or ended short of what was announced.
            open = undefined
            yield* Scope.close(current.scope, Exit.void)
            if (validator === undefined || ++lostInARow > patience) {
              return yield* fail("SourceUnreadable", `the connection to '${uri}' was lost after ${at} bytes`, {
                retryable: true,
                offset: at
              })
            }
            yield* Effect.sleep(Math.min(5000, 100 * 2 ** lostInARow))
            return yield* next
          })
          return Stream.fromPull(Effect.succeed(next))
        })
      )
    )

  return Source.fromStream({ uri, replayable: true, info, open })
}
