/**
 * What a store takes, and what it refuses: bodies of every size, names, bodies that are not what was announced.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import * as Option from "effect/Option"
import * as Cause from "effect/Cause"
import * as SourceError from "@headrace/core/SourceError"
import { difference, noise } from "./bytes.ts"
import { at, type Draft, keys, noSize } from "./draft.ts"
import * as Engine from "./engine.ts"
import * as Feed from "./feed.ts"
import { blockBytes, wordsOf } from "./lab.ts"
import type { Options } from "./model.ts"

/** Where bodies of a size are known to go wrong: at nothing, at the edges of blocks and of parts. */
const sizesOf = (isParts: boolean, partBytes: number): ReadonlyArray<number> => [
  ...new Set([
    0,
    1,
    blockBytes - 1,
    blockBytes,
    blockBytes + 1,
    3 * blockBytes + 77,
    ...(isParts ? [partBytes - 1, partBytes, partBytes + 1, 3 * partBytes + 5] : [])
  ])
]

const claimed = ["shape", "maxObjectBytes", "rangedRead", "needsSize", "sharedMemory", "reports", "parts"] as const
const alsoClaimed = ["checks", "conditionalCreate", "serverSideCopy", "unfinished", "continues"] as const

/** As text, the same whatever order it is written in. */
const plain = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(plain).sort().join(",")}]`
  if (typeof value !== "object" || value === null) return String(JSON.stringify(value))
  const fields = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${fields
    .map(([name, member]) => `${name}: ${plain(member)}`)
    .sort()
    .join(", ")}}`
}

const differing = (claims: Options["capabilities"], said: Options["capabilities"]) => {
  // What is assumed before anything was tried is no word to be held to.
  const names = [...claimed, ...alsoClaimed].filter(
    (name) => Object.hasOwn(claims, name) && said.learnt?.[name] !== "assumed"
  )
  const name = names.find((name) => plain(claims[name]) !== plain(said[name]))
  return name === undefined ? undefined : `"${name}" is ${plain(said[name])}, and ${plain(claims[name])} was claimed`
}

export const says: Draft = {
  name: "says what it can do",
  needs: [],
  see: at("Capabilities"),
  run: (lab) =>
    Effect.gen(function* () {
      const contract = "a store's capabilities are what its author claims"
      const { capabilities } = lab.options
      const key = lab.key()
      const said = yield* lab.ok("asking for capabilities", contract, lab.store(key).capabilities)
      const different = differing(capabilities, said)
      yield* lab.check(different === undefined, contract, different ?? "")
      // What fits into one part may be sent as one body all the same.
      const content = lab.content(noise(lab.isParts ? 2 * lab.partBytes + 1 : 10, 1))
      const session = yield* lab.open(key, content)
      yield* lab.check(
        session.shape === capabilities.shape,
        "a session has the shape that its store claims",
        `"${capabilities.shape}" was claimed, and it is "${session.shape}"`
      )
      if (session.shape === "parts" && said.parts !== undefined) {
        yield* lab.check(
          plain(session.limits) === plain(said.parts),
          "a session has its objects cut as its store says",
          `the store says ${plain(said.parts)}, the session ${plain(session.limits)}`
        )
      }
      const planned = yield* lab.ok("plan", "a plan makes nothing", lab.store(key).plan(content))
      yield* lab.check(
        planned.action === "create" || planned.action === "use",
        "a plan for an object that can be made says create or use",
        `it says "${planned.action}": ${planned.why}`
      )
      yield* lab.nothing(key, "capabilities, plan and open make nothing")
    })
}

export const sizes: Draft = {
  name: "takes bodies of every size",
  needs: [],
  see: at("WholeSession.write, PartsSession.writePart and finish"),
  run: (lab) =>
    Effect.forEach(
      sizesOf(lab.isParts, lab.partBytes),
      (size) =>
        Effect.scoped(
          Effect.gen(function* () {
            const key = lab.key(`of-${size}`)
            const bytes = noise(size, size)
            const { session } = yield* Feed.store(lab, key, bytes)
            yield* lab.holds(key, bytes, `a body of ${size} bytes that was taken is at the service, byte for byte`)
            const contract = `after a body of ${size} bytes was taken, inspect says Stored, and how many bytes there are`
            const found = yield* lab.ok("inspect", contract, session.inspect)
            yield* lab.check(found._tag === "Stored", contract, `it says ${found._tag}`)
            const said = found._tag === "Stored" ? found.object.size : undefined
            yield* lab.check(said === undefined || said === size, contract, `it says ${said} bytes`)
          })
        ),
      { discard: true }
    )
}

export const unsized: Draft = {
  name: "takes bodies whose size nobody knows before",
  needs: [noSize],
  see: at("Body.length, Capabilities.needsSize"),
  run: (lab) =>
    Effect.forEach(
      [0, 1, 2 * blockBytes + 9],
      (size) =>
        Effect.scoped(
          Effect.gen(function* () {
            const key = lab.key(`unsized-${size}`)
            const bytes = noise(size, size + 2)
            yield* Feed.store(lab, key, bytes, { length: null })
            yield* lab.holds(key, bytes, `a body of unknown size is there whole, here ${size} bytes`)
          })
        ),
      { discard: true }
    )
}

