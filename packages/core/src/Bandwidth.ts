/**
 * Limits on how fast bytes may pass, as a tree: process, store, transfer. A byte passes when every node on its way up
 * lets it. Below a limit, children with something to send share it evenly, by weight.
 *
 * Bytes are granted in small even steps. A bucket saves up at most 50 ms' worth, so a timer that sleeps too long costs
 * nothing and a pause makes no burst. All time is the `Clock`'s, monotonic.
 *
 * @since 0.1.0
 */
import type * as Arr from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Block } from "./Block.ts"
import { TokenNode, type Waiter } from "./internal/tokenTree.ts"
import { isRate, type Rate } from "./Rate.ts"
import * as Timetable from "./Timetable.ts"

/**
 * One limit in the tree. It needs no closing: it is gone when nobody refers to it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Node {
  /** The node's own limit; those above it hold as well. */
  readonly rate: () => Rate
  /** Changes the limit. Who waits is re-timed at once. */
  readonly setRate: (rate: Rate) => Effect.Effect<void>
  /** Waits until so many bytes may pass. When it is interrupted, what it had been granted goes back. */
  readonly take: (bytes: number) => Effect.Effect<void>
  /** Gives back bytes that were taken and will not be sent. */
  readonly giveBack: (bytes: number) => Effect.Effect<void>
  /** Makes a node below this one. `weight` is its share among its siblings; 1 unless said. */
  readonly child: (options?: { readonly bytesPerSecond?: Rate; readonly weight?: number }) => Effect.Effect<Node>
  /** Bytes per second to be expected here now, given who else waits; infinite without a limit. */
  readonly share: () => number
}

/** The one timer of a tree: it sleeps only while somebody waits. */
class Timer {
  #fiber: Fiber.Fiber<void> | undefined
  #at = Infinity
  #running = false
  readonly #node: TokenNode

  constructor(root: TokenNode) {
    this.#node = root
  }

  /** Grants what can be granted, wakes who has all, and sleeps until there is more. */
  readonly run = (fiber: Fiber.Fiber<unknown, unknown>): void => {
    // A woken fiber runs at once, and may take again: the loop below sees to it.
    if (this.#running) return
    this.#running = true
    const clock = fiber.getRef(Clock.Clock)
    const now = nowMs(clock)
    for (let served = this.#node.dispatch(now); served !== undefined; served = this.#node.dispatch(now)) {
      served.onGranted()
    }
    this.#running = false
    const delay = this.#node.delay
    if (delay === undefined) this.#stop()
    else if (this.#fiber === undefined || now + delay < this.#at) {
      this.#stop()
      this.#at = now + delay
      const sleeper: Fiber.Fiber<void> = Effect.runForkWith(fiber.context)(
        Effect.andThen(
          clock.sleep(Duration.millis(delay)),
          Effect.withFiber((self) => {
            if (this.#fiber === sleeper) this.#fiber = undefined
            this.run(self)
            return Effect.void
          })
        )
      )
      this.#fiber = sleeper
    }
  }

  #stop(): void {
    this.#fiber?.interruptUnsafe()
    this.#fiber = undefined
    this.#at = Infinity
  }
}

const nowMs = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

const checked = (rate: Rate): Rate => {
  if (!isRate(rate)) throw new RangeError(`a rate is "off" or a number of bytes per second above 0, not ${rate}`)
  return rate
}

const fromTokens = (tokens: TokenNode, timer: Timer): Node => ({
  rate: () => tokens.rate,
  share: () => tokens.share,
  setRate: (rate) =>
    Effect.withFiber((fiber) => {
      tokens.setRate(checked(rate), nowMs(fiber.getRef(Clock.Clock)))
      timer.run(fiber)
      return Effect.void
    }),
  take: (bytes) =>
    Effect.withFiber((fiber) => {
      const whole = Math.ceil(bytes)
      if (whole <= 0 || tokens.free || tokens.takeNow(whole, nowMs(fiber.getRef(Clock.Clock)))) return Effect.void
      return Effect.callback<void>((resume) => {
        const waiter: Waiter = { left: whole, granted: 0, onGranted: () => resume(Effect.void) }
        tokens.enqueue(waiter)
        timer.run(fiber)
        return Effect.withFiber((fiber) => {
          tokens.cancel(waiter, nowMs(fiber.getRef(Clock.Clock)))
          timer.run(fiber)
          return Effect.void
        })
      })
    }),
  giveBack: (bytes) =>
    Effect.withFiber((fiber) => {
      if (bytes <= 0) return Effect.void
      tokens.giveBack(bytes, nowMs(fiber.getRef(Clock.Clock)))
      timer.run(fiber)
      return Effect.void
    }),
  child: (options) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const weight = options?.weight ?? 1
        if (!(weight > 0)) throw new RangeError(`a weight is a number above 0, not ${weight}`)
        return fromTokens(new TokenNode(tokens, checked(options?.bytesPerSecond ?? "off"), weight, nowMs(clock)), timer)
      })
    )
})

