/**
 * `headrace stores`: what a store can do.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Quantity from "@headrace/core/Quantity"
import type { Capabilities } from "@headrace/core/Store"
import * as Ends from "../Ends.ts"
import * as Engine from "../Engine.ts"
import * as Text from "../Text.ts"
import * as Uri from "../Uri.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Stores } from "./Invocation.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

const settings = { digest: [], expect: {} }

const shapes: Readonly<Record<Capabilities["shape"], string>> = {
  whole: "an object is one body",
  parts: "an object is made of numbered parts"
}

const place = ({ default: isDefault, id, readOnly }: Capabilities["places"][number]): string =>
  `${id}${isDefault ? " (default)" : ""}${readOnly ? " (read only)" : ""}`

/** What is learnt of the store, in rows of name and text. */
const rows = (found: Capabilities): ReadonlyArray<readonly [name: string, text: string]> => {
  const { stores: _, ...details } = found.details
  const assumed = (name: string) => (found.learnt[name] === "assumed" ? " (assumed)" : "")
  return [
    ["shape", shapes[found.shape]],
    ["stores", found.places.length === 0 ? (found.details["stores"] ?? "one") : found.places.map(place).join(", ")],
    ["digests", `${found.reports.join(", ")}${assumed("reports")}`],
    ["largest", found.maxObjectBytes === undefined ? "not told" : Quantity.formatBytes(found.maxObjectBytes)],
    ["ranges", found.rangedRead === undefined ? "not known before it is tried" : found.rangedRead ? "yes" : "no"],
    ["size", found.needsSize ? "must be known before" : "may be unknown before"],
    ...Object.entries(details)
  ]
}

const table = (uri: string, found: Capabilities): ReadonlyArray<string> => {
  const all = rows(found)
  const column = Math.max(...all.map(([name]) => Text.width(name)))
  return [uri, ...all.map(([name, text]) => `  ${name}${" ".repeat(column - Text.width(name))}  ${text}`)].map(
    Text.oneLine
  )
}

const show = (given: Stores, out: Stdout.Stdout) =>
  Effect.gen(function* () {
    const store = yield* Ends.store(given.uri)
    const found = yield* Effect.scoped(store.capabilities)
    if (given.json) {
      const at = new Date(yield* Clock.currentTimeMillis).toISOString()
      const { maxObjectBytes, rangedRead, ...rest } = found
      const nullable = { maxObjectBytes: maxObjectBytes ?? null, rangedRead: rangedRead ?? null }
      out.json({ type: "store", at, uri: store.uri, ...rest, ...nullable })
    } else {
      for (const line of table(store.uri, found)) out.line(line)
    }
    return ExitCode.ok
  })

/** Runs the command and gives its exit code. */
export const run = (given: Stores): Promise<number> =>
  Session.run({
    json: given.json,
    program: (out) =>
      show(given, out).pipe(
        Effect.provide(Engine.layer(settings)),
        Effect.catchTags({
          EndError: ({ message, uri }) =>
            Effect.sync(() => {
              Session.complain(ErrorLine.ofUsage(uri, message))
              return ExitCode.usage
            }),
          StoreError: (error) =>
            Effect.sync(() => {
              const reason = error.reason._tag
              const { message, objectId, status, uri } = error
              Session.complain(
                ErrorLine.ofFailure({ reason, uri, message, status, objectId, left: "none", sent: false, asked: true })
              )
              return ExitCode.ofFailure({ reason, asked: true })
            })
        })
      ),
    interrupted: (signal) =>
      signal === undefined ? undefined : ErrorLine.ofUsage(Uri.shown(given.uri), `interrupted (${signal})`),
    abandoned: () => undefined
  })
