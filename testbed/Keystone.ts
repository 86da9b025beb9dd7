/**
 * A real Keystone 30 with projects, users and a catalog:
 *
 * | user     | password          | project | role   |
 * | -------- | ----------------- | ------- | ------ |
 * | `demo`   | `demo-secret`     | demo    | member |
 * | `reader` | `reader-secret`   | demo    | reader |
 * | `other`  | `other-secret`    | other   | member |
 * | `admin`  | `admin-secret`    | admin   | admin  |
 *
 * All are of the domain `Default`; the catalog knows the region `RegionOne`.
 */
import { execFile } from "node:child_process"
import { cp, readFile, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"
import { install } from "./Installation.ts"
import { type Service, start, uwsgi } from "./Service.ts"

/** How a Keystone can differ from the ordinary one. */
export interface KeystoneOptions {
  /** How long a token lives, in seconds; an hour by default. */
  readonly tokenSeconds?: number
  /** Unified limits of Glance by name, e.g. `{ image_count_total: 1 }`; sizes are in MiB. */
  readonly limits?: Readonly<Record<string, number>>
}

/** A running Keystone; `url` ends in `/v3`. */
export interface Keystone extends Service {
  readonly projectId: string
  readonly userId: string
  /** The application credential of `demo`. */
  readonly appCredential: { readonly id: string; readonly secret: string }
  /** The id of the image service's public endpoint. */
  readonly imageEndpointId: string
  /** A token of one of the users for the project of that role. */
  readonly token: (user: "demo" | "reader" | "other" | "admin") => Promise<string>
  /** A request to Keystone's API as `admin`; `path` follows `/v3`. Throws unless the answer is 2xx. */
  readonly call: (method: string, path: string, body?: unknown) => Promise<unknown>
  /** Says in the catalog where Glance is. */
  readonly setImageEndpoint: (url: string) => Promise<void>
}

interface Bed {
  readonly demo_project: string
  readonly demo_user: string
  readonly service: string
  readonly endpoint: string
  readonly app_credential: string
  readonly app_secret: string
}

const scopes = { demo: "demo", reader: "demo", other: "other", admin: "admin" } as const

const configuration = (directory: string, base: string, tokenSeconds: number): string => `[DEFAULT]
log_file = ${directory}/keystone.log
use_stderr = false
public_endpoint = ${base}
transport_url = fake://
[database]
connection = sqlite:///${directory}/keystone.sqlite
sqlite_synchronous = false
[token]
provider = fernet
expiration = ${tokenSeconds}
allow_expired_window = 3600
[fernet_tokens]
key_repository = ${directory}/fernet-keys
[fernet_receipts]
key_repository = ${directory}/fernet-keys
[credential]
key_repository = ${directory}/credential-keys
# in memory, so one process and one thread, which SQLite wants anyway
[cache]
enabled = true
backend = dogpile.cache.memory
[unified_limit]
enforcement_model = flat
[identity]
password_hash_rounds = 4
`

const setOwnAddress = `import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("update endpoint set url = replace(url, 'http://keystone.invalid', ?)", (sys.argv[2],))
db.commit()`

const launch = (options: KeystoneOptions): Promise<Service> =>
  start({
    name: "keystone",
    health: "/v3",
    prepare: async (directory, port) => {
      const { databases, venv } = await install()
      const base = `http://127.0.0.1:${port}`
      await cp(join(databases, "keystone"), directory, { recursive: true })
      await writeFile(join(directory, "keystone.conf"), configuration(directory, base, options.tokenSeconds ?? 3600))
      const database = join(directory, "keystone.sqlite")
      await promisify(execFile)(join(venv, "bin/python"), ["-I", "-S", "-c", setOwnAddress, database, base])
      return {
        // without the header Glance takes connections that uWSGI has closed for live ones: each other token is a 401
        command: uwsgi(venv, "keystone.wsgi.api:application", {
          "http-socket": `127.0.0.1:${port}`,
          "add-header": "Connection: close",
          processes: "1",
          "socket-timeout": "60"
        }),
        env: { OS_KEYSTONE_CONFIG_DIR: directory, PYTHONDONTWRITEBYTECODE: "1", PYTHONWARNINGS: "ignore" }
      }
    }
  })

/** Starts a Keystone. */
export const startKeystone = async (options: KeystoneOptions = {}): Promise<Keystone> => {
  const service = await launch(options)
  const url = `${service.url}/v3`
  const bed: Bed = JSON.parse(await readFile(join(service.directory, "bed.json"), "utf8"))

  const request = async (method: string, path: string, body: unknown, token?: string): Promise<Response> => {
    const headers = { "content-type": "application/json", ...(token === undefined ? {} : { "x-auth-token": token }) }
    const response = await fetch(url + path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    if (!response.ok) throw new Error(`keystone: ${method} ${path}: ${response.status} ${await response.text()}`)
    return response
  }
  const signIn = async (user: string, scope: unknown): Promise<string> => {
    const password = { user: { name: user, domain: { id: "default" }, password: `${user}-secret` } }
    const response = await request("POST", "/auth/tokens", {
      auth: { identity: { methods: ["password"], password }, scope }
    })
    return response.headers.get("x-subject-token") ?? ""
  }
  const token: Keystone["token"] = (user) =>
    signIn(user, { project: { name: scopes[user], domain: { id: "default" } } })
  const call: Keystone["call"] = async (method, path, body) => {
    const response = await request(method, path, body, await token("admin"))
    return response.status === 204 ? undefined : response.json()
  }

  const setLimits = async (limits: Readonly<Record<string, number>>): Promise<void> => {
    const registered_limits = Object.entries(limits).map(([resource_name, default_limit]) => ({
      service_id: bed.service,
      region_id: "RegionOne",
      resource_name,
      default_limit
    }))
    await request("POST", "/registered_limits", { registered_limits }, await signIn("admin", { system: { all: true } }))
  }
  if (options.limits !== undefined) await setLimits(options.limits)

  return {
    ...service,
    url,
    projectId: bed.demo_project,
    userId: bed.demo_user,
    appCredential: { id: bed.app_credential, secret: bed.app_secret },
    imageEndpointId: bed.endpoint,
    token,
    call,
    setImageEndpoint: async (address) => {
      const admin = await token("admin")
      const listed = await request("GET", `/endpoints?service_id=${bed.service}`, undefined, admin)
      const { endpoints } = (await listed.json()) as { readonly endpoints: ReadonlyArray<{ readonly id: string }> }
      for (const { id } of endpoints) await request("PATCH", `/endpoints/${id}`, { endpoint: { url: address } }, admin)
    }
  }
}
