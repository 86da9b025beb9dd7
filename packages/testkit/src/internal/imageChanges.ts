/**
 * Creating an image and changing one: the body of a POST, and the two dialects of JSON patch that Glance reads.
 */
import { randomUUID } from "node:crypto"
import { HttpFailure } from "./errorPage.ts"
import type { Context } from "./identity.ts"
import type { Image, Visibility } from "./image.ts"
import { validate } from "./imageSchema.ts"
import { enforce, enforceVisibility } from "./policy.ts"

const disallowed = ["direct_url", "self", "file", "schema", "stores"]
const readOnly = [
  "created_at",
  "updated_at",
  "status",
  "checksum",
  "size",
  "virtual_size",
  "direct_url",
  "self",
  "file",
  "schema",
  "id",
  "os_hash_algo",
  "os_hash_value"
]
/** What a create refuses: the record has these, and only the service sets them. */
const createReadOnly = ["created_at", "updated_at", "status", "checksum", "size", "virtual_size"]
const reserved: ReadonlySet<string> = new Set(["location", "deleted", "deleted_at"])

const readOnlyFailure = (name: string) => new HttpFailure(403, `Attribute '${name}' is read-only.`)
const reservedFailure = (name: string) =>
  new HttpFailure(403, undefined, { detail: `Attribute '${name}' is reserved.` })
const isReserved = (name: string) => reserved.has(name) || name.startsWith("os_glance")

type Json = Readonly<Record<string, unknown>>

export const parseJson = (bytes: Buffer): unknown => {
  if (bytes.length === 0) throw new HttpFailure(400, "Body expected in request.")
  let value: unknown
  try {
    value = JSON.parse(bytes.toString("utf8"))
  } catch {
    throw new HttpFailure(400, "Malformed JSON in request body.")
  }
  if (typeof value !== "object" || value === null) {
    throw new HttpFailure(400, "Unexpected body type. Expected list/dict.")
  }
  return value
}

const nonNegative = (name: string, value: number): number => {
  if (value < 0) {
    throw new HttpFailure(400, `Invalid value '${value}' for parameter '${name}': Cannot be a negative value`)
  }
  return value
}

/** What a create asks for, with the schema's and the reserved names' checks done. */
export const parseCreate = (bytes: Buffer): Json => {
  const body = parseJson(bytes)
  if (Array.isArray(body)) throw new HttpFailure(500)
  const values = body as Json
  for (const name of disallowed) if (name in values) throw readOnlyFailure(name)
  validate(values)
  for (const name of Object.keys(values)) {
    if (name.length > 255) throw new HttpFailure(400, "Custom property should not be greater than 255 characters.")
    if (isReserved(name)) throw reservedFailure(name)
  }
  return values
}

const baseNames = new Set([
  ...readOnly,
  "name",
  "visibility",
  "protected",
  "os_hidden",
  "owner",
  "disk_format",
  "container_format",
  "min_disk",
  "min_ram",
  "tags"
])

/** A new record, `queued`. */
export const newImage = (values: Json, owner: string | null, sequence: number): Image => {
  for (const name of createReadOnly) if (name in values) throw readOnlyFailure(name)
  const now = Date.now()
  return {
    id: (values["id"] as string | undefined) ?? randomUUID(),
    name: (values["name"] as string | null | undefined) ?? null,
    status: "queued",
    visibility: (values["visibility"] as Visibility | undefined) ?? "shared",
    protected: (values["protected"] as boolean | undefined) ?? false,
    hidden: (values["os_hidden"] as boolean | undefined) ?? false,
    owner,
    diskFormat: (values["disk_format"] as string | null | undefined) ?? null,
    containerFormat: (values["container_format"] as string | null | undefined) ?? null,
    minDisk: nonNegative("min_disk", (values["min_disk"] as number | undefined) ?? 0),
    minRam: nonNegative("min_ram", (values["min_ram"] as number | undefined) ?? 0),
    tags: new Set((values["tags"] as ReadonlyArray<string> | undefined) ?? []),
    properties: new Map(Object.entries(values).filter(([name]) => !baseNames.has(name)) as Array<[string, string]>),
    size: null,
    virtualSize: null,
    checksum: null,
    hashAlgo: null,
    hashValue: null,
    createdAt: now,
    updatedAt: now,
    sequence,
    locations: []
  }
}

interface Change {
  readonly op: "add" | "remove" | "replace"
  readonly name: string
  readonly value?: unknown
  readonly draft: 4 | 10
}

const operations = ["add", "remove", "replace"] as const
const mediaTypes: Readonly<Record<string, 4 | 10>> = {
  "application/openstack-images-v2.0-json-patch": 4,
  "application/openstack-images-v2.1-json-patch": 10
}

