/**
 * HTTP on `node:http` and `node:https`: bodies of pooled blocks with two writes outstanding, `Content-Length` enforced,
 * early answers read, `Expect: 100-continue` with a short adaptive wait, stall and answer timeouts. Control calls go
 * over kept connections; a kept connection that the server has closed costs no attempt.
 *
 * A `POST` is sent once more when the kept connection it was written to turns out to be dead before any byte of an
 * answer: callers must make their `POST`s safe to repeat (Headrace presets the ids of what it creates).
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import * as https from "node:https"
import { type BlocksBody, type Request, type Response, Transport, TransportError } from "@headrace/core/Transport"
import { Agents, knowsProxies, proxyVariables } from "./internal/agents.ts"
import { BodyWriter } from "./internal/bodyWriter.ts"
import { Expectations } from "./internal/expectation.ts"
import { describe } from "./internal/messages.ts"
import { followable, redirected } from "./internal/redirect.ts"
import { response } from "./internal/response.ts"

/** A connection must be made in this time; the look-up of the name and the TLS handshake count. */
const connectMs = 30_000
const defaultMs = 60_000

/** Bodies from this size on are announced with `Expect: 100-continue`. */
const expectFromBytes = 1024 * 1024 + 1

interface Wire {
  readonly agents: Agents
  readonly expectations: Expectations
}

const failure = (
  tag: TransportError["reason"]["_tag"],
  phase: TransportError["phase"],
  bytesSent: number,
  message: string,
  cause?: unknown
) => new TransportError({ reason: { _tag: tag }, phase, bytesSent, message, cause })

const parse = (request: Request<unknown, unknown>): URL | TransportError => {
  if (!URL.canParse(request.url)) return failure("InvalidConfig", "connect", 0, "the URL of a request is not valid")
  const url = new URL(request.url)
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return failure("InvalidConfig", "connect", 0, `cannot speak '${url.protocol}' (allowed: http:, https:)`)
  }
  for (const [name, value] of Object.entries(request.headers)) {
    try {
      http.validateHeaderName(name)
      http.validateHeaderValue(name, value)
    } catch {
      return failure("InvalidConfig", "connect", 0, `the value of header '${name}' has characters that cannot be sent`)
    }
  }
  return url
}

interface Started {
  readonly request: http.ClientRequest
  /** Completes with the answer, or fails when there will be none. */
  readonly answer: Promise<http.IncomingMessage>
  readonly continued: Promise<void>
}

const start = (
  url: URL,
  request: Request<unknown, unknown>,
  headers: Record<string, string>,
  agent: http.Agent
): Started => {
  const made = (url.protocol === "https:" ? https : http).request(url, { method: request.method, headers, agent })
  const continued = new Promise<void>((resolve) => made.once("continue", resolve))
  const answer = new Promise<http.IncomingMessage>((resolve, reject) => {
    made.once("response", resolve)
    made.once("error", reject)
    made.once("close", () => reject(new Error("the connection was closed without an answer")))
  })
  answer.catch(() => {})
  made.once("socket", (socket) => {
    if (!socket.connecting) return
    const giveUp = setTimeout(
      () => made.destroy(Object.assign(new Error("the connection timed out"), { code: "ETIMEDOUT" })),
      connectMs
    )
    const done = () => clearTimeout(giveUp)
    socket.once(url.protocol === "https:" ? "secureConnect" : "connect", done)
    socket.once("close", done)
  })
  // After the answer, errors are those of reading it, which the response reports.
  made.on("error", () => {})
  return { request: made, answer, continued }
}

const acquire = (make: () => Started): Effect.Effect<Started, TransportError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.try({
      try: make,
      catch: (cause) => failure("InvalidConfig", "connect", 0, describe(cause), cause)
    }),
    ({ request }) =>
      Effect.sync(() => {
        if (!request.writableFinished || request.reusedSocket === false) request.destroy()
      })
  )

const withHost = (url: URL, cause: unknown) => `${url.host}: ${describe(cause)}`

/** Waits for the answer, for so long. */
const awaitAnswer = (
  url: URL,
  started: Started,
  timeoutMs: number,
  sent: () => number,
  phase: TransportError["phase"]
): Effect.Effect<http.IncomingMessage, TransportError> =>
  Effect.tryPromise({
    try: () => started.answer,
    catch: (cause) => failure("ConnectionLost", phase, sent(), withHost(url, cause), cause)
  }).pipe(
    Effect.timeoutOrElse({
      duration: timeoutMs,
      orElse: () =>
        Effect.fail(
          failure("Stalled", phase, sent(), `${url.host}: no answer within ${Math.round(timeoutMs / 1000)} s`)
        )
    })
  )

/** A request whose body, if any, is small and in memory. */
const sendSmall = (
  wire: Wire,
  url: URL,
  request: Request<unknown, unknown>
): Effect.Effect<Response, TransportError, Scope.Scope> =>
  Effect.gen(function* () {
    const bytes = request.body?._tag === "Bytes" ? request.body.bytes : undefined
    const headers = {
      ...request.headers,
      ...(bytes === undefined ? undefined : { "content-length": String(bytes.byteLength) })
    }
    const stallMs = request.stallMs ?? defaultMs
    const attempt = (agent: http.Agent) =>
      Effect.gen(function* () {
        const startedAt = performance.now()
        const started = yield* acquire(() => start(url, request, headers, agent))
        started.request.end(bytes)
        const incoming = yield* awaitAnswer(
          url,
          started,
          request.answerMs ?? defaultMs,
          () => bytes?.byteLength ?? 0,
          started.request.socket?.connecting === false ? "answer" : "connect"
        ).pipe(Effect.mapError((error) => ({ error, dead: started.request.reusedSocket })))
        wire.expectations.controlCall(url.origin, performance.now() - startedAt)
        if (bytes !== undefined) request.onSent?.(bytes.byteLength)
        return response({ incoming, host: url.host, early: false, bytesSent: bytes?.byteLength ?? 0, stallMs })
      })
    return yield* attempt(wire.agents.kept(url, request.tls)).pipe(
      Effect.catch((failed) =>
        failed instanceof TransportError
          ? Effect.fail(failed)
          : failed.dead && failed.error.reason._tag === "ConnectionLost"
            ? attempt(wire.agents.fresh(url, request.tls))
            : Effect.fail(failed)
      ),
      Effect.mapError((failed) => (failed instanceof TransportError ? failed : failed.error))
    )
  })

