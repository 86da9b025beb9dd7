/**
 * The machine as adapters see it: environment variables, folders, small text files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFile } from "node:fs/promises"
import { homedir } from "node:os"
import { resolve } from "node:path"
import { Host, HostError } from "@headrace/core/Host"
import { describeFault, errorCode } from "./internal/fault.ts"

/** A user of no name, as containers are run with, may have no home folder: it is the root, as containers say then. */
const home = (): string => {
  try {
    return homedir()
  } catch {
    return resolve("/")
  }
}

/**
 * The machine that the process runs on.
 *
 * @since 0.1.0
 * @category layers
 */
export const layer: Layer.Layer<Host> = Layer.succeed(
  Host,
  Host.of({
    env: Effect.sync(() => ({ ...process.env })),
    cwd: Effect.sync(() => process.cwd()),
    home: Effect.sync(home),
    readFile: (path) =>
      Effect.tryPromise({
        try: () => readFile(resolve(path), "utf8"),
        catch: (cause) => cause
      }).pipe(
        Effect.catch((cause) => {
          const code = errorCode(cause)
          return code === "ENOENT" || code === "ENOTDIR"
            ? Effect.succeed(undefined)
            : Effect.fail(new HostError({ path, message: `cannot read '${path}': ${describeFault(cause)}` }))
        })
      )
  })
)
