import { createHash, randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import * as Blocks from "@headrace/core/Blocks"
import type { Receipt } from "@headrace/core/Receipt"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import type { Store, WholeSession } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as Script from "./support/ScriptedStore.ts"

const bytes = randomBytes(300_000)
const sha512 = createHash("sha512").update(bytes).digest("hex")
const pool = () => makeUnsafe({ bytes: 1024 * 1024, blockBytes: 64 * 1024 })

const run = (
  script: ReturnType<typeof Script.make>,
  options: Partial<Transfer.Options> = {},
  events: Array<TransferEvent> = []
) =>
  Effect.gen(function* () {
    const memory = pool()
    const exit = yield* Effect.exit(
      Transfer.run({
        source: Source.fromBytes(bytes),
        to: [script.store],
        retries: 3,
        answerMs: 1000,
        onEvent: (event) =>
          Effect.sync(() => {
            events.push(event)
          }),
        ...options
      }).pipe(Effect.provideService(BlockPool, memory))
    )
    assert.strictEqual(memory.stats().inUse, 0)
    assert.strictEqual(memory.stats().reserved, 0)
    return exit
  })

const ok = (exit: Exit.Exit<unknown, unknown>) => {
  assert.isTrue(Exit.isSuccess(exit), JSON.stringify(exit))
}

const failure = (exit: Exit.Exit<unknown, Transfer.TransferError>) => {
  if (Exit.isSuccess(exit)) return assert.fail("it succeeded")
  const reason = exit.cause.reasons[0]
  if (reason?._tag !== "Fail") return assert.fail(`no error: ${JSON.stringify(exit)}`)
  return reason.error
}

/** The script's store, with something else in its session. */
const altered = (
  script: ReturnType<typeof Script.make>,
  alter: (session: WholeSession) => Partial<WholeSession>
): Store => ({
  ...script.store,
  open: (content) => Effect.map(script.store.open(content), (session) => ({ ...session, ...alter(session) }))
})

describe("a transfer that goes well", () => {
  it.live("is verified, and its receipt says by what", () =>
    Effect.gen(function* () {
      const script = Script.make({})
      const events: Array<TransferEvent> = []
      const exit = yield* run(script, {}, events)
      if (Exit.isFailure(exit)) return assert.fail(JSON.stringify(exit))
      const receipt = exit.value
      const to = receipt.destinations[0]!
      assert.strictEqual(to.status, "verified")
      assert.deepStrictEqual(to.proof?.compared, ["md5", "sha512"])
      assert.strictEqual(receipt.source.digests.sha512, sha512)
      assert.strictEqual(receipt.source.size, bytes.byteLength)
      assert.strictEqual(to.attempts, 1)
      assert.strictEqual(to.bytesSent, bytes.byteLength)
      assert.deepStrictEqual(script.log.calls, ["begin", "write", "inspect"])
      assert.isTrue(script.log.sealed)
      assert.deepStrictEqual(new Uint8Array(script.log.bodies[0]!), new Uint8Array(bytes))
      assert.deepStrictEqual(
        events.map((e) => e.type).filter((t) => t !== "progress"),
        ["start", "verdict", "receipt"]
      )
    })
  )

  it.live("is `stored` where the store reports no digest, unless it is read back", () =>
    Effect.gen(function* () {
      const stored = yield* run(Script.make({ digests: [] }))
      if (Exit.isFailure(stored)) return assert.fail("failed")
      assert.strictEqual(stored.value.destinations[0]!.status, "stored")
      const back = yield* run(Script.make({ digests: [] }), { verify: "destination", digest: ["sha256"] })
      if (Exit.isFailure(back)) return assert.fail("failed")
      assert.strictEqual(back.value.destinations[0]!.status, "verified")
      const wrong = yield* run(Script.make({ readBack: (b) => b.map((x, i) => (i === 5 ? x ^ 1 : x)) }), {
        verify: "destination"
      })
      assert.strictEqual(failure(wrong).reason._tag, "DigestMismatch")
    })
  )

  it.live("gives its events as a stream that ends with the receipt", () =>
    Effect.gen(function* () {
      const events = yield* Stream.runCollect(
        Transfer.events({ source: Source.fromBytes(bytes), to: [Script.make({}).store] })
      ).pipe(Effect.provideService(BlockPool, pool()))
      assert.strictEqual(events.at(-1)?.type, "receipt")
      assert.strictEqual(events[0]?.type, "start")
    })
  )
})

describe("a reader of events that leaves", () => {
  it.effect("ends the transfer, also when it had not read for so long that no event could be added", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ hang: true }] })
      const memory = pool()
      const leave = yield* Deferred.make<void>()
      const reading = yield* Transfer.events({ source: Source.fromBytes(bytes), to: [script.store] }).pipe(
        Stream.runForEach(() => Effect.andThen(Deferred.await(leave), Effect.fail("enough" as const))),
        Effect.provideService(BlockPool, memory),
        Effect.exit,
        Effect.forkChild({ startImmediately: true })
      )
      // Four progress events a second.
      for (let second = 0; second < 60; second++) yield* TestClock.adjust(1000)
      yield* Deferred.succeed(leave, undefined)
      for (let second = 0; second < 10; second++) yield* TestClock.adjust(1000)
      assert.isDefined(reading.pollUnsafe())
      assert.deepStrictEqual(script.log.deleted, ["new-1"])
      assert.strictEqual(memory.stats().reserved, 0)
    })
  )
})

