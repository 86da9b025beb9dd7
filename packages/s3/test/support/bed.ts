/**
 * The testbed's S3, and uploads into it as a program makes them, with everything worth looking at afterwards.
 */
import { createHash } from "node:crypto"
import { S3Client } from "@aws-sdk/client-s3"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { Plan } from "@headrace/core/Store"
import type { TransferEvent } from "@headrace/core/TransferEvent"
import { UploadJournal, type UploadJournalService } from "@headrace/core/UploadJournal"
import * as NodeTransport from "@headrace/node/NodeTransport"
import * as S3Store from "@headrace/s3/S3Store"
import * as FaultProxy from "@headrace/testkit/FaultProxy"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""

/** Whether there is no S3 to test with. */
export const none = process.env["HEADRACE_TESTBED_S3"] === undefined

export const endpoint = env("S3")
export const bucket = env("S3_BUCKET")
export const keys = { accessKeyId: env("S3_ACCESS_KEY"), secretAccessKey: env("S3_SECRET_KEY") }

let last = 0

/** A key that nobody else uses. */
export const fresh = (name = "object"): string => `${process.pid}-${Date.now()}-${++last}/${name}`

export const place = (key: string): S3Store.Options => ({ bucket, key, endpoint, credentials: keys })

/** Another client, that shares nothing with ours. */
export const client = (): S3Client =>
  new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials: keys })

export const mib = 1024 * 1024

export const runtime = ManagedRuntime.make(Layer.mergeAll(BlockPool.layer({ bytes: 96 * mib }), NodeTransport.layer))

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

/** A source that can be told from another version of itself. */
export const named = (bytes: Uint8Array, identity = "v1", size: number | undefined = bytes.byteLength): Source.Source =>
  Source.fromStream({
    uri: "memory:named",
    replayable: true,
    info: Effect.succeed({ size, identity }),
    open: (offset) =>
      Stream.fromIterable(
        Array.from({ length: Math.ceil((bytes.length - offset) / mib) }, (_, i) =>
          bytes.subarray(offset + i * mib, Math.min(bytes.length, offset + (i + 1) * mib))
        )
      )
  })

/** Bytes whose number nobody knows before the end. */
export const unsized = (bytes: Uint8Array): Source.Source => {
  const source = named(bytes)
  return { ...source, info: Effect.succeed({ size: undefined, identity: "unsized" }) }
}

export interface Outcome {
  readonly receipt: Transfer.TransferError["receipt"]
  readonly error: Transfer.TransferError | undefined
  readonly events: ReadonlyArray<TransferEvent>
  /** All that is told of it, as text. */
  readonly told: string
}

export const upload = async (
  bytes: Uint8Array | Source.Source,
  options: S3Store.Options,
  transfer: Partial<Transfer.Options> = {},
  more: { readonly signal?: AbortSignal; readonly journal?: UploadJournalService } = {}
): Promise<Outcome> => {
  const events: Array<TransferEvent> = []
  const result = await runtime.runPromise(
    Effect.result(
      Transfer.run({
        source: bytes instanceof Uint8Array ? Source.fromBytes(bytes) : bytes,
        to: [S3Store.object(options)],
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
    ).pipe(Effect.provideService(UploadJournal, more.journal)),
    more.signal === undefined ? undefined : { signal: more.signal }
  )
  const error = result._tag === "Failure" ? result.failure : undefined
  const receipt = result._tag === "Failure" ? result.failure.receipt : result.success
  return { receipt, error, events, told: JSON.stringify({ receipt, events, error }) + String(error?.message) }
}

export interface Request {
  readonly method: string
  readonly path: string
}

export const is = {
  part: ({ method, path }: Request) => method === "PUT" && path.includes("partNumber="),
  put: ({ method, path }: Request) => method === "PUT" && !path.includes("partNumber="),
  create: ({ method, path }: Request) => method === "POST" && path.includes("uploads"),
  complete: ({ method, path }: Request) => method === "POST" && path.includes("uploadId="),
  abort: ({ method, path }: Request) => method === "DELETE" && path.includes("uploadId="),
  remove: ({ method, path }: Request) => method === "DELETE" && !path.includes("uploadId="),
  head: ({ method }: Request) => method === "HEAD",
  get: ({ method, path }: Request) => method === "GET" && !path.includes("uploadId=") && !path.includes("uploads")
}

/** The service behind a proxy that fails on purpose at some requests. */
export const behind = async (
  match: (request: Request) => boolean,
  faults: ReadonlyArray<FaultProxy.ProxyFault>
): Promise<FaultProxy.FaultProxy> =>
  FaultProxy.start({ target: { port: Number(new URL(endpoint).port) }, match, faults })

/** An answer as S3 gives it. */
export const says = (status: number, code: string, message = "because", type: "replaceAnswer" = "replaceAnswer") => ({
  type,
  status,
  headers: [["x-amz-request-id", "R1"]] as ReadonlyArray<readonly [string, string]>,
  body: `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`
})

/** What a store would do with so many bytes. */
export const planned = (store: ReturnType<typeof S3Store.object>, size: number): Promise<Plan> =>
  runtime.runPromise(Effect.scoped(store.plan({ size, head: new Uint8Array() })))
