/**
 * The end of the process. Node waits there for every thread that is in a read, and one of a device or a file system
 * that gives nothing never ends, nor can a further signal end the process then. By the signal itself it ends at once.
 *
 * @since 0.1.0
 */
import * as ExitCode from "./ExitCode.ts"

/** Ends the process with an exit code; as a shell sees it, a signal's is the same as the end by that signal. */
export const leave = (code: number): never => {
  const signal = ExitCode.signalOf(code)
  if (signal !== undefined && process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq"))) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  return process.exit(code)
}
