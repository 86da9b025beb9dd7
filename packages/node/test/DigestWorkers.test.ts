import { execFile } from "node:child_process"
import { createHash } from "node:crypto"
import { availableParallelism } from "node:os"
import type { Worker } from "node:worker_threads"
import { assert, describe, it } from "@effect/vitest"
import { Block } from "@headrace/core/Block"
import * as BlockPool from "@headrace/core/BlockPool"
import * as Digest from "@headrace/core/Digest"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as DigestWorkers from "@headrace/node/DigestWorkers"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"

const MiB = 1024 * 1024

const lcg = (seed: number) => {
  let state = seed >>> 0
  return (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const noise = (length: number, seed = 1) => {
  const random = lcg(seed)
  const words = new Uint32Array(Math.ceil(length / 4))
  for (let i = 0; i < words.length; i++) words[i] = random(2 ** 32)
  return new Uint8Array(words.buffer, 0, length)
}

const sum = (algorithm: string, bytes: Uint8Array) => createHash(algorithm).update(bytes).digest("hex")

/** Sends bytes through pool blocks, cut by `cut`, and some of the blocks as two slices. */
const feed = (
  hashing: Digest.Hashing,
  share: BlockPool.BlockShare["Service"],
  bytes: Uint8Array,
  cut: (most: number) => number = (most) => most
) =>
  Effect.gen(function* () {
    let at = 0
    while (at < bytes.length) {
      const length = Math.min(bytes.length - at, Math.max(1, cut(share.blockBytes)))
      const block = yield* share.take
      block.space.set(bytes.subarray(at, at + length))
      block.setLength(length)
      const middle = cut(length)
      const slices = [block.slice(0, middle), block.slice(middle, length)]
      block.release()
      yield* Effect.ensuring(
        Effect.forEach(slices, hashing.update, { discard: true }),
        Effect.sync(() => {
          for (const slice of slices) slice.release()
        })
      )
      at += length
    }
  })

interface Fixture {
  readonly hasher: Digest.HasherService
  readonly pool: BlockPool.BlockPool["Service"]
  readonly share: BlockPool.BlockShare["Service"]
  /** The workers that this test has made. */
  readonly workers: ReadonlyArray<Worker>
}

/** Runs with workers of its own, which end with the test, and checks that every block is back then. */
const withWorkers = <A, E>(use: (fixture: Fixture) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const workers: Array<Worker> = []
      const note = (worker: Worker) => workers.push(worker)
      process.on("worker", note)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("worker", note)))
      const hasher = yield* DigestWorkers.make
      const pool = BlockPool.makeUnsafe({ bytes: 32 * MiB })
      const share = yield* pool.share(4)
      yield* Effect.scoped(use({ hasher, pool, share, workers }))
      assert.strictEqual(pool.stats().inUse, 0)
    })
  )

