/**
 * One file being written: as parts, which another process can go on with, or as one body where that is of no use.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Body, Content, PartLimits, Session, WholeSession } from "@headrace/core/Store"
import type * as StoreError from "@headrace/core/StoreError"
import * as File from "./file.ts"
import * as Parts from "./parts.ts"
import * as Writer from "./writer.ts"

/** Writes from the beginning, each time. */
const whole = ({ base, content, empty, finish, uri, writing }: File.File): WholeSession => ({
  ...base,
  shape: "whole",
  write: <E, R>(body: Body<E, R>): Effect.Effect<void, StoreError.StoreError | E, R> =>
    Effect.gen(function* () {
      const file = yield* writing
      yield* empty(file)
      file.used = true
      const { handle } = file
      const sparse = content.sparse === true
      const bytes = yield* Writer.write({ uri, handle, sparse, from: 0, fresh: true }, body)
      yield* finish(file, bytes, body.answerMs)
    })
})

/**
 * A body of unknown size is the whole of a source that nobody can go on with (it would have to be collected, too), and one
 * of no more than a part is soon sent again: these are synced once, and noted nowhere.
 */
export const make = (
  uri: string,
  path: string,
  content: Content,
  limits: PartLimits & { readonly preferredBytes: number }
): Effect.Effect<Session, never, Scope.Scope> =>
  Effect.map(File.make(uri, path, content), (file) =>
    content.size === undefined || content.size <= limits.preferredBytes
      ? whole(file)
      : { ...file.base, ...Parts.make(file, limits) }
  )
