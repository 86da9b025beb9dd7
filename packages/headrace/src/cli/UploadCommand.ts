/**
 * `headrace upload`: one source to its destination, told as it goes, with a verdict at the end.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Transfer from "@headrace/core/Transfer"
import * as Ends from "../Ends.ts"
import * as Engine from "../Engine.ts"
import * as Progress from "../Progress.ts"
import * as Proof from "../Proof.ts"
import * as Settings from "../Settings.ts"
import * as Text from "../Text.ts"
import type { ReceiptEvent, TransferEvent } from "../Types.ts"
import * as Uri from "../Uri.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Upload } from "./Invocation.ts"
import * as ProgressMode from "./ProgressMode.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

/** Where an upload tells what happens. */
interface Console {
  readonly out: Stdout.Stdout
  readonly display: Progress.Progress
}

/** What is done and not done, as far as it is known at any moment. */
interface Known {
  receipt?: ReceiptEvent
}

const transferOptions = (given: Upload, settings: Settings.Settings) =>
  Effect.gen(function* () {
    const source = yield* Ends.source(given.source)
    const to = yield* Ends.destinations(given.to, given.also)
    const { hasher: _hasher, limit: _limit, memoryBytes: _memory, ...rest } = settings
    return { source, to, keepFailed: given.keepFailed, allowEmpty: given.allowEmpty, ...rest }
  })

const upload = (given: Upload, settings: Settings.Settings, console: Console, known: Known) =>
  Effect.gen(function* () {
    const { display, out } = console
    const onEvent = (event: TransferEvent) =>
      Effect.sync(() => {
        if (event.type === "receipt") known.receipt = event
        out.json(event, { mayDrop: event.type === "progress" })
        display.event(event)
      })
    const options = yield* transferOptions(given, settings)
    const result = yield* Effect.result(Transfer.run({ ...options, onEvent }))
    display.end()
    if (Result.isFailure(result)) {
      const { asked, left, message, objectId, receipt, status, uri } = result.failure
      const reason = result.failure.reason._tag
      const sent = receipt.destinations.some(({ bytesSent }) => bytesSent > 0)
      Session.complain(ErrorLine.ofFailure({ reason, uri, message, objectId, status, left, sent, asked }))
      return ExitCode.ofFailure({ reason, asked })
    }
    if (!given.json) for (const line of Proof.lines(result.success)) out.line(line)
    return ExitCode.ok
  })

const plan = (given: Upload, settings: Settings.Settings, out: Stdout.Stdout) =>
  Effect.gen(function* () {
    const options = yield* transferOptions(given, settings)
    const planned = yield* Transfer.plan(options)
    const at = new Date(yield* Clock.currentTimeMillis).toISOString()
    const destinations = planned.destinations.map(({ action, required, uri, why }) => ({ uri, required, action, why }))
    out.json({ type: "plan", at, id: planned.id, source: planned.source, destinations })
    let code = ExitCode.ok
    for (const { action, problem, uri, why } of planned.destinations) {
      if (problem === undefined) {
        if (!given.json) out.line(Text.oneLine(`would ${action} ${uri}: ${why}`))
        continue
      }
      // What is wrong with the source, or with the settings, is found before the store is asked.
      const asked = !problem.ofSource && problem.reason !== "Unsupported"
      const { message, objectId, reason, status } = problem
      const where = problem.ofSource ? planned.source.uri : uri
      Session.complain(
        ErrorLine.ofFailure({ uri: where, message, objectId, reason, status, left: "none", sent: false, asked })
      )
      code = ExitCode.ofFailure({ reason, asked })
    }
    return code
  })

/** What to say of an upload that was ended by a signal. */
const interrupted = (given: Upload, signal: ExitCode.Signal | undefined, known: Known): string => {
  const end = known.receipt?.destinations[0]
  const message = end?.error?.message ?? "interrupted"
  return ErrorLine.ofFailure({
    reason: "Interrupted",
    uri: end?.uri ?? Uri.shown(given.source),
    message: signal === undefined ? message : message.replace(/^interrupted/, `interrupted (${signal})`),
    left: end?.error?.left ?? "none",
    sent: (end?.bytesSent ?? 0) > 0,
    asked: true
  })
}

/** Runs the command and gives its exit code. */
export const run = async (given: Upload): Promise<number> => {
  if (given.to.length === 0) {
    Session.complain(ErrorLine.ofUsage("--to", "this option is missing; write --to glance://CLOUD/IMAGE"))
    return ExitCode.usage
  }
  const settings = Settings.parse(given)
  if (Result.isFailure(settings)) {
    const { message, setting } = settings.failure
    Session.complain(ErrorLine.ofUsage(`--${setting}`, message))
    return ExitCode.usage
  }
  const mode = ProgressMode.read(given.progress, given.json)
  if (mode === undefined) {
    Session.complain(ProgressMode.wrong(given.progress))
    return ExitCode.usage
  }

  const known: Known = {}
  const display = Progress.make({ mode: given.dryRun ? "none" : mode })
  return Session.run({
    json: given.json,
    display,
    program: (out) => {
      const work = given.dryRun
        ? plan(given, settings.success, out)
        : upload(given, settings.success, { out, display }, known)
      return work.pipe(
        Effect.provide(Engine.layer(settings.success)),
        Effect.catchTag("EndError", ({ message, uri }) =>
          Effect.sync(() => {
            Session.complain(ErrorLine.ofUsage(uri, message))
            return ExitCode.usage
          })
        )
      )
    },
    interrupted: (signal) => {
      const nothingLeft = (known.receipt?.destinations[0]?.error?.left ?? "none") === "none"
      // Whoever stopped reading asked for quiet.
      return signal === undefined && nothingLeft ? undefined : interrupted(given, signal, known)
    },
    abandoned: (signal) => {
      const uri = Uri.shown(given.to[0] ?? given.source)
      return ErrorLine.ofFailure({
        reason: "Interrupted",
        uri,
        message: `interrupted${signal === undefined ? "" : ` (${signal})`} before everything was tidied up`,
        left: `unknown ${uri}`,
        sent: true,
        asked: true
      })
    }
  })
}