describe("digest workers", () => {
  it.live.each([1, 2, 3, 4, 5, 6])("compute what others compute, however the bytes are cut (seed %d)", (seed) =>
    withWorkers(({ hasher, share }) =>
      Effect.gen(function* () {
        const random = lcg(seed)
        for (const length of [0, 1, 1 + random(4096), 200_001, random(8 * MiB)]) {
          const bytes = noise(length, seed)
          const inline = yield* WasmHasher.make().start(Digest.algorithms)
          const hashing = yield* hasher.start(Digest.algorithms)
          const most = 1 + random(share.blockBytes)
          yield* feed(hashing, share, bytes, (limit) => random(1 + Math.min(limit, most)))
          yield* feed(inline, share, bytes)
          const digests = yield* hashing.digests
          assert.deepStrictEqual(digests, yield* inline.digests)
          for (const algorithm of ["md5", "sha1", "sha256", "sha512"] as const) {
            assert.strictEqual(digests[algorithm], sum(algorithm, bytes))
          }
          assert.strictEqual(hashing.hashed(), length)
          assert.strictEqual(share.inUse(), 0)
        }
      })
    )
  )

  it.live("are a layer that digests pass through", () =>
    Effect.gen(function* () {
      const pool = BlockPool.makeUnsafe({ bytes: 16 * MiB })
      const bytes = noise(5 * MiB + 3)
      const seen: Array<Digest.Digests> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          const share = yield* pool.share(2)
          let at = 0
          const blocks = Stream.mapEffect(Stream.range(0, 5), () =>
            Effect.map(share.take, (block) => {
              const piece = bytes.subarray(at, at + MiB)
              block.space.set(piece)
              at += piece.length
              return block.setLength(piece.length)
            })
          )
          yield* blocks.pipe(
            Digest.tap(["md5", "sha512"], (digests) => Effect.sync(() => seen.push(digests))),
            Stream.runForEach((block) => Effect.sync(() => block.release()))
          )
        })
      )
      assert.deepStrictEqual(seen, [{ md5: sum("md5", bytes), sha512: sum("sha512", bytes) }])
      assert.strictEqual(pool.stats().inUse, 0)
    }).pipe(Effect.provide(DigestWorkers.layer))
  )

  it.live("read blocks of several pools, and of plain memory", () =>
    withWorkers(({ hasher, share }) =>
      Effect.gen(function* () {
        const other = yield* BlockPool.makeUnsafe({ bytes: 4 * MiB, blockBytes: 300_000 }).share(2)
        const bytes = noise(3_000_000)
        const hashing = yield* hasher.start(["md5", "sha512"])
        yield* feed(hashing, share, bytes.subarray(0, 1_000_000))
        yield* feed(hashing, other, bytes.subarray(1_000_000, 2_000_000))
        let freed = 0
        const memory = bytes.slice(2_000_000)
        const plain = new Block({ memory, holders: 1, leased: true, onFree: () => freed++ }, 0, memory.length)
        yield* hashing.update(plain)
        plain.release()
        assert.deepStrictEqual(yield* hashing.digests, { md5: sum("md5", bytes), sha512: sum("sha512", bytes) })
        assert.strictEqual(freed, 1)
        assert.strictEqual(other.inUse(), 0)
      })
    )
  )

  it.live("go on from a saved state at any offset, their own or the inline provider's, and the other way", () =>
    withWorkers(({ hasher, share }) =>
      Effect.gen(function* () {
        const bytes = noise(700_001)
        const algorithms = Digest.algorithms
        const providers = [hasher, WasmHasher.make()]
        const reference = yield* providers[1]!.start(algorithms)
        yield* feed(reference, share, bytes)
        const expected = yield* reference.digests
        for (const offset of [0, 1, 127, 65_537, 262_143, 699_999, 700_001]) {
          for (const from of providers) {
            for (const to of providers) {
              const first = yield* from.start(algorithms)
              yield* feed(first, share, bytes.subarray(0, offset))
              const state: Digest.State = JSON.parse(JSON.stringify(yield* first.save))
              assert.strictEqual(state.bytes, offset)
              const second = yield* to.start(algorithms, state)
              assert.strictEqual(second.hashed(), offset)
              yield* feed(second, share, bytes.subarray(offset))
              assert.deepStrictEqual(yield* second.digests, expected)
              // The one that was saved goes on as well.
              yield* feed(first, share, bytes.subarray(offset))
              assert.deepStrictEqual(yield* first.digests, expected)
            }
          }
        }
      })
    )
  )

  it.live("refuse a state that is not theirs, and are fit for use after it", () =>
    withWorkers(({ hasher, share, workers }) =>
      Effect.gen(function* () {
        const hashing = yield* hasher.start(["sha512"])
        yield* feed(hashing, share, noise(300_000))
        const { bytes, states } = yield* hashing.save
        const raw = Buffer.from(states.sha512!, "base64")
        const label = raw.indexOf("\n") + 1
        raw.writeUInt8(raw[label]! ^ 1, label)
        const other: Digest.State = { bytes, states: { sha512: raw.toString("base64") } }
        assert.match(
          (yield* Effect.flip(hasher.start(["sha512"], other))).message,
          /cannot compute sha512: .*incompatible/
        )
        assert.match((yield* Effect.flip(hasher.start(["md5"], { bytes, states }))).message, /no md5/)
        assert.deepStrictEqual(yield* hashing.digests, { sha512: sum("sha512", noise(300_000)) })
        assert.isAtMost(workers.length, availableParallelism())
      })
    )
  )

  it.live("take nothing in after the digests were taken, which stay the same", () =>
    withWorkers(({ hasher, share }) =>
      Effect.gen(function* () {
        for (const length of [10, 300_000]) {
          const hashing = yield* hasher.start(["md5", "md5"])
          yield* feed(hashing, share, noise(length))
          const digests = yield* hashing.digests
          assert.deepStrictEqual(digests, { md5: sum("md5", noise(length)) })
          assert.deepStrictEqual(yield* hashing.digests, digests)
          assert.match((yield* Effect.flip(hashing.save)).message, /taken already/)
          const block = (yield* share.take).setLength(5)
          assert.match((yield* Effect.flip(hashing.update(block))).message, /taken already/)
          block.release()
        }
      })
    )
  )

  it.live("hold no more than six blocks", () =>
    withWorkers(({ hasher, share }) =>
      Effect.gen(function* () {
        const hashing = yield* hasher.start(["sha256"])
        let most = 0
        for (let i = 0; i < 40; i++) {
          const block = (yield* share.take).setLength(MiB)
          yield* hashing.update(block)
          block.release()
          most = Math.max(most, share.inUse())
        }
        assert.strictEqual(most, 6)
        yield* hashing.digests
      })
    )
  )
})

