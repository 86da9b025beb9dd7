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

const headersOf = (incoming: IncomingMessage): Record<string, string> => {
  const out: Record<string, string> = {}
  for (const [name, values] of Object.entries(incoming.headersDistinct)) {
    if (values !== undefined) out[name] = values.join(", ")
  }
  return out
}

export const response = (options: {
  readonly incoming: IncomingMessage
  readonly host: string
  readonly early: boolean
  readonly bytesSent: number
  readonly stallMs: number
}): Response => {
  const { bytesSent, early, host, incoming, stallMs } = options
  const lost = (cause: unknown) =>
    new TransportError({
      reason: { _tag: "ConnectionLost" },
      phase: "answer",
      bytesSent,
      message: `${host}: ${describe(cause)} while its answer was read`,
      cause
    })
  const stalled = new TransportError({
    reason: { _tag: "Stalled" },
    phase: "answer",
    bytesSent,
    message: `${host}: no byte of the answer came for ${Math.round(stallMs / 1000)} s`
  })
  const stream = Stream.transformPull(
    fromReadable(() => incoming, lost),
    (pull) => Effect.succeed(Effect.timeoutOrElse(pull, { duration: stallMs, orElse: () => Effect.fail(stalled) }))
  )
  return {
    status: incoming.statusCode ?? 0,
    headers: headersOf(incoming),
    early,
    bytesSent,
    stream,
    text: Effect.suspend(() => {
      const decoder = new TextDecoder()
      let text = ""
      let bytes = 0
      return Effect.map(
        Stream.runForEach(stream, (chunk) =>
          Effect.sync(() => {
            bytes += chunk.byteLength
            if (bytes <= maxTextBytes) text += decoder.decode(chunk, { stream: true })
          })
        ),
        () => text + decoder.decode()
      )
    })
  }
}
