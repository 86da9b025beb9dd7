/**
 * The image schema, as document and as check: what a create or a change may carry.
 */
import { HttpFailure } from "./errorPage.ts"

export const diskFormats = ["ami", "ari", "aki", "vhd", "vhdx", "vmdk", "raw", "qcow2", "vdi", "iso", "ploop"]
export const containerFormats = ["ami", "ari", "aki", "bare", "ovf", "ova", "docker", "compressed"]

interface Property {
  readonly type: string | ReadonlyArray<string>
  readonly description: string
  readonly readOnly?: true
  readonly maxLength?: number
  readonly pattern?: string
  readonly enum?: ReadonlyArray<string | null>
  readonly items?: { readonly type: string; readonly maxLength?: number; readonly [more: string]: unknown }
}

const uuid = "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$"

/** What a location is. Locations cannot be set here; the schema names them all the same. */
const location = {
  type: "object",
  properties: {
    url: { type: "string", maxLength: 255 },
    metadata: { type: "object" },
    validation_data: {
      description:
        "Values to be used to populate the corresponding image properties. If the image status is not 'queued', " +
        "values must exactly match those already contained in the image properties.",
      type: "object",
      writeOnly: true,
      additionalProperties: false,
      properties: {
        checksum: { type: "string", minLength: 32, maxLength: 32 },
        os_hash_algo: { type: "string", maxLength: 64 },
        os_hash_value: { type: "string", maxLength: 128 }
      },
      required: ["os_hash_algo", "os_hash_value"]
    }
  },
  required: ["url", "metadata"]
}

const properties: Readonly<Record<string, Property>> = {
  id: { type: "string", description: "An identifier for the image", pattern: uuid },
  name: { type: ["null", "string"], description: "Descriptive name for the image", maxLength: 255 },
  status: {
    type: "string",
    readOnly: true,
    description: "Status of the image",
    enum: ["queued", "saving", "active", "killed", "deleted", "uploading", "importing", "pending_delete", "deactivated"]
  },
  visibility: {
    type: "string",
    description: "Scope of image accessibility",
    enum: ["community", "public", "private", "shared"]
  },
  protected: { type: "boolean", description: "If true, image will not be deletable." },
  os_hidden: { type: "boolean", description: "If true, image will not appear in default image list response." },
  checksum: { type: ["null", "string"], readOnly: true, description: "md5 hash of image contents.", maxLength: 32 },
  os_hash_algo: {
    type: ["null", "string"],
    readOnly: true,
    description: "Algorithm to calculate the os_hash_value",
    maxLength: 64
  },
  os_hash_value: {
    type: ["null", "string"],
    readOnly: true,
    description: "Hexdigest of the image contents using the algorithm specified by the os_hash_algo",
    maxLength: 128
  },
  owner: { type: ["null", "string"], description: "Owner of the image", maxLength: 255 },
  size: { type: ["null", "integer"], readOnly: true, description: "Size of image file in bytes" },
  virtual_size: { type: ["null", "integer"], readOnly: true, description: "Virtual size of image in bytes" },
  container_format: {
    type: ["null", "string"],
    description: "Format of the container",
    enum: [null, ...containerFormats]
  },
  disk_format: { type: ["null", "string"], description: "Format of the disk", enum: [null, ...diskFormats] },
  created_at: { type: "string", readOnly: true, description: "Date and time of image registration" },
  updated_at: { type: "string", readOnly: true, description: "Date and time of the last image modification" },
  tags: {
    type: "array",
    description: "List of strings related to the image",
    items: { type: "string", maxLength: 255 }
  },
  direct_url: {
    type: "string",
    readOnly: true,
    description: "URL to access the image file kept in external store"
  },
  min_ram: { type: "integer", description: "Amount of ram (in MB) required to boot image." },
  min_disk: { type: "integer", description: "Amount of disk space (in GB) required to boot image." },
  self: { type: "string", readOnly: true, description: "An image self url" },
  file: { type: "string", readOnly: true, description: "An image file url" },
  stores: {
    type: "string",
    readOnly: true,
    description:
      "Store in which image data resides.  Only present when the operator has enabled multiple stores.  May be a " +
      "comma-separated list of store identifiers."
  },
  schema: { type: "string", readOnly: true, description: "An image schema url" },
  locations: {
    type: "array",
    items: location,
    description: "A set of URLs to access the image file kept in external store"
  }
}

/** `GET /v2/schemas/image`. */
export const imageSchema = {
  name: "image",
  properties,
  additionalProperties: { type: "string" },
  links: [
    { rel: "self", href: "{self}" },
    { rel: "enclosure", href: "{file}" },
    { rel: "describedby", href: "{schema}" }
  ]
}

/** `GET /v2/schemas/images`. */
export const imagesSchema = {
  name: "images",
  properties: {
    images: { type: "array", items: imageSchema },
    first: { type: "string" },
    next: { type: "string" },
    schema: { type: "string" }
  },
  links: [
    { rel: "first", href: "{first}" },
    { rel: "next", href: "{next}" },
    { rel: "describedby", href: "{schema}" }
  ]
}

const typeOf = (value: unknown): string =>
  value === null
    ? "null"
    : Array.isArray(value)
      ? "array"
      : typeof value === "number"
        ? Number.isInteger(value)
          ? "integer"
          : "number"
        : typeof value

/** A value as Python prints it. */
const python = (value: unknown): string =>
  value === null
    ? "None"
    : value === true
      ? "True"
      : value === false
        ? "False"
        : typeof value === "string"
          ? `'${value}'`
          : Array.isArray(value)
            ? `[${value.map(python).join(", ")}]`
            : JSON.stringify(value)

const typeText = (type: string | ReadonlyArray<string>): string =>
  typeof type === "string" ? `'${type}'` : type.map((name) => `'${name}'`).join(", ")

const wrong = (property: Property, value: unknown): string | undefined => {
  const types = typeof property.type === "string" ? [property.type] : property.type
  if (!types.includes(typeOf(value))) return `${python(value)} is not of type ${typeText(property.type)}`
  if (property.enum !== undefined && !property.enum.includes(value as string | null)) {
    return `${python(value)} is not one of ${python(property.enum)}`
  }
  if (typeof value === "string" && value.length > (property.maxLength ?? Number.POSITIVE_INFINITY)) {
    return `${python(value)} is too long`
  }
  if (typeof value === "string" && property.pattern !== undefined && !new RegExp(property.pattern).test(value)) {
    return `${python(value)} does not match ${python(property.pattern)}`
  }
  if (Array.isArray(value) && property.items !== undefined) {
    for (const item of value) {
      if (typeof item !== "string") return `${python(item)} is not of type 'string'`
      if (item.length > (property.items.maxLength ?? Number.POSITIVE_INFINITY)) return `${python(item)} is too long`
    }
  }
  return undefined
}

/** Throws 400 for what the schema does not allow. */
export const validate = (values: Readonly<Record<string, unknown>>): void => {
  for (const [name, value] of Object.entries(values)) {
    const reason = wrong(properties[name] ?? { type: "string", description: "" }, value)
    if (reason !== undefined) {
      throw new HttpFailure(400, `Provided object does not match schema 'image': ${reason}`)
    }
  }
}
