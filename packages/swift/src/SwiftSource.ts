/**
 * An object of Swift as a source, large ones whole. It can be read as often as needed and from any offset; a lost
 * connection goes on where it was.
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
import * as Api from "./internal/api.ts"
import * as Download from "./internal/download.ts"
import * as Fault from "@headrace/keystone/ServiceFault"
import * as Names from "./internal/names.ts"
import * as Objects from "./internal/objects.ts"
import * as SwiftAccess from "./SwiftAccess.ts"
import * as SwiftUri from "./SwiftUri.ts"

/**
 * Which object.
 *
 * @since 0.1.0
 * @category models
 */
export interface SourceOptions {
  readonly container: string
  readonly object: string
  /** How the source is called in receipts and errors. */
  readonly uri?: string | undefined
}

/**
 * An object of a cloud as a source.
 *
 * Fails with `NotFound` when there is none, with `SourceChanged` when it was replaced while it was read, and with
 * `Conflict` when a segment of a large object is missing.
 *
 * @since 0.1.0
 * @category constructors
 */
export const object = (options: SwiftAccess.Place & SourceOptions): Source<Transport | Host> => {
  const { container, object } = options
  const path = Names.pathOf(container, object)
  const uri = options.uri ?? `swift://${SwiftAccess.nameOf(options)}${path}`
  const asSourceError = <A, R>(effect: Effect.Effect<A, Fault.Fault, R>): Effect.Effect<A, SourceError, R> =>
    Effect.mapError(effect, (fault) => Fault.toSourceError(fault, uri))

  const looked = Effect.gen(function* () {
    const unreachable = Names.unreachable(object)
    if (unreachable !== undefined) return yield* Fault.make("InvalidUri", unreachable)
    const transport = yield* Transport
    const access = yield* Effect.mapError(SwiftAccess.of(options), Fault.fromKeystone)
    const api = Api.make(access, transport)
    const found = yield* Objects.look(api, container, object)
    return found === undefined ? yield* Fault.make("NotFound", "there is no such object") : { api, found }
  })

  return {
    uri,
    replayable: true,
    info: asSourceError(
      Effect.map(looked, ({ found: { etag, size, timestamp } }) => ({ size, identity: `${etag} ${timestamp}` }))
    ),
    open: (offset) =>
      Blocks.fromBytes(
        Stream.unwrap(
          asSourceError(
            Effect.map(looked, ({ api, found: { etag, size } }) =>
              Stream.mapError(Download.stream(api, { path, offset, size, etag }), (fault) =>
                Fault.toSourceError(fault, uri)
              )
            )
          )
        )
      ),
    hints: asSourceError(
      Effect.map(looked, ({ found }) => ({
        name: object.slice(object.lastIndexOf("/") + 1),
        digests: Objects.digestsOf(found)
      }))
    )
  }
}

/**
 * The source that a `swift://CLOUD/CONTAINER/OBJECT` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Source<Transport | Host>, SwiftUri.SwiftUriError> =>
  Result.map(SwiftUri.sourceFrom(uri), object)
