/**
 * The command, from its arguments to its exit code.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { readFileSync } from "node:fs"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Invocation from "./Invocation.ts"
import * as Leave from "./Leave.ts"

const version = (): string => {
  const manifest: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"))
  return (manifest as { readonly version: string }).version
}

/** Threads cannot be started in a folder that was removed, and no path is meant from there. */
const isHere = (): boolean => {
  try {
    return process.cwd() !== ""
  } catch {
    return false
  }
}

const dispatch = async (invocation: Invocation.Invocation | Invocation.Wrong | undefined): Promise<number> => {
  if (invocation === undefined) return ExitCode.ok
  switch (invocation._tag) {
    case "Wrong":
      process.stderr.write(`${ErrorLine.ofUsage(invocation.what, invocation.message)}\n`)
      return ExitCode.usage
    default:
      if (isHere()) return execute(invocation)
      process.stderr.write(`${ErrorLine.ofUsage("current folder", "it was removed; change to another one")}\n`)
      return ExitCode.usage
  }
}

const execute = async (invocation: Invocation.Invocation): Promise<number> => {
  switch (invocation._tag) {
    case "Upload":
      return (await import("./UploadCommand.ts")).run(invocation)
    case "Run":
      return (await import("./RunCommand.ts")).run(invocation)
    case "Repair":
      return (await import("./RepairCommand.ts")).run(invocation)
    case "Plan":
      return (await import("./PlanCommand.ts")).run(invocation)
    case "Verify":
      return (await import("./VerifyCommand.ts")).run(invocation)
    case "Report":
      return (await import("./ReportCommand.ts")).run(invocation)
    case "Sum":
      return (await import("./SumCommand.ts")).run(invocation)
    case "Stores":
      return (await import("./StoresCommand.ts")).run(invocation)
    case "Gc":
      return (await import("./GcCommand.ts")).run(invocation)
  }
}

/** Runs the command with its arguments and ends the process. */
export const main = async (args: ReadonlyArray<string>): Promise<void> => {
  // Nobody reads our messages any more: that is no reason to stop an upload. Of standard output, whoever writes there
  // looks himself; without a listener here, help into a closed pipe would end in a stack trace.
  process.stderr.on("error", () => {})
  let lost: string | undefined
  process.stdout.on("error", (error: NodeJS.ErrnoException) => (lost ??= error.code ?? error.message))
  const invocation = await Effect.runPromise(Invocation.parse(args, version()))
  let code = await dispatch(invocation)
  await written(process.stdout)
  if (invocation === undefined && lost !== undefined && lost !== "EPIPE") {
    process.stderr.write(`${ErrorLine.ofOutput(lost)}\n`)
    code = ExitCode.usage
  }
  await written(process.stderr)
  // Not left to the event loop: a standard input that nobody reads to its end would keep the process alive.
  await Leave.leave(code)
}

/** Waits, for a moment at most, until what was written is with the reader. A command's output has been waited for. */
const written = (stream: NodeJS.WriteStream): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, 1000).unref()
    stream.once("error", () => resolve())
    // Of an error we hear after the write that brought it has ended.
    const ended = () => setImmediate(resolve)
    if (stream.destroyed || stream.errored !== null) ended()
    else stream.write("", ended)
  })
