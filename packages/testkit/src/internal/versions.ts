/**
 * `GET /` and `GET /versions`. The ids are a set of features, not a range: 2.8 and 2.10 to 2.13 are there only where
 * there are several stores.
 */
import type { Answer } from "./httpServer.ts"
import type { Site } from "./site.ts"

export const json = (
  status: number,
  value: unknown,
  headers: ReadonlyArray<readonly [string, string]> = []
): Answer => {
  const body = Buffer.from(JSON.stringify(value), "utf8")
  return {
    status,
    headers: [["Content-Length", String(body.length)], ["Content-Type", "application/json"], ...headers],
    body
  }
}

const minors = (site: Site): ReadonlyArray<number> => [
  ...(site.release === "33" ? [18, 17] : []),
  16,
  15,
  14,
  ...(site.stores.multi ? [13, 12, 11, 10, 9, 8] : [9]),
  7,
  6,
  5,
  4,
  3,
  2,
  1,
  0
]

export const versions = (site: Site, origin: string, status: 200 | 300): Answer =>
  json(status, {
    versions: minors(site).map((minor, index) => ({
      id: `v2.${minor}`,
      status: index === 0 ? "CURRENT" : "SUPPORTED",
      links: [{ rel: "self", href: `${origin}/v2/` }]
    }))
  })

/** Whether the first segment of a path names a version that this site has. */
export const isVersion = (site: Site, segment: string): boolean =>
  segment === "v2" || minors(site).some((minor) => segment === `v2.${minor}`)
