/**
 * An upload as a program makes it, with everything worth looking at afterwards.
 */
import { createHash } from "node:crypto"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as HttpStore from "@headrace/http/HttpStore"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"

export const runtime = ManagedRuntime.make(
  Layer.mergeAll(BlockPool.layer({ bytes: 16 * 1024 * 1024, blockBytes: 64 * 1024 }), NodeTransport.layer)
)

/** Bytes that look like nothing else, the same in each run. */
export const noise = (length: number, seed = 1): Buffer => {
  const bytes = Buffer.alloc(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    bytes[i] = state >>> 16
  }
  return bytes
}

export const hex = (algorithm: string, bytes: Uint8Array): string => createHash(algorithm).update(bytes).digest("hex")

/** Bytes whose number nobody knows before the end. */
export const unsized = (bytes: Uint8Array, replayable = true): Source.Source =>
  Source.fromStream({
    uri: "memory:unsized",
    replayable,
    info: Effect.succeed({ size: undefined, identity: "unsized" }),
    open: (offset) =>
      Stream.fromIterable(
        Array.from({ length: Math.ceil((bytes.length - offset) / 65_536) }, (_, i) =>
          bytes.subarray(offset + i * 65_536, offset + (i + 1) * 65_536)
        )
      )
  })

export interface Outcome {
  readonly receipt: Transfer.TransferError["receipt"]
  readonly error: Transfer.TransferError | undefined
  readonly events: ReadonlyArray<TransferEvent>
  /** All that is told of it, as text. */
  readonly told: string
}

export const upload = async (
  bytes: Uint8Array | Source.Source,
  options: HttpStore.Options,
  transfer: Partial<Transfer.Options> = {},
  signal?: AbortSignal
): Promise<Outcome> => {
  const events: Array<TransferEvent> = []
  const result = await runtime.runPromise(
    Effect.result(
      Transfer.run({
        source: bytes instanceof Uint8Array ? Source.fromBytes(bytes) : bytes,
        to: [HttpStore.put(options)],
        retries: 2,
        stallMs: 5000,
        answerMs: 3000,
        ...transfer,
        onEvent: (event) =>
          Effect.suspend(() => {
            events.push(event)
            return transfer.onEvent?.(event) ?? Effect.void
          })
      })
    ),
    signal === undefined ? undefined : { signal }
  )
  const error = result._tag === "Failure" ? result.failure : undefined
  const receipt = result._tag === "Failure" ? result.failure.receipt : result.success
  return { receipt, error, events, told: JSON.stringify({ receipt, events, error }) + String(error?.message) }
}
