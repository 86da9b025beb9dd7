/**
 * HTTP as adapters need it: one request with a body that is either a few bytes or a stream of blocks, and one
 * answer, also when the answer comes before the body's end. The platform provides the service
 * (`@headrace/node/NodeTransport` on Node); adapters only build requests.
 *
 * A body stream is run inside `send`: when `send` ends, for whatever reason, the stream's scope is closed.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"

/**
 * How a connection is secured and found.
 *
 * @since 0.1.0
 * @category models
 */
export interface Tls {
  /** Check the server's certificate. Only an explicit `false` turns it off. */
  readonly verify: boolean
  /** PEM text of the authorities to trust instead of the platform's. */
  readonly ca?: string
  /** PEM text of a client certificate and its key. */
  readonly cert?: string
  readonly key?: string
}

/**
 * A body of blocks. `length` in bytes when it is known: then `Content-Length` is sent and enforced; otherwise the
 * body is sent in HTTP chunks of at most 256 KiB.
 *
 * @since 0.1.0
 * @category models
 */
export interface BlocksBody<out E, out R> {
  readonly _tag: "Blocks"
  readonly stream: Stream.Stream<Block, E, R>
  readonly length: number | undefined
  /**
   * Whether the stream can be run again and gives the same bytes (false). Up to 1 MiB, such a body is sent on a kept
   * connection, and again when that turns out to be closed.
   */
  readonly replayable?: boolean
}

/**
 * A small body held in memory; sent again as it is when a pooled connection turns out to be closed.
 *
 * @since 0.1.0
 * @category models
 */
export interface BytesBody {
  readonly _tag: "Bytes"
  readonly bytes: Uint8Array
}

/**
 * Fields behind a body, for what is known only at its end (RFC 9110 §6.5). A body with trailers is sent in HTTP chunks
 * (RFC 9112 §7.1.2), also when its length is known; the length is still enforced.
 *
 * @since 0.1.0
 * @category models
 */
export interface Trailers<out E, out R> {
  /** What is announced in `Trailer`, in front of the body. */
  readonly names: ReadonlyArray<string>
  /** Read once the last chunk is sent; may leave names out. When it fails, the body is cut, never completed. */
  readonly values: Effect.Effect<Readonly<Record<string, string>>, E, R>
}

/**
 * One HTTP request.
 *
 * @since 0.1.0
 * @category models
 */
export interface Request<out E = never, out R = never> {
  readonly method: string
  readonly url: string
  /** Header fields; names in any case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body?: BytesBody | BlocksBody<E, R>
  /** Only with a body. */
  readonly trailers?: Trailers<E, R>
  readonly tls?: Tls
  /** While the body is sent or an answer's body is read: milliseconds without a byte before `Stalled`. Default 60,000. */
  readonly stallMs?: number
  /** After the last body byte: milliseconds that the answer may take. Default 60,000. */
  readonly answerMs?: number
  /** Called with the number of body bytes whenever some were handed to the socket. */
  readonly onSent?: (bytes: number) => void
}

/**
 * The answer to a request. Its body is read at most once, by `text` or `blocks`; the scope of `send` closes it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Response {
  readonly status: number
  /** Header fields, names in lower case; repeated fields are joined by ", ". */
  readonly headers: Readonly<Record<string, string>>
  /** Whether the answer came before the request's body was sent whole. */
  readonly early: boolean
  /** Body bytes that were handed to the socket. */
  readonly bytesSent: number
  /** The body as UTF-8 text; at most 16 MiB are kept. */
  readonly text: Effect.Effect<string, TransportError>
  /** The body as it comes. A body shorter than its Content-Length is a `ConnectionLost`. */
  readonly stream: Stream.Stream<Uint8Array, TransportError>
}

/**
 * Why there was no answer. `ConnectionLost`: refused, reset, closed, name not found, TLS. `Stalled`: no byte
 * moved for `stallMs`, or no answer for `answerMs`. `InvalidConfig`: the request cannot be sent (bad URL, header
 * or certificate); nothing left this machine.
 *
 * @since 0.1.0
 * @category errors
 */
export class TransportError extends Data.TaggedError("TransportError")<{
  readonly reason: { readonly _tag: "ConnectionLost" | "Stalled" | "InvalidConfig" }
  /** One line; names the origin, never header fields or a query. */
  readonly message: string
  /** Where it happened: before any body byte, in the body, or while waiting for the answer or reading it. */
  readonly phase: "connect" | "body" | "answer"
  /** Body bytes that were handed to the socket. */
  readonly bytesSent: number
  readonly cause?: unknown
}> {}

/**
 * The service.
 *
 * @since 0.1.0
 * @category services
 */
export class Transport extends Context.Service<
  Transport,
  {
    readonly send: <E = never, R = never>(
      request: Request<E, R>
    ) => Effect.Effect<Response, TransportError | E, R | Scope.Scope>
  }
>()("@headrace/core/Transport") {}
