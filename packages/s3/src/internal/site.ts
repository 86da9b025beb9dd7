/**
 * A service, as somebody who has keys for it: control calls by the SDK's commands, and bodies that the SDK has signed.
 * Keys that have ended are fetched anew, and a bucket in another region is followed there, once each.
 */
import type * as SdkModule from "@aws-sdk/client-s3"
import type { S3Client, S3ClientConfig } from "@aws-sdk/client-s3"
import type { Block } from "@headrace/core/Block"
import { type Response, type Tls, Transport, TransportError } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { isAws } from "../Profile.ts"
import * as Credentials from "./credentials.ts"
import { endpointOf } from "./endpoint.ts"
import * as Fault from "./fault.ts"
import { needsPath, type Place } from "./target.ts"
import * as Wire from "./wire.ts"

type Sdk = typeof SdkModule

/** One command, sent by the client that it is given. */
export type Command<A> = (s3: S3Client, sdk: Sdk, options: Wire.CallOptions) => Promise<A>

/** A body of blocks. */
export interface Sent<out E, out R> {
  readonly stream: Stream.Stream<Block, E, R>
  readonly length: number
  readonly onSent: (bytes: number) => void
  readonly stallMs: number
  readonly answerMs: number
}

export interface Site {
  readonly place: Place
  readonly tls: Tls | undefined
  /** The service's host. */
  readonly host: string
  /** Fields of the last answer. */
  readonly headers: () => Readonly<Record<string, string>>
  readonly call: <A>(what: string, command: Command<A>, answerMs?: number) => Effect.Effect<A, Fault.Fault>
  /** Sends a body; gives the fields of a success. */
  readonly send: <E, R>(
    what: string,
    command: Command<unknown>,
    body: Sent<E, R>
  ) => Effect.Effect<Response["headers"], Fault.Fault | E, R>
  /** Opens an answer whose body is read as it comes. */
  readonly get: (what: string, command: Command<unknown>) => Effect.Effect<Response, Fault.Fault, Scope.Scope>
}

interface Clients {
  readonly sending: S3Client
  readonly signing: S3Client
}

const load = Effect.promise(() => import("@aws-sdk/client-s3"))

/** The SDK warns on the console of what we do on purpose. */
const silent = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

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

/** Finds a service, and whether a bucket's name belongs into the host's or into the path. */
export const connect = (place: Place): Effect.Effect<Site, Fault.Fault, Transport> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    const sdk = yield* load
    const { bucket, key, profile, tls } = place
    const endpoint = yield* Effect.tryPromise({ try: () => endpointOf(place), catch: ofLocal })
    let headers: Readonly<Record<string, string>> = {}
    let { region } = place
    let pathStyle = place.pathStyle ?? (endpoint !== undefined || needsPath(bucket))
    const wire = Wire.sending({ transport, tls, onHeaders: (fields) => (headers = fields) })

    const make = (): Clients => {
      const credentials = Credentials.of(place)
      const config: S3ClientConfig = {
        ...(endpoint === undefined ? undefined : { endpoint }),
        ...(region === undefined ? undefined : { region }),
        ...(profile === undefined ? undefined : { profile }),
        credentials,
        forcePathStyle: pathStyle,
        // The engine retries, and knows what may be sent again.
        maxAttempts: 1,
        // No checksum but those that we give: the SDK's own make an `aws-chunked` body, which many services refuse.
        requestChecksumCalculation: "WHEN_REQUIRED",
        responseChecksumValidation: "WHEN_REQUIRED",
        expectContinueHeader: false,
        logger: silent
      }
      return {
        sending: new sdk.S3Client({ ...config, requestHandler: wire }),
        signing: new sdk.S3Client({ ...config, requestHandler: Wire.catching })
      }
    }
    let clients = make()

    const sign = (command: Command<unknown>): Effect.Effect<Wire.Signed, Fault.Fault> =>
      Effect.tryPromise({
        try: () => Wire.caught(() => command(clients.signing, sdk, {})),
        catch: ofLocal
      })

    const head: Command<unknown> = (s3, { HeadObjectCommand }) =>
      s3.send(new HeadObjectCommand({ Bucket: bucket, Key: key }))

    if (region === undefined) {
      const missing = yield* Effect.promise(() =>
        clients.sending.config.region().then(
          () => false,
          () => true
        )
      )
      // As the AWS tools take it for S3; AWS answers where the bucket is, others do not mind.
      if (missing) {
        region = "us-east-1"
        clients = make()
      }
    }
    let found = new URL((yield* sign(head)).url)
    // An endpoint of the environment or of the profile: few of those who run one have a name for each bucket.
    if (!pathStyle && place.pathStyle === undefined && !isAws(found.hostname)) {
      pathStyle = true
      clients = make()
      found = new URL((yield* sign(head)).url)
    }

    /** Whether there is another way to ask, which is gone once. */
    const another = (tried: { renewed: boolean; moved: boolean }, fault: Fault.Fault): boolean => {
      if (fault.region !== undefined && fault.region !== region && !tried.moved) {
        tried.moved = true
        region = fault.region
      } else if (Fault.isExpired(fault) && !tried.renewed) {
        tried.renewed = true
      } else return false
      clients = make()
      return true
    }

    const attempts = <A, E, R>(
      once: Effect.Effect<A, Fault.Fault | E, R>,
      again: () => boolean
    ): Effect.Effect<A, Fault.Fault | E, R> => {
      const tried = { renewed: false, moved: false }
      const next: Effect.Effect<A, Fault.Fault | E, R> = Effect.catch(once, (error) => {
        if (!(error instanceof Fault.Fault) || !another(tried, error)) return Effect.fail(error)
        // With the new keys it may be sent again, but that takes a new reading of the body.
        return again() ? next : Effect.fail(Fault.retrying(error, true))
      })
      return next
    }

    const call: Site["call"] = (what, command, answerMs) =>
      attempts(
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.tryPromise({
            try: (signal) =>
              command(clients.sending, sdk, {
                abortSignal: signal,
                ...(answerMs === undefined ? undefined : { requestTimeout: answerMs })
              }),
            catch: (error) => ofThrown(error, what, now)
          })
        ),
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

    const send: Site["send"] = <E, R>(what: string, command: Command<unknown>, body: Sent<E, R>) => {
      let started = false
      const stream = Stream.suspend(() => {
        started = true
        return body.stream
      })
      const once = Effect.scoped(
        Effect.gen(function* () {
          const signed = yield* sign(command)
          const response = yield* Effect.mapError(
            transport.send<E, R>({
              ...signed,
              body: { _tag: "Blocks", stream, length: body.length },
              ...(tls === undefined ? undefined : { tls }),
              stallMs: body.stallMs,
              answerMs: body.answerMs,
              onSent: body.onSent
            }),
            fromTransport
          )
          headers = response.headers
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
        Effect.gen(function* () {
          const signed = yield* sign(command)
          const response = yield* Effect.mapError(
            transport.send({ ...signed, ...(tls === undefined ? undefined : { tls }) }),
            Fault.ofTransport
          )
          headers = response.headers
          return response.status === 200 || response.status === 206 ? response : yield* refused(response, what)
        }),
        () => true
      )

    return { place, tls, host: found.hostname, headers: () => headers, call, send, get }
  })
