/**
 * Interruption: at any step of a session, and of whole transfers at moments that nobody has chosen.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Bandwidth from "@headrace/core/Bandwidth"
import type { Session } from "@headrace/core/Store"
import { noise, numbers } from "./bytes.ts"
import { at, type Draft, parts } from "./draft.ts"
import * as Engine from "./engine.ts"
import * as Feed from "./feed.ts"
import { blockBytes, type Lab } from "./lab.ts"

const promptly = "an interrupted step ends at once: a person who has pressed Ctrl-C waits for it"

/** Milliseconds that a step may take to end when it is interrupted; all of the tidying up has five seconds. */
const promptMs = 2000

const bytes = noise(4 * blockBytes, 50)

/** Interrupts a step that runs, and sees that it ends. `free` lets one go on that does not. */
const interrupted = <R, E, R2>(
  lab: Lab<R>,
  what: string,
  step: Effect.Effect<unknown, E, R2>,
  wait: Effect.Effect<unknown>,
  free: Effect.Effect<unknown> = Effect.void
) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkDetach(step, { startImmediately: true })
    yield* wait
    yield* Effect.onError(
      lab.within(`${what}, when it is interrupted,`, Fiber.interrupt(fiber), promptMs),
      () => free
    ).pipe(Effect.catch((violation) => lab.fail(promptly, violation.found)))
  })

/** After whatever was interrupted, nothing may be left. */
const tidied = <R>(lab: Lab<R>, key: string, session: Session, step: string) =>
  Effect.gen(function* () {
    yield* lab.noBlocks("a step that is interrupted gives its blocks back", `after ${step} was interrupted`)
    const contract = `after ${step} was interrupted, discard leaves nothing`
    const left = yield* lab.ok("discard", contract, session.discard)
    // Who cannot know says so, and is believed; so is who keeps the parts of what may have been made.
    if (left.startsWith("unknown ") || (step === "finish" && left.startsWith("upload "))) return
    yield* lab.check(left === "none", contract, `it says that "${left}" is left`)
    yield* lab.nothing(key, contract)
  })

export const write: Draft = {
  name: "stops in the middle of a body",
  needs: [],
  see: at("WholeSession.write; docs/failures.md, Interruption"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const session = yield* lab.open(key, lab.content(bytes))
      yield* lab.ok("begin", "a session begins", session.begin)
      const memory = yield* Feed.share(lab)
      const reached = yield* Deferred.make<void>()
      const free = yield* Deferred.make<void>()
      const before = (position: number) =>
        position < 2 * blockBytes
          ? Effect.void
          : Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(free))
      const step =
        session.shape === "whole"
          ? session.write(Feed.make(memory, bytes, { before }).body)
          : Feed.writePart(session, memory, bytes, { number: 1, offset: 0 }, { before })
      const wait = lab.within("taking the first two blocks of a body", Deferred.await(reached))
      yield* interrupted(lab, "a write", step, Effect.ignore(wait), Deferred.succeed(free, undefined))
      yield* tidied(lab, key, session, "a write")
    })
}

/** Milliseconds after which a step is interrupted; one of them is another in each run with another seed. */
const moments = (next: (below: number) => number): ReadonlyArray<number> => [0, 1, 1 + next(10)]

const inStep = (step: "begin" | "inspect" | "finish"): Draft => ({
  name: `stops in ${step}`,
  needs: step === "finish" ? [parts] : [],
  see: at(`${step === "finish" ? "PartsSession" : "SessionBase"}.${step}; docs/failures.md, Interruption`),
  run: (lab) =>
    Effect.forEach(
      moments(numbers(lab.options.seed ?? 1)),
      (ms) =>
        Effect.scoped(
          Effect.gen(function* () {
            const key = lab.key(`${step}-${ms}`)
            const session = yield* lab.open(key, lab.content(bytes))
            const wait = ms === 0 ? Effect.void : Effect.sleep(ms)
            if (step !== "begin") yield* lab.ok("begin", "a session begins", session.begin)
            if (step !== "finish") yield* interrupted(lab, step, session[step], wait)
            else if (session.shape === "parts") {
              const memory = yield* Feed.share(lab)
              const sent = yield* Effect.forEach(Feed.pieces(bytes, lab.partBytes), (piece) =>
                lab.ok("a part", "a part is taken", Feed.writePart(session, memory, piece.bytes, piece))
              )
              const all = sent.map(({ part }) => part)
              yield* interrupted(lab, "finish", Feed.finish(session, bytes, all), wait)
            }
            yield* tidied(lab, key, session, step)
          })
        ),
      { discard: true }
    )
})

/** How many transfers are interrupted. */
const times = 24

/** Milliseconds that each of them takes at least. */
const leastMs = 60

export const random: Draft = {
  name: "leaves nothing of transfers that are interrupted at random moments",
  needs: [],
  see: "docs/failures.md, Interruption",
  run: (lab) =>
    Effect.gen(function* () {
      const seed = lab.options.seed ?? 1
      const next = numbers(seed)
      const body = noise(lab.isParts ? 3 * lab.partBytes + 99 : 4 * blockBytes, 51)
      // As fast as a memory is, nothing would be interrupted but the beginning and the end.
      const limited = Effect.map(
        Bandwidth.make({ bytesPerSecond: body.byteLength / (leastMs / 1000) }),
        (bandwidth) => ({ bandwidth })
      )
      let tookMs = Number.POSITIVE_INFINITY
      // The first may have to load this and that.
      for (const name of ["first", "second"]) {
        const key = lab.key(name)
        const startedAt = performance.now()
        const outcome = yield* Engine.transfer(lab, key, body, yield* limited)
        tookMs = Math.min(tookMs, performance.now() - startedAt)
        yield* Engine.proven(lab, outcome, key, body, "a transfer that nobody disturbs succeeds")
      }
      for (let time = 0; time < times; time++) {
        const ms = (next(1000) / 1000) * tookMs * 1.2
        const key = lab.key(`cut-${time}`)
        const outcome = yield* Engine.transfer(lab, key, body, { ...(yield* limited), cancelled: Effect.sleep(ms) })
        yield* Effect.mapError(Engine.honest(lab, outcome, key, body), (violation) =>
          Object.assign(violation, {
            message: `${violation.message}\n  (interrupted after ${ms.toFixed(1)} ms, number ${time} of seed ${seed})`
          })
        )
        const end = outcome.receipt?.destinations[0]
        if (end?.status !== "cancelled" || end.error === undefined) continue
        const { left } = end.error
        // Whose last answer was not heard may be complete in a moment: its parts are better listed than deleted.
        yield* lab.check(
          left === "none" || /^(unknown|upload) /.test(left),
          "a transfer that is interrupted deletes what it made, but for what may still become an object",
          `it says that "${left}" is left (interrupted after ${ms.toFixed(1)} ms, number ${time} of seed ${seed})`
        )
      }
    })
}

export const all: ReadonlyArray<Draft> = [write, inStep("begin"), inStep("inspect"), inStep("finish"), random]
