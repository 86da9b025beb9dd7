/**
 * What a Swift allows, as its `/info` tells without a token. Asked once an address and remembered for ten minutes; a
 * service that does not tell is taken for one as it is installed.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { type Api, parse } from "./api.ts"
import type * as Fault from "@headrace/keystone/ServiceFault"

export interface Limits {
  /** Bytes of one object, or of one segment. */
  readonly maxBytes: number
  readonly maxNameBytes: number
  /** Absent where there are no static large objects. */
  readonly slo: { readonly maxSegments: number; readonly minBytes: number } | undefined
  /** Objects that one bulk request may delete; absent where there is none. */
  readonly bulkDelete: number | undefined
  readonly version: string | undefined
  readonly told: boolean
}

const keepMs = 600_000

/** Swift's own defaults (`etc/swift.conf-sample`, `proxy-server.conf-sample`). */
const defaults: Limits = {
  maxBytes: 5_368_709_122,
  maxNameBytes: 1024,
  slo: { maxSegments: 1000, minBytes: 1 },
  bulkDelete: undefined,
  version: undefined,
  told: false
}

/** What was told, by address. One for the process, unless another is provided. */
export const Known: Context.Reference<Map<string, { readonly limits: Limits; readonly until: number }>> =
  Context.Reference("@headrace/swift/Known", { defaultValue: () => new Map() })

const at = (value: unknown, ...path: ReadonlyArray<string>): unknown =>
  path.reduce(
    (found, key) =>
      typeof found === "object" && found !== null && Object.hasOwn(found, key) ? Reflect.get(found, key) : undefined,
    value
  )

const whole = (value: unknown, otherwise: number): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value > 0 ? value : otherwise

export const decode = (text: string): Limits => {
  const json = parse(text)
  if (typeof at(json, "swift") !== "object") return defaults
  const version = at(json, "swift", "version")
  return {
    maxBytes: whole(at(json, "swift", "max_file_size"), defaults.maxBytes),
    maxNameBytes: whole(at(json, "swift", "max_object_name_length"), defaults.maxNameBytes),
    slo:
      at(json, "slo") === undefined
        ? undefined
        : {
            maxSegments: whole(at(json, "slo", "max_manifest_segments"), 1000),
            minBytes: whole(at(json, "slo", "min_segment_size"), 1)
          },
    bulkDelete:
      at(json, "bulk_delete") === undefined
        ? undefined
        : whole(at(json, "bulk_delete", "max_deletes_per_request"), 1000),
    version: typeof version === "string" ? version : undefined,
    told: true
  }
}

/** `/info` stands beside the version of the account's address. */
export const addressOf = (base: string): string | undefined => {
  const found = /^(https?:\/\/[^/]+(?:\/[^/]+)*?)\/v1(?:\.0)?(?:\/|$)/i.exec(base)
  return found === null ? undefined : `${found[1]}/info`
}

export const of = (api: Api): Effect.Effect<Limits, Fault.Fault> =>
  Effect.gen(function* () {
    const known = yield* Known
    const now = yield* Clock.currentTimeMillis
    const { base } = api.access
    const kept = known.get(base)
    if (kept !== undefined && kept.until > now) return kept.limits
    const path = addressOf(base)
    if (path === undefined) return defaults
    const accept = [400, 401, 403, 404, 405, 412, 501]
    const what = "the service does not tell its limits"
    const reply = yield* api.call({ method: "GET", path, what, anonymous: true, accept })
    const limits = reply.status === 200 ? decode(reply.text) : defaults
    known.set(base, { limits, until: now + keepMs })
    return limits
  })
