/**
 * One request and its answer on one connection: connect, header, expectation, body, answer. The body's stream runs on a
 * fiber within, so it is closed when the exchange ends, whoever ended it.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import { type Response, type Trailers, TransportError } from "@headrace/core/Transport"
import { BodyWriter, type Piece } from "./bodyWriter.ts"
import { Call, type Outcome } from "./call.ts"
import { connect, isForwarded, type Route, routeKey } from "./connect.ts"
import type { Connections } from "./connections.ts"
import type { Expectations } from "./expectation.ts"
import { describe } from "./messages.ts"
import { earlyResponse, response } from "./response.ts"
import { watchStall } from "./stall.ts"

/** What the exchanges of one transport share. */
export interface Wire {
  readonly connections: Connections
  readonly expectations: Expectations
}

export interface Exchange<E, R> {
  readonly route: Route
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body:
    | {
        readonly stream: Stream.Stream<Piece, E, R>
        readonly length: number | undefined
        readonly chunked: boolean
      }
    | undefined
  /** Its values are fit to be sent. */
  readonly trailers: Trailers<E | TransportError, R>["values"]
  /** May use any kept connection: it is sent once more if that turns out to be dead. */
  readonly small: boolean
  /** Whether what it takes is what the origin's control calls take. */
  readonly control: boolean
  /**
   * May use a kept connection if the origin is known to answer 100: no byte of the body is sent before it has, so a dead
   * connection costs none.
   */
  readonly asks: boolean
  /** Ask for `100 Continue` before the body is sent. */
  readonly expects: boolean
  readonly stallMs: number
  readonly answerMs: number
  readonly onSent: (bytes: number) => void
}

export const failure = (
  tag: TransportError["reason"]["_tag"],
  phase: TransportError["phase"],
  bytesSent: number,
  message: string,
  cause?: unknown
) => new TransportError({ reason: { _tag: tag }, phase, bytesSent, message, cause })

const seconds = (ms: number) => `${Math.round(ms / 10) / 100} s`

/** The whole of it on a given connection. */
const run = <E, R>(
  wire: Wire,
  exchange: Exchange<E, R>,
  call: Call,
  kept: boolean
): Effect.Effect<Response, TransportError | E, R | Scope.Scope> => {
  const { answerMs, body, expects, stallMs } = exchange
  const { url } = exchange.route
  const name = url.host
  const writer = new BodyWriter(call.socket, body, exchange.onSent)
  const lost = (phase: TransportError["phase"], cause: unknown) =>
    failure("ConnectionLost", phase, writer.handed, `${name}: ${describe(cause)}`, cause)
  const answered = (incoming: IncomingMessage) => ({ incoming, name, bytesSent: writer.handed, stallMs, answerMs })
  const early = (incoming: IncomingMessage) => Effect.ensuring(earlyResponse(answered(incoming)), call.close)

  /** What an outcome before the body's end means. */
  const cutShort = (phase: TransportError["phase"], outcome: Outcome) => {
    switch (outcome._tag) {
      case "Answer":
        return early(outcome.incoming)
      case "Lost":
        return Effect.fail(lost(phase, outcome.cause))
      case "Stalled": {
        const what = writer.pending > 0 ? "no byte was taken" : "the source gave no byte"
        return Effect.fail(failure("Stalled", phase, writer.handed, `${name}: ${what} for ${seconds(stallMs)}`))
      }
    }
  }

  /** `undefined` when the body may be sent. */
  const expectation = Effect.gen(function* () {
    const found = yield* Effect.timeoutOption(call.continued, wire.expectations.waitMs(url.origin, stallMs, kept))
    if (Option.isNone(found)) {
      if (kept) return yield* lost("connect", new Error("the connection was kept, and is dead"))
      wire.expectations.unanswered(url.origin)
      return undefined
    }
    if (found.value !== "Continue") return found.value
    wire.expectations.continued(url.origin)
    return undefined
  })

  /** Sends the body; gives what became of the request if that was known before the body's end. */
  const send = ({ stream }: { readonly stream: Stream.Stream<Piece, E, R> }) =>
    Effect.gen(function* () {
      const sending = yield* Effect.forkChild(
        writer.run(stream, (message) => failure("ConnectionLost", "body", writer.handed, `${name}: ${message}`)),
        { startImmediately: true }
      )
      call.flush()
      const stop = watchStall(call.socket, stallMs, () => call.stall())
      const outcome = yield* call.settledBefore(sending).pipe(
        // Before anything else: the bytes stop at once, however long the source takes to close.
        Effect.onInterrupt(() => Effect.sync(() => call.abort())),
        Effect.ensuring(
          Effect.suspend(() => {
            stop()
            return Fiber.interrupt(sending)
          })
        )
      )
      const exit = yield* Fiber.await(sending)
      // The stream's own failure passes as it is, unless the server had spoken before it was stopped.
      if (Exit.isFailure(exit) && outcome === undefined) return yield* Effect.failCause(exit.cause)
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) return yield* Effect.failCause(exit.cause)
      return Exit.isFailure(exit) ? outcome : undefined
    })

  return Effect.gen(function* () {
    // What there is of the body at once goes with the header.
    yield* call.writeHeader(body !== undefined && !expects)
    if (expects) {
      const outcome = yield* expectation
      if (outcome !== undefined) return yield* cutShort("connect", outcome)
    }
    if (body !== undefined) {
      const outcome = call.outcome ?? (yield* send(body))
      // Where the answer was faster than the body's beginning.
      call.flush()
      if (outcome !== undefined) return yield* cutShort("body", outcome)
    }
    call.end(yield* exchange.trailers)
    const outcome = yield* call.settledWithin(answerMs)
    if (outcome === undefined) {
      return yield* failure("Stalled", "answer", writer.handed, `${name}: no answer within ${seconds(answerMs)}`)
    }
    if (outcome._tag !== "Answer") return yield* cutShort("answer", outcome)
    return response(answered(outcome.incoming))
  }).pipe(Effect.onError(() => call.close))
}