export const names: Draft = {
  name: "takes keys as they are",
  needs: [keys],
  see: at("Store.uri"),
  run: (lab) =>
    Effect.gen(function* () {
      const all = lab.options.keys!.map((name, index) => ({
        key: lab.key(name),
        bytes: noise(3000 + index, 77 + index)
      }))
      yield* Effect.forEach(
        all,
        ({ bytes, key }) =>
          Effect.flatMap(Engine.transfer(lab, key, bytes), (outcome) =>
            Engine.proven(lab, outcome, key, bytes, `an object may be called ${JSON.stringify(key)}`)
          ),
        { discard: true, concurrency: 3 }
      )
      for (const { bytes, key } of all) {
        yield* lab.holds(key, bytes, `an object has exactly the key that it was given, here ${JSON.stringify(key)}`)
      }
    })
}

/** What came of a body that must not be taken for whole. */
const notTaken = (length: (size: number) => number, name: string, what: string): Draft => ({
  name,
  needs: [],
  see: at("Body.length, WholeSession.write"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(blockBytes + 1000, 6)
      const session = yield* lab.open(key, lab.content(bytes, { size: length(bytes.byteLength) }))
      yield* lab.ok("begin", "a session begins", session.begin)
      const share = yield* Feed.share(lab)
      const announced = length(bytes.byteLength)
      const how = { stallMs: 1000, answerMs: 1000 }
      const exit = yield* lab.within(
        "the write",
        session.shape === "whole"
          ? session.write(Feed.make(share, bytes, { ...how, length: announced }).body)
          : Effect.flatMap(
              Feed.part(session, Feed.make(share, bytes, how), { number: 1, offset: 0, bytes, length: announced }),
              session.writePart
            )
      )
      const contract = `a body ${what} than was announced is never taken for whole`
      yield* lab.check(
        Exit.isFailure(exit),
        contract,
        `${announced} bytes were announced, ${bytes.byteLength} came, and the write succeeded`
      )
      const found = yield* lab.within("inspect", session.inspect)
      yield* lab.check(
        !(Exit.isSuccess(found) && found.value._tag === "Stored" && found.value.object.size === announced),
        contract,
        `inspect says that all ${announced} bytes are there`
      )
      const left = yield* lab.ok("discard", "discard tidies up after a body that failed", session.discard)
      if (left === "none") yield* lab.nothing(key, 'where discard says "none", nothing is left')
    })
})

export const short = notTaken((size) => size + 1, "refuses a body that ends too early", "shorter")
export const long = notTaken((size) => size - 1, "refuses a body that goes on too long", "longer")

export const sourceError: Draft = {
  name: "passes an error of the body on",
  needs: [],
  see: at("WholeSession.write, PartsSession.writePart: the error type E"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(3 * blockBytes, 7)
      const session = yield* lab.open(key, lab.content(bytes))
      yield* lab.ok("begin", "a session begins", session.begin)
      const memory = yield* Feed.share(lab)
      const broken = SourceError.make("SourceUnreadable", { uri: "kit:", message: "the source broke" })
      const how: Feed.How = { before: (position) => (position >= blockBytes ? Effect.fail(broken) : Effect.void) }
      const exit = yield* lab.within(
        "a write whose body fails",
        session.shape === "whole"
          ? session.write(Feed.make(memory, bytes, how).body)
          : Feed.writePart(session, memory, bytes, { number: 1, offset: 0 }, how)
      )
      const contract = "a write whose body fails ends with the body's own error, and makes no object"
      yield* lab.check(!Exit.isSuccess(exit), contract, "it succeeded")
      const error = Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined
      yield* lab.check(
        error === broken,
        contract,
        `it ended with another: ${Exit.isFailure(exit) ? wordsOf(exit.cause) : ""}`
      )
      const found = yield* lab.ok("inspect", contract, session.inspect)
      yield* lab.check(
        !(found._tag === "Stored" && found.object.size === bytes.byteLength),
        contract,
        "inspect says that all bytes are there"
      )
      yield* lab.noBlocks("all blocks are given back when the body fails", "after the write")
      const left = yield* lab.ok("discard", "discard tidies up after a body that failed", session.discard)
      yield* lab.check(left === "none", "discard deletes what the session made", `it says that "${left}" is left`)
      yield* lab.nothing(key, 'where discard says "none", nothing is left')
    })
}

export const readBack: Draft = {
  name: "reads back what is there",
  needs: [],
  see: at("SessionBase.read"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(2 * blockBytes + 11, 10)
      const { session } = yield* Feed.store(lab, key, bytes)
      const contract = "read gives the object's bytes as the service has them"
      const chunks = yield* lab.ok("read", contract, Stream.runCollect(session.read))
      const wrong = difference(Buffer.concat(chunks), bytes)
      yield* lab.check(
        wrong === undefined,
        contract,
        `what was read is not: ${wrong?.replace("the service holds", "it has")}`
      )
    })
}

export const all: ReadonlyArray<Draft> = [says, sizes, unsized, names, short, long, sourceError, readBack]
