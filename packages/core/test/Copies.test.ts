/** Copies that a service makes of a proven object: asked for, watched, asked for again, and judged one by one. */
import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import type { CopyLook, CopyState } from "@headrace/core/Copies"
import type { Reason } from "@headrace/core/Reason"
import * as Source from "@headrace/core/Source"
import type { Plan, Store } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as Script from "./support/ScriptedStore.ts"

const bytes = randomBytes(200_000)
const sha512 = createHash("sha512").update(bytes).digest("hex")

const error = (reason: Reason, more?: Partial<StoreError.Fields>) =>
  StoreError.make(reason, { uri: "script://store/object", message: `scripted ${reason}`, ...more })

type Shown = CopyState["_tag"]

/** What a service does with one request. */
interface Asked {
  /** How the request ends. */
  readonly answer?: StoreError.StoreError
  /** Looks for which it is at work; `Infinity` is one that hangs. */
  readonly busy?: number
  /** What each place is while it is at work, and afterwards. */
  readonly during?: Readonly<Record<string, Shown>>
  readonly then?: Readonly<Record<string, Shown>>
}

interface Service {
  readonly requests: ReadonlyArray<Asked>
  /** Errors of looks, in order, before the looks that see something. */
  readonly looks?: Array<StoreError.StoreError | "ok">
  readonly busyBefore?: number
  /** Whether every look differs from the one before. */
  readonly lively?: boolean
  /** What each place is before anything was asked for. */
  readonly before?: Readonly<Record<string, Shown>>
  readonly deletedAfter?: number
  readonly digests?: Readonly<Record<string, string>>
  readonly plans?: Plan
  /** Whether the object stands where it is not at its own place. */
  readonly elsewhere?: boolean
}

const places = ["b", "c"]

/** A scripted store whose service copies by itself. */
const copying = (service: Service, script = Script.make({})) => {
  const asked: Array<ReadonlyArray<string>> = []
  const shown = new Map<string, Shown>(Object.entries(service.before ?? {}))
  let busy = service.busyBefore ?? 0
  let then: Asked["then"] = {}
  let looks = 0
  const look = Effect.suspend((): Effect.Effect<CopyLook, StoreError.StoreError> => {
    looks++
    const scripted = service.looks?.shift() ?? "ok"
    if (scripted !== "ok") return Effect.fail(scripted)
    const atWork = busy-- > 0
    if (!atWork) for (const [place, state] of Object.entries(then ?? {})) shown.set(place, state)
    const deleted = looks > (service.deletedAfter ?? Infinity)
    return Effect.succeed({
      object: deleted
        ? undefined
        : { id: "new-1", store: "a,b,c", size: bytes.byteLength, digests: service.digests ?? { sha512 } },
      busy: atWork ? "the service copies" : undefined,
      mark: service.lively === true ? String(looks) : String(atWork),
      places: new Map(
        [...shown].map(([place, _tag]): [string, CopyState] => [
          place,
          _tag === "Failed"
            ? { _tag, error: error("Unavailable", { retryable: true, message: "the copy failed" }) }
            : { _tag }
        ])
      )
    } as CopyLook)
  })
  const requests = [...service.requests]
  const request = (wanted: ReadonlyArray<string>) =>
    Effect.suspend(() => {
      asked.push(wanted)
      const next = requests.shift() ?? {}
      busy = next.busy ?? busy
      then = next.then
      for (const [place, state] of Object.entries(next.during ?? {})) shown.set(place, state)
      return next.answer === undefined ? Effect.void : Effect.fail(next.answer)
    })
  const store: Store = {
    ...script.store,
    copies: places.map((place) => ({
      uri: `script://store/object?at=${place}`,
      place,
      plan: Effect.succeed(service.plans ?? { action: "create", why: "copied by the service" })
    })),
    open: (content) =>
      Effect.map(script.store.open(content), (session) => ({
        ...session,
        copying: {
          request,
          look: () => look,
          unreadable: "a copy cannot be read back",
          ...(service.elsewhere === undefined ? undefined : { elsewhere: () => service.elsewhere! })
        }
      }))
  }
  return { store, asked, log: script.log }
}

type Made = ReturnType<typeof copying>

const run = (made: Made, options: Partial<Transfer.Options> = {}, events: Array<TransferEvent> = []) =>
  Effect.gen(function* () {
    const exit = yield* Effect.exit(
      Transfer.run({
        source: Source.fromBytes(bytes),
        to: [made.store],
        retries: 1,
        answerMs: 600,
        onEvent: (event) => Effect.sync(() => void events.push(event)),
        ...options
      }).pipe(Effect.provideService(BlockPool, makeUnsafe({ bytes: 1024 * 1024, blockBytes: 64 * 1024 })))
    )
    const last = events.at(-1)
    if (last?.type !== "receipt") return assert.fail("the receipt is not the last event")
    return { exit, receipt: last, events, ends: last.destinations }
  })

