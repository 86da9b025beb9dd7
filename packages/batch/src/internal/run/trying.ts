/**
 * One line of a dry run: every precondition is looked at, and nothing is made.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { BlockPool } from "@headrace/core/BlockPool"
import type { Host } from "@headrace/core/Host"
import * as Transfer from "@headrace/core/Transfer"
import type { Transport } from "@headrace/core/Transport"
import type { Plan } from "../../BatchEvent.ts"
import type { TransferOptions } from "../../BatchOptions.ts"
import type { Item } from "../../Journal.ts"
import * as Uri from "../../Uri.ts"
import * as Again from "./again.ts"
import * as RunEnds from "./ends.ts"
import type * as Existing from "./existing.ts"
import type * as Metadata from "./metadata.ts"
import type * as Tally from "./tally.ts"

/** What all lines have in common. */
export interface Common {
  readonly resolver: RunEnds.Resolver
  readonly metadata: Metadata.Metadata
  readonly existing: Existing.Existing
  readonly transfer: TransferOptions
  readonly tally: Tally.Tally
  readonly emit: (event: Plan) => Effect.Effect<void>
}

/** Says what the line would do; false when a destination that must succeed would fail. */
export const run = (item: Item, common: Common): Effect.Effect<boolean, never, Transport | Host | BlockPool> =>
  Effect.gen(function* () {
    const { emit, existing, metadata, resolver, tally, transfer } = common
    const again = Again.of(item)
    const { line } = again
    const at = new Date(yield* Clock.currentTimeMillis).toISOString()
    const planOf = (action: "create" | "skip" | "fail", why: string): Plan => ({
      type: "plan",
      at,
      id: line.id,
      source: { uri: Uri.shown(line.source), size: line.size ?? null },
      destinations: [...line.to, ...line.also].map((uri, place) => ({
        uri: Uri.shown(uri),
        required: place < line.to.length,
        action,
        why
      }))
    })
    const resolved = yield* Effect.result(RunEnds.open(again, resolver, metadata, undefined))
    if (Result.isFailure(resolved)) {
      // What a line waits for is there when it is its turn.
      if (resolved.failure._tag === "Waits") {
        const why = `when the line "${resolved.failure.line}" is done: ${resolved.failure.message}`
        yield* emit(planOf("create", why))
        return true
      }
      const { message, reason } = resolved.failure
      const why = resolved.failure._tag === "EndError" ? `${resolved.failure.uri}: ${message}` : message
      tally.failed++
      tally.reasons.add(reason)
      yield* emit(planOf("fail", why))
      return false
    }
    const found = yield* existing.find(line, resolved.success)
    if (found !== undefined) {
      yield* emit(planOf("skip", `it is there already, as ${found.map(({ id }) => `image ${id}`).join(", ")}`))
      return true
    }
    const { also, source, to } = resolved.success
    const planned = yield* Transfer.plan({ ...transfer, source, to, also, id: line.id, expect: line.expect })
    const bad = planned.destinations.filter(({ problem, required }) => required && problem !== undefined)
    for (const { problem } of bad) tally.reasons.add(problem!.reason)
    if (bad.length > 0) tally.failed++
    const { notes } = resolved.success
    const destinations = planned.destinations.map(({ action, required, uri, why }) => ({
      uri,
      required,
      action,
      why: uri.startsWith("glance://") ? [why, ...notes].join("; ") : why
    }))
    yield* emit({ type: "plan", at, id: line.id, source: planned.source, destinations })
    return bad.length === 0
  })