describe("the threads", () => {
  it.live("are used again: one an algorithm for a thousand streams, and none for small ones", () =>
    withWorkers(({ hasher, share, workers }) =>
      Effect.gen(function* () {
        const upload = (length: number) =>
          Effect.gen(function* () {
            const hashing = yield* hasher.start(["md5", "sha512"])
            const block = (yield* share.take).setLength(length)
            yield* hashing.update(block)
            block.release()
            yield* hashing.digests
          })
        for (let i = 0; i < 200; i++) yield* Effect.scoped(upload(128 * 1024))
        assert.strictEqual(workers.length, 0)
        for (let i = 0; i < 1000; i++) yield* Effect.scoped(upload(128 * 1024 + 1))
        // Who has its digests needs no worker, though its scope is open.
        for (let i = 0; i < 10; i++) yield* upload(128 * 1024 + 1)
        assert.strictEqual(workers.length, 2)
      })
    )
  )

  it.live("are no more than processors, however many streams there are at once, and serve them all", () =>
    withWorkers(({ hasher, pool, workers }) =>
      Effect.gen(function* () {
        const one = (seed: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              const share = yield* pool.share(1)
              const bytes = noise(2 * MiB + seed, seed)
              const hashing = yield* hasher.start(["md5"])
              yield* feed(hashing, share, bytes, (most) => Math.min(most, 100_000))
              assert.deepStrictEqual(yield* hashing.digests, { md5: sum("md5", bytes) })
            })
          )
        yield* Effect.forEach(
          Array.from({ length: 24 }, (_, i) => i),
          one,
          { concurrency: "unbounded", discard: true }
        )
        assert.isAtMost(workers.length, availableParallelism())
      })
    )
  )

  it.live("serve more queued blocks than the ring has room for", () =>
    withWorkers(({ hasher, pool }) =>
      Effect.gen(function* () {
        const bytes = noise(200_000)
        const share = yield* pool.share(1)
        const block = (yield* share.take).setLength(200_000)
        block.space.set(bytes)
        const hashings: Array<Digest.Hashing> = []
        for (let i = 0; i < 100; i++) hashings.push(yield* hasher.start(["crc32c"]))
        for (let i = 0; i < 7; i++) for (const hashing of hashings) yield* hashing.update(block)
        block.release()
        const digests = yield* Effect.forEach(hashings, (hashing) => hashing.digests)
        assert.strictEqual(new Set(digests.map((digest) => digest.crc32c)).size, 1)
      })
    )
  )

  it.live("end with the scope", () =>
    Effect.gen(function* () {
      const exits: Array<Promise<unknown>> = []
      const note = (worker: Worker) => exits.push(new Promise((resolve) => worker.once("exit", resolve)))
      process.on("worker", note)
      const scope = yield* Scope.make()
      const hasher = yield* Scope.provide(DigestWorkers.make, scope)
      const pool = BlockPool.makeUnsafe({ bytes: 8 * MiB })
      const share = yield* Scope.provide(pool.share(2), scope)
      const hashing = yield* Scope.provide(hasher.start(["md5", "sha512"]), scope)
      yield* feed(hashing, share, noise(3 * MiB))
      yield* Scope.close(scope, Exit.void)
      process.off("worker", note)
      assert.strictEqual(exits.length, 2)
      yield* Effect.promise(() => Promise.all(exits))
      assert.strictEqual(pool.stats().inUse, 0)
    })
  )

  /** Runs a program in a process of its own, which ends when nothing keeps it alive. */
  const run = (program: string) =>
    Effect.promise(
      () =>
        new Promise<string>((resolve, reject) => {
          execFile(
            process.execPath,
            ["--input-type=module", "-e", program],
            { cwd: import.meta.dirname, timeout: 20_000 },
            (error, stdout, stderr) =>
              error === null ? resolve(stdout) : reject(new Error(`${error.message}${stderr}`))
          )
        })
    )

  const preamble = `
    import * as BlockPool from "@headrace/core/BlockPool"
    import * as DigestWorkers from "@headrace/node/DigestWorkers"
    import * as Effect from "effect/Effect"
    import * as Scope from "effect/Scope"
    const scope = Scope.makeUnsafe()
    const open = (effect) => Effect.runPromise(Scope.provide(effect, scope))
    const hasher = await open(DigestWorkers.make)
    const share = await open(BlockPool.makeUnsafe({ bytes: 2097152 }).share(1))
    const hashing = await open(hasher.start(["md5", "sha512"]))
    for (let i = 0; i < 40; i++) {
      const block = (await Effect.runPromise(share.take)).setLength(1048576)
      await Effect.runPromise(hashing.update(block))
      block.release()
    }
  `

  it.live("do not keep the process alive, though nobody closes their scope", () =>
    Effect.map(run(`${preamble} console.log("over")`), (out) => assert.strictEqual(out, "over\n"))
  )

  it.live("keep it alive while somebody waits for them, or for the blocks that they have", () =>
    Effect.map(
      run(`${preamble} Effect.runFork(hashing.digests).addObserver((exit) => console.log(exit.value.md5))`),
      (out) => assert.strictEqual(out, `${sum("md5", new Uint8Array(40 * MiB))}\n`)
    )
  )
})

