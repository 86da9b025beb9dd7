/**
 * Names within an account: how they stand in an address, and how the segments of an upload are called.
 *
 * The segments of one upload share a prefix, `OBJECT/headrace/BEGAN-RANDOM/SIZE/`, in a container of their own. That
 * prefix, behind the container's name and percent-encoded, is the upload's token: it holds no blank, and no secret.
 */

/** A name in an address. Swift takes a slash in an object's name as it is. */
export const encode = (name: string): string => name.split("/").map(encodeURIComponent).join("/")

/** Why an object cannot be reached by its name: addresses are normalised on their way (RFC 3986 §5.2.4, §6.2.2). */
export const unreachable = (object: string): string | undefined =>
  object.split("/").some((segment) => segment === "." || segment === "..")
    ? "an object whose name has . or .. between slashes cannot be reached by any address"
    : undefined

export const pathOf = (container: string, object?: string): string =>
  `/${encode(container)}${object === undefined ? "" : `/${encode(object)}`}`

/** One upload of segments. */
export interface Upload {
  readonly container: string
  /** Of all its segments; ends with a slash. */
  readonly prefix: string
}

const mark = "/headrace/"

/** Bytes that the name of a segment has more than that of its object, at most. */
export const suffixBytes = 64

export const uploadsOf = (object: string): string => `${object}${mark}`

export const newUpload = (input: {
  readonly container: string
  readonly object: string
  readonly now: number
  readonly random: string
  readonly size: number | undefined
}): Upload => ({
  container: input.container,
  prefix: `${uploadsOf(input.object)}${input.now}-${input.random.slice(0, 8)}/${input.size ?? "unsized"}/`
})

export const segmentOf = ({ prefix }: Upload, number: number): string => `${prefix}${String(number).padStart(8, "0")}`

/** A manifest of some of the segments, where one manifest cannot name them all. */
export const manifestOf = ({ prefix }: Upload, number: number): string => `${prefix}m${String(number).padStart(8, "0")}`

export const tokenOf = ({ container, prefix }: Upload): string => encode(`${container}/${prefix.replace(/\/$/, "")}`)

/** What the name of a segment, or of a manifest beside them, says, when it is one of this object. */
export const parseSegment = (
  object: string,
  name: string
):
  | { readonly prefix: string; readonly manifest: boolean; readonly number: number; readonly startedAt: number }
  | undefined => {
  const start = uploadsOf(object)
  if (!name.startsWith(start)) return undefined
  const found = /^((\d{1,15})-[0-9a-f]{8}\/(?:\d+|unsized)\/)(m?)(\d{8})$/.exec(name.slice(start.length))
  if (found === null) return undefined
  const [, rest = "", began, mark, number] = found
  return { prefix: `${start}${rest}`, manifest: mark === "m", number: Number(number), startedAt: Number(began) }
}

/** The object that the name of a segment, or of a manifest beside them, is of. */
export const objectOf = (name: string): string | undefined => {
  const found = /^(.+)\/headrace\/\d{1,15}-[0-9a-f]{8}\/(?:\d+|unsized)\/m?\d{8}$/s.exec(name)
  return found?.[1]
}

/** The object whose upload a token names. */
export const objectOfToken = (container: string, token: string): string | undefined => {
  try {
    const plain = decodeURIComponent(token)
    return plain.startsWith(`${container}/`) ? objectOf(`${plain.slice(container.length + 1)}/00000001`) : undefined
  } catch {
    return undefined
  }
}

/** The upload that a token names, when it is one of this object. */
export const parseToken = (container: string, object: string, token: string): Upload | undefined => {
  let plain: string
  try {
    plain = decodeURIComponent(token)
  } catch {
    return undefined
  }
  const start = `${container}/`
  if (!plain.startsWith(start)) return undefined
  const prefix = `${plain.slice(start.length)}/`
  return parseSegment(object, `${prefix}00000001`)?.prefix === prefix ? { container, prefix } : undefined
}
