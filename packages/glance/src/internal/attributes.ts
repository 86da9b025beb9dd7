/**
 * What an image is to be, in the words of Glance's requests.
 */
import type { Wanted } from "./places.ts"

interface Formats {
  readonly diskFormat: string
  readonly containerFormat: string
}

/** The body of `POST /v2/images`. */
export const creation = (options: Wanted, formats: Formats, id: string): Readonly<Record<string, unknown>> => ({
  ...options.properties,
  id,
  ...(options.name === undefined ? undefined : { name: options.name }),
  disk_format: formats.diskFormat,
  container_format: formats.containerFormat,
  ...(options.visibility === undefined ? undefined : { visibility: options.visibility }),
  ...(options.minDisk === undefined ? undefined : { min_disk: options.minDisk }),
  ...(options.minRam === undefined ? undefined : { min_ram: options.minRam }),
  ...(options.tags === undefined ? undefined : { tags: options.tags })
})

export interface Operation {
  readonly op: "replace" | "add"
  readonly path: string
  readonly value: unknown
}

export const patchType = "application/openstack-images-v2.1-json-patch"

const replace = (key: string, value: unknown): ReadonlyArray<Operation> =>
  value === undefined ? [] : [{ op: "replace", path: `/${key}`, value }]

/** What must be set before an image takes data. */
export const formats = (
  wanted: Formats,
  has?: { readonly [K in keyof Formats]: string | undefined }
): ReadonlyArray<Operation> => [
  ...(has?.diskFormat === wanted.diskFormat ? [] : replace("disk_format", wanted.diskFormat)),
  ...(has?.containerFormat === wanted.containerFormat ? [] : replace("container_format", wanted.containerFormat))
]

/** JSON pointer (RFC 6901 §3). */
const escape = (key: string): string => key.replaceAll("~", "~0").replaceAll("/", "~1")

/** Sets a property, whether there was one or not. */
export const property = (key: string, value: string): Operation => ({ op: "add", path: `/${escape(key)}`, value })

/** An image that we made is neither hidden nor protected, and needs no request to stay so. */
const unlessAsMade = (value: boolean | undefined, given: boolean): boolean | undefined =>
  given || value === true ? value : undefined

/** What is set when the data is proven: of an image that we made, what would have been in the way before. */
export const final = (options: Wanted, given: boolean): ReadonlyArray<Operation> => [
  ...(given
    ? [
        ...replace("name", options.name),
        ...replace("visibility", options.visibility),
        ...replace("min_disk", options.minDisk),
        ...replace("min_ram", options.minRam),
        ...replace("tags", options.tags),
        ...Object.entries(options.properties ?? {}).map(([key, value]) => property(key, value))
      ]
    : []),
  ...replace("os_hidden", unlessAsMade(options.hidden, given)),
  // Last: what is protected can still be changed, but whoever reads the list sees the order of things.
  ...replace("protected", unlessAsMade(options.protected, given))
]
