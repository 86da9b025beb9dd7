/**
 * Where an object goes, and what every request to there carries. Built once from the options; what is wrong with them is
 * said then.
 */
import type { Tls } from "@headrace/core/Transport"
import * as Redacted from "effect/Redacted"
import type { Options } from "../HttpStore.ts"
import { base64OfText } from "./encoding.ts"

export interface Target {
  /** For people: no user, no password, no query. */
  readonly uri: string
  readonly origin: string
  /** Without user, password and fragment. */
  readonly url: string
  /** The caller's fields and the credentials, for the origin alone. */
  readonly headers: Readonly<Record<string, string>>
  readonly contentType: string
  readonly tls: Tls | undefined
  /** What no message may hold, longest first. */
  readonly secrets: ReadonlyArray<string>
}

export interface Invalid {
  readonly _tag: "Invalid"
  readonly uri: string
  readonly reason: "InvalidUri" | "InvalidConfig"
  readonly message: string
}

/** They say how a body is framed and what becomes of the connection: the transport's own. */
const refused = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade"
])

/** Shorter ones stand in too many words by chance. */
const leastSecret = 4

/** Fields whose values are no secrets. */
const open = /^(?:accept|content|if|user-agent|cache-control)/

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** What may stand in an answer of a URL's query: the whole of it, and each value. */
const secretsOf = (url: URL): ReadonlyArray<string> => {
  const query = url.search.slice(1)
  return [query, ...query.split("&").flatMap((pair) => [pair.slice(pair.indexOf("=") + 1)])].flatMap((text) => [
    text,
    decoded(text)
  ])
}

/** Of `Bearer abc` also `abc`. */
const secretsIn = (value: string): ReadonlyArray<string> => [value, value.slice(value.lastIndexOf(" ") + 1)]

export const uriOf = (url: URL): string => `${url.origin}${url.pathname}`

/** The secrets of a URL that a redirect names come to those that are known. */
export const withSecretsOf = (url: URL, secrets: ReadonlyArray<string>): ReadonlyArray<string> =>
  [...new Set([...secrets, ...secretsOf(url)])]
    .filter((secret) => secret.length >= leastSecret)
    .sort((a, b) => b.length - a.length)

export const of = (options: Options): Target | Invalid => {
  const unusable = (message: string): Invalid => ({ _tag: "Invalid", uri: "http:", reason: "InvalidUri", message })
  if (!URL.canParse(options.url)) return unusable("the URL is not valid")
  const url = new URL(options.url)
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return unusable(`'${url.protocol}' is not a URL that can be written to (allowed: http:, https:)`)
  }
  const uri = uriOf(url)
  const wrong = (message: string): Invalid => ({ _tag: "Invalid", uri, reason: "InvalidConfig", message })

  const headers: Record<string, string> = {}
  const secrets: Array<string> = []
  let contentType = options.contentType
  for (const [name, given] of Object.entries(options.headers ?? {})) {
    const value = Redacted.isRedacted(given) ? Redacted.value(given) : given
    const lower = name.toLowerCase()
    if (refused.has(lower)) return wrong(`the header '${name}' is not the caller's to set`)
    if (lower === "content-type") {
      contentType ??= value
      continue
    }
    if (headers[lower] !== undefined) return wrong(`the header '${name}' is given twice`)
    headers[lower] = value
    if (Redacted.isRedacted(given) || !open.test(lower)) secrets.push(...secretsIn(value))
  }
  if (url.username !== "" || url.password !== "") {
    const pair = `${decoded(url.username)}:${decoded(url.password)}`
    const basic = base64OfText(pair)
    headers["authorization"] ??= `Basic ${basic}`
    secrets.push(
      pair,
      basic,
      ...(url.password === "" ? [decoded(url.username)] : [decoded(url.password), url.password])
    )
    url.username = ""
    url.password = ""
  }
  url.hash = ""
  return {
    uri,
    origin: url.origin,
    url: url.href,
    headers,
    contentType: contentType ?? "application/octet-stream",
    tls: options.tls,
    secrets: withSecretsOf(url, secrets)
  }
}

/** Fields that speak of the body or of a condition on the write: not for looking, reading and deleting. */
const ofWriting = /^(?:content-|if-|range$|repr-digest$|digest$)/

export const lookHeaders = (headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => !ofWriting.test(name)))

/** Another origin may know whom to trust, not who we are. */
export const anonymous = (tls: Tls | undefined): Tls | undefined =>
  tls === undefined ? undefined : { verify: tls.verify, ...(tls.ca === undefined ? undefined : { ca: tls.ca }) }
