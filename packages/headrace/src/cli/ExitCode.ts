/**
 * What the process ends with, as scripts rely on it.
 *
 * @since 0.1.0
 */
import type { Reason } from "../Types.ts"

/** Every required destination is verified, or stored where the store can prove nothing. */
export const ok = 0
/** Wrong usage or configuration, found without asking any destination. */
export const usage = 1
/** A required destination failed. */
export const failed = 2
/** Bytes arrived that are not the source's, or the source is not what was expected. */
export const mismatch = 3

/** The signals that end an upload in order. */
export type Signal = "SIGHUP" | "SIGINT" | "SIGTERM"

const signals: Readonly<Record<Signal, number>> = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 }

export const ofSignal = (signal: Signal): number => signals[signal]

export const signalOf = (code: number): Signal | undefined =>
  (Object.keys(signals) as ReadonlyArray<Signal>).find((signal) => signals[signal] === code)

/** As a shell reports a command that was ended by SIGPIPE: whoever read standard output has gone. */
export const brokenPipe = 141

const mismatches: ReadonlySet<Reason> = new Set(["DigestMismatch", "SizeMismatch", "SourceMismatch"])

/** What is wrong with what was written, not with what a destination did. */
const configuration: ReadonlySet<Reason> = new Set(["InvalidUri", "InvalidConfig"])

/** `asked`: whether any destination had been asked when it failed. */
export const ofFailure = (failure: { readonly reason: Reason; readonly asked: boolean }): number => {
  if (mismatches.has(failure.reason)) return mismatch
  return !failure.asked || configuration.has(failure.reason) ? usage : failed
}

/**
 * Of a transfer to several destinations: bytes that are not the source's are the worst; what is wrong with what was
 * written is only that where nothing was done.
 */
export const ofTransfer = (outcome: {
  /** Of the required destinations that failed. */
  readonly reasons: ReadonlyArray<Reason>
  readonly asked: boolean
  /** Whether any destination holds the bytes. */
  readonly stands: boolean
}): number => {
  const codes = outcome.reasons.map((reason) => ofFailure({ reason, asked: outcome.asked }))
  if (codes.length === 0) return ok
  const worst = Math.max(...codes)
  return worst === usage && outcome.stands ? failed : worst
}
