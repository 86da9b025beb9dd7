/**
 * Control calls to an image service: small requests with small answers. A lost connection, a service that is away and
 * a refused token are dealt with here, a few times; whatever the answer means beyond that, the caller judges.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { Response, Transport } from "@headrace/core/Transport"
import type { GlanceAccess } from "../GlanceAccess.ts"
import * as Answer from "./answer.ts"
import * as Calls from "@headrace/keystone/ServiceCalls"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Platform from "./platform.ts"
import * as Words from "@headrace/keystone/ServiceWords"

export interface Call {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE"
  /** Behind the endpoint, with its slash: `/v2/images`. */
  readonly path: string
  /** What cannot be done when it fails, for a person. */
  readonly what: string
  readonly json?: unknown
  readonly contentType?: string
  /** Statuses besides 2xx that are answers to the caller, not failures. */
  readonly accept?: ReadonlyArray<number>
  /** Tries in all (3). */
  readonly tries?: number
  /** Sends no token. */
  readonly anonymous?: boolean
}

export interface Reply {
  readonly status: number
  /** The answer's JSON; `undefined` when there is none. */
  readonly json: unknown
  /** The answer in one line. */
  readonly words: string
}

export interface Api {
  readonly access: GlanceAccess
  readonly transport: Transport["Service"]
  readonly call: (call: Call) => Effect.Effect<Reply, Fault.Fault>
  /** Header fields that every request carries: the token, and an id of its own by which operators find it. */
  readonly sign: Effect.Effect<Calls.Signed, Fault.Fault>
  /** Says that a token was refused; true when there is another one. */
  readonly renew: (token: Redacted.Redacted | undefined) => Effect.Effect<boolean, Fault.Fault>
  /** Reads an error answer. */
  readonly answer: (response: Response, token: Redacted.Redacted | undefined) => Effect.Effect<Answer.Answer>
}

const parse = (text: string): unknown => {
  if (text.trim() === "") return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const make = (access: GlanceAccess, transport: Transport["Service"]): Api => {
  const unsigned = Effect.map(Platform.uuid, (id): Calls.Signed => ({
    headers: { "X-OpenStack-Request-ID": `req-${id}` },
    token: undefined
  }))

  const sign = Effect.gen(function* () {
    const token = yield* Effect.mapError(access.token, Fault.fromKeystone)
    const { headers } = yield* unsigned
    return { headers: token === undefined ? headers : { ...headers, "X-Auth-Token": Redacted.value(token) }, token }
  })

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
      const response = yield* Effect.mapError(
        transport.send({
          method: call.method,
          url: `${access.base}${call.path}`,
          headers: {
            ...signed.headers,
            Accept: "application/json",
            ...(call.json === undefined ? undefined : { "Content-Type": call.contentType ?? "application/json" })
          },
          ...(call.json === undefined
            ? undefined
            : { body: { _tag: "Bytes" as const, bytes: Platform.utf8(JSON.stringify(call.json)) } }),
          ...(access.tls === undefined ? undefined : { tls: access.tls })
        }),
        Fault.fromTransport
      )
      if (response.status >= 200 && response.status < 300) {
        const text = yield* Effect.mapError(response.text, Fault.fromTransport)
        return { status: response.status, json: parse(text), words: "" }
      }
      if (call.accept?.includes(response.status) === true) {
        const text = yield* Effect.orElseSucceed(response.text, () => "")
        const words = Words.of(text, signed.token === undefined ? undefined : Redacted.value(signed.token))
        return { status: response.status, json: parse(text), words }
      }
      return yield* Answer.ofCall(yield* answer(response, signed.token), call.what)
    })

  const call = (request: Call): Effect.Effect<Reply, Fault.Fault> =>
    Calls.run({
      sign: request.anonymous === true ? unsigned : sign,
      renew,
      once: (signed) => once(request, signed),
      tries: request.tries
    })

  return { access, transport, call, sign, renew, answer }
}