/** A request on a connection that is kept, if it may be and there is one, else on a fresh one. */
export const exchange = <E, R>(
  wire: Wire,
  options: Exchange<E, R>
): Effect.Effect<Response, TransportError | E, R | Scope.Scope> => {
  const { route } = options
  const key = routeKey(route)
  const path = isForwarded(route)
    ? `${route.url.origin}${route.url.pathname}${route.url.search}`
    : route.url.pathname + route.url.search

  const open = (socket: Call["socket"], headers = options.headers) =>
    Effect.try({
      try: () =>
        new Call(socket, {
          method: options.method,
          path,
          headers,
          onFree: () => wire.connections.keep(key, socket)
        }),
      catch: (cause) => {
        socket.destroy()
        return failure("InvalidConfig", "connect", 0, `${route.url.host}: the request cannot be sent`, cause)
      }
    })

  const fresh = Effect.flatMap(
    Effect.acquireRelease(
      Effect.flatMap(
        Effect.mapError(connect(route), ({ cause, message }) =>
          failure("ConnectionLost", "connect", 0, message, cause)
        ),
        (socket) => open(socket)
      ),
      (call) => call.release,
      { interruptible: true }
    ),
    (call) => run(wire, options, call, false)
  )

  /** On a kept connection if there is one, and once more if that turns out to be dead. */
  const kept = (asking: Exchange<E, R>) => {
    const found = wire.connections.take(key)
    if (found === undefined) return fresh
    return Effect.flatMap(
      Effect.acquireRelease(open(found.socket, asking.headers), (call) => call.release),
      (call) =>
        Effect.catchIf(
          run(wire, asking, call, true),
          // Nobody has answered a byte: the server had closed it before, or did so without looking.
          (error) => error instanceof TransportError && error.reason._tag === "ConnectionLost" && !call.heard,
          () => {
            found.foundDead()
            return fresh
          }
        )
    )
  }

  return Effect.suspend(() => {
    if (!options.small) {
      if (!options.asks || !wire.expectations.trusts(route.url.origin)) return fresh
      return kept({ ...options, headers: { ...options.headers, ...expectation }, expects: true })
    }
    if (!options.control) return kept(options)
    const startedAt = performance.now()
    return Effect.tap(kept(options), () =>
      Effect.sync(() => wire.expectations.controlCall(route.url.origin, performance.now() - startedAt))
    )
  })
}

/** Asks for `100 Continue` before the body is sent. */
export const expectation = { Expect: "100-continue" }