describe("after an unclear end", () => {
  const table: ReadonlyArray<{
    readonly name: string
    readonly steps: ReadonlyArray<Script.Step>
    readonly given?: boolean
    readonly calls: ReadonlyArray<string>
    readonly reason?: string
    readonly left?: string
  }> = [
    {
      name: "a lost answer is no lost upload: the digest proves it",
      steps: [{ take: "whole", answer: "lost" }],
      calls: ["begin", "write", "inspect"]
    },
    {
      name: "a reset in the body sends it again, from the start, to the same object",
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true }],
      calls: ["begin", "write", "inspect", "write", "inspect"]
    },
    {
      name: "a given object is sent to again",
      given: true,
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true }],
      calls: ["begin", "write", "inspect", "write", "inspect"]
    },
    {
      name: "an object that is busy for a while is waited for",
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true, busyLooks: 2 }],
      calls: ["begin", "write", "inspect", "inspect", "inspect", "write", "inspect"]
    },
    {
      name: "an object that stays busy is made anew",
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true, leaves: "Busy" }],
      calls: ["begin", "write", "recreate", "write", "inspect"]
    },
    {
      name: "an object of ours that stays busy with an earlier body, and refuses another, is made anew",
      steps: [
        { failAfter: 100_000, reason: "ConnectionLost", retryable: true },
        { failAfter: 0, reason: "Conflict", leaves: "Busy" }
      ],
      calls: ["begin", "write", "inspect", "write", "recreate", "write", "inspect"]
    },
    {
      name: "a given object that stays busy with another's body is left, and said",
      given: true,
      steps: [{ failAfter: 0, reason: "Conflict", leaves: "Busy" }],
      calls: ["begin", "write", "discard"],
      reason: "Conflict",
      left: "busy object given"
    },
    {
      name: "a spoiled object is made anew",
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true, leaves: "Spoiled" }],
      calls: ["begin", "write", "inspect", "recreate", "write", "inspect"]
    },
    {
      name: "a spoiled object that was given is left, and said",
      given: true,
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true, leaves: "Spoiled" }],
      calls: ["begin", "write", "inspect", "discard"],
      reason: "ConnectionLost",
      left: "spoiled object given"
    },
    {
      name: "an object that was deleted meanwhile is made anew",
      steps: [{ failAfter: 100_000, reason: "Gone", leaves: "Absent" }],
      calls: ["begin", "write", "inspect", "recreate", "write", "inspect"]
    },
    {
      name: "a given object that was deleted meanwhile is gone",
      given: true,
      steps: [{ failAfter: 100_000, reason: "Gone", leaves: "Absent" }],
      calls: ["begin", "write", "inspect", "discard"],
      reason: "Gone",
      left: "none"
    },
    ...([true, false] as const).map((given) => ({
      name: `an earlier body that arrives late is success, ${given ? "given" : "ours"}`,
      given,
      steps: [
        { failAfter: bytes.length, reason: "Unavailable", retryable: true },
        { failAfter: 0, reason: "Conflict", leaves: "late" }
      ] as const,
      calls: ["begin", "write", "inspect", "write", "inspect"]
    })),
    {
      name: "a late body that is cut is another's",
      steps: [
        { failAfter: 100_000, reason: "Unavailable", retryable: true },
        { failAfter: 0, reason: "Conflict", leaves: "late" }
      ],
      calls: ["begin", "write", "inspect", "write", "inspect"],
      reason: "Conflict",
      left: "stored object new-1"
    },
    {
      name: "another writer's bytes are never deleted",
      steps: [{ failAfter: 0, reason: "Conflict", leaves: "foreign" }],
      calls: ["begin", "write", "inspect"],
      reason: "Conflict",
      left: "stored object new-1"
    },
    {
      name: "a clear refusal is final, and what we made is deleted",
      steps: [{ failAfter: 0, reason: "Forbidden", clear: true }],
      calls: ["begin", "write", "discard"],
      reason: "Forbidden",
      left: "none"
    },
    {
      name: "wrong bytes at the store are deleted when we made the object",
      steps: [{ take: "whole", corrupt: true }],
      calls: ["begin", "write", "inspect", "discard"],
      reason: "DigestMismatch",
      left: "none"
    },
    {
      name: "too few bytes at the store are a mismatch of size; a given object is left",
      given: true,
      steps: [{ take: "whole", truncate: 10 }],
      calls: ["begin", "write", "inspect", "discard"],
      reason: "SizeMismatch",
      left: "stored object given"
    },
    {
      name: "wrong bytes after a lost answer are sent again",
      steps: [{ take: "whole", answer: "lost", corrupt: true }],
      calls: ["begin", "write", "inspect", "recreate", "write", "inspect"]
    },
    {
      name: "another writer's bytes are not deleted either when ours were read to their end",
      steps: [{ failAfter: bytes.byteLength, reason: "Gone", leaves: "foreign" }],
      calls: ["begin", "write", "inspect"],
      reason: "Gone",
      left: "stored object new-1"
    },
    {
      name: "wrong bytes in a given object after a lost answer are left, and said",
      given: true,
      steps: [{ take: "whole", answer: "lost", corrupt: true }],
      calls: ["begin", "write", "inspect", "discard"],
      reason: "DigestMismatch",
      left: "stored object given"
    },
    {
      name: "a given object that stays busy is left, and said",
      given: true,
      steps: [{ failAfter: 100_000, reason: "ConnectionLost", retryable: true, leaves: "Busy" }],
      calls: ["begin", "write", "discard"],
      reason: "ConnectionLost",
      left: "busy object given"
    }
  ]
  for (const row of table) {
    it.live(row.name, () =>
      Effect.gen(function* () {
        const script = Script.make({ steps: row.steps, given: row.given ?? false })
        const exit = yield* run(script)
        const calls = row.name.includes("stays busy")
          ? script.log.calls.filter((c) => c !== "inspect" || false)
          : script.log.calls
        const expected = row.name.includes("stays busy") ? row.calls.filter((c) => c !== "inspect") : row.calls
        assert.deepStrictEqual(calls, [...expected])
        if (row.reason === undefined) return ok(exit)
        const error = failure(exit)
        assert.strictEqual(error.reason._tag, row.reason)
        assert.strictEqual(error.left, row.left)
      })
    )
  }

  const away = StoreError.make("Unavailable", { uri: "script://store/object", message: "away", retryable: true })

  it.live(
    "a store that is away for a moment is asked again, one that stays away for as long as an answer may take",
    () =>
      Effect.gen(function* () {
        for (const looks of [2, Infinity]) {
          const script = Script.make({ steps: [{ take: "whole", answer: "lost" }] })
          let left = looks
          const store = altered(script, ({ inspect }) => ({
            inspect: Effect.suspend(() => (left-- > 0 ? Effect.fail(away) : inspect))
          }))
          const exit = yield* run(script, { to: [store] })
          assert.strictEqual(script.log.bodies.length, 1)
          if (looks === 2) ok(exit)
          else assert.strictEqual(failure(exit).reason._tag, "ConnectionLost")
        }
      })
  )

  it.live("the receipt counts what was tried again by reason, and says nothing of it where nothing was", () =>
    Effect.gen(function* () {
      const lost = { failAfter: 100_000, reason: "ConnectionLost" as const, retryable: true }
      const full = { failAfter: 0, reason: "Unavailable" as const, retryable: true }
      const retriedOf = (exit: Exit.Exit<Receipt, Transfer.TransferError>) =>
        (Exit.isSuccess(exit) ? exit.value : failure(exit).receipt).destinations[0]!.retried
      const events: Array<TransferEvent> = []
      const good = yield* run(Script.make({ steps: [lost, full, lost] }), {}, events)
      ok(good)
      assert.deepStrictEqual(retriedOf(good), { ConnectionLost: 2, Unavailable: 1 })
      assert.lengthOf(
        events.filter(({ type }) => type === "retry"),
        3
      )
      const verdict = events.find((event) => event.type === "verdict")
      assert.deepStrictEqual(verdict?.retried, retriedOf(good))
      // The last failure of all is the receipt's error, and was not tried again.
      assert.deepStrictEqual(retriedOf(yield* run(Script.make({ steps: [full, full] }), { retries: 1 })), {
        Unavailable: 1
      })
      assert.isUndefined(retriedOf(yield* run(Script.make({ steps: [] }))))
    })
  )

  it.live("waits as long as the store has asked for", () =>
    Effect.gen(function* () {
      const events: Array<TransferEvent> = []
      const steps = [{ failAfter: 0, reason: "Unavailable" as const, retryable: true, retryAfterMs: 1200 }]
      ok(yield* run(Script.make({ steps }), {}, events))
      assert.deepStrictEqual(
        events.flatMap((event) => (event.type === "retry" ? [event.waitMs] : [])),
        [1200]
      )
    })
  )

  it.live("waits no longer than a quarter of an hour, whatever the store has asked for", () =>
    Effect.gen(function* () {
      const steps = [{ failAfter: 0, reason: "Unavailable" as const, retryable: true, retryAfterMs: 1e12 }]
      const waits: Array<number> = []
      const onEvent = (event: TransferEvent) => {
        if (event.type !== "retry") return Effect.void
        waits.push(event.waitMs)
        return Effect.interrupt
      }
      yield* Effect.exit(run(Script.make({ steps }), { onEvent }))
      assert.deepStrictEqual(waits, [900_000])
    })
  )

  it.live("a token renewed before any byte is no attempt, the second refusal in a row is one", () =>
    Effect.gen(function* () {
      const refused = { failAfter: 0, reason: "Unauthorized" as const, retryable: true, clear: true }
      const exit = yield* run(Script.make({ steps: [refused] }), { retries: 0 })
      if (Exit.isFailure(exit)) return assert.fail(JSON.stringify(exit))
      assert.strictEqual(exit.value.destinations[0]!.attempts, 1)
      const error = failure(yield* run(Script.make({ steps: [refused, refused] }), { retries: 0 }))
      assert.strictEqual(error.reason._tag, "Unauthorized")
    })
  )

  it.live("gives up after the retries that were asked for", () =>
    Effect.gen(function* () {
      const script = Script.make({
        steps: Array.from({ length: 9 }, () => ({
          failAfter: 1000,
          reason: "Unavailable" as const,
          retryable: true
        }))
      })
      const exit = yield* run(script, { retries: 1 })
      const error = failure(exit)
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.strictEqual(error.receipt.destinations[0]!.attempts, 2)
      assert.strictEqual(script.log.bodies.length, 2)
    })
  )

  it.live("keeps what failed when told to", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ take: "whole", corrupt: true }] })
      const error = failure(yield* run(script, { keepFailed: true }))
      assert.strictEqual(error.left, "stored object new-1")
      assert.deepStrictEqual(script.log.deleted, [])
    })
  )

  it.live("reports an ignored place", () =>
    Effect.gen(function* () {
      const script = Script.make({ place: "ignored" })
      assert.strictEqual(failure(yield* run(script)).reason._tag, "StoreIgnored")
    })
  )
})

