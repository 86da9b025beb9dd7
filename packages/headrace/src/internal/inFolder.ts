/** The machine as a program wants it seen: another folder, another environment. */
import * as Effect from "effect/Effect"
import { resolve } from "node:path"
import { Host } from "@headrace/core/Host"

export interface Surroundings {
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  readonly cwd?: string | undefined
}

export const inFolder =
  ({ cwd, env }: Surroundings) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | Host> =>
    cwd === undefined && env === undefined
      ? effect
      : Effect.flatMap(Host, (host) =>
          Effect.provideService(
            effect,
            Host,
            Host.of({
              ...host,
              ...(env === undefined ? undefined : { env: Effect.succeed(env) }),
              ...(cwd === undefined
                ? undefined
                : { cwd: Effect.succeed(resolve(cwd)), readFile: (path) => host.readFile(resolve(cwd, path)) })
            })
          )
        )
