/**
 * The journal in a file: SQLite, in WAL mode and with `synchronous=FULL`, so that what is noted outlives a power cut as
 * well. A thread of its own writes it, and writes that come together are made durable together.
 *
 * While a run lives, no other one may write its journal, which a lock in `FILE-lock` sees to; reading is always possible.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { existsSync } from "node:fs"
import { hostname } from "node:os"
import { type Item, type Journal, JournalError, type Loaded, type LoadOptions, type Noted } from "./Journal.ts"
import type { Given, Row, Told } from "./internal/journalTables.ts"
import * as Places from "./internal/places.ts"
import * as Sizes from "./internal/sizes.ts"
import * as Thread from "./internal/journalThread.ts"
import * as Line from "./Line.ts"
import type { Read } from "./Manifest.ts"

/** Receipts that are read at once. */
const pageRows = 256

const lineOf = ({ text }: Pick<Row, "text">): Line.Line => Line.restore(text)

const itemOf = (row: Row & { readonly made: ReadonlyArray<unknown>; readonly before: Item["before"] }): Item => ({
  seq: row.seq,
  line: lineOf(row),
  number: row.number,
  made: row.made as Item["made"],
  before: row.before,
  begunAt: row.state === 1 ? (row.begun ?? undefined) : undefined
})

const imageOf = (source: string): string | null =>
  /^glance:\/\/[^/]+\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.exec(source)?.[1]?.toLowerCase() ?? null

const givenOf = (number: number, line: Line.Line): Given => ({
  id: line.id,
  number,
  size: line.size ?? Sizes.ofFile(line.source) ?? null,
  text: Line.encode(line),
  image: imageOf(line.source),
  places: Places.of(line)
})

const receipts = (thread: Thread.Thread, after: number): Stream.Stream<Noted, JournalError> =>
  Stream.paginate(after, (from) =>
    Effect.map(thread.call("receipts", from, pageRows), (rows) => {
      const page = rows as unknown as ReadonlyArray<Noted>
      const last = page.at(-1)
      return [page, last === undefined ? Option.none() : Option.some(last.order)] as const
    })
  )

const load =
  (thread: Thread.Thread): Journal["load"] =>
  (options) =>
    Effect.gen(function* () {
      const known = options.content !== undefined && (yield* thread.call("isLoaded", options.content))
      // Also of a trial: of what follows nothing is noted.
      if (known && !options.trial) return { fresh: 0, same: 0, changed: 0, vanished: 0, wrong: 0, taken: true }
      yield* thread.call("loadBegin")
      return yield* Effect.onError(read(thread, options), () =>
        Effect.ignore(thread.call("loadEnd", "forget", undefined))
      )
    })

const read = <E, R>(
  thread: Thread.Thread,
  { content, lines, onLine, replan, skipInvalid, trial }: LoadOptions<E, R>
): Effect.Effect<Loaded, JournalError | E, R> =>
  Effect.gen(function* () {
    const sum = { fresh: 0, same: 0, changed: 0, wrong: 0 }
    yield* Stream.runForEachArray(lines, (reads: ReadonlyArray<Read>) =>
      Effect.gen(function* () {
        const given: Array<Given> = []
        const wrong: Array<Told> = []
        for (const one of reads) {
          if (one._tag === "Line") given.push(givenOf(one.number, one.line))
          else wrong.push({ kind: "wrong", number: one.number, field: one.field, message: one.message })
        }
        sum.wrong += wrong.length
        const { told: found, ...counted } = yield* thread.call("load", given, replan)
        const told = wrong.length === 0 ? found : [...found, ...wrong].sort((a, b) => a.number - b.number)
        for (const key of ["fresh", "same", "changed", "wrong"] as const) sum[key] += counted[key]
        for (const one of told) onLine(one)
      })
    )
    // A list that could not be made is empty as well: it takes nothing away.
    const empty = sum.fresh + sum.same + sum.changed + sum.wrong === 0
    const { done, failed, open } = yield* thread.call("counts")
    const taken =
      (sum.wrong === 0 || skipInvalid) && (sum.changed === 0 || replan) && !(empty && open + done + failed > 0)
    // A manifest with lines that are wrong is read again each time, to say so each time.
    const { told, vanished } = yield* thread.call(
      "loadEnd",
      taken ? (trial ? "try" : "keep") : "forget",
      sum.wrong === 0 ? content : undefined
    )
    for (const one of told) onLine(one)
    return { ...sum, vanished, taken }
  })

/**
 * Opens the journal for a run; a file that is not there is made. Fails with `Locked` where another run that lives has it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const open = (path: string): Effect.Effect<Journal, JournalError, Scope.Scope> =>
  Effect.gen(function* () {
    const owner = `process ${process.pid} on ${hostname()}, since ${new Date().toISOString()}`
    const thread = yield* Thread.start({ path, how: "write", owner })
    const epoch = yield* thread.call("open")
    return {
      path,
      epoch,
      load: load(thread),
      hold: thread.call("hold"),
      counts: thread.call("counts"),
      next: ({ end, limit, now, order }) =>
        Effect.map(thread.call("next", order, end, limit, now), (rows) => rows.map(itemOf)),
      take: (id, now) =>
        Effect.map(thread.call("take", id, now), (row) => (row === undefined ? undefined : itemOf(row))),
      make: (seq, made) => thread.call("make", seq, made),
      unmake: (seq, made) => thread.call("unmake", seq, made),
      madeOf: (seq) => Effect.map(thread.call("madeOf", seq), (made) => made as unknown as Item["made"]),
      end: (seq, ended) => thread.call("end", seq, ended),
      release: (seq, { left, standing }) => thread.call("release", seq, left, standing),
      strays: Effect.map(thread.call("strays"), (rows) => rows.map(itemOf)),
      reopen: (which) =>
        "failed" in which ? thread.call("reopenFailed", which.failed) : thread.call("reopen", which.id, which.wrong),
      tookBack: thread.call("tookBack"),
      copied: thread.call("copied"),
      ofImage: (id) =>
        Effect.map(thread.call("ofImage", id.toLowerCase()), (rows) =>
          (rows as unknown as ReadonlyArray<Row & { readonly receipt: string | null }>).map((row) => ({
            line: lineOf(row),
            state: row.state === 2 ? "done" : row.state === 3 ? "failed" : "open",
            receipt: row.receipt ?? undefined
          }))
        ),
      receipts: (after) => receipts(thread, after),
      knows: (id, receipt) => thread.call("knows", id, receipt),
      has: (id) => thread.call("has", id),
      receiptOf: (id) => thread.call("receiptOf", id),
      verdictOf: (id) => thread.call("verdictOf", id),
      stands: (object) => thread.call("stands", object),
      commits: thread.commits
    }
  })

/**
 * The receipts of a journal, in the order in which they were noted, also of one that is being written.
 *
 * @since 0.1.0
 * @category reading
 */
export const readReceipts = (path: string): Stream.Stream<Noted, JournalError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      if (!existsSync(path)) {
        return yield* new JournalError({ reason: "Unusable", path, message: "there is no such file" })
      }
      const thread = yield* Thread.start({ path, how: "read", owner: "" })
      yield* thread.call("open")
      return receipts(thread, 0)
    })
  )
