/**
 * Redirects: followed for reads only, never from https to http, and credentials stay with the origin they were for.
 */
import type { Request, Response } from "@headrace/core/Transport"

const statuses = new Set([301, 302, 303, 307, 308])
const credentials = new Set(["authorization", "cookie", "x-auth-token", "proxy-authorization"])

export const followable = (request: Request<unknown, unknown>, answer: Response): boolean =>
  (request.method === "GET" || request.method === "HEAD") &&
  request.body === undefined &&
  statuses.has(answer.status) &&
  answer.headers["location"] !== undefined

export const redirected = (
  from: URL,
  request: Request<unknown, unknown>,
  answer: Response
): { readonly url: URL; readonly request: Request<unknown, unknown> } | undefined => {
  const location = answer.headers["location"] ?? ""
  if (!URL.canParse(location, from.href)) return undefined
  const url = new URL(location, from)
  if (url.protocol !== "https:" && (url.protocol !== "http:" || from.protocol === "https:")) return undefined
  const headers =
    url.origin === from.origin
      ? request.headers
      : Object.fromEntries(Object.entries(request.headers).filter(([name]) => !credentials.has(name.toLowerCase())))
  return { url, request: { ...request, headers, url: url.href } }
}
