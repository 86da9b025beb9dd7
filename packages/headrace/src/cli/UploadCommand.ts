/**
 * `headrace upload`: one source to its destinations, told as it goes, with a verdict for each at the end.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Transfer from "@headrace/core/Transfer"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as Ends from "@headrace/batch/Ends"
import * as Engine from "../Engine.ts"
import * as Progress from "../Progress.ts"
import * as Proof from "../Proof.ts"
import * as Settings from "../Settings.ts"
import * as State from "../State.ts"
import * as Telemetry from "../Telemetry.ts"
import * as Text from "../Text.ts"
import type { Reason, ReceiptEvent, TransferEvent } from "../Types.ts"
import * as Uri from "@headrace/batch/Uri"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Failures from "./Failures.ts"
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
    const { also, to } = yield* Ends.destinations(given.to, given.also, {}, given.source)
    const { hasher: _hasher, limit: _limit, memoryBytes: _memory, ...rest } = settings
    const { allowEmpty, keepFailed, noResume } = given
    return { source, to, also, keepFailed, allowEmpty, resume: !noResume, ...rest }
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
    const failure = Result.isFailure(result) ? result.failure : undefined
    const receipt = Result.isFailure(result) ? result.failure.receipt : result.success
    const asked = failure?.asked ?? true
    // Also of a transfer that failed: some destinations may stand.
    if (!given.json) for (const line of Proof.lines(receipt)) out.line(line)
    for (const line of Failures.lines(receipt, { asked, ...(failure === undefined ? undefined : { failure }) })) {
      Session.complain(line)
    }
    if (failure === undefined) return ExitCode.ok
    const required = Failures.failed(receipt).filter((end) => end.required)
    return ExitCode.ofTransfer({
      reasons: required.map(({ error }) => error.reason),
      asked,
      stands: receipt.destinations.some(({ error }) => error === undefined)
    })
  })

const plan = (given: Upload, settings: Settings.Settings, out: Stdout.Stdout) =>
  Effect.gen(function* () {
    const options = yield* transferOptions(given, settings)
    const planned = yield* Transfer.plan(options)
    const at = new Date(yield* Clock.currentTimeMillis).toISOString()
    const destinations = planned.destinations.map(({ action, required, uri, why }) => ({ uri, required, action, why }))
    out.json({ type: "plan", at, id: planned.id, source: planned.source, destinations })
    const reasons: Array<Reason> = []
    let someAsked = false
    for (const { action, problem, required, uri, why } of planned.destinations) {
      if (problem === undefined) {
        if (!given.json) out.line(Text.oneLine(`would ${action} ${uri}: ${why}`))
        continue
      }
      // What is wrong with the source, or with the settings, is found before the store is asked.
      const asked = !problem.ofSource && problem.reason !== "Unsupported"
      someAsked ||= asked
      const { message, objectId, reason, status } = problem
      const where = problem.ofSource ? planned.source.uri : uri
      Session.complain(
        ErrorLine.ofFailure({ uri: where, message, objectId, reason, status, left: "none", sent: false, asked })
      )
      if (required) reasons.push(reason)
    }
    const stands = planned.destinations.some(({ problem }) => problem === undefined)
    return ExitCode.ofTransfer({ reasons, asked: someAsked, stands })
  })

/** What to say of an upload that was ended by a signal: of each destination where something is left, or of the first. */
const interrupted = (given: Upload, signal: ExitCode.Signal | undefined, known: Known): string => {
  const word = (message: string) =>
    signal === undefined ? message : message.replace(/^interrupted/, `interrupted (${signal})`)
  const { receipt } = known
  const failed = receipt === undefined ? [] : Failures.failed(receipt)
  const left = failed.filter(({ error }) => error.left !== "none")
  const told = left.length > 0 ? left : failed.slice(0, 1)
  if (receipt !== undefined && told.length > 0) {
    return Failures.lines({ ...receipt, destinations: told }, { asked: true, word }).join("\n")
  }
  const uri = Uri.shown(given.source)
  const message = word("interrupted")
  return ErrorLine.ofFailure({ reason: "Interrupted", uri, message, left: "none", sent: false, asked: true })
}

/** Runs the command and gives its exit code. */
export const run = async (given: Upload): Promise<number> => {
  if (given.to.length === 0) {
    Session.complain(ErrorLine.ofUsage("--to", "this option is missing; write --to glance://CLOUD/IMAGE, s3://…, PATH"))
    return ExitCode.usage
  }
  const settings = Settings.parse(given)
  if (Result.isFailure(settings)) {
    const { message, setting } = settings.failure
    Session.complain(ErrorLine.ofUsage(`--${setting}`, message))
    return ExitCode.usage
  }
  const unusable = State.wrong(given.state)
  if (unusable !== undefined) {
    Session.complain(ErrorLine.ofUsage("--state", unusable))
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
        Effect.provideService(UploadJournal, State.journal({ folder: given.state, complain: display.note })),
        Effect.catchTag("EndError", ({ message, uri }) =>
          Effect.sync(() => {
            Session.complain(ErrorLine.ofUsage(uri, message))
            return ExitCode.usage
          })
        ),
        // Without a port of its own there is nothing in it that can fail.
        Effect.provide(Layer.orDie(Telemetry.layer({ env: process.env, complain: display.note })))
      )
    },
    interrupted: (signal) => {
      const nothingLeft = (known.receipt?.destinations ?? []).every(({ error }) => (error?.left ?? "none") === "none")
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
