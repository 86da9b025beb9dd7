/** Reads the certificate files that a cloud names. */
import { Host } from "@headrace/core/Host"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { TlsOptions } from "../CloudConfig.ts"

/** What is written: paths. */
export interface TlsSettings {
  readonly verify: boolean
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
}

/** The failure names the setting and the path. */
export const readTls = Effect.fnUntraced(function* (
  settings: TlsSettings,
  expand: (path: string) => Effect.Effect<string, never, Host>
): Effect.fn.Return<TlsOptions, string, Host> {
  const host = yield* Host
  const read = Effect.fnUntraced(function* (setting: string, path: string): Effect.fn.Return<string, string> {
    const full = yield* expand(path).pipe(Effect.provideService(Host, host))
    const text = yield* host.readFile(full).pipe(Effect.mapError(() => `${setting}: ${full} cannot be read`))
    return text ?? (yield* Effect.fail(`${setting}: ${full} does not exist`))
  })
  const ca = settings.ca === undefined ? undefined : yield* read("cacert", settings.ca)
  const cert = settings.cert === undefined ? undefined : yield* read("cert", settings.cert)
  // A certificate file may hold its key as well.
  const key = settings.key === undefined ? cert : yield* read("key", settings.key)
  return {
    verify: settings.verify,
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key: Redacted.make(key) })
  }
})
