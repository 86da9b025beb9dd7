/**
 * Uploads as a program makes them, to the real Swift of the testbed, with everything worth looking at afterwards.
 */
import { createHash, randomUUID } from "node:crypto"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import type { Store } from "@headrace/core/Store"
import * as Transfer from "@headrace/core/Transfer"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import type { Transport } from "@headrace/core/Transport"
import type { Host } from "@headrace/core/Host"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as SwiftStore from "@headrace/swift/SwiftStore"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_SWIFT_${name}`] ?? ""

/** Whether there is no Swift to test against. */
export const none = env("AUTH_URL") === ""

export const authUrl = env("AUTH_URL")
export const user = env("USER")
export const key = env("KEY")

/** Small blocks, so that small objects have many. */
export const runtime = ManagedRuntime.make(
  Layer.mergeAll(
    BlockPool.layer({ bytes: 16 * 1024 * 1024, blockBytes: 64 * 1024 }),
    NodeTransport.layer,
    NodeHost.layer
  )
)

/** A runtime whose memory takes no segment of a MiB: it is sent while it is read. */
export const narrow = ManagedRuntime.make(
  Layer.mergeAll(BlockPool.layer({ bytes: 1024 * 1024, blockBytes: 64 * 1024 }), NodeTransport.layer, NodeHost.layer)
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

export const md5 = (bytes: Uint8Array | string): string => createHash("md5").update(bytes).digest("hex")

/** What Swift makes the ETag of a large object of. */
export const sloEtag = (bytes: Uint8Array, segmentSize: number): string => {
  let tags = ""
  for (let at = 0; at < bytes.length; at += segmentSize) tags += md5(bytes.subarray(at, at + segmentSize))
  return md5(tags)
}

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
}

export const run = async (
  bytes: Uint8Array | Source.Source<Transport | Host>,
  store: Store<Transport | Host>,
  transfer: Partial<Transfer.Options> = {},
  options: { readonly signal?: AbortSignal; readonly machine?: typeof runtime } = {}
): Promise<Outcome> => {
  const events: Array<TransferEvent> = []
  const result = await (options.machine ?? runtime).runPromise(
    Effect.result(
      Transfer.run({
        source: bytes instanceof Uint8Array ? Source.fromBytes(bytes) : bytes,
        to: [store],
        retries: 2,
        stallMs: 5000,
        answerMs: 5000,
        ...transfer,
        onEvent: (event) =>
          Effect.suspend(() => {
            events.push(event)
            return transfer.onEvent?.(event) ?? Effect.void
          })
      })
    ),
    options.signal === undefined ? undefined : { signal: options.signal }
  )
  const error = result._tag === "Failure" ? result.failure : undefined
  const receipt = result._tag === "Failure" ? result.failure.receipt : result.success
  return { receipt, error, events }
}

/** An account with a token, spoken to without any of our code. */
export interface Account {
  readonly url: string
  readonly token: string
  readonly send: (
    method: string,
    path: string,
    body?: string | Uint8Array<ArrayBuffer>,
    headers?: Record<string, string>
  ) => Promise<Response>
  readonly bytes: (path: string) => Promise<Buffer>
  readonly names: (container: string) => Promise<ReadonlyArray<string>>
  /** A store of an object in it, through the given address if any. */
  readonly store: (
    options: SwiftStore.ObjectOptions & { readonly through?: { readonly url: string } }
  ) => Store<Transport | Host>
}

export const account = async (auth = authUrl): Promise<Account> => {
  const answer = await fetch(auth, { headers: { "x-auth-user": user, "x-auth-key": key } })
  const url = answer.headers.get("x-storage-url") ?? ""
  const token = answer.headers.get("x-auth-token") ?? ""
  const send: Account["send"] = (method, path, body, headers) =>
    fetch(`${url}${path}`, {
      method,
      headers: { "x-auth-token": token, ...headers },
      ...(body === undefined ? {} : { body })
    })
  return {
    url,
    token,
    send,
    bytes: async (path) => Buffer.from(await (await send("GET", path)).arrayBuffer()),
    names: async (container) => {
      const listed = await send("GET", `/${encodeURIComponent(container)}?format=json`)
      if (listed.status !== 200) return []
      return ((await listed.json()) as ReadonlyArray<{ readonly name: string }>).map(({ name }) => name)
    },
    store: ({ through, ...options }) =>
      SwiftStore.object({
        endpoint: through === undefined ? url : `${through.url}${new URL(url).pathname}`,
        token: Redacted.make(token),
        ...options
      })
  }
}

/** A container that nobody else uses. */
export const container = (): string => `c-${randomUUID()}`
