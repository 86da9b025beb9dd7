/** The store in memory as an author would tell the kit of it. */
import * as Effect from "effect/Effect"
import * as MemoryStore from "@headrace/core/MemoryStore"
import type { Capabilities, Store } from "@headrace/core/Store"
import type * as Conformance from "@headrace/testkit/Conformance"

const kib = 1024

const limits = { minBytes: kib, maxBytes: 1024 * kib, maxParts: 100, preferredBytes: 64 * kib }

const claims = (shape: "whole" | "parts"): Capabilities => ({
  shape,
  maxObjectBytes: shape === "whole" ? undefined : limits.maxBytes * limits.maxParts,
  reports: ["sha256"],
  rangedRead: true,
  needsSize: false,
  sharedMemory: false,
  ...(shape === "whole" ? undefined : { parts: limits }),
  checks: shape === "whole" ? { whole: [], part: [] } : { whole: ["sha256"], part: ["md5"] },
  conditionalCreate: false,
  serverSideCopy: false,
  unfinished: { list: shape === "parts", abort: shape === "parts", resume: shape === "parts" },
  places: [],
  learnt: {},
  details: {}
})

export const memory = (
  shape: "whole" | "parts",
  broken: (store: Store, memory: MemoryStore.MemoryStore) => Store = (store) => store
) => {
  const made = MemoryStore.make({ shape, limits, partDigests: ["md5"] })
  const options: Conformance.Options = {
    capabilities: claims(shape),
    make: ({ key }) => broken(made.object(key), made),
    truth: (key) => Effect.sync(() => made.objects.get(key)),
    put: (key, bytes) => Effect.sync(() => made.objects.set(key, bytes)),
    unfinished: (key) => Effect.sync(() => [...made.uploads.values()].filter((upload) => upload.key === key).length),
    keys: ["ünïcode 日本", "a/b/c", "per%20cent", "what?is#this"],
    secrets: ["hunter2"]
  }
  return { options, made }
}
