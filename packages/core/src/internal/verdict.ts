/**
 * What becomes of an object that a store holds: it is compared with what was sent, as far as was asked.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { BlockPool } from "../BlockPool.ts"
import type { Algorithm, HasherService } from "../Digest.ts"
import type * as Receipt from "../Receipt.ts"
import type { Info, Source } from "../Source.ts"
import type { Left, Session, StoredObject } from "../Store.ts"
import { computedBy } from "./computedBy.ts"
import { judge, type SourceContent } from "./judge.ts"
import * as Problem from "./problem.ts"
import * as Verify from "./verify.ts"

export type Verdict =
  | {
      readonly _tag: "Good"
      readonly status: "verified" | "stored"
      readonly object: StoredObject
      readonly proof: NonNullable<Receipt.Destination["proof"]>
    }
  | {
      readonly _tag: "Bad"
      readonly problem: Problem.Problem
      readonly left: Left
      readonly object: StoredObject | undefined
      /** Of an object that is not at its own place, and stands at others. */
      readonly elsewhere?: NonNullable<Receipt.Destination["proof"]>
    }

/** Compares a stored object with what was sent, and seals it when it is proven. */
export const reach = <RS>(input: {
  readonly source: Source<RS>
  readonly info: Info
  /** The destination's. */
  readonly uri: string
  readonly level: "transfer" | "source" | "destination"
  readonly hasher: HasherService
  readonly session: Session
  readonly content: SourceContent
  readonly object: StoredObject
  /** Tidies up, and makes a verdict of what is wrong. */
  readonly bad: (problem: Problem.Problem, keep: boolean, object: StoredObject) => Effect.Effect<Verdict>
}): Effect.Effect<Verdict, never, RS | BlockPool> =>
  Effect.gen(function* () {
    const { bad, content, level, object, session } = input
    const same = judge(content, object)
    if (same._tag === "SizeDiffers") return yield* bad(Problem.make("SizeMismatch", same.message), false, object)
    if (same._tag === "DigestDiffers") return yield* bad(Problem.make("DigestMismatch", same.message), false, object)
    const rest = yield* Effect.exit(
      Effect.gen(function* () {
        const misplaced = yield* Effect.match(session.checkPlace(object), {
          onSuccess: () => undefined,
          onFailure: (error) => error
        })
        if (misplaced !== undefined && session.copying?.elsewhere?.(object) !== true) return yield* misplaced
        if (level === "source") {
          yield* Verify.source(input.source, input.info, content)
        }
        const readBack =
          level === "destination"
            ? yield* Verify.destination(session, content, input.uri)
            : ([] as ReadonlyArray<Algorithm>)
        yield* session.seal
        return { misplaced, readBack }
      })
    )
    if (Exit.isFailure(rest)) {
      if (Exit.hasInterrupts(rest)) return yield* Effect.interrupt
      return yield* bad(Problem.fromCause(rest.cause), false, object)
    }
    const { misplaced, readBack } = rest.value
    const compared = [...new Set([...(same._tag === "Equal" ? same.compared : []), ...readBack])]
    const proof = { level, compared, computedBy: computedBy(input.hasher, content.digests) }
    if (misplaced === undefined) {
      return { _tag: "Good", status: compared.length > 0 ? "verified" : "stored", object, proof }
    }
    const verdict = yield* bad(Problem.fromError(misplaced), true, object)
    return verdict._tag === "Bad" ? { ...verdict, elsewhere: proof } : verdict
  })
