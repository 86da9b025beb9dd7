/**
 * Merges what the files and the environment say about a cloud, key by key as openstacksdk does it, so that a
 * configuration that works with `openstack` means the same here.
 */
import { isSection, type Section, type Value } from "./section.ts"

/** Mappings are merged at every depth, anything else is replaced: how `secure.yaml` comes over `clouds.yaml`. */
export const deep = (under: Section, over: Section): Section => ({
  ...under,
  ...Object.fromEntries(
    Object.entries(over).map(([key, value]) => {
      const before = under[key]
      return [key, isSection(value) && isSection(before) ? deep(before, value) : value]
    })
  )
})

/** `auth` is merged, anything else is replaced: how a cloud comes over its profile, and a region over its cloud. */
export const shallow = (under: Section, over: Section): Section => ({
  ...under,
  ...over,
  ...(isSection(under["auth"]) || isSection(over["auth"])
    ? { auth: { ...section(under["auth"]), ...section(over["auth"]) } }
    : {})
})

/** The section itself, or an empty one. */
export const section = (value: Value | undefined): Section => (isSection(value) ? value : {})

/** Keys with "_" for "-", at every depth: both are in use. */
export const underscored = (value: Section): Section =>
  Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.replaceAll("-", "_"), isSection(item) ? underscored(item) : item])
  )

/**
 * The pseudo-cloud of the `OS_*` variables, or `undefined` when there are none but selectors. An empty variable is as
 * if it were not set.
 */
export const environment = (env: Readonly<Record<string, string | undefined>>): Section | undefined => {
  const entries = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[0].startsWith("OS_") &&
      !foreign.some((prefix) => entry[0].startsWith(prefix)) &&
      entry[1] !== undefined &&
      entry[1] !== ""
  )
  if (entries.every(([key]) => selectors.has(key))) return undefined
  return Object.fromEntries(entries.map(([key, value]) => [key.slice("OS_".length).toLowerCase(), value]))
}

const foreign = ["OS_TEST", "OS_STD", "OS_LOG"]

const selectors = new Set([
  "OS_CLOUD",
  "OS_REGION_NAME",
  "OS_CLIENT_CONFIG_FILE",
  "OS_CLIENT_SECURE_FILE",
  "OS_CLOUD_NAME"
])

/** One region of a cloud: its name, and what it says over the cloud. */
export interface Region {
  readonly name: string
  readonly values: Section
}

/**
 * The regions of a cloud, in its order; its own go before its profile's. The failure says what is wrong with the list.
 */
export const regions = (own: Section, profile: Section): ReadonlyArray<Region> | string => {
  for (const part of [own, profile]) {
    for (const key of ["regions", "region_name"]) {
      const value = part[key]
      if (value === undefined || value === null || value === "") continue
      if (typeof value === "string") return value.split(",").map((name) => ({ name: name.trim(), values: {} }))
      if (!Array.isArray(value)) return `${key} must be a name or a list of names`
      const list: Array<Region> = []
      for (const item of value) {
        if (typeof item === "string") list.push({ name: item, values: {} })
        else if (isSection(item) && typeof item["name"] === "string") {
          // A setting beside `values` would have no effect.
          const stray = Object.keys(item).find((name) => name !== "name" && name !== "values")
          if (stray !== undefined) return `${key}: ${item["name"]}: ${stray} must be under "values"`
          // A value of nothing does not take the cloud's own away.
          const values = Object.entries(section(item["values"])).filter(([, given]) => given !== null)
          list.push({ name: item["name"], values: Object.fromEntries(values) })
        } else return `an entry of ${key} must be a name, or a mapping with "name" and "values"`
      }
      if (list.length > 0) return list
    }
  }
  return []
}
