/**
 * What an adapter says of a wire that breaks: of one request, without the engine.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { StoreError } from "@headrace/core/StoreError"
import type { ProxyFault } from "../../FaultProxy.ts"
import { difference, noise } from "./bytes.ts"
import { at, type Draft, secrets, service } from "./draft.ts"
import * as Engine from "./engine.ts"
import * as Feed from "./feed.ts"
import { type Lab, wordsOf } from "./lab.ts"
import type { Address, Violation } from "./model.ts"
import * as Proxied from "./proxied.ts"

const errors = "docs/write-a-store.md, section 5; packages/core/src/StoreError.ts"

/** What comes of one body; nothing where it has arrived, as an adapter that looks for itself may find out. */
const outcome = <R>(lab: Lab<R>, address: Address, contract: string, how: Feed.How = {}) =>
  Effect.gen(function* () {
    const key = lab.key()
    const bytes = noise(Proxied.bodyBytes(lab), 70)
    const exit = yield* lab.within("the upload", Proxied.send(lab, key, address, bytes, how))
    if (Exit.isSuccess(exit)) return yield* lab.holds(key, bytes, contract)
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    if (error instanceof StoreError) return error
    return yield* lab.fail("whatever goes wrong at a store is a StoreError", wordsOf(exit.cause))
  })

/** The error of a body that cannot have arrived. */
const failure = <R>(lab: Lab<R>, address: Address, contract: string, how: Feed.How = {}) =>
  Effect.flatMap(outcome(lab, address, contract, how), (error) =>
    error === undefined ? lab.fail(contract, "the upload succeeded") : Effect.succeed(error)
  )

const retryable = <R>(lab: Lab<R>, error: StoreError, what: string): Effect.Effect<void, Violation> =>
  lab.check(
    error.retryable,
    `${what} may be otherwise the next time: its error is retryable`,
    `it is not retryable (${error.reason._tag}: ${error.message})`
  )

const reasonIs = <R>(lab: Lab<R>, error: StoreError, reasons: ReadonlyArray<string>, what: string) =>
  lab.check(
    reasons.includes(error.reason._tag),
    `${what} is told as ${reasons.join(" or ")}`,
    `it is told as ${error.reason._tag}: ${error.message}`
  )

export const closed: Draft = {
  name: "says that a service which does not listen may be tried again",
  needs: [service],
  see: errors,
  run: (lab) =>
    Effect.gen(function* () {
      const what = "a service that does not listen"
      const error = yield* failure(lab, yield* Proxied.nobody, "an upload to a port at which nobody listens fails")
      yield* reasonIs(lab, error, ["ConnectionLost", "Unavailable"], what)
      yield* retryable(lab, error, what)
    })
}

export const busy: Draft = {
  name: "says that a service which is busy may be tried again, and when",
  needs: [service],
  see: errors,
  run: (lab) =>
    Effect.gen(function* () {
      const fault: ProxyFault = { type: "answerEarly", afterBytes: 0, status: 503, headers: [["Retry-After", "7"]] }
      const { address } = yield* Proxied.start(lab, [fault])
      const what = "an answer 503"
      const error = yield* failure(lab, address, "a body that is answered with 503 was not taken")
      yield* reasonIs(lab, error, ["Unavailable"], what)
      yield* retryable(lab, error, what)
      yield* lab.check(error.status === 503, "an error has the answer's status", `it has ${error.status}`)
      yield* lab.check(
        error.retryAfterMs === 7000,
        'an answer\'s "Retry-After: 7" is in its error, as retryAfterMs in milliseconds',
        `there it is ${error.retryAfterMs}`
      )
    })
}

export const broken: Draft = {
  name: "says that a connection which broke may be tried again",
  needs: [service],
  see: errors,
  run: (lab) =>
    Effect.gen(function* () {
      const afterBytes = Proxied.bodyBytes(lab) / 2
      for (const how of ["reset", "close"] as const) {
        const { address } = yield* Proxied.start(lab, [{ type: "cutRequest", afterBytes, how }])
        const what = `a connection that broke in a body (${how})`
        const error = yield* failure(lab, address, "a body that was cut was not taken")
        yield* reasonIs(lab, error, ["ConnectionLost"], what)
        yield* retryable(lab, error, what)
        yield* lab.check(
          !error.clear,
          "after a connection that broke nobody knows what the service has: its error is not clear",
          "it says that it is clear"
        )
        yield* lab.noBlocks("a body that fails gives its blocks back", "after the connection broke")
      }
    })
}

const stallMs = 400

export const silent: Draft = {
  name: "gives up on a service that falls silent",
  needs: [service],
  see: at("Body.stallMs and answerMs"),
  run: (lab) =>
    Effect.gen(function* () {
      const afterBytes = Proxied.bodyBytes(lab) / 2
      const faults: ReadonlyArray<readonly [string, ProxyFault]> = [
        ["in the middle of a body", { type: "stallRequest", afterBytes }],
        ["after a body", { type: "dropAnswer", how: "hang" }]
      ]
      for (const [when, fault] of faults) {
        const { address } = yield* Proxied.start(lab, [fault])
        const startedAt = performance.now()
        const what = `a service that falls silent ${when}`
        const contract = "a body that nobody answers is taken only when it is there"
        const error = yield* outcome(lab, address, contract, { stallMs, answerMs: stallMs })
        const took = Math.round(performance.now() - startedAt)
        if (error !== undefined) {
          yield* reasonIs(lab, error, ["Stalled"], what)
          yield* retryable(lab, error, what)
        }
        yield* lab.check(
          took < 3000,
          `${what} is given up after stallMs or answerMs, here ${stallMs} ms each`,
          `it took ${took} ms`
        )
      }
    })
}