describe("the source's own errors", () => {
  const source = (over: Partial<Source.Source> & { data?: Uint8Array; size?: number | undefined }): Source.Source => ({
    ...Source.fromStream({
      uri: "test:source",
      replayable: true,
      info: Effect.succeed({ size: "size" in over ? over.size : bytes.byteLength, identity: "a" }),
      open: () => Stream.succeed(over.data ?? bytes)
    }),
    ...over
  })

  it.live("an empty source asks no store", () =>
    Effect.gen(function* () {
      const script = Script.make({})
      const error = failure(yield* run(script, { source: Source.fromBytes(new Uint8Array(0)) }))
      assert.strictEqual(error.reason._tag, "SourceTooShort")
      assert.deepStrictEqual(script.log.calls, [])
      const unknown = failure(yield* run(script, { source: source({ data: new Uint8Array(0), size: undefined }) }))
      assert.strictEqual(unknown.reason._tag, "SourceTooShort")
      assert.deepStrictEqual(script.log.calls, [])
      ok(yield* run(script, { source: Source.fromBytes(new Uint8Array(0)), allowEmpty: true }))
    })
  )

  it.live("a service that answers 'later' at the first look is asked again, one that cannot be reached is not", () =>
    Effect.gen(function* () {
      const failing = (times: number, status: number | undefined) => {
        const looks = { count: 0 }
        const info = Effect.suspend(() =>
          ++looks.count > times
            ? Effect.succeed({ size: bytes.byteLength, identity: "a" })
            : Effect.fail(
                SourceError.make("Unavailable", {
                  uri: "test:source",
                  message: "not now",
                  retryable: true,
                  ...(status === undefined ? undefined : { status })
                })
              )
        )
        return { looks, info }
      }
      const away = failing(1, 503)
      ok(yield* run(Script.make({}), { source: source({ info: away.info }) }))
      const unreachable = failing(1, undefined)
      const script = Script.make({})
      const error = failure(yield* run(script, { source: source({ info: unreachable.info }) }))
      assert.strictEqual(error.reason._tag, "Unavailable")
      assert.strictEqual(unreachable.looks.count, 1)
      assert.isTrue(error.receipt.destinations[0]!.error!.ofSource)
      const never = failing(9, 503)
      assert.strictEqual(failure(yield* run(script, { source: source({ info: never.info }), retries: 1 })).status, 503)
      assert.strictEqual(never.looks.count, 2)
      assert.deepStrictEqual(script.log.calls, [])
    })
  )

  for (const [reason, over] of [
    ["SourceTooShort", { size: bytes.byteLength + 1 }],
    ["SourceTooLong", { size: bytes.byteLength - 1 }]
  ] as const) {
    it.live(`${reason}: the store never gets a whole body`, () =>
      Effect.gen(function* () {
        const script = Script.make({})
        const error = failure(yield* run(script, { source: source(over) }))
        assert.strictEqual(error.reason._tag, reason)
        assert.isUndefined(script.log.object)
        assert.strictEqual(error.left, "none")
      })
    )
  }

  it.live("SourceChanged is noticed before the last block is sent", () =>
    Effect.gen(function* () {
      let asked = 0
      const script = Script.make({})
      const error = failure(
        yield* run(script, {
          source: source({ info: Effect.sync(() => ({ size: bytes.byteLength, identity: String(asked++ > 0) })) })
        })
      )
      assert.strictEqual(error.reason._tag, "SourceChanged")
      assert.isUndefined(script.log.object)
      assert.isBelow(error.receipt.destinations[0]!.bytesSent, bytes.byteLength)
    })
  )

  it.live("SourceChanged is noticed before a retry opens the source again", () =>
    Effect.gen(function* () {
      let asked = 0
      const script = Script.make({ steps: [{ failAfter: 1000, reason: "ConnectionLost", retryable: true }] })
      const changing = source({
        info: Effect.sync(() => ({ size: bytes.byteLength, identity: String(asked++ > 0) }))
      })
      const error = failure(yield* run(script, { source: changing }))
      assert.strictEqual(error.reason._tag, "SourceChanged")
      assert.strictEqual(error.left, "none")
      assert.deepStrictEqual(script.log.calls, ["begin", "write", "inspect", "discard"])
    })
  )

  it.live("a source without a size that comes back with less is changed, not a smaller one", () =>
    Effect.gen(function* () {
      const script = Script.make({
        steps: [{ failAfter: 200_000, reason: "Unavailable", retryable: true, leaves: "Ready" }]
      })
      let openings = 0
      const usedUp = Source.fromStream({
        uri: "test:used-up",
        replayable: true,
        info: Effect.succeed({ size: undefined, identity: undefined }),
        open: () => Stream.suspend(() => (openings++ === 0 ? Stream.succeed(bytes) : Stream.empty))
      })
      const error = failure(yield* run(script, { source: usedUp }))
      assert.strictEqual(openings, 2)
      assert.strictEqual(error.reason._tag, "SourceChanged")
      assert.match(error.message, /ended after 0 bytes, an earlier attempt had read \d+/)
      assert.isUndefined(script.log.object)
    })
  )

  it.live("blocks without bytes do not make an empty source a full one", () =>
    Effect.gen(function* () {
      const script = Script.make({})
      const nothing = Stream.fromEffect(Blocks.lease((block) => Effect.sync(() => block.setLength(0))))
      const hollow = source({ size: undefined, open: () => Stream.forever(nothing).pipe(Stream.take(9)) })
      const error = failure(yield* run(script, { source: hollow }))
      assert.strictEqual(error.reason._tag, "SourceTooShort")
      assert.deepStrictEqual(script.log.calls, [])
    })
  )

  it.live("an expected digest that is not met leaves nothing behind", () =>
    Effect.gen(function* () {
      const script = Script.make({ given: true })
      const error = failure(yield* run(script, { expect: { sha256: "00".repeat(32) } }))
      assert.strictEqual(error.reason._tag, "SourceMismatch")
      assert.strictEqual(error.left, "ready object given")
      ok(yield* run(Script.make({}), { expect: { sha512 } }))
    })
  )

  it.live("a failure in the middle is the source's, and is tried again when it may help", () =>
    Effect.gen(function* () {
      let opened = 0
      const flaky = source({})
      const script = Script.make({})
      const blamed: Array<boolean | undefined> = []
      const exit = yield* run(script, {
        onEvent: (event) => Effect.sync(() => void (event.type === "retry" && blamed.push(event.ofSource))),
        source: {
          ...flaky,
          open: (offset) =>
            opened++ === 0
              ? Stream.concat(
                  Stream.take(flaky.open(offset), 2),
                  Stream.fail(
                    SourceError.make("SourceUnreadable", { uri: "test:source", message: "I/O error", retryable: true })
                  )
                )
              : flaky.open(offset)
        }
      })
      ok(exit)
      assert.strictEqual(opened, 2)
      assert.deepStrictEqual(blamed, [true])
    })
  )

  it.live("bytes that are not those which its own service reports are not sent on", () =>
    Effect.gen(function* () {
      const sha256 = createHash("sha256").update(bytes).digest("hex")
      const reporting = (digests: Readonly<Record<string, string>>) => source({ hints: Effect.succeed({ digests }) })
      for (const digests of [{ sha512: "00" }, { sha256: "00" }, { sha512, md5: "00" }]) {
        const script = Script.make({})
        const error = failure(yield* run(script, { source: reporting(digests) }))
        assert.strictEqual(error.reason._tag, "SourceMismatch")
        assert.match(error.message, /^the source's \w+ is [0-9a-f]+, its service says 00$/)
        assert.isUndefined(script.log.object)
      }
      // One is enough, and what cannot be computed is nothing to go by.
      for (const digests of [{ sha512: sha512.toUpperCase(), blake3: "00" }, { sha256 }, { "sha3-512": "00" }]) {
        ok(yield* run(Script.make({}), { source: reporting(digests) }))
      }
    })
  )

  /** A source of which these openings, from 1, fail at once. */
  const failing = (openings: ReadonlySet<number>, over: Parameters<typeof source>[0] = {}) => {
    let count = 0
    return source({
      ...over,
      open: () =>
        Blocks.fromBytes(
          Stream.suspend(() =>
            openings.has(++count)
              ? Stream.fail(SourceError.make("SourceUnreadable", { uri: "f", message: "gone", retryable: true }))
              : Stream.succeed(bytes)
          )
        )
    })
  }

  it.live("an opening that fails gives back its share of the pool before the next", () =>
    Effect.gen(function* () {
      const script = Script.make({
        steps: [{ failAfter: 10, reason: "Unavailable", retryable: true, leaves: "Ready" }]
      })
      const memory = makeUnsafe({ bytes: 5 * 64 * 1024, blockBytes: 64 * 1024 })
      const exit = yield* Transfer.run({ source: failing(new Set([2, 3])), to: [script.store], retries: 3 }).pipe(
        Effect.provideService(BlockPool, memory),
        Effect.exit,
        Effect.timeout(10_000)
      )
      ok(exit)
    })
  )

  it.live("its first bytes are tried again too, if they can be, before a store is asked", () =>
    Effect.gen(function* () {
      const script = Script.make({})
      ok(yield* run(script, { source: failing(new Set([1])), retries: 1 }))
      const never = failure(yield* run(Script.make({}), { source: failing(new Set([1])), retries: 0 }))
      assert.strictEqual(never.message, "gone")
      const once = Script.make({})
      const error = failure(yield* run(once, { source: failing(new Set([1]), { replayable: false }) }))
      assert.strictEqual(error.reason._tag, "SourceUnreadable")
      assert.deepStrictEqual(once.log.calls, [])
    })
  )

  it.live("a source that can be read once gets one attempt, but a refusal before any byte is not one", () =>
    Effect.gen(function* () {
      const once = () => source({ replayable: false })
      const lost = Script.make({ steps: [{ failAfter: 1000, reason: "ConnectionLost", retryable: true }] })
      assert.strictEqual(failure(yield* run(lost, { source: once() })).reason._tag, "ConnectionLost")
      assert.strictEqual(lost.log.bodies.length, 1)
      const refused = Script.make({ steps: [{ failAfter: 0, reason: "Unavailable", retryable: true, clear: true }] })
      ok(yield* run(refused, { source: once() }))
    })
  )
})

describe("a defect", () => {
  it.live("of whoever is told of events passes, and leaves nothing behind", () =>
    Effect.gen(function* () {
      const script = Script.make({
        steps: [{ failAfter: 200_000, reason: "Unavailable", retryable: true, leaves: "Ready" }]
      })
      const exit = yield* run(script, {
        onEvent: (event) => (event.type === "retry" ? Effect.die(new Error("no such widget")) : Effect.void)
      })
      assert.isTrue(Exit.isFailure(exit) && Exit.hasDies(exit))
      assert.deepStrictEqual(script.log.deleted, ["new-1"])
    })
  )
})

describe("memory", () => {
  it.live("for two blocks is enough, for one it is an error before the store is asked", () =>
    Effect.gen(function* () {
      const blockBytes = 64 * 1024
      const inPool = (blocks: number, script: ReturnType<typeof Script.make>) =>
        Effect.exit(
          Transfer.run({ source: Source.fromBytes(bytes), to: [script.store] }).pipe(
            Effect.provideService(BlockPool, makeUnsafe({ bytes: blocks * blockBytes, blockBytes }))
          )
        )
      ok(yield* inPool(2, Script.make({})))
      const script = Script.make({})
      assert.strictEqual(failure(yield* inPool(1, script)).reason._tag, "InvalidConfig")
      assert.deepStrictEqual(script.log.calls, [])
    })
  )
})

describe("interruption", () => {
  it.live("stops, tidies up, and says so in a receipt", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ hang: true }] })
      const events: Array<TransferEvent> = []
      const fiber = yield* Effect.forkChild(run(script, {}, events))
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(fiber)
      const last = events.at(-1)
      assert.strictEqual(last?.type, "receipt")
      if (last?.type !== "receipt") return
      assert.strictEqual(last.destinations[0]!.status, "cancelled")
      assert.strictEqual(last.destinations[0]!.error?.reason, "Interrupted")
      assert.strictEqual(last.destinations[0]!.error?.left, "none")
      assert.isUndefined(script.log.object)
    })
  )

  it.live("in the middle of tidying up says why there was something to tidy up", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ take: "whole", corrupt: true }] })
      const events: Array<TransferEvent> = []
      let tidying = 0
      const to = [
        altered(script, ({ discard }) => ({
          discard: Effect.suspend(() => (tidying++ === 0 ? Effect.never : discard))
        }))
      ]
      const fiber = yield* Effect.forkChild(run(script, { to }, events))
      yield* Effect.sleep(500)
      yield* Fiber.interrupt(fiber)
      const last = events.at(-1)
      if (last?.type !== "receipt") return assert.fail("no receipt")
      assert.strictEqual(last.destinations[0]!.error?.reason, "Interrupted")
      assert.match(last.destinations[0]!.error!.message, /^interrupted; it had failed before: md5 /)
      assert.strictEqual(last.destinations[0]!.error?.left, "none")
    })
  )

  it.live("says that it does not know what is left when tidying up takes more than 5 s", () =>
    Effect.gen(function* () {
      const script = Script.make({ steps: [{ hang: true }] })
      const events: Array<TransferEvent> = []
      const to = [altered(script, () => ({ discard: Effect.as(Effect.sleep(8000), "none" as const) }))]
      const fiber = yield* Effect.forkChild(run(script, { to }, events))
      yield* Effect.sleep(100)
      yield* Fiber.interrupt(fiber)
      const last = events.at(-1)
      if (last?.type !== "receipt") return assert.fail("no receipt")
      assert.strictEqual(last.destinations[0]!.error?.left, "unknown script://store/object/new-1")
    })
  )
})

describe("reading again, where the store offers nothing to compare", () => {
  it.effect("finds other bytes at the destination", () =>
    Effect.gen(function* () {
      const good = Script.make({ digests: [] })
      const receipt = yield* run(good, { verify: "destination" })
      ok(receipt)
      assert.isTrue(Exit.isSuccess(receipt) && receipt.value.destinations[0]!.status === "verified")
      const bad = Script.make({
        digests: [],
        readBack: (b) => Uint8Array.from(b, (byte, i) => (i === 7 ? byte ^ 1 : byte))
      })
      assert.strictEqual(failure(yield* run(bad, { verify: "destination" })).reason._tag, "DigestMismatch")
    })
  )

  it.effect("finds another source", () =>
    Effect.gen(function* () {
      let opened = 0
      const source = Source.fromStream({
        uri: "test:",
        replayable: true,
        info: Effect.succeed({ size: bytes.length, identity: undefined }),
        open: () => Stream.succeed(opened++ === 0 ? bytes : randomBytes(bytes.length))
      })
      const error = failure(yield* run(Script.make({ digests: [] }), { source, verify: "source" }))
      assert.strictEqual(error.reason._tag, "SourceChanged")
    })
  )
})
