/**
 * Blocks copied into a share of one's own, so that whoever lent them has them back at once.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import type { BlockShare } from "../BlockPool.ts"

export const into =
  (share: BlockShare["Service"]) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
    Stream.mapEffect(self, (block) =>
      Effect.map(
        Effect.onInterrupt(share.take, () => Effect.sync(() => block.release())),
        (own) => {
          own.space.set(block.bytes)
          own.setLength(block.length)
          block.release()
          return own
        }
      )
    )
