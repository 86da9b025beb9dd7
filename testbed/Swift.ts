/**
 * A real Swift 2.38, one of each server, with tempauth (version 1 of signing in), large objects (SLO and DLO), bulk
 * operations and its S3 face, all on one port.
 */
import { mkdir, writeFile } from "node:fs/promises"
import { userInfo } from "node:os"
import { join } from "node:path"
import { install } from "./Installation.ts"
import type { Keystone } from "./Keystone.ts"
import { freePort, type Service, start } from "./Service.ts"

/** How a Swift can differ from the ordinary one. */
export interface SwiftOptions {
  /** Seconds that a token of tempauth is good for; a day by default. */
  readonly tokenSeconds?: number
  /** Takes the tokens of this Keystone as well, for accounts `KEY_PROJECT`. */
  readonly keystone?: Keystone
  /** Bytes that an object may have; 5 GiB by default. */
  readonly maxFileSize?: number
  /** Segments that a large object may have, 1000 by default. */
  readonly maxSegments?: number
  /** Names that a page of a listing has, 10,000 by default. */
  readonly listingLimit?: number
  /** Without bulk operations. */
  readonly noBulk?: boolean
  /** Bytes that a part has at least at the S3 face, unless it is the last; 5 MiB by default. */
  readonly s3MinPart?: number
  /** Seconds without a byte of the body before the server gives up; 60 by default. */
  readonly clientTimeout?: number
}

/** A running Swift. */
export interface Swift extends Service {
  /** Where `X-Auth-User` and `X-Auth-Key` are sent. */
  readonly authUrl: string
  readonly user: string
  readonly key: string
  /** The user's account. */
  readonly storageUrl: string
}

const swiftConf = ({ listingLimit = 10_000, maxFileSize = 5_368_709_122 }: SwiftOptions): string => `[swift-hash]
swift_hash_path_suffix = bed-suffix
swift_hash_path_prefix = bed-prefix
[storage-policy:0]
name = Policy-0
default = yes
[swift-constraints]
max_file_size = ${maxFileSize}
container_listing_limit = ${listingLimit}
`

const common = (directory: string, name: string, port: number): string => `[DEFAULT]
bind_ip = 127.0.0.1
bind_port = ${port}
workers = 0
swift_dir = ${directory}
log_name = swift-${name}
log_level = WARNING
user = ${userInfo().username}
`

/** Patient: nobody repeats an update of a listing that came too late on a busy machine. */
const backend = (
  directory: string,
  kind: string,
  port: number
): string => `${common(directory, kind, port)}devices = ${directory}/devices
mount_check = false
container_update_timeout = 20
conn_timeout = 10
node_timeout = 30
[pipeline:main]
pipeline = healthcheck ${kind}-server
[app:${kind}-server]
use = egg:swift#${kind}
[filter:healthcheck]
use = egg:swift#healthcheck
`

const keystoneSections = (keystone: Keystone): string => `[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
www_authenticate_uri = ${keystone.url}
auth_url = ${keystone.url}
auth_type = password
username = glance
password = glance-secret
project_name = service
user_domain_name = Default
project_domain_name = Default
delay_auth_decision = true
include_service_catalog = false
token_cache_time = -1
[filter:keystoneauth]
use = egg:swift#keystoneauth
reseller_prefix = KEY
operator_roles = admin, member
`

const proxy = (directory: string, port: number, options: SwiftOptions): string => {
  const { clientTimeout = 60, keystone, maxSegments = 1000, noBulk, s3MinPart = 5_242_880, tokenSeconds } = options
  const pipeline = [
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats",
    ...(noBulk === true ? [] : ["bulk"]),
    "s3api",
    ...(keystone === undefined ? [] : ["authtoken keystoneauth"]),
    "tempauth copy container-quotas slo dlo proxy-server"
  ]
  return `${common(directory, "proxy", port)}client_timeout = ${clientTimeout}
[pipeline:main]
pipeline = ${pipeline.join(" ")}
[app:proxy-server]
use = egg:swift#proxy
conn_timeout = 10
node_timeout = 30
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:proxy-logging]
use = egg:swift#proxy_logging
access_log_level = INFO
[filter:cache]
paste.filter_factory = swift_cache:factory
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
s3_acl = false
min_segment_size = ${s3MinPart}
dns_compliant_bucket_names = true
allow_multipart_uploads = true
auth_pipeline_check = false
[filter:tempauth]
use = egg:swift#tempauth
token_life = ${tokenSeconds ?? 86_400}
user_test_tester = testing .admin
user_test2_tester2 = testing2 .admin
user_test_tester3 = testing3
[filter:copy]
use = egg:swift#copy
[filter:container-quotas]
use = egg:swift#container_quotas
[filter:slo]
use = egg:swift#slo
max_manifest_segments = ${maxSegments}
[filter:dlo]
use = egg:swift#dlo
${keystone === undefined ? "" : keystoneSections(keystone)}`
}

/** Starts a Swift. */
export const startSwift = async (options: SwiftOptions = {}): Promise<Swift> => {
  const service = await start({
    name: "swift",
    health: "/healthcheck",
    prepare: async (directory, port) => {
      const { venv } = await install()
      await mkdir(join(directory, "devices/d1"), { recursive: true })
      const kinds = ["account", "container", "object"]
      const ports = await Promise.all(kinds.map(freePort))
      await Promise.all([
        writeFile(join(directory, "swift.conf"), swiftConf(options)),
        writeFile(join(directory, "proxy-server.conf"), proxy(directory, port, options)),
        ...kinds.map((kind, index) =>
          writeFile(join(directory, `${kind}-server.conf`), backend(directory, kind, ports[index] ?? 0))
        )
      ])
      return {
        command: [
          join(venv, "bin/python"),
          "-B",
          join(import.meta.dirname, "swift_bed.py"),
          directory,
          ...ports.map(String)
        ],
        env: { PYTHONPATH: import.meta.dirname, PYTHONWARNINGS: "ignore" }
      }
    }
  })
  return {
    ...service,
    authUrl: `${service.url}/auth/v1.0`,
    user: "test:tester",
    key: "testing",
    storageUrl: `${service.url}/v1/AUTH_test`
  }
}
