/**
 * What a transfer's options mean where nothing is said.
 */
import * as Effect from "effect/Effect"
import type { Digests } from "../Digest.ts"
import type { Options } from "../Transfer.ts"
import type * as Delivery from "./delivery.ts"
import * as Opening from "./opening.ts"
import * as Problem from "./problem.ts"

const defaultRetries = 5

export const of = <RS, RD>(options: Options<RS, RD>, reported: Digests): Delivery.Settings => ({
  digest: options.digest ?? [],
  expect: options.expect ?? {},
  reported,
  verify: options.verify ?? "transfer",
  retries: options.retries ?? defaultRetries,
  stallMs: options.stallMs ?? 60_000,
  answerMs: options.answerMs ?? 900_000,
  keepFailed: options.keepFailed ?? false,
  resume: options.resume ?? true
})

/** The source opened and looked at, before any destination is asked. */
export const prepare = <RS, RD>(options: Options<RS, RD>) =>
  options.to.length === 0
    ? Effect.fail(Problem.make("InvalidConfig", "there is no destination that must succeed"))
    : Opening.prepare({
        source: options.source,
        destinations: options.to.length + (options.also?.length ?? 0),
        verify: options.verify ?? "transfer",
        retries: options.retries ?? defaultRetries,
        allowEmpty: options.allowEmpty ?? false,
        expect: options.expect ?? {}
      })
