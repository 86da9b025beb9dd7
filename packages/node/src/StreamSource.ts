/**
 * Sources from what programs have at hand: a `Uint8Array`, a Node `Readable`, a web `ReadableStream`, an iterable or
 * async iterable of `Uint8Array`s. A function that gives any of these for an offset makes the source replayable.
 *
 * A stream that has been used up is an error, never an empty source: a consumed body sent again is how images of zero
 * bytes come about.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Readable } from "node:stream"
import type { ReadableStream as NodeReadableStream } from "node:stream/web"
import { isUint8Array } from "node:util/types"
import * as Source from "@headrace/core/Source"
import * as SourceError from "@headrace/core/SourceError"
import { fromItems, UsedUp } from "./internal/iterating.ts"
import { fromReadable } from "./internal/readable.ts"

/**
 * A web stream, by what is needed of it, so that every platform's type fits.
 *
 * @since 0.1.0
 * @category models
 */
export interface WebStream {
  readonly getReader: () => unknown
}

/**
 * Bytes that can be read once; a Node `Readable` is an async iterable.
 *
 * @since 0.1.0
 * @category models
 */
export type Once = Uint8Array | WebStream | Iterable<Uint8Array> | AsyncIterable<Uint8Array>

/**
 * Bytes that can be read once, or a function that gives them from an offset (in bytes) on, as often as it is called.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = Once | ((offset: number) => Once | Promise<Once>)

const isIterable = (input: object): input is Iterable<unknown> | AsyncIterable<unknown> =>
  Symbol.asyncIterator in input || Symbol.iterator in input

const toReadable = (input: Readable | WebStream): Readable => {
  if (input instanceof Readable) {
    if (input.errored !== null) throw input.errored
    if (input.destroyed || input.readableEnded) throw new UsedUp()
    // Bytes that were taken for text are not the same bytes any more.
    if (input.readableEncoding !== null) throw new Error(`the stream gives text (${input.readableEncoding}), not bytes`)
    return input
  }
  const stream = input as unknown as NodeReadableStream
  if (stream.locked) throw new Error("somebody else reads the stream (it is locked)")
  // Its declared type leaves web streams out; they are what it was extended for.
  if (Readable.isDisturbed(stream as unknown as Readable)) throw new UsedUp()
  return Readable.fromWeb(stream)
}

/** Memory that was handed to somebody else, or shrunk away, looks like no bytes; what was in it would be lost unseen. */
const isGone = (bytes: Uint8Array): boolean => {
  if (bytes.byteLength > 0) return false
  try {
    new Uint8Array(0).set(bytes)
    return false
  } catch {
    return true
  }
}

const checked = (chunk: unknown): Uint8Array => {
  // Of any realm: programs run in contexts of their own under some test runners.
  if (isUint8Array(chunk)) {
    if (isGone(chunk)) throw new TypeError("the memory of its bytes is gone (detached, or resized)")
    return chunk
  }
  if (chunk instanceof ArrayBuffer) return new Uint8Array(chunk)
  throw new TypeError(`it gave ${typeof chunk === "object" ? "an object" : `a ${typeof chunk}`}, not a Uint8Array`)
}

const read = (
  input: Once,
  onError: (cause: unknown) => SourceError.SourceError
): Stream.Stream<Uint8Array, SourceError.SourceError> => {
  if (isUint8Array(input)) {
    if (isGone(input))
      return Stream.fail(onError(new TypeError("the memory of the bytes is gone (detached, or resized)")))
    return input.byteLength === 0 ? Stream.empty : Stream.succeed(input)
  }
  if (typeof input !== "object" || input === null) {
    return Stream.fail(onError(new TypeError(`it is ${input === null ? "null" : `a ${typeof input}`}, not bytes`)))
  }
  const chunks =
    input instanceof Readable || "getReader" in input
      ? Stream.unwrap(
          Effect.map(Effect.try({ try: () => toReadable(input), catch: onError }), (readable) =>
            fromReadable(() => readable, onError)
          )
        )
      : isIterable(input)
        ? fromItems(input, onError)
        : Stream.fail(onError(new TypeError("it is an object, not bytes")))
  return Stream.mapEffect(chunks, (chunk) => Effect.try({ try: () => checked(chunk), catch: onError }))
}

/**
 * Makes a source. `size` in bytes, where it is known; of a `Uint8Array` it is. `uri` is what messages and receipts call
 * it.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (input: Input, options?: { readonly uri?: string; readonly size?: number }): Source.Source => {
  const uri = options?.uri ?? (isUint8Array(input) ? "memory:" : "stream:")
  if (isUint8Array(input) && !isGone(input)) return Source.fromBytes(input, uri)
  // An error that comes before anybody reads must not end the process; whoever reads finds it.
  if (input instanceof Readable) input.on("error", () => {})
  const replayable = typeof input === "function"
  const onError = (cause: unknown) =>
    SourceError.make("SourceUnreadable", {
      uri,
      message: `cannot read the source: ${(cause instanceof Error ? cause.message : String(cause)).split("\n")[0]}`,
      retryable: replayable && !(cause instanceof UsedUp),
      cause
    })
  let opened = false
  const open = (offset: number) =>
    Stream.suspend(() => {
      if (typeof input === "function") {
        return Stream.unwrap(
          Effect.map(Effect.tryPromise({ try: async () => input(offset), catch: onError }), (once) =>
            read(once, onError)
          )
        )
      }
      if (opened) return Stream.fail(onError(new UsedUp()))
      opened = true
      return read(input, onError)
    })
  return Source.fromStream({
    uri,
    replayable,
    info: Effect.succeed({ size: options?.size, identity: undefined }),
    open
  })
}
