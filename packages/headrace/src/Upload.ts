/**
 * Uploads for programs that do not use Effect: promises and async iterables, an `AbortSignal` to stop.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { resolve } from "node:path"
import type { Host } from "@headrace/core/Host"
import type { Source } from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import type { Transport } from "@headrace/core/Transport"
import { UploadJournal } from "@headrace/core/UploadJournal"
import * as Ends from "@headrace/batch/Ends"
import * as Engine from "./Engine.ts"
import { HeadraceError } from "./HeadraceError.ts"
import { aliveDuring } from "./internal/aliveDuring.ts"
import * as Cancellations from "./internal/cancellations.ts"
import * as EventQueue from "./internal/eventQueue.ts"
import { inFolder } from "./internal/inFolder.ts"
import * as SharedEngine from "./internal/sharedEngine.ts"
import * as Settings from "./Settings.ts"
import * as State from "./State.ts"
import type { Algorithm, Digests, Receipt, ReceiptEvent, TransferEvent } from "./Types.ts"
import * as Uri from "@headrace/batch/Uri"

/**
 * Bytes that can be read once. Streams are named by what is needed of them, so that every platform's fit: a web
 * `ReadableStream` by its reader, a Node `Readable` as the async iterable that it is.
 *
 * @since 0.1.0
 * @category models
 */
export type Bytes =
  | Uint8Array
  | { readonly locked: boolean; readonly getReader: () => unknown }
  | Iterable<Uint8Array>
  | AsyncIterable<Uint8Array>

/**
 * What can be uploaded: a path or URI as the command takes it, bytes, or a function that gives them from an offset on,
 * as often as it is called. Bytes that can be read only once get one attempt; a `Uint8Array` can be read again.
 *
 * @since 0.1.0
 * @category models
 */
export type Input = string | Bytes | ((offset: number) => Bytes | Promise<Bytes>)

/**
 * How to upload. What is left out is as with the command. Numbers are bytes, bytes a second, or milliseconds.
 *
 * @since 0.1.0
 * @category models
 */
export interface UploadOptions {
  /** Destinations that must succeed: one at least. The source is read once for all. */
  readonly to: string | ReadonlyArray<string>
  /** Destinations on best effort: a failure of theirs is in the receipt, and is none of the upload's. */
  readonly also?: ReadonlyArray<string> | undefined
  /** Bytes of a source in code that has a size nobody else knows. Without it the body is sent in chunks. */
  readonly size?: number | undefined
  /** `"50MiB/s"`, `"400Mbit/s"`, bytes a second, or a timetable `"08:00,50MiB/s 19:00,off"`; of this upload. */
  readonly limit?: string | number | undefined
  /** Algorithms to compute besides those that the destination can be checked against. */
  readonly digest?: ReadonlyArray<Algorithm> | undefined
  /** Digests that the source must have, in hex. */
  readonly expect?: Digests | undefined
  readonly verify?: "transfer" | "source" | "destination" | undefined
  /** Attempts after the first (5). */
  readonly retries?: number | undefined
  /** While sending: no byte moved for so long, and the attempt has failed (`"60s"`). */
  readonly stall?: string | number | undefined
  /** After the last byte: how long the store may take to answer (`"15m"`). */
  readonly answer?: string | number | undefined
  /** Memory for all data in flight; uploads that name the same share it (`"64MiB"`). */
  readonly memory?: string | number | undefined
  readonly hasher?: "wasm" | "native" | undefined
  /** Leave what a failed upload made. */
  readonly keepFailed?: boolean | undefined
  /** Accept a source of 0 bytes. */
  readonly allowEmpty?: boolean | undefined
  /**
   * Go on with an earlier upload of the same source to the same place, where the store takes objects as parts (true).
   */
  readonly resume?: boolean | undefined
  /** The folder where it is noted how far uploads in parts are (the platform's for such things). */
  readonly state?: string | undefined
  /** Stops the upload, which then tidies up and rejects with reason `Interrupted`. */
  readonly signal?: AbortSignal | undefined
  /** Environment variables to find clouds by, instead of the process's. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
  /** The folder that paths and `clouds.yaml` are taken from, instead of the process's. */
  readonly cwd?: string | undefined
  /** The transfer's id in events and in the receipt (a new UUID). */
  readonly id?: string | undefined
}

/**
 * An upload that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Upload {
  /**
   * The events, for one reader; the last is the receipt, also of an upload that failed. A slow reader misses
   * `progress` events and holds nothing up; not reading them at all is fine.
   */
  readonly events: AsyncIterable<TransferEvent>
  /** The receipt of an upload that succeeded; rejects with `HeadraceError`. */
  readonly receipt: Promise<Receipt>
  /**
   * Cancels one destination and tidies up there; the others go on. It is named as it was given, or by its place among
   * `to` and then `also`; throws a `RangeError` for what is neither. One that has to succeed makes the upload fail with
   * `Interrupted` at its end; one that has a verdict stands.
   */
  readonly cancel: (destination: string | number) => void
}

/**
 * Uploads a source. It begins at once.
 *
 * @since 0.1.0
 * @category running
 */
export const upload = (source: Input, options: UploadOptions): Upload => {
  const queue = EventQueue.make()
  const cancellations = Cancellations.make(([options.to, options.also ?? []] as ReadonlyArray<string>).flat())
  const receipt = aliveDuring(start(source, options, queue, cancellations)).finally(queue.end)
  // Who reads only the events learns of a failure there; it must not end the process as an unhandled rejection.
  receipt.catch(() => {})
  return { events: queue.events, receipt, cancel: cancellations.cancel }
}

