/**
 * The service catalog of a token, and the choice of an endpoint in it: by type, interface and region, as keystoneauth
 * chooses.
 *
 * @since 0.1.0
 */
import type { Interface } from "./CloudConfig.ts"
import { field, list, property } from "./internal/json.ts"

/**
 * One end of a service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Endpoint {
  readonly interface: string
  readonly url: string
  /** The region's id, and its name where it has another; none for an endpoint of all regions. */
  readonly regions: ReadonlyArray<string>
}

/**
 * One service.
 *
 * @since 0.1.0
 * @category models
 */
export interface Service {
  readonly type: string
  readonly name: string | undefined
  readonly endpoints: ReadonlyArray<Endpoint>
}

/**
 * All services that a token can be used for.
 *
 * @since 0.1.0
 * @category models
 */
export type Catalog = ReadonlyArray<Service>

/**
 * What is looked for.
 *
 * @since 0.1.0
 * @category models
 */
export interface Filter {
  readonly type: string
  /** In the order of preference. */
  readonly interfaces: ReadonlyArray<Interface>
  readonly region?: string | undefined
  readonly name?: string | undefined
}

// From os-service-types: only these of the types that take bytes, or that lead to them, have ever had other names.
const aliases: Readonly<Record<string, ReadonlyArray<string>>> = {
  "block-storage": ["block-storage", "volumev3", "volumev2", "volume", "block-store"]
}

/**
 * The names under which a service may be registered, the official one first.
 *
 * @since 0.1.0
 * @category getters
 */
export const namesOf = (type: string): ReadonlyArray<string> =>
  aliases[type] ?? Object.values(aliases).find((names) => names.includes(type)) ?? [type]

/**
 * The URL of the endpoint that fits best, or `undefined`. A region is told by its id or its name; without one the
 * first endpoint is taken.
 *
 * @since 0.1.0
 * @category getters
 */
export const choose = (catalog: Catalog, filter: Filter): string | undefined => {
  const names = namesOf(filter.type)
  for (const type of names.includes(filter.type) ? [filter.type, ...names] : [filter.type]) {
    const endpoints = catalog
      .filter((service) => service.type === type)
      .filter((service) => filter.name === undefined || service.name === undefined || service.name === filter.name)
      .flatMap((service) => service.endpoints)
      .filter((endpoint) => filter.region === undefined || endpoint.regions.includes(filter.region))
    for (const wanted of filter.interfaces) {
      const found = endpoints.find((endpoint) => endpoint.interface === wanted)
      if (found !== undefined) return found.url
    }
  }
  return undefined
}

/**
 * Which ends of a service there are, in words for an error.
 *
 * @since 0.1.0
 * @category errors
 */
export const describe = (catalog: Catalog, type: string): string => {
  const names = namesOf(type)
  const services = catalog.filter((service) => names.includes(service.type))
  const ends = services.flatMap((service) =>
    service.endpoints.map((end) => [end.interface, ...end.regions.slice(0, 1).map((id) => `in ${id}`)].join(" "))
  )
  if (ends.length > 0) return `it has ${[...new Set(ends)].join(", ")}`
  const types = [...new Set(catalog.map((service) => service.type))]
  return types.length === 0 ? "the catalog is empty" : `it has ${types.join(", ")}`
}

/**
 * An endpoint without its version, query and last slash: what paths such as `/v2/images` and `/versions` are
 * appended to. It may sit under a path (`https://cloud/image/v2` becomes `https://cloud/image`).
 *
 * @since 0.1.0
 * @category getters
 */
export const imageBase = (url: string): string =>
  url
    .replace(/[?#].*$/, "")
    .replace(/\/+$/, "")
    .replace(/(?<!\/)\/v\d+(\.\d+)?$/i, "")
    .replace(/\/+$/, "")

/**
 * Reads the catalog of a token's JSON. What is not an endpoint is left out.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromJson = (json: unknown): Catalog =>
  list(json).flatMap((service) => {
    const type = field(service, "type")
    if (type === undefined) return []
    const endpoints = list(property(service, "endpoints")).flatMap((end): ReadonlyArray<Endpoint> => {
      const url = field(end, "url")
      if (url === undefined) return []
      const regions = [field(end, "region_id"), field(end, "region")].filter((region) => region !== undefined)
      return [{ interface: (field(end, "interface") ?? "").replace(/URL$/, ""), url, regions: [...new Set(regions)] }]
    })
    return [{ type, name: field(service, "name"), endpoints }]
  })
