/**
 * What an adapter may ask of the machine it runs on: environment variables, a few folders, small text files.
 * It keeps adapters free of any platform; `@headrace/node` provides it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"

/**
 * A file that exists but cannot be read.
 *
 * @since 0.1.0
 * @category errors
 */
export class HostError extends Data.TaggedError("HostError")<{
  readonly path: string
  readonly message: string
}> {}

/**
 * The service.
 *
 * @since 0.1.0
 * @category services
 */
export class Host extends Context.Service<
  Host,
  {
    /** The environment variables as they are now. */
    readonly env: Effect.Effect<Readonly<Record<string, string | undefined>>>
    /** The current folder. */
    readonly cwd: Effect.Effect<string>
    /** The user's home folder. */
    readonly home: Effect.Effect<string>
    /** A text file whole, or `undefined` when there is none. A relative path is taken from the current folder. */
    readonly readFile: (path: string) => Effect.Effect<string | undefined, HostError>
  }
>()("@headrace/core/Host") {}