describe("when things go wrong", () => {
  it.live("a worker that dies fails who waits for it, gives the blocks back, and is replaced", () =>
    withWorkers(({ hasher, pool, share, workers }) =>
      Effect.gen(function* () {
        // Once while update waits behind the lag, once while the digests are waited for.
        for (const blocks of [100, 4]) {
          const made = workers.length
          const hashing = yield* hasher.start(["sha512"])
          const fiber = yield* Effect.forkChild(
            Effect.andThen(feed(hashing, share, new Uint8Array(blocks * MiB)), hashing.digests)
          )
          while (workers.length === made) yield* Effect.sleep(1)
          yield* Effect.promise(() => workers[made]!.terminate())
          assert.match(
            (yield* Effect.flip(Fiber.join(fiber))).message,
            /^the sha512 worker died: it ended with code [01]$/
          )
          assert.match((yield* Effect.flip(hashing.digests)).message, /died/)
          assert.match((yield* Effect.flip(hashing.save)).message, /died/)
          const late = (yield* share.take).setLength(1)
          assert.match((yield* Effect.flip(hashing.update(late))).message, /died/)
          late.release()
        }
        const hashing = yield* hasher.start(["sha512"])
        yield* feed(hashing, share, noise(MiB))
        assert.deepStrictEqual(yield* hashing.digests, { sha512: sum("sha512", noise(MiB)) })
        assert.strictEqual(workers.length, 3)
        assert.strictEqual(pool.stats().inUse, 0)
      })
    )
  )

  it.live("an interrupted hashing is let go when no worker reads its blocks any more", () =>
    withWorkers(({ hasher, pool, workers }) =>
      Effect.gen(function* () {
        const wrong = noise(MiB, 1)
        const bytes = noise(2 * MiB, 2)
        for (let round = 0; round < 20; round++) {
          const fiber = yield* Effect.forkChild(
            Effect.scoped(
              Effect.gen(function* () {
                const share = yield* pool.share(2)
                const hashing = yield* hasher.start(["sha256", "md5"])
                while (true) yield* feed(hashing, share, wrong)
              })
            )
          )
          yield* Effect.sleep(round * 3)
          yield* Fiber.interrupt(fiber)
          assert.strictEqual(pool.stats().inUse, 0)
          // The memory is used again at once: a worker that still read it for the former would show here.
          yield* Effect.scoped(
            Effect.gen(function* () {
              const share = yield* pool.share(2)
              const hashing = yield* hasher.start(["sha256", "md5"])
              yield* feed(hashing, share, bytes)
              assert.deepStrictEqual(yield* hashing.digests, {
                sha256: sum("sha256", bytes),
                md5: sum("md5", bytes)
              })
            })
          )
        }
        assert.isAtMost(workers.length, 4)
      })
    )
  )

  it.live("closing a hashing waits for the worker, before anything that was opened earlier is closed", () =>
    withWorkers(({ hasher, pool }) =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const open = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Scope.provide(effect, scope)
        let held = -1
        yield* open(Effect.addFinalizer(() => Effect.sync(() => (held = pool.stats().inUse))))
        const share = yield* pool.share(8)
        const hashing = yield* open(hasher.start(["sha256", "blake3"]))
        for (let i = 0; i < 8; i++) {
          const block = (yield* share.take).setLength(MiB)
          yield* hashing.update(block)
          block.release()
        }
        assert.isAbove(share.inUse(), 0)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(held, 0)
      })
    )
  )
})
