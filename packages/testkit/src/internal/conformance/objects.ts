/**
 * Whose an object is: what a session makes it deletes, what was there before, or what others have put there, it does not.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { isEqual, noise } from "./bytes.ts"
import { at, type Draft, put } from "./draft.ts"
import * as Feed from "./feed.ts"
import { blockBytes } from "./lab.ts"

const bytes = noise(blockBytes + 321, 20)
const old = noise(5000, 21)

const tidies = 'discard deletes what the session made, and says "none" only where nothing of it is left'

export const freshLook: Draft = {
  name: "finds nothing before it has written",
  needs: [],
  see: at("Inspection"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const session = yield* lab.open(key, lab.content(bytes))
      const contract = "inspect says Stored only of what this session has put there"
      for (const when of ["before begin", "after begin"]) {
        if (when === "after begin") yield* lab.ok("begin", "a session begins", session.begin)
        const found = yield* lab.ok(`inspect ${when}`, contract, session.inspect)
        yield* lab.check(found._tag !== "Stored", contract, `${when}, with nothing there, it says Stored`)
      }
      yield* lab.ok("discard", tidies, session.discard)
    })
}

export const beginTwice: Draft = {
  name: "begins twice without making two",
  needs: [],
  see: at("SessionBase.begin"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const contract = "begin may be repeated after an error without making a second object or upload"
      const session = yield* lab.open(key, lab.content(bytes))
      yield* lab.ok("begin", contract, session.begin)
      const { unfinished } = lab.options
      const once = unfinished === undefined ? 0 : yield* lab.asked("unfinished", unfinished(key))
      yield* lab.ok("a second begin", contract, session.begin)
      const twice = unfinished === undefined ? 0 : yield* lab.asked("unfinished", unfinished(key))
      yield* lab.check(twice <= once, contract, `the service has ${twice} unfinished uploads of it, it had ${once}`)
      const memory = yield* Feed.share(lab)
      yield* lab.ok("writing", contract, Feed.write(lab, session, memory, bytes))
      yield* lab.holds(key, bytes, contract)
      yield* lab.noneUnfinished(key, contract)
    })
}

/** How far a session has come when it is to tidy up. */
const stages = ["open", "begun", "half", "stored"] as const

export const discards: Draft = {
  name: "leaves nothing when it is told to",
  needs: [],
  see: at("SessionBase.discard"),
  run: (lab) =>
    Effect.forEach(
      stages,
      (stage) =>
        Effect.scoped(
          Effect.gen(function* () {
            const key = lab.key(stage)
            const session = yield* lab.open(key, lab.content(bytes))
            const memory = yield* Feed.share(lab)
            if (stage !== "open") yield* lab.ok("begin", "a session begins", session.begin)
            if (stage === "half" && session.shape === "parts") {
              const [first] = Feed.pieces(bytes, lab.partBytes)
              yield* lab.ok("the first part", "a part is taken", Feed.writePart(session, memory, first!.bytes, first!))
            }
            if (stage === "stored") {
              yield* lab.ok("writing", "a body is taken", Feed.write(lab, session, memory, bytes))
            }
            for (const time of ["discard", "a second discard"]) {
              const left = yield* lab.ok(`${time} (${stage})`, tidies, session.discard)
              yield* lab.check(left === "none", tidies, `${time} of a session that is ${stage} says "${left}"`)
              yield* lab.nothing(key, `${tidies} (of a session that is ${stage})`)
            }
            const left = yield* lab.ok("left", "left says what is there", session.left)
            yield* lab.check(left === "none", "left says what is there", `after a discard it says "${left}"`)
          })
        ),
      { discard: true }
    )
}

export const takesNone: Draft = {
  name: "takes nobody else's object for its own",
  needs: [put],
  see: at("SessionBase.inspect; docs/write-a-store.md, section 3"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      yield* lab.put(key, old)
      const session = yield* lab.open(key, lab.content(bytes))
      for (const when of ["before begin", "after begin"]) {
        if (when === "after begin") yield* lab.within("begin", session.begin)
        const found = yield* lab.within("inspect", session.inspect)
        yield* lab.check(
          !(Exit.isSuccess(found) && found.value._tag === "Stored"),
          "inspect says Stored only of what this session has put there",
          `${when} it says Stored of an object that was there before`
        )
      }
      yield* lab.ok("discard", tidies, session.discard)
    })
}

export const leavesOld: Draft = {
  name: "leaves what was there before",
  needs: [put],
  see: at("SessionBase.discard; docs/architecture.md: what we were given we leave"),
  run: (lab) =>
    Effect.gen(function* () {
      for (const stage of ["open", "begun"]) {
        const key = lab.key()
        yield* lab.put(key, old)
        const session = yield* lab.open(key, lab.content(bytes))
        // One that replaces nothing may refuse to begin.
        if (stage === "begun") yield* lab.within("begin", session.begin)
        yield* lab.holds(key, old, "an object that is there stays until another takes its place")
        yield* lab.ok("discard", tidies, session.discard)
        yield* lab.holds(
          key,
          old,
          "an object that was there before is not deleted by a session that has written nothing"
        )
      }
    })
}

export const leavesOthers: Draft = {
  name: "leaves what others have put there",
  needs: [put],
  see: at("SessionBase.inspect and discard; docs/failures.md: another writer's bytes"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const { session } = yield* Feed.store(lab, key, bytes)
      const theirs = noise(bytes.byteLength, 22)
      yield* lab.put(key, theirs)
      yield* lab.within("inspect", session.inspect)
      yield* lab.ok("discard", tidies, session.discard)
      const there = yield* lab.truth(key)
      yield* lab.check(
        isEqual(there, theirs),
        "what another writer has put in the object's place is not deleted",
        there === undefined ? "discard has deleted it" : "it was changed"
      )
    })
}

export const all: ReadonlyArray<Draft> = [freshLook, beginTwice, discards, takesNone, leavesOld, leavesOthers]
