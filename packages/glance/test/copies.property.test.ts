/**
 * Whatever becomes of the imports, of their answers and of the looks at them: no copy is called verified that the service
 * has not, what is proven is never deleted, and every upload ends.
 *
 * A case is made from its seed alone; HEADRACE_SEED=N runs that one, HEADRACE_COPIES=N so many.
 */
import { createHash } from "node:crypto"
import { type EmbeddedGlance, type Fault, start } from "@headrace/testkit/EmbeddedGlance"
import { afterAll, assert, describe, it } from "vitest"
import { runtime, upload } from "./support/upload.ts"

const only = process.env["HEADRACE_SEED"]
const cases = only === undefined ? Number(process.env["HEADRACE_COPIES"] ?? 120) : 1
const firstSeed = only === undefined ? 1 : Number(only)
const concurrency = 12

/** Numbers from 0 to 1, the same for the same seed. */
const randomFrom = (seed: number): (() => number) => {
  let count = 0
  return () => createHash("md5").update(`${seed} ${count++}`).digest().readUInt32LE(0) / 2 ** 32
}

const faultOf = (next: () => number): Fault => {
  const pick = <A>(of: ReadonlyArray<A>): A => of[Math.floor(next() * of.length)]!
  const at = pick(["before", "after"] as const)
  const kind = next()
  if (kind < 0.5) {
    return {
      type: "import",
      on: "import",
      ends: pick(["fails", "fails", "lost", "lost", "orphaned", "hangs"] as const)
    }
  }
  // The first looks belong to the upload, whose faults are tested elsewhere.
  const on = pick(["import", "import", "tasks"] as const)
  if (kind < 0.65) return { type: "drop", on, at, how: pick(["reset", "close"] as const) }
  if (kind < 0.9) return { type: "answer", on, at, status: pick([500, 502, 503, 403]), requestId: next() < 0.5 }
  return { type: "delay", on, at, ms: Math.floor(next() * 200) }
}

const run = async (glance: EmbeddedGlance, seed: number): Promise<ReadonlyArray<string>> => {
  const next = randomFrom(seed)
  const bytes = Buffer.alloc(1000 + Math.floor(next() * 50_000), `seed ${seed}`)
  const others = ["cheap", "cold", "full"].filter(() => next() < 0.7)
  const store = ["fast", ...(others.length === 0 ? ["cheap"] : others)]
  const began = performance.now()
  const { receipt } = await upload({ endpoint: glance.url, token: "root:ops:admin" }, bytes, { store }, { retries: 1 })
  const told = `seed ${seed}: ${JSON.stringify(receipt.destinations)}`
  assert.isBelow(performance.now() - began, 30_000, told)
  assert.deepStrictEqual(
    receipt.destinations.map(({ uri }) => new URL(uri).searchParams.get("store")),
    store,
    told
  )
  const [first, ...copies] = receipt.destinations
  assert.strictEqual(first?.status, "verified", told)
  const { id } = first!.object!
  const held = glance.images.get(id)
  assert.strictEqual(held?.status, "active", told)
  for (const { attempts, bytesSent, error, object, status } of copies) {
    assert.strictEqual(bytesSent, 0, told)
    if (status === "verified") {
      assert.isTrue((await glance.images.bytes(id, object!.store))?.equals(bytes), told)
    } else {
      assert.strictEqual(status, "failed", told)
      assert.isAtLeast(attempts, 0)
      assert.match(error!.left, new RegExp(`^(active image|unknown glance://.*/)\\s?${id}$`), told)
    }
  }
  return copies.map(({ error, status }) => error?.reason ?? status)
}

