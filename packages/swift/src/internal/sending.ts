/**
 * Sends the bytes of an object, or of a segment, as one request.
 */
import { DigestError, type Digests, tap } from "@headrace/core/Digest"
import type { Body } from "@headrace/core/Store"
import { TransportError } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Answer from "./answer.ts"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Objects from "./objects.ts"
import * as Words from "@headrace/keystone/ServiceWords"

export interface Sent {
  /** The MD5 that Swift computed. */
  readonly etag: string
  readonly requestId: string | undefined
}

export interface Options<E, R> {
  readonly api: Api
  readonly path: string
  readonly body: Body<E, R>
  /** The MD5 of the bytes, where it is known beforehand: Swift refuses others. */
  readonly md5: string | undefined
  /** Computes the MD5 while the bytes pass, and compares it with what Swift says. */
  readonly compares: boolean
  readonly contentType: string
  /** What was not taken when it fails, for a person. */
  readonly what: string
}

export const send = <E, R>(options: Options<E, R>): Effect.Effect<Sent, Fault.Fault | E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { api, body, compares, contentType, md5, path, what } = options
      const { access } = api
      const signed = yield* api.sign
      let sent = 0
      let passed: Digests = {}
      const stream = compares
        ? tap(["md5"], (digests) =>
            Effect.sync(() => {
              passed = digests
            })
          )(body.stream)
        : body.stream
      const response = yield* api.transport
        .send<E | DigestError, R>({
          method: "PUT",
          url: `${access.base}${path}`,
          headers: {
            ...signed.headers,
            "Content-Type": contentType,
            ...(md5 === undefined ? undefined : { ETag: md5 })
          },
          body: { _tag: "Blocks", stream, length: body.length },
          ...(access.tls === undefined ? undefined : { tls: access.tls }),
          stallMs: body.stallMs,
          answerMs: body.answerMs,
          onSent: (bytes) => {
            sent += bytes
            body.onSent(bytes)
          }
        })
        .pipe(
          Effect.mapError((error) => {
            if (error instanceof TransportError) return Fault.fromTransport(error)
            return error instanceof DigestError ? Fault.make("InvalidConfig", error.message, { cause: error }) : error
          })
        )
      const { headers, status } = response
      const requestId = headers["x-trans-id"] ?? headers["x-openstack-request-id"]
      const fields = { status, ...(requestId === undefined ? undefined : { requestId }) }
      if (status === 201) {
        const counted = body.length !== undefined && sent >= body.length
        if (response.early && !counted) {
          const message = `${what}: the service called it complete after ${sent} bytes`
          return yield* Fault.make("Rejected", message, { ...fields, retryable: true, clear: false })
        }
        const etag = Objects.unquoted(headers["etag"])
        const ours = md5 ?? passed.md5
        if (ours !== undefined && etag !== ours) {
          const message = `${what}: its MD5 is ${ours}, of what the service took ${etag === "" ? "it tells none" : etag}`
          return yield* Fault.make("DigestMismatch", message, { ...fields, retryable: true })
        }
        return { etag, requestId }
      }
      if (status === 202) {
        // The answer to a write that is older than what is there (Swift's proxy, controllers/obj.py).
        const message = `${what}: a newer object of the name is there already (202 Accepted)`
        return yield* Fault.make("Conflict", message, { ...fields, clear: false })
      }
      if (status >= 200 && status < 300) {
        const message = `${what}: the service answered ${Words.status(status)}, which says nothing of the object`
        return yield* Fault.make("Rejected", message, { ...fields, clear: false })
      }
      const fault = Answer.ofBody(yield* api.answer(response, signed.token), what)
      if (fault.reason !== "Unauthorized") return yield* fault
      // A token that has ended is no fault of the bytes: they are sent again with another one.
      const renewed = yield* api.renew(signed.token)
      return yield* renewed ? new Fault.Fault({ ...fault, retryable: true }) : fault
    })
  )
