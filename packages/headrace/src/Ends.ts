/**
 * Sources and destinations by their URIs. Each kind is loaded when it is first asked for.
 *
 * @since 0.1.0
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import type { Store } from "@headrace/core/Store"
import type { Transport } from "@headrace/core/Transport"
import * as Uri from "./Uri.ts"

/**
 * A source or destination that cannot be used as it is written.
 *
 * @since 0.1.0
 * @category errors
 */
export class EndError extends Data.TaggedError("EndError")<{
  readonly reason: "InvalidUri" | "Unsupported"
  /** The URI without secrets. */
  readonly uri: string
  readonly message: string
}> {}

const fromUriError = (error: unknown): EndError => {
  if (error instanceof Uri.UriError) {
    return new EndError({ reason: error.reason, uri: error.uri, message: error.message })
  }
  throw error
}

const parsed = <A>(parse: () => A): Effect.Effect<A, EndError> => Effect.try({ try: parse, catch: fromUriError })

const fromResult = <A>(
  result: Result.Result<
    A,
    { readonly reason: "InvalidUri" | "Unsupported"; readonly uri: string; readonly message: string }
  >
): Effect.Effect<A, EndError> =>
  Effect.mapError(
    Effect.fromResult(result),
    ({ message, reason, uri }) => new EndError({ reason, uri: Uri.shown(uri), message })
  )

const load = <A>(module: () => Promise<A>): Effect.Effect<A> => Effect.promise(module)

/**
 * The source that a text names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const source = (text: string): Effect.Effect<Source<Transport | Host>, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseSource(text))
    switch (uri._tag) {
      case "Stdin":
        return (yield* load(() => import("@headrace/node/StdinSource"))).make()
      case "File":
        return (yield* load(() => import("@headrace/node/FileSource"))).make(uri.path)
      case "Http":
        return (yield* load(() => import("@headrace/node/HttpSource"))).make(uri.url)
      case "Glance":
        return yield* fromResult((yield* load(() => import("@headrace/glance/GlanceSource"))).fromUri(uri.uri))
    }
  })

/**
 * The destination that a text names.
 *
 * @since 0.1.0
 * @category constructors
 */
export const destination = (text: string): Effect.Effect<Store<Transport | Host>, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseDestination(text))
    return yield* fromResult((yield* load(() => import("@headrace/glance/GlanceStore"))).fromUri(uri.uri))
  })

/**
 * The destinations that must succeed and those on best effort, as far as this version goes: one.
 *
 * @since 0.1.0
 * @category constructors
 */
export const destinations = (
  to: ReadonlyArray<string>,
  also: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<Store<Transport | Host>>, EndError> =>
  Effect.gen(function* () {
    if (to.length === 0) {
      return yield* new EndError({ reason: "InvalidUri", uri: "to", message: "there is no destination" })
    }
    const found = yield* Effect.forEach([...to, ...also], destination)
    const more = also[0] ?? to[1]
    if (more !== undefined) {
      const message =
        also.length > 0
          ? "destinations on best effort are not supported yet"
          : "several destinations are not supported yet"
      return yield* new EndError({ reason: "Unsupported", uri: Uri.shown(more), message })
    }
    return found
  })

/**
 * A store, for what it can do: a cloud without an image will do.
 *
 * @since 0.1.0
 * @category constructors
 */
export const store = (text: string): Effect.Effect<Store<Transport | Host>, EndError> =>
  Effect.gen(function* () {
    const uri = yield* parsed(() => Uri.parseDestination(text))
    const cloudOnly = /^glance:\/\/[^/?#]+\/?$/i.test(uri.uri)
    if (!cloudOnly) return yield* destination(text)
    const { image } = yield* load(() => import("@headrace/glance/GlanceStore"))
    const GlanceUri = yield* load(() => import("@headrace/glance/GlanceUri"))
    // Any image will do to read the cloud's name as everywhere else.
    const { cloud } = yield* fromResult(GlanceUri.destinationFrom(`${uri.uri.replace(/\/$/, "")}/any`))
    return image({ cloud, uri: uri.uri })
  })
