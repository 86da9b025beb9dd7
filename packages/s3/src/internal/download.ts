/**
 * The bytes of an object from an offset on. A connection that is lost goes on where it was, with a range of the same
 * object (`If-Match`), so that what is read is never half of one and half of another.
 */
import { TransportError } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Fault from "./fault.ts"
import type { Site } from "./site.ts"

export interface Options {
  readonly what: string
  readonly offset: number
  /** Bytes of the whole object, where known: less is never taken for the end. */
  readonly size: number | undefined
  /** Of the object that is meant. */
  readonly etag: string | undefined
}

/** Connections in a row that may be lost without a byte. */
const mostFailures = 5

export const stream = (site: Site, { etag, offset, size, what }: Options): Stream.Stream<Uint8Array, Fault.Fault> =>
  Stream.suspend(() => {
    const { bucket, key } = site.place
    let at = offset
    let failures = 0
    /** Of what the first bytes were of. */
    let meant = etag

    const open = Effect.gen(function* () {
      const response = yield* site.get(what, (s3, { GetObjectCommand }) =>
        s3.send(
          new GetObjectCommand({
            Bucket: bucket,
            Key: key,
            ...(at === 0 ? undefined : { Range: `bytes=${at}-` }),
            ...(meant === undefined ? undefined : { IfMatch: meant })
          })
        )
      )
      const { headers, status } = response
      if (at > 0) {
        const start = /^bytes (\d+)-/.exec(headers["content-range"] ?? "")?.[1]
        if (status !== 206 || Number(start) !== at) {
          const message = `${what}: bytes from ${at} on were asked for, others came`
          return yield* Fault.make("Unsupported", message, { status })
        }
      }
      // Who does not know If-Match says so by the ETag.
      if (meant !== undefined && headers["etag"] !== undefined && headers["etag"] !== meant) {
        return yield* Fault.make("SourceChanged", `${what}: it was changed while it was read`, { status })
      }
      meant ??= headers["etag"]
      return response
    }).pipe(
      Effect.mapError((fault) =>
        fault.status === 412
          ? Fault.make("SourceChanged", `${what}: it was changed while it was read`, { status: 412 })
          : fault
      )
    )

    const ended: Stream.Stream<Uint8Array, Fault.Fault> = Stream.suspend(() =>
      size === undefined || at >= size
        ? Stream.empty
        : Stream.fail(
            Fault.make("SourceTooShort", `${what}: it ended after ${at} of ${size} bytes`, { retryable: true })
          )
    )

    const bytes: Stream.Stream<Uint8Array, Fault.Fault> = Stream.suspend(() =>
      size !== undefined && at >= size && at > 0
        ? Stream.empty
        : Stream.scoped(Stream.unwrap(Effect.map(open, (response) => response.stream))).pipe(
            Stream.mapError((error) => (error instanceof TransportError ? Fault.ofTransport(error) : error)),
            Stream.tap((chunk) =>
              Effect.sync(() => {
                at += chunk.byteLength
                failures = 0
              })
            ),
            Stream.concat(ended),
            Stream.catch((fault): Stream.Stream<Uint8Array, Fault.Fault> => {
              const resumable = at === offset || meant !== undefined
              if (!fault.retryable || !resumable || ++failures > mostFailures) return Stream.fail(fault)
              const wait = Math.max(fault.retryAfterMs ?? 0, 250 * 2 ** (failures - 1))
              return Stream.unwrap(Effect.as(Effect.sleep(wait), bytes))
            })
          )
    )
    return bytes
  })
