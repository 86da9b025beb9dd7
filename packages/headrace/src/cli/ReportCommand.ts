/**
 * `headrace report`: what receipts come to, as a few lines, as JSON, or as a page.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createReadStream } from "node:fs"
import { open as openFile } from "node:fs/promises"
import * as Report from "@headrace/batch/Report"
import * as ReportPage from "@headrace/batch/ReportPage"
import type { JournalError } from "@headrace/batch/Journal"
import * as SqliteJournal from "@headrace/batch/SqliteJournal"
import * as Garbage from "@headrace/node/Garbage"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type * as Invocation from "./Invocation.ts"
import * as PageFile from "./PageFile.ts"
import * as ReportText from "./ReportText.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

const stdin = "-"

/** What a journal begins with, as every SQLite file does. */
const journalBegin = "SQLite format 3\0"

/** Whether it is a journal. Of a pipe nothing is read, as it could not be read again. */
const isJournal = (path: string): Effect.Effect<boolean> =>
  Effect.promise(async () => {
    const file = await openFile(path).catch(() => undefined)
    if (file === undefined) return false
    try {
      if (!(await file.stat()).isFile()) return false
      const { buffer, bytesRead } = await file.read(Buffer.alloc(journalBegin.length), 0, journalBegin.length, 0)
      return buffer.toString("latin1", 0, bytesRead) === journalBegin
    } catch {
      return false
    } finally {
      await file.close()
    }
  })

const read = (name: string): Effect.Effect<Report.Report, Report.ReportError | JournalError> => {
  if (name === stdin) return Report.fromReadable(() => process.stdin, "standard input")
  return Effect.flatMap(isJournal(name), (journal): Effect.Effect<Report.Report, Report.ReportError | JournalError> =>
    journal
      ? Report.fromJournal(SqliteJournal.readReceipts(name))
      : Report.fromReadable(() => createReadStream(name, { highWaterMark: 64 * 1024 }), name)
  )
}

const report = (
  given: Invocation.Report,
  out: Stdout.Stdout
): Effect.Effect<number, Report.ReportError | JournalError | PageFile.PageFileError, Scope.Scope> =>
  Effect.gen(function* () {
    // Before anything is read: whoever waits for a million receipts does not want to hear of a folder that is missing.
    const page = given.html === undefined ? undefined : yield* PageFile.open(given.html, given.receipts)
    yield* Effect.sync(Garbage.bound)
    const sums = yield* read(given.receipts)
    const madeAt = new Date(yield* Clock.currentTimeMillis).toISOString()
    const of = given.receipts === stdin ? "standard input" : given.receipts
    if (page !== undefined) {
      yield* page.write(ReportPage.render(sums, { of, madeAt }))
      for (const remark of ReportText.remarks(sums)) Session.complain(ErrorLine.ofUsage(of, remark))
    }
    if (given.json) out.json({ type: "report", at: madeAt, of, ...sums })
    else if (page === undefined) for (const line of ReportText.lines(sums)) out.line(line)
    return ExitCode.ok
  })

/** Runs the command and gives its exit code. */
export const run = (given: Invocation.Report): Promise<number> => {
  const usage = (what: string, message: string): number => {
    Session.complain(ErrorLine.ofUsage(what, message))
    return ExitCode.usage
  }
  return Session.run({
    json: given.json,
    program: (out) =>
      Effect.scoped(report(given, out)).pipe(
        Effect.catchTags({
          ReportError: ({ message, name }) => Effect.sync(() => usage(name, message)),
          JournalError: ({ message, path }) => Effect.sync(() => usage(path, message)),
          PageFileError: ({ message, path }) => Effect.sync(() => usage(path, message))
        })
      ),
    interrupted: (signal) =>
      signal === undefined ? undefined : ErrorLine.ofUsage("report", `interrupted (${signal})`),
    abandoned: () => undefined
  })
}
