/**
 * `headrace repair`: what a run has done is looked at, and what is missing, differs or has failed is done again.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Repair from "@headrace/batch/Repair"
import * as Text from "../Text.ts"
import * as Asking from "./Asking.ts"
import * as BatchRun from "./BatchRun.ts"
import type { Repair as Typed } from "./Invocation.ts"
import * as Sample from "./Sample.ts"
import * as Session from "./Session.ts"

/** Runs the command and gives its exit code. */
export const run = async (given: Typed): Promise<number> => {
  const share = given.sample === undefined ? undefined : Sample.parse(given.sample)
  if (typeof share === "string") return Asking.wrong("--sample", share)
  return BatchRun.run(given, {
    name: given.journal,
    journal: given.journal,
    run: (options, out) =>
      Effect.gen(function* () {
        let stale = 0
        const { found, ...result } = yield* Repair.run({
          ...options,
          look: { head: given.head, sample: share },
          onLook: (verification) =>
            Effect.sync(() => {
              out.json(verification)
              if (verification.status === "same") return
              const { id, message, status, uri } = verification
              Session.complain(Text.oneLine(`headrace: ${id}: ${uri}: ${status}: ${message}`))
            }),
          onRenewed: (renewed) =>
            Effect.gen(function* () {
              out.json({ type: "renewed", at: new Date(yield* Clock.currentTimeMillis).toISOString(), ...renewed })
              const { failed, from, key, to, uri } = renewed
              if (failed !== undefined) stale++
              const what =
                failed === undefined ? `${key} names image ${to} now` : `${key} still names image ${from}: ${failed}`
              Session.complain(Text.oneLine(`headrace: ${uri}: ${what}`))
            })
        })
        const { differs, missing, same, unknown } = found
        out.json({ type: "looked", at: new Date(yield* Clock.currentTimeMillis).toISOString(), ...found })
        if (!given.json) {
          const words = [`${same} as they were`, `${missing} missing`, `${differs} differ`]
          out.line(`looked at what is done: ${[...words, ...(unknown === 0 ? [] : [`${unknown} unknown`])].join(", ")}`)
        }
        return { ...result, unknown: unknown + stale }
      }),
    retryFailed: true,
    skipInvalid: false,
    replan: false,
    skipExisting: undefined,
    again: "the same command"
  })
}
