/**
 * Reads back what was written.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { BigIntStats } from "node:fs"
import { open } from "node:fs/promises"
import * as StoreError from "@headrace/core/StoreError"
import { calling, codeOf } from "./fault.ts"
import { isSame, type Target } from "./target.ts"

const pieceBytes = 1024 * 1024

/** The file that is in place, in pieces of 1 MiB, by its name: it is the one that others will find. */
export const readBack = (
  uri: string,
  placed: () => { readonly target: Target; readonly made: BigIntStats } | undefined
): Stream.Stream<Uint8Array, StoreError.StoreError> => {
  const what = "the file cannot be read back"
  const absent = StoreError.make("NotFound", { uri, message: `${what}: it is not there` })
  return Stream.scoped(
    Stream.unwrap(
      Effect.gen(function* () {
        const file = placed()
        if (file === undefined) return yield* absent
        const handle = yield* Effect.acquireRelease(
          calling(uri, what, async () => {
            try {
              return await open(file.target.path)
            } catch (cause) {
              throw codeOf(cause) === "ENOENT" ? absent : cause
            }
          }),
          (handle) => Effect.promise(() => handle.close())
        )
        const found = yield* calling(uri, what, () => handle.stat({ bigint: true }))
        if (!isSame(found, file.made)) {
          return yield* StoreError.make("Conflict", { uri, message: `${what}: another file has taken its place` })
        }
        let at = 0
        return Stream.fromPull(
          Effect.succeed(
            Effect.gen(function* () {
              const piece = new Uint8Array(pieceBytes)
              const { bytesRead } = yield* calling(uri, what, () => handle.read(piece, 0, pieceBytes, at))
              if (bytesRead === 0) return yield* Cause.done()
              at += bytesRead
              return [piece.subarray(0, bytesRead)] as const
            })
          )
        )
      })
    )
  )
}
