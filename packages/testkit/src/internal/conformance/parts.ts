/**
 * Objects in parts: any order, parts that are sent again, and what an object may be made of.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { noise } from "./bytes.ts"
import { anyOrder, at, type Draft, parts } from "./draft.ts"
import * as Feed from "./feed.ts"
import { asParts, type Lab } from "./lab.ts"

const begun = <R>(lab: Lab<R>, key: string, bytes: Uint8Array) =>
  Effect.gen(function* () {
    const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes)))
    yield* lab.ok("begin", "a session begins", session.begin)
    return { session, memory: yield* Feed.share(lab) }
  })

export const order: Draft = {
  name: "takes parts in any order, several at once",
  needs: [parts, anyOrder],
  see: at("PartsSession.writePart and finish"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(3 * lab.partBytes + 9, 30)
      const { memory, session } = yield* begun(lab, key, bytes)
      const contract =
        "parts come in any order and several at once, and the object has them in the order of their numbers"
      const written = yield* lab.ok(
        "writing 4 parts, the last first",
        contract,
        Effect.forEach(
          Feed.pieces(bytes, lab.partBytes).toReversed(),
          (piece) => Feed.writePart(session, memory, piece.bytes, piece),
          { concurrency: 2 }
        )
      )
      const stored = written.map(({ part }) => part).sort((a, b) => a.number - b.number)
      yield* lab.ok("finish", contract, Feed.finish(session, bytes, stored))
      yield* lab.holds(key, bytes, contract)
    })
}

export const again: Draft = {
  name: "lets a part that is sent again take the place",
  needs: [parts, anyOrder],
  see: at("PartsSession.writePart"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(lab.partBytes + 5000, 31)
      const { memory, session } = yield* begun(lab, key, bytes)
      const contract = "a part that is sent again takes the place of what was there"
      const [first, second] = Feed.pieces(bytes, lab.partBytes)
      const send = (bytes: Uint8Array, at: { number: number; offset: number }) =>
        lab.ok(`part ${at.number}`, contract, Feed.writePart(session, memory, bytes, at))
      yield* send(noise(lab.partBytes, 32), first!)
      // The last part may come back with another length, when the source was longer before.
      yield* send(noise(7000, 33), second!)
      const stored = [(yield* send(first!.bytes, first!)).part, (yield* send(second!.bytes, second!)).part]
      yield* lab.ok("finish", contract, Feed.finish(session, bytes, stored))
      yield* lab.holds(key, bytes, contract)
    })
}

export const missing: Draft = {
  name: "makes no object of parts that are not there",
  needs: [parts],
  see: at("PartsSession.finish"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(2 * lab.partBytes, 34)
      const { memory, session } = yield* begun(lab, key, bytes)
      const contract = "finish fails when a part that it names is not at the store as it was named"
      const [first, second] = Feed.pieces(bytes, lab.partBytes)
      const { part } = yield* lab.ok("part 1", "a part is taken", Feed.writePart(session, memory, first!.bytes, first!))
      const { bytes: _, ...where } = second!
      const never = { ...where, length: second!.bytes.byteLength, tag: part.tag, digests: part.digests }
      const exit = yield* lab.within("finish", Feed.finish(session, bytes, [part, never]))
      yield* lab.check(Exit.isFailure(exit), contract, "it succeeded, and part 2 was never sent")
      const found = yield* lab.within("inspect", session.inspect)
      yield* lab.check(
        !(Exit.isSuccess(found) && found.value._tag === "Stored"),
        contract,
        "afterwards inspect says Stored"
      )
      yield* lab.ok("discard", "discard tidies up", session.discard)
      yield* lab.nothing(key, "nothing is left of an object that was not made")
    })
}

export const finishTwice: Draft = {
  name: "finishes twice without harm",
  needs: [parts],
  see: at("PartsSession.finish; packages/core/src/internal/parts.ts"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(lab.partBytes + 17, 35)
      const { sent, session } = yield* Feed.store(lab, key, bytes)
      const contract = "finish is repeated when its answer was lost: the object stays as it is, and inspect says Stored"
      if (session.shape === "parts") yield* lab.within("a second finish", Feed.finish(session, bytes, sent.parts))
      yield* lab.holds(key, bytes, contract)
      const found = yield* lab.ok("inspect", contract, session.inspect)
      yield* lab.check(found._tag === "Stored", contract, `after a second finish it says ${found._tag}`)
      yield* lab.noneUnfinished(key, contract)
    })
}

export const all: ReadonlyArray<Draft> = [order, again, missing, finishTwice]
