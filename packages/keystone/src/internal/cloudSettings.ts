/**
 * Turns a merged cloud into typed settings: legacy names, values beside `auth` that belong in it, domains said once
 * for user and project. Pure; a failure says which key is wrong.
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { AuthOptions, Cloud, Interface, ServiceOptions } from "../CloudConfig.ts"
import { section } from "./cloudMerge.ts"
import type { TlsSettings } from "./cloudTls.ts"
import type { Section, Value } from "./section.ts"

/** A cloud but for its name, its file and the files that its TLS settings name. */
export interface CloudSettings {
  readonly cloud: Omit<Cloud, "name" | "file" | "tls">
  readonly tls: TlsSettings
}

/**
 * Replaces `{region_name}` and the like, as profiles use it: in `auth_url` and in whatever is no option of `auth`. No
 * option of `auth` is put in: it may be a secret.
 */
export const expandNames = (merged: Section): Section => {
  const expanded: Record<string, Value> = { ...merged, region_name: merged["region_name"] ?? "" }
  const expand = (value: Value): Value =>
    typeof value !== "string"
      ? value
      : value.replace(/\{(\w+)\}/g, (whole, key: string) => {
          const named = authNames.has(key) ? undefined : expanded[key]
          return typeof named === "string" ? named : whole
        })
  const auth = section(merged["auth"])
  if (auth["auth_url"] !== undefined) expanded["auth"] = { ...auth, auth_url: expand(auth["auth_url"]) }
  for (const [key, value] of Object.entries(expanded)) {
    if (key === "auth_url" || !authNames.has(key)) expanded[key] = expand(value)
  }
  return expanded
}

/** Reads the settings. */
export const read = (merged: Section): Result.Result<CloudSettings, string> =>
  Result.gen(function* () {
    const interfaces = yield* readInterfaces("interface", merged["endpoint_type"] ?? merged["interface"])
    // `auth_type:` with nothing behind it means "none" to the SDK, not the default.
    const authType =
      text(merged["auth_type"]) ?? text(merged["auth_plugin"]) ?? ("auth_type" in merged ? "none" : undefined)
    const auth = readAuth(merged)
    const identityApiVersion = text(merged["identity_api_version"])
    const region = text(merged["region_name"])
    for (const [key, url] of [["auth_url", auth.authUrl] as const, ["endpoint", auth.endpoint] as const]) {
      if (url !== undefined) yield* checkUrl(key, url)
    }
    return {
      cloud: {
        ...(authType === undefined ? {} : { authType }),
        auth,
        ...(identityApiVersion === undefined ? {} : { identityApiVersion }),
        ...(region === undefined ? {} : { region }),
        interfaces: interfaces ?? ["public"],
        services: readServices(merged)
      },
      tls: yield* readTlsSettings(merged)
    }
  })

/** The text of a scalar; nothing and "" are absent. */
const text = (value: Value | undefined): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined

// Where the SDK takes the value beside `auth` before the one in it: these may come from the environment.
const outsideFirst: Readonly<Record<string, ReadonlyArray<string>>> = {
  domain_id: ["domain_id"],
  domain_name: ["domain_name"],
  user_domain_id: ["user_domain_id"],
  user_domain_name: ["user_domain_name"],
  project_domain_id: ["project_domain_id"],
  project_domain_name: ["project_domain_name"],
  token: ["token", "auth_token"],
  passcode: ["passcode"],
  project_id: ["project_id", "tenant_id"],
  project_name: ["project_name", "tenant_name"]
}

const insideFirst: Readonly<Record<string, ReadonlyArray<string>>> = {
  auth_url: ["auth_url"],
  endpoint: ["endpoint", "url"],
  username: ["username", "user_name"],
  user_id: ["user_id"],
  password: ["password"],
  system_scope: ["system_scope"],
  trust_id: ["trust_id"],
  default_domain_id: ["default_domain_id", "default_domain"],
  default_domain_name: ["default_domain_name"],
  application_credential_id: ["application_credential_id"],
  application_credential_name: ["application_credential_name"],
  application_credential_secret: ["application_credential_secret"]
}

const authNames = new Set(Object.values({ ...outsideFirst, ...insideFirst }).flat())

