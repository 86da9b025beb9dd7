/**
 * What the answers of Swift mean (those of 2.30 to 2.38). An answer to a control call is judged by `ofCall`, one to the
 * bytes of an object or a segment by `ofBody`.
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
  requestId: response.headers["x-trans-id"] ?? response.headers["x-openstack-request-id"],
  words: Words.of(body, secret),
  retryAfterMs: Words.retryAfterMs(response.headers["retry-after"], now)
})

type More = Parameters<typeof Fault.make>[2]

/** What Swift says of a status itself is the same for every cause. */
const isStock = (words: string): boolean =>
  words === "" ||
  /^(?:There was a conflict when|The resource could not be found|Unable to process the contained|Access was denied to this resource|The request is accepted|The server has either erred)/.test(
    words
  )

const fieldsOf = (answer: Answer) => ({
  status: answer.status,
  ...(answer.requestId === undefined ? undefined : { requestId: answer.requestId }),
  ...(answer.retryAfterMs === undefined ? undefined : { retryAfterMs: answer.retryAfterMs })
})

/** Swift puts an id on every answer of its own. Of what a proxy says Swift may know nothing, and may have done it all. */
const isSwifts = ({ requestId }: Answer): boolean => requestId !== undefined

const failure = (answer: Answer, what: string) => {
  const { status, words } = answer
  const said = isStock(words) || words === Words.status(status) ? "" : `: ${words}`
  return (reason: Fault.Fault["reason"], more?: More & { readonly why?: string }) => {
    const { why, ...rest } = more ?? {}
    const message = `${what}: ${why === undefined ? Words.status(status) : `${why} (${Words.status(status)})`}${said}`
    return Fault.make(reason, message, { ...fieldsOf(answer), clear: isSwifts(answer), ...rest })
  }
}

/** Statuses that say something of the service's state and nothing of the request. 498 is Swift's own rate limit. */
const isAway = (status: number): boolean =>
  status === 408 ||
  status === 425 ||
  status === 429 ||
  status === 498 ||
  status === 499 ||
  (status >= 500 && status !== 501 && status !== 505)

const away = (answer: Answer, what: string): Fault.Fault => {
  const who = isSwifts(answer) ? "Swift" : "a proxy before Swift"
  const id = answer.requestId === undefined ? "" : ` (request ${answer.requestId})`
  const said = isStock(answer.words) || answer.words === Words.status(answer.status) ? "" : `: ${answer.words}`
  return Fault.make("Unavailable", `${what}: ${who} answered ${Words.status(answer.status)}${said}${id}`, {
    ...fieldsOf(answer),
    retryable: true,
    // Rate limits come before anything is done.
    clear: isSwifts(answer) && (answer.status === 429 || answer.status === 498)
  })
}

/** `what` is what could not be done, for a person. */
export const ofCall = (answer: Answer, what: string): Fault.Fault => {
  const { status } = answer
  const fail = failure(answer, what)
  if (isAway(status)) return away(answer, what)
  if (status >= 300 && status < 400) {
    return fail("Rejected", { why: "the address redirects elsewhere; it is not that of an account of Swift" })
  }
  switch (status) {
    case 401:
      return fail("Unauthorized", { why: "the service does not accept the token, or wants one" })
    case 403:
      return fail("Forbidden")
    case 404:
      return fail("NotFound")
    case 409:
    case 412:
      return fail("Conflict")
    case 410:
      return fail("Gone")
    case 413:
      return /quota/i.test(answer.words) ? fail("QuotaExceeded") : fail("TooLarge")
    default:
      return fail("Rejected")
  }
}

/** A refusal of the bytes of an object or a segment. */
export const ofBody = (answer: Answer, what: string): Fault.Fault => {
  const fail = failure(answer, what)
  switch (answer.status) {
    case 408:
      return fail("Unavailable", { why: "the service waited in vain for the body", retryable: true, clear: false })
    case 422:
      return fail("DigestMismatch", {
        why: "the bytes that arrived are not those that were sent: their MD5 differs",
        retryable: true
      })
    default:
      return ofCall(answer, what)
  }
}
