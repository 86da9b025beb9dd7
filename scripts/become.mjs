/**
 * Runs another program in this one's place: same streams, same folder, its exit code or signal as ours.
 */
import { spawn } from "node:child_process"
import fs from "node:fs"
import { constants } from "node:os"
import { environment } from "./prepare.mjs"

const hasTerminal = () => {
  try {
    fs.closeSync(fs.openSync("/dev/tty", "r"))
    return true
  } catch {
    return false
  }
}

/** Ends as the program ended. */
export const become = (command, args, options = {}) => {
  // listened for before there is a child: one that came just behind its start would end this process alone
  // a terminal sends ^C to the program itself as well, and two would be one too many
  process.on("SIGINT", () => hasTerminal() || child.kill("SIGINT"))
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal))
  const child = spawn(command, args, { stdio: "inherit", env: environment(), ...options })
  child.once("error", (error) => {
    process.stderr.write(`headrace: ${error.message}\n`)
    process.exit(1)
  })
  child.once("exit", (code, signal) => {
    if (signal === null) process.exit(code)
    process.removeAllListeners(signal)
    process.kill(process.pid, signal)
    setTimeout(() => process.exit(128 + constants.signals[signal]), 500)
  })
}
