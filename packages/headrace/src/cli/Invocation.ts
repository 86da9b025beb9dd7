/**
 * The command line, read into plain data. Nothing is run here, and
 * nothing that runs is loaded, so help and usage errors come at once.
 *
 * @since 0.1.0
 */
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Path from "effect/Path"
import { ChildProcessSpawner, make as makeSpawner } from "effect/process/ChildProcessSpawner"
import * as Stdio from "effect/Stdio"
import * as Terminal from "effect/Terminal"
import * as Commands from "./Commands.ts"

/** What `upload`, `run` and `repair` have in common. */
export interface Sending {
  readonly limit: string | undefined
  readonly digest: ReadonlyArray<string>
  readonly verify: string | undefined
  readonly retries: string | undefined
  readonly stall: string | undefined
  readonly answer: string | undefined
  readonly memory: string | undefined
  readonly progress: string | undefined
  readonly json: boolean
  readonly dryRun: boolean
  readonly hasher: string | undefined
  readonly keepFailed: boolean
  readonly allowEmpty: boolean
  readonly noResume: boolean
  readonly state: string | undefined
}

/** `upload` as typed. */
export interface Upload extends Sending {
  readonly _tag: "Upload"
  readonly source: string
  readonly to: ReadonlyArray<string>
  readonly also: ReadonlyArray<string>
  readonly expect: ReadonlyArray<string>
}

/** What `run` and `repair` have in common. */
export interface Batch extends Sending {
  readonly concurrency: string | undefined
  readonly order: string | undefined
  readonly maxFailures: string | undefined
  readonly deadline: string | undefined
  readonly only: ReadonlyArray<string>
  readonly receipts: string | undefined
  readonly map: string | undefined
  readonly metrics: string | undefined
}

/** `run` as typed. */
export interface Run extends Batch {
  readonly _tag: "Run"
  readonly manifest: string
  readonly journal: string | undefined
  readonly skipExisting: string | undefined
  readonly retryFailed: boolean
  readonly skipInvalid: boolean
  readonly replan: boolean
}

/** `repair` as typed. */
export interface Repair extends Batch {
  readonly _tag: "Repair"
  readonly journal: string
  readonly head: boolean
  readonly sample: string | undefined
}

/** `plan` as typed. */
export interface Plan {
  readonly _tag: "Plan"
  readonly from: string | undefined
  readonly to: ReadonlyArray<string>
  readonly also: ReadonlyArray<string>
  readonly filter: ReadonlyArray<string>
  readonly skipExisting: string | undefined
  readonly map: string | undefined
  readonly limit: string | undefined
}

/** `verify` as typed. */
export interface Verify {
  readonly _tag: "Verify"
  readonly receipts: string
  readonly head: boolean
  readonly sample: string | undefined
  readonly concurrency: string | undefined
  readonly limit: string | undefined
  readonly memory: string | undefined
  readonly progress: string | undefined
  readonly hasher: string | undefined
  readonly json: boolean
}

/** `report` as typed. */
export interface Report {
  readonly _tag: "Report"
  readonly receipts: string
  readonly html: string | undefined
  readonly json: boolean
}

/** `sum` as typed. */
export interface Sum {
  readonly _tag: "Sum"
  readonly source: string
  readonly digest: ReadonlyArray<string>
  readonly memory: string | undefined
  readonly progress: string | undefined
  readonly hasher: string | undefined
}

/** `stores` as typed. */
export interface Stores {
  readonly _tag: "Stores"
  readonly uri: string
  readonly json: boolean
}

/** `gc` as typed. */
export interface Gc {
  readonly _tag: "Gc"
  readonly uri: string
  readonly olderThan: string | undefined
  readonly delete: boolean
  readonly state: string | undefined
  readonly json: boolean
}

export type Invocation = Upload | Run | Repair | Plan | Verify | Report | Sum | Stores | Gc

/** What is wrong with a command line, in one line. */
export interface Wrong {
  readonly _tag: "Wrong"
  readonly what: string
  readonly message: string
}

/** Help and version go to standard output as they are; what is wrong is said by the caller, in one line. */
const presenter: CliOutput.Presenter = {
  present: (event) =>
    event._tag === "InvalidInvocation" || (event._tag === "Help" && event.reason !== "Requested")
      ? Effect.void
      : CliOutput.defaultPresenter.present(event)
}

/** Parsing needs no machine: paths are looked at later, and nothing is asked of a person. */
const services = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Stdio.layerTest({}),
  Layer.succeed(
    Terminal.Terminal,
    Terminal.make({
      columns: Effect.succeed(80),
      rows: Effect.succeed(24),
      size: Effect.die(new Error("nothing is drawn")),
      readInput: Effect.die(new Error("nothing is asked")),
      readLine: Effect.die(new Error("nothing is asked")),
      display: () => Effect.void
    })
  ),
  Layer.succeed(
    ChildProcessSpawner,
    makeSpawner(() => Effect.die(new Error("nothing is started")))
  ),
  CliOutput.layerPresenter(presenter),
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions] })
)

const quoted = (value: string): string => JSON.stringify(value)

const didYouMean = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`

const describe = (error: CliError.CliError, path: ReadonlyArray<string>): Wrong => {
  const help = `${path.join(" ")} --help explains`
  const wrong = (what: string, message: string): Wrong => ({ _tag: "Wrong", what, message: `${message}; ${help}` })
  switch (error._tag) {
    case "UnrecognizedOption":
      return wrong(error.option, `there is no such option${didYouMean(error.suggestions)}`)
    case "MissingOption":
      return wrong(`--${error.option}`, "this option is missing")
    case "MissingArgument":
      return wrong(error.argument, "this argument is missing")
    case "UnexpectedArgument":
      return wrong(error.arguments.map(quoted).join(", "), "more arguments than this command takes")
    case "InvalidValue":
      if (/^\d+ occurrences$/.test(error.value))
        return wrong(`--${error.option}`, "this option is given more than once")
      return error.value === ""
        ? wrong(`--${error.option}`, "its value is missing")
        : wrong(
            error.kind === "flag" ? `--${error.option}` : error.option,
            `${quoted(error.value)} is not allowed: ${error.expected}`
          )
    case "UnknownSubcommand":
      return wrong(quoted(error.subcommand), `there is no such command${didYouMean(error.suggestions)}`)
    case "ShowHelp":
      return error.errors[0] === undefined
        ? wrong("COMMAND", "say what to do, such as upload, run, plan or verify")
        : describe(error.errors[0], error.commandPath)
    case "DuplicateOption":
    case "ValidationError":
    case "UserError":
      return wrong("command line", error.message)
  }
}

/**
 * Reads the command line. `undefined` when help, version or completions were asked for, which are printed then.
 */
export const parse = (args: ReadonlyArray<string>, version: string): Effect.Effect<Invocation | Wrong | undefined> =>
  Effect.suspend(() => {
    let chosen: Invocation | undefined
    return Command.runWith(
      Commands.root((invocation) => {
        chosen = invocation
      }),
      { version, renderErrors: false }
    )(args).pipe(
      Effect.map(() => chosen),
      Effect.catch((error) => Effect.succeed(describe(error, ["headrace"]))),
      Effect.provide(services)
    )
  })
