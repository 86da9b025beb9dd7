/**
 * The pages that WebOb makes of an error: HTML for browsers and curl, JSON for whoever asks for it, plain text for
 * whoever does not say. The words are Glance's own, because clients quote them.
 */
import { type HeaderList, reasons } from "./httpHead.ts"
import type { Answer } from "./httpServer.ts"

/** Ends the handling of a request with an error page. */
export class HttpFailure extends Error {
  override readonly name = "HttpFailure"
  readonly status: number
  readonly explanation: string | undefined
  readonly detail: string
  readonly headers: HeaderList

  constructor(status: number, explanation?: string, more: { detail?: string; headers?: HeaderList } = {}) {
    super(explanation ?? more.detail ?? reasons[status] ?? String(status))
    this.status = status
    this.explanation = explanation
    this.detail = more.detail ?? ""
    this.headers = more.headers ?? []
  }
}

const erred = "The server has either erred or is incapable of performing the requested operation."

const explanations: Readonly<Record<number, string>> = {
  400: "The server could not comply with the request since it is either malformed or otherwise incorrect.",
  401:
    "This server could not verify that you are authorized to access the document you requested. Either you supplied " +
    "the wrong credentials (e.g., bad password), or your browser does not understand how to supply the credentials " +
    "required.",
  403: "Access was denied to this resource.",
  404: "The resource could not be found.",
  409: "There was a conflict when trying to complete your request.",
  410: "This resource is no longer available.  No forwarding address is given.",
  413: "The body of your request was too large for this server.",
  416: "The Range requested is not available.",
  500: erred,
  503: "The server is currently unavailable. Please try again at a later time."
}

const escapeHtml = (text: string): string =>
  text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;")
    .replaceAll("'", "&#x27;")

export interface PageRequest {
  readonly method: string
  readonly accept: string | undefined
  readonly contentType: string | undefined
}

const bodyOf = (failure: HttpFailure, request: PageRequest, escape: (text: string) => string): string => {
  const detail = escape(failure.detail)
  if (failure.status === 415) {
    const type = request.contentType === undefined ? "${CONTENT_TYPE}" : escape(request.contentType)
    return `The request media type ${type} is not supported by this server.\n<br /><br />\n${detail}`
  }
  if (failure.status === 405)
    return `The method ${request.method} is not allowed for this resource. <br /><br />\n${detail}`
  return `${escape(failure.explanation ?? explanations[failure.status] ?? erred)}<br /><br />\n${detail}\n\n`
}

const stripTags = (text: string): string =>
  text
    .replaceAll("\n", " ")
    .replaceAll("\r", "")
    .replace(/<br.*?>/gi, "\n")
    .replace(/<.*?>/g, "")

type MediaType = "text/html" | "application/json" | "text/plain"

const accepted = (accept: string | undefined): MediaType => {
  if (accept === undefined || accept === "") return "text/plain"
  const quality = (type: string, main: string): number => {
    let best = -1
    let rank = -1
    for (const part of accept.split(",")) {
      const [range = "", ...parameters] = part.split(";").map((text) => text.trim().toLowerCase())
      const weight = range === type ? 2 : range === `${main}/*` ? 1 : range === "*/*" ? 0 : -1
      if (weight <= rank) continue
      rank = weight
      best = Number(parameters.find((text) => text.startsWith("q="))?.slice(2) ?? 1)
    }
    return best
  }
  const html = quality("text/html", "text")
  const json = quality("application/json", "application")
  if (html <= 0 && json <= 0) return "text/plain"
  return json > html ? "application/json" : "text/html"
}

/** The answer that a client sees for a failure. */
export const errorPage = (failure: HttpFailure, request: PageRequest): Answer => {
  if (failure.status === 204) return { status: 204, headers: failure.headers }
  const title = reasons[failure.status] ?? "Unknown"
  const status = `${failure.status} ${title}`
  const type = accepted(request.accept)
  const identity = (text: string) => text
  const body =
    type === "text/html"
      ? `<html>\n <head>\n  <title>${status}</title>\n </head>\n <body>\n  <h1>${status}</h1>\n  ${bodyOf(failure, request, escapeHtml)}\n </body>\n</html>`
      : type === "application/json"
        ? JSON.stringify({ message: bodyOf(failure, request, identity), code: status, title })
        : `${status}\n\n${stripTags(bodyOf(failure, request, identity))}`
  const bytes = Buffer.from(body, "utf8")
  return {
    status: failure.status,
    headers: [
      ["Content-Length", String(bytes.length)],
      ["Content-Type", type === "application/json" ? type : `${type}; charset=UTF-8`],
      ...failure.headers
    ],
    body: bytes
  }
}
