/**
 * The worker's side of the ring: one algorithm, any number of hashings, one after the other entry by entry.
 * It imports as little as it can: each module is memory in every worker.
 */
import type { Hash } from "node:crypto"
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads"
import * as WasmAlgorithm from "@headrace/core/WasmAlgorithm"
import * as Ring from "./digestRing.ts"

interface Hashing {
  readonly update: (bytes: Uint8Array) => unknown
  readonly digest: () => string
  readonly save: () => Uint8Array
  /** For hashes that can be used again after the next `init`. */
  readonly reusable: WasmAlgorithm.WasmHash | undefined
}

const { algorithm, engine, ring } = workerData as Ring.Boot
const { counters, entries, offsets } = Ring.view(ring)
const port = parentPort!
const memories: Array<SharedArrayBuffer> = []
const hashings = new Map<number, Hashing>()
const idle: Array<WasmAlgorithm.WasmHash> = []

const reply = (message: Ring.Reply) => port.postMessage(message)

const open = async (state: Uint8Array | undefined): Promise<Hashing> => {
  if (engine === "native") {
    const { createHash } = await import("node:crypto")
    const hash: Hash = createHash(algorithm)
    return {
      update: (bytes) => hash.update(bytes),
      digest: () => hash.digest("hex"),
      save: () => {
        throw new Error("node:crypto cannot save a state")
      },
      reusable: undefined
    }
  }
  const hash = idle.pop() ?? (await WasmAlgorithm.make(algorithm))
  hash.init()
  if (state !== undefined) hash.load(state)
  return { update: hash.update, digest: hash.digest, save: hash.save, reusable: hash }
}

const close = (id: number) => {
  const hash = hashings.get(id)?.reusable
  if (hash !== undefined) idle.push(hash)
  hashings.delete(id)
}

const start = async (id: number, state: Uint8Array | undefined): Promise<void> => {
  // Compiling takes turns of the event loop, which would otherwise end for want of anything to do.
  const alive = setInterval(() => {}, 60_000)
  try {
    hashings.set(id, await open(state))
    if (state !== undefined) reply({ type: "started", id })
  } finally {
    clearInterval(alive)
  }
}

const run = (message: Ring.Command): Promise<void> | undefined => {
  switch (message.type) {
    case "memory":
      memories.push(message.memory)
      return undefined
    case "start":
      return start(message.id, message.state)
    case "bytes":
      hashings.get(message.id)?.update(message.bytes)
      return undefined
    case "save": {
      const hashing = hashings.get(message.id)
      if (hashing !== undefined) reply({ type: "saved", id: message.id, state: hashing.save() })
      return undefined
    }
    case "digest": {
      const hashing = hashings.get(message.id)
      if (hashing !== undefined) reply({ type: "digest", id: message.id, digest: hashing.digest() })
      close(message.id)
      return undefined
    }
    case "drop":
      close(message.id)
      return undefined
  }
}

let tail = Atomics.load(counters, Ring.consumed)
while (true) {
  Atomics.wait(counters, Ring.head, tail)
  while (tail !== Atomics.load(counters, Ring.head)) {
    const slot = tail & (Ring.capacity - 1)
    const at = slot * Ring.width
    const kind = Atomics.load(entries, at)
    if (kind === Ring.data) {
      const hashing = hashings.get(entries[at + 1]!)
      hashing?.update(new Uint8Array(memories[entries[at + 2]!]!, offsets[slot], entries[at + 3]))
    } else if (kind === Ring.command) {
      const message = receiveMessageOnPort(port)!.message as Ring.Command
      try {
        const running = run(message)
        if (running !== undefined) await running
      } catch (cause) {
        if (!("id" in message)) throw cause
        close(message.id)
        reply({ type: "failed", id: message.id, message: cause instanceof Error ? cause.message : String(cause) })
      }
    }
    tail = (tail + 1) | 0
    // In this order, so that who asks to be woken and then looks again misses nothing.
    Atomics.store(counters, Ring.consumed, tail)
    if (Atomics.exchange(counters, Ring.wanted, 0) === 1) reply({ type: "woken" })
  }
}
