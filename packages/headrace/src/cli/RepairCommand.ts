/**
 * `headrace repair`.
 *
 * @since 0.1.0
 */
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Repair } from "./Invocation.ts"
import * as Session from "./Session.ts"

/** Runs the command and gives its exit code. */
export const run = (_given: Repair): Promise<number> => {
  Session.complain(ErrorLine.ofUsage("repair", "this command is not supported yet"))
  return Promise.resolve(ExitCode.usage)
}
