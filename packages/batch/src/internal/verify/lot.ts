/**
 * Some thousands of claims that are looked at together: sorted by what is asked as one, each object asked for once however
 * many claims of it there are.
 */
import type { Host } from "@headrace/core/Host"
import type { Transport } from "@headrace/core/Transport"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type * as Ends from "../../Ends.ts"
import type * as Asking from "./asking.ts"
import type { Claim } from "./claim.ts"
import type { Answer, Asked, Found } from "./found.ts"
import * as Glance from "./glance.ts"
import * as Objects from "./objects.ts"
import * as Plain from "./plain.ts"
import * as Target from "./target.ts"

/** A claim with what was found. */
export interface Looked {
  readonly claim: Claim
  /** Nothing where the claim does not say it. */
  readonly target: Target.Target | undefined
  readonly found: Found
}

const only = <T extends Target.Target["_tag"]>(all: ReadonlyArray<Asked>, tag: T) =>
  all.filter((one): one is Asked<Extract<Target.Target, { readonly _tag: T }>> => one.target._tag === tag)

/** All of one service. */
const ask = (asking: Asking.Asking, all: ReadonlyArray<Asked>): Stream.Stream<Answer, never, Transport | Host> => {
  switch (all[0]!.target._tag) {
    case "Glance": {
      const images = only(all, "Glance")
      return asking.head ? Stream.fromIterableEffect(Glance.each(asking, images)) : Glance.many(asking, images)
    }
    case "S3":
      return Objects.s3(asking, only(all, "S3"))
    case "Swift":
      return Objects.swift(asking, only(all, "Swift"))
    case "File":
      return Stream.fromIterableEffect(Plain.files(asking, only(all, "File")))
    case "Http":
      return Stream.fromIterableEffect(Plain.urls(asking, only(all, "Http")))
  }
}

/** What may be why an object cannot be read: a large one of Swift breaks off where a segment is missing. */
export const damage = (
  asking: Asking.Asking,
  asked: Asked
): Effect.Effect<string | undefined, never, Transport | Host> =>
  Effect.map(Objects.eachOfSwift({ ...asking, head: true }, only([asked], "Swift")), ([answer]) =>
    answer?.found._tag === "There" ? answer.found.wrong : undefined
  )

/** Looks at all of them; in no order. */
export const look = (
  asking: Asking.Asking,
  claims: ReadonlyArray<Claim>,
  surroundings: Ends.Surroundings
): Stream.Stream<Looked, never, Transport | Host> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const services = new Map<string, Map<string, { target: Target.Target; claims: Array<Claim> }>>()
      const lost: Array<Looked> = []
      for (const claim of claims) {
        const target = yield* Effect.result(Target.of(claim, surroundings))
        if (Result.isFailure(target)) {
          const found: Found = { _tag: "Unasked", how: "head", why: target.failure.message, away: false }
          lost.push({ claim, target: undefined, found })
          continue
        }
        const { key, service } = target.success
        const objects = services.get(service) ?? new Map<string, { target: Target.Target; claims: Array<Claim> }>()
        services.set(service, objects)
        const known = objects.get(key)
        if (known === undefined) objects.set(key, { target: target.success, claims: [claim] })
        else known.claims.push(claim)
      }
      const answers = Stream.fromIterable(services.values()).pipe(
        Stream.flatMap((objects) => ask(asking, [...objects.values()]), { concurrency: asking.concurrency }),
        Stream.map(({ asked, found }) => asked.claims.map((claim): Looked => ({ claim, target: asked.target, found }))),
        Stream.flattenIterable
      )
      return Stream.concat(Stream.fromIterable(lost), answers)
    })
  )
