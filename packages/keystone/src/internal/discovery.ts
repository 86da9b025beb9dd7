/**
 * Where Keystone's version 3 is, given an `auth_url` that may or may not say so. Pure: what to ask, and what the
 * answer means.
 */
import { field, list, property } from "./json.ts"

/** The base of version 3 when the URL ends in it, without the last slash. */
export const versionThree = (authUrl: string): string | undefined => {
  const base = trimmed(authUrl)
  return /(?<!\/)\/v3$/i.test(base) ? base : undefined
}

/** The URL to ask for the versions: an old `/v2.0` at its end is taken away. */
export const root = (authUrl: string): string => trimmed(authUrl).replace(/(?<!\/)\/v2(\.0)?$/i, "")

/** A URL as it may be shown: without query, fragment and last slash. */
export const trimmed = (url: string): string => url.replace(/[?#].*$/, "").replace(/\/+$/, "")

/**
 * What a versions document says: the base of version 3, the ids it offers instead, or `undefined` when it is no
 * such document.
 */
export const choose = (
  asked: string,
  document: unknown
): { readonly base: string } | { readonly offered: ReadonlyArray<string> } | undefined => {
  const versions = property(document, "versions")
  const single = property(document, "version")
  const all = Array.isArray(versions) ? versions : [...list(property(versions, "values")), ...(single ? [single] : [])]
  const known = all.filter((version) => field(version, "id") !== undefined)
  if (known.length === 0) return undefined
  const three = known.find((version) => /^v3(\.|$)/.test(field(version, "id") ?? ""))
  if (three === undefined) return { offered: known.flatMap((version) => field(version, "id") ?? []) }
  const link = list(property(three, "links")).find((link) => field(link, "rel")?.toLowerCase() === "self")
  const href = field(link, "href")
  return { base: href === undefined ? `${trimmed(asked)}/v3` : combine(asked, href) }
}

/**
 * The link as it can be reached. A service behind a proxy often does not know its own name, so scheme and host are
 * always those that were asked; when the host differs, so may the path, and only the version is taken from the link.
 * keystoneauth does the same.
 */
export const combine = (asked: string, href: string): string => {
  const base = trimmed(asked)
  const target = URL.parse(href, `${base}/`)
  const from = URL.parse(base)
  if (target === null || from === null) return `${base}/v3`
  if (target.host === from.host) return `${from.origin}${trimmed(target.pathname)}`
  const version = trimmed(target.pathname).split("/").at(-1) || "v3"
  return base.endsWith(`/${version}`) ? base : `${base}/${version}`
}
