/**
 * One bounded call to Keystone, repeated while the service is away. Whatever it says is cleaned of secrets before it
 * can become part of a message.
 */
import type { TransportError } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as KeystoneError from "../KeystoneError.ts"
import type { Client } from "../Keystone.ts"
import { field, parseJson } from "./json.ts"

/** A small request. */
export interface Call {
  readonly method: "GET" | "POST"
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Who is asked, for a person: `Keystone` unless said. */
  readonly who?: string
}

/** An answer, whole. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
  /** The service's own words about an error: one line without secrets, or "". */
  readonly words: string
}

/** Milliseconds that one call may take. */
const limit = 30_000

/** Milliseconds before each further try. */
const pauses = [500, 1000, 2000]

/** The longest `Retry-After` that is waited for here; a longer one is the caller's to decide on. */
const patience = 30_000

const away = new Set([429, 502, 503, 504])

/** Fails with `ConnectionLost`, `Stalled`, `Unavailable`, or `InvalidConfig`; any other answer is returned. */
export const call = Effect.fnUntraced(function* (
  client: Client,
  request: Call
): Effect.fn.Return<Answer, KeystoneError.KeystoneError> {
  for (const pause of pauses) {
    const tried = yield* Effect.result(once(client, request))
    if (tried._tag === "Success") return tried.success
    const { reason, retryAfterMs } = tried.failure
    const worthIt = reason._tag === "ConnectionLost" || reason._tag === "Unavailable"
    if (!worthIt || (retryAfterMs ?? 0) > patience) return yield* tried.failure
    yield* Effect.sleep(retryAfterMs ?? pause * (0.8 + 0.4 * (yield* Random.next)))
  }
  return yield* once(client, request)
})

const once = Effect.fnUntraced(function* (
  client: Client,
  request: Call
): Effect.fn.Return<Answer, KeystoneError.KeystoneError> {
  const { cloud } = client
  const { body, who = "Keystone", ...rest } = request
  const origin = new URL(request.url).origin
  const silent = KeystoneError.make("Stalled", {
    cloud,
    message: `${who} at ${origin} accepted the connection and then gave no answer for ${limit / 1000} s`
  })
  const lost = (error: TransportError) => {
    const message = `${who} at ${origin} cannot be reached: ${clean(client, error.message)}`
    return error.reason._tag === "Stalled"
      ? silent
      : KeystoneError.make(error.reason._tag, {
          cloud,
          message: error.reason._tag === "InvalidConfig" ? clean(client, error.message) : message
        })
  }
  const answer = yield* client.transport
    .send({
      ...rest,
      ...(body === undefined ? {} : { body: { _tag: "Bytes" as const, bytes: body } }),
      tls: client.tls,
      stallMs: limit,
      answerMs: limit
    })
    .pipe(
      Effect.flatMap((response) =>
        Effect.map(response.text, (text) => ({ status: response.status, headers: response.headers, text }))
      ),
      Effect.scoped,
      Effect.mapError(lost),
      Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.fail(silent) })
    )
  // Only an error's words are for people: any other text may be a token.
  const words = answer.status < 400 ? "" : short(clean(client, wordsOf(answer.text)))
  if (away.has(answer.status)) {
    const requestId = answer.headers["x-openstack-request-id"]
    const retryAfterMs = retryAfter(answer.headers["retry-after"], yield* Clock.currentTimeMillis)
    return yield* KeystoneError.make("Unavailable", {
      cloud,
      message: `${who} at ${origin} is not available (status ${answer.status}${words === "" ? "" : `: ${words}`})`,
      status: answer.status,
      ...(requestId === undefined ? {} : { requestId }),
      ...(retryAfterMs === undefined ? {} : { retryAfterMs })
    })
  }
  return { ...answer, words }
})

const retryAfter = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  if (/^\d+$/.test(header.trim())) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? undefined : Math.max(0, at - now)
}

// Keystone answers in JSON; a proxy in front of it with a page, of which the title says enough.
const wordsOf = (text: string): string => {
  const json = field(parseJson(text), "error", "message")
  const title = /<title[^>]*>([^<]*)<\/title>/i.exec(text)?.[1]
  const words = json ?? title ?? (text.trimStart().startsWith("<") || text.trimStart().startsWith("{") ? "" : text)
  return words.replace(/\s+/g, " ").trim()
}

const short = (line: string): string => (line.length > 300 ? `${line.slice(0, 300)}...` : line)

const clean = (client: Client, text: string): string =>
  client.secrets.reduce((cleaned, secret) => {
    const value = Redacted.value(secret)
    const forms = [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)]
    return forms.reduce((line, form) => line.replaceAll(form, "<redacted>"), cleaned)
  }, text)
