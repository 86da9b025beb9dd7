/**
 * `headrace run`.
 *
 * @since 0.1.0
 */
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Run } from "./Invocation.ts"
import * as Session from "./Session.ts"

/** Runs the command and gives its exit code. */
export const run = (_given: Run): Promise<number> => {
  Session.complain(ErrorLine.ofUsage("run", "this command is not supported yet"))
  return Promise.resolve(ExitCode.usage)
}
