/**
 * Engines that uploads of one process share: memory, workers, connections and tokens. An engine is made for the first
 * upload that needs it and closed soon after the last, so that nothing keeps the process alive.
 */
import * as ManagedRuntime from "effect/ManagedRuntime"
import type * as NodeHeadrace from "@headrace/node/NodeHeadrace"
import * as Engine from "../Engine.ts"
import type { Settings } from "../Settings.ts"

type Runtime = ManagedRuntime.ManagedRuntime<NodeHeadrace.Services, never>

interface Shared {
  readonly runtime: Runtime
  users: number
  closing: NodeJS.Timeout | undefined
}

/** Long enough for the next of a row of uploads to find it still there. */
const idleMs = 100

const engines = new Map<string, Shared>()

/** An engine, and how to give it back. */
export const acquire = (settings: Settings): { readonly runtime: Runtime; readonly release: () => void } => {
  const { hasher, memoryBytes } = settings
  const key = `${memoryBytes ?? ""} ${hasher ?? ""}`
  const found = engines.get(key)
  const shared: Shared = found ?? {
    runtime: ManagedRuntime.make(Engine.layer({ ...settings, limit: "off" })),
    users: 0,
    closing: undefined
  }
  engines.set(key, shared)
  clearTimeout(shared.closing)
  shared.users++
  return {
    runtime: shared.runtime,
    release: () => {
      if (--shared.users > 0) return
      shared.closing = setTimeout(() => {
        engines.delete(key)
        void shared.runtime.dispose()
      }, idleMs)
    }
  }
}
