/**
 * What was found where a claim says that something is, whoever was asked.
 */
import type * as Result from "effect/Result"
import type { Claim } from "./claim.ts"
import type { Target } from "./target.ts"

export type How = "list" | "head" | "read"

export interface There {
  readonly _tag: "There"
  readonly how: How
  readonly size: number | undefined
  /** By the names that the service gives them. */
  readonly digests: Readonly<Record<string, string>>
  /** Of an image. */
  readonly status?: string | undefined
  /** Where it is, where a service has several places. */
  readonly stores?: ReadonlyArray<string> | undefined
  /** What shows by itself that it is not what it was. */
  readonly wrong?: string | undefined
  /** Why there is no digest to compare. */
  readonly mute?: string | undefined
}

/** `Unasked`: it could not be asked for; `away`: nor could anything else of the service. */
export type Found =
  | There
  | { readonly _tag: "Absent"; readonly how: How; readonly why?: string | undefined }
  | { readonly _tag: "Unasked"; readonly how: How; readonly why: string; readonly away: boolean }

/** One thing to look at, for all claims of it. */
export interface Asked<out T extends Target = Target> {
  readonly target: T
  readonly claims: ReadonlyArray<Claim>
}

export interface Answer<out T extends Target = Target> {
  readonly asked: Asked<T>
  readonly found: Found
}

interface Failure {
  readonly reason: { readonly _tag: string }
  readonly message: string
  readonly cause?: unknown
}

const ofService: ReadonlySet<string> = new Set([
  "Unauthorized",
  "Unavailable",
  "ConnectionLost",
  "Stalled",
  "InvalidConfig"
])

/** Where nobody could sign in, or no such service was found, nothing was looked at. */
const isOfSignIn = ({ cause }: Failure): boolean =>
  (cause as { readonly _tag?: unknown } | undefined)?._tag === "KeystoneError"

/** What a failure to look means for what was looked for. */
export const ofFailure = (failure: Failure, how: How): Found => {
  const { message, reason } = failure
  const signIn = isOfSignIn(failure)
  return reason._tag === "NotFound" && !signIn
    ? { _tag: "Absent", how, why: message }
    : { _tag: "Unasked", how, why: message, away: signIn || ofService.has(reason._tag) }
}

export const ofResult = <A>(
  result: Result.Result<A | undefined, Failure>,
  how: How,
  there: (value: A) => Omit<There, "_tag" | "how">
): Found =>
  result._tag === "Failure"
    ? ofFailure(result.failure, how)
    : result.success === undefined
      ? { _tag: "Absent", how }
      : { _tag: "There", how, ...there(result.success) }
