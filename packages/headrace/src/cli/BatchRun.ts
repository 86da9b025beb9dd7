/**
 * What `run` and `repair` have in common: a batch under a terminal's signals, with what is told of it and its exit code.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Batch from "@headrace/batch/Batch"
import type { BatchEvent, Plan } from "@headrace/batch/BatchEvent"
import type { JournalError } from "@headrace/batch/Journal"
import type { ManifestError } from "@headrace/batch/Manifest"
import * as Mapping from "@headrace/batch/Mapping"
import * as Metrics from "@headrace/batch/Metrics"
import * as Garbage from "@headrace/node/Garbage"
import { BlockPool } from "@headrace/core/BlockPool"
import type * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import { UploadJournal } from "@headrace/core/UploadJournal"
import { readFileSync } from "node:fs"
import { resolve } from "node:path"
import * as BatchProgress from "../BatchProgress.ts"
import * as BatchSettings from "../BatchSettings.ts"
import * as Engine from "../Engine.ts"
import * as Settings from "../Settings.ts"
import * as State from "../State.ts"
import * as Text from "../Text.ts"
import * as Telemetry from "../Telemetry.ts"
import type { Reason, ReceiptEvent } from "../Types.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import * as Failures from "./Failures.ts"
import type { Batch as Typed } from "./Invocation.ts"
import * as ProgressMode from "./ProgressMode.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

/** How it has ended; `unknown`: what was to be looked at, and could not be. */
export interface Ended extends Batch.Result {
  readonly unknown?: number
}

/** What is run. */
export interface Job {
  /** As it is told. */
  readonly name: string
  readonly journal: string
  readonly run: (
    options: Batch.Options,
    out: Stdout.Stdout
  ) => Effect.Effect<Ended, Batch.Failures | ManifestError, NodeHeadrace.Services>
  readonly retryFailed: boolean
  readonly skipInvalid: boolean
  readonly replan: boolean
  readonly skipExisting: string | undefined
  /** The command that does failed lines again. */
  readonly again: string
}

const wrong = (what: string, message: string): number => {
  Session.complain(ErrorLine.ofUsage(what, message))
  return ExitCode.usage
}

interface Read {
  readonly settings: Settings.Settings
  readonly batch: BatchSettings.BatchSettings
}

const read = (given: Typed): Result.Result<Read, Settings.SettingError> =>
  Result.gen(function* () {
    return { settings: yield* Settings.parse(given), batch: yield* BatchSettings.parse(given) }
  })

/** Wrong lines that are told one by one. */
const mostLines = 100

const exitCode = ({ failedBefore, loaded, reasons, summary, unknown = 0 }: Ended, dryRun: boolean): number => {
  const codes = [...reasons].map((reason) => ExitCode.ofFailure({ reason: reason as Reason, asked: true }))
  if (codes.includes(ExitCode.mismatch)) return ExitCode.mismatch
  const begun = dryRun ? 0 : summary.cancelled + summary.remaining
  const undone = summary.failed + begun + failedBefore + loaded.wrong + unknown
  return undone > 0 ? ExitCode.failed : ExitCode.ok
}

/** The rules in a file; text where they cannot be used. */
const readRules = (path: string | undefined): Mapping.Rules | string => {
  if (path === undefined) return Mapping.none
  try {
    const rules = Mapping.parse(readFileSync(path, "utf8"))
    return Result.isSuccess(rules) ? rules.success : `${rules.failure.field}: ${rules.failure.message}`
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return `it cannot be read: ${code === "ENOENT" ? "there is no such file" : (code ?? String(error))}`
  }
}

const optionsOf = ({ batch, settings }: Read, given: Typed, job: Job, rules: Mapping.Rules): Batch.Options => {
  const { hasher: _hasher, limit: _limit, memoryBytes: _memory, expect: _expect, ...transfer } = settings
  const { allowEmpty, keepFailed, noResume } = given
  const { metricsPort: _port, ...how } = batch
  return {
    ...how,
    journal: job.journal,
    map: rules,
    skipExisting: job.skipExisting as "name" | "hash" | undefined,
    receipts: given.receipts,
    retryFailed: job.retryFailed,
    skipInvalid: job.skipInvalid,
    replan: job.replan,
    dryRun: given.dryRun,
    transfer: { ...transfer, keepFailed, allowEmpty, resume: !noResume }
  }
}

interface Console {
  readonly out: Stdout.Stdout
  readonly display: BatchProgress.BatchProgress
}

/** A failed line, with its id before what an upload says of it. */
const failedLines = (event: ReceiptEvent): ReadonlyArray<string> =>
  Failures.lines(event, { asked: true }).map((line) => line.replace(/^headrace: /, `headrace: ${event.id}: `))

const planLines = ({ destinations, id }: Plan) =>
  destinations.map(({ action, required, uri, why }) => ({
    fails: action === "fail",
    line: Text.oneLine(`${id}: would ${action} ${uri}: ${why}${required ? "" : " (on best effort)"}`)
  }))

