/**
 * `GET /v2/images`: which images a caller sees, filtered, sorted, a page at a time.
 */
import { HttpFailure } from "./errorPage.ts"
import type { Context } from "./identity.ts"
import { type Image, view } from "./image.ts"
import { isVisible } from "./policy.ts"
import type { Site } from "./site.ts"

const sortKeys = ["name", "status", "container_format", "disk_format", "size", "id", "created_at", "updated_at"]
const pageLimit = 1000
const defaultLimit = 25

const bad = (words: string) => new HttpFailure(400, words)

const pageSize = (text: string | null): number => {
  if (text === null) return defaultLimit
  if (!/^-?\d+$/.test(text)) throw bad("limit param must be an integer")
  if (Number(text) < 0) throw bad("limit param must be positive")
  return Math.min(Number(text), pageLimit)
}

type Sorting = ReadonlyArray<{ readonly key: string; readonly descending: boolean }>

const sorting = (query: URLSearchParams): Sorting => {
  const sort = query.get("sort")
  const keys = query.getAll("sort_key")
  const directions = query.getAll("sort_dir")
  if (sort !== null && keys.length + directions.length > 0) {
    throw bad("Old and new sorting syntax cannot be combined")
  }
  if (directions.length > 1 && directions.length !== keys.length) {
    throw bad("Number of sort dirs does not match the number of sort keys")
  }
  const asked =
    sort === null
      ? keys.map((key, index) => [key, directions[index] ?? directions[0] ?? "desc"])
      : sort.split(",").map((part) => part.split(":"))
  if (asked.length === 0) asked.push(["created_at", directions[0] ?? "desc"])
  return asked.map(([key = "", direction = "desc"]) => {
    if (!sortKeys.includes(key.trim())) {
      throw bad(`Invalid sort key: ${key}. It must be one of the following: ${sortKeys.join(", ")}.`)
    }
    if (!["asc", "desc"].includes(direction.trim())) throw bad(`Invalid sort direction: ${direction}`)
    return { key: key.trim(), descending: direction.trim() === "desc" }
  })
}

const value = (image: Image, key: string): string | number | null => {
  switch (key) {
    case "size":
      return image.size
    case "created_at":
      return image.createdAt
    case "updated_at":
      return image.updatedAt
    default: {
      const found = view(image, false)[key]
      return found === undefined || found === null ? null : String(found)
    }
  }
}

const compare = (left: string | number | null, right: string | number | null): number => {
  if (left === right) return 0
  if (left === null) return -1
  if (right === null) return 1
  return left < right ? -1 : 1
}

const sorted = (images: ReadonlyArray<Image>, by: Sorting): Array<Image> =>
  [...images].sort((left, right) => {
    for (const { descending, key } of by) {
      const order = compare(value(left, key), value(right, key))
      if (order !== 0) return descending ? -order : order
    }
    return by[0]!.descending ? right.sequence - left.sequence : left.sequence - right.sequence
  })

const pageKeys = new Set(["limit", "marker", "sort", "sort_key", "sort_dir", "member_status"])

const boolean = (name: string, text: string): boolean => {
  if (text !== "true" && text !== "false") {
    throw bad(`Invalid value '${text}' for '${name}' filter. Valid values are 'true' or 'false'.`)
  }
  return text === "true"
}

/** One query parameter as a test of an image. */
const filter = (key: string, text: string): ((image: Image) => boolean) => {
  switch (key) {
    case "visibility":
      if (!["community", "public", "private", "shared", "all"].includes(text)) {
        throw bad(`Invalid visibility value: ${text}`)
      }
      return (image) => text === "all" || image.visibility === text
    case "changes-since":
      throw bad('The "changes-since" filter is no longer available on v2.')
    case "tag":
      return (image) => image.tags.has(text.trim())
    case "protected":
      return (image) => image.protected === boolean(key, text)
    case "os_hidden":
      return (image) => image.hidden === boolean(key, text.toLowerCase())
    case "size_min":
    case "size_max": {
      if (!/^\d+$/.test(text)) throw bad("Unable to filter on a range with a non-numeric value.")
      const bound = Number(text)
      return (image) => image.size !== null && (key === "size_min" ? image.size >= bound : image.size <= bound)
    }
    default: {
      const many = ["name", "id", "status", "container_format", "disk_format"].includes(key) && text.startsWith("in:")
      const wanted = many
        ? text
            .slice(3)
            .split(",")
            .map((part) => part.replace(/^"|"$/g, ""))
        : [text]
      return (image) => {
        const found = view(image, false)[key]
        return typeof found === "string" && wanted.includes(found)
      }
    }
  }
}

const listed = (site: Site, context: Context, query: URLSearchParams): Array<Image> => {
  const tests = [...query].filter(([key]) => !pageKeys.has(key)).map(([key, text]) => filter(key, text))
  if (!query.has("os_hidden")) tests.push((image) => !image.hidden)
  // other people's community images show only when somebody asks for them
  if (!query.has("visibility")) {
    tests.push(
      (image) => image.visibility !== "community" || (image.owner !== null && image.owner === context.projectId)
    )
  }
  return [...site.images.values()].filter(
    (image) => image.status !== "deleted" && isVisible(context, image) && tests.every((test) => test(image))
  )
}

export const listImages = (site: Site, context: Context, query: URLSearchParams): Record<string, unknown> => {
  if (!context.isAdmin && !context.readOnly && !context.roles.has("reader")) {
    throw new HttpFailure(403, "You are not authorized to complete get_images action.")
  }
  const member = query.get("member_status") ?? "accepted"
  if (!["pending", "accepted", "rejected", "all"].includes(member)) throw bad(`Invalid status: ${member}`)
  const limit = pageSize(query.get("limit"))
  const all = sorted(listed(site, context, query), sorting(query))
  const marker = query.get("marker")
  const at = marker === null ? 0 : all.findIndex((image) => image.id === marker) + 1
  if (marker !== null && at === 0) throw bad(`No image found with ID ${marker}`)
  const page = all.slice(at, at + limit)
  const rest = new URLSearchParams(query)
  rest.delete("marker")
  const first = rest.toString()
  const next = new URLSearchParams(rest)
  if (page.length > 0) next.set("marker", page.at(-1)!.id)
  return {
    images: page.map((image) => view(image, site.stores.multi)),
    first: first === "" ? "/v2/images" : `/v2/images?${first}`,
    schema: "/v2/schemas/images",
    ...(page.length > 0 && page.length === limit ? { next: `/v2/images?${next}` } : {})
  }
}
