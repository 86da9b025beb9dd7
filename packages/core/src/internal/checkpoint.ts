/**
 * The state of the hashers at the ends of parts, taken while the bytes go on.
 */
import type * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import type { Hashing, State } from "../Digest.ts"

type Blocks = Arr.NonEmptyReadonlyArray<Block>

export interface Options {
  /** Whether a part ends there. */
  readonly isEnd: (total: number) => boolean
  /** Where the stream begins. */
  readonly from: number
  readonly hashing: Hashing
  readonly onState: (state: State) => void
}

/** Cuts what comes, so that no piece goes past the end of a part: they are `every` bytes apart. */
export const align =
  ({ every, from }: { readonly every: number; readonly from: number }) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
    Stream.transformPull(self, (pull) =>
      Effect.sync(() => {
        let total = from
        let waiting: Array<Block> = []
        const next: Pull.Pull<Blocks, E, void, R> = Effect.suspend(() => {
          const block = waiting[0]
          if (block === undefined) {
            return Effect.flatMap(pull, (blocks) => {
              waiting = [...blocks]
              return next
            })
          }
          const room = every - (total % every)
          if (block.length <= room) {
            waiting.shift()
            total += block.length
            return Effect.succeed<Blocks>([block])
          }
          total += room
          waiting[0] = block.slice(room, block.length)
          const piece = block.slice(0, room)
          block.release()
          return Effect.succeed<Blocks>([piece])
        })
        return next
      })
    )

/**
 * Has the state saved at the end of each part, of a stream of pieces that were hashed; of one that goes past the end
 * there is none. Nobody waits for it: a part that ends while a state is being saved has none of its own.
 */
export const take =
  ({ from, hashing, isEnd, onState }: Options) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
    Stream.transformPull(self, (pull, scope) =>
      Effect.sync(() => {
        let total = from
        let saving = false
        const save: Effect.Effect<void> = Effect.ensuring(
          Effect.match(hashing.save, { onSuccess: onState, onFailure: () => {} }),
          Effect.sync(() => {
            saving = false
          })
        )
        return Effect.tap(pull, (blocks) => {
          for (const block of blocks) total += block.length
          if (saving || !isEnd(total)) return Effect.void
          saving = true
          // At once: what comes next is not to be in it.
          return Effect.forkIn(save, scope, { startImmediately: true })
        })
      })
    )
