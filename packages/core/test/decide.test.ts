/** How long an object that is busy is waited for. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/testing/TestClock"
import { decide } from "../src/internal/decide.ts"
import * as Problem from "../src/internal/problem.ts"
import type { Inspection, WholeSession } from "../src/Store.ts"
import * as StoreError from "../src/StoreError.ts"

const busy: Inspection = { _tag: "Busy", what: "image X is saving", restMs: 15_000 }
const away = Effect.fail(StoreError.make("ConnectionLost", { uri: "x", message: "away", retryable: true }))

/** What is decided, and after how many seconds. */
const decided = (
  input: {
    readonly problem: Problem.Problem
    readonly whole: boolean
    readonly owned?: boolean
  },
  inspect: (ms: number) => Effect.Effect<Inspection, StoreError.StoreError>
) =>
  Effect.gen(function* () {
    let ms = 0
    const session = {
      owned: Effect.succeed(input.owned ?? true),
      inspect: Effect.suspend(() => inspect(ms))
    } as unknown as WholeSession
    const fiber = yield* Effect.forkChild(
      decide({
        session,
        problem: input.problem,
        content: input.whole ? { size: 1, digests: {} } : undefined,
        earlier: undefined,
        answerMs: 900_000,
        replayable: true
      }),
      { startImmediately: true }
    )
    while (fiber.pollUnsafe() === undefined && ms <= 1_000_000) {
      ms += 250
      yield* TestClock.adjust(250)
    }
    const next = yield* Fiber.join(fiber)
    return { next, seconds: ms / 1000 }
  })

const lost = Problem.make("ConnectionLost", "lost", { retryable: true, clear: false })
const failed = Problem.make("Unavailable", "500", { retryable: true, clear: false, status: 500 })

describe("an object that is busy", () => {
  const still = () => Effect.succeed(busy)

  it.effect("is made anew when its body was not sent whole, as soon as it should have come to rest", () =>
    Effect.gen(function* () {
      const { next, seconds } = yield* decided({ problem: lost, whole: false }, still)
      assert.deepInclude(next, { _tag: "Again", recreate: true })
      assert.closeTo(seconds, 15, 1)
    })
  )

  it.effect("also when the service itself has said that it has failed", () =>
    Effect.gen(function* () {
      const { next, seconds } = yield* decided({ problem: failed, whole: true }, still)
      assert.deepInclude(next, { _tag: "Again", recreate: true })
      assert.closeTo(seconds, 15, 1)
    })
  )

  it.effect("is waited for while a body that was sent whole may still be on its way in", () =>
    Effect.gen(function* () {
      const { seconds } = yield* decided({ problem: lost, whole: true }, still)
      assert.closeTo(seconds, 900, 1)
    })
  )

  it.effect("is made anew after the service was away: whoever had the body is no more", () =>
    Effect.gen(function* () {
      const { next, seconds } = yield* decided({ problem: lost, whole: true }, (ms) => (ms < 30_000 ? away : still()))
      assert.deepInclude(next, { _tag: "Again", recreate: true })
      assert.closeTo(seconds, 45, 1)
    })
  )

  it.effect("is waited for as long as may be where it is not ours to be made anew", () =>
    Effect.gen(function* () {
      const { next, seconds } = yield* decided({ problem: failed, whole: false, owned: false }, still)
      assert.strictEqual(next._tag, "GiveUp")
      assert.closeTo(seconds, 900, 1)
    })
  )
})
