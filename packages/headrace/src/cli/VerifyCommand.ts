/**
 * `headrace verify`: what has become of what was uploaded.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Receipt } from "@headrace/core/Receipt"
import * as Receipts from "@headrace/batch/Receipts"
import * as Verify from "@headrace/batch/Verify"
import * as Engine from "../Engine.ts"
import * as Settings from "../Settings.ts"
import * as View from "../VerifyView.ts"
import * as Asking from "./Asking.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Verify as Typed } from "./Invocation.ts"
import * as ProgressMode from "./ProgressMode.ts"
import * as Sample from "./Sample.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

const stdin = "-"

/** As the receipts are called. */
const nameOf = ({ receipts }: Typed): string => (receipts === stdin ? "standard input" : receipts)

/** Lines that are none of a receipt, told one by one. */
const mostLines = 10

const mostAtOnce = 1000

/** Lines after which whoever reads them is waited for. */
const linesAhead = 512

/** A share of what is there; text where it is none. */
const concurrencyOf = (given: string): number | string => {
  const value = /^\d{1,4}$/.test(given) ? Number(given) : 0
  return value >= 1 && value <= mostAtOnce
    ? value
    : `${JSON.stringify(given)} is no number of objects at once: 1 to ${mostAtOnce}`
}

interface Console {
  readonly out: Stdout.Stdout
  readonly display: View.Display
}

/** The receipts, with what else is in the file counted and said. */
const receiptsOf = (
  name: string,
  counts: View.Counts,
  display: View.Display
): Stream.Stream<Receipt, Receipts.ReceiptsError> => {
  const reads = name === stdin ? Receipts.fromReadable(() => process.stdin, "standard input") : Receipts.fromFile(name)
  return Stream.flattenIterable(
    Stream.map(reads, (read): ReadonlyArray<Receipt> => {
      if (read._tag === "Receipt") {
        counts.receipts++
        return [read.receipt]
      }
      counts.foreign++
      counts.cut ||= read.cut
      if (counts.foreign <= mostLines) {
        const where = `${name === stdin ? "standard input" : name}:${read.number}`
        display.note(ErrorLine.ofUsage(where, `${read.message}: it is left out`))
      }
      return []
    })
  )
}

const exitCode = ({ status }: View.Counts): number =>
  status.differs > 0 ? ExitCode.mismatch : status.missing + status.unknown > 0 ? ExitCode.failed : ExitCode.ok

const summaryEvent = (counts: View.Counts, at: string) => {
  const { cut, foreign, how, receipts, requests, sizeOnly, status } = counts
  return { type: "summary", at, receipts, ...status, how, sizeOnly, requests, foreign, cut }
}

const verify = (given: Typed, options: Verify.Options, counts: View.Counts, { display, out }: Console) =>
  Effect.gen(function* () {
    const onRequest = () => {
      counts.requests++
      display.changed()
    }
    yield* Stream.runForEach(
      Verify.run(receiptsOf(given.receipts, counts, display), { ...options, onRequest }),
      (verification) =>
        Effect.suspend(() => {
          View.count(counts, verification)
          display.changed()
          out.json(verification)
          if (!given.json && verification.status !== "same") display.result(View.line(verification), out.line)
          return View.total(counts) % linesAhead === 0 ? out.flush : Effect.void
        })
    )
    display.end()
    const { cut, foreign, receipts } = counts
    if (foreign > 0) {
      const last = cut ? ", one of them the last, which has no end" : ""
      const lines = foreign === 1 ? "1 line is" : `${foreign} lines are`
      Session.complain(
        ErrorLine.ofUsage(
          nameOf(given),
          `${lines} no receipt${cut && foreign === 1 ? ": the last, which has no end" : last}`
        )
      )
    }
    if (receipts === 0) {
      Session.complain(ErrorLine.ofUsage(nameOf(given), "there is no receipt in it"))
      return ExitCode.usage
    }
    out.json(summaryEvent(counts, new Date(yield* Clock.currentTimeMillis).toISOString()))
    if (!given.json) for (const line of View.summary(counts)) out.line(line)
    return exitCode(counts)
  })

/** Runs the command and gives its exit code. */
export const run = async (given: Typed): Promise<number> => {
  const settings = Settings.parse(given)
  if (Result.isFailure(settings)) {
    const { message, setting } = settings.failure
    return Asking.wrong(`--${setting}`, message)
  }
  const share = given.sample === undefined ? undefined : Sample.parse(given.sample)
  if (typeof share === "string") return Asking.wrong("--sample", share)
  const concurrency = given.concurrency === undefined ? undefined : concurrencyOf(given.concurrency)
  if (typeof concurrency === "string") return Asking.wrong("--concurrency", concurrency)
  const mode = ProgressMode.read(given.progress, given.json)
  if (mode === undefined) {
    Session.complain(ProgressMode.wrong(given.progress))
    return ExitCode.usage
  }
  const counts = View.counts()
  const display = View.display(counts, { mode })
  const name = nameOf(given)
  return Session.run({
    json: given.json,
    display: { event: () => {}, note: display.note, end: display.end },
    program: (out) =>
      verify(given, { head: given.head, sample: share, concurrency }, counts, { display, out }).pipe(
        Effect.provide(Engine.layer(settings.success)),
        Effect.catchTag("ReceiptsError", ({ message, name }) =>
          Effect.sync(() => {
            display.end()
            return Asking.wrong(name, message)
          })
        )
      ),
    interrupted: (signal) => (signal === undefined ? undefined : ErrorLine.ofUsage(name, `interrupted (${signal})`)),
    abandoned: () => undefined
  })
}
