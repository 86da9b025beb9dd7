/**
 * Whatever the source's split, the pool's size and the service's faults: no receipt says `verified` where the service
 * holds other bytes, nothing of ours is left unsaid, and every block comes back.
 *
 * A case is made from its seed alone; HEADRACE_SEED=N runs that one, HEADRACE_CASES=N so many.
 */
import { createHash } from "node:crypto"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Source from "@headrace/core/Source"
import * as Transfer from "@headrace/core/Transfer"
import * as GlanceStore from "@headrace/glance/GlanceStore"
import * as NodeHost from "@headrace/node/NodeHost"
import * as NodeTransport from "@headrace/node/NodeTransport"
import { type Aftermath, type EmbeddedGlance, type Fault, type Moment, start } from "@headrace/testkit/EmbeddedGlance"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const only = process.env["HEADRACE_SEED"]
const cases = only === undefined ? Number(process.env["HEADRACE_CASES"] ?? 5000) : 1
const firstSeed = only === undefined ? 1 : Number(only)
const concurrency = 48

const runtime = ManagedRuntime.make(Layer.merge(NodeTransport.layer, NodeHost.layer))

/** Mulberry32: small, and the same everywhere. */
const randomFrom = (seed: number) => {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
  return {
    int: (below: number) => Math.floor(next() * below),
    chance: (p: number) => next() < p,
    pick: <A>(of: ReadonlyArray<A>): A => of[Math.floor(next() * of.length)]!
  }
}

type Random = ReturnType<typeof randomFrom>

const momentOf = (r: Random, size: number): Moment =>
  r.pick<Moment>(["before", "after", { afterBytes: r.int(size + 1) }])

const aftermathOf = (r: Random): Aftermath | undefined =>
  r.pick<Aftermath | undefined>([
    undefined,
    undefined,
    "queued",
    "poisoned",
    "active",
    "deleted",
    "saving",
    { status: "saving", forMs: r.int(300), then: r.pick(["active", "queued", "deleted"] as const) }
  ])

const faultOf = (r: Random, size: number): Fault => {
  const image = aftermathOf(r)
  const and = image === undefined ? undefined : { image }
  switch (r.int(10)) {
    case 0:
    case 1:
      return {
        type: "answer",
        at: momentOf(r, size),
        status: r.pick([400, 401, 403, 404, 409, 410, 413, 415, 429, 500, 502, 503, 504, 204, 200]),
        requestId: r.chance(0.5),
        body: r.pick(["", "Size mismatch", "<html>proxy</html>", "over a limit"]),
        ...and
      }
    case 2:
    case 3:
      return { type: "drop", at: momentOf(r, size), how: r.pick(["reset", "close"] as const), ...and }
    case 4:
      return { type: "drop", at: momentOf(r, size), how: "hang", ...and }
    case 5:
      return { type: "corrupt", offset: r.int(Math.max(1, size)) }
    case 6:
      return { type: "truncate", bytes: r.int(size + 1) }
    case 7:
      return { type: "otherWriter", bytes: new Uint8Array(r.int(size + 2)).fill(r.int(256)) }
    case 8:
      return { type: "delete", at: momentOf(r, size) }
    default:
      return { type: "delay", at: momentOf(r, size), ms: r.int(100) }
  }
}

const pieces = (r: Random, bytes: Uint8Array): Array<Uint8Array> => {
  const out: Array<Uint8Array> = []
  for (let at = 0; at < bytes.byteLength;) {
    const end = Math.min(bytes.byteLength, at + 1 + r.int(Math.max(1, bytes.byteLength >> r.int(6))))
    out.push(bytes.subarray(at, end))
    at = end
  }
  return out
}

interface Tally {
  verified: number
  stored: number
  failed: number
  attempts: number
  readonly reasons: Map<string, number>
}

