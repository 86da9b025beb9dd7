/**
 * Spans: one for a transfer, one for each attempt, one for each request. Off unless somebody who has a tracer turns them
 * on, as spans that nobody collects would cost small transfers their pace. No header field, no query and no message of
 * a service is ever in one.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Receipt from "./Receipt.ts"
import type { Request, Response } from "./Transport.ts"

/**
 * Whether spans are made (false).
 *
 * @since 0.1.0
 * @category references
 */
export const Tracing = Context.Reference<boolean>("@headrace/core/Tracing", { defaultValue: () => false })

/** What a failed span says of its failure: its name, not its words. */
class SpanFailure extends Data.Error<{ readonly message: string }> {}

type Attributes = Readonly<Record<string, string | number | boolean | ReadonlyArray<string>>>

interface Span<A, E> {
  readonly name: string
  readonly kind: "internal" | "client"
  readonly attributes: Attributes
  /** What is known at the end; `failure` names what went wrong. */
  readonly ended: (exit: Exit.Exit<A, E>) => { readonly attributes: Attributes; readonly failure?: string }
}

/** The tracer gets the failure's name alone: an error of ours may carry what is not for others. */
const within = <A, E, R>(effect: Effect.Effect<A, E, R>, span: Span<A, E>): Effect.Effect<A, E, R> => {
  let exit: Exit.Exit<A, E> | undefined
  return Effect.exit(effect).pipe(
    Effect.tap((reached) => {
      exit = reached
      const { attributes, failure } = span.ended(reached)
      const noted = Effect.annotateCurrentSpan(attributes)
      return failure === undefined ? noted : Effect.andThen(noted, Effect.fail(new SpanFailure({ message: failure })))
    }),
    Effect.withSpan(span.name, { kind: span.kind, attributes: span.attributes }, { captureStackTrace: false }),
    Effect.catch(() => Effect.void),
    Effect.andThen(Effect.suspend(() => exit!))
  ) as Effect.Effect<A, E, R>
}

const whenOn = <A, E, R>(effect: Effect.Effect<A, E, R>, span: () => Span<A, E>): Effect.Effect<A, E, R> =>
  Effect.flatMap(Tracing, (on) => (on ? within(effect, span()) : effect))

const reasonOf = (error: unknown): string => {
  const reason = (error as { readonly reason?: { readonly _tag?: unknown } | undefined } | undefined)?.reason?._tag
  return typeof reason === "string" ? reason : "Failed"
}

const failureOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isSuccess(exit)
    ? undefined
    : Exit.hasInterrupts(exit)
      ? "Interrupted"
      : reasonOf(Option.getOrUndefined(Cause.findErrorOption(exit.cause)))

/**
 * A transfer's span. URIs are those of its events.
 *
 * @since 0.1.0
 * @category spans
 */
export const transfer = <E extends { readonly receipt: Receipt.Receipt }, R>(
  effect: Effect.Effect<Receipt.Receipt, E, R>,
  options: { readonly id: string; readonly source: string; readonly destinations: ReadonlyArray<string> }
): Effect.Effect<Receipt.Receipt, E, R> =>
  whenOn(effect, () => ({
    name: "headrace.transfer",
    kind: "internal",
    attributes: {
      "headrace.transfer.id": options.id,
      "headrace.source": options.source,
      "headrace.destinations": options.destinations
    },
    ended: (exit) => {
      const error = Exit.isSuccess(exit) ? undefined : Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      const receipt = Exit.isSuccess(exit) ? exit.value : error?.receipt
      const failure = failureOf(exit)
      return {
        attributes: {
          ...(receipt === undefined
            ? undefined
            : { "headrace.status": receipt.destinations.map(({ status }) => status) }),
          ...(typeof receipt?.source.size === "number" ? { "headrace.size": receipt.source.size } : undefined)
        },
        ...(failure === undefined ? undefined : { failure })
      }
    }
  }))

/**
 * The span of one attempt at a destination.
 *
 * @since 0.1.0
 * @category spans
 */
export const attempt = <A extends { readonly exit: Exit.Exit<unknown, unknown> }, E, R>(
  effect: Effect.Effect<A, E, R>,
  options: { readonly uri: string; readonly attempt: number }
): Effect.Effect<A, E, R> =>
  whenOn(effect, () => ({
    name: "headrace.attempt",
    kind: "internal",
    attributes: { "headrace.destination": options.uri, "headrace.attempt": options.attempt },
    ended: (exit) => {
      const failure = failureOf(Exit.isSuccess(exit) ? exit.value.exit : exit)
      return { attributes: {}, ...(failure === undefined ? undefined : { failure }) }
    }
  }))

/** Header fields by which services name a request, for those who run them. */
const idFields = ["x-openstack-request-id", "x-trans-id", "x-amz-request-id"]

/**
 * The span of one request, up to its answer's header: method, host and path, and the name that the service gave it.
 *
 * @since 0.1.0
 * @category spans
 */
export const request = <E, R>(
  effect: Effect.Effect<Response, E, R>,
  { method, url }: Pick<Request, "method" | "url">
): Effect.Effect<Response, E, R> =>
  whenOn(effect, () => {
    // Without a user before the host, and without the query.
    const parsed = /^https?:\/\/(?:[^/?#]*@)?([^/?#]*)([^?#]*)/i.exec(url)
    return {
      name: method,
      kind: "client",
      attributes: {
        "http.request.method": method,
        ...(parsed === null ? undefined : { "server.address": parsed[1]!, "url.path": parsed[2]! })
      },
      ended: (exit) => {
        if (!Exit.isSuccess(exit)) return { attributes: {}, failure: failureOf(exit)! }
        const { headers, status } = exit.value
        const id = idFields.map((name) => headers[name]).find((value) => value !== undefined)
        return {
          attributes: {
            "http.response.status_code": status,
            ...(id === undefined ? undefined : { "headrace.request_id": id.slice(0, 200) })
          },
          ...(status < 400 ? undefined : { failure: String(status) })
        }
      }
    }
  })