/** Fails when no byte has moved for `stallMs`. */
const watchStall = (url: URL, writer: BodyWriter, stallMs: number): Effect.Effect<never, TransportError> =>
  Effect.gen(function* () {
    let last = writer.moved
    let at = performance.now()
    while (true) {
      yield* Effect.sleep(Math.min(1000, Math.max(20, stallMs / 10)))
      const now = writer.moved
      if (now !== last || writer.drained) {
        last = now
        at = performance.now()
      } else if (performance.now() - at >= stallMs) {
        const seconds = Math.round(stallMs / 100) / 10
        return yield* failure("Stalled", "body", writer.handed, `${url.host}: no byte moved for ${seconds} s`)
      }
    }
  })

/** A request with a body of blocks, on a connection of its own. */
const sendBlocks = <E, R>(
  wire: Wire,
  url: URL,
  request: Request<E, R>,
  body: BlocksBody<E, R>
): Effect.Effect<Response, TransportError | E, R | Scope.Scope> =>
  Effect.gen(function* () {
    const stallMs = request.stallMs ?? defaultMs
    const expects = body.length === undefined || body.length >= expectFromBytes
    const headers = {
      ...request.headers,
      ...(body.length === undefined ? { "transfer-encoding": "chunked" } : { "content-length": String(body.length) }),
      ...(expects ? { expect: "100-continue" } : undefined)
    }
    const started = yield* acquire(() => start(url, request, headers, wire.agents.fresh(url, request.tls)))
    const writer = new BodyWriter(started.request, body.length, request.onSent ?? (() => {}))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        started.request.destroy()
        writer.releaseAll()
      })
    )
    const lost = (phase: TransportError["phase"]) => (cause: unknown) =>
      failure("ConnectionLost", phase, writer.handed, withHost(url, cause), cause)
    const answered = (phase: TransportError["phase"]) =>
      Effect.tryPromise({ try: () => started.answer, catch: lost(phase) })
    const reply = (incoming: http.IncomingMessage, early: boolean) =>
      response({ incoming, host: url.host, early, bytesSent: writer.handed, stallMs })

    if (expects) {
      started.request.flushHeaders()
      const first = yield* Effect.raceFirst(
        answered("connect"),
        Effect.promise(() => started.continued).pipe(
          Effect.tap(() => Effect.sync(() => wire.expectations.continued(url.origin))),
          Effect.timeoutOption(wire.expectations.waitMs(url.origin, stallMs)),
          Effect.as(undefined)
        )
      )
      if (first !== undefined) return reply(first, true)
    }

    const sending = yield* Effect.forkChild(
      Effect.raceFirst(
        writer.run(body.stream, (message) => failure("ConnectionLost", "body", writer.handed, message)),
        watchStall(url, writer, stallMs)
      ),
      { startImmediately: true }
    )
    const first = yield* Effect.exit(
      Effect.raceFirst(
        Effect.map(answered("body"), (incoming) => ({ incoming })),
        Effect.as(Fiber.join(sending), { incoming: undefined })
      )
    )
    // The stream's scope closes here, whoever was first: nothing reads the source after `send`.
    const { complete } = writer
    yield* Fiber.interrupt(sending)
    if (Exit.isFailure(first)) {
      // A server that has answered and closed makes the write fail first; its answer may be here by now.
      const late = yield* Effect.timeoutOption(Effect.option(answered("body")), 50)
      if (late._tag === "Some" && late.value._tag === "Some") return reply(late.value.value, true)
      return yield* Effect.failCause(first.cause)
    }
    if (first.value.incoming !== undefined) return reply(first.value.incoming, !complete)
    return reply(yield* awaitAnswer(url, started, request.answerMs ?? defaultMs, () => writer.handed, "answer"), false)
  })

const make = Effect.gen(function* () {
  const proxy = proxyVariables(process.env)
  const agents = new Agents(proxy)
  const wire: Wire = { agents, expectations: new Expectations() }
  yield* Effect.addFinalizer(() => Effect.sync(() => agents.close()))

  const send = <E = never, R = never>(
    request: Request<E, R>
  ): Effect.Effect<Response, TransportError | E, R | Scope.Scope> =>
    Effect.gen(function* () {
      const url = parse(request)
      if (url instanceof TransportError) return yield* url
      if (proxy !== undefined && !knowsProxies(process.versions.node)) {
        return yield* failure("InvalidConfig", "connect", 0, "a proxy is set, and proxies need Node 22.21 or newer")
      }
      if (request.body?._tag === "Blocks") return yield* sendBlocks(wire, url, request, request.body)
      let at = { url, request: request as Request<unknown, unknown> }
      for (let hops = 0; ; hops++) {
        const answer = yield* sendSmall(wire, at.url, at.request)
        if (!followable(at.request, answer) || hops === 5) return answer
        const next = redirected(at.url, at.request, answer)
        if (next === undefined) return answer
        at = next
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
export const layer: Layer.Layer<Transport> = Layer.effect(Transport, make)
