/**
 * One part between the reader, which appends blocks in order, and the one who sends it.
 *
 * A part that is collected is sent when it is whole, from memory, as often as need be. It holds as few blocks as its
 * bytes need, however small the pieces in which they came. A part that passes through is sent while it is read, once.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import type { BlockShare } from "../BlockPool.ts"

/** Blocks that wait in a part that passes through, before the reader waits too. */
const backlog = 2

export class Part {
  readonly number: number
  readonly offset: number
  readonly collected: boolean
  /** Bytes so far. */
  filled = 0
  /** The last byte has been appended. */
  closed = false
  readonly #share: BlockShare["Service"]
  #blocks: Array<Block> = []
  /** The last block, where it is one of our own with room left. */
  #tail: Block | undefined
  #dropped = false
  readonly #watchers = new Set<() => void>()

  constructor(options: {
    readonly number: number
    readonly offset: number
    readonly collected: boolean
    readonly share: BlockShare["Service"]
  }) {
    this.number = options.number
    this.offset = options.offset
    this.collected = options.collected
    this.#share = options.share
  }

  /** Takes a block over. */
  append(block: Block): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.filled += block.length
      const whole = block.length === this.#share.blockBytes && this.#tail === undefined
      if (this.collected && !whole && !this.#dropped) return this.#copy(block)
      if (this.#dropped) block.release()
      else this.#blocks.push(block)
      this.#tell()
      // Nobody waits for memory that lies here until an earlier part has gone.
      return this.collected ? Effect.void : this.#until(() => this.#dropped || this.#blocks.length < backlog)
    })
  }

  close(): void {
    this.closed = true
    this.#tell()
  }

  /** Gives back what is held, and what is still to come. */
  drop(): void {
    this.#dropped = true
    // A share that closed before has taken its blocks back already.
    for (const block of this.#blocks) if (block.held) block.release()
    this.#blocks = []
    this.#tail = undefined
    this.#tell()
  }

  /** Waits for the last byte. */
  readonly whole: Effect.Effect<void> = Effect.suspend(() => this.#until(() => this.closed))

  /** The bytes from the first on: of a part that was collected and is whole, or, once, of one that passes through. */
  readonly stream: Stream.Stream<Block> = Stream.fromPull(
    Effect.sync(() => {
      let index = 0
      const next: Pull.Pull<Arr.NonEmptyReadonlyArray<Block>> = Effect.suspend(() => {
        const block = this.collected ? this.#blocks[index++]?.share() : this.#blocks.shift()
        if (block !== undefined) {
          this.#tell()
          return Effect.succeed<Arr.NonEmptyReadonlyArray<Block>>([block])
        }
        if (this.closed || this.#dropped) return Cause.done()
        return Effect.andThen(
          this.#until(() => this.closed || this.#dropped || this.#blocks.length > 0),
          next
        )
      })
      return next
    })
  )

  /** Copies a block into our own, and gives it back. */
  #copy(block: Block): Effect.Effect<void> {
    const bytes = block.bytes
    let at = 0
    const step = Effect.suspend(() => (this.#tail === undefined ? Effect.asVoid(this.#grow) : Effect.void)).pipe(
      Effect.map(() => {
        const tail = this.#tail!
        const { space } = tail
        const piece = bytes.subarray(at, at + space.byteLength - tail.length)
        space.set(piece, tail.length)
        tail.setLength(tail.length + piece.byteLength)
        at += piece.byteLength
        if (tail.length === space.byteLength) this.#tail = undefined
      })
    )
    return Effect.ensuring(
      Effect.whileLoop({ while: () => at < bytes.byteLength && !this.#dropped, body: () => step, step: () => {} }),
      Effect.sync(() => (block.held ? block.release() : undefined))
    )
  }

  readonly #grow: Effect.Effect<void> = Effect.suspend(() =>
    Effect.uninterruptibleMask((restore) =>
      Effect.map(restore(this.#share.take), (block) => {
        this.#blocks.push(block)
        this.#tail = block
      })
    )
  )

  #tell(): void {
    for (const watcher of this.#watchers) watcher()
  }

  #until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const watcher = () => {
        if (!condition()) return
        this.#watchers.delete(watcher)
        resume(Effect.void)
      }
      this.#watchers.add(watcher)
      watcher()
      return Effect.sync(() => this.#watchers.delete(watcher))
    })
  }
}
