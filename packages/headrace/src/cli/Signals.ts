/**
 * Running an effect to its end under the signals of a terminal and of service managers: the first one interrupts it,
 * which tidies up; a second one, or a clean-up that takes too long, ends the process at once.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { aliveDuring } from "../internal/aliveDuring.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Leave from "./Leave.ts"

/** SIGHUP: the terminal was closed, or its connection has ended. */
const signals: ReadonlyArray<ExitCode.Signal> = ["SIGHUP", "SIGINT", "SIGTERM"]

/** Clean-up is given five seconds by the engine; after this long something is stuck. */
const patienceMs = 7000

/** `timeout` and `npm` hand on a signal that the process group has got already: so close together they are one. */
const echoMs = 400

export interface Outcome<A> {
  readonly exit: Exit.Exit<A>
  /** The signal that interrupted it. */
  readonly signal: ExitCode.Signal | undefined
}

/**
 * Runs the effect. `stop` interrupts it as a signal does, without being one. `abandoned` is called just before the
 * process ends without having tidied up.
 */
export const run = async <A>(
  make: (stop: () => void) => Effect.Effect<A>,
  abandoned: (signal: ExitCode.Signal | undefined) => void
): Promise<Outcome<A>> => {
  let signal: ExitCode.Signal | undefined
  let stopping = false
  let signalledAt = 0

  const leave = () => {
    abandoned(signal)
    void Leave.leave(signal === undefined ? ExitCode.brokenPipe : ExitCode.ofSignal(signal))
  }
  let interrupt: () => void = () => {}
  const stop = () => {
    if (stopping) return
    stopping = true
    setTimeout(leave, patienceMs).unref()
    interrupt()
  }
  const onSignal = (received: ExitCode.Signal) => {
    const now = performance.now()
    if (signal !== undefined) return now - signalledAt > echoMs ? leave() : undefined
    signal = received
    signalledAt = now
    stop()
  }
  for (const name of signals) process.on(name, onSignal)
  const fiber = Effect.runFork(make(stop))
  interrupt = () => fiber.interruptUnsafe()
  if (stopping) interrupt()
  const exit = await aliveDuring(Effect.runPromise(Fiber.await(fiber)))
  for (const name of signals) process.off(name, onSignal)
  return { exit, signal }
}
