/**
 * The requests of tus 1.0, and what their answers mean.
 */
import type { Content, PartBody } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { type Request, type Response, type Transport, TransportError } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Options } from "../TusStore.ts"

/** What a server says of itself. */
export interface Server {
  readonly extensions: ReadonlyArray<string>
  readonly maxBytes: number | undefined
}

/** How far an upload has come. */
export interface Look {
  readonly offset: number
  /** `undefined` while it is not known. */
  readonly length: number | undefined
}

export type Api = ReturnType<typeof make>

/** The endpoint without what is not to be shown, and the credentials that it holds. */
export const endpointOf = ({ endpoint, headers }: Options) => {
  const url = new URL(endpoint)
  const user = decodeURIComponent(url.username)
  const basic = btoa(`${user}:${decodeURIComponent(url.password)}`)
  url.username = url.password = ""
  const signed = user === "" ? {} : { authorization: `Basic ${basic}` }
  return { url: url.href, uri: `${url.origin}${url.pathname}`, headers: { ...signed, ...headers } }
}

const base64 = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)))

const count = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined

/** Statuses that speak of the server's state and not of the request; 423 is tus's "another request holds the upload". */
const isAway = (status: number) => status === 408 || status === 423 || status === 429 || status >= 500

const reasons: Readonly<Record<number, Parameters<typeof StoreError.make>[0]>> = {
  401: "Unauthorized",
  403: "Forbidden",
  404: "NotFound",
  409: "Conflict",
  410: "Gone",
  413: "TooLarge"
}

