/**
 * An incoming message as the transport's `Response`.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import { type Response, TransportError } from "@headrace/core/Transport"
import { describe } from "./messages.ts"
import { fromReadable } from "./readable.ts"
import { longestMs } from "./timers.ts"

const maxTextBytes = 16 * 1024 * 1024

/** What is read of an early answer, and for how long: the connection is closed behind it. */
const maxEarlyBytes = 1024 * 1024
const maxEarlyMs = 2000

export interface Answered {
  readonly incoming: IncomingMessage
  /** The origin, for messages. */
  readonly name: string
  readonly bytesSent: number
  readonly stallMs: number
  readonly answerMs: number
}

const headersOf = (incoming: IncomingMessage): Record<string, string> => {
  const out: Record<string, string> = {}
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    if (values !== undefined) out[name] = values.join(", ")
  }
  return out
}

/** Texts as they come in pieces, up to what anybody reads of them. */
class Text {
  readonly #decoder = new TextDecoder()
  #left = maxTextBytes
  #text = ""

  /** False when no more is read. */
  add(chunk: Uint8Array): boolean {
    const part = chunk.subarray(0, this.#left)
    this.#left -= part.byteLength
    this.#text += this.#decoder.decode(part, { stream: true })
    return this.#left > 0
  }

  end(): string {
    return this.#text + this.#decoder.decode()
  }
}

const textOf = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Effect.suspend(() => {
    const text = new Text()
    // Not read to its end when that is too far away: some answers have none.
    return Effect.map(Stream.runDrain(Stream.takeUntil(stream, (chunk) => !text.add(chunk))), () => text.end())
  })

/** What goes wrong with the reading of an answer. */
const troubles = ({ bytesSent, incoming, name }: Answered) => {
  const announced = incoming.headers["content-length"]
  const trouble = (tag: "ConnectionLost" | "Stalled", message: string, cause?: unknown) =>
    new TransportError({
      reason: { _tag: tag },
      phase: "answer",
      bytesSent,
      message: `${name}: ${message}`,
      ...(cause === undefined ? undefined : { cause })
    })
  return {
    lost: (cause: unknown, read: number) => {
      const soFar = announced === undefined ? `${read} bytes` : `${read} of ${announced} bytes`
      return trouble("ConnectionLost", `${describe(cause)} after ${soFar} of the answer`, cause)
    },
    stalled: (ms: number) => trouble("Stalled", `no byte of the answer came for ${ms / 1000} s`),
    late: (ms: number) => trouble("Stalled", `the answer did not end within ${ms / 1000} s`)
  }
}

/**
 * The whole text. It is a part of the answer: one that trickles is not there in time, though it never stalls. Nearly all
 * answers are read so, and are short, so this is done without a stream.
 */
const readText = (answered: Answered): Effect.Effect<string, TransportError> =>
  Effect.callback<string, TransportError>((resume) => {
    const { answerMs, incoming, stallMs } = answered
    const trouble = troubles(answered)
    const text = new Text()
    let read = 0
    const stop = () => {
      clearTimeout(stall)
      clearTimeout(late)
      incoming.off("data", take).off("end", end).off("error", closed).off("close", closed)
    }
    const fail = (error: TransportError) => {
      stop()
      incoming.destroy()
      resume(Effect.fail(error))
    }
    const closed = (cause?: unknown) =>
      fail(trouble.lost(cause ?? new Error("the stream was closed before its end"), read))
    const take = (chunk: Uint8Array) => {
      read += chunk.byteLength
      stall.refresh()
      if (text.add(chunk)) return
      stop()
      incoming.destroy()
      resume(Effect.sync(() => text.end()))
    }
    const end = () => {
      stop()
      // One turn in which the connection is handed back: the caller's next request finds it then.
      setImmediate(() => resume(Effect.sync(() => text.end())))
    }
    const stall = setTimeout(() => fail(trouble.stalled(stallMs)), Math.min(stallMs, longestMs))
    const late = setTimeout(() => fail(trouble.late(answerMs)), Math.min(answerMs, longestMs))
    if (incoming.readableEnded) return end()
    if (incoming.destroyed) return closed(incoming.errored ?? undefined)
    incoming.on("data", take).on("end", end).on("error", closed).on("close", closed)
    return Effect.sync(() => {
      stop()
      incoming.destroy()
    })
  })

const reading = (answered: Answered): Stream.Stream<Uint8Array, TransportError> =>
  Stream.suspend(() => {
    const { incoming, stallMs } = answered
    const { lost, stalled } = troubles(answered)
    let read = 0
    // Behind the end, one turn in which the connection is handed back: the caller's next request finds it then.
    const handBack = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
    return Stream.transformPull(
      fromReadable(
        () => incoming,
        (cause) => lost(cause, read),
        { ms: stallMs, onEnd: () => stalled(stallMs) }
      ),
      (pull) =>
        Effect.succeed(
          Effect.map(pull, (chunks) => {
            for (const chunk of chunks) read += chunk.byteLength
            return chunks
          })
        )
    ).pipe(Stream.concat(Stream.drain(Stream.fromEffect(handBack))))
  })

/** An answer to a request that was sent whole; its body is read when the caller reads it. */
export const response = (answered: Answered): Response => ({
  status: answered.incoming.statusCode ?? 0,
  headers: headersOf(answered.incoming),
  early: false,
  bytesSent: answered.bytesSent,
  stream: reading(answered),
  text: readText(answered)
})

/** An answer before the body's end. It is read at once, as far as it is there: the server may be gone already. */
export const earlyResponse = (answered: Answered): Effect.Effect<Response> =>
  Effect.gen(function* () {
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    yield* reading(answered).pipe(
      Stream.takeWhile((chunk) => {
        chunks.push(chunk)
        bytes += chunk.byteLength
        return bytes < maxEarlyBytes
      }),
      Stream.runDrain,
      Effect.timeoutOption(maxEarlyMs),
      Effect.ignore
    )
    const stream = Stream.fromIterable(chunks)
    return {
      status: answered.incoming.statusCode ?? 0,
      headers: headersOf(answered.incoming),
      early: true,
      bytesSent: answered.bytesSent,
      stream,
      text: textOf(stream)
    }
  })