const pointer = (text: unknown): string => {
  if (typeof text !== "string" || !text.startsWith("/")) {
    throw new HttpFailure(400, `Pointer \`${String(text)}\` does not start with "/".`)
  }
  if (/\/\s*?\//.test(text.slice(1))) throw new HttpFailure(400, `Pointer \`${text}\` contains adjacent "/".`)
  if (text.length > 1 && text.endsWith("/")) throw new HttpFailure(400, `Pointer \`${text}\` end with "/".`)
  if (/~[^01]/.test(text) || text.endsWith("~")) {
    throw new HttpFailure(400, `Pointer \`${text}\` contains "~" not part of a recognized escape sequence.`)
  }
  const path = text
    .replace(/^\/+/, "")
    .split("/")
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~").trim())
  if (path.length !== 1) throw new HttpFailure(400, `Invalid JSON pointer for this resource: '/${path.join("/")}'`)
  return path[0]!
}

const operation = (raw: Json, draft: 4 | 10): { op: Change["op"]; path: unknown } => {
  const available = `It must be one of the following: ${operations.join(", ")}.`
  if (draft === 10) {
    const op = raw["op"]
    if (op === undefined) throw new HttpFailure(400, `Unable to find \`op\` in JSON Schema change. ${available}`)
    const known = operations.find((name) => name === op)
    if (known === undefined) throw new HttpFailure(400, `Invalid operation: \`${String(op)}\`. ${available}`)
    if (!("path" in raw)) throw new HttpFailure(400, "Unable to find 'path' in JSON Schema change")
    return { op: known, path: raw["path"] }
  }
  const found = operations.filter((name) => name in raw)
  if (found.length !== 1) {
    const many = found.length > 1 ? "only" : "exactly"
    throw new HttpFailure(400, `Operation objects must contain ${many} one member named "add", "remove", or "replace".`)
  }
  return { op: found[0]!, path: raw[found[0]!] }
}

const parseChange = (raw: unknown, draft: 4 | 10): Change => {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) {
    throw new HttpFailure(400, "Operations must be JSON objects.")
  }
  const { op, path } = operation(raw as Json, draft)
  const name = pointer(path)
  if (op !== "remove" && !("value" in raw)) {
    throw new HttpFailure(400, `Operation "${op}" requires a member named "value".`)
  }
  if (readOnly.includes(name)) throw readOnlyFailure(name)
  if (isReserved(name)) throw new HttpFailure(403, `Attribute '${name}' is reserved.`)
  if (op === "remove") return { op, name, draft }
  const value = (raw as Json)["value"]
  validate({ [name]: value })
  return { op, name, value, draft }
}

export const parsePatch = (contentType: string | undefined, bytes: Buffer): ReadonlyArray<Change> => {
  const draft = mediaTypes[contentType?.split(";")[0]?.trim() ?? ""]
  if (draft === undefined) {
    const allowed = Object.keys(mediaTypes).join(", ")
    throw new HttpFailure(415, undefined, {
      headers: [["Accept-Patch", allowed]],
      detail: `Image PATCH expects Content-Type one of: ${allowed}`
    })
  }
  const body = parseJson(bytes)
  if (!Array.isArray(body)) throw new HttpFailure(400, "Request body must be a JSON array of operation objects.")
  return body.map((raw) => parseChange(raw, draft))
}

const setFormat = (image: Image, name: "disk_format" | "container_format", value: unknown): void => {
  if (image.status !== "queued" && image.status !== "importing") {
    throw new HttpFailure(403, `Attribute ${name} can be only replaced for a queued image.`)
  }
  if (name === "disk_format") image.diskFormat = value as string | null
  else image.containerFormat = value as string | null
}

const setters: Readonly<Record<string, (image: Image, value: unknown) => void>> = {
  name: (image, value) => void (image.name = value as string | null),
  visibility: (image, value) => void (image.visibility = value as Visibility),
  protected: (image, value) => void (image.protected = value as boolean),
  os_hidden: (image, value) => void (image.hidden = value as boolean),
  owner: (image, value) => void (image.owner = value as string | null),
  disk_format: (image, value) => setFormat(image, "disk_format", value),
  container_format: (image, value) => setFormat(image, "container_format", value),
  min_disk: (image, value) => void (image.minDisk = nonNegative("min_disk", value as number)),
  min_ram: (image, value) => void (image.minRam = nonNegative("min_ram", value as number)),
  tags: (image, value) => {
    image.tags.clear()
    for (const tag of value as ReadonlyArray<string>) image.tags.add(tag)
  }
}

const conflict = (detail: string) => new HttpFailure(409, undefined, { detail })

const apply = (context: Context, image: Image, change: Change): void => {
  const { name, op } = change
  if (name === "owner" && op === "replace" && !context.isAdmin) {
    throw new HttpFailure(403, undefined, { detail: "Owner can't be updated by non admin." })
  }
  if (name === "visibility" && op !== "remove") enforceVisibility(context, change.value as Visibility)
  enforce(context, "modify_image", image)
  const setter = setters[name]
  const exists = setter !== undefined || image.properties.has(name)
  if (op === "remove") {
    if (setter !== undefined) throw new HttpFailure(403, undefined, { detail: `Property ${name} may not be removed.` })
    if (!exists) throw conflict(`Property ${name} does not exist.`)
    image.properties.delete(name)
    return
  }
  if (op === "replace" && !exists) throw conflict(`Property ${name} does not exist.`)
  if (op === "add" && exists && change.draft === 4) throw conflict(`Property ${name} already present.`)
  if (setter !== undefined) setter(image, change.value)
  else image.properties.set(name, change.value as string)
}

/** Applies changes to a copy first, so that a refused one leaves the image as it was. */
export const applyPatch = (context: Context, image: Image, changes: ReadonlyArray<Change>): void => {
  const draft: Image = { ...image, tags: new Set(image.tags), properties: new Map(image.properties) }
  for (const change of changes) apply(context, draft, change)
  if (changes.length === 0) return
  const { tags, properties, ...fields } = draft
  Object.assign(image, fields, { updatedAt: Date.now() })
  image.tags.clear()
  for (const tag of tags) image.tags.add(tag)
  image.properties.clear()
  for (const [name, value] of properties) image.properties.set(name, value)
}