/**
 * Makes the root of a tree.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: { readonly bytesPerSecond: Rate }): Effect.Effect<Node> =>
  Effect.clockWith((clock) =>
    Effect.sync(() => {
      const root = new TokenNode(undefined, checked(options.bytesPerSecond), 1, nowMs(clock))
      return fromTokens(root, new Timer(root))
    })
  )

/**
 * The root of the process: every transfer's node is below it. No limit unless provided, or set, otherwise.
 *
 * @since 0.1.0
 * @category services
 */
export const Root: Context.Reference<Node> = Context.Reference<Node>("@headrace/core/Bandwidth/Root", {
  defaultValue: () => {
    const root = new TokenNode(undefined, "off", 1, 0)
    return fromTokens(root, new Timer(root))
  }
})

/** Milliseconds at the current rate that one slice of a block may stand for, and the fewest bytes it has. */
const sliceMs = 100
const leastSlice = 4096

/**
 * A stage that lets blocks pass as fast as the node allows. At low rates it passes a block on in slices of at most
 * 100 ms' worth (at least 4 KiB), so that what follows never waits long between two bytes.
 *
 * @since 0.1.0
 * @category combinators
 */
export const shape =
  (node: Node) =>
  <E, R>(self: Stream.Stream<Block, E, R>): Stream.Stream<Block, E, R> =>
    Stream.transformPull(self, (pull, scope) =>
      Effect.gen(function* () {
        /** Blocks that this stage holds, and how much of the first has been passed on. */
        let pending: ReadonlyArray<Block> = []
        let index = 0
        let offset = 0
        yield* Scope.addFinalizer(
          scope,
          Effect.sync(() => {
            // A share that closed before has taken its blocks back already.
            for (const block of pending.slice(index)) if (block.held) block.release()
            pending = []
          })
        )

        const next: Pull.Pull<Arr.NonEmptyReadonlyArray<Block>, E, void> = Effect.suspend(() => {
          const block = pending[index]
          if (block === undefined) {
            return Effect.flatMap(pull, (blocks) => {
              pending = blocks
              index = 0
              offset = 0
              return next
            })
          }
          const most = Math.max(leastSlice, Math.floor((node.share() * sliceMs) / 1000))
          const end = Math.min(block.length, offset + most)
          return Effect.map(node.take(end - offset), (): Arr.NonEmptyReadonlyArray<Block> => {
            const whole = offset === 0 && end === block.length
            const out = whole ? block : block.slice(offset, end)
            offset = end
            if (end === block.length) {
              index++
              offset = 0
              if (!whole) block.release()
            }
            return [out]
          })
        })
        return next
      })
    )

/**
 * Keeps a node at the rates of a timetable: at once, and at each entry's time until the scope closes. Times are local
 * to the process's time zone, or to the one given (an IANA name).
 *
 * @since 0.1.0
 * @category combinators
 */
export const follow = (
  node: Node,
  timetable: Timetable.Timetable,
  options?: { readonly timeZone?: string }
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const zone = options?.timeZone
    const apply = Effect.flatMap(Clock.currentTimeMillis, (now) =>
      Effect.as(node.setRate(Timetable.rateAt(timetable, now, zone)), Timetable.untilNext(timetable, now, zone))
    )
    const first = yield* apply
    // Looking again each minute keeps to the clock on the wall through summer time, corrections and a machine's sleep.
    const loop = (delay: number): Effect.Effect<never> =>
      Effect.flatMap(Effect.andThen(Effect.sleep(Math.min(delay, 60_000)), apply), loop)
    yield* Effect.forkScoped(loop(first))
  })
