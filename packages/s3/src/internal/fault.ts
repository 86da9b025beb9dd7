/**
 * What a service's refusals mean to somebody who writes or reads: S3's error codes, and the statuses of answers that
 * have none (a `HEAD` has no body, a proxy knows no codes).
 *
 * The codes are those of https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html, and what others say for
 * the same.
 */
import type * as Reason from "@headrace/core/Reason"
import * as SourceError from "@headrace/core/SourceError"
import * as StoreError from "@headrace/core/StoreError"
import type { TransportError } from "@headrace/core/Transport"
import * as Data from "effect/Data"

interface Fields {
  readonly retryable?: boolean
  readonly clear?: boolean
  readonly status?: number
  readonly code?: string
  readonly requestId?: string
  readonly retryAfterMs?: number
  /** The region in which the service says that the bucket is. */
  readonly region?: string
  readonly cause?: unknown
}

/** What went wrong, before it is known whether a store or a source says it. */
export class Fault extends Data.TaggedError("Fault")<
  Fields & {
    readonly reason: Reason.Reason
    readonly message: string
    readonly retryable: boolean
    readonly clear: boolean
  }
> {}

export const make = (reason: Reason.Reason, message: string, fields: Fields = {}): Fault =>
  new Fault({ retryable: false, clear: true, ...fields, reason, message })

/** The same with another word on whether it can help to try again. */
export const retrying = (fault: Fault, retryable: boolean): Fault =>
  // An error's message is not among what a spread copies.
  new Fault({ ...fault, message: fault.message, retryable })

/** The same as one after which it has to be looked what is there. */
export const unclear = (fault: Fault): Fault =>
  new Fault({ ...fault, message: fault.message, retryable: false, clear: false })

/** What is known of an answer that is no success. */
export interface Refusal {
  readonly status: number
  readonly code: string | undefined
  readonly message: string
  readonly headers: Readonly<Record<string, string>>
  /** As an error document names it. */
  readonly region?: string | undefined
  /** Milliseconds since 1970, here. */
  readonly now: number
}

interface Meaning {
  readonly reason: Reason.Reason
  readonly retryable?: boolean
  readonly clear?: boolean
}

const away: Meaning = { reason: "Unavailable", retryable: true, clear: false }
const badDigest: Meaning = { reason: "DigestMismatch", retryable: true }
const unauthorized: Meaning = { reason: "Unauthorized" }
const forbidden: Meaning = { reason: "Forbidden" }

const meanings: Readonly<Record<string, Meaning>> = {
  NoSuchBucket: { reason: "NotFound" },
  NoSuchKey: { reason: "NotFound" },
  // Whether the object was made of it or it was aborted is seen by looking, so this is not the last word.
  NoSuchUpload: { reason: "Gone", clear: false },
  AccessDenied: forbidden,
  AllAccessDisabled: forbidden,
  AccountProblem: forbidden,
  InvalidObjectState: forbidden,
  SignatureDoesNotMatch: unauthorized,
  InvalidAccessKeyId: unauthorized,
  XAdminUserNotFound: unauthorized,
  InvalidToken: unauthorized,
  InvalidSecurity: unauthorized,
  RequestTimeTooSkewed: unauthorized,
  ExpiredToken: unauthorized,
  ExpiredTokenException: unauthorized,
  TokenRefreshRequired: unauthorized,
  EntityTooLarge: { reason: "TooLarge" },
  QuotaExceeded: { reason: "QuotaExceeded" },
  XMinioAdminBucketQuotaExceeded: { reason: "QuotaExceeded" },
  XMinioStorageFull: { reason: "QuotaExceeded" },
  SlowDown: away,
  ServiceUnavailable: away,
  InternalError: away,
  RequestTimeout: away,
  Throttling: away,
  ThrottlingException: away,
  TooManyRequests: away,
  OperationAborted: away,
  BadDigest: badDigest,
  XAmzContentChecksumMismatch: badDigest,
  XAmzContentSHA256Mismatch: badDigest,
  IncompleteBody: { reason: "Rejected", retryable: true },
  PreconditionFailed: { reason: "Conflict" },
  ConditionalRequestConflict: { reason: "Conflict", retryable: true },
  NotImplemented: { reason: "Unsupported" },
  MethodNotAllowed: { reason: "Unsupported" },
  InvalidBucketName: { reason: "InvalidUri" },
  KeyTooLongError: { reason: "InvalidUri" },
  InvalidRange: { reason: "SourceChanged" }
}

const expired = new Set(["ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"])

/** Whether credentials that were good may have ended. A HEAD says it by a bare 400. */
export const isExpired = ({ code, status }: Fault): boolean => (code === undefined ? status === 400 : expired.has(code))

