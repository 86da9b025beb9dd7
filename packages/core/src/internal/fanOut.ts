/**
 * One read of a source for several destinations: hashed once, checked once, and handed to each at its own pace.
 *
 * The reader goes as fast as the fastest destination. One that falls behind by more than its share of memory, or that
 * holds memory which the reader waits for, goes on with a read of its own (`Lane`). Of a source that can be read only once
 * all wait for the slowest, but not for one that takes nothing at all.
 */
import type * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "../Block.ts"
import { BlockPool, BlockShare } from "../BlockPool.ts"
import type { Algorithm, Digests, HasherService, State } from "../Digest.ts"
import { DigestError } from "../DigestError.ts"
import * as Guard from "../Guard.ts"
import * as Monotonic from "../Monotonic.ts"
import * as Progress from "../Progress.ts"
import type { Info, Source } from "../Source.ts"
import * as SourceError from "../SourceError.ts"
import * as Checked from "./checked.ts"
import type { SourceContent } from "./judge.ts"
import { Lane } from "./lane.ts"
import * as Reading from "./reading.ts"

/** Blocks of the shared read that a destination may hold and not give back: those in its socket, and one in hand. */
const heldBlocks = 4

/** Blocks for a detached destination's own read. */
const ownBlocks = 4

/** Blocks by which the reader is ahead of the fastest destination. */
const ahead = 2

/** Blocks by which a destination may be behind the reader. */
const mostBacklog = 16

/** How long those that are ready wait for the others. One that comes later reads by itself. */
const graceMs = 5000

/** How often it is looked whether the reader waits for memory. */
const squeezeMs = 20

/** What may count between two looks of the time that a destination takes nothing. */
const mostElapsedMs = 1000

/** Blocks that a read for so many destinations is never denied. */
export const minimumBlocks = (destinations: number): number =>
  destinations === 1 ? Reading.minimumBlocks : Reading.minimumBlocks + destinations * heldBlocks

type Failing = SourceError.SourceError | DigestError

export interface FanOut<R> {
  /** The bytes for a destination that is ready to take them; waits for the others, up to a point. */
  readonly join: (
    index: number,
    algorithms: ReadonlyArray<Algorithm>
  ) => Effect.Effect<Reading.Reading, SourceError.SourceError, R | BlockPool | Scope.Scope>
  /** A destination has failed before it was ready: the others do not wait for its next attempt, unless they must. */
  readonly delayed: (index: number) => Effect.Effect<void>
  /** A destination wants no bytes, or no more. */
  readonly leave: (index: number) => Effect.Effect<void>
  readonly read: () => number
  readonly hashed: () => number
}

export interface Options<R> {
  readonly source: Source<R>
  readonly info: Info
  readonly size: number | undefined
  readonly first: Reading.Reading
  readonly hasher: HasherService
  readonly expect: Digests
  readonly reported: Digests
  /** Of each destination, whether it must succeed. */
  readonly required: ReadonlyArray<boolean>
  /** Bytes that have moved towards a destination. */
  readonly sent: (index: number) => number
  readonly stallMs: number
}

