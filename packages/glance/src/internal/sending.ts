/**
 * A body on its way to an image: into its store (`PUT …/file`), or into the staging area (`PUT …/stage`).
 */
import * as Effect from "effect/Effect"
import type { Body } from "@headrace/core/Store"
import { TransportError } from "@headrace/core/Transport"
import type * as Redacted from "effect/Redacted"
import type * as Answer from "./answer.ts"
import type { Api } from "./api.ts"
import * as Fault from "@headrace/keystone/ServiceFault"

/** What came of a body that the service did not refuse to answer. */
export interface Sent {
  /** Body bytes that were handed to the socket. */
  readonly bytes: number
  /** The answer that is no success, and the token that it was given for. */
  readonly refusal: { readonly answer: Answer.Answer; readonly token: Redacted.Redacted | undefined } | undefined
}

export const send = <E, R>(
  api: Api,
  input: {
    readonly path: string
    /** The store that is asked for, where the body goes into one. */
    readonly store: string | undefined
    readonly body: Body<E, R>
  }
): Effect.Effect<Sent, Fault.Fault | E, R> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { body, store } = input
      const signed = yield* api.sign
      const { access } = api
      let sent = 0
      const response = yield* api.transport
        .send<E, R>({
          method: "PUT",
          url: `${access.base}${input.path}`,
          headers: {
            ...signed.headers,
            "Content-Type": "application/octet-stream",
            // 31 and later refuse a body of another size; the others ignore it. 0 would mean that it is not known.
            ...(body.length === undefined || body.length === 0
              ? undefined
              : { "x-openstack-image-size": String(body.length) }),
            ...(store === undefined ? undefined : { "X-Image-Meta-Store": store })
          },
          body: { _tag: "Blocks", stream: body.stream, length: body.length },
          ...(access.tls === undefined ? undefined : { tls: access.tls }),
          stallMs: body.stallMs,
          answerMs: body.answerMs,
          onSent: (bytes) => {
            sent += bytes
            body.onSent(bytes)
          }
        })
        .pipe(Effect.mapError((error) => (error instanceof TransportError ? Fault.fromTransport(error) : (error as E))))
      if (response.status < 200 || response.status >= 300) {
        return { bytes: sent, refusal: { answer: yield* api.answer(response, signed.token), token: signed.token } }
      }
      if (response.early && body.length !== undefined && sent < body.length) {
        return yield* Fault.make(
          "Rejected",
          `the image data was called complete (${response.status}) after ${sent} of ${body.length} bytes`,
          { status: response.status, retryable: true, clear: false }
        )
      }
      return { bytes: sent, refusal: undefined }
    })
  )
