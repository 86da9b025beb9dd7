/**
 * An incoming message as the transport's `Response`.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { IncomingMessage } from "node:http"
import { type Response, TransportError } from "@headrace/core/Transport"
import { describe } from "./messages.ts"
import { fromReadable } from "./readable.ts"

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

const textOf = <E>(stream: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Effect.suspend(() => {
    const decoder = new TextDecoder()
    let text = ""
    let left = maxTextBytes
    return Effect.map(
      stream.pipe(
        // Not read to its end when that is too far away: some answers have none.
        Stream.takeUntil((chunk) => {
          const part = chunk.subarray(0, left)
          left -= part.byteLength
          text += decoder.decode(part, { stream: true })
          return left === 0
        }),
        Stream.runDrain
      ),
      () => text + decoder.decode()
    )
  })

const reading = ({ bytesSent, incoming, name, stallMs }: Answered): Stream.Stream<Uint8Array, TransportError> =>
  Stream.suspend(() => {
    let read = 0
    const announced = incoming.headers["content-length"]
    const soFar = () => (announced === undefined ? `${read} bytes` : `${read} of ${announced} bytes`)
    const lost = (cause: unknown) =>
      new TransportError({
        reason: { _tag: "ConnectionLost" },
        phase: "answer",
        bytesSent,
        message: `${name}: ${describe(cause)} after ${soFar()} of the answer`,
        cause
      })
    const stalled = () =>
      new TransportError({
        reason: { _tag: "Stalled" },
        phase: "answer",
        bytesSent,
        message: `${name}: no byte of the answer came for ${stallMs / 1000} s`
      })
    // Behind the end, one turn in which the connection is handed back: the caller's next request finds it then.
    const handBack = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
    return Stream.transformPull(
      fromReadable(() => incoming, lost),
      (pull) =>
        Effect.succeed(
          Effect.timeoutOrElse(pull, { duration: stallMs, orElse: () => Effect.fail(stalled()) }).pipe(
            Effect.map((chunks) => {
              for (const chunk of chunks) read += chunk.byteLength
              return chunks
            })
          )
        )
    ).pipe(Stream.concat(Stream.drain(Stream.fromEffect(handBack))))
  })

/** An answer to a request that was sent whole; its body is read when the caller reads it. */
export const response = (answered: Answered): Response => {
  const { answerMs, bytesSent, name } = answered
  const stream = reading(answered)
  // A text is a part of the answer: one that trickles is not there in time, though it never stalls.
  const late = () =>
    new TransportError({
      reason: { _tag: "Stalled" },
      phase: "answer",
      bytesSent,
      message: `${name}: the answer did not end within ${answerMs / 1000} s`
    })
  return {
    status: answered.incoming.statusCode ?? 0,
    headers: headersOf(answered.incoming),
    early: false,
    bytesSent: answered.bytesSent,
    stream,
    text: Effect.timeoutOrElse(textOf(stream), { duration: answerMs, orElse: () => Effect.fail(late()) })
  }
}

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
