/**
 * Uploads that outlive their session: gone on with, found again, given up, and cut off by `kill -9` at every point at
 * which something is noted.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import type { StoredPart } from "@headrace/core/Store"
import { noise } from "./bytes.ts"
import { anyOrder, at, type Draft, lists, parts, resumes } from "./draft.ts"
import * as Engine from "./engine.ts"
import * as Feed from "./feed.ts"
import * as Journal from "./journal.ts"
import { asParts, type Lab } from "./lab.ts"

/** An upload whose session has ended with these of its parts sent, as when its process was killed. */
const left = <R>(lab: Lab<R>, key: string, bytes: Uint8Array, numbers: ReadonlyArray<number>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes)))
      yield* lab.ok("begin", "a session begins", session.begin)
      const memory = yield* Feed.share(lab)
      const sent = yield* Effect.forEach(
        Feed.pieces(bytes, lab.partBytes).filter(({ number }) => numbers.includes(number)),
        (piece) =>
          lab.ok(`part ${piece.number}`, "a part is taken", Feed.writePart(session, memory, piece.bytes, piece))
      )
      const contract = "a session whose store claims unfinished.resume has a resumption"
      if (session.resumption === undefined) return yield* lab.fail(contract, "it has none")
      const token = yield* session.resumption.token
      yield* lab.check(token !== "", "the token is known once begin has ended", "it is empty")
      return { token, noted: sent.map(({ part }) => part) }
    })
  )

const describe = (parts: ReadonlyArray<StoredPart>) =>
  parts.length === 0 ? "none" : parts.map(({ length, number }) => `${number} (${length} bytes)`).join(", ")

export const resumed: Draft = {
  name: "goes on with the parts that are there",
  needs: [parts, resumes],
  see: at("Resumption.resume"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(3 * lab.partBytes + 50, 40)
      // One that takes parts in their order has the first ones.
      const inOrder = anyOrder(lab.options) !== undefined
      const there = inOrder ? [1, 2] : [1, 3]
      const { noted, token } = yield* left(lab, key, bytes, there)
      const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes)))
      const contract = "resume gives those parts that are at the store, however many were noted"
      const gone = { ...noted[0]!, number: 4, offset: 3 * lab.partBytes, length: 50, tag: `${noted[0]!.tag}-never` }
      const cut = { partBytes: lab.partBytes, size: bytes.byteLength }
      const found = yield* lab.ok("resume", contract, session.resumption!.resume(token, [...noted, gone], cut))
      if (found === undefined) return yield* lab.fail(contract, "it says that there is no such upload")
      const expected = noted.map(({ length, number, offset }) => ({ number, offset, length }))
      const given = [...found].sort((a, b) => a.number - b.number)
      yield* lab.check(
        JSON.stringify(given.map(({ length, number, offset }) => ({ number, offset, length }))) ===
          JSON.stringify(expected),
        contract,
        `parts ${describe(noted)} are there, and it gives ${describe(given)}`
      )
      const memory = yield* Feed.share(lab)
      const rest = yield* Effect.forEach(
        Feed.pieces(bytes, lab.partBytes).filter(({ number }) => !there.includes(number)),
        (piece) => lab.ok(`part ${piece.number}`, contract, Feed.writePart(session, memory, piece.bytes, piece))
      )
      const all = [...given, ...rest.map(({ part }) => part)].sort((a, b) => a.number - b.number)
      yield* lab.ok("finish", contract, Feed.finish(session, bytes, all))
      yield* lab.holds(key, bytes, "an upload that was gone on with becomes the whole object")
      yield* lab.noneUnfinished(key, "nothing is left of an upload that was finished")
    })
}

export const gone: Draft = {
  name: "does not go on with an upload that is no more",
  needs: [parts, resumes],
  see: at("Resumption.resume"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(2 * lab.partBytes, 41)
      const { noted, token } = yield* left(lab, key, bytes, [1])
      const cut = { partBytes: lab.partBytes, size: bytes.byteLength }
      const contract = "of an upload that is no more, resume gives undefined, and the object is begun anew"
      yield* Effect.scoped(
        Effect.gen(function* () {
          const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes)))
          yield* lab.ok("resume", contract, session.resumption!.resume(token, noted, cut))
          const said = yield* lab.ok("discard", "discard gives a resumed upload up", session.discard)
          yield* lab.check(said === "none", "discard gives a resumed upload up", `it says that "${said}" is left`)
        })
      )
      const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes)))
      const found = yield* lab.ok("resume", contract, session.resumption!.resume(token, noted, cut))
      yield* lab.check(
        found === undefined,
        contract,
        `of an upload that was given up it gives the parts ${describe(found ?? [])}`
      )
      yield* lab.nothing(key, "nothing is left of an upload that was given up")
    })
}

export const found: Draft = {
  name: "finds what was left behind, and gives it up",
  needs: [parts, resumes, lists],
  see: at("Store.unfinished and abort"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const { token } = yield* left(lab, key, noise(2 * lab.partBytes, 42), [1])
      const store = lab.store(key)
      const contract = "an upload that was begun and neither finished nor given up is listed by its token"
      const missing = "a store that claims to list and to abort has unfinished and abort"
      if (store.unfinished === undefined || store.abort === undefined) return yield* lab.fail(missing, "it has not")
      const listed = lab.ok("unfinished", contract, Stream.runCollect(store.unfinished))
      const before = yield* listed
      yield* lab.check(
        before.some((upload) => upload.token === token),
        contract,
        `of ${before.length} that are listed none has the token of the one that was begun`
      )
      for (const time of ["abort", "a second abort"]) {
        yield* lab.ok(time, "abort gives an upload up, and succeeds when there is none", store.abort(token))
      }
      const after = yield* listed
      yield* lab.check(
        after.every((upload) => upload.token !== token),
        "an upload that was given up is listed no more",
        "it is"
      )
      yield* lab.nothing(key, "nothing is left of an upload that was given up")
    })
}

/** The most writes to a journal that an upload of four parts makes. */
const mostWrites = 30

export const killed: Draft = {
  name: "goes on after kill -9 at each write to the journal",
  needs: [parts, resumes],
  see: "packages/core/src/UploadJournal.ts",
  run: (lab) =>
    Effect.gen(function* () {
      const bytes = noise(3 * lab.partBytes + 123, 43)
      for (const moment of ["before", "after"] as const) {
        for (let write = 1; write <= mostWrites; write++) {
          const key = lab.key(`killed-${moment}-${write}`)
          const notes: Journal.Notes = []
          const contract = `an upload that was killed ${moment} write ${write} to its journal is gone on with, and proven`
          const first = Journal.make(notes, { write, moment })
          const ended = yield* Engine.transfer(lab, key, bytes, { journal: first.service, killed: first.killed })
          if (ended.exit !== undefined) {
            yield* lab.check(Exit.isSuccess(ended.exit), "a transfer with a journal succeeds", Engine.told(ended))
            // There is no such write.
            yield* lab.check(write > 2, "an upload in parts is noted in the journal", "nothing was noted")
            break
          }
          // Before it is known how it is cut, nothing was sent of it: it is begun anew, and what was begun stays to be listed.
          const isCut = notes[0]?.noted.partBytes !== undefined
          const second = yield* Engine.transfer(lab, key, bytes, { journal: Journal.make(notes).service })
          yield* Engine.proven(lab, second, key, bytes, contract)
          if (notes.length > 0) yield* lab.fail(contract, "the journal still has notes of it")
          if (isCut) yield* lab.noneUnfinished(key, contract)
        }
      }
    })
}

export const all: ReadonlyArray<Draft> = [resumed, gone, found, killed]
