/**
 * What a digest worker and the main thread share: a ring of entries in a small shared buffer, and the messages beside
 * it. An entry names bytes by their place in shared memory, or says that the next message is due. The worker sleeps
 * on the ring's head; it answers by counting what it has consumed, and sends an empty message only when asked to.
 */
import type { Algorithm } from "@headrace/core/Digest"

/** Entries in the ring; a power of two. What does not fit waits on the main thread. */
export const capacity = 256

/** Indices of the counters. Both counts wrap around. */
export const head = 0
export const consumed = 1
/** 1 while the main thread wants a message when something was consumed. */
export const wanted = 2

/** Kinds of entries. */
export const skip = 0
export const data = 1
export const command = 2

/** Numbers in an entry: kind, hashing, memory, length; its offset is kept apart, as it may need more than 32 bits. */
export const width = 4

const countersBytes = 16
const entriesBytes = capacity * width * Int32Array.BYTES_PER_ELEMENT

export const bytes = countersBytes + entriesBytes + capacity * Float64Array.BYTES_PER_ELEMENT

export const view = (memory: SharedArrayBuffer) => ({
  counters: new Int32Array(memory, 0, countersBytes / Int32Array.BYTES_PER_ELEMENT),
  entries: new Int32Array(memory, countersBytes, capacity * width),
  offsets: new Float64Array(memory, countersBytes + entriesBytes, capacity)
})

/** Who computes in a worker. */
export type Engine = "wasm" | "native"

/** What a worker is started with. */
export interface Boot {
  readonly ring: SharedArrayBuffer
  readonly engine: Engine
  readonly algorithm: Algorithm
}

/** To the worker; each is announced by an entry. */
export type Command =
  | { readonly type: "memory"; readonly memory: SharedArrayBuffer }
  | { readonly type: "start"; readonly id: number; readonly state: Uint8Array | undefined }
  /** Bytes that are not in shared memory. */
  | { readonly type: "bytes"; readonly id: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly type: "save"; readonly id: number }
  /** Ends the hashing, with its digest. */
  | { readonly type: "digest"; readonly id: number }
  /** Ends the hashing, without. */
  | { readonly type: "drop"; readonly id: number }

/** From the worker. `woken` is all there is to be said of consumed bytes. */
export type Reply =
  | { readonly type: "woken" }
  | { readonly type: "started"; readonly id: number }
  | { readonly type: "saved"; readonly id: number; readonly state: Uint8Array }
  | { readonly type: "digest"; readonly id: number; readonly digest: string }
  | { readonly type: "failed"; readonly id: number; readonly message: string }
