/**
 * What a transfer would do, found out without doing it.
 */
import * as Effect from "effect/Effect"
import type { BlockPool } from "../BlockPool.ts"
import type { Options, Planned } from "../Transfer.ts"
import * as Problem from "./problem.ts"
import * as Settings from "./settings.ts"
import * as Uuid from "./uuid.ts"

export const run = <RS, RD>(options: Options<RS, RD>): Effect.Effect<Planned, never, RS | RD | BlockPool> =>
  Effect.scoped(
    Effect.gen(function* () {
      const id = options.id ?? (yield* Uuid.next)
      /** Destinations, each followed by its copies. */
      const asked = [...options.to, ...(options.also ?? [])].flatMap((store, index) => {
        const required = index < options.to.length
        const copies = (store.copies ?? []).map(({ plan, uri }) => ({ uri, required, plan: () => plan }))
        return [{ uri: store.uri, required, plan: store.plan }].concat(copies)
      })
      const prepared = yield* Effect.result(Settings.prepare(options))
      if (prepared._tag === "Failure") {
        const problem = prepared.failure
        return {
          id,
          source: { uri: options.source.uri, size: null },
          destinations: asked.map(({ required, uri }) => ({
            uri,
            required,
            action: "fail" as const,
            why: problem.message,
            problem
          }))
        }
      }
      const { content } = prepared.success
      const destinations = yield* Effect.forEach(asked, ({ plan, required, uri }) =>
        Effect.match(Effect.scoped(plan(content)), {
          onSuccess: (planned) => ({ uri, required, ...planned }),
          onFailure: (error) => ({
            uri,
            required,
            action: "fail" as const,
            why: error.message,
            problem: Problem.fromError(error)
          })
        })
      )
      return { id, source: { uri: options.source.uri, size: content.size ?? null }, destinations }
    })
  ) as Effect.Effect<Planned, never, RS | RD | BlockPool>