const reasons = (ends: TransferEventEnds) => ends.map(({ error, status }) => error?.reason ?? status)
type TransferEventEnds = Effect.Success<ReturnType<typeof run>>["ends"]

const both = { b: "Copied", c: "Copied" } as const

describe("copies that the service makes", () => {
  it.live("are asked for at once, and each is proven, without a byte sent", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: 3, then: both }] })
      const { ends, events, exit } = yield* run(made)
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(reasons(ends), ["verified", "verified", "verified"])
      assert.deepStrictEqual(made.asked, [["b", "c"]])
      assert.deepStrictEqual(
        ends.map(({ attempts, bytesSent, object, required, uri }) => [
          uri,
          required,
          attempts,
          bytesSent,
          object?.store
        ]),
        [
          ["script://store/object", true, 1, bytes.byteLength, undefined],
          ["script://store/object?at=b", true, 1, 0, "b"],
          ["script://store/object?at=c", true, 1, 0, "c"]
        ]
      )
      assert.deepStrictEqual(ends[1]?.proof?.compared, ["sha512"])
      const start = events[0]
      assert.deepStrictEqual(
        start?.type === "start" && start.destinations.map(({ uri }) => uri),
        ends.map(({ uri }) => uri)
      )
      assert.deepStrictEqual(
        events.flatMap((event) => (event.type === "verdict" ? [event.uri] : [])),
        ends.map(({ uri }) => uri)
      )
    })
  )

  it.live("are in every progress, as whole or not at all", () =>
    Effect.gen(function* () {
      const { events } = yield* run(copying({ requests: [{ busy: 6, then: both }] }))
      const last = events.findLast((event) => event.type === "progress")
      assert.deepStrictEqual(
        last?.destinations.map(({ sent }) => sent),
        [bytes.byteLength, 0, 0]
      )
      assert.isNull(last?.etaMs)
    })
  )

  it.live("of which one fails are asked for again alone, and the others stand", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: 1, then: { b: "Copied", c: "Failed" } }, { then: { c: "Failed" } }] })
      const { ends, events, exit } = yield* run(made)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(reasons(ends), ["verified", "verified", "Unavailable"])
      assert.deepStrictEqual(made.asked, [["b", "c"], ["c"]])
      assert.deepStrictEqual([ends[2]?.attempts, ends[2]?.error?.left], [2, "stored object new-1"])
      const retries = events.flatMap((event) => (event.type === "retry" ? [[event.uri, event.attempt]] : []))
      assert.deepStrictEqual(retries, [["script://store/object?at=c", 1]])
      assert.deepStrictEqual(
        ends.map(({ retried }) => retried),
        [undefined, undefined, { Unavailable: 1 }]
      )
      assert.deepStrictEqual(made.log.deleted, [])
    })
  )

  it.live("that come after a lost answer are not asked for twice", () =>
    Effect.gen(function* () {
      const answer = error("ConnectionLost", { retryable: true, clear: false })
      const made = copying({ requests: [{ answer, busy: 2, then: both }] })
      assert.deepStrictEqual(reasons((yield* run(made)).ends), ["verified", "verified", "verified"])
      assert.strictEqual(made.asked.length, 1)
    })
  )

  it.live("wait for what the service does for somebody else, which is no failure", () =>
    Effect.gen(function* () {
      const answer = error("Conflict", { retryable: true, clear: false, status: 409 })
      const made = copying({ requests: [{ answer, busy: 3 }, { then: both }], busyBefore: 2 })
      const { ends, events } = yield* run(made, { retries: 0 })
      assert.deepStrictEqual(reasons(ends), ["verified", "verified", "verified"])
      assert.strictEqual(made.asked.length, 2)
      assert.isFalse(events.some(({ type }) => type === "retry"))
    })
  )

  it.live("that the service loses are asked for again, and then given up", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: 1 }, { busy: 1 }] })
      const { ends } = yield* run(made)
      assert.deepStrictEqual(reasons(ends), ["verified", "Unavailable", "Unavailable"])
      assert.include(ends[1]?.error?.message, "shows neither a copy nor a failure")
      assert.strictEqual(made.asked.length, 2)
    })
  )

  it.live("that hang are given up when nothing has changed for so long", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: Infinity }] })
      const { ends } = yield* run(made)
      assert.deepStrictEqual(reasons(ends), ["verified", "Stalled", "Stalled"])
      assert.include(ends[1]?.error?.message, "the service copies, and nothing has changed for 1 s")
      assert.strictEqual(made.asked.length, 1)
    })
  )

  it.live("are judged when the service has done, or does nothing any more", () =>
    Effect.gen(function* () {
      // What is there while the service is at work is taken back in the end.
      const back = copying({ requests: [{ busy: 3, during: both, then: { b: "Copied", c: "Failed" } }] })
      assert.deepStrictEqual(reasons((yield* run(back, { retries: 0 })).ends), ["verified", "verified", "Unavailable"])
      const stuck = copying({ requests: [{ busy: Infinity, during: { b: "Copied" } }] })
      assert.deepStrictEqual(reasons((yield* run(stuck)).ends), ["verified", "verified", "Stalled"])
    })
  )

  it.live("that take long are waited for as long as something changes", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: 15, then: both }], lively: true })
      const { ends } = yield* run(made)
      assert.deepStrictEqual(reasons(ends), ["verified", "verified", "verified"])
      assert.isAbove(ends[1]!.elapsedMs, 600)
    })
  )

  it.live("whose look fails for a moment are looked at again; for good, and they have failed", () =>
    Effect.gen(function* () {
      const away = () => error("Unavailable", { retryable: true, clear: false })
      const short = copying({ requests: [{ then: both }], looks: ["ok", away(), away()] })
      assert.deepStrictEqual(reasons((yield* run(short)).ends), ["verified", "verified", "verified"])
      const long = copying({ requests: [{ then: both }], looks: ["ok", ...Array.from({ length: 99 }, away)] })
      assert.deepStrictEqual(reasons((yield* run(long)).ends), ["verified", "Unavailable", "Unavailable"])
      const final = copying({ requests: [], looks: [error("Forbidden", { status: 403 })] })
      assert.deepStrictEqual(reasons((yield* run(final)).ends), ["verified", "Forbidden", "Forbidden"])
    })
  )

  it.live("that are refused clearly are not asked for again, and no request is counted that was not made", () =>
    Effect.gen(function* () {
      const refused = copying({ requests: [{ answer: error("Forbidden", { status: 403 }) }] })
      const { ends } = yield* run(refused)
      assert.deepStrictEqual(reasons(ends), ["verified", "Forbidden", "Forbidden"])
      assert.deepStrictEqual([refused.asked.length, ends[1]?.attempts, ends[1]?.error?.status], [1, 1, 403])
      const unable = yield* run(copying({ requests: [{ answer: error("Unsupported") }] }))
      assert.deepStrictEqual([unable.ends[1]?.error?.reason, unable.ends[1]?.attempts], ["Unsupported", 0])
    })
  )

  it.live("of an object that is deleted meanwhile have failed, and so have those of other bytes", () =>
    Effect.gen(function* () {
      const deleted = yield* run(copying({ requests: [{ busy: 9 }], deletedAfter: 2 }))
      assert.deepStrictEqual(reasons(deleted.ends), ["verified", "Gone", "Gone"])
      const other = yield* run(copying({ requests: [{ then: both }], digests: { sha512: "0".repeat(128) } }))
      assert.deepStrictEqual(reasons(other.ends), ["verified", "DigestMismatch", "DigestMismatch"])
      if (Exit.isSuccess(other.exit)) return assert.fail("it succeeded")
      const reason = other.exit.cause.reasons[0]
      assert.strictEqual(reason?._tag === "Fail" && reason.error.reason._tag, "DigestMismatch")
    })
  )

  it.live("are not judged by a failure from before they were asked for", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: 1, then: both }], before: { b: "Failed", c: "Failed" } })
      assert.deepStrictEqual(reasons((yield* run(made, { retries: 0 })).ends), ["verified", "verified", "verified"])
    })
  )

  it.live("that are there already are not asked for", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ then: { c: "Copied" } }], before: { b: "Copied" } })
      const { ends } = yield* run(made)
      assert.deepStrictEqual(reasons(ends), ["verified", "verified", "verified"])
      assert.deepStrictEqual(made.asked, [["c"]])
      assert.strictEqual(ends[1]?.attempts, 0)
    })
  )

  it.live("where nothing can be compared are stored, and read back is only what was sent", () =>
    Effect.gen(function* () {
      const stored = yield* run(copying({ requests: [{ then: both }], digests: {} }))
      assert.deepStrictEqual(reasons(stored.ends), ["verified", "stored", "stored"])
      const back = yield* run(copying({ requests: [{ then: both }] }), { verify: "destination" })
      assert.deepStrictEqual(
        back.ends.map(({ notes, proof, status }) => [status, proof?.level, notes]),
        [
          ["verified", "destination", undefined],
          ["verified", "transfer", ["a copy cannot be read back"]],
          ["verified", "transfer", ["a copy cannot be read back"]]
        ]
      )
    })
  )

  it.live("of an object that came to nothing fail with it, and nobody is asked", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ failAfter: 10, reason: "QuotaExceeded", clear: true }] })
      const made = copying({ requests: [] }, script)
      const { ends } = yield* run(made)
      assert.deepStrictEqual(reasons(ends), ["QuotaExceeded", "QuotaExceeded", "QuotaExceeded"])
      assert.include(ends[1]?.error?.message, "there is nothing to copy: ")
      assert.deepStrictEqual([ends[1]?.error?.left, made.asked.length], ["none", 0])
      const empty = yield* run(copying({ requests: [] }), { source: Source.fromBytes(new Uint8Array()) })
      assert.deepStrictEqual(reasons(empty.ends), ["SourceTooShort", "SourceTooShort", "SourceTooShort"])
    })
  )

  it.live("of an object that stands at theirs alone are proven, and nothing is deleted", () =>
    Effect.gen(function* () {
      const script = Script.make({ place: "ignored" })
      const made = copying({ requests: [], before: both, elsewhere: true }, script)
      const { ends, exit } = yield* run(made)
      assert.isTrue(Exit.isFailure(exit))
      assert.deepStrictEqual(reasons(ends), ["StoreIgnored", "verified", "verified"])
      assert.deepStrictEqual(ends[1]?.proof?.compared, ["sha512"])
      assert.deepStrictEqual([ends[0]?.error?.left, script.log.deleted], ["stored object new-1", []])
      assert.isTrue(script.log.sealed)
      for (const elsewhere of [false, undefined]) {
        const nowhere = Script.make({ place: "ignored" })
        const service = { requests: [], before: both, ...(elsewhere === undefined ? undefined : { elsewhere }) }
        const outcome = yield* run(copying(service, nowhere))
        assert.deepStrictEqual(reasons(outcome.ends), ["StoreIgnored", "StoreIgnored", "StoreIgnored"])
        assert.deepStrictEqual([outcome.ends[0]?.error?.left, nowhere.log.deleted], ["none", ["new-1"]])
      }
    })
  )

  it.live("of a destination on best effort are on best effort", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ answer: error("Forbidden", { status: 403 }) }] })
      const { ends, exit } = yield* run(made, { to: [Script.make({}).store], also: [made.store] })
      assert.isTrue(Exit.isSuccess(exit))
      assert.deepStrictEqual(
        ends.map(({ required }) => required),
        [true, false, false, false]
      )
    })
  )

  it.live("are cancelled by an interruption, and what is proven stays", () =>
    Effect.gen(function* () {
      const made = copying({ requests: [{ busy: Infinity }] })
      const events: Array<TransferEvent> = []
      const fiber = yield* Effect.forkChild(run(made, { answerMs: 60_000 }, events))
      while (made.asked.length === 0) yield* Effect.sleep(10)
      yield* Fiber.interrupt(fiber)
      const last = events.at(-1)
      if (last?.type !== "receipt") return assert.fail("no receipt")
      assert.deepStrictEqual(
        last.destinations.map(({ error, status }) => [status, error?.left]),
        [
          ["verified", undefined],
          ["cancelled", "stored object new-1"],
          ["cancelled", "stored object new-1"]
        ]
      )
      assert.include(last.destinations[1]?.error?.message, "may go on copying")
      assert.deepStrictEqual(made.log.deleted, [])
    })
  )

  it.effect("are planned, each for itself", () =>
    Effect.gen(function* () {
      const { store } = copying({ requests: [], plans: { action: "fail", why: "it copies nothing" } })
      const planned = yield* Transfer.plan({ source: Source.fromBytes(bytes), to: [store] }).pipe(
        Effect.provideService(BlockPool, makeUnsafe({ bytes: 1024 * 1024, blockBytes: 64 * 1024 }))
      )
      assert.deepStrictEqual(
        planned.destinations.map(({ action, uri, why }) => [uri, action, why]),
        [
          ["script://store/object", "create", "scripted"],
          ["script://store/object?at=b", "fail", "it copies nothing"],
          ["script://store/object?at=c", "fail", "it copies nothing"]
        ]
      )
    })
  )
})
