/**
 * Writes blocks to a request: two writes outstanding, each block given back when the socket has taken it. More writes
 * outstanding, and smaller ones, were measured to be slower.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { ClientRequest } from "node:http"
import type { Block } from "@headrace/core/Block"

const outstanding = 2

/** uWSGI refuses HTTP chunks of 1 MiB and more; 256 KiB are safe everywhere. */
const maxChunkBytes = 256 * 1024

export class BodyWriter {
  readonly #request: ClientRequest
  readonly #length: number | undefined
  readonly #onSent: (bytes: number) => void
  readonly #pending = new Set<Block>()
  #waiter: (() => void) | undefined
  #onDrained: (() => void) | undefined
  /** Bytes handed to the socket. */
  handed = 0
  /** Whether the last byte has been handed to the socket. */
  complete = false
  /** Whether the socket has taken the last byte. */
  drained = false

  constructor(request: ClientRequest, length: number | undefined, onSent: (bytes: number) => void) {
    this.#request = request
    this.#length = length
    this.#onSent = onSent
  }

  /** Bytes that have left for the kernel: what was handed over less what still waits in the socket. */
  get moved(): number {
    const socket = this.#request.socket as { _handle?: { writeQueueSize?: number } } | null
    const queued = socket?._handle?.writeQueueSize ?? 0
    return this.handed - (typeof queued === "number" ? queued : 0)
  }

  #write(block: Block): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.#pending.add(block)
      this.handed += block.length
      this.#onSent(block.length)
      this.#request.write(block.bytes, () => {
        if (this.#pending.delete(block)) block.release()
        const waiter = this.#waiter
        this.#waiter = undefined
        waiter?.()
        if (this.#pending.size === 0) this.#onDrained?.()
      })
      if (this.#pending.size < outstanding) resume(Effect.void)
      else this.#waiter = () => resume(Effect.void)
    })
  }

  /** Sends the stream. Fails with what `wrong` makes when its length is not the announced one. */
  run<E, R, E2>(stream: Stream.Stream<Block, E, R>, wrong: (message: string) => E2): Effect.Effect<void, E | E2, R> {
    return Stream.runForEach(stream, (block) => {
      if (this.#length !== undefined && this.handed + block.length > this.#length) {
        block.release()
        return Effect.fail(wrong(`the body has more than the announced ${this.#length} bytes`))
      }
      if (this.#length !== undefined || block.length <= maxChunkBytes) return this.#write(block)
      return Effect.gen({ self: this }, function* () {
        for (let at = 0; at < block.length; at += maxChunkBytes) {
          yield* this.#write(block.slice(at, Math.min(block.length, at + maxChunkBytes)))
        }
        block.release()
      })
    }).pipe(
      Effect.andThen(
        Effect.suspend((): Effect.Effect<void, E2> => {
          if (this.#length !== undefined && this.handed < this.#length) {
            return Effect.fail(wrong(`the body ended after ${this.handed} of the announced ${this.#length} bytes`))
          }
          return Effect.callback<void>((resume) => {
            const done = () => {
              this.drained = true
              resume(Effect.void)
            }
            this.complete = true
            this.#request.end()
            if (this.#pending.size === 0) done()
            else this.#onDrained = done
          })
        })
      )
    )
  }

  /** Gives back what a destroyed socket will not take any more. */
  releaseAll(): void {
    for (const block of this.#pending) block.release()
    this.#pending.clear()
  }
}
