/**
 * The objects of a container in the order of their names, a page at a time.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import type { StoreError } from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Effect from "effect/Effect"
import * as Api from "./internal/api.ts"
import * as Names from "./internal/names.ts"
import * as SwiftAccess from "./SwiftAccess.ts"

/**
 * What of the container is listed.
 *
 * @since 0.1.0
 * @category models
 */
export interface Range {
  /** Only names that begin so. */
  readonly prefix?: string | undefined
  /** Only names behind this one, which need not be there. */
  readonly after?: string | undefined
  /** Objects of a page (1000). */
  readonly limit?: number | undefined
}

/**
 * An object as a list tells it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Listed {
  readonly name: string
  /** Of a static large object those of all segments; of a dynamic one none. */
  readonly bytes: number
  /** The MD5 of the bytes, or of the manifest of a large object. */
  readonly hash: string
  /** Whether the list says that it is a large object; older services do not. */
  readonly large: boolean
}

/**
 * A page, in the order of the names' UTF-8 bytes.
 *
 * @since 0.1.0
 * @category models
 */
export interface Page {
  readonly objects: ReadonlyArray<Listed>
  readonly more: boolean
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const decode = (text: string): ReadonlyArray<Listed> | undefined => {
  const json = Api.parse(text)
  if (!Array.isArray(json)) return undefined
  return json
    .filter(isRecord)
    .flatMap(({ bytes, hash, name, slo_etag }): ReadonlyArray<Listed> =>
      typeof name === "string" && typeof bytes === "number" && typeof hash === "string"
        ? [{ name, bytes, hash: hash.toLowerCase(), large: slo_etag !== undefined }]
        : []
    )
}

/**
 * Asks for a page.
 *
 * Fails with `NotFound` where there is no such container, and with `Forbidden` where the account may not list it.
 *
 * @since 0.1.0
 * @category running
 */
export const page = (
  options: SwiftAccess.Place & { readonly container: string },
  range: Range = {}
): Effect.Effect<Page, StoreError, Transport | Host> => {
  const { container } = options
  const { after = "", limit = 1000, prefix = "" } = range
  const path = Names.pathOf(container)
  const listed = Effect.gen(function* () {
    const transport = yield* Transport
    const api = Api.make(yield* Effect.mapError(SwiftAccess.of(options), Fault.fromKeystone), transport)
    const marks = [`limit=${limit}`, `prefix=${encodeURIComponent(prefix)}`, `marker=${encodeURIComponent(after)}`]
    const what = `the container "${container}" cannot be listed`
    const reply = yield* api.call({
      method: "GET",
      path: `${path}?format=json&${marks.join("&")}`,
      what
    })
    if (reply.status === 204) return { objects: [], more: false }
    const objects = decode(reply.text)
    if (objects === undefined) return yield* Fault.make("Rejected", `${what}: the answer is no list`)
    return { objects, more: objects.length >= limit }
  })
  return Effect.mapError(listed, (fault) => Fault.toStoreError(fault, `swift://${SwiftAccess.nameOf(options)}${path}`))
}
