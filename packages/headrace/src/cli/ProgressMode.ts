/**
 * The value of `--progress`.
 *
 * @since 0.1.0
 */
import type { Mode } from "../Progress.ts"
import * as ErrorLine from "./ErrorLine.ts"

const modes: ReadonlyArray<Mode> = ["auto", "plain", "none"]

/** Reads it. Bars would break the lines of NDJSON apart when both are on one terminal. */
export const read = (given: string | undefined, json: boolean): Mode | undefined => {
  const mode = given === undefined ? "auto" : modes.find((word) => word === given)
  return mode === "auto" && json && process.stdout.isTTY === true ? "plain" : mode
}

/** The line that says what is allowed. */
export const wrong = (given: string | undefined): string =>
  ErrorLine.ofUsage("--progress", `${JSON.stringify(given)} is not one of ${modes.join(", ")}`)
