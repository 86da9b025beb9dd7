/**
 * The end of the process. Node waits there for every thread that is in a read, and one of a device or a file system
 * that gives nothing never ends, nor can a further signal end the process then. By the signal itself it ends at once.
 *
 * @since 0.1.0
 */
import * as ExitCode from "./ExitCode.ts"

/** A read of an ordinary file that is under way still has ended by then. */
const readMs = 300

const isReading = (): boolean => process.getActiveResourcesInfo().some((name) => name.startsWith("FSReq"))

/**
 * Ends the process with an exit code; as a shell sees it, a signal's is the same as the end by that signal.
 */
export const leave = async (code: number): Promise<never> => {
  const signal = ExitCode.signalOf(code)
  for (const end = performance.now() + readMs; signal !== undefined && isReading() && performance.now() < end;) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  if (signal !== undefined && isReading()) {
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
  }
  return process.exit(code)
}