export const make = (options: Options, transport: Transport["Service"]) => {
  const { headers, uri, url: endpoint } = endpointOf(options)

  const lost = (error: TransportError) =>
    StoreError.make(error.reason._tag, {
      uri,
      message: error.message,
      retryable: error.reason._tag !== "InvalidConfig",
      clear: error.reason._tag === "InvalidConfig",
      cause: error
    })

  const refused = ({ headers, status }: Response, what: string) => {
    const seconds = count(headers["retry-after"])
    return StoreError.make(isAway(status) ? "Unavailable" : (reasons[status] ?? "Rejected"), {
      uri,
      message: `${what}: the server answered ${status}`,
      status,
      retryable: isAway(status),
      clear: !isAway(status),
      ...(seconds === undefined ? undefined : { retryAfterMs: seconds * 1000 })
    })
  }

  const ask = <E = never, R = never>(
    request: Omit<Request<E, R>, "headers"> & { readonly headers?: Readonly<Record<string, string>> }
  ): Effect.Effect<Response, StoreError.StoreError | E, R | Scope.Scope> =>
    Effect.mapError(
      transport.send<E, R>({
        ...request,
        // Credentials are the endpoint's; an upload may be anywhere.
        headers: {
          ...(new URL(request.url).origin === new URL(endpoint).origin ? headers : undefined),
          "tus-resumable": "1.0.0",
          ...request.headers
        }
      }),
      (error) => (error instanceof TransportError ? lost(error) : error)
    )

  const server: Effect.Effect<Server, StoreError.StoreError> = Effect.scoped(
    Effect.gen(function* () {
      const response = yield* ask({ method: "OPTIONS", url: endpoint })
      const { headers, status } = response
      if (status !== 200 && status !== 204) return yield* refused(response, "the server does not say what it can do")
      const extensions = (headers["tus-extension"] ?? "").split(",").map((name) => name.trim())
      return { extensions: extensions.filter((name) => name !== ""), maxBytes: count(headers["tus-max-size"]) }
    })
  )

  /** What would be refused only later. */
  const check =
    ({ size }: Content) =>
    ({ extensions, maxBytes }: Server): Effect.Effect<void, StoreError.StoreError> => {
      const fail = (reason: "Unsupported" | "TooLarge", message: string) =>
        Effect.fail(StoreError.make(reason, { uri, message }))
      if (!extensions.includes("creation"))
        return fail("Unsupported", "the server makes no uploads (no extension 'creation')")
      if (size === undefined && !extensions.includes("creation-defer-length")) {
        return fail("Unsupported", "the server wants to know the size first (no extension 'creation-defer-length')")
      }
      return size !== undefined && maxBytes !== undefined && size > maxBytes
        ? fail("TooLarge", `${size} bytes are more than the ${maxBytes} that the server takes`)
        : Effect.void
    }

  /** Makes an upload, and gives its URL. */
  const create = (size: number | undefined): Effect.Effect<string, StoreError.StoreError> =>
    Effect.scoped(
      Effect.gen(function* () {
        const { filename } = options
        const response = yield* ask({
          method: "POST",
          url: endpoint,
          body: { _tag: "Bytes", bytes: new Uint8Array(0) },
          headers: {
            ...(size === undefined ? { "upload-defer-length": "1" } : { "upload-length": String(size) }),
            ...(filename === undefined ? undefined : { "upload-metadata": `filename ${base64(filename)}` })
          }
        })
        const { location } = response.headers
        if (response.status !== 201 || location === undefined) return yield* refused(response, "no upload was made")
        return new URL(location, endpoint).href
      })
    )

  /** Nothing when there is no such upload, or not any more. */
  const look = (url: string): Effect.Effect<Look | undefined, StoreError.StoreError> =>
    Effect.scoped(
      Effect.gen(function* () {
        const response = yield* ask({ method: "HEAD", url })
        const { headers, status } = response
        if (status === 404 || status === 410) return undefined
        const offset = count(headers["upload-offset"])
        if (status >= 300 || offset === undefined) return yield* refused(response, "the upload cannot be looked at")
        return { offset, length: count(headers["upload-length"]) }
      })
    )

  const offset = (url: string) =>
    Effect.flatMap(look(url), (found) =>
      found === undefined
        ? Effect.fail(StoreError.make("Gone", { uri, message: "the server does not know the upload any more" }))
        : Effect.succeed(found.offset)
    )

  const appended = (response: Response, end: number) =>
    response.status === 204 && count(response.headers["upload-offset"]) === end
      ? Effect.void
      : // After anything else it is asked how far the upload came.
        Effect.fail(
          response.status === 204
            ? StoreError.make("ConnectionLost", {
                uri,
                message: "the body came in part",
                retryable: true,
                clear: false
              })
            : refused(response, "the bytes were not taken")
        )

  /** Appends bytes to an upload that has `from` of them. */
  const append = <E, R>(
    url: string,
    from: number,
    part: PartBody<E, R>
  ): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.scoped(
      Effect.gen(function* () {
        const { answerMs, length, onSent, stallMs, stream } = part
        const response = yield* ask<E, R>({
          method: "PATCH",
          url,
          headers: { "upload-offset": String(from), "content-type": "application/offset+octet-stream" },
          body: { _tag: "Blocks", stream, length },
          onSent,
          stallMs,
          answerMs
        })
        yield* appended(response, from + length)
      })
    ) as Effect.Effect<void, StoreError.StoreError | E, R>

  /** Says how long an upload is whose length was not known. */
  const complete = (url: string, size: number): Effect.Effect<void, StoreError.StoreError> =>
    Effect.scoped(
      Effect.gen(function* () {
        const response = yield* ask({
          method: "PATCH",
          url,
          headers: {
            "upload-offset": String(size),
            "upload-length": String(size),
            "content-type": "application/offset+octet-stream"
          },
          body: { _tag: "Bytes", bytes: new Uint8Array(0) }
        })
        yield* appended(response, size)
      })
    )

  /** Deletes an upload; succeeds also when there is none. */
  const terminate = (url: string): Effect.Effect<void, StoreError.StoreError> =>
    Effect.scoped(
      Effect.gen(function* () {
        const response = yield* ask({ method: "DELETE", url })
        const { status } = response
        if (status !== 204 && status !== 404 && status !== 410)
          return yield* refused(response, "the upload was not deleted")
      })
    )

  /** tus has no word for it, but many servers answer GET. */
  const read = (url: string): Stream.Stream<Uint8Array, StoreError.StoreError> =>
    Stream.unwrap(
      Effect.flatMap(ask({ method: "GET", url, headers: { "accept-encoding": "identity" } }), (response) =>
        response.status === 200
          ? Effect.succeed(Stream.mapError(response.stream, lost))
          : Effect.fail(refused(response, "the object cannot be read"))
      )
    )

  const misplaced = (there: number, part: { readonly offset: number; readonly length: number }) => {
    const message = `the server has ${there} bytes, where ${part.offset} to ${part.offset + part.length} could be`
    return Effect.fail(StoreError.make("Rejected", { uri, message }))
  }

  return { uri, server, check, create, look, offset, append, complete, terminate, read, misplaced }
}
