/**
 * What the answers of an image service mean. The tables are those of Glance 25 to 33, whose words are the only thing
 * that tells some refusals apart. An answer to a control call is judged by `ofCall`, one to the bytes by `ofUpload`.
 */
import type { Response } from "@headrace/core/Transport"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Words from "@headrace/keystone/ServiceWords"

export interface Answer {
  readonly status: number
  readonly requestId: string | undefined
  /** One line of what it says; may be empty. */
  readonly words: string
  readonly retryAfterMs: number | undefined
}

export const read = (response: Response, body: string, secret: string | undefined, now: number): Answer => ({
  status: response.status,
  requestId: response.headers["x-openstack-request-id"],
  words: Words.of(body, secret),
  retryAfterMs: Words.retryAfterMs(response.headers["retry-after"], now)
})

const common = (answer: Answer) => ({
  status: answer.status,
  ...(answer.requestId === undefined ? undefined : { requestId: answer.requestId }),
  ...(answer.retryAfterMs === undefined ? undefined : { retryAfterMs: answer.retryAfterMs })
})

/** What the service said, or that it said nothing. */
const said = (answer: Answer): string => (answer.words === "" ? Words.status(answer.status) : answer.words)

/** Glance puts a request id on every answer of its own; what comes without one is a proxy's. */
const fromProxy = (answer: Answer): boolean => answer.requestId === undefined

const away = (answer: Answer, what: string): Fault.Fault => {
  const who = fromProxy(answer) ? "a proxy before Glance" : "Glance"
  const id = answer.requestId === undefined ? "" : ` (request ${answer.requestId})`
  const words = answer.words === "" || answer.words === Words.status(answer.status) ? "" : `: ${answer.words}`
  return Fault.make("Unavailable", `${what}: ${who} answered ${Words.status(answer.status)}${words}${id}`, {
    ...common(answer),
    retryable: true,
    clear: false
  })
}

/** Statuses that say something of the service's state and nothing of the request. */
const isAway = (status: number): boolean =>
  status === 408 || status === 425 || status === 429 || (status >= 500 && status !== 501 && status !== 505)

/** What a 401 says itself is the same for every cause, and long. */
const refusedToken = "the service does not accept the token, or wants one"

/** `what` is what could not be done, for a person. */
export const ofCall = (answer: Answer, what: string): Fault.Fault => {
  const fields = common(answer)
  const fail = (reason: Parameters<typeof Fault.make>[0], more?: Parameters<typeof Fault.make>[2]) =>
    Fault.make(reason, `${what}: ${said(answer)}`, { ...fields, ...more })
  if (isAway(answer.status)) return away(answer, what)
  if (answer.status >= 300 && answer.status < 400) {
    return Fault.make(
      "Rejected",
      `${what}: the endpoint redirects elsewhere; it is not that of an image service`,
      fields
    )
  }
  switch (answer.status) {
    case 401:
      return Fault.make("Unauthorized", `${what}: ${refusedToken}`, fields)
    case 403:
      return fail("Forbidden")
    case 404:
      return fail("NotFound")
    case 409:
      return fail("Conflict")
    case 410:
      return fail("Gone")
    case 413:
      return isQuota(answer.words) ? fail("QuotaExceeded") : fail("TooLarge")
    default:
      return fail("Rejected")
  }
}

const isQuota = (words: string): boolean => /over (?:a )?limit|quota/i.test(words)

/**
 * A refusal of the bytes. `sent` are the body bytes that had been handed to the socket, `store` the store that was
 * asked for.
 */
export const ofUpload = (answer: Answer, sent: number, store: string | undefined): Fault.Fault => {
  const what = "the image data was not taken"
  const fields = common(answer)
  const { words } = answer
  const fail = (
    reason: Parameters<typeof Fault.make>[0],
    message: string,
    more?: Parameters<typeof Fault.make>[2]
  ): Fault.Fault => Fault.make(reason, message, { ...fields, ...more })
  switch (answer.status) {
    case 400:
      if (/store for identifier .* not found/i.test(words)) {
        return fail("UnknownStore", `there is no store "${store ?? ""}": ${words}`)
      }
      // 31 and later: the number of bytes differs from what was announced; the image takes another body.
      if (/size (?:mismatch|exceeds)/i.test(words)) return fail("Rejected", `${what}: ${words}`, { retryable: true })
      if (formatsUnset(answer)) return fail("Rejected", `${what}: ${words}`, { retryable: true })
      // A chunk was cut on its way.
      if (/invalid literal for int|chunk/i.test(words))
        return fail("Rejected", `${what}: ${words}`, { retryable: true })
      return fail("Rejected", `${what}: ${said(answer)}`)
    case 401:
      // At the end of a body it is the store that refused the token, and the image is left in `saving`.
      return fail("Unauthorized", `${what}: ${refusedToken}`, { clear: sent === 0 })
    case 409:
      return fail("Conflict", `${what}: ${said(answer)}`, { clear: false })
    case 410:
      if (/adding images to store is disabled/i.test(words)) {
        return fail(
          "Rejected",
          `${what}: the store ${store === undefined ? "" : `"${store}" `}takes no images (${words})`
        )
      }
      return fail("Gone", `${what}: ${said(answer)}`, { clear: false })
    case 413:
      if (/image_count_uploading/.test(words)) {
        return fail("QuotaExceeded", `${what}: too many uploads at once: ${words}`, { retryable: true })
      }
      if (isQuota(words)) return fail("QuotaExceeded", `${what}: ${words}`)
      if (/media is full/i.test(words)) return fail("QuotaExceeded", `${what}: the store is full: ${words}`)
      return fail("TooLarge", `${what}: ${fromProxy(answer) ? "a proxy before Glance: " : ""}${said(answer)}`)
    case 415:
      if (/safety check|does not match|multiple formats|inspection failed/i.test(words)) {
        return fail("UnsupportedFormat", `Glance does not accept the image's format: ${afterPreamble(words)}`)
      }
      return sent === 0
        ? fail("Rejected", `${what}: ${said(answer)}`)
        : fail("UnsupportedFormat", `Glance does not accept the image's format: ${said(answer)}`)
    default:
      return isAway(answer.status) ? away(answer, what) : ofCall(answer, what)
  }
}

/** Glance says it of an image without `disk_format` or `container_format`. */
export const formatsUnset = (answer: Answer): boolean =>
  answer.status === 400 && /must be set prior to saving data/i.test(answer.words)

/** The verdict of the inspection follows a sentence about media types that has nothing to do with it. */
const afterPreamble = (words: string): string =>
  words.replace(/^the request media type \S+ is not supported by this server\.\s*/i, "")
