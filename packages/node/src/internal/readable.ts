/**
 * Node's readable streams as Effect streams. A pull that waits can be interrupted at once, which the streams' own
 * async iterators cannot; closing destroys the stream.
 */
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import type { Readable } from "node:stream"
import { longestMs } from "./timers.ts"

type Chunks = Arr.NonEmptyReadonlyArray<Uint8Array>

const toBytes = (chunk: unknown): Uint8Array =>
  typeof chunk === "string" ? new TextEncoder().encode(chunk) : (chunk as Uint8Array)

/** What a pull fails with that has waited so long for anything. */
export interface Patience<E> {
  readonly ms: number
  readonly onEnd: () => E
}

/** A pull of what the stream has, as soon as it has some. */
export const pull = <E>(
  readable: Readable,
  onError: (cause: unknown) => E,
  patience?: Patience<E>
): Pull.Pull<Chunks, E> => {
  const take = (): Pull.Pull<Chunks, E> | undefined => {
    // Streams of objects may give any number of chunks without bytes.
    for (let chunk: unknown = readable.read(); chunk !== null; chunk = readable.read()) {
      const bytes = toBytes(chunk)
      if (bytes.byteLength !== 0) return Effect.succeed([bytes] as Chunks)
    }
    if (readable.errored !== null) return Effect.fail(onError(readable.errored))
    if (readable.readableEnded) return Cause.done()
    if (readable.destroyed) return Effect.fail(onError(new Error("the stream was closed before its end")))
    return undefined
  }
  return Effect.callback<Chunks, E | Cause.Done>((resume) => {
    const now = take()
    if (now !== undefined) return resume(now)
    const timer =
      patience === undefined
        ? undefined
        : setTimeout(
            () => {
              stop()
              resume(Effect.fail(patience.onEnd()))
            },
            Math.min(patience.ms, longestMs)
          )
    const stop = () => {
      clearTimeout(timer)
      readable.off("readable", look)
      readable.off("end", look)
      readable.off("close", look)
      readable.off("error", look)
    }
    const look = () => {
      const found = take()
      if (found === undefined) return
      stop()
      resume(found)
    }
    readable.on("readable", look)
    readable.on("end", look)
    readable.on("close", look)
    readable.on("error", look)
    return Effect.sync(stop)
  })
}

/** A stream that is made when it is opened and destroyed when it is closed. */
export const fromReadable = <E>(
  evaluate: () => Readable,
  onError: (cause: unknown) => E,
  patience?: Patience<E>
): Stream.Stream<Uint8Array, E> =>
  Stream.scoped(
    Stream.unwrap(
      Effect.map(
        Effect.acquireRelease(
          Effect.sync(() => {
            const readable = evaluate()
            // Errors are found by the pull; one that comes when nobody pulls must not end the process.
            readable.on("error", () => {})
            return readable
          }),
          (readable) =>
            Effect.sync(() => {
              readable.destroy()
            })
        ),
        (readable) => Stream.fromPull(Effect.succeed(pull(readable, onError, patience)))
      )
    )
  )
