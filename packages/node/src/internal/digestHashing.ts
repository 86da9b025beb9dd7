/**
 * Hashings over workers. The first block, when it is a small one, is kept until it is clear whether it is all there
 * is: then it is hashed at once on the calling thread, which takes less time than telling a worker, and no worker.
 */
import type { Block } from "@headrace/core/Block"
import type { Algorithm, Digests, HasherService, Hashing } from "@headrace/core/Digest"
import { DigestError } from "@headrace/core/DigestError"
import * as WasmHasher from "@headrace/core/WasmHasher"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Lane } from "./digestLane.ts"
import type { Pool } from "./digestPool.ts"
import type { Engine, Reply } from "./digestRing.ts"
import { describeFault } from "./fault.ts"

/** Blocks that may be queued before `update` waits. More of them take memory, and make nothing faster. */
const lag = 6

/** A stream of no more bytes than these is hashed on the calling thread; of more by algorithms that take no time. */
const smallBytes = 128 * 1024
const smallFastBytes = 1024 * 1024
const fast: ReadonlySet<Algorithm> = new Set(["crc32c", "crc64nvme", "xxh128"])

export interface Options {
  readonly provider: string
  readonly providerOf?: (algorithm: Algorithm) => string
  readonly resumable: boolean
  readonly engine: (algorithm: Algorithm) => Engine
  /** Hashes a few bytes on the calling thread. */
  readonly hash: (algorithm: Algorithm, bytes: Uint8Array) => Effect.Effect<string, DigestError>
}

/** A hashing's place in a worker. */
interface Seat {
  readonly algorithm: Algorithm
  readonly lane: Lane
  readonly id: number
}

export const service = (pool: Pool, options: Options): HasherService => ({
  provider: options.provider,
  ...(options.providerOf === undefined ? undefined : { providerOf: options.providerOf }),
  resumable: options.resumable,
  start: Effect.fnUntraced(function* (wanted, from) {
    const algorithms = [...new Set(wanted)]
    if (from !== undefined && !options.resumable) {
      return yield* new DigestError({ message: `${options.provider} cannot go on from a saved state` })
    }
    const states = from === undefined ? undefined : yield* WasmHasher.decodeState(algorithms, from)
    return yield* run(pool, options, algorithms, from?.bytes ?? 0, states)
  })
})

/** What the workers have said, and who waits for them to say more. */
class Answers {
  failure: DigestError | undefined
  /** Workers that have taken their saved state over. */
  started = 0
  readonly states = new Map<Algorithm, Uint8Array>()
  readonly digests = new Map<Algorithm, string>()
  readonly #waiters = new Set<() => void>()
  readonly #lanes: () => Iterable<Lane>

  constructor(lanes: () => Iterable<Lane>) {
    this.#lanes = lanes
  }

