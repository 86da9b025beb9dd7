/**
 * The head of an HTTP/1.1 request as it was on the wire, and the head of an answer.
 * Nothing is normalised that a server in front of an application would hand through: a bad Content-Length is the
 * server's to judge, not the parser's.
 */
import type { Wire } from "./wire.ts"

const limit = 64 * 1024

export interface Head {
  readonly method: string
  /** As sent, with the query. */
  readonly target: string
  /** Percent-decoded, without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly version: string
  /** Names in lower case; repeated fields joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
}

const decodePath = (path: string): string => {
  try {
    return decodeURIComponent(path)
  } catch {
    return path
  }
}

export const parseHead = (text: string): Head | undefined => {
  const [first = "", ...lines] = text.split("\r\n")
  const [method, target, version] = first.split(" ")
  if (method === undefined || target === undefined || version === undefined || !version.startsWith("HTTP/")) {
    return undefined
  }
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(":")
    if (colon <= 0) continue
    const name = line.slice(0, colon).trim().toLowerCase()
    const value = line.slice(colon + 1).trim()
    const before = headers[name]
    headers[name] = before === undefined ? value : `${before}, ${value}`
  }
  const mark = target.indexOf("?")
  return {
    method,
    target,
    path: decodePath(mark < 0 ? target : target.slice(0, mark)),
    query: new URLSearchParams(mark < 0 ? "" : target.slice(mark + 1)),
    version,
    headers
  }
}

/** The next request's head; `undefined` when the peer is done or sent something else. */
export const readHead = async (wire: Wire, timeoutMs = 0): Promise<Head | undefined> => {
  const bytes = await wire.readUntil("\r\n\r\n", limit, timeoutMs)
  return bytes === undefined
    ? undefined
    : parseHead(
        bytes
          .toString("latin1")
          .replace(/^(\r\n)+/, "")
          .slice(0, -4)
      )
}

export const reasons: Readonly<Record<number, string>> = {
  100: "Continue",
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  206: "Partial Content",
  300: "Multiple Choices",
  302: "Found",
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
  413: "Request Entity Too Large",
  415: "Unsupported Media Type",
  416: "Request Range Not Satisfiable",
  429: "Too Many Requests",
  431: "Request Header Fields Too Large",
  500: "Internal Server Error",
  501: "Not Implemented",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout"
}

export type HeaderList = ReadonlyArray<readonly [name: string, value: string]>

export const formatHead = (status: number, headers: HeaderList): string =>
  `HTTP/1.1 ${status} ${reasons[status] ?? "Unknown"}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`
