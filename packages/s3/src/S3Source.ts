/**
 * An object of S3 as a source. It can be read as often as needed and from any offset; what is read is always of one
 * version of it, as its ETag says.
 *
 * @since 0.1.0
 */
import * as Blocks from "@headrace/core/Blocks"
import type { Source } from "@headrace/core/Source"
import type * as SourceError from "@headrace/core/SourceError"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Download from "./internal/download.ts"
import * as Fault from "./internal/fault.ts"
import * as Look from "./internal/look.ts"
import { connect, type Site } from "./internal/site.ts"
import * as Target from "./internal/target.ts"
import * as S3Uri from "./S3Uri.ts"

/**
 * Which object, and how its service is reached; each as for a destination (`S3Store.Options`).
 *
 * @since 0.1.0
 * @category models
 */
export type Options = Target.Place

const what = "the object cannot be read"

const named = ({ key }: Options): string => key.slice(key.lastIndexOf("/") + 1)

/**
 * An object as a source.
 *
 * Fails with `NotFound` when there is none, `Forbidden` or `Unauthorized` as the service says, `SourceChanged` when it is
 * replaced while it is read, and `InvalidUri` or `InvalidConfig` for what is wrong with the options.
 *
 * @since 0.1.0
 * @category constructors
 */
export const object = (options: Options): Source<Transport> => {
  const uri = Target.uriOf(options)
  const bad = Target.wrong(options)
  const asSourceError = <A, R>(
    effect: Effect.Effect<A, Fault.Fault, R>
  ): Effect.Effect<A, SourceError.SourceError, R> => Effect.mapError(effect, (fault) => Fault.toSourceError(fault, uri))

  let last: Look.Found | undefined
  let known: Site | undefined

  const look = Effect.gen(function* () {
    if (bad !== undefined) return yield* bad
    const site = (known ??= yield* connect(options))
    const found = yield* Look.at(site)
    if (found._tag === "Unseen") return yield* found.fault
    if (found._tag === "Absent") return yield* Fault.make("NotFound", "there is no such object", { status: 404 })
    return { site, found: (last = found) }
  })

  return {
    uri,
    replayable: true,
    info: asSourceError(
      Effect.map(look, ({ found }) => ({
        size: found.size,
        // An object that is written anew with the same bytes has the same ETag.
        identity: found.etag === undefined ? undefined : [found.etag, found.version ?? ""].join(" ").trim()
      }))
    ),
    open: (offset) =>
      Blocks.fromBytes(
        Stream.unwrap(
          asSourceError(
            Effect.gen(function* () {
              const { found, site } = yield* look
              return Stream.mapError(
                Download.stream(site, { what, offset, size: found.size, etag: found.etag }),
                (fault) => Fault.toSourceError(fault, uri)
              )
            })
          )
        )
      ),
    hints: asSourceError(
      Effect.map(
        Effect.suspend(() => (last === undefined ? Effect.map(look, ({ found }) => found) : Effect.succeed(last))),
        ({ digests }) => ({ name: named(options), digests })
      )
    )
  }
}

/**
 * The source that an `s3://BUCKET/KEY` names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const fromUri = (uri: string): Result.Result<Source<Transport>, S3Uri.S3UriError> =>
  Result.map(S3Uri.sourceFrom(uri), object)
