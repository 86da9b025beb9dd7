/**
 * Redirects: followed for reads only, never from https to http. What a request carries besides what any server may know
 * stays with the origin that it was for: there are too many names for a token to list them.
 */
import type { Request, Response } from "@headrace/core/Transport"

const statuses = new Set([301, 302, 303, 307, 308])

const harmless = new Set([
  "accept",
  "accept-encoding",
  "accept-language",
  "if-match",
  "if-modified-since",
  "if-none-match",
  "if-range",
  "if-unmodified-since",
  "range",
  "user-agent"
])

/** Where to go on, if anywhere. */
export const redirected = <E, R>(
  from: URL,
  request: Request<E, R>,
  answer: Response
): { readonly url: URL; readonly request: Request<E, R> } | undefined => {
  const location = answer.headers["location"]
  if ((request.method !== "GET" && request.method !== "HEAD") || request.body !== undefined) return undefined
  if (!statuses.has(answer.status) || location === undefined || !URL.canParse(location, from.href)) return undefined
  const url = new URL(location, from)
  if (url.protocol !== "https:" && (url.protocol !== "http:" || from.protocol === "https:")) return undefined
  const headers =
    url.origin === from.origin
      ? request.headers
      : Object.fromEntries(Object.entries(request.headers).filter(([name]) => harmless.has(name.toLowerCase())))
  return { url, request: { ...request, headers, url: url.href } }
}
