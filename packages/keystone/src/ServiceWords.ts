/**
 * What an error answer of a service of OpenStack says, in one line: the services write HTML to one client, JSON to another
 * and plain text to a third, and proxies write pages.
 *
 * @since 0.1.0
 */

const entities: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  "#39": "'",
  "#x27": "'",
  nbsp: " "
}

const longest = 300

/** Without control characters, which would act on a terminal. */
const oneLine = (text: string): string => text.replace(/[\p{Cc}\s]+/gu, " ").trim()

const cut = (line: string): string => (line.length <= longest ? line : `${line.slice(0, longest - 1)}…`)

const fromHtml = (html: string): string => {
  const body = /<body[^>]*>([\s\S]*?)(?:<\/body>|$)/i.exec(html)?.[1] ?? html
  const strip = (text: string) =>
    oneLine(
      text
        .replace(/<(script|style|head|title)\b[\s\S]*?<\/\1>/gi, " ")
        .replace(/<[^>]*>/g, " ")
        .replace(/&([a-z]+|#x?[0-9a-f]+);/gi, (whole, name: string) => entities[name.toLowerCase()] ?? whole)
    )
  // The heading repeats the status; what matters stands below it. A proxy's page is often nothing but a heading.
  const below = strip(body.replace(/<h1[^>]*>[\s\S]*?<\/h1>/i, " "))
  return below === "" ? strip(body) : below
}

const message = (value: unknown): string | undefined => {
  if (typeof value === "string") return value
  if (typeof value !== "object" || value === null) return undefined
  const record = value as Readonly<Record<string, unknown>>
  return message(record["message"]) ?? message(record["error"]) ?? message(record["detail"])
}

const fromJson = (text: string): string | undefined => {
  try {
    return message(JSON.parse(text))
  } catch {
    return undefined
  }
}

/**
 * One line of plain text, at most 300 characters; empty when there are no words. The secret is cut out of it.
 *
 * @since 0.1.0
 * @category conversions
 */
export const of = (body: string, secret: string | undefined): string => {
  const trimmed = body.trim()
  const said = trimmed.startsWith("{") ? (fromJson(trimmed) ?? trimmed) : trimmed
  // The schema itself follows what is wrong with the request.
  const line = (/<[a-z!/]/i.test(said) ? fromHtml(said) : oneLine(said)).replace(/ Failed validating '.*$/, "")
  return cut(secret === undefined || secret === "" ? line : line.replaceAll(secret, "***"))
}

/**
 * `Retry-After` in milliseconds: seconds, or an HTTP date (RFC 9110 §10.2.3).
 *
 * @since 0.1.0
 * @category conversions
 */
export const retryAfterMs = (header: string | undefined, now: number): number | undefined => {
  if (header === undefined) return undefined
  const value = header.trim()
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000
  const date = Date.parse(value)
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const phrases: Readonly<Record<number, string>> = {
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
  416: "Range Not Satisfiable",
  417: "Expectation Failed",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  498: "Rate Limited",
  499: "Client Disconnect",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
  507: "Insufficient Storage"
}

/**
 * A status as people know it: `409 Conflict`.
 *
 * @since 0.1.0
 * @category conversions
 */
export const status = (code: number): string => (phrases[code] === undefined ? `${code}` : `${code} ${phrases[code]}`)
