/**
 * A service, as somebody who has keys for it: control calls by the SDK's commands, and bodies that the SDK has signed.
 * Keys that have ended are fetched anew, and a bucket in another region is followed there, once each.
 */
import type { Block } from "@headrace/core/Block"
import { type Response, type Tls, Transport, TransportError } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fault from "./fault.ts"
import type { Put } from "./put.ts"
import * as Service from "./service.ts"
import type { Place } from "./target.ts"
import type { Signed } from "./wire.ts"

type Clients = Service.Clients

/** A body of blocks. */
export interface Sent<out E, out R> {
  readonly stream: Stream.Stream<Block, E, R>
  readonly length: number
  /** Whether the stream can be run again. */
  readonly replayable?: boolean
  readonly onSent: (bytes: number) => void
  readonly stallMs: number
  readonly answerMs: number
}

export interface Site {
  readonly place: Place
  readonly tls: Tls | undefined
  readonly service: Service.Service
  readonly call: <A>(what: string, command: Service.Command<A>, answerMs?: number) => Effect.Effect<A, Fault.Fault>
  /** Sends a body; gives the fields of a success. */
  readonly send: <E, R>(
    what: string,
    put: Put,
    body: Sent<E, R>
  ) => Effect.Effect<Response["headers"], Fault.Fault | E, R>
  /** Opens an answer whose body is read as it comes. */
  readonly get: (what: string, command: Service.Command<unknown>) => Effect.Effect<Response, Fault.Fault, Scope.Scope>
}

const ownWords = /^(Could not |Region is missing|Profile |The SSO session|Token is expired)/

/** What the SDK throws before anything is sent. Its words may hold what it has read, so only known ones are told. */
const ofLocal = (error: unknown): Fault.Fault => {
  const { message, name } = error instanceof Error ? error : { name: "Error", message: "" }
  const words = ownWords.test(message) ? message.replace(/\s+/g, " ").slice(0, 200) : name
  return name === "CredentialsProviderError" || /Credentials/.test(name) || ownWords.test(message)
    ? Fault.make("InvalidConfig", `there are no credentials: ${words}`, { cause: error })
    : Fault.make("InvalidConfig", `the request cannot be made: ${words}`, { cause: error })
}

interface ServiceError {
  readonly name: string
  readonly Region?: string
  readonly message: string
  readonly $metadata?: { readonly httpStatusCode?: number }
  readonly $response?: { readonly headers?: Readonly<Record<string, string>> }
}

/** Names that the SDK makes up for answers without a code. */
const madeUp = /^(UnknownError|Unknown|NotFound|Error|SyntaxError|\d{3})$/

const ofThrown = (error: unknown, what: string, now: number): Fault.Fault => {
  if (error instanceof TransportError) return Fault.ofTransport(error)
  const { $metadata, $response, message, name, Region } = error as ServiceError
  const status = $metadata?.httpStatusCode
  if (status === undefined) return ofLocal(error)
  const coded = !madeUp.test(name)
  const headers = $response?.headers ?? {}
  const words = coded && message !== name && message !== "UnknownError" ? message : ""
  return Fault.refusal({ status, code: coded ? name : undefined, message: words, headers, region: Region, now }, what)
}

/** Finds the service of an object. */
export const connect = (place: Place): Effect.Effect<Site, Fault.Fault, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const service = yield* Effect.tryPromise({ try: () => Service.of(place, transport), catch: ofLocal })
    const { tls } = place
    const locally = (sign: () => Promise<Signed>) => Effect.tryPromise({ try: sign, catch: ofLocal })

    /** Whether there is another way to ask, which is gone once. */
    const another = (tried: { renewed: boolean; moved: boolean }, fault: Fault.Fault, used: Clients): boolean => {
      if (fault.region !== undefined && fault.region !== used.region && !tried.moved) {
        tried.moved = true
        service.another(used, fault.region)
        return true
      }
      if (Fault.isExpired(fault) && !tried.renewed) {
        tried.renewed = true
        service.another(used)
        return true
      }
      if (fault.reason === "Unauthorized") service.refused = true
      return false
    }

    const attempts = <A, E, R>(
      once: (clients: Clients) => Effect.Effect<A, Fault.Fault | E, R>,
      again: () => boolean
    ): Effect.Effect<A, Fault.Fault | E, R> => {
      const tried = { renewed: false, moved: false }
      const next: Effect.Effect<A, Fault.Fault | E, R> = Effect.suspend(() => {
        const used = service.clients
        return Effect.catch(once(used), (error) => {
          if (!(error instanceof Fault.Fault) || !another(tried, error, used)) return Effect.fail(error)
          // With the new keys it may be sent again, but that takes a new reading of the body.
          return again() ? next : Effect.fail(Fault.retrying(error, true))
        })
      })
      return next
    }

    const call: Site["call"] = (what, command, answerMs) =>
      attempts(
        ({ sending }) =>
          Effect.gen(function* () {
            const now = yield* Clock.currentTimeMillis
            const context = yield* Effect.context<never>()
            return yield* Effect.tryPromise({
              try: (signal) =>
                command(sending, service.sdk, {
                  abortSignal: signal,
                  context,
                  ...(answerMs === undefined ? undefined : { requestTimeout: answerMs })
                }),
              catch: (error) => ofThrown(error, what, now)
            })
          }),
        () => true
      )

    const refused = (response: Response, what: string): Effect.Effect<never, Fault.Fault> =>
      Effect.gen(function* () {
        const text = yield* Effect.orElseSucceed(response.text, () => "")
        const now = yield* Clock.currentTimeMillis
        return yield* Fault.refusal(
          { status: response.status, ...Fault.ofXml(text), headers: response.headers, now },
          what
        )
      })

    const fromTransport = <E>(error: TransportError | E): Fault.Fault | E =>
      error instanceof TransportError ? Fault.ofTransport(error) : error

    const send: Site["send"] = <E, R>(what: string, put: Put, body: Sent<E, R>) => {
      let started = false
      const stream = Stream.suspend(() => {
        started = true
        return body.stream
      })
      const once = (clients: Clients) =>
        Effect.scoped(
          Effect.gen(function* () {
            const signed = yield* locally(() => service.signPut(clients, place.key, put))
            const response = yield* Effect.mapError(
              transport.send<E, R>({
                ...signed,
                body: { _tag: "Blocks", stream, length: body.length, replayable: body.replayable ?? false },
                ...(tls === undefined ? undefined : { tls }),
                stallMs: body.stallMs,
                answerMs: body.answerMs,
                onSent: body.onSent
              }),
              fromTransport
            )
            service.heard(response.headers)
            const { early, status } = response
            if (status < 200 || status >= 300) return yield* refused(response, what)
            if (early && response.bytesSent < body.length) {
              const message = `${what}: the service called it complete after ${response.bytesSent} of ${body.length} bytes`
              return yield* Fault.make("Rejected", message, { retryable: true, clear: false, status })
            }
            return response.headers
          })
        )
      return attempts<Response["headers"], E, R>(once, () => !started)
    }

    const get: Site["get"] = (what, command) =>
      attempts(
        (clients) =>
          Effect.gen(function* () {
            const signed = yield* locally(() => service.sign(clients, command))
            const response = yield* Effect.mapError(
              transport.send({ ...signed, ...(tls === undefined ? undefined : { tls }) }),
              Fault.ofTransport
            )
            service.heard(response.headers)
            return response.status === 200 || response.status === 206 ? response : yield* refused(response, what)
          }),
        () => true
      )

    return { place, tls, service, call, send, get }
  })
