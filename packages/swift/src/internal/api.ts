/**
 * Control calls to Swift: small requests with small answers. A lost connection, a service that is away and a refused
 * token are dealt with here, a few times; whatever the answer means beyond that, the caller judges.
 */
import type { Response, Transport } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { SwiftAccess } from "../SwiftAccess.ts"
import * as Answer from "./answer.ts"
import * as Calls from "@headrace/keystone/ServiceCalls"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Platform from "./platform.ts"

export interface Call {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  /** Behind the account's address, with its slash: `/container`. Or a whole address. */
  readonly path: string
  /** What cannot be done when it fails, for a person. */
  readonly what: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Statuses besides 2xx that are answers to the caller, not failures. */
  readonly accept?: ReadonlyArray<number>
  /** Tries in all (3). */
  readonly tries?: number
  /** Milliseconds that the answer may take. */
  readonly answerMs?: number
  /** Sends no token. */
  readonly anonymous?: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  readonly requestId: string | undefined
}

export interface Api {
  readonly access: SwiftAccess
  readonly transport: Transport["Service"]
  readonly call: (call: Call) => Effect.Effect<Reply, Fault.Fault>
  /** The header field that carries the token. */
  readonly sign: Effect.Effect<Calls.Signed, Fault.Fault>
  /** Says that a token was refused; true when there is another one. */
  readonly renew: (token: Redacted.Redacted | undefined) => Effect.Effect<boolean, Fault.Fault>
  /** Reads an error answer. */
  readonly answer: (response: Response, token: Redacted.Redacted | undefined) => Effect.Effect<Answer.Answer>
}

/** The JSON of a text, or `undefined` when it is none. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const make = (access: SwiftAccess, transport: Transport["Service"]): Api => {
  const unsigned: Calls.Signed = { headers: {}, token: undefined }

  const sign = Effect.map(Effect.mapError(access.token, Fault.fromKeystone), (token) =>
    token === undefined ? unsigned : { headers: { "X-Auth-Token": Redacted.value(token) }, token }
  )

  const renew = Calls.renewing(access)

  const answer = (response: Response, token: Redacted.Redacted | undefined) =>
    Effect.gen(function* () {
      // The words are only for people: an answer without them is an answer.
      const body = yield* Effect.orElseSucceed(response.text, () => "")
      const secret = token === undefined ? undefined : Redacted.value(token)
      return Answer.read(response, body, secret, yield* Clock.currentTimeMillis)
    })

  const once = (call: Call, signed: Calls.Signed): Effect.Effect<Reply, Fault.Fault, Scope.Scope> =>
    Effect.gen(function* () {
      const body = call.body ?? (call.method === "PUT" || call.method === "POST" ? Platform.utf8("") : undefined)
      const response = yield* Effect.mapError(
        transport.send({
          method: call.method,
          url: /^https?:/.test(call.path) ? call.path : `${access.base}${call.path}`,
          headers: { ...signed.headers, Accept: "application/json", ...call.headers },
          ...(body === undefined ? undefined : { body: { _tag: "Bytes" as const, bytes: body } }),
          ...(access.tls === undefined ? undefined : { tls: access.tls }),
          ...(call.answerMs === undefined ? undefined : { answerMs: call.answerMs })
        }),
        Fault.fromTransport
      )
      const { headers, status } = response
      if ((status >= 200 && status < 300) || call.accept?.includes(status) === true) {
        const text = call.method === "HEAD" ? "" : yield* Effect.mapError(response.text, Fault.fromTransport)
        return { status, headers, text, requestId: headers["x-trans-id"] ?? headers["x-openstack-request-id"] }
      }
      return yield* Answer.ofCall(yield* answer(response, signed.token), call.what)
    })

  const call = (request: Call): Effect.Effect<Reply, Fault.Fault> =>
    Calls.run({
      sign: request.anonymous === true ? Effect.succeed(unsigned) : sign,
      renew,
      once: (signed) => once(request, signed),
      tries: request.tries
    })

  return { access, transport, call, sign, renew, answer }
}
