/**
 * Finds the files that describe clouds, in the order in which OpenStack's own clients look for them: the first that
 * exists and can be read is the one.
 */
import { Host } from "@headrace/core/Host"
import * as Effect from "effect/Effect"
import type { Section } from "./section.ts"

/** A file and what is in it. */
export interface Found {
  readonly path: string
  readonly content: Section
}

/** Where the three kinds of file are looked for. */
export interface Places {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly folders: ReadonlyArray<string>
}

const suffixes = ["yaml", "yml", "json"]

/** Reads the environment once and lists the folders: current, user's, site's. */
export const places: Effect.Effect<Places, never, Host> = Effect.gen(function* () {
  const host = yield* Host
  const env = yield* host.env
  const home = yield* host.home
  const sites = (env["XDG_CONFIG_DIRS"] ?? "").split(":").filter(isAbsolute)
  const folders = [
    yield* host.cwd,
    ...[env["XDG_CONFIG_HOME"] ?? ""].filter(isAbsolute).map((folder) => join(folder, "openstack")),
    join(home, ".config/openstack"),
    ...(sites.length === 0 ? ["/etc/xdg"] : sites).map((folder) => join(folder, "openstack")),
    "/etc/openstack"
  ]
  return { env, folders: folders.filter((folder, index) => folders.indexOf(folder) === index) }
})

// A relative path in an XDG variable is as if it were not set: its specification says so, and the SDK does.
const isAbsolute = (path: string): boolean => /^([/\\]|[a-z]:[/\\])/i.test(path)

/**
 * The first readable file of a kind. `override` is the path that an environment variable names, `last` is looked at
 * when there is none in the folders. The failure is one line that names the file, and the line if there is one.
 */
export const find = Effect.fnUntraced(function* (
  stem: "clouds" | "secure" | "clouds-public",
  { folders }: Places,
  options: { readonly override?: string | undefined; readonly last?: string | undefined } = {}
): Effect.fn.Return<Found | undefined, string, Host> {
  const host = yield* Host
  const override = options.override ? yield* expand(options.override) : undefined
  const searched = options.last === undefined ? folders : [...folders, options.last]
  const candidates = searched.flatMap((folder) => suffixes.map((suffix) => join(folder, `${stem}.${suffix}`)))
  for (const path of override === undefined ? candidates : [override, ...candidates]) {
    // As the SDK does: a file that may not be read is as if it were not there.
    const text = yield* host.readFile(path).pipe(Effect.orElseSucceed(() => undefined))
    if (text === undefined) continue
    // Not loaded where there is no such file: the parser is more than the rest of this package.
    const { parse } = yield* Effect.promise(() => import("./yamlFile.ts"))
    return { path, content: yield* Effect.fromResult(parse(path, text)) }
  }
  return undefined
})

/** A path with a leading "~" replaced by the user's home folder. */
export const expand = Effect.fnUntraced(function* (path: string): Effect.fn.Return<string, never, Host> {
  if (path !== "~" && !path.startsWith("~/")) return path
  const host = yield* Host
  return `${yield* host.home}${path.slice(1)}`
})

/** The folder that a file is in. */
export const folderOf = (path: string): string => {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"))
  return end < 0 ? "." : path.slice(0, Math.max(end, 1))
}

const join = (folder: string, name: string): string => (folder.endsWith("/") ? `${folder}${name}` : `${folder}/${name}`)
