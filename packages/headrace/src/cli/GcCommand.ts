/**
 * `headrace gc`: what unfinished uploads left at a destination; given up when told.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Leftovers from "@headrace/core/Leftovers"
import * as Quantity from "@headrace/core/Quantity"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as Ends from "@headrace/batch/Ends"
import * as State from "../State.ts"
import * as Text from "../Text.ts"
import * as Asking from "./Asking.ts"
import * as ErrorLine from "./ErrorLine.ts"
import * as ExitCode from "./ExitCode.ts"
import type { Gc } from "./Invocation.ts"
import * as Session from "./Session.ts"
import type * as Stdout from "./Stdout.ts"

/** Of what is only known to the store somebody else may be the writer; in a day an upload ends or is given up. */
const othersMs = 86_400_000

interface Age {
  /** Milliseconds; `undefined` when it was not said. */
  readonly olderThan: number | undefined
  readonly now: number
}

const isOlder = (startedAt: number | undefined, ms: number, now: number): boolean =>
  startedAt === undefined ? ms === 0 : now - startedAt >= ms

/** Why it must not be deleted, although it was told. */
const keptFor = (found: Leftovers.Leftover, { now, olderThan }: Age): string | undefined => {
  if (found.running) return "a process here is writing it"
  if (found.known !== "listed" || olderThan !== undefined || isOlder(found.startedAt, othersMs, now)) return undefined
  return "somebody else may be writing it; --older-than 0s deletes it too"
}

const knownTo: Readonly<Record<Leftovers.Leftover["known"], string>> = {
  listed: "the store lists it",
  noted: "noted here, and not listed by the store",
  both: "the store lists it, and it is noted here"
}

const described = (found: Leftovers.Leftover, now: number): string => {
  const { bytes, known, startedAt } = found
  return [
    ...(startedAt === undefined
      ? []
      : [
          `begun ${new Date(startedAt).toISOString().slice(0, 19)}Z, ${Quantity.formatDuration(Math.max(0, now - startedAt))} ago`
        ]),
    ...(bytes === undefined ? [] : [Quantity.formatBytes(bytes)]),
    knownTo[known]
  ].join(", ")
}

type Action = "listed" | "kept" | "deleted" | "failed"

const collect = (given: Gc, olderThan: number | undefined, out: Stdout.Stdout) =>
  Effect.gen(function* () {
    const store = yield* Ends.store(given.uri)
    if (store.unfinished === undefined) {
      return yield* new Ends.EndError({
        reason: "Unsupported",
        uri: store.uri,
        message: "this store cannot say what unfinished uploads left"
      })
    }
    const now = yield* Clock.currentTimeMillis
    const all = yield* Leftovers.find(store)
    const chosen = olderThan === undefined ? all : all.filter(({ startedAt }) => isOlder(startedAt, olderThan, now))
    const counts: Record<Action, number> = { listed: 0, kept: 0, deleted: 0, failed: 0 }
    let bytes = 0
    for (const found of chosen) {
      const kept = given.delete ? keptFor(found, { olderThan, now }) : undefined
      const outcome =
        given.delete && kept === undefined ? yield* Effect.result(Effect.scoped(found.discard)) : undefined
      const action: Action =
        outcome === undefined ? (given.delete ? "kept" : "listed") : Result.isSuccess(outcome) ? "deleted" : "failed"
      counts[action]++
      bytes += found.bytes ?? 0
      const why = outcome !== undefined && Result.isFailure(outcome) ? outcome.failure.message : kept
      const { known, running, startedAt, token, uri } = found
      out.json({
        type: "leftover",
        at: new Date(now).toISOString(),
        uri,
        token,
        startedAt: startedAt === undefined ? null : new Date(startedAt).toISOString(),
        bytes: found.bytes ?? null,
        known,
        running,
        action,
        ...(why === undefined ? undefined : { why })
      })
      if (!given.json) {
        const state = action === "listed" ? (running ? "running " : "") : `${action} `
        out.line(Text.oneLine(`${state}${uri}: upload ${token}: ${described(found, now)}`))
        if (kept !== undefined) out.line(Text.oneLine(`  ${kept}`))
      }
      if (action === "failed") {
        Session.complain(ErrorLine.ofUsage(uri, `upload ${token} cannot be given up: ${why}`))
      }
    }
    if (!given.json) out.line(summary(chosen.length, all.length - chosen.length, bytes, counts, given.delete))
    return counts.failed > 0 ? ExitCode.failed : ExitCode.ok
  })

const uploads = (count: number): string => `${count} unfinished ${count === 1 ? "upload" : "uploads"}`

const summary = (
  count: number,
  younger: number,
  bytes: number,
  counts: Readonly<Record<Action, number>>,
  deleting: boolean
): string => {
  const rest = younger === 0 ? "" : `; ${younger} younger than that`
  if (count === 0) return `nothing was left${rest}`
  const size = bytes === 0 ? "" : `, ${Quantity.formatBytes(bytes)}`
  if (!deleting) return `${uploads(count)}${size}${rest}; nothing was deleted: --delete does that`
  const kept = counts.kept === 0 ? "" : `, ${counts.kept} kept`
  const failed = counts.failed === 0 ? "" : `, ${counts.failed} could not be deleted`
  return `${uploads(count)}${size}: ${counts.deleted} deleted${kept}${failed}${rest}`
}

/** Runs the command and gives its exit code. */
export const run = async (given: Gc): Promise<number> => {
  const olderThan = given.olderThan === undefined ? undefined : Quantity.parseDuration(given.olderThan)
  if (olderThan !== undefined && Result.isFailure(olderThan)) {
    return Asking.wrong("--older-than", olderThan.failure.message)
  }
  const unusable = State.wrong(given.state)
  if (unusable !== undefined) return Asking.wrong("--state", unusable)
  return Asking.run(given, (out) =>
    collect(given, olderThan?.success, out).pipe(
      Effect.provideService(UploadJournal, State.journal({ folder: given.state, complain: Session.complain })),
      Effect.catchTag("UploadJournalError", ({ message }) => Effect.sync(() => Asking.wrong("--state", message)))
    )
  )
}
