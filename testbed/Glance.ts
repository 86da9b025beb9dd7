/**
 * A real Glance 33 under uWSGI, set up as upstream's own configuration does it. By default a token is
 * `USER:PROJECT:ROLE` (`alice:p-alice:member`), checked by nobody but obeyed by the real policies.
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { install } from "./Installation.ts"
import type { Keystone } from "./Keystone.ts"
import { type Service, start, uwsgi } from "./Service.ts"

/** How a Glance can differ from the ordinary one. */
export interface GlanceOptions {
  /** Whose word counts: tokens `USER:PROJECT:ROLE` (the default), everybody an admin, or a Keystone. */
  readonly auth?: "fake" | "none" | Keystone
  /** Writes its address into the catalog of the Keystone; true by default. */
  readonly catalog?: boolean
  /** The stores, `NAME` (files) or `NAME:TYPE`, the first is the default: `["fast", "cheap"]`. `["web:http"]` is read-only. */
  readonly stores?: ReadonlyArray<string>
  /** No multi-store at all: one file store, no `/v2/info/stores`. */
  readonly singleStore?: boolean
  /** More configuration, read last, e.g. `"[DEFAULT]\nimage_size_cap = 10485760"`. */
  readonly conf?: string
  /** What images must and may have besides, as `schema-image.json`: `{ properties, required }`. */
  readonly imageSchema?: object
  /** No file may grow larger, in MiB: a store that is full, 413 in the middle of the body. */
  readonly tinyMb?: number
  /** uWSGI's HTTP router in front of the workers, with kept connections, as in the usual development set-up. */
  readonly router?: boolean
  /** Enforces the unified limits of the Keystone. */
  readonly limits?: boolean
  /** Processes, 1 by default. */
  readonly workers?: number
  /** Threads a process, 8 by default; upstream has 4 processes of 1 thread. */
  readonly threads?: number
  /** Seconds without a byte of the body before the server gives up; 10 by default. */
  readonly socketTimeout?: number
  /** The largest HTTP chunk it takes, in bytes; 1 MiB by default. */
  readonly chunkLimit?: number
}

/** A running Glance; `url` has no version. */
export interface Glance extends Service {
  /** The directory behind a store of files; without permission to write there an upload is answered 503. */
  readonly storeDirectory: (store: string) => string
}

const pipelines = `[composite:glance-api]
paste.composite_factory = glance.api:root_app_factory
/: fake
/healthcheck: healthcheck
[composite:glance-api-none]
paste.composite_factory = glance.api:root_app_factory
/: none
/healthcheck: healthcheck
[composite:glance-api-keystone]
paste.composite_factory = glance.api:root_app_factory
/: keystone
/healthcheck: healthcheck
[pipeline:fake]
pipeline = http_proxy_to_wsgi versionnegotiation fakeauth context rootapp
[pipeline:none]
pipeline = http_proxy_to_wsgi versionnegotiation unauthenticated-context rootapp
[pipeline:keystone]
pipeline = http_proxy_to_wsgi versionnegotiation authtoken context rootapp
[composite:rootapp]
paste.composite_factory = glance.api:root_app_factory
/: apiversions
/v2: apiv2app
[app:apiversions]
paste.app_factory = glance.api.versions:create_resource
[app:apiv2app]
paste.app_factory = glance.api.v2.router:API.factory
[app:healthcheck]
paste.app_factory = oslo_middleware:Healthcheck.app_factory
[filter:versionnegotiation]
paste.filter_factory = glance.api.middleware.version_negotiation:VersionNegotiationFilter.factory
[filter:http_proxy_to_wsgi]
paste.filter_factory = oslo_middleware:HTTPProxyToWSGI.factory
[filter:context]
paste.filter_factory = glance.api.middleware.context:ContextMiddleware.factory
[filter:unauthenticated-context]
paste.filter_factory = glance.api.middleware.context:UnauthenticatedContextMiddleware.factory
[filter:fakeauth]
paste.filter_factory = fakeauth:factory
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
`

const storeSections = (directory: string, options: GlanceOptions): readonly [backends: string, sections: string] => {
  if (options.singleStore === true) {
    const files = `filesystem_store_datadir = ${directory}/fast`
    return ["", `[glance_store]\nstores = file,http\ndefault_store = file\n${files}\n`]
  }
  const stores = (options.stores ?? ["fast", "cheap"]).map((store) => store.split(":"))
  const sections = stores.map(([name, type = "file"], index) => {
    const files = type === "file" ? `filesystem_store_datadir = ${directory}/${name}\n` : ""
    return `[${name}]\n${files}store_description = ${type} store ${name}\nweight = ${100 - index}\n`
  })
  const backends = stores.map(([name, type = "file"]) => `${name}:${type}`).join(", ")
  return [
    `enabled_backends = ${backends}`,
    `[glance_store]\ndefault_backend = ${stores[0]?.[0] ?? ""}\n${sections.join("")}`
  ]
}

