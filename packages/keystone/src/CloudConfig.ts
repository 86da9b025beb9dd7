/**
 * A cloud's configuration, found and merged as openstacksdk does it: `OS_CLIENT_CONFIG_FILE`, then `clouds.yaml`
 * (`.yml`, `.json`) in the current folder, the user's and the site's; `secure.yaml` over it, the profile of
 * `clouds-public.yaml` under it. The `OS_*` variables are the cloud `envvars`.
 *
 * Reading ends here: whether one can sign in with it is `Auth`'s to say. Secrets are `Redacted` from here on.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { expand, find, folderOf, places, type Found, type Places } from "./internal/cloudFiles.ts"
import { deep, environment, regions, section, shallow, underscored } from "./internal/cloudMerge.ts"
import * as Settings from "./internal/cloudSettings.ts"
import { readTls } from "./internal/cloudTls.ts"
import { isSection, type Section } from "./internal/section.ts"
import * as KeystoneError from "./KeystoneError.ts"

/**
 * What a cloud says about signing in: keystoneauth's option names, in camel case.
 *
 * @since 0.1.0
 * @category models
 */
export interface AuthOptions {
  readonly authUrl?: string
  /** The endpoint of every service, for the types that have no catalog. */
  readonly endpoint?: string
  readonly username?: string
  readonly userId?: string
  readonly userDomainId?: string
  readonly userDomainName?: string
  readonly projectId?: string
  readonly projectName?: string
  readonly projectDomainId?: string
  readonly projectDomainName?: string
  readonly domainId?: string
  readonly domainName?: string
  /** Used where a user's or project's domain is not said. */
  readonly defaultDomainId?: string
  readonly defaultDomainName?: string
  readonly systemScope?: string
  readonly trustId?: string
  readonly applicationCredentialId?: string
  readonly applicationCredentialName?: string
  readonly password?: Redacted.Redacted
  readonly token?: Redacted.Redacted
  readonly passcode?: Redacted.Redacted
  readonly applicationCredentialSecret?: Redacted.Redacted
}

/**
 * Which end of a service is meant.
 *
 * @since 0.1.0
 * @category models
 */
export type Interface = "public" | "internal" | "admin"

/**
 * What a cloud says about one service, as in `image_endpoint_override` or `image_interface`.
 *
 * @since 0.1.0
 * @category models
 */
export interface ServiceOptions {
  /** Used instead of the catalog's endpoint. */
  readonly endpoint?: string
  readonly interfaces?: ReadonlyArray<Interface>
  readonly region?: string
  /** The type to look for in the catalog. */
  readonly type?: string
  /** The name that the service must have in the catalog. */
  readonly name?: string
  /** What is wrong with one of these as it is written: told when the service is asked for. */
  readonly fault?: string
}

/**
 * How a cloud's connections are secured: PEM texts, of which the key is a secret.
 *
 * @since 0.1.0
 * @category models
 */
export interface TlsOptions {
  readonly verify: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: Redacted.Redacted
}

/**
 * One cloud.
 *
 * @since 0.1.0
 * @category models
 */
export interface Cloud {
  readonly name: string
  /** The file it was found in; absent for the `OS_*` variables. */
  readonly file?: string
  /** As it is written; absent when nothing is. */
  readonly authType?: string
  readonly auth: AuthOptions
  readonly identityApiVersion?: string
  readonly region?: string
  /** In the order of preference. */
  readonly interfaces: ReadonlyArray<Interface>
  /** By service, with "_" for "-": `image`, `object_store`. */
  readonly services: Readonly<Record<string, ServiceOptions>>
  readonly tls: TlsOptions
}

/**
 * Reads one cloud. Without a name it is `OS_CLOUD`, else the `OS_*` variables, else the only cloud of the file.
 *
 * Fails with `InvalidConfig`, or `Unsupported` for a profile that is a URL; the line names the file.
 *
 * @since 0.1.0
 * @category constructors
 */
export const load = Effect.fnUntraced(function* (
  name?: string
): Effect.fn.Return<Cloud, KeystoneError.KeystoneError, Host> {
  const here = yield* places
  const invalid = (message: string, cloud = name ?? here.env["OS_CLOUD"] ?? "(none named)") =>
    KeystoneError.make("InvalidConfig", { cloud, message })

  const files = yield* readFiles(here).pipe(Effect.mapError((message) => invalid(message)))
  const envName = here.env["OS_CLOUD_NAME"] || "envvars"
  const fromEnv = environment(here.env)
  const named = section(files.content["clouds"])
  if (Object.hasOwn(named, envName)) {
    return yield* invalid(
      `${files.path}: defines a cloud named ${envName}, which is the name for the OS_* variables: rename it, or set OS_CLOUD_NAME`
    )
  }
  const names = [...Object.keys(named), ...(fromEnv === undefined ? [] : [envName])]
  const chosen = name ?? (here.env["OS_CLOUD"] || (fromEnv !== undefined ? envName : onlyOne(names)))
  if (chosen === undefined) {
    return yield* invalid(`no cloud is named: give one of ${listed(names)}, or set OS_CLOUD; ${told(files, here)}`)
  }
  if (chosen === envName && fromEnv !== undefined) {
    return yield* build(chosen, undefined, fromEnv, here, envName)
  }
  if (!Object.hasOwn(named, chosen)) {
    const hint = chosen === envName ? "no OS_* variables are set" : `known are ${listed(names)}`
    return yield* invalid(`unknown cloud; ${hint}; ${told(files, here)}`, chosen)
  }
  const own = named[chosen]
  if (!isSection(own)) return yield* invalid(`${files.path}: clouds.${chosen}: must be a mapping`, chosen)
  return yield* build(chosen, files.path, own, here, envName)
})

