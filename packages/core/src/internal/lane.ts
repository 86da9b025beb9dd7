/**
 * One destination's end of a source that is read once for several: blocks wait here until the destination takes them.
 *
 * A destination that falls too far behind is detached: what waits for it is given back, and it goes on with a read of its
 * own, from where it is.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"

type Blocks = Arr.NonEmptyReadonlyArray<Block>

export class Lane<E> {
  /** Bytes that the destination has taken. */
  taken = 0
  /** Whether it has asked for any. */
  pulled = false
  #state: "attached" | "detached" | "closed" = "attached"
  #queue: Array<Block> = []
  #end: Exit.Exit<void, E> | undefined
  #waiting: (() => void) | undefined
  readonly #onChange: () => void

  /** `onChange` is told when the lane takes a block, and when it takes none any more. */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  get attached(): boolean {
    return this.#state === "attached"
  }

  get detached(): boolean {
    return this.#state === "detached"
  }

  get closed(): boolean {
    return this.#state === "closed"
  }

  /** Blocks that wait here. */
  get backlog(): number {
    return this.#queue.length
  }

  /** Takes a block over. */
  push(block: Block): void {
    this.#queue.push(block)
    this.#wake()
  }

  /** The source has ended: well, after all that was pushed; or badly, at once. */
  end(exit: Exit.Exit<void, E>): void {
    this.#end = exit
    if (Exit.isFailure(exit)) this.#drop()
    this.#wake()
  }

  detach(): void {
    if (this.#state !== "attached") return
    this.#state = "detached"
    this.#drop()
    this.#wake()
  }

  /** The destination gets no more bytes: if it ever asks for some, this is why. */
  letGo(error: E): void {
    this.#end = Exit.fail(error)
    this.close()
  }

  close(): void {
    this.#state = "closed"
    this.#drop()
    this.#wake()
    this.#onChange()
  }

  /** What was pushed, until the source ends or the lane is detached. */
  readonly stream: Stream.Stream<Block, E> = Stream.fromPull(
    Effect.sync(() => {
      const next: Pull.Pull<Blocks, E> = Effect.suspend(() => {
        this.pulled = true
        const block = this.#queue.shift()
        if (block !== undefined) {
          this.taken += block.length
          this.#onChange()
          return Effect.succeed<Blocks>([block])
        }
        if (this.#end !== undefined && Exit.isFailure(this.#end)) return Effect.failCause(this.#end.cause)
        if (this.#state !== "attached" || this.#end !== undefined) return Cause.done()
        return Effect.andThen(this.#wait, next)
      })
      return next
    })
  )

  readonly #wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    this.#waiting = () => resume(Effect.void)
    return Effect.sync(() => {
      this.#waiting = undefined
    })
  })

  #wake(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.()
  }

  #drop(): void {
    // A share that closed before has taken its blocks back already.
    for (const block of this.#queue) if (block.held) block.release()
    this.#queue = []
  }
}
