/**
 * HTTP on `node:http`: bodies of pooled blocks with two writes outstanding, `Content-Length` enforced in both
 * directions, answers found also when the write fails first, `Expect: 100-continue` with a short adaptive wait, stall
 * and answer timeouts, proxies as curl takes them from the environment.
 *
 * Requests without a body, or with at most 1 MiB that can be sent again, use kept connections. When such a connection
 * turns out to be dead before any byte of an answer, the request is sent once more on a fresh one, a `POST` too: callers
 * make their `POST`s safe to repeat (Headrace presets the ids of what it creates).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Tracing from "@headrace/core/Tracing"
import { type Request, type Response, Transport, TransportError } from "@headrace/core/Transport"
import type { Piece } from "./internal/bodyWriter.ts"
import type { Route } from "./internal/connect.ts"
import { Connections } from "./internal/connections.ts"
import { type Exchange, exchange, expectation, failure, type Wire } from "./internal/exchange.ts"
import { Expectations } from "./internal/expectation.ts"
import { http } from "./internal/http.ts"
import { proxies, proxyFor } from "./internal/proxy.ts"
import { redirected } from "./internal/redirect.ts"
import type { Trusts } from "./internal/trust.ts"

const defaultMs = 60_000

/** Bodies up to this size are small: sent on kept connections, and without asking first. */
const smallBytes = 1024 * 1024

const mostRedirects = 5

/** The transport's own: they say how the body is framed and what becomes of the connection. */
const framing = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

const invalid = (message: string, cause?: unknown) => failure("InvalidConfig", "connect", 0, message, cause)

const parse = (text: string): URL | TransportError => {
  if (!URL.canParse(text)) return invalid("the URL of a request is not valid")
  const url = new URL(text)
  return url.protocol === "http:" || url.protocol === "https:"
    ? url
    : invalid(`cannot speak '${url.protocol}' (allowed: http:, https:)`)
}

