/**
 * What comes of a transfer over a wire that breaks: the engine's part and the adapter's together.
 */
import * as Effect from "effect/Effect"
import type { ProxyFault } from "../../FaultProxy.ts"
import { isEqual, noise } from "./bytes.ts"
import { begins, type Draft, finishes, service } from "./draft.ts"
import * as Engine from "./engine.ts"
import type { Lab } from "./lab.ts"
import type { Request } from "./model.ts"
import * as Proxied from "./proxied.ts"

const see = "docs/failures.md; docs/write-a-store.md, section 5"

/** Most of the time is waiting. */
const together = { discard: true, concurrency: "unbounded" } as const

const options = { stallMs: 500, answerMs: 1500, retries: 3 }

const bytesOf = <R>(lab: Lab<R>) => noise(lab.isParts ? 2 * Proxied.bodyBytes(lab) + 77 : Proxied.bodyBytes(lab), 80)

/** A transfer through a proxy with one fault. */
const through = <R>(lab: Lab<R>, fault: ProxyFault, match?: (request: Request) => boolean) =>
  Effect.scoped(
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = bytesOf(lab)
      const { address, proxy } = yield* Proxied.start(lab, [fault], match)
      const outcome = yield* Engine.transfer(lab, key, bytes, { address, options })
      yield* lab.check(
        proxy.waiting() === 0,
        "the kit can break the wire: the bytes of an object go through the address that `make` is given",
        `no request that matches was seen in ${proxy.requests.length} (service.isBody, isFinish, isBegin say which do)`
      )
      return { key, bytes, outcome }
    })
  )

/** A transfer that has to succeed all the same. */
const survives = <R>(lab: Lab<R>, what: string, fault: ProxyFault, match?: (request: Request) => boolean) =>
  Effect.gen(function* () {
    const { bytes, key, outcome } = yield* through(lab, fault, match)
    const contract = `a transfer goes on after ${what}, and is proven`
    yield* Engine.proven(lab, outcome, key, bytes, contract)
    yield* lab.noneUnfinished(key, `after ${what} nothing but the object is left`)
    return outcome
  })

export const reset: Draft = {
  name: "goes on after the connection broke, at whatever byte",
  needs: [service],
  see,
  run: (lab) =>
    Effect.gen(function* () {
      const size = Proxied.bodyBytes(lab)
      const cuts = [0, 1, Math.floor(size / 2), size - 1].map((afterBytes) => ({ afterBytes, how: "reset" }) as const)
      const faults: ReadonlyArray<readonly [string, ProxyFault]> = [
        ["a connection that was reset before a byte", { type: "refuse" }],
        ...cuts.map(
          (cut) =>
            [
              `a connection that was reset at byte ${cut.afterBytes} of ${size}`,
              { type: "cutRequest", ...cut }
            ] as const
        ),
        [
          "a connection that was closed in the middle",
          { type: "cutRequest", afterBytes: Math.floor(size / 2), how: "close" }
        ]
      ]
      yield* Effect.forEach(faults, ([what, fault]) => survives(lab, what, fault), together)
    })
}

export const stalled: Draft = {
  name: "goes on after a silence",
  needs: [service],
  see,
  run: (lab) =>
    survives(lab, "a silence in the middle of a body", {
      type: "stallRequest",
      afterBytes: Math.floor(Proxied.bodyBytes(lab) / 2)
    })
}

export const gateway: Draft = {
  name: "goes on after a gateway's refusal",
  needs: [service],
  see,
  run: (lab) =>
    Effect.gen(function* () {
      const afterBytes = Math.floor(Proxied.bodyBytes(lab) / 2)
      const faults: ReadonlyArray<readonly [string, ProxyFault]> = [
        ["a 502 in the middle of a body", { type: "answerEarly", afterBytes, status: 502 }],
        ["a 503 in the place of the answer", { type: "replaceAnswer", status: 503 }]
      ]
      yield* Effect.forEach(faults, ([what, fault]) => survives(lab, what, fault), together)
    })
}

/** As object stores do it, which begin an answer before they know how it ends. */
const errorPage = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We failed.</Message></Error>'

export const early: Draft = {
  name: "is not taken in by a success that is none",
  needs: [service],
  see,
  run: (lab) =>
    Effect.gen(function* () {
      const afterBytes = Math.floor(Proxied.bodyBytes(lab) / 2)
      const success = { type: "answerEarly", status: 200, body: errorPage } as const
      const half = yield* through(lab, { ...success, afterBytes })
      // One that may not look has a service's word and no more; its receipt says that not even the size is known.
      const end = half.outcome.receipt?.destinations[0]
      const isWord = end?.status === "stored" && end.object?.size === null
      if (!isWord) yield* Engine.honest(lab, half.outcome, half.key, half.bytes)
      const isFinish = lab.options.service?.isFinish
      if (isFinish === undefined) return
      const finish = yield* through(lab, { ...success, afterBytes: 0 }, isFinish)
      yield* Engine.honest(lab, finish.outcome, finish.key, finish.bytes)
    })
}

export const lost: Draft = {
  name: "finds out what became of a body whose answer was lost",
  needs: [service],
  see,
  run: (lab) =>
    Effect.forEach(
      ["reset", "close", "hang"] as const,
      (how) => survives(lab, `the loss of the answer to a body (${how})`, { type: "dropAnswer", how }),
      together
    )
}

export const lostFinish: Draft = {
  name: "finds out what became of an object whose last answer was lost",
  needs: [service, finishes],
  see,
  run: (lab) =>
    Effect.forEach(
      [
        { type: "dropAnswer", how: "reset" },
        { type: "answerEarly", afterBytes: 0, status: 503 }
      ] as const,
      (fault) =>
        survives(
          lab,
          fault.type === "dropAnswer" ? "the loss of the answer to finish" : "a finish that a gateway has refused",
          fault,
          lab.options.service!.isFinish
        ),
      together
    )
}

export const lostBegin: Draft = {
  name: "makes nothing twice when the answer to the beginning was lost",
  needs: [service, begins],
  see,
  run: (lab) =>
    survives(
      lab,
      "the loss of the answer to the beginning",
      { type: "dropAnswer", how: "reset" },
      lab.options.service!.isBegin
    )
}

export const drip: Draft = {
  name: "bears a wire that is slow",
  needs: [service],
  see: "docs/failures.md: bytes move",
  run: (lab) =>
    Effect.gen(function* () {
      // Longer than stallMs, and never silent for so long.
      const outcome = yield* survives(lab, "a slow wire", {
        type: "slowRequest",
        bytesPerSecond: Proxied.bodyBytes(lab)
      })
      const attempts = outcome.receipt?.destinations[0]?.attempts
      yield* lab.check(attempts === 1, "a wire on which bytes move is not given up", `it took ${attempts} attempts`)
    })
}

export const corrupted: Draft = {
  name: "never proves bytes that were changed on the way",
  needs: [service],
  see: "packages/core/src/internal/judge.ts",
  run: (lab) =>
    Effect.gen(function* () {
      const atByte = Math.floor(Proxied.bodyBytes(lab) / 2)
      const { bytes, key, outcome } = yield* through(lab, { type: "corruptRequest", atByte })
      const status = outcome.receipt?.destinations[0]?.status
      if (status !== "verified") return
      yield* lab.check(
        isEqual(yield* lab.truth(key), bytes),
        "what a receipt calls verified has a digest that the service has computed of what it holds",
        `the receipt says "verified", and byte ${atByte} is another one at the service`
      )
    })
}

export const all: ReadonlyArray<Draft> = [reset, stalled, gateway, early, lost, lostFinish, lostBegin, drip, corrupted]
