/**
 * `headrace stores`: what a store can do.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Quantity from "@headrace/core/Quantity"
import type { Capabilities } from "@headrace/core/Store"
import * as Ends from "@headrace/batch/Ends"
import * as Text from "../Text.ts"
import * as Asking from "./Asking.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Stores } from "./Invocation.ts"
import type * as Stdout from "./Stdout.ts"

const shapes: Readonly<Record<Capabilities["shape"], string>> = {
  whole: "an object is one body",
  parts: "an object is made of numbered parts"
}

const place = ({ default: isDefault, id, readOnly }: Capabilities["places"][number]): string =>
  `${id}${isDefault ? " (default)" : ""}${readOnly ? " (read only)" : ""}`

const yesNo = (can: boolean): string => (can ? "yes" : "no")

const parts = ({ maxBytes, maxParts, minBytes, preferredBytes }: NonNullable<Capabilities["parts"]>): string =>
  [
    `${Quantity.formatBytes(minBytes)} to ${Quantity.formatBytes(maxBytes)}`,
    ...(preferredBytes === undefined ? [] : [`${Quantity.formatBytes(preferredBytes)} unless told`]),
    `at most ${Text.count(maxParts)}`
  ].join(", ")

const unfinished = ({ abort, list, resume }: NonNullable<Capabilities["unfinished"]>): string => {
  const words = [...(resume ? ["gone on with"] : []), ...(list ? ["listed"] : []), ...(abort ? ["given up"] : [])]
  return words.length === 0 ? "nothing can be done about them" : `can be ${words.join(", ")}`
}

/** A row: its name, what is learnt, and the fact whose source is told, if any is. */
type Row = readonly [name: string, text: string, fact?: string]

const list = (words: ReadonlyArray<string>): string => (words.length === 0 ? "none" : words.join(", "))

/** What is learnt of the store. */
const rows = (found: Capabilities): ReadonlyArray<Row> => {
  const { stores: _, ...details } = found.details
  const { checks, conditionalCreate, continues, serverSideCopy } = found
  return [
    ["shape", shapes[found.shape], "shape"],
    ...(found.parts === undefined ? [] : [["parts", parts(found.parts), "parts"] as const]),
    [
      "stores",
      found.places.length === 0 ? (found.details["stores"] ?? "one") : found.places.map(place).join(", "),
      "places"
    ],
    ["digests", list(found.reports), "reports"],
    ...(checks === undefined
      ? []
      : [["checks", `whole: ${list(checks.whole)}; part: ${list(checks.part)}`, "checks"] as const]),
    found.maxObjectBytes === undefined
      ? ["largest", "not told"]
      : ["largest", Quantity.formatBytes(found.maxObjectBytes), "maxObjectBytes"],
    ["ranges", found.rangedRead === undefined ? "not known before it is tried" : yesNo(found.rangedRead), "rangedRead"],
    ["size", found.needsSize ? "must be known before" : "may be unknown before", "needsSize"],
    ...(conditionalCreate === undefined
      ? []
      : [["only if new", yesNo(conditionalCreate), "conditionalCreate"] as const]),
    ...(serverSideCopy === undefined ? [] : [["copies", yesNo(serverSideCopy), "serverSideCopy"] as const]),
    ...(found.unfinished === undefined ? [] : [["unfinished", unfinished(found.unfinished), "unfinished"] as const]),
    ...(continues === undefined ? [] : [["100-continue", yesNo(continues), "continues"] as const]),
    ...Object.entries(details)
  ]
}

const sources: Readonly<Record<Capabilities["learnt"][string], string>> = {
  configured: "configured",
  probed: "probed",
  profile: "vendor profile",
  assumed: "assumed"
}

const table = (uri: string, found: Capabilities): ReadonlyArray<string> => {
  const all = rows(found).map(([name, text, fact]) => {
    // What nobody had to learn is how the adapter is made.
    const how = fact === undefined ? undefined : (found.learnt[fact] ?? "configured")
    return [name, how === undefined ? text : `${text} (${sources[how]})`] as const
  })
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
export const run = (given: Stores): Promise<number> => Asking.run(given, (out) => show(given, out))