const start = async (
  input: Input,
  options: UploadOptions,
  queue: EventQueue.EventQueue,
  cancellations: Cancellations.Cancellations
): Promise<Receipt> => {
  const settings = Settings.parse({
    ...options,
    expect: Object.entries(options.expect ?? {}).map(([algorithm, hex]) => `${algorithm}:${hex}`)
  })
  if (Result.isFailure(settings)) {
    const { message, setting } = settings.failure
    throw notBegun("InvalidConfig", setting, `${setting}: ${message}`)
  }
  const wrong = misgiven(options)
  if (wrong !== undefined) throw notBegun("InvalidConfig", wrong.setting, `${wrong.setting}: ${wrong.message}`)
  if (options.signal?.aborted === true) throw interrupted(options, undefined)

  let last: ReceiptEvent | undefined
  const onEvent = (event: TransferEvent) =>
    Effect.sync(() => {
      if (event.type === "receipt") last = event
      queue.push(event)
    })
  const transfer = Effect.gen(function* () {
    const { hasher: _hasher, limit: _limit, memoryBytes: _memory, ...rest } = settings.success
    const source = yield* sourceOf(input, options)
    const required = typeof options.to === "string" ? [options.to] : options.to
    const { also, to } = yield* Ends.destinations(
      required,
      options.also ?? [],
      options,
      typeof input === "string" ? input : undefined
    )
    return yield* Transfer.run({
      source,
      to,
      also,
      ...rest,
      resume: options.resume ?? true,
      keepFailed: options.keepFailed ?? false,
      allowEmpty: options.allowEmpty ?? false,
      onEvent,
      cancel: ({ index }) => cancellations.of(index),
      ...(options.id === undefined ? undefined : { id: options.id })
    })
  })

  const { release, runtime } = SharedEngine.acquire(settings.success)
  try {
    const exit = await runtime.runPromiseExit(
      transfer.pipe(
        Effect.provide(Engine.limit(settings.success.limit)),
        Effect.provideService(UploadJournal, journalOf(options)),
        inFolder(options)
      ),
      options.signal === undefined ? undefined : { signal: options.signal }
    )
    if (Exit.isSuccess(exit)) return exit.value
    if (Exit.hasInterrupts(exit)) throw interrupted(options, last)
    throw toHeadraceError(exit.cause, options)
  } finally {
    release()
  }
}

/** What the types rule out and programs without types give all the same. */
const misgiven = (options: UploadOptions): { readonly setting: string; readonly message: string } | undefined => {
  const ends: ReadonlyArray<unknown> = [options.to, options.also ?? []].flat()
  if (!ends.every((end) => typeof end === "string")) {
    return { setting: "to", message: "write a destination's URI, or a list of them" }
  }
  if (options.size !== undefined && !(Number.isSafeInteger(options.size) && options.size >= 0)) {
    return { setting: "size", message: `${options.size} is not a number of bytes` }
  }
  const folder: unknown = options.state
  if (folder !== undefined && (typeof folder !== "string" || State.wrong(folder) !== undefined)) {
    return { setting: "state", message: "write a folder's path" }
  }
  return undefined
}

const sourceOf = (input: Input, options: UploadOptions): Effect.Effect<Source<Transport | Host>, Ends.EndError> => {
  if (typeof input !== "string") {
    return Effect.map(
      Effect.promise(() => import("@headrace/node/StreamSource")),
      (StreamSource) => StreamSource.make(input, options.size === undefined ? undefined : { size: options.size })
    )
  }
  return Ends.source(input, options)
}

/** Nobody reads what a program's library would say: what cannot be noted is in the receipt's notes, or is nowhere. */
const journalOf = ({ cwd, env, state }: UploadOptions) =>
  State.journal({
    folder: state === undefined ? undefined : resolve(cwd ?? "", state),
    env,
    complain: () => {}
  })

const notBegun = (reason: "InvalidUri" | "InvalidConfig" | "Unsupported", uri: string, message: string) =>
  new HeadraceError({ reason, message, retryable: false, left: "none", uri, receipt: undefined })

const interrupted = (options: UploadOptions, event: ReceiptEvent | undefined): HeadraceError => {
  const ends = event?.destinations ?? []
  const end = ends.find(({ error }) => (error?.left ?? "none") !== "none") ?? ends[0]
  return new HeadraceError({
    reason: "Interrupted",
    message: end?.error?.message ?? "interrupted",
    // As the receipt says it: who tries again what may be retried would never come to an end with an aborted signal.
    retryable: false,
    left: end?.error?.left ?? "none",
    uri: end?.uri ?? destinationOf(options),
    objectId: end?.object?.id,
    receipt: event === undefined ? undefined : plain(event),
    cause: options.signal?.reason
  })
}

const plain = ({ at: _at, type: _type, ...receipt }: ReceiptEvent): Receipt => receipt

const destinationOf = (options: UploadOptions): string => Uri.shown([options.to].flat()[0] ?? "")

const toHeadraceError = (
  cause: Cause.Cause<Transfer.TransferError | Ends.EndError>,
  options: UploadOptions
): HeadraceError =>
  Option.match(Cause.findErrorOption(cause), {
    onSome: (error) => {
      if (error._tag === "EndError") return notBegun(error.reason, error.uri, error.message)
      const { left, message, objectId, receipt, retryable, status, uri } = error
      return new HeadraceError({ reason: error.reason._tag, message, retryable, left, uri, status, objectId, receipt })
    },
    onNone: () => {
      const defect = Cause.squash(cause)
      return new HeadraceError({
        reason: "Rejected",
        message: `internal error: ${defect instanceof Error ? defect.message : String(defect)}`,
        retryable: false,
        left: `unknown ${destinationOf(options)}`,
        uri: destinationOf(options),
        receipt: undefined,
        cause: defect
      })
    }
  })