const one = async (seed: number, glances: ReadonlyArray<EmbeddedGlance>, tally: Tally): Promise<void> => {
  const r = randomFrom(seed)
  const size = r.chance(0.1) ? r.int(3) : r.int(60_000)
  const bytes = new Uint8Array(size).map(() => r.int(256))
  // What a source gives may differ from what it promised, and from one opening to the next.
  const known = r.chance(0.7)
  const lies = r.pick(["honest", "honest", "honest", "honest", "short", "long", "changed"] as const)
  // A source that promises no size can give neither too little nor too much.
  const liar = lies === "changed" || (known && size > 0) ? lies : "honest"
  let openings = 0
  const given = (): Array<Uint8Array> => {
    openings++
    return pieces(
      r,
      liar === "short"
        ? bytes.subarray(0, size - 1)
        : liar === "long"
          ? Buffer.concat([bytes, new Uint8Array(1)])
          : bytes
    )
  }
  const source: Source.Source = Source.fromStream({
    uri: `seed:${seed}`,
    replayable: r.chance(0.8),
    info: Effect.sync(() => ({
      size: known ? size : undefined,
      identity: liar === "changed" ? String(openings) : "same"
    })),
    open: () => Stream.fromIterable(given()).pipe(Stream.rechunk(1))
  })
  const glance = glances[r.int(glances.length)]!
  const faults = Array.from({ length: r.int(4) }, () => faultOf(r, size))
  const name = `seed-${seed}`
  if (only !== undefined) {
    const said = faults.map((fault) => ("bytes" in fault ? { ...fault, bytes: "…" } : fault))
    console.log({ size, known, liar, faults: said, replayable: source.replayable, manner: glance.manner })
  }
  plans.set(name, faults)
  const blockBytes = 256 << r.int(7)
  const pool = BlockPool.makeUnsafe({ bytes: blockBytes * (2 + r.int(8)), blockBytes })
  const result = await runtime.runPromise(
    Transfer.run({
      source,
      to: [GlanceStore.image({ endpoint: glance.url, name, properties: { seed: String(seed) }, diskFormat: "raw" })],
      retries: r.int(3),
      stallMs: 400,
      answerMs: 400,
      allowEmpty: true,
      digest: r.chance(0.3) ? ["blake3"] : []
    }).pipe(Effect.provideService(BlockPool.BlockPool, pool), Effect.result)
  )
  const receipt = result._tag === "Success" ? result.success : result.failure.receipt
  const destination = receipt.destinations[0]!
  tally.attempts += destination.attempts
  const ours = glance.images.list().filter((image) => image.name === name)
  if (destination.status === "verified") {
    tally.verified++
    const image = glance.images.get(destination.object!.id)
    assert.strictEqual(image?.status, "active", `seed ${seed}`)
    const stored = await glance.images.bytes(destination.object!.id)
    assert.isDefined(stored, `seed ${seed}`)
    assert.strictEqual(
      createHash("sha256").update(stored!).digest("hex"),
      createHash("sha256").update(bytes).digest("hex"),
      `seed ${seed}: verified, but the service holds other bytes`
    )
    assert.strictEqual(liar, "honest", `seed ${seed}`)
  } else if (destination.status === "stored") {
    // Accepted, with nothing to compare but the size: then the size must be right.
    tally.stored++
    assert.strictEqual(Object.keys(destination.object!.digests).length, 0, `seed ${seed}`)
    assert.strictEqual(destination.object!.size, size, `seed ${seed}: stored, but of another size`)
  } else {
    tally.failed++
    const reason = destination.error!.reason
    tally.reasons.set(reason, (tally.reasons.get(reason) ?? 0) + 1)
    if (destination.error!.left === "none") {
      assert.strictEqual(ours.length, 0, `seed ${seed}: ${reason}: said that nothing is left`)
    }
  }
  // Whatever it ended as, at most one image is there, and it is the one that the receipt speaks of.
  assert.isAtMost(ours.length, 1, `seed ${seed}`)
  if (ours.length === 1) {
    assert.include(JSON.stringify(destination), ours[0]!.id, `seed ${seed}: an image that the receipt does not know`)
  }
  assert.strictEqual(pool.stats().inUse, 0, `seed ${seed}: blocks`)
  assert.strictEqual(pool.stats().reserved, 0, `seed ${seed}: shares`)
}

const plans = new Map<string, Array<Fault>>()

describe("any split, any pool, any faults", () => {
  const glances: Array<EmbeddedGlance> = []
  beforeAll(async () => {
    for (const manner of ["eventlet", "uwsgi"] as const) {
      const glance: EmbeddedGlance = await start({
        manner,
        onUpload: ({ image }) => plans.get(image?.name ?? "")?.shift()
      })
      glances.push(glance)
    }
  })
  afterAll(async () => {
    for (const glance of glances) await glance.close()
    await runtime.dispose()
  })

  it(`${cases} cases from seed ${firstSeed}`, { timeout: 600_000 }, async () => {
    const tally: Tally = { verified: 0, stored: 0, failed: 0, attempts: 0, reasons: new Map() }
    let next = firstSeed
    const running = new Set<number>()
    const stuck = setInterval(() => console.log(`running: ${[...running].slice(0, 8).join(" ")}, next ${next}`), 20_000)
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (next < firstSeed + cases) {
          const seed = next++
          running.add(seed)
          await one(seed, glances, tally)
          running.delete(seed)
        }
      })
    )
    clearInterval(stuck)
    const reasons = [...tally.reasons].sort((a, b) => b[1] - a[1]).map(([reason, n]) => `${reason} ${n}`)
    console.log(
      `property: ${cases} cases, ${tally.verified} verified, ${tally.stored} stored, ${tally.failed} failed, ${tally.attempts} attempts; ${reasons.join(", ")}`
    )
    assert.strictEqual(tally.verified + tally.stored + tally.failed, cases)
    if (cases > 100) assert.isAbove(tally.verified, cases / 10)
  })
})