const readAuth = (merged: Section): AuthOptions => {
  const inside = section(merged["auth"])
  const found: Record<string, string | undefined> = {}
  for (const [key, names] of Object.entries(outsideFirst)) {
    found[key] = firstOf(names.flatMap((name) => [merged[name], inside[name]]))
  }
  for (const [key, names] of Object.entries(insideFirst)) {
    found[key] = firstOf([...names.map((name) => inside[name]), ...names.map((name) => merged[name])])
  }
  const hasProject = found["project_id"] !== undefined || found["project_name"] !== undefined
  if (hasProject) {
    // A domain said once is the user's and the project's, and no scope of its own.
    for (const [domain, keys] of sharedDomains) {
      for (const key of keys) found[key] ??= found[domain]
      found[domain] = undefined
    }
  }
  return Object.fromEntries(
    Object.entries(found).flatMap(([key, value]) =>
      value === undefined ? [] : [[camel(key), secret.has(key) ? Redacted.make(value) : value]]
    )
  )
}

const sharedDomains = [
  ["domain_id", ["user_domain_id", "project_domain_id"]],
  ["domain_name", ["user_domain_name", "project_domain_name"]]
] as const

const secret = new Set(["password", "token", "passcode", "application_credential_secret"])

const camel = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

const firstOf = (values: ReadonlyArray<Value | undefined>): string | undefined => {
  for (const value of values) {
    const found = text(value)
    if (found !== undefined) return found
  }
  return undefined
}

const readInterfaces = (
  key: string,
  value: Value | undefined
): Result.Result<ReadonlyArray<Interface> | undefined, string> => {
  const names = Array.isArray(value) ? value : [value]
  const list: Array<Interface> = []
  for (const name of names) {
    if (name === undefined || name === null || name === "") continue
    const short = typeof name === "string" ? name.replace(/URL$/i, "") : ""
    if (short !== "public" && short !== "internal" && short !== "admin") {
      return Result.fail(`${key}: must be public, internal or admin, or a list of these`)
    }
    list.push(short)
  }
  return Result.succeed(list.length === 0 ? undefined : list)
}

const serviceKey = /^(.+)_(endpoint_override|endpoint_type|endpoint|interface|region_name|service_type|service_name)$/

/** What is wrong with a service's values is no error here: it is another service that is wanted, more often than not. */
const readServices = (merged: Section): Readonly<Record<string, ServiceOptions>> => {
  const services: Record<string, ServiceOptions> = {}
  for (const [key, value] of Object.entries(merged)) {
    const [, service, option] = serviceKey.exec(key) ?? []
    if (service === undefined) continue
    const before = services[service] ?? {}
    const written = text(value)
    const add = (read: Result.Result<ServiceOptions, string>) => {
      services[service] = { ...before, ...Result.getOrElse(read, (fault) => ({ fault })) }
    }
    if (option === "interface" || option === "endpoint_type") {
      add(Result.map(readInterfaces(key, value), (interfaces) => (interfaces === undefined ? {} : { interfaces })))
    } else if (written === undefined) continue
    else if (option === "endpoint_override" || (option === "endpoint" && before.endpoint === undefined)) {
      add(Result.map(checkUrl(key, written), (endpoint) => ({ endpoint })))
    } else if (option === "region_name") services[service] = { ...before, region: written }
    else if (option === "service_type") services[service] = { ...before, type: written }
    else if (option === "service_name") services[service] = { ...before, name: written }
  }
  return services
}

const checkUrl = (key: string, url: string): Result.Result<string, string> => {
  if (!URL.canParse(url) || !/^https?:\/\//i.test(url)) {
    return Result.fail(`${key}: must be an http:// or https:// URL`)
  }
  const parsed = new URL(url)
  return parsed.username !== "" || parsed.password !== ""
    ? Result.fail(`${key}: must not hold a user name or password; write them under auth`)
    : Result.succeed(url)
}

const readTlsSettings = (merged: Section): Result.Result<TlsSettings, string> =>
  Result.gen(function* () {
    const insecure = yield* readBoolean("insecure", merged["insecure"], false)
    const written = text(merged["verify"])
    // `verify` may be the authorities' file, as it may for the library under the SDK.
    const isPath = written !== undefined && /[/.]/.test(written)
    const verify = !insecure && (isPath || (yield* readBoolean("verify", merged["verify"], true)))
    const ca = text(merged["cacert"]) ?? (isPath ? written : undefined)
    const cert = text(merged["cert"])
    const key = text(merged["key"])
    if (key !== undefined && cert === undefined) return yield* Result.fail("key: is given without cert")
    return {
      verify,
      ...(ca === undefined || !verify ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key })
    }
  })

const readBoolean = (key: string, value: Value | undefined, otherwise: boolean): Result.Result<boolean, string> => {
  if (value === undefined || value === null || value === "") return Result.succeed(otherwise)
  const word = typeof value === "string" ? value.toLowerCase() : undefined
  if (word === "true" || word === "yes" || word === "on" || word === "1") return Result.succeed(true)
  if (word === "false" || word === "no" || word === "off" || word === "0") return Result.succeed(false)
  return Result.fail(`${key}: must be true or false`)
}
