/**
 * What the answers of a web server mean to somebody who writes (RFC 9110 §15, RFC 4918 §11 for WebDAV's).
 */
import type * as Reason from "@headrace/core/Reason"
import * as StoreError from "@headrace/core/StoreError"
import type { Response, TransportError } from "@headrace/core/Transport"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Words from "./words.ts"

export interface Answer {
  readonly status: number
  readonly headers: Response["headers"]
  /** One line of what it says; may be empty. */
  readonly words: string
  readonly retryAfterMs: number | undefined
}

/** Reads an answer. The words are only for people: an answer without them is an answer. */
export const read = (response: Response, secrets: ReadonlyArray<string>): Effect.Effect<Answer> =>
  Effect.gen(function* () {
    const body = yield* Effect.orElseSucceed(response.text, () => "")
    const now = yield* Clock.currentTimeMillis
    return {
      status: response.status,
      headers: response.headers,
      words: Words.of(body, secrets),
      retryAfterMs: Words.retryAfterMs(response.headers["retry-after"], now)
    }
  })

/** `clear` is true for what never left this machine. */
export const ofTransport = (error: TransportError, uri: string): StoreError.StoreError => {
  const local = error.reason._tag === "InvalidConfig"
  return StoreError.make(error.reason._tag, {
    uri,
    message: error.message,
    retryable: !local,
    clear: local,
    cause: error
  })
}

/** Statuses that speak of the server's state and not of the request. */
export const isAway = (status: number): boolean =>
  status === 408 ||
  status === 425 ||
  status === 429 ||
  (status >= 500 && status !== 501 && status !== 505 && status !== 507)

/** `405 Method Not Allowed`, and what the server says of it, unless that is the status once more. */
const said = ({ status, words }: Answer): string => {
  const name = Words.status(status)
  return words === "" || words.startsWith(`${status}`) || name.toLowerCase().endsWith(words.toLowerCase())
    ? name
    : `${name}: ${words}`
}

/** The schemes that a 401 offers, where we do not know them. */
const schemes = (headers: Response["headers"]): string => {
  const found = (headers["www-authenticate"] ?? "").matchAll(/(?:^|,)\s*([A-Za-z][\w-]*)(?=\s+[\w-]+\s*=|\s*(?:,|$))/g)
  const names = [...new Set(Array.from(found, ([, name]) => name!.toLowerCase()))]
  return names.length === 0 || names.includes("basic") ? "" : `; it offers ${names.join(", ")}`
}

export interface Asked {
  readonly method: string
  /** What could not be done, for a person: `the object was not taken`. */
  readonly what: string
  readonly uri: string
  /** Whether credentials were sent. */
  readonly signed: boolean
  /** Whether the body's size was announced; `undefined` where there was no body. */
  readonly sized?: boolean
  readonly contentType?: string
}

/** What an answer that is neither a success nor a redirect means. */
export const refusal = (answer: Answer, asked: Asked): StoreError.StoreError => {
  const { headers, status } = answer
  const fail = (reason: Reason.Reason, why: string, more?: Partial<StoreError.Fields>) =>
    StoreError.make(reason, {
      uri: asked.uri,
      message: `${asked.what}: ${why}`,
      status,
      ...(answer.retryAfterMs === undefined ? undefined : { retryAfterMs: answer.retryAfterMs }),
      ...more
    })
  const words = said(answer)
  if (isAway(status)) return fail("Unavailable", `the server answered ${words}`, { retryable: true, clear: false })
  switch (status) {
    case 401:
      return fail(
        "Unauthorized",
        asked.signed
          ? `the server does not accept the credentials (${words})${schemes(headers)}`
          : `the server wants credentials (${words})${schemes(headers)}`
      )
    case 403:
      return fail("Forbidden", words)
    case 404:
      return fail("NotFound", words)
    case 501:
      // Some object stores say it of bodies in chunks.
      if (asked.sized === false) {
        return fail("Unsupported", `the server takes no ${asked.method} there, or none of unknown size (${words})`)
      }
      return fail("Unsupported", `the server takes no ${asked.method} there (${words})`)
    case 405:
      return fail("Unsupported", `the server takes no ${asked.method} there (${words})`)
    case 409:
      // WebDAV's word for a folder that is not there (RFC 4918 §9.7.1).
      return fail("Conflict", words)
    case 410:
      return fail("Gone", words)
    case 411:
      return asked.sized === false
        ? fail("Unsupported", `the server wants to know the size first (${words})`)
        : fail("Rejected", words)
    case 412:
      return fail("Conflict", `a condition does not hold (${words})`)
    case 413:
      return fail("TooLarge", words)
    case 415:
      return fail("UnsupportedFormat", `the server does not take ${asked.contentType ?? "this type"} (${words})`)
    case 423:
      return fail("Conflict", words)
    case 507:
      return fail("QuotaExceeded", words)
    default:
      return fail("Rejected", words)
  }
}