/** As a shell takes it. */
const quoted = (word: string): string => (/^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`)

/** What to type next, as the command was typed. */
const next = (job: Job, dryRun: boolean) =>
  dryRun ? {} : { again: job.again, repair: `headrace repair ${quoted(job.journal)}` }

const batch = (options: Batch.Options, given: Typed, job: Job, { display, out }: Console) =>
  Effect.gen(function* () {
    const pool = yield* BlockPool
    const metrics = yield* Metrics.make({ pool: pool.stats })
    let told = 0
    const onLine = (line: Batch.ToldLine) => {
      if (told++ < mostLines) {
        const where = line.kind === "vanished" ? job.name : `${job.name}:${line.number}`
        Session.complain(ErrorLine.ofUsage(`${where}: ${line.field}`, line.message))
      } else if (told === mostLines + 1) Session.complain(ErrorLine.ofUsage(job.name, "and more of the kind"))
    }
    const onEvent = (event: BatchEvent) =>
      Effect.sync(() => {
        out.json(event, { mayDrop: event.type === "progress" })
        metrics.event(event)
        display.event(event)
        if (event.type === "plan") {
          for (const { fails, line } of planLines(event)) {
            if (fails) display.note(`headrace: ${line}`)
            else if (!given.json) out.line(line)
          }
        }
        if (event.type === "receipt") for (const line of failedLines(event)) display.note(line)
      })
    const onCommit = (commits: number) => metrics.committed(commits)
    const result = yield* job.run({ ...options, onLine, onEvent, onCommit }, out)
    display.end()
    if (!given.json && !given.dryRun) {
      for (const line of display.summary(result.summary, next(job, given.dryRun))) out.line(line)
    }
    return exitCode(result, given.dryRun)
  })

const journalWords = ({ message, path }: JournalError): string => ErrorLine.ofUsage(path, `the journal: ${message}`)

/** Runs it and gives its exit code. */
export const run = async (given: Typed, job: Job): Promise<number> => {
  Garbage.bound()
  const settings = read(given)
  if (Result.isFailure(settings)) return wrong(`--${settings.failure.setting}`, settings.failure.message)
  const unusable = State.wrong(given.state)
  if (unusable !== undefined) return wrong("--state", unusable)
  const mode = ProgressMode.read(given.progress, given.json)
  if (mode === undefined) {
    Session.complain(ProgressMode.wrong(given.progress))
    return ExitCode.usage
  }
  if (!["name", "hash", undefined].includes(job.skipExisting)) {
    return wrong("--skip-existing", `"${job.skipExisting}" is not one of name, hash`)
  }
  const rules = readRules(given.map)
  if (typeof rules === "string") return wrong(given.map ?? "--map", rules)
  const books = [job.name, ...["", "-lock", "-wal", "-shm"].map((end) => job.journal + end)].map((path) =>
    resolve(path)
  )
  if (given.receipts !== undefined && books.includes(resolve(given.receipts))) {
    return wrong("--receipts", `${given.receipts} is the manifest or the journal: name another file`)
  }
  const display = BatchProgress.make({ mode: given.dryRun ? "none" : mode })
  const { metricsPort } = settings.success.batch
  return Session.run({
    json: given.json,
    display,
    program: (out) =>
      Effect.scoped(batch(optionsOf(settings.success, given, job, rules), given, job, { display, out })).pipe(
        Effect.provide(Engine.layer(settings.success.settings)),
        Effect.provideService(UploadJournal, State.journal({ folder: given.state, complain: display.note })),
        Effect.provide(Telemetry.layer({ metricsPort, env: process.env, complain: display.note })),
        Effect.catchTags({
          TelemetryError: ({ message }) =>
            Effect.sync(() => {
              Session.complain(message.startsWith("headrace: ") ? message : `headrace: ${message}`)
              return ExitCode.usage
            }),
          BatchError: ({ message }) => Effect.sync(() => wrong(job.name, message)),
          ManifestError: ({ message, name }) => Effect.sync(() => wrong(name, message)),
          ReceiptsFileError: ({ message, path }) => Effect.sync(() => wrong(path, message)),
          JournalError: (error) =>
            Effect.sync(() => {
              Session.complain(journalWords(error))
              return error.reason === "Full" || error.reason === "Lost" ? ExitCode.failed : ExitCode.usage
            })
        })
      ),
    interrupted: (signal) =>
      signal === undefined
        ? undefined
        : ErrorLine.ofUsage(job.name, `interrupted (${signal}): the same command goes on where it was`),
    abandoned: (signal) =>
      ErrorLine.ofUsage(
        job.name,
        `interrupted${signal === undefined ? "" : ` (${signal})`} before everything was tidied up: the same command looks at it`
      )
  })
}
