/**
 * `GET /v2/images/{id}/file`, whole or one range. `Content-MD5` is the hexadecimal digest of the whole image, also on
 * a part of it, as the real service has it.
 */
import { HttpFailure } from "./errorPage.ts"
import type { Head } from "./httpHead.ts"
import type { Answer } from "./httpServer.ts"
import type { Context } from "./identity.ts"
import { enforce } from "./policy.ts"
import { findImage, type Site } from "./site.ts"

interface Range {
  readonly start: number
  readonly length: number
}

const parseRange = (text: string | undefined, size: number): Range | undefined => {
  if (text === undefined) return undefined
  if (text.includes(",")) {
    throw new HttpFailure(
      400,
      "Requests with multiple ranges are not supported in Glance. You may make multiple single-range requests instead."
    )
  }
  const match = /^bytes\s*=\s*(?:(\d+)-(\d*)|(-\d+))$/.exec(text.trim())
  const from = Number(match?.[1] ?? match?.[3])
  const to = match?.[2] === undefined || match[2] === "" ? undefined : Number(match[2])
  if (match === null || (to !== undefined && to < from)) {
    throw new HttpFailure(416, undefined, { detail: "Invalid Range header." })
  }
  if (from >= size) {
    throw new HttpFailure(416, undefined, {
      detail: `Invalid start position in Range header. Start position MUST be in the inclusive range [0, ${size - 1}].`
    })
  }
  const start = from >= 0 ? from : -from < size ? size + from : 0
  return { start, length: (to === undefined || to >= size ? size : to + 1) - start }
}

export const download = (site: Site, context: Context, head: Head, id: string): Answer => {
  const image = findImage(site, context, id)
  if (image.status === "deactivated" && !context.isAdmin) {
    throw new HttpFailure(403, "The requested image has been deactivated. Image data download is forbidden.")
  }
  enforce(context, "download_image", image)
  const location = image.locations[0]
  if (location === undefined || !location.data.readable) throw new HttpFailure(204)
  const size = location.data.size
  const range = parseRange(head.headers["range"], size)
  if (range !== undefined && site.stores.get(location.store)?.randomRead === false) {
    throw new HttpFailure(
      400,
      `Getting images randomly from this store is not supported. Offset: ${range.start}, length: ${range.length}`
    )
  }
  const { start, length } = range ?? { start: 0, length: size }
  return {
    status: range === undefined ? 200 : 206,
    headers: [
      ["Content-Type", "application/octet-stream"],
      ...(image.checksum === null ? [] : [["Content-MD5", image.checksum] as const]),
      ...(range === undefined ? [] : [["Content-Range", `bytes ${start}-${start + length - 1}/${size}`] as const]),
      ["Content-Length", String(length)]
    ],
    body: location.data.read(start, length)
  }
}
