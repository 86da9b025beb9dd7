/**
 * A scenario before it is known for which adapter.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Lab } from "./lab.ts"
import type { Options, Violation } from "./model.ts"

export interface Draft {
  readonly name: string
  /** What has to be known, or be claimed, for it. */
  readonly needs: ReadonlyArray<Need>
  /** Where the contract is. */
  readonly see: string
  readonly run: <R>(lab: Lab<R>) => Effect.Effect<void, Violation, R | Scope.Scope>
}

/** Why a scenario is not for an adapter; `undefined` when it is. */
export type Need = <R>(options: Options<R>) => string | undefined

const unless =
  (why: string, holds: <R>(options: Options<R>) => boolean): Need =>
  (options) =>
    holds(options) ? undefined : why

export const whole = unless("the objects are written as parts", ({ capabilities }) => capabilities.shape === "whole")
export const parts = unless("the objects are written as one body", ({ capabilities }) => capabilities.shape === "parts")
export const anyOrder = unless(
  "parts are taken one at a time, in the order of the object",
  ({ capabilities }) => capabilities.parts?.inFlight !== 1
)
export const resumes = unless(
  "no upload is gone on with (capabilities.unfinished.resume)",
  ({ capabilities }) => capabilities.unfinished?.resume === true
)
export const lists = unless(
  "unfinished uploads are not listed, or not given up (capabilities.unfinished)",
  ({ capabilities }) => capabilities.unfinished?.list === true && capabilities.unfinished.abort
)
export const noSize = unless("the size must be known", ({ capabilities }) => capabilities.needsSize !== true)
export const checksPart = unless(
  "the store checks no digest of a part",
  ({ capabilities }) => (capabilities.checks?.part.length ?? 0) > 0
)
export const checksWhole = unless(
  "the store checks no digest of a whole object",
  ({ capabilities }) => (capabilities.checks?.whole.length ?? 0) > 0
)
export const put = unless('the author gives no "put"', ({ put }) => put !== undefined)
export const keys = unless('the author gives no "keys"', ({ keys }) => (keys?.length ?? 0) > 0)
export const service = unless('the author gives no "service"', ({ service }) => service !== undefined)
export const finishes = unless(
  'the author gives no "service.isFinish"',
  ({ service }) => service?.isFinish !== undefined
)
export const begins = unless('the author gives no "service.isBegin"', ({ service }) => service?.isBegin !== undefined)
export const expires = unless(
  'the author gives no "expireCredentials"',
  ({ expireCredentials }) => expireCredentials !== undefined
)
export const secrets = unless('the author gives no "secrets"', ({ secrets }) => (secrets?.length ?? 0) > 0)

const contract = "packages/core/src/Store.ts"

/** Where to read of a member of the contract. */
export const at = (member: string): string => `${contract}, ${member}`
