/**
 * What the SDK sends, it sends through our transport: one set of connections, proxies, authorities and time limits for
 * control calls and bodies. A request that the SDK signs without sending it is caught.
 */
import type { S3ClientConfig } from "@aws-sdk/client-s3"
import { type Request, type Tls, type Transport, TransportError } from "@headrace/core/Transport"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import { Readable } from "node:stream"

/** The SDK's request, as far as it is looked at. */
export interface SdkRequest {
  readonly method: string
  readonly protocol: string
  readonly hostname: string
  readonly port?: number | undefined
  readonly path: string
  readonly query?: Readonly<Record<string, string | ReadonlyArray<string> | null | undefined>> | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** What the SDK hands on of what is said with a command. */
export interface CallOptions {
  readonly abortSignal?: AbortSignal
  /** Milliseconds that the answer may take. */
  readonly requestTimeout?: number
  /** Of whoever sends the command, which the SDK's promises would lose. */
  readonly context?: Context.Context<never>
}

/** A request as it is to be sent, without its body. */
export type Signed = Pick<Request, "method" | "url" | "headers">

type Handler = Extract<S3ClientConfig["requestHandler"], { readonly handle: unknown }>

/** As the signature has it: every character but the unreserved ones (RFC 3986 §2.3). */
export const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`)

const queryOf = (query: SdkRequest["query"]): string =>
  Object.entries(query ?? {})
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? (value as ReadonlyArray<string>) : [value as string | null | undefined]).map(
        (one) => [name, one ?? ""] as const
      )
    )
    .map(([name, value]) => `${encode(name)}=${encode(value)}`)
    .join("&")

export const signedOf = ({ headers, hostname, method, path, port, protocol, query }: SdkRequest): Signed => {
  const text = queryOf(query)
  const host = port === undefined ? hostname : `${hostname}:${port}`
  return { method, url: `${protocol}//${host}${path}${text === "" ? "" : `?${text}`}`, headers }
}

/** A signed request, thrown in order not to be sent. */
class Caught extends Error {
  readonly signed: Signed
  constructor(signed: Signed) {
    super("caught")
    this.signed = signed
  }
}

const unused = { updateHttpClientConfig: () => {}, httpHandlerConfigs: () => ({}) }

/** Sends nothing. */
export const catching: Handler = {
  ...unused,
  metadata: { handlerProtocol: "http/1.1" },
  handle: (request: SdkRequest) => Promise.reject(new Caught(signedOf(request)))
}

/** What was caught, of a call that can only end so. */
export const caught = async (call: () => Promise<unknown>): Promise<Signed> => {
  try {
    await call()
  } catch (error) {
    if (error instanceof Caught) return error.signed
    throw error
  }
  throw new Error("a request that was to be caught was sent")
}

/** The body that stands for ours: the SDK signs for it, and neither reads nor counts it. */
export const placeholder = (): Readable => new Readable({ read: () => {} })

const bytesOf = (body: unknown): Uint8Array | undefined => {
  if (body === undefined || body === null || body === "") return undefined
  return typeof body === "string" ? Buffer.from(body) : (body as Uint8Array)
}

export interface Options {
  readonly transport: Transport["Service"]
  readonly tls: Tls | undefined
  /** Told of each answer's fields. */
  readonly onHeaders: (headers: Readonly<Record<string, string>>) => void
}

/** Sends what has its body in memory. */
export const sending = ({ onHeaders, tls, transport }: Options): Handler => ({
  ...unused,
  metadata: { handlerProtocol: "http/1.1" },
  handle: async (request: SdkRequest, options?: unknown) => {
    const { abortSignal, context, requestTimeout } = (options ?? {}) as CallOptions
    const bytes = bytesOf(request.body)
    const exit = await Effect.runPromiseExitWith(context ?? Context.empty())(
      Effect.scoped(
        Effect.flatMap(
          transport.send({
            ...signedOf(request),
            ...(bytes === undefined ? undefined : { body: { _tag: "Bytes", bytes } }),
            ...(tls === undefined ? undefined : { tls }),
            ...(requestTimeout === undefined ? undefined : { answerMs: requestTimeout })
          }),
          (response) => Effect.map(response.text, (text) => ({ response, text }))
        )
      ),
      abortSignal === undefined ? undefined : { signal: abortSignal }
    )
    if (Exit.isFailure(exit)) {
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      throw error instanceof TransportError ? error : Cause.squash(exit.cause)
    }
    const { response, text } = exit.value
    onHeaders(response.headers)
    return {
      response: {
        statusCode: response.status,
        headers: { ...response.headers },
        body: Readable.from(text === "" ? [] : [Buffer.from(text)])
      }
    }
  }
})
