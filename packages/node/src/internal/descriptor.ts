/**
 * Reads an open file straight into blocks of the pool, without another copy, and a little ahead of whoever pulls: two
 * reads at once keep a socket busy where one leaves it waiting half of the time (measured; three are no faster).
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { read } from "node:fs"
import type { Block } from "@headrace/core/Block"
import { BlockShare } from "@headrace/core/BlockPool"
import * as SourceError from "@headrace/core/SourceError"
import { describeFault } from "./fault.ts"

const mostReads = 2

/** Of a smaller share every block may be needed by those who work on what was read, and must not be lying here. */
const leastShare = 5

/** `name` is the path as users typed it. */
export const unreadable = (name: string, cause: unknown, offset?: number): SourceError.SourceError =>
  SourceError.make("SourceUnreadable", {
    uri: name,
    message: `cannot read ${name === "-" ? "standard input" : `'${name}'`}: ${describeFault(cause)}`,
    // What could be read a moment ago may come back: a device, a network file system.
    retryable: offset !== undefined,
    ...(offset === undefined ? undefined : { offset }),
    cause
  })

/** One read. It cannot be called back: its block must not be given back while the kernel writes into it. */
class Read {
  readonly block: Block
  /** Where it began, in bytes from the start of the file or from where that stood. */
  readonly at: number
  error: unknown
  running = true
  readonly #watchers = new Set<() => void>()

  constructor(fd: number, block: Block, at: number, position: number | null) {
    this.block = block
    this.at = at
    const { space } = block
    read(fd, space, 0, space.byteLength, position, (error, bytes) => {
      this.running = false
      if (error === null) block.setLength(bytes)
      else this.error = error
      for (const watcher of this.#watchers) watcher()
    })
  }

  readonly ended: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (!this.running) return resume(Effect.void)
    const watcher = () => resume(Effect.void)
    this.#watchers.add(watcher)
    return Effect.sync(() => this.#watchers.delete(watcher))
  })
}

/** The file from `offset` on, or from where it stands when that is `undefined`. */
export const readBlocks = (
  name: string,
  fd: number,
  offset: number | undefined
): Stream.Stream<Block, SourceError.SourceError, BlockShare> =>
  Stream.scoped(
    Stream.unwrap(
      Effect.gen(function* () {
        const share = yield* BlockShare
        // Reads from where the file stands would overtake each other.
        const most = share.minimum < leastShare ? 0 : offset === undefined ? 1 : mostReads
        /** In the order of the file. */
        const reads: Array<Read> = []
        let at = offset ?? 0

        const start = (block: Block) => {
          reads.push(new Read(fd, block, at, offset === undefined ? null : at))
          at += block.space.byteLength
        }
        /** Takes no block that somebody else waits for. */
        const readAhead = () => {
          while (reads.length < most) {
            const block = share.takeNow()
            if (block === undefined) return
            start(block)
          }
        }
        const abandon = Effect.uninterruptible(
          Effect.suspend(() =>
            Effect.forEach(
              reads.splice(0),
              ({ block, ended }) => Effect.map(ended, () => (block.held ? block.release() : undefined)),
              { discard: true }
            )
          )
        )
        yield* Effect.addFinalizer(() => abandon)

        /** What the oldest read has brought; it has ended. */
        const take = (): Pull.Pull<Arr.NonEmptyReadonlyArray<Block>, SourceError.SourceError> => {
          const { at: began, block, error } = reads[0]!
          if (error !== undefined) return Effect.fail(unreadable(name, error, began))
          reads.shift()
          if (block.length === block.space.byteLength) {
            readAhead()
            return Effect.succeed([block])
          }
          at = began + block.length
          const end = block.length === 0
          if (end) block.release()
          // What was read behind it does not follow on it.
          return Effect.andThen(abandon, end ? Cause.done() : Effect.succeed<Arr.NonEmptyReadonlyArray<Block>>([block]))
        }
        const takeWhenRead = Effect.suspend(() => {
          readAhead()
          return reads[0]!.running ? Effect.flatMap(reads[0]!.ended, take) : take()
        })
        // Nobody can interrupt between the taking of a block and the start of its read, which sees to it from then on.
        const startFirst = Effect.uninterruptibleMask((restore) => Effect.map(restore(share.take), start))
        const next = Effect.suspend(() =>
          reads.length === 0 ? Effect.flatMap(startFirst, () => takeWhenRead) : takeWhenRead
        )
        return Stream.fromPull(Effect.succeed(next))
      })
    )
  )