const keystoneSections = (keystone: Keystone): string => {
  const account = `auth_url = ${keystone.url}
auth_type = password
username = glance
password = glance-secret
user_domain_name = Default
region_name = RegionOne`
  return `[keystone_authtoken]
www_authenticate_uri = ${keystone.url}
${account}
project_name = service
project_domain_name = Default
service_token_roles_required = true
# -1: no cache in the process, so that a token that ends is seen at once
token_cache_time = -1
[oslo_limit]
${account}
system_scope = all
endpoint_id = ${keystone.imageEndpointId}
`
}

const configuration = (directory: string, url: string, options: GlanceOptions): string => {
  const [backends, sections] = storeSections(directory, options)
  const auth = options.auth ?? "fake"
  const flavor = auth === "fake" ? "" : auth === "none" ? "none" : "keystone"
  const policies = auth !== "none"
  return `[DEFAULT]
${backends}
enabled_import_methods = [glance-direct,web-download,copy-image]
public_endpoint = ${url}
worker_self_reference_url = ${url}
transport_url = fake://
log_file = ${directory}/glance-api.log
use_stderr = false
image_cache_dir = ${directory}/cache
use_keystone_limits = ${options.limits === true}
enforce_secure_rbac = ${policies}
# SQLite locks the whole file: no background worker of the cache
cache_prefetcher_interval = 86400
[oslo_policy]
enforce_new_defaults = ${policies}
enforce_scope = false
[oslo_concurrency]
lock_path = ${directory}/lock
[database]
connection = sqlite:///${directory}/glance.sqlite
sqlite_synchronous = false
[paste_deploy]
flavor = ${flavor}
config_file = ${directory}/glance-api-paste.ini
[os_glance_staging_store]
filesystem_store_datadir = ${directory}/staging
[os_glance_tasks_store]
filesystem_store_datadir = ${directory}/tasks
[task]
work_dir = ${directory}/work
[taskflow_executor]
engine_mode = serial
[import_filtering_opts]
# web-download: loopback is refused unless named
allowed_hosts = [127.0.0.1, localhost]
allowed_ports = []
${sections}${typeof auth === "string" ? "" : keystoneSections(auth)}${options.conf ?? ""}
`
}

const sockets = (directory: string, port: number, options: GlanceOptions): Readonly<Record<string, string | true>> => {
  const seconds = String(options.socketTimeout ?? 10)
  const address = `127.0.0.1:${port}`
  const behind = join(directory, "uwsgi.sock")
  return {
    "socket-timeout": seconds,
    "http-auto-chunked": true,
    "http-chunked-input": true,
    "http-raw-body": true,
    ...(options.router === true
      ? { http: address, "http-to": behind, "http-timeout": seconds, "http-keepalive": true, socket: behind }
      : { "http-socket": address, "add-header": "Connection: close" })
  }
}

/** Starts a Glance. */
export const startGlance = async (options: GlanceOptions = {}): Promise<Glance> => {
  const service = await start({
    name: "glance",
    health: "/healthcheck",
    fileLimit: options.tinyMb === undefined ? undefined : options.tinyMb * 1024 * 1024,
    prepare: async (directory, port) => {
      const { databases, venv } = await install()
      const names = (options.stores ?? ["fast", "cheap"]).map((store) => store.split(":")[0] ?? store)
      for (const name of ["fast", "cache", "lock", "staging", "tasks", "work", ...names]) {
        await mkdir(join(directory, name), { recursive: true })
      }
      await copyFile(join(databases, "glance.sqlite"), join(directory, "glance.sqlite"))
      await writeFile(join(directory, "glance-api-paste.ini"), pipelines)
      if (options.imageSchema !== undefined) {
        await writeFile(join(directory, "schema-image.json"), JSON.stringify(options.imageSchema))
      }
      await writeFile(join(directory, "glance-api.conf"), configuration(directory, `http://127.0.0.1:${port}`, options))
      return {
        command: uwsgi(venv, "glance.wsgi.api:application", {
          ...sockets(directory, port, options),
          processes: String(options.workers ?? 1),
          threads: String(options.threads ?? 8),
          ...(options.chunkLimit === undefined ? {} : { "chunked-input-limit": String(options.chunkLimit) })
        }),
        env: {
          OS_GLANCE_CONFIG_DIR: directory,
          PYTHONPATH: import.meta.dirname,
          PYTHONDONTWRITEBYTECODE: "1",
          PYTHONWARNINGS: "ignore"
        }
      }
    }
  })
  if (typeof options.auth === "object" && options.catalog !== false) await options.auth.setImageEndpoint(service.url)
  return { ...service, storeDirectory: (store) => join(service.directory, store) }
}
