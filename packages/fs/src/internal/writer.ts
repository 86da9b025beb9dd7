/**
 * Writes a body, or a part, into a file, at its positions, straight from the blocks: two writes outstanding, each block given back
 * when its write has ended. A write cannot be called back, so a writer that is stopped waits for those under way.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FileHandle } from "node:fs/promises"
import type { Block } from "@headrace/core/Block"
import type { Body } from "@headrace/core/Store"
import * as StoreError from "@headrace/core/StoreError"
import { errno, toStoreError } from "./fault.ts"
import { clear, filled, leftOut } from "./holes.ts"

const outstanding = 2

/** How often in `stallMs` it is looked whether anything has moved. */
const looks = 4

const writeAll = async (handle: FileHandle, bytes: Uint8Array, at: number): Promise<void> => {
  for (let done = 0; done < bytes.byteLength;) {
    const { bytesWritten } = await handle.write(bytes, done, bytes.byteLength - done, at + done)
    if (bytesWritten === 0) throw errno("EIO")
    done += bytesWritten
  }
}

export interface Options {
  readonly uri: string
  readonly handle: FileHandle
  /** Whether long runs of zeros are left out. */
  readonly sparse: boolean
  /** Where the body begins in the file, in bytes. */
  readonly from: number
  /** Whether nothing was ever written there. */
  readonly fresh: boolean
}

class Writer {
  readonly #options: Options
  readonly #length: number | undefined
  readonly #onSent: (bytes: number) => void
  #pending = 0
  #error: StoreError.StoreError | undefined
  readonly #watchers = new Set<() => void>()
  /** Bytes so far. */
  taken = 0
  /** Changes whenever something moves. */
  moved = 0

  constructor(options: Options, length: number | undefined, onSent: (bytes: number) => void) {
    this.#options = options
    this.#length = length
    this.#onSent = onSent
  }

  async #write(block: Block, at: number): Promise<void> {
    const { fresh, handle, sparse, uri } = this.#options
    this.#pending++
    const { bytes } = block
    try {
      const ranges = sparse ? filled(bytes, at) : [{ start: 0, end: bytes.byteLength }]
      for (const { end, start } of ranges) await writeAll(handle, bytes.subarray(start, end), at + start)
      const holes = fresh ? [] : leftOut(ranges, bytes.byteLength)
      for (const { end, start } of holes) {
        await clear(handle, { start: at + start, end: at + end }, (zeros, from) => writeAll(handle, zeros, from))
      }
      this.#onSent(bytes.byteLength)
    } catch (cause) {
      this.#error ??= toStoreError(uri, "the file cannot be written", cause)
    }
    if (block.held) block.release()
    this.#pending--
    this.moved++
    for (const watcher of this.#watchers) watcher()
  }

  /** Waits until `done` gives something. */
  #until<A, E>(done: () => Effect.Effect<A, E> | undefined): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const look = () => {
        const found = done()
        if (found === undefined) return false
        this.#watchers.delete(look)
        resume(found)
        return true
      }
      if (!look()) this.#watchers.add(look)
      return Effect.sync(() => this.#watchers.delete(look))
    })
  }

  /** Ends with the first write that fails; nobody has to wait for another block to learn of it. */
  readonly failed: Effect.Effect<never, StoreError.StoreError> = Effect.suspend(() =>
    this.#until(() => (this.#error === undefined ? undefined : Effect.fail(this.#error)))
  )

  /** Waits until fewer than `count` writes are under way. */
  below(count: number): Effect.Effect<void> {
    return this.#pending < count ? Effect.void : this.#until(() => (this.#pending < count ? Effect.void : undefined))
  }

  take(block: Block): Effect.Effect<void, StoreError.StoreError> {
    const length = this.#length
    const end = this.taken + block.length
    if (this.#error !== undefined || (length !== undefined && end > length)) {
      block.release()
      return Effect.fail(this.#error ?? wrong(this.#options.uri, `has more than the announced ${length} bytes`))
    }
    const at = this.#options.from + this.taken
    this.taken = end
    this.moved++
    void this.#write(block, at)
    return this.below(outstanding)
  }

  /** Waits for all writes, and looks whether it is everything. */
  readonly finish: Effect.Effect<number, StoreError.StoreError> = Effect.suspend(() =>
    Effect.flatMap(this.below(1), () => {
      if (this.#error !== undefined) return Effect.fail(this.#error)
      return this.#length === undefined || this.taken === this.#length
        ? Effect.succeed(this.taken)
        : Effect.fail(wrong(this.#options.uri, `ended after ${this.taken} of the announced ${this.#length} bytes`))
    })
  )
}

const wrong = (uri: string, what: string) => StoreError.make("Rejected", { uri, message: `the body ${what}` })

/** Fails when nothing has moved for `stallMs`: neither a block has come nor a write has ended. */
const watch = (uri: string, writer: Writer, stallMs: number): Effect.Effect<never, StoreError.StoreError> =>
  Effect.gen(function* () {
    let seen = writer.moved
    for (let still = 0; still < looks;) {
      yield* Effect.sleep(stallMs / looks)
      still = writer.moved === seen ? still + 1 : 0
      seen = writer.moved
    }
    const message = `no byte was written for ${stallMs / 1000} s`
    return yield* StoreError.make("Stalled", { uri, message, retryable: true })
  })

/** Writes the body; gives its bytes when all writes have ended. */
export const write = <E, R>(options: Options, body: Body<E, R>): Effect.Effect<number, StoreError.StoreError | E, R> =>
  Effect.suspend(() => {
    const writer = new Writer(options, body.length, body.onSent)
    const takeAll = (blocks: ReadonlyArray<Block>) => {
      let next = 0
      return Effect.onExit(
        Effect.whileLoop({
          while: () => next < blocks.length,
          body: () => writer.take(blocks[next++]!),
          step: () => {}
        }),
        () =>
          Effect.sync(() => {
            while (next < blocks.length) blocks[next++]!.release()
          })
      )
    }
    const pump = Effect.andThen(Stream.runForEachArray(body.stream, takeAll), writer.finish)
    const guarded = Effect.raceFirst(pump, Effect.raceFirst(writer.failed, watch(options.uri, writer, body.stallMs)))
    return Effect.ensuring(
      guarded,
      Effect.suspend(() => writer.below(1))
    )
  })
