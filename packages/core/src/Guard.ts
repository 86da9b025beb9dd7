/**
 * Stages that keep a wrong body from ever becoming a complete one. A store takes a body for whole when it has got the
 * announced number of bytes, so every check must have passed before the last of them is sent: `holdLast` keeps the
 * last block back until the stream above has ended well.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import * as SourceError from "./SourceError.ts"

type Blocks = Arr.NonEmptyReadonlyArray<Block>

/** Runs `onEnd` when the upstream has ended well, before the end is passed on. */
const onDone = <E, R, E2, R2>(
  pull: Pull.Pull<Blocks, E, void, R>,
  onEnd: Effect.Effect<unknown, E2, R2>
): Pull.Pull<Blocks, E | E2, void, R | R2> =>
  Effect.catchCause(pull, (cause): Pull.Pull<never, E | E2, void, R2> =>
    Pull.isDoneCause(cause) ? Effect.andThen(onEnd, Cause.done()) : (Effect.failCause(cause) as Effect.Effect<never, E>)
  )

/**
 * Fails with `SourceTooLong` at the first block that goes past `size`, and with `SourceTooShort` when the stream ends
 * before it. Without a size everything passes. `from` is where the stream begins, when it is not the start.
 *
 * @since 0.1.0
 * @category combinators
 */
export const length =
  (uri: string, size: number | undefined, from = 0) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E | SourceError.SourceError, R> =>
    size === undefined
      ? self
      : Stream.transformPull(self, (pull) =>
          Effect.sync(() => {
            let total = from
            return onDone(
              Effect.flatMap(pull, (blocks): Effect.Effect<Blocks, SourceError.SourceError> => {
                for (const block of blocks) total += block.length
                if (total <= size) return Effect.succeed(blocks)
                for (const block of blocks) block.release()
                return Effect.fail(
                  SourceError.make("SourceTooLong", {
                    uri,
                    message: `the source has more than the ${size} bytes it had at the start`,
                    offset: size
                  })
                )
              }),
              Effect.suspend(() =>
                total === size
                  ? Effect.void
                  : Effect.fail(
                      SourceError.make("SourceTooShort", {
                        uri,
                        message: `the source ended after ${total} of ${size} bytes`,
                        offset: total
                      })
                    )
              )
            )
          })
        )

/**
 * Runs a check when the stream has ended well; its failure is the stream's.
 *
 * @since 0.1.0
 * @category combinators
 */
export const atEnd =
  <E2, R2>(check: Effect.Effect<unknown, E2, R2>) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E | E2, R | R2> =>
    Stream.transformPull(self, (pull) => Effect.succeed(onDone(pull, check)))

/** Blocks that hold bytes; the others are given back. */
const filled = (blocks: Blocks): ReadonlyArray<Block> => {
  if (blocks.every((block) => block.length > 0)) return blocks
  for (const block of blocks) if (block.length === 0) block.release()
  return blocks.filter((block) => block.held)
}

/**
 * Passes each block on when the next one has come, and the last one only when the stream has ended well. A stream
 * that fails is thus never complete downstream, whatever it has sent before. A block without bytes ends here: it would
 * let the last bytes pass.
 *
 * @since 0.1.0
 * @category combinators
 */
export const holdLast = <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
  Stream.transformPull(self, (pull) =>
    Effect.sync(() => {
      let held: Block | undefined
      let ended = false
      const next: Pull.Pull<Blocks, E, void> = Effect.suspend(() => {
        if (ended) return Cause.done()
        return Effect.matchCauseEffect(pull, {
          onSuccess: (all): Pull.Pull<Blocks, E, void> => {
            const blocks = filled(all)
            if (blocks.length === 0) return next
            const out = held === undefined ? blocks.slice(0, -1) : [held, ...blocks.slice(0, -1)]
            held = blocks[blocks.length - 1]
            return out.length === 0 ? next : Effect.succeed(out as unknown as Blocks)
          },
          onFailure: (cause): Pull.Pull<Blocks, E, void> => {
            if (!Pull.isDoneCause(cause)) {
              held?.release()
              held = undefined
              return Effect.failCause(cause) as Effect.Effect<never, E>
            }
            ended = true
            return held === undefined ? Cause.done() : Effect.succeed([held] as Blocks)
          }
        })
      })
      return next
    })
  )