const basic = (url: URL): string =>
  `Basic ${Buffer.from(`${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`).toString("base64")}`

const badField = (name: string, value: string): TransportError | undefined => {
  try {
    http.validateHeaderName(name)
    http.validateHeaderValue(name, value)
    return undefined
  } catch {
    return invalid(`header '${name.replaceAll(/[^\x21-\x7e]/g, "?")}' has characters that cannot be sent`)
  }
}

const headersFor = <E, R>(request: Request<E, R>, route: Route): Record<string, string> | TransportError => {
  const headers: Record<string, string> = {}
  const names = new Set<string>()
  for (const [name, value] of Object.entries(request.headers)) {
    const bad = badField(name, value)
    if (bad !== undefined) return bad
    if (framing.has(name.toLowerCase())) continue
    headers[name] = value
    names.add(name.toLowerCase())
  }
  headers["Host"] = route.url.host
  headers["Connection"] = "keep-alive"
  if (!names.has("user-agent")) headers["User-Agent"] = "headrace"
  if (!names.has("accept")) headers["Accept"] = "*/*"
  // Nothing is decoded here, and who says nothing accepts every coding (RFC 9110 §12.5.3).
  if (!names.has("accept-encoding")) headers["Accept-Encoding"] = "identity"
  if (!names.has("authorization") && (route.url.username !== "" || route.url.password !== "")) {
    headers["Authorization"] = basic(route.url)
  }
  if (route.proxy?.authorization !== undefined && route.url.protocol === "http:") {
    headers["Proxy-Authorization"] = route.proxy.authorization
  }
  return headers
}

/** Memory in pieces that are written as blocks are. */
const piecesOf = (bytes: Uint8Array): Stream.Stream<Piece> =>
  Stream.range(0, Math.ceil(bytes.byteLength / smallBytes) - 1).pipe(
    Stream.map((i) => {
      const piece = bytes.subarray(i * smallBytes, (i + 1) * smallBytes)
      return { bytes: piece, length: piece.byteLength, release: () => {} }
    })
  )

const framed = <E, R>(request: Request<E, R>): Pick<Exchange<E, R>, "body" | "small"> => {
  const { body } = request
  if (body === undefined) return { body: undefined, small: true }
  const trailed = request.trailers !== undefined
  if (body._tag === "Blocks") {
    const { length, replayable, stream } = body
    const small = replayable === true && !trailed && length !== undefined && length <= smallBytes
    return { body: { stream, length, chunked: trailed || length === undefined }, small }
  }
  const length = body.bytes.byteLength
  return {
    body: { stream: length === 0 ? Stream.empty : piecesOf(body.bytes), length, chunked: trailed },
    small: length <= smallBytes
  }
}

/** The names that a `Trailer` field announces, or why they cannot be. */
const announced = <E, R>({ body, trailers }: Request<E, R>): string | undefined | TransportError => {
  if (trailers === undefined) return undefined
  if (body === undefined) return invalid("trailers need a body that they can follow")
  for (const name of trailers.names) {
    const bad = badField(name, "")
    if (bad !== undefined) return bad
    if (framing.has(name.toLowerCase())) return invalid(`'${name}' cannot be sent as a trailer`)
  }
  return trailers.names.length === 0 ? undefined : trailers.names.join(", ")
}

/** The values of the trailers, once they are known; only what was announced is sent. */
const trailersOf = <E, R>({ trailers }: Request<E, R>): Exchange<E, R>["trailers"] =>
  trailers === undefined
    ? Effect.succeed({})
    : Effect.flatMap(trailers.values, (values) => {
        const names = new Set(trailers.names.map((name) => name.toLowerCase()))
        const sent = Object.entries(values).filter(([name]) => names.has(name.toLowerCase()))
        for (const [name, value] of sent) {
          const bad = badField(name, value)
          if (bad !== undefined) return Effect.fail(bad)
        }
        return Effect.succeed(Object.fromEntries(sent))
      })

const framingHeaders = (
  method: string,
  body: Exchange<unknown, unknown>["body"],
  trailer: string | undefined
): Record<string, string> => {
  if (body?.chunked === true) {
    return { "Transfer-Encoding": "chunked", ...(trailer === undefined ? undefined : { Trailer: trailer }) }
  }
  if (body !== undefined) return { "Content-Length": String(body.length) }
  return method === "POST" || method === "PUT" || method === "PATCH" ? { "Content-Length": "0" } : {}
}

/**
 * Makes the transport. `env` has the proxy variables; they are those of the process unless given.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options?: {
  readonly env?: Readonly<Record<string, string | undefined>>
}): Effect.Effect<Transport["Service"], never, Scope.Scope> =>
  Effect.gen(function* () {
    const env = proxies(options?.env ?? process.env)
    const wire: Wire = { connections: new Connections(), expectations: new Expectations() }
    let trusts: Trusts | undefined
    yield* Effect.addFinalizer(() => Effect.sync(() => wire.connections.close()))

    const routeTo = <E, R>(url: URL, request: Request<E, R>): Effect.Effect<Route, TransportError> =>
      Effect.gen(function* () {
        const proxy = proxyFor(env, url)
        if (proxy !== undefined && "message" in proxy) return yield* invalid(proxy.message)
        if (url.protocol === "http:") return { url, proxy, trust: undefined }
        trusts ??= new (yield* Effect.promise(() => import("./internal/trust.ts"))).Trusts()
        const trust = trusts.of(request.tls ?? { verify: true })
        if ("message" in trust) return yield* invalid(`${url.host}: ${trust.message}`, trust.cause)
        return { url, proxy, trust }
      })

    const sendTo = <E, R>(
      url: URL,
      request: Request<E, R>
    ): Effect.Effect<Response, TransportError | E, R | Scope.Scope> =>
      Effect.gen(function* () {
        const route = yield* routeTo(url, request)
        const headers = headersFor(request, route)
        if (headers instanceof TransportError) return yield* headers
        const trailer = announced(request)
        if (trailer instanceof TransportError) return yield* trailer
        const { body, small } = framed(request)
        const mayAsk = body !== undefined && !wire.expectations.isRefused(url.origin)
        const attempt = (expects: boolean) =>
          exchange(wire, {
            route,
            method: request.method,
            headers: {
              ...headers,
              ...framingHeaders(request.method, body, trailer),
              ...(expects ? expectation : undefined)
            },
            body,
            trailers: trailersOf(request),
            small,
            control: request.body?._tag !== "Blocks",
            expects,
            asks: mayAsk,
            stallMs: request.stallMs ?? defaultMs,
            answerMs: request.answerMs ?? defaultMs,
            onSent: request.onSent ?? (() => {})
          })
        const isLong = body !== undefined && (body.length === undefined || body.length > smallBytes)
        const expects = mayAsk && (isLong || (!small && wire.expectations.isWorthAsking(url.origin)))
        if (expects) wire.expectations.asks(url.origin)
        const answer = yield* attempt(expects)
        if (!expects || answer.status !== 417 || answer.bytesSent > 0) return answer
        // It does not know expectations at all (RFC 9110 §15.5.18); the body has not been touched.
        wire.expectations.refused(url.origin)
        return yield* attempt(false)
      })

    const send = <E = never, R = never>(
      request: Request<E, R>
    ): Effect.Effect<Response, TransportError | E, R | Scope.Scope> =>
      Effect.gen(function* () {
        const outer = yield* Effect.scope
        let url = parse(request.url)
        let current = request
        for (let hops = 0; ; hops++) {
          if (url instanceof TransportError) return yield* url
          const scope = yield* Scope.fork(outer)
          const answer = yield* Tracing.request(Scope.provide(sendTo(url, current), scope), current)
          const next = hops < mostRedirects ? redirected(url, current, answer) : undefined
          if (next === undefined) return answer
          yield* Scope.close(scope, Exit.void)
          url = next.url
          current = next.request
        }
      })
    return Transport.of({ send })
  })

/**
 * The transport, with the proxies that the environment names (`HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`).
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Transport> = Layer.effect(Transport, make())
