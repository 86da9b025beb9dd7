/**
 * Reads an open file straight into blocks of the pool, without another copy, and a little ahead of whoever pulls: two
 * reads at once keep a socket busy where one leaves it waiting half of the time (measured; three are no faster).
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { read, readv } from "node:fs"
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

  /** Whether less came than was asked for. */
  short = false

  /** `probes`: it asks for a byte more than the block takes, to see whether there is one. */
  constructor(fd: number, block: Block, at: number, position: number | null, probes: boolean) {
    this.block = block
    this.at = at
    const { space } = block
    const ended = (error: unknown, bytes: number) => {
      this.running = false
      if (error === null) block.setLength(Math.min(bytes, space.byteLength))
      else this.error = error
      this.short = bytes < space.byteLength + (probes ? 1 : 0)
      for (const watcher of this.#watchers) watcher()
    }
    if (probes) readv(fd, [space, new Uint8Array(1)], position, ended)
    else read(fd, space, 0, space.byteLength, position, ended)
  }

  readonly ended: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (!this.running) return resume(Effect.void)
    const watcher = () => resume(Effect.void)
    this.#watchers.add(watcher)
    return Effect.sync(() => this.#watchers.delete(watcher))
  })
}

/**
 * The file from `offset` on, or from where it stands when that is `undefined`. `size` is what it is said to have: nothing
 * is read ahead behind that, and where less comes than was asked for and ends there, no other read is needed to see it.
 */
export const readBlocks = (
  name: string,
  fd: number,
  offset: number | undefined,
  size?: number
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
        let ended = false

        const start = (block: Block) => {
          const end = at + block.space.byteLength
          reads.push(new Read(fd, block, at, offset === undefined ? null : at, offset !== undefined && end === size))
          at = end
        }
        /** Takes no block that somebody else waits for. */
        const readAhead = () => {
          while (reads.length < most && at < (size ?? Infinity)) {
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
          const { at: began, block, error, short } = reads[0]!
          if (error !== undefined) return Effect.fail(unreadable(name, error, began))
          reads.shift()
          ended = short && began + block.length === size
          if (block.length === block.space.byteLength && !ended) {
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
        const next = Effect.suspend(() => {
          if (ended) return Cause.done()
          return reads.length === 0 ? Effect.flatMap(startFirst, () => takeWhenRead) : takeWhenRead
        })
        return Stream.fromPull(Effect.succeed(next))
      })
    )
  )
