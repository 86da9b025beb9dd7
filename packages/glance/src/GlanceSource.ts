/**
 * An image of a cloud as a source. It can be read as often as needed; a lost connection goes on where it was when the
 * image's back end can, and a transfer starts again otherwise.
 *
 * @since 0.1.0
 */
import * as Blocks from "@headrace/core/Blocks"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import type { SourceError } from "@headrace/core/SourceError"
import { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as GlanceAccess from "./GlanceAccess.ts"
import * as GlanceUri from "./GlanceUri.ts"
import * as Api from "./internal/api.ts"
import * as Download from "./internal/download.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Find from "./internal/find.ts"
import * as Image from "./internal/image.ts"
import * as Preflight from "./internal/preflight.ts"

/**
 * Which image: its id, else its name, which must then be the name of one image only. To read an image whose name
 * looks like an id, say `{ name }`.
 *
 * @since 0.1.0
 * @category models
 */
export interface SourceOptions {
  readonly image: string | { readonly id: string } | { readonly name: string }
  /** How the source is called in receipts and errors. */
  readonly uri?: string | undefined
}

const named = (image: SourceOptions["image"]): { readonly id: string } | { readonly name: string } =>
  typeof image !== "string" ? image : GlanceUri.isId(image) ? { id: image } : { name: image }

const uriOf = (options: GlanceAccess.Place & SourceOptions): string => {
  if (options.uri !== undefined) return options.uri
  const wanted = named(options.image)
  const cloud = GlanceAccess.nameOf(options)
  if ("id" in wanted) return `glance://${cloud}/${wanted.id}`
  const name = encodeURIComponent(wanted.name)
  return GlanceUri.isId(wanted.name) ? `glance://${cloud}?name=${name}` : `glance://${cloud}/${name}`
}

const look = (api: Api.Api, id: string): Effect.Effect<Image.ImageRecord, Fault.Fault> =>
  Effect.gen(function* () {
    const record = yield* Preflight.get(api, id, `image ${id} cannot be looked at`)
    if (record === undefined) return yield* Fault.make("NotFound", `there is no image ${id}`)
    if (record.status === "deactivated") {
      return yield* Fault.make("Forbidden", `image ${id} is deactivated: nobody may read its data`)
    }
    if (record.status !== "active") {
      return yield* Fault.make("Conflict", `image ${id} is ${record.status}: only an active image has data to read`)
    }
    return record
  })

/**
 * An image of a cloud as a source.
 *
 * Fails with `NotFound` when there is none, with `Conflict` when several have the name or it has no data, and with
 * `Forbidden` when it is deactivated.
 *
 * @since 0.1.0
 * @category constructors
 */
export const image = (options: GlanceAccess.Place & SourceOptions): Source<Transport | Host> => {
  const uri = uriOf(options)
  const wanted = named(options.image)
  const asSourceError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, SourceError, R> =>
    Effect.mapError(effect, (fault) => Fault.toSourceError(fault, uri))

  // A name is looked up once: another image that gets it later is another source.
  let id = "id" in wanted ? wanted.id : undefined
  let last: Image.ImageRecord | undefined

  const record = Effect.gen(function* () {
    const transport = yield* Transport
    const access = yield* Effect.mapError(GlanceAccess.of(options), Fault.fromKeystone)
    const api = Api.make(access, transport)
    id ??= yield* Find.byName(api, "name" in wanted ? wanted.name : "")
    last = yield* look(api, id)
    return { api, record: last }
  })

  return {
    uri,
    replayable: true,
    info: asSourceError(
      Effect.map(record, ({ record }) => ({
        size: record.size,
        identity: `${record.id} ${record.hashValue ?? record.checksum ?? record.updatedAt ?? ""}`
      }))
    ),
    open: (offset) =>
      Blocks.fromBytes(
        Stream.unwrap(
          asSourceError(
            Effect.map(record, ({ api, record }) =>
              Stream.mapError(Download.stream(api, { id: record.id, offset, size: record.size }), (fault) =>
                Fault.toSourceError(fault, uri)
              )
            )
          )
        )
      ),
    hints: asSourceError(
      Effect.map(
        Effect.suspend(() => (last === undefined ? Effect.map(record, ({ record }) => record) : Effect.succeed(last))),
        (found) => ({
          ...(found.name === undefined ? undefined : { name: found.name }),
          ...(found.diskFormat === undefined ? undefined : { diskFormat: found.diskFormat }),
          ...(found.containerFormat === undefined ? undefined : { containerFormat: found.containerFormat }),
          digests: Image.namedDigests(found)
        })
      )
    )
  }
}

/**
 * The source that a `glance://CLOUD/IMAGE` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Source<Transport | Host>, GlanceUri.GlanceUriError> =>
  Result.map(GlanceUri.sourceFrom(uri), image)