export const make = <R>(options: Options<R>): Effect.Effect<FanOut<R>, never, R | BlockPool | Scope.Scope> =>
  Effect.gen(function* () {
    const { first, info, required, size, source } = options
    const { replayable } = source
    const pool = yield* BlockPool
    const context = yield* Effect.context<R>()
    const started = yield* Deferred.make<void>()
    /** Settled with the content when the source has been read, or with why it was not. */
    const ended = yield* Deferred.make<SourceContent, Failing>()
    const lanes = new Map<number, Lane<Failing>>()
    const absent = new Set<number>()
    const delayed = new Set<number>()
    const algorithms = new Set<Algorithm>()
    const counters = { read: 0 }
    /** Who has use for states of the hashers, and how far apart. */
    const savers: Array<{ readonly every: number; readonly onState: (state: State) => void }> = []
    let hashed = () => 0
    let content: SourceContent | undefined
    let running = false
    let graceOver = false
    /** Blocks that the reader has handed out. */
    let delivered = 0
    let roomChanged: (() => void) | undefined

    const changed = () => roomChanged?.()

    const start = Effect.suspend(() => {
      if (running || lanes.size === 0) return Effect.void
      const missing = required.flatMap((must, index) => {
        const expected = !lanes.has(index) && !absent.has(index)
        return expected && !(delayed.has(index) && (replayable || !must)) ? [must] : []
      })
      // Of a source that can be read once, nobody who must have it may come too late.
      const enough = graceOver && (replayable || !missing.includes(true))
      if (missing.length > 0 && !enough) return Effect.void
      running = true
      return Effect.asVoid(Deferred.succeed(started, undefined))
    })

    /** Waits until some destination has taken nearly all that there is for it, or until every one has room. */
    const room = Effect.callback<void>((resume) => {
      const look = () => {
        const attached = [...lanes.values()].filter((lane) => lane.attached)
        const free = replayable
          ? attached.length === 0 || attached.some((lane) => lane.backlog < ahead)
          : attached.every((lane) => lane.backlog < mostBacklog)
        if (!free) return
        roomChanged = undefined
        resume(Effect.void)
      }
      roomChanged = look
      look()
      return Effect.sync(() => {
        roomChanged = undefined
      })
    })

    const deliver = (block: Block) =>
      Effect.map(room, () => {
        for (const lane of lanes.values()) {
          if (!lane.attached) continue
          if (replayable && lane.backlog >= mostBacklog) lane.detach()
          else lane.push(block.share())
        }
        block.release()
        delivered++
      })

    const reader = Effect.gen(function* () {
      const hashing = yield* options.hasher.start([...algorithms])
      hashed = hashing.hashed
      let digests: Digests = {}
      const stream = Checked.stream({
        ...options,
        context: context as Context.Context<R>,
        reading: first,
        seen: 0,
        hashing,
        counters,
        checkpoints: {
          isEnd: (total) => savers.some(({ every }) => total % every === 0),
          onState: (state) => {
            for (const { every, onState } of savers) if (state.bytes % every === 0) onState(state)
          }
        },
        onDigests: (all) => {
          digests = all
        }
      })
      yield* Stream.runForEach(stream, deliver)
      return { size: counters.read, digests }
    })

    /** How long nothing has moved towards a destination that has bytes to take, while all wait for it. */
    const stuck = new Map<number, { readonly sent: number; readonly ms: number }>()
    let looked = 0

    /** Of a source that can be read once: lets go of whoever takes nothing of what it has. The others go on. */
    const letGo = (waits: boolean) =>
      Effect.map(Monotonic.now, (now) => {
        // A process that was stopped is nobody's stall.
        const elapsed = Math.max(0, Math.min(now - looked, mostElapsedMs))
        looked = now
        for (const [index, lane] of lanes) {
          const sent = options.sent(index)
          const last = stuck.get(index)
          if (!waits || !lane.attached || lane.backlog === 0) stuck.delete(index)
          else if (last?.sent !== sent) stuck.set(index, { sent, ms: 0 })
          else if (last.ms + elapsed < options.stallMs) stuck.set(index, { sent, ms: last.ms + elapsed })
          else {
            const message = `no byte moved for ${options.stallMs / 1000} s, and the source can be read only once`
            lane.letGo(SourceError.make("Stalled", { uri: source.uri, message }))
          }
        }
      })

    /**
     * Takes memory back from the slowest while the reader waits for some that the fastest could use. Fails when nobody is
     * left who wants the bytes.
     */
    const watch = Effect.gen(function* () {
      for (let before = -1; ; before = delivered) {
        yield* Effect.sleep(squeezeMs)
        const all = [...lanes.values()]
        if (all.every((lane) => lane.closed)) {
          return yield* new DigestError({ message: "no destination takes the bytes any more" })
        }
        if (!replayable) {
          yield* letGo(delivered === before)
          continue
        }
        const attached = all.filter((lane) => lane.attached)
        const waits = delivered === before && attached.some((lane) => lane.backlog === 0)
        if (!waits) continue
        const block = first.share.takeNow()
        if (block !== undefined) {
          block.release()
          continue
        }
        const slowest = attached.reduce((a, b) => (b.backlog > a.backlog ? b : a))
        if (slowest.backlog > 0) slowest.detach()
      }
    })

    const read = Effect.gen(function* () {
      yield* Deferred.await(started)
      const exit = yield* Effect.exit(Effect.scoped(Effect.raceFirst(reader, watch)))
      if (Exit.isSuccess(exit)) content = exit.value
      for (const lane of lanes.values()) lane.end(Exit.asVoid(exit))
      yield* Deferred.done(ended, exit)
      // Nothing more is read here: the memory is free for detached and repeated reads, but for blocks that are under way.
      first.share.shrink()
      while (![...lanes.values()].every((lane) => lane.closed)) yield* Effect.sleep(squeezeMs)
      yield* first.close
    })
    yield* Effect.forkScoped(read)

    /** The rest of the source, for a lane that was detached. Its blocks outlive the stream: they end with the scope. */
    const own = (lane: Lane<Failing>, scope: Scope.Scope): Stream.Stream<Block, Failing> =>
      Stream.unwrap(
        Effect.gen(function* () {
          const share = yield* Scope.provide(pool.share(ownBlocks), scope)
          const { taken } = lane
          let total = taken
          const unchanged = Effect.provideContext(Checked.unchanged(source, info), context)
          const complete = Effect.flatMap(Deferred.await(ended), (content) =>
            content.size === total
              ? Effect.void
              : Effect.fail(
                  SourceError.make("SourceChanged", {
                    uri: source.uri,
                    message: `the source had ${content.size} bytes, read once more it had ${total}`
                  })
                )
          )
          yield* unchanged
          return source.open(taken).pipe(
            Stream.provideService(BlockShare, share),
            Stream.provideContext(context),
            Guard.length(source.uri, size === undefined ? undefined : size - taken),
            Progress.tap((bytes) => {
              total += bytes
            }),
            Guard.atEnd(unchanged),
            Guard.atEnd(complete),
            Guard.holdLast
          )
        })
      ) as Stream.Stream<Block, Failing>

    const attach = (index: number): Effect.Effect<Reading.Reading, never, Scope.Scope> =>
      Effect.gen(function* () {
        const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
        const lane = new Lane<Failing>(changed)
        lanes.set(index, lane)
        return {
          offset: 0,
          // What a part keeps could not be taken back, so it keeps a copy, in memory of the destination's own.
          share: yield* Scope.provide(pool.share(0), scope),
          head: first.head,
          wholeSize: first.wholeSize,
          consumed: () => lane.pulled,
          stream: Stream.concat(
            lane.stream,
            Stream.suspend(() => (lane.detached ? own(lane, scope) : Stream.empty))
          ),
          close: Effect.andThen(
            Effect.sync(() => lane.close()),
            Scope.close(scope, Exit.void)
          ),
          shared: {
            content: () => content,
            hashed: () => hashed(),
            saveStates: (every, onState) => void savers.push({ every, onState }),
            mostBlocks: Math.floor(pool.stats().capacity / 2 / required.length)
          }
        }
      })

    const grace = Effect.andThen(
      Effect.sleep(graceMs),
      Effect.suspend(() => {
        graceOver = true
        return start
      })
    )

    const late = Effect.suspend(() =>
      replayable
        ? Effect.andThen(Checked.unchanged(source, info), Reading.open(source))
        : Effect.fail(
            SourceError.make("Unsupported", {
              uri: source.uri,
              message: "the source can be read only once, and the destination was not ready in time"
            })
          )
    )

    return {
      join: (index, wanted) =>
        Effect.gen(function* () {
          if (running) return yield* late
          for (const algorithm of wanted) algorithms.add(algorithm)
          const earliest = lanes.size === 0
          const reading = yield* attach(index)
          if (earliest) yield* Effect.forkScoped(grace)
          yield* start
          yield* Deferred.await(started)
          return reading
        }),
      delayed: (index) =>
        Effect.suspend(() => {
          delayed.add(index)
          return start
        }),
      leave: (index) =>
        Effect.suspend(() => {
          absent.add(index)
          lanes.get(index)?.close()
          // Nobody will ever want the first reading: its memory is for those that read by themselves.
          return absent.size === required.length && !running ? first.close : start
        }),
      read: () => counters.read,
      hashed: () => hashed()
    }
  })
