/**
 * What every command that runs for a while has around it: signals, standard output, and how it ends.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Progress } from "../Progress.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Signals from "./Signals.ts"
import * as Stdout from "./Stdout.ts"

export interface Session {
  /** Whether standard output carries JSON. */
  readonly json: boolean
  readonly display?: Progress
  /** Does the work and gives the exit code. */
  readonly program: (out: Stdout.Stdout) => Effect.Effect<number>
  /** The line for an end by a signal, or by a reader that has gone; none when there is nothing to say. */
  readonly interrupted: (signal: ExitCode.Signal | undefined) => string | undefined
  /** The line for an end before everything was tidied up. */
  readonly abandoned: (signal: ExitCode.Signal | undefined) => string | undefined
}

/** Writes a line to standard error. */
export const complain = (line: string): void => void process.stderr.write(`${line}\n`)

/** Runs a command and gives its exit code. */
export const run = async (session: Session): Promise<number> => {
  let closed = (): string | undefined => undefined
  let code: number | undefined
  const say = (line: string | undefined) => {
    session.display?.end()
    if (line !== undefined) complain(line)
  }
  const { exit, signal } = await Signals.run(
    (stop) =>
      Effect.gen(function* () {
        const out = yield* Stdout.make({
          json: session.json,
          onGone: () => {
            if (code === undefined) stop()
          }
        })
        closed = out.closed
        code = yield* Effect.onInterrupt(session.program(out), () =>
          // A reader that is paused must not keep a person waiting who has pressed Ctrl-C.
          Effect.timeoutOption(Effect.interruptible(out.flush), 500)
        )
        yield* out.flush
      }),
    (signal) => say(session.abandoned(signal))
  )
  session.display?.end()
  if (signal !== undefined && Exit.isFailure(exit)) {
    if (code === undefined) say(session.interrupted(signal))
    return ExitCode.ofSignal(signal)
  }
  const why = closed()
  if (why === "EPIPE") {
    if (code === undefined) say(session.interrupted(undefined))
    return code ?? ExitCode.brokenPipe
  }
  if (why !== undefined) {
    say(ErrorLine.ofOutput(why))
    return code === undefined || code === ExitCode.ok ? ExitCode.usage : code
  }
  if (Exit.isFailure(exit)) {
    say(ErrorLine.ofDefect(exit.cause))
    return ExitCode.failed
  }
  return code ?? ExitCode.failed
}
