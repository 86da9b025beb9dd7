/**
 * Reads sources to their end.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import type { Source } from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"

/** The source's blocks from an offset on, with a pool of its own that has everything back afterwards. */
export const read = <R>(source: Source<R>, offset = 0, minimum = 2) =>
  Effect.scoped(
    Effect.gen(function* () {
      const pool = BlockPool.makeUnsafe({ bytes: 2 * minimum * BlockPool.blockBytes })
      const share = yield* pool.share(minimum)
      const parts: Array<Uint8Array> = []
      const exit = yield* Stream.runForEach(source.open(offset), (block) =>
        Effect.sync(() => {
          parts.push(block.copy())
          block.release()
        })
      ).pipe(Effect.provideService(BlockPool.BlockShare, share), Effect.exit)
      const error = Exit.isFailure(exit) ? exit.cause.reasons.find((r) => r._tag === "Fail")?.error : undefined
      if (Exit.isFailure(exit) && !(error instanceof SourceError.SourceError)) return yield* Effect.die(exit.cause)
      return {
        bytes: new Uint8Array(Buffer.concat(parts)),
        lengths: parts.map((part) => part.byteLength),
        error: error as SourceError.SourceError | undefined,
        inUse: pool.stats().inUse,
        highWater: pool.stats().highWater
      }
    })
  )

/** Bytes in which none is where another one should be. */
export const pattern = (length: number, from = 0) =>
  Uint8Array.from({ length }, (_, i) => ((i + from) * 31 + ((i + from) >> 8)) & 0xff)
