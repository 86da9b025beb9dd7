/**
 * What an answer says, in one line for people: a page's title, a message of JSON or XML, the first line of a text.
 */

const longest = 200

/** Without control characters, which would act on a terminal. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\s]+/gu, " ").trim()

const cut = (line: string): string => (line.length <= longest ? line : `${line.slice(0, longest - 1)}…`)

const message = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (typeof value !== "object" || value === null) return undefined
  const record = value as Readonly<Record<string, unknown>>
  return ["message", "detail", "error", "title"].map((key) => message(record[key])).find((found) => found !== undefined)
}

const ofJson = (text: string): string => {
  try {
    return message(JSON.parse(text)) ?? ""
  } catch {
    return ""
  }
}

const element = (text: string, name: string): string | undefined =>
  new RegExp(`<${name}[^>]*>([^<]*)</${name}>`, "i").exec(text)?.[1]

/** A page is not shown, its title is; object stores put a code and a message into XML. */
const ofMarkup = (text: string): string => {
  const title = element(text, "title")
  if (title !== undefined) return title
  if (/<html|<!doctype/i.test(text)) return ""
  return [element(text, "code"), element(text, "message")].filter((part) => part !== undefined).join(": ")
}

/** One line, at most 200 characters; empty when there are no words. Secrets are cut out of it. */
export const of = (body: string, secrets: ReadonlyArray<string>): string => {
  const text = body.trim()
  const said = text.startsWith("{")
    ? ofJson(text)
    : text.startsWith("<")
      ? ofMarkup(text)
      : (/^.*/.exec(text)?.[0] ?? "")
  return cut(secrets.reduce((line, secret) => line.replaceAll(secret, "***"), oneLine(said)))
}

/** `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110 §10.2.3). */
export const retryAfterMs = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  const value = header.trim()
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const phrases: Readonly<Record<number, string>> = {
  202: "Accepted",
  301: "Moved Permanently",
  302: "Found",
  303: "See Other",
  307: "Temporary Redirect",
  308: "Permanent Redirect",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  410: "Gone",
  411: "Length Required",
  412: "Precondition Failed",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  423: "Locked",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage"
}

/** A status as people know it. */
export const status = (code: number): string => (phrases[code] === undefined ? `${code}` : `${code} ${phrases[code]}`)