const stagingFaultOf = (next: () => number): Fault => {
  const pick = <A>(of: ReadonlyArray<A>): A => of[Math.floor(next() * of.length)]!
  const kind = next()
  if (kind < 0.35) {
    return { type: "import", on: "import", ends: pick(["fails", "lost", "orphaned", "hangs"] as const) }
  }
  if (kind < 0.4) return { type: "corrupt", on: "import", offset: Math.floor(next() * 1000) }
  const on = pick(["stage", "stage", "import", "import", "tasks", "show"] as const)
  const at = pick(["before", "after"] as const)
  const image =
    on === "stage" && at === "after" ? { image: pick(["queued", "saving", "active", "deleted"] as const) } : {}
  if (kind < 0.6) return { type: "drop", on, at, how: pick(["reset", "close"] as const), ...image }
  if (kind < 0.9) {
    return { type: "answer", on, at, status: pick([500, 502, 503, 504, 403, 409]), requestId: next() < 0.5, ...image }
  }
  return { type: "delay", on, at, ms: Math.floor(next() * 200) }
}

/** The same of a member, whose image is staged and imported. */
const runStaged = async (glance: EmbeddedGlance, seed: number): Promise<ReadonlyArray<string>> => {
  const next = randomFrom(seed)
  const bytes = Buffer.alloc(1000 + Math.floor(next() * 50_000), `seed ${seed}`)
  const store = ["fast", "cheap", "cold", "full"].filter(() => next() < 0.8).toSorted(() => next() - 0.5)
  if (store.length < 2) store.splice(0, store.length, "full", "cheap")
  const began = performance.now()
  const options = { retries: 1, answerMs: 2000 }
  const { receipt } = await upload({ endpoint: glance.url, token: "ann:one:member" }, bytes, { store }, options)
  const told = `seed ${seed}: ${JSON.stringify(receipt.destinations)}`
  assert.isBelow(performance.now() - began, 60_000, told)
  const images = glance.images.list()
  const verified = receipt.destinations.filter(({ status }) => status === "verified")
  for (const { object, uri } of verified) {
    const place = new URL(uri).searchParams.get("store")!
    assert.isTrue((await glance.images.bytes(object!.id, place))?.equals(bytes), told)
    assert.strictEqual(glance.images.get(object!.id)?.status, "active", told)
  }
  for (const { error, status } of receipt.destinations) {
    if (status === "verified") continue
    assert.strictEqual(status, "failed", told)
    if (error!.left === "none") assert.deepStrictEqual([images.length, verified.length], [0, 0], told)
    else if (!error!.left.startsWith("unknown ")) {
      assert.include(
        images.map(({ id, status }) => `${status} image ${id}`),
        error!.left,
        told
      )
    }
  }
  assert.isAtMost(images.length, 1, told)
  return receipt.destinations.map(({ error, status }) => error?.reason ?? status)
}

describe("any stores, with any faults", () => {
  it.each([
    ["copied", run, faultOf],
    ["staged and imported", runStaged, stagingFaultOf]
  ] as const)(
    "%s, have each the verdict that is true of them",
    async (_name, run, faultOf) => {
      const seeds = Array.from({ length: cases }, (_, index) => firstSeed + index)
      const found = new Map<string, number>()
      const worker = async (): Promise<void> => {
        for (let seed = seeds.shift(); seed !== undefined; seed = seeds.shift()) {
          const next = randomFrom(-seed)
          const glance = await start({
            manner: next() < 0.5 ? "eventlet" : "uwsgi",
            auth: "fake",
            importStepMs: Math.floor(next() * 40),
            stores: [
              { id: "fast", default: true },
              { id: "cheap" },
              { id: "cold" },
              { id: "full", fullAfterBytes: 10 }
            ],
            faults: Array.from({ length: Math.floor(next() * 4) }, () => faultOf(next))
          })
          try {
            for (const result of await run(glance, seed)) found.set(result, (found.get(result) ?? 0) + 1)
          } finally {
            await glance.close()
          }
        }
      }
      await Promise.all(Array.from({ length: concurrency }, worker))
      console.log(JSON.stringify(Object.fromEntries(found)))
      if (only === undefined) assert.isAbove(found.get("verified") ?? 0, cases / 2)
    },
    300_000
  )
})

afterAll(() => runtime.dispose())
