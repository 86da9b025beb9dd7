/**
 * Digests: those that a store reports, and those that it is told and refuses other bytes for.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { digestsOf, noise } from "./bytes.ts"
import { at, checksPart, checksWhole, type Draft, parts } from "./draft.ts"
import * as Feed from "./feed.ts"
import { asParts, blockBytes } from "./lab.ts"

export const reported: Draft = {
  name: "reports digests of what is there",
  needs: [],
  see: at("StoredObject.digests"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(blockBytes + 500, 4)
      const { session } = yield* Feed.store(lab, key, bytes)
      const contract =
        "the digests that inspect reports are those of the bytes at the service, as the service says them"
      const found = yield* lab.ok("inspect", contract, session.inspect)
      if (found._tag !== "Stored")
        return yield* lab.fail(contract, `inspect says ${found._tag} of what was just written`)
      const reported = found.object.digests
      const algorithms = Object.keys(reported) as Array<keyof typeof reported>
      const right = yield* digestsOf(bytes, algorithms)
      const wrong = algorithms.find((name) => reported[name]?.toLowerCase() !== right[name])
      yield* lab.check(
        wrong === undefined,
        contract,
        `it reports ${wrong} ${reported[wrong!]}, and it is ${right[wrong!]}`
      )
      const silent = (lab.options.capabilities.reports ?? []).find((name) => reported[name] === undefined)
      yield* lab.check(
        silent === undefined,
        "every digest that a store claims to report is reported",
        `${silent} is not`
      )
      if (lab.options.put === undefined || algorithms.length === 0) return
      // A digest that was kept instead of asked for does not notice.
      const others = noise(bytes.byteLength, 5)
      yield* lab.put(key, others)
      const later = yield* lab.within("inspect", session.inspect)
      const stale =
        Exit.isSuccess(later) && later.value._tag === "Stored"
          ? algorithms.find((name) => later.value._tag === "Stored" && later.value.object.digests[name] === right[name])
          : undefined
      yield* lab.check(
        stale === undefined,
        contract,
        `after other bytes were put there it still reports the ${stale} of the old ones: the adapter tells what it has itself computed`
      )
    })
}

const wrongDigest = (digest: string) => (digest.startsWith("0") ? "1" : "0") + digest.slice(1)

export const partDigest: Draft = {
  name: "has a part with a wrong digest refused",
  needs: [parts, checksPart],
  see: at("Capabilities.checks, PartBody.digests"),
  run: (lab) =>
    Effect.gen(function* () {
      const key = lab.key()
      const bytes = noise(lab.partBytes, 8)
      const session = yield* asParts(lab, yield* lab.open(key, lab.content(bytes, { size: 2 * bytes.byteLength })))
      yield* lab.ok("begin", "a session begins", session.begin)
      const memory = yield* Feed.share(lab)
      for (const algorithm of lab.options.capabilities.checks!.part) {
        const contract = `a part whose ${algorithm} is not the announced one is refused`
        const right = yield* digestsOf(bytes, [...session.partDigests, algorithm])
        const body = yield* Feed.part(session, Feed.make(memory, bytes), { number: 1, offset: 0, bytes })
        const exit = yield* lab.within(
          "the part",
          session.writePart({
            ...body,
            digests: { ...right, [algorithm]: wrongDigest(right[algorithm]!) }
          })
        )
        yield* lab.check(Exit.isFailure(exit), contract, "it was taken")
      }
      yield* lab.ok("discard", "discard tidies up", session.discard)
    })
}

export const wholeDigest: Draft = {
  name: "has an object with a wrong digest refused",
  needs: [checksWhole],
  see: at("Capabilities.checks, PartsSession.finish, Content.digests"),
  run: (lab) =>
    Effect.forEach(
      lab.options.capabilities.checks!.whole,
      (algorithm) =>
        Effect.scoped(
          Effect.gen(function* () {
            const key = lab.key()
            const bytes = noise(lab.partBytes + 3, 9)
            const contract = `an object whose ${algorithm} is not the announced one is refused`
            const right = yield* digestsOf(bytes, [algorithm])
            const wrong = { [algorithm]: wrongDigest(right[algorithm]!) }
            const session = yield* lab.open(key, lab.content(bytes, { digests: wrong }))
            yield* lab.ok("begin", "a session begins", session.begin)
            const memory = yield* Feed.share(lab)
            const exit = yield* lab.within(
              "the write",
              session.shape === "whole"
                ? session.write(Feed.make(memory, bytes).body)
                : Effect.gen(function* () {
                    const written = yield* Effect.forEach(Feed.pieces(bytes, lab.partBytes), (piece) =>
                      Feed.writePart(session, memory, piece.bytes, piece)
                    )
                    const all = { ...(yield* digestsOf(bytes, session.wanted)), ...wrong }
                    yield* session.finish({
                      parts: written.map(({ part }) => part),
                      size: bytes.byteLength,
                      digests: all,
                      answerMs: 10_000
                    })
                  })
            )
            yield* lab.check(Exit.isFailure(exit), contract, "it was taken")
            yield* lab.ok("discard", "discard tidies up", session.discard)
            yield* lab.nothing(key, contract)
          })
        ),
      { discard: true }
    )
}

export const all: ReadonlyArray<Draft> = [reported, partDigest, wholeDigest]
