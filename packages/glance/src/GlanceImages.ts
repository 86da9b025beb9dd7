/**
 * The images of a cloud, as data: one, or all of them page by page.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import type { SourceError } from "@headrace/core/SourceError"
import type { StoreError } from "@headrace/core/StoreError"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as GlanceAccess from "./GlanceAccess.ts"
import * as GlanceUri from "./GlanceUri.ts"
import * as Api from "./internal/api.ts"
import { attributeNames } from "./internal/attributeNames.ts"
import * as Decoding from "./internal/description.ts"
import * as Find from "./internal/find.ts"
import * as Pages from "./internal/pages.ts"
import * as Preflight from "./internal/preflight.ts"
import * as Fault from "@headrace/keystone/ServiceFault"

/**
 * All that a service tells of an image.
 *
 * @since 0.1.0
 * @category models
 */
export interface Description {
  readonly id: string
  /** It may be empty. */
  readonly name: string | undefined
  readonly status: string
  /** Bytes. */
  readonly size: number | undefined
  readonly visibility: string | undefined
  readonly protected: boolean
  readonly hidden: boolean
  /** The project that it is of; `null` where there are none. */
  readonly owner: string | null
  /** GiB. */
  readonly minDisk: number
  /** MiB. */
  readonly minRam: number
  readonly diskFormat: string | undefined
  readonly containerFormat: string | undefined
  readonly tags: ReadonlyArray<string>
  /** In lower-case hex, by the names that the service gives them, which need not be algorithms that we know. */
  readonly digests: Readonly<Record<string, string>>
  /** Empty where there is one store without a name. */
  readonly stores: ReadonlyArray<string>
  /** ISO 8601. */
  readonly createdAt: string | undefined
  readonly updatedAt: string | undefined
  /** Every further key that has a text, also those that the service sets itself. */
  readonly properties: Readonly<Record<string, string>>
}

/**
 * Which images are listed; what is not said is all that the account can see without asking for other projects'
 * community images.
 *
 * @since 0.1.0
 * @category models
 */
export interface Query {
  readonly status?: ReadonlyArray<string> | undefined
  readonly visibility?: GlanceUri.Visibility | undefined
  /** Only those with one of these ids, of which so many can be named as a request line takes: 50 are no trouble. */
  readonly id?: ReadonlyArray<string> | undefined
  /** A project's id. */
  readonly owner?: string | undefined
  /** Whether hidden ones are, too (true), or they alone. */
  readonly hidden?: boolean | "only" | undefined
  /** Images a request (100). */
  readonly pageSize?: number | undefined
}

const uriOf = (place: GlanceAccess.Place): string => `glance://${GlanceAccess.nameOf(place)}`

const signIn = (place: GlanceAccess.Place): Effect.Effect<Api.Api, Fault.Fault, Transport | Host> =>
  Effect.gen(function* () {
    const transport = yield* Transport
    return Api.make(yield* Effect.mapError(GlanceAccess.of(place), Fault.fromKeystone), transport)
  })

/**
 * Whether a key of an image can be a property; others are attributes of every image, or the service's own.
 *
 * @since 0.1.0
 * @category guards
 */
export const isProperty = (key: string): boolean => !attributeNames.has(key) && !key.startsWith("os_glance")

/**
 * Describes one image, by its id or else by its name, which must then be the name of one image only.
 *
 * Fails with `NotFound` when there is none, and with `Conflict` when several have the name.
 *
 * @since 0.1.0
 * @category running
 */
export const describe = (
  options: GlanceAccess.Place & {
    readonly image: string | { readonly id: string } | { readonly name: string }
    /** How the image is called in errors. */
    readonly uri?: string | undefined
  }
): Effect.Effect<Description, SourceError, Transport | Host> => {
  const { image } = options
  const wanted = typeof image !== "string" ? image : GlanceUri.isId(image) ? { id: image } : { name: image }
  const uri =
    options.uri ?? `${uriOf(options)}/${"id" in wanted ? wanted.id : encodeURIComponent(wanted.name.toWellFormed())}`
  const described = Effect.gen(function* () {
    const api = yield* signIn(options)
    const id = "id" in wanted ? wanted.id : yield* Find.byName(api, wanted.name)
    const what = `image ${id} cannot be looked at`
    const path = `/v2/images/${encodeURIComponent(id)}`
    const reply = yield* api.call({ method: "GET", path, what, accept: [404] })
    if (reply.status === 404) return yield* Fault.make("NotFound", `there is no image ${id}`)
    return Decoding.decode(reply.json) ?? (yield* Preflight.noRecord(what))
  })
  return Effect.mapError(described, (fault) => Fault.toSourceError(fault, uri))
}

/**
 * Describes all images of a place, each once, in the memory of a page and of the hidden ones' ids. An image that is
 * made, hidden or shown while it is listed may be in the list or not.
 *
 * @since 0.1.0
 * @category running
 */
export const list = (
  place: GlanceAccess.Place,
  query: Query = {}
): Stream.Stream<Description, SourceError, Transport | Host> => {
  const { hidden = true, id, owner, pageSize = 100, status, visibility } = query
  const parameters = [
    ...(id === undefined ? [] : [`id=in:${id.map(encodeURIComponent).join(",")}`]),
    ...(status === undefined ? [] : [`status=in:${status.map(encodeURIComponent).join(",")}`]),
    ...(visibility === undefined ? [] : [`visibility=${visibility}`]),
    ...(owner === undefined ? [] : [`owner=${encodeURIComponent(owner)}`])
  ]
  const listed = Stream.unwrap(
    Effect.map(signIn(place), (api) => {
      const pages = (more: ReadonlyArray<string>) =>
        Pages.list(api, [...parameters, ...more].map((parameter) => `&${parameter}`).join(""), pageSize)
      if (!hidden) return pages([])
      if (hidden === "only") return pages(["os_hidden=true"])
      // Glance has them in a list of their own. They are few, so that it is they who are remembered.
      const known = new Set<string>()
      const apart = Stream.map(pages(["os_hidden=true"]), (image) => {
        known.add(image.id)
        return image
      })
      return Stream.concat(
        apart,
        Stream.filter(pages([]), ({ id }) => !known.has(id))
      )
    })
  )
  return Stream.mapError(listed, (fault) => Fault.toSourceError(fault, uriOf(place)))
}

const namesOf = (json: unknown): ReadonlyArray<string> => {
  const required = (json as { readonly required?: unknown } | null | undefined)?.required
  return Array.isArray(required) ? required.filter((name): name is string => typeof name === "string") : []
}

/**
 * The keys that an image must have to be made there, as the service's schema says (from release 33 on an operator can
 * ask for some).
 *
 * @since 0.1.0
 * @category running
 */
export const requiredProperties = (
  place: GlanceAccess.Place
): Effect.Effect<ReadonlyArray<string>, StoreError, Transport | Host> => {
  const asked = Effect.gen(function* () {
    const api = yield* signIn(place)
    const what = "the image service does not tell what an image must have"
    // Who may not ask may still make images.
    const reply = yield* api.call({ method: "GET", path: "/v2/schemas/image", what, accept: [403, 404] })
    return reply.status === 200 ? namesOf(reply.json) : []
  })
  return Effect.mapError(asked, (fault) => Fault.toStoreError(fault, uriOf(place)))
}
