/**
 * The bytes of an object, large ones whole. A lost connection goes on where it was, as long as the object is the same
 * (`If-Match`, RFC 9110 §13.1.1).
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { TransportError } from "@headrace/core/Transport"
import * as Answer from "./answer.ts"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Objects from "./objects.ts"

/** Connections in a row that may be lost without a byte. */
const mostFailures = 5

const what = "the object cannot be read"

export interface Options {
  readonly path: string
  /** Bytes to leave out at the beginning. */
  readonly offset: number
  /** Bytes of the whole object, where known: less is never taken for the end. */
  readonly size: number | undefined
  /** Of the object that is meant; without it, of the first that is met. */
  readonly etag: string | undefined
}

export const stream = (api: Api, options: Options): Stream.Stream<Uint8Array, Fault.Fault> =>
  Stream.suspend(() => {
    const { access } = api
    let { etag, offset: at, size } = options
    let failures = 0

    const changed = (status: number) =>
      Fault.make("SourceChanged", `${what}: it was replaced while it was read`, { status })

    const open = Effect.gen(function* () {
      let renewed = false
      while (true) {
        const signed = yield* api.sign
        const response = yield* Effect.mapError(
          api.transport.send({
            method: "GET",
            url: `${access.base}${options.path}`,
            headers: {
              ...signed.headers,
              ...(at > 0 ? { Range: `bytes=${at}-` } : undefined),
              ...(etag === undefined ? undefined : { "If-Match": `"${etag}"` })
            },
            ...(access.tls === undefined ? undefined : { tls: access.tls })
          }),
          Fault.fromTransport
        )
        const { headers, status } = response
        if (status === 401 && !renewed) {
          renewed = true
          if (yield* api.renew(signed.token)) continue
        }
        if (status === 412 || (status === 404 && etag !== undefined)) return yield* changed(status)
        if (status === 416) {
          return yield* Fault.make("SourceChanged", `${what}: it has no byte ${at} any more`, { status })
        }
        if (status === 409) {
          const message = `${what}: it is a large object, and a segment of it is missing or was replaced`
          return yield* Fault.make("Conflict", message, { status })
        }
        if (status !== (at > 0 ? 206 : 200))
          return yield* Answer.ofCall(yield* api.answer(response, signed.token), what)
        const found = Objects.unquoted(headers["etag"])
        if (etag !== undefined && found !== etag) return yield* changed(status)
        etag = found
        if (at > 0 && Number(/^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1]) !== at) {
          return yield* Fault.make("Rejected", `${what}: bytes from ${at} on were asked for, others came`, { status })
        }
        const length = headers["content-length"]
        if (length !== undefined) size ??= at + Number(length)
        return response
      }
    })

    const bytes: Stream.Stream<Uint8Array, Fault.Fault> = Stream.suspend(() => {
      if (size !== undefined && at > 0 && at >= size) return Stream.empty
      const once: Stream.Stream<Uint8Array, Fault.Fault> = Stream.scoped(
        Stream.unwrap(Effect.map(open, (response) => response.stream))
      ).pipe(
        Stream.mapError((error) => (error instanceof TransportError ? Fault.fromTransport(error) : error)),
        Stream.tap((chunk) =>
          Effect.sync(() => {
            at += chunk.byteLength
            failures = 0
          })
        )
      )
      const whole: Stream.Stream<Uint8Array, Fault.Fault> = Stream.suspend(() =>
        size === undefined || at >= size
          ? Stream.empty
          : Stream.fail(
              Fault.make("SourceTooShort", `${what}: it ended after ${at} of ${size} bytes`, { retryable: true })
            )
      )
      return Stream.concat(once, whole).pipe(
        Stream.catch((fault): Stream.Stream<Uint8Array, Fault.Fault> => {
          if (!fault.retryable || ++failures > mostFailures) return Stream.fail(fault)
          const wait = Math.max(fault.retryAfterMs ?? 0, 250 * 2 ** (failures - 1))
          return Stream.unwrap(Effect.as(Effect.sleep(wait), bytes))
        })
      )
    })
    return bytes
  })
