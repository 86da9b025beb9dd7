/**
 * `headrace plan`: a manifest of what would move.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import { readFile } from "node:fs/promises"
import * as Filter from "@headrace/batch/Filter"
import * as Mapping from "@headrace/batch/Mapping"
import * as Plan from "@headrace/batch/Plan"
import * as PlanTotals from "@headrace/batch/PlanTotals"
import * as Uri from "@headrace/batch/Uri"
import * as Engine from "../Engine.ts"
import * as Settings from "../Settings.ts"
import * as Text from "../Text.ts"
import type { Reason } from "../Types.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type * as Invocation from "./Invocation.ts"
import * as PlanSummary from "./PlanSummary.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

/** What is wrong with what was typed. */
interface Wrong {
  readonly what: string
  readonly message: string
}

const wrong = (what: string, message: string) => Result.fail<Wrong>({ what, message })

interface Ready {
  readonly options: Plan.Options
  /** Bytes a second. */
  readonly rate: number | undefined
}

const skipping = ["name", "hash", "none"] as const

const rateOf = (limit: string | undefined): Result.Result<number | undefined, Wrong> => {
  const read = Settings.parse({ limit })
  if (Result.isFailure(read)) return wrong("--limit", read.failure.message)
  const rate = read.success.limit
  if (rate === undefined || typeof rate === "number") return Result.succeed(rate)
  return wrong("--limit", `"${limit}" is no rate to estimate at: write one, such as 50MiB/s`)
}

const rulesOf = async (file: string | undefined): Promise<Result.Result<Mapping.Rules, Wrong>> => {
  if (file === undefined) return Result.succeed(Mapping.none)
  let text: string
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(file))
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return wrong(file, `the rules of --map cannot be read (${code ?? message})`)
  }
  return Result.mapError(Mapping.parse(text), ({ field, message }) => ({ what: `${file}: ${field}`, message }))
}

const ready = (given: Invocation.Plan, rules: Mapping.Rules): Result.Result<Ready, Wrong> =>
  Result.gen(function* () {
    const { also, from, skipExisting = "hash", to } = given
    if (from === undefined) return yield* wrong("--from", "it is missing: say what is to be moved, as glance://CLOUD")
    if (to.length === 0) return yield* wrong("--to", "it is missing: say where to, as glance://CLOUD or s3://BUCKET/")
    const filters: Array<Filter.Filter> = []
    for (const text of given.filter) {
      filters.push(yield* Result.mapError(Filter.parse(text), ({ message }) => ({ what: "--filter", message })))
    }
    const skip = skipping.find((word) => word === skipExisting)
    if (skip === undefined) {
      return yield* wrong("--skip-existing", `"${skipExisting}" is not one of ${skipping.join(", ")}`)
    }
    return { options: { from, to, also, filters, rules, skipExisting: skip }, rate: yield* rateOf(given.limit) }
  })

/** A comment of the manifest, of one line whatever the name is. */
const comment = (mark: string, { id, name }: Plan.About, why: string): string =>
  Text.oneLine(`# ${mark} ${name === undefined || name === "" ? "" : `${name} `}(${id}): ${why}`)

/** So many lines may wait for a reader that is slow. */
const waiting = 100

const write = (out: Stdout.Stdout, counter: PlanTotals.Counter) => {
  let lines = 0
  return (entry: Plan.Entry): Effect.Effect<void> =>
    Effect.suspend(() => {
      counter.add(entry)
      switch (entry._tag) {
        case "Line":
          out.line(entry.text)
          break
        case "Skipped":
          out.line(comment("skipped", entry.image, entry.why))
          break
        case "Note":
          out.line(comment("note", entry.image, entry.why))
          break
        case "End":
          break
      }
      return ++lines % waiting === 0 ? out.flush : Effect.void
    })
}

const say = (message: string): void => Session.complain(ErrorLine.ofUsage("plan", message))

const begun = ({ images, notes, skipped }: PlanTotals.PlanTotals): boolean =>
  images + notes + Object.keys(skipped).length > 0

const unfinished = "# the plan is not complete: it was ended here"

const plan = ({ options, rate }: Ready, out: Stdout.Stdout) =>
  Effect.gen(function* () {
    const counter = PlanTotals.counter()
    yield* Stream.runForEach(Plan.entries(options), write(out, counter)).pipe(
      // Whoever finds the file later must not take it for all of the plan.
      Effect.onError(() =>
        Effect.sync(() => {
          if (begun(counter.totals())) out.line(unfinished)
        })
      )
    )
    yield* out.flush
    // What somebody else was to read is lost: that is said instead.
    if (out.closed() !== undefined) return ExitCode.ok
    const totals = counter.totals()
    for (const line of PlanSummary.lines(totals, rate)) say(line)
    const { refused = 0, required = 0 } = totals.skipped
    if (refused + required === 0) return ExitCode.ok
    say(`${refused + required} of the images cannot be planned as they are: see # skipped in the manifest`)
    return ExitCode.failed
  })

interface Failure {
  readonly reason: { readonly _tag: Reason }
  readonly uri: string
  readonly message: string
  readonly status?: number
}

/** `asked`: whether it was a destination that failed; a source that cannot be read is found before these are touched. */
const failed = ({ message, reason, status, uri }: Failure, asked: boolean): number => {
  const line = { reason: reason._tag, uri, message, status, left: "none", sent: false, asked }
  Session.complain(ErrorLine.ofFailure(line))
  return ExitCode.ofFailure({ reason: reason._tag, asked })
}

const usage = ({ message, what }: Wrong): number => {
  Session.complain(ErrorLine.ofUsage(what, message))
  return ExitCode.usage
}

/** Runs the command and gives its exit code. */
export const run = async (given: Invocation.Plan): Promise<number> => {
  const rules = await rulesOf(given.map)
  const read = Result.flatMap(rules, (rules) => ready(given, rules))
  if (Result.isFailure(read)) return usage(read.failure)
  const { options } = read.success
  return Session.run({
    json: false,
    program: (out) =>
      plan(read.success, out).pipe(
        Effect.provide(Engine.layer({ digest: [], expect: {} })),
        Effect.catchTags({
          EndError: ({ message, uri }) => Effect.sync(() => usage({ what: uri, message })),
          PlanError: ({ message }) => Effect.sync(() => usage({ what: "plan", message })),
          SourceError: (error) => Effect.sync(() => failed(error, false)),
          StoreError: (error) => Effect.sync(() => failed(error, true))
        })
      ),
    interrupted: (signal) =>
      signal === undefined
        ? undefined
        : ErrorLine.ofUsage(Uri.shown(options.from), `interrupted (${signal}): the plan is not complete`),
    abandoned: () => undefined
  })
}
