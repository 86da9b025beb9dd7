/**
 * One digest worker as the main thread sees it. Entries are consumed in the order in which they were pushed; each
 * tells when it is. The worker keeps the process alive only while somebody waits for it.
 */
import { SHARE_ENV, Worker } from "node:worker_threads"
import type { Algorithm } from "@headrace/core/Digest"
import * as Ring from "./digestRing.ts"

/** Bytes in shared memory to be hashed, or a command. */
export interface Entry {
  readonly id: number
  readonly bytes: Uint8Array<SharedArrayBuffer> | undefined
  readonly command: Ring.Command | undefined
  /** The worker has done with it, or is dead: nothing of it is read any more. */
  readonly onConsumed: (() => void) | undefined
}

interface Listener {
  readonly onReply: (reply: Exclude<Ring.Reply, { readonly type: "woken" }>) => void
  readonly onDeath: (why: string) => void
}

/**
 * A worker that sleeps is woken for so many entries, or when the first of them has waited so long. Woken for each, it
 * gets in the way of a service on the same machine that takes the bytes in more slowly than they are hashed (measured on
 * two processors: some 3 % of the time). It must be less than what may be queued.
 */
const batch = 4
const batchMs = 30

/** V8 takes more than a worker needs unless told: 13 MiB each without these limits, 11 with them, 10 for an empty one. */
const resourceLimits = { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 }

export class Lane {
  /** Why the worker is no more. */
  death: string | undefined
  readonly algorithm: Algorithm
  readonly #worker: Worker
  readonly #onDeath: () => void
  readonly #ring = new SharedArrayBuffer(Ring.bytes)
  readonly #view = Ring.view(this.#ring)
  readonly #memories = new Map<SharedArrayBuffer, number>()
  readonly #listeners = new Map<number, Listener>()
  /** Entries in the ring, oldest first, and those that did not fit. */
  #inFlight: Array<Entry> = []
  #overflow: Array<Entry> = []
  #head = 0
  #consumed = 0
  #lastId = 0
  #holds = 0
  /** Runs while there are entries that the worker was not woken for. */
  #alarm: NodeJS.Timeout | undefined

