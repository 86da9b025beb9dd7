/**
 * The bytes behind a URL, as they are stored. A connection that is lost goes on where it was, when the server can serve
 * ranges of the same object (RFC 9110 §13.1.5, §14.2).
 */
import * as StoreError from "@headrace/core/StoreError"
import { TransportError, type Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Answer from "./answer.ts"
import * as Look from "./look.ts"

export interface Download {
  readonly transport: Transport["Service"]
  readonly spot: Look.Spot
  readonly secrets: ReadonlyArray<string>
}

/** Connections in a row that may be lost without a byte. */
const mostFailures = 5

const what = "the object cannot be read back"

/** Where the object is, or why it cannot be read, is asked when it is read. */
export const download = (
  from: () => Download | StoreError.StoreError
): Stream.Stream<Uint8Array, StoreError.StoreError> =>
  Stream.suspend(() => {
    const given = from()
    if (given instanceof StoreError.StoreError) return Stream.fail(given)
    const { secrets, spot, transport } = given
    const { tls, uri, url } = spot
    let at = 0
    let failures = 0
    /** A strong validator of what the first bytes were of. */
    let etag: string | undefined

    const open = Effect.gen(function* () {
      const resumed = at > 0
      const response = yield* Effect.mapError(
        transport.send({
          method: "GET",
          url,
          headers: {
            ...spot.headers,
            "accept-encoding": "identity",
            "cache-control": "no-cache",
            ...(resumed ? { range: `bytes=${at}-`, "if-range": etag! } : undefined)
          },
          ...(tls === undefined ? undefined : { tls })
        }),
        (error) => Answer.ofTransport(error, uri)
      )
      const { headers, status } = response
      const fail = (message: string) => StoreError.make("Unsupported", { uri, message: `${what}: ${message}`, status })
      const coding = headers["content-encoding"]
      if ((status === 200 || status === 206) && coding !== undefined && coding.trim().toLowerCase() !== "identity") {
        return yield* fail(`the server gives it in the coding ${coding.replaceAll(/[^\w, -]/g, "?")} alone`)
      }
      if (resumed && status === 206) {
        const start = /^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1]
        return Number(start) === at ? response : yield* fail("other bytes came than those that were asked for")
      }
      if (resumed && status === 200) {
        return yield* StoreError.make("Gone", { uri, message: `${what}: it was changed while it was read`, status })
      }
      if (status !== 200) {
        const answer = yield* Answer.read(response, secrets)
        return yield* Answer.refusal(answer, { method: "GET", what, uri, signed: "authorization" in spot.headers })
      }
      if (Look.isStrong(headers["etag"])) etag = headers["etag"]
      return response
    })

    const bytes: Stream.Stream<Uint8Array, StoreError.StoreError> = Stream.suspend(() =>
      Stream.scoped(Stream.unwrap(Effect.map(open, ({ stream }) => stream))).pipe(
        Stream.mapError((error) => (error instanceof TransportError ? Answer.ofTransport(error, uri) : error)),
        Stream.tap((chunk) =>
          Effect.sync(() => {
            at += chunk.byteLength
            failures = 0
          })
        ),
        Stream.catch((error): Stream.Stream<Uint8Array, StoreError.StoreError> => {
          const resumable = at === 0 || etag !== undefined
          if (!error.retryable || !resumable || ++failures > mostFailures) return Stream.fail(error)
          const wait = Math.max(error.retryAfterMs ?? 0, 250 * 2 ** (failures - 1))
          return Stream.unwrap(Effect.as(Effect.sleep(wait), bytes))
        })
      )
    )
    return bytes
  })
