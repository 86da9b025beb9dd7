/**
 * An upload as a program makes it, against a service at an endpoint, with everything worth looking at afterwards.
 */
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"

export const runtime = ManagedRuntime.make(
  Layer.mergeAll(
    BlockPool.layer({ bytes: 16 * 1024 * 1024, blockBytes: 64 * 1024 }),
    NodeTransport.layer,
    NodeHost.layer
  )
)

export interface Service {
  readonly endpoint: string
  readonly token?: string | undefined
}

export interface Outcome {
  readonly receipt: Transfer.TransferError["receipt"]
  readonly error: Transfer.TransferError | undefined
  readonly events: ReadonlyArray<TransferEvent>
}

export const upload = async (
  service: Service,
  bytes: Uint8Array | Source.Source,
  image: GlanceStore.ImageOptions = {},
  options: Partial<Transfer.Options> = {},
  signal?: AbortSignal
): Promise<Outcome> => {
  const events: Array<TransferEvent> = []
  const exit = await runtime.runPromise(
    Effect.result(
      Transfer.run({
        source: bytes instanceof Uint8Array ? Source.fromBytes(bytes) : bytes,
        to: [
          GlanceStore.image({
            endpoint: service.endpoint,
            ...(service.token === undefined ? undefined : { token: Redacted.make(service.token) }),
            name: "test",
            ...image
          })
        ],
        retries: 2,
        stallMs: 5000,
        answerMs: 3000,
        ...options,
        onEvent: (event) =>
          Effect.sync(() => {
            events.push(event)
          })
      })
    ),
    signal === undefined ? undefined : { signal }
  )
  return exit._tag === "Success"
    ? { receipt: exit.success, error: undefined, events }
    : { receipt: exit.failure.receipt, error: exit.failure, events }
}