  constructor(engine: Ring.Engine, algorithm: Algorithm, onDeath: () => void) {
    this.algorithm = algorithm
    this.#onDeath = onDeath
    const workerData: Ring.Boot = { ring: this.#ring, engine, algorithm }
    this.#worker = new Worker(new URL("./digestWorker.js", import.meta.url), {
      workerData,
      name: `digest ${algorithm}`,
      resourceLimits,
      env: SHARE_ENV,
      // Flags of the command line may not fit a worker (`--input-type`, a loader). NODE_OPTIONS holds here too.
      execArgv: []
    })
    this.#worker.on("message", (reply: Ring.Reply) => {
      if (reply.type !== "woken") this.#listeners.get(reply.id)?.onReply(reply)
      this.#drain()
    })
    this.#worker.on("error", (cause) => this.#die(cause instanceof Error ? cause.message : String(cause)))
    this.#worker.on("exit", (code) => this.#die(`it ended with code ${code}`))
    // Last: listening for messages would undo it.
    this.#worker.unref()
  }

  /** How many hashings run here. */
  get load(): number {
    return this.#listeners.size
  }

  /** Joins the worker with a hashing, and gives its id there. */
  join(listener: Listener): number {
    const id = ++this.#lastId
    this.#listeners.set(id, listener)
    return id
  }

  leave(id: number): void {
    this.#listeners.delete(id)
  }

  /** Keeps the process alive until `letGo` was called as often. */
  hold(): void {
    if (this.#holds++ === 0) this.#worker.ref()
  }

  letGo(): void {
    if (--this.#holds === 0) this.#worker.unref()
  }

  command(id: number, command: Ring.Command, onConsumed?: () => void): void {
    this.#push({ id, bytes: undefined, command, onConsumed })
  }

  /** Has bytes hashed. Those in shared memory are not copied, and must stay as they are until they are consumed. */
  hash(id: number, bytes: Uint8Array, onConsumed: () => void): void {
    if (isShared(bytes)) {
      if (!this.#memories.has(bytes.buffer)) {
        this.#memories.set(bytes.buffer, this.#memories.size)
        this.command(id, { type: "memory", memory: bytes.buffer })
      }
      this.#push({ id, bytes, command: undefined, onConsumed })
    } else this.command(id, { type: "bytes", id, bytes: new Uint8Array(bytes) }, onConsumed)
  }

  /** Has what is queued of a hashing passed over, as far as the worker has not begun with it. */
  skip(id: number): void {
    this.#inFlight.forEach((entry, index) => {
      const slot = (this.#consumed + index) & (Ring.capacity - 1)
      if (entry.id === id && entry.bytes !== undefined) {
        Atomics.store(this.#view.entries, slot * Ring.width, Ring.skip)
      }
    })
    const skipped = this.#overflow.filter((entry) => entry.id === id && entry.bytes !== undefined)
    this.#overflow = this.#overflow.filter((entry) => !skipped.includes(entry))
    for (const entry of skipped) entry.onConsumed?.()
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate()
    this.#die("it was stopped")
  }

  #push(entry: Entry): void {
    if (this.death !== undefined) {
      entry.onConsumed?.()
      return
    }
    if (this.#inFlight.length === Ring.capacity) this.#overflow.push(entry)
    else this.#write(entry)
    this.#drain()
  }

  #write(entry: Entry): void {
    const { counters, entries, offsets } = this.#view
    const slot = this.#head & (Ring.capacity - 1)
    const at = slot * Ring.width
    const { command } = entry
    if (command !== undefined) this.#worker.postMessage(command, command.type === "bytes" ? [command.bytes.buffer] : [])
    if (entry.bytes !== undefined) {
      entries[at + 1] = entry.id
      entries[at + 2] = this.#memories.get(entry.bytes.buffer)!
      entries[at + 3] = entry.bytes.byteLength
      offsets[slot] = entry.bytes.byteOffset
    }
    Atomics.store(entries, at, entry.bytes === undefined ? Ring.command : Ring.data)
    this.#inFlight.push(entry)
    this.#head = (this.#head + 1) | 0
    Atomics.store(counters, Ring.head, this.#head)
    const queued = (this.#head - Atomics.load(counters, Ring.consumed)) | 0
    // Somebody waits for what a command gives.
    if (queued >= batch || (command !== undefined && command.type !== "bytes")) this.#wake()
    else this.#alarm ??= setTimeout(this.#wake, batchMs).unref()
  }

  readonly #wake = (): void => {
    clearTimeout(this.#alarm)
    this.#alarm = undefined
    Atomics.notify(this.#view.counters, Ring.head)
  }

  /** Tells those whose entries were consumed, and asks to be woken for the rest. */
  #drain(): void {
    if (this.death !== undefined || this.#inFlight.length === 0) return
    const { counters } = this.#view
    // Asked before looking, so that what is consumed in between is not missed.
    Atomics.store(counters, Ring.wanted, 1)
    const now = Atomics.load(counters, Ring.consumed)
    const done = this.#inFlight.splice(0, (now - this.#consumed) | 0)
    this.#consumed = now
    while (this.#overflow.length > 0 && this.#inFlight.length < Ring.capacity) this.#write(this.#overflow.shift()!)
    if (this.#inFlight.length === 0) Atomics.store(counters, Ring.wanted, 0)
    for (const entry of done) entry.onConsumed?.()
  }

  #die(why: string): void {
    if (this.death !== undefined) return
    this.death = why
    clearTimeout(this.#alarm)
    this.#onDeath()
    for (const listener of this.#listeners.values()) listener.onDeath(why)
    const left = [...this.#inFlight, ...this.#overflow]
    this.#inFlight = []
    this.#overflow = []
    for (const entry of left) entry.onConsumed?.()
  }
}

const isShared = (bytes: Uint8Array): bytes is Uint8Array<SharedArrayBuffer> =>
  bytes.buffer instanceof SharedArrayBuffer