const ofStatus = (status: number): Meaning => {
  if (status === 408 || status === 425 || status === 429) return away
  if (status === 507) return { reason: "QuotaExceeded" }
  if (status === 501 || status === 505 || status === 405) return { reason: "Unsupported" }
  if (status >= 500) return away
  switch (status) {
    case 401:
      return unauthorized
    case 403:
      return forbidden
    case 404:
      return { reason: "NotFound" }
    case 409:
    case 412:
      return { reason: "Conflict" }
    case 413:
      return { reason: "TooLarge" }
    case 416:
      return { reason: "SourceChanged" }
    default:
      return { reason: "Rejected" }
  }
}

const longest = 200

/** One line without control characters, which would act on a terminal. */
const oneLine = (text: string): string => {
  const line = text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim()
  return line.length <= longest ? line : `${line.slice(0, longest - 1)}…`
}

/** `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110 §10.2.3). */
export const retryAfterMs = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000
  const date = Date.parse(header)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }

const element = (xml: string, name: string): string | undefined =>
  new RegExp(`<${name}>([^<]*)</${name}>`)
    .exec(xml)?.[1]
    ?.replace(/&(?:#(\d{1,6})|(amp|lt|gt|quot|apos));/g, (_, code: string | undefined, entity: string) =>
      code === undefined ? entities[entity]! : String.fromCodePoint(Number(code))
    )

/** Code and message of an error document. */
export const ofXml = (xml: string): Pick<Refusal, "code" | "message" | "region"> => ({
  code: element(xml, "Code"),
  region: element(xml, "Region"),
  message: element(xml, "Message") ?? element(xml, "title") ?? ""
})

const clockLine = ({ headers, now }: Refusal): string => {
  const theirs = headers["date"]
  const of = theirs === undefined ? "" : `, the service's is ${theirs}`
  return `this machine's clock is wrong: it is ${new Date(now).toUTCString()} here${of}`
}

/** `NoSuchBucket (404): The specified bucket does not exist`. */
const said = (refusal: Refusal): string => {
  const { code, status } = refusal
  if (code === "RequestTimeTooSkewed") return clockLine(refusal)
  const message = oneLine(refusal.message).replace(/\.$/, "")
  const name = code === undefined ? `status ${status}` : `${oneLine(code)} (${status})`
  return message === "" || message === code ? name : `${name}: ${message}`
}

/** What an answer means; `what` is for a person: `the object was not taken`. */
export const refusal = (answer: Refusal, what: string): Fault => {
  const { code, headers, now, status } = answer
  const meaning = (code === undefined ? undefined : meanings[code]) ?? ofStatus(status)
  const region = headers["x-amz-bucket-region"] ?? answer.region
  // A HEAD says by a bare 400 that it was signed for another region.
  const bare = status === 400 && code === undefined
  const moved = bare || status === 301 || status === 307 || code === "AuthorizationHeaderMalformed"
  const wait = retryAfterMs(headers["retry-after"], now)
  const requestId = headers["x-amz-request-id"]
  return make(meaning.reason, `${what}: ${said(answer)}`, {
    retryable: meaning.retryable ?? false,
    // A success that holds an error has begun to do something.
    clear: (meaning.clear ?? true) && status >= 300,
    status,
    ...(code === undefined ? undefined : { code }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...(wait === undefined ? undefined : { retryAfterMs: wait }),
    ...(moved && region !== undefined ? { region } : undefined)
  })
}

/** `clear` is true for what never left this machine. */
export const ofTransport = (error: TransportError): Fault => {
  const local = error.reason._tag === "InvalidConfig"
  return make(error.reason._tag, error.message, { retryable: !local, clear: local, cause: error })
}

export const toStoreError = (fault: Fault, uri: string): StoreError.StoreError => {
  const { cause, clear, message, reason, requestId, retryAfterMs: wait, retryable, status } = fault
  return StoreError.make(reason, {
    uri,
    message,
    retryable,
    clear,
    ...(status === undefined ? undefined : { status }),
    ...(requestId === undefined ? undefined : { requestId }),
    ...(wait === undefined ? undefined : { retryAfterMs: wait }),
    ...(cause === undefined ? undefined : { cause })
  })
}

/** The reasons that a source has, of those that a service's refusals get. */
const ofSource = new Set<Reason.Reason>([
  "SourceChanged",
  "SourceTooShort",
  "Unauthorized",
  "Forbidden",
  "NotFound",
  "Conflict",
  "Unavailable",
  "ConnectionLost",
  "Stalled",
  "Rejected",
  "Unsupported",
  "InvalidUri",
  "InvalidConfig"
])

export const toSourceError = (fault: Fault, uri: string): SourceError.SourceError => {
  const { cause, message, reason, retryable, status } = fault
  return SourceError.make(ofSource.has(reason) ? (reason as SourceError.SourceReason) : "SourceUnreadable", {
    uri,
    message,
    retryable,
    ...(status === undefined ? undefined : { status }),
    ...(cause === undefined ? undefined : { cause })
  })
}