interface Files {
  /** The clouds file, else the secure file; absent when there is neither. */
  readonly path: string | undefined
  readonly content: Section
}

const readFiles = Effect.fnUntraced(function* (here: Places): Effect.fn.Return<Files, string, Host> {
  const clouds = yield* find("clouds", here, { override: here.env["OS_CLIENT_CONFIG_FILE"] })
  const secure = yield* find("secure", here, {
    override: here.env["OS_CLIENT_SECURE_FILE"],
    last: clouds === undefined ? undefined : folderOf(clouds.path)
  })
  for (const file of [clouds, secure]) {
    const list = file?.content["clouds"]
    if (list !== undefined && list !== null && !isSection(list)) {
      return yield* Effect.fail(`${file?.path}: clouds: must be a mapping of names to clouds`)
    }
  }
  return {
    path: clouds?.path ?? secure?.path,
    content: deep(withoutNull(clouds), withoutNull(secure))
  }
})

// `clouds:` with nothing under it must not wipe the other file's.
const withoutNull = (file: Found | undefined): Section =>
  Object.fromEntries(Object.entries(file?.content ?? {}).filter(([, value]) => value !== null))

const onlyOne = (names: ReadonlyArray<string>): string | undefined => (names.length === 1 ? names[0] : undefined)

const listed = (names: ReadonlyArray<string>): string => (names.length === 0 ? "none" : names.join(", "))

const told = (files: Files, here: Places): string => {
  const override = here.env["OS_CLIENT_CONFIG_FILE"]
  return files.path !== undefined
    ? `read ${files.path}`
    : `looked for clouds.yaml (.yml, .json) in ${[...(override ? [override] : []), ...here.folders].join(", ")}`
}

const build = Effect.fnUntraced(function* (
  name: string,
  file: string | undefined,
  written: Section,
  here: Places,
  envName: string
): Effect.fn.Return<Cloud, KeystoneError.KeystoneError, Host> {
  const where = file === undefined ? "OS_* variables" : file
  const fail = (message: string, reason: "InvalidConfig" | "Unsupported" = "InvalidConfig") =>
    KeystoneError.make(reason, { cloud: name, message: `${where}: ${message}` })

  const own = underscored(written)
  const profile = yield* readProfile(own, here, envName, fail)
  const list = regions(own, profile)
  if (typeof list === "string") return yield* fail(list)
  const asked = here.env["OS_REGION_NAME"]
  const region = list.find((region) => region.name === asked) ?? list[0]
  const merged = Settings.expandNames({
    ...shallow(shallow(profile, own), underscored(region?.values ?? {})),
    region_name: region?.name ?? null
  })
  const settings = yield* Effect.fromResult(Result.mapError(Settings.read(merged), (message) => fail(message)))
  const tls = yield* readTls(settings.tls, expand).pipe(Effect.mapError((message) => fail(message)))
  return {
    name,
    ...(file === undefined ? {} : { file }),
    ...settings.cloud,
    tls
  }
})

const readProfile = Effect.fnUntraced(function* (
  own: Section,
  here: Places,
  envName: string,
  fail: (message: string, reason?: "InvalidConfig" | "Unsupported") => KeystoneError.KeystoneError
): Effect.fn.Return<Section, KeystoneError.KeystoneError, Host> {
  const profile = own["profile"] ?? own["cloud"]
  if (typeof profile !== "string" || profile === "" || profile === envName) return {}
  if (/^https?:/i.test(profile)) {
    return yield* fail("a profile that is a URL is not supported: write its auth_url here", "Unsupported")
  }
  const vendors = yield* find("clouds-public", here).pipe(Effect.mapError((message) => fail(message)))
  const found = section(vendors?.content["public-clouds"])
  if (Object.hasOwn(found, profile)) return underscored(section(found[profile]))
  // As the SDK does: a profile that is not there is no error by itself, when the cloud is complete without it.
  if (section(own["auth"])["auth_url"] || own["auth_url"]) return {}
  const file = vendors === undefined ? `no clouds-public.yaml in ${here.folders.join(", ")}` : `not in ${vendors.path}`
  return yield* fail(`profile ${profile}: ${file}, and the cloud has no auth_url of its own`)
})
