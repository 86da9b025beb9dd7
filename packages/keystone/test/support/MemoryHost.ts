/** A machine made of a map: files by full path, environment variables, current folder `/work`, home `/home/u`. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Host, HostError } from "@headrace/core/Host"

export interface Machine {
  readonly files?: Readonly<Record<string, string>>
  readonly env?: Readonly<Record<string, string>>
  /** Paths that exist and may not be read. */
  readonly locked?: ReadonlyArray<string>
}

export const make = ({ env = {}, files = {}, locked = [] }: Machine) =>
  Host.of({
    env: Effect.succeed(env),
    cwd: Effect.succeed("/work"),
    home: Effect.succeed("/home/u"),
    readFile: (path) => {
      const full = path.startsWith("/") ? path : `/work/${path}`
      return locked.includes(full)
        ? Effect.fail(new HostError({ path: full, message: "permission denied" }))
        : Effect.succeed(files[full])
    }
  })

export const layer = (machine: Machine): Layer.Layer<Host> => Layer.succeed(Host, make(machine))