export const cutReading: Draft = {
  name: "fails when what is read back is cut",
  needs: [service],
  see: at("SessionBase.read"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(2 * Proxied.bodyBytes(lab), 71)
      const afterBytes = Math.floor(bytes.byteLength / 5)
      const cut: ProxyFault = { type: "cutAnswer", afterBytes, how: "close" }
      const { address, proxy } = yield* Proxied.start(lab, [], ({ method }) => method === "GET")
      const session = yield* lab.open(key, lab.content(bytes), address)
      yield* lab.ok("begin", "a session begins", session.begin)
      const memory = yield* Feed.share(lab)
      yield* lab.ok("writing", "a body is taken", Feed.write(lab, session, memory, bytes))
      proxy.push(cut, cut, cut)
      const exit = yield* lab.within("read", Stream.runCollect(session.read))
      yield* lab.check(
        proxy.requests.some(({ fault, received }) => fault === cut.type && received === afterBytes),
        "an object is read by GET, from the address that `make` is given",
        `no answer to a GET had ${afterBytes} bytes to be cut after`
      )
      if (Exit.isFailure(exit)) return
      const wrong = difference(Buffer.concat(exit.value), bytes)
      yield* lab.check(
        wrong === undefined,
        "a reading that is cut fails, or goes on where it was cut; it never ends as if that were all",
        `it ended well, with ${Buffer.concat(exit.value).byteLength} of ${bytes.byteLength} bytes`
      )
    })
}

/** All that an adapter says of itself and of what went wrong. */
const words = <R>(lab: Lab<R>) =>
  Effect.gen(function* () {
    const told: Array<readonly [string, string]> = []
    const key = lab.key()
    const bytes = noise(Proxied.bodyBytes(lab), 72)
    const tell = (what: string, text: unknown) => told.push([what, String(text)])
    const tellExit = (what: string, exit: Exit.Exit<unknown, unknown>) => {
      if (Exit.isSuccess(exit)) return
      const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
      tell(`the error of ${what}`, error instanceof StoreError ? `${error.uri} ${error.message} ${error}` : error)
      tell(`the error of ${what}`, wordsOf(exit.cause))
    }
    const store = lab.store(key)
    tell("the store's uri", store.uri)
    if (lab.options.service !== undefined) {
      tellExit("an upload to nobody", yield* lab.within("it", Proxied.send(lab, key, yield* Proxied.nobody, bytes)))
    }
    tellExit(
      "capabilities",
      yield* lab.within(
        "it",
        Effect.map(Effect.scoped(store.capabilities), (said) => {
          tell("the capabilities", JSON.stringify(said))
        })
      )
    )
    yield* Effect.scoped(
      Effect.gen(function* () {
        const session = yield* lab.open(key, lab.content(bytes))
        tellExit("reading nothing", yield* lab.within("read", Stream.runDrain(session.read)))
        yield* lab.ok("begin", "a session begins", session.begin)
        tell("where the object is", yield* session.location)
        const memory = yield* Feed.share(lab)
        const body = Feed.make(memory, bytes, { length: bytes.byteLength + 1, stallMs: 1000, answerMs: 1000 })
        const at = { number: 1, offset: 0, bytes, length: bytes.byteLength + 1 }
        const write =
          session.shape === "whole"
            ? session.write(body.body)
            : Effect.flatMap(Feed.part(session, body, at), session.writePart)
        tellExit("a body that ends too early", yield* lab.within("a body that ends too early", write))
        tell("what is left", yield* session.left)
        tell("its notes", (yield* session.notes).join(" "))
        tell("what is left", yield* session.discard)
      })
    )
    const faults: ReadonlyArray<ProxyFault> =
      lab.options.service === undefined
        ? []
        : [
            { type: "replaceAnswer", status: 403 },
            { type: "replaceAnswer", status: 503 },
            { type: "cutRequest", afterBytes: bytes.byteLength / 2, how: "reset" }
          ]
    for (const fault of faults) {
      const { address } = yield* Proxied.start(lab, [fault])
      tellExit(`a ${fault.type}`, yield* lab.within("it", Proxied.send(lab, lab.key(), address, bytes)))
    }
    const outcome = yield* Engine.transfer(lab, lab.key(), bytes)
    tell("the events of a transfer", JSON.stringify(outcome.events))
    return told
  })

export const secretive: Draft = {
  name: "tells no secret",
  needs: [secrets],
  see: errors,
  run: (lab) =>
    Effect.gen(function* () {
      for (const [what, text] of yield* words(lab)) {
        for (const [index, secret] of lab.options.secrets!.entries()) {
          // Nor does the kit.
          yield* lab.check(
            !text.includes(secret),
            "no error, URI or note has a secret in it: they are logged, and shown to others",
            `${what} has the author's secret number ${index + 1} in it`
          )
        }
      }
    })
}

export const all: ReadonlyArray<Draft> = [closed, busy, broken, silent, cutReading, secretive]
