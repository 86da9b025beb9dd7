/**
 * The whole record of an image, as it is described to others. What it must have is there, or it is no record.
 */
import { attributeNames } from "./attributeNames.ts"
import * as Image from "./image.ts"
import type { Description } from "../GlanceImages.ts"

type Json = Readonly<Record<string, unknown>>

const whole = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : 0

const texts = (value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === "string") : []

/** `Object.fromEntries` takes a property called `__proto__` for what it is: a name like any other. */
const propertiesOf = (json: Json): Readonly<Record<string, string>> =>
  Object.fromEntries(
    Object.entries(json).filter(
      (entry): entry is [string, string] => typeof entry[1] === "string" && !attributeNames.has(entry[0])
    )
  )

export const decode = (json: unknown): Description | undefined => {
  const record = Image.decode(json)
  if (record === undefined) return undefined
  const all = json as Json
  return {
    id: record.id,
    name: typeof all["name"] === "string" ? all["name"] : undefined,
    status: record.status,
    size: record.size,
    visibility: record.visibility,
    protected: all["protected"] === true,
    hidden: all["os_hidden"] === true,
    owner: record.owner,
    minDisk: whole(all["min_disk"]),
    minRam: whole(all["min_ram"]),
    diskFormat: record.diskFormat,
    containerFormat: record.containerFormat,
    tags: texts(all["tags"]),
    digests: Image.namedDigests(record),
    stores: Image.names(record.stores),
    createdAt: record.createdAt,
    updatedAt: record.updatedAt,
    properties: propertiesOf(all)
  }
}