  readonly changed = (): void => {
    for (const check of this.#waiters) check()
  }

  fail(message: string): void {
    this.failure ??= new DigestError({ message })
    this.changed()
  }

  take(algorithm: Algorithm, reply: Exclude<Reply, { readonly type: "woken" }>): void {
    if (reply.type === "failed") return this.fail(`cannot compute ${algorithm}: ${reply.message}`)
    if (reply.type === "started") this.started++
    if (reply.type === "saved") this.states.set(algorithm, reply.state)
    if (reply.type === "digest") this.digests.set(algorithm, reply.digest)
    this.changed()
  }

  /** Waits for a condition, or for a failure. */
  until(condition: () => boolean): Effect.Effect<void, DigestError> {
    return Effect.callback((resume) => {
      const stop = () => {
        this.#waiters.delete(check)
        for (const lane of lanes) lane.letGo()
      }
      const check = () => {
        if (this.failure === undefined && !condition()) return
        stop()
        resume(this.failure === undefined ? Effect.void : Effect.fail(this.failure))
      }
      const lanes = [...this.#lanes()]
      for (const lane of lanes) lane.hold()
      this.#waiters.add(check)
      check()
      return Effect.sync(stop)
    })
  }
}

const run = (
  pool: Pool,
  options: Options,
  algorithms: ReadonlyArray<Algorithm>,
  offset: number,
  states: ReadonlyMap<Algorithm, Uint8Array> | undefined
): Effect.Effect<Hashing, DigestError, Scope.Scope> =>
  Effect.gen(function* () {
    let seats: ReadonlyArray<Seat> | undefined
    const quick = algorithms.length > 0 && algorithms.every((algorithm) => fast.has(algorithm))
    const most = quick ? smallFastBytes : smallBytes
    const answers = new Answers(() => (seats ?? []).map((seat) => seat.lane))
    /** A small first block, kept until there is a second one. */
    let first: Block | undefined
    let taken = offset
    let hashed = offset
    /** Blocks that not all workers have done with. */
    let behind = 0
    let ending = false
    let result: Digests | undefined

    const sit = (): ReadonlyArray<Seat> => {
      if (seats !== undefined) return seats
      // All or none: it may be that no thread can be started.
      const lanes = algorithms.map((algorithm) => pool.lane(options.engine(algorithm), algorithm))
      return (seats = algorithms.map((algorithm, index) => {
        const lane = lanes[index]!
        const id = lane.join({
          onReply: (reply) => answers.take(algorithm, reply),
          onDeath: (why) => answers.fail(`the ${algorithm} worker died: ${why}`)
        })
        lane.command(id, { type: "start", id, state: states?.get(algorithm) })
        return { algorithm, lane, id }
      }))
    }

    const seated = Effect.try({
      try: sit,
      catch: (cause) =>
        new DigestError({ message: `no thread can be started for digests: ${describeFault(cause)}`, cause })
    })

    /** Hands a block to all workers, and gives it back when the last has done with it. */
    const feed = (block: Block) => {
      const bytes = block.bytes
      let readers = algorithms.length
      // Somebody may wait for the block to come back.
      if (behind++ === 0) for (const { lane } of sit()) lane.hold()
      const consumed = () => {
        if (--readers > 0) return
        hashed += bytes.length
        if (--behind === 0) for (const { lane } of sit()) lane.letGo()
        block.release()
        answers.changed()
      }
      if (readers === 0) consumed()
      for (const { id, lane } of sit()) lane.hash(id, bytes, consumed)
    }

    const releaseFirst = () => {
      first?.release()
      first = undefined
    }

    const feedFirst = () => {
      const block = first
      first = undefined
      if (block !== undefined) feed(block)
    }

    /** Fails when nothing can be taken in any more. */
    const open = Effect.suspend(() => {
      if (answers.failure !== undefined) return Effect.fail(answers.failure)
      return ending ? Effect.fail(new DigestError({ message: "the digests were taken already" })) : Effect.void
    })

    yield* Effect.addFinalizer(() =>
      Effect.gen(function* () {
        releaseFirst()
        // Whoever closes this scope may give the blocks' memory to others next. So it is not left before the workers
        // have said that they read nothing of it any more, or are dead.
        for (const { id, lane } of seats ?? []) {
          lane.hold()
          lane.skip(id)
          yield* Effect.callback<void>((resume) => lane.command(id, { type: "drop", id }, () => resume(Effect.void)))
          lane.leave(id)
          lane.letGo()
        }
      })
    )

    if (states !== undefined) {
      yield* seated
      yield* answers.until(() => answers.started === algorithms.length)
    }

    const take = (block: Block) =>
      Effect.map(seated, () => {
        feedFirst()
        feed(block.share())
        taken += block.length
      })

    const inline = Effect.gen(function* () {
      const digests: { [A in Algorithm]?: string } = {}
      for (const algorithm of algorithms) {
        digests[algorithm] = yield* options.hash(algorithm, first?.bytes ?? new Uint8Array(0))
      }
      releaseFirst()
      hashed = taken
      return digests
    })

    const collected = Effect.suspend(() => {
      for (const { id, lane } of sit()) lane.command(id, { type: "digest", id })
      return Effect.map(
        answers.until(() => answers.digests.size === algorithms.length),
        (): Digests => {
          // The seats are free for others now, though the scope may be open for long.
          for (const { id, lane } of sit()) lane.leave(id)
          return Object.fromEntries(algorithms.map((name) => [name, answers.digests.get(name)!]))
        }
      )
    })

    const hashing: Hashing = {
      update: (block) =>
        Effect.flatMap(open, () => {
          if (block.length === 0) return Effect.void
          if (seats === undefined && first === undefined && block.length <= most) {
            first = block.share()
            taken += block.length
            return Effect.void
          }
          if (behind < lag) return take(block)
          return Effect.andThen(
            answers.until(() => behind < lag),
            take(block)
          )
        }),
      digests: Effect.suspend(() => {
        if (result !== undefined) return Effect.succeed(result)
        return Effect.flatMap(open, () => {
          ending = true
          return Effect.map(seats === undefined ? inline : collected, (digests) => (result = digests))
        })
      }),
      save: Effect.flatMap(open, () => {
        if (!options.resumable) {
          return Effect.fail(new DigestError({ message: `${options.provider} cannot save its state` }))
        }
        return Effect.flatMap(seated, (all) => {
          feedFirst()
          const bytes = taken
          answers.states.clear()
          for (const { id, lane } of all) lane.command(id, { type: "save", id })
          return Effect.map(
            answers.until(() => answers.states.size === algorithms.length),
            () => WasmHasher.encodeState(bytes, answers.states)
          )
        })
      }),
      hashed: () => hashed
    }
    return hashing
  })
