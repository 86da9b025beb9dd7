/**
 * How many transfers run at once. A number is the most there are in all; of the rule, 4 and 6 hold for it. `auto` finds
 * for each place (an image service, a bucket, a host) how many serve it best, and goes on looking:
 *
 * 1. What counts is work a second: bytes, and 1 MiB for each transfer that ends well, which is what its requests cost.
 *    So bytes decide where items are large, and transfers where they are small.
 * 2. A measurement takes 2 to 10 s in which as many run as may. From 4, the limit doubles while that brings at least a
 *    fifth of what twice as many would do. Where none of them ends meanwhile it grows by a quarter only: what has begun
 *    is not stopped.
 * 3. Then the next step up and down (1, 2, 3, 4, 6, 8, 12, …) are tried in turn, against the limit's own rate. Up is
 *    taken for a fifth of what it could bring, down where it costs less than 3 %; both when seen twice, or plain. What
 *    brings nothing is tried ever more seldom, up to each eighth measurement.
 * 4. 429 and 503 take the limit down at once to those that were not refused. What was refused is tried again after 30 s,
 *    one more at a time, each time after twice as long (8 min). Nothing begins before `Retry-After` is over.
 * 5. A rate that falls to half twice in a row (each transfer takes twice as long) takes the limit to half.
 * 6. Three failures in a row that are the service's: it is away, and nothing begins there but a single transfer after 1,
 *    2, 4, … 15 s. The first sign that it works ends that.
 *
 * What is `most` for all, and the limit of a place, are shared evenly between transfers of different places; what some do
 * not ask for the others have.
 *
 * @since 0.1.0
 */
import type { TransferEvent } from "@headrace/core/TransferEvent"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { Controller } from "./internal/pace/controller.ts"
import type { Pause, Place } from "./internal/pace/place.ts"
import * as Tickets from "./internal/pace/ticket.ts"

/**
 * Why nothing begins at a place: a quota is full; the service has too much to do; it does not answer.
 *
 * @since 0.1.0
 * @category models
 */
export type Why = "quota" | "busy" | "away"

/**
 * Nothing begins at a place for a while, or it does again (`over`).
 *
 * @since 0.1.0
 * @category models
 */
export interface Wait {
  readonly place: string
  readonly why: Why
  readonly message: string
  readonly over: boolean
}

/**
 * A transfer that runs.
 *
 * @since 0.1.0
 * @category models
 */
export interface Ticket {
  /** To be called with every event of the transfer. */
  readonly event: (event: TransferEvent) => void
  /** To be called once. `requeued`: it is to be begun again later, or was cut off by us. */
  readonly end: (outcome: "good" | "failed" | "requeued") => Effect.Effect<void>
}

/**
 * How a place stands.
 *
 * @since 0.1.0
 * @category models
 */
export interface Standing {
  readonly place: string
  readonly inFlight: number
  /** How many may run there. */
  readonly limit: number
  readonly waiting?: {
    readonly why: Why
    readonly message: string
    /** How long already. */
    readonly forMs: number
  }
}

/**
 * Who may begin.
 *
 * @since 0.1.0
 * @category models
 */
export interface Pace {
  /** Whether one more transfer to and from all these places may begin now. */
  readonly admits: (places: ReadonlyArray<string>) => boolean
  /** Counts a transfer in. */
  readonly begin: (places: ReadonlyArray<string>, options: { readonly size: number | undefined }) => Ticket
  /** Waits until `admits` may answer otherwise than when it was last asked. */
  readonly changed: Effect.Effect<void>
  /**
   * Nothing begins there until the probe says that there is room: it is asked after `retryAfterMs` (5 s), then after ever
   * longer waits, up to a minute. Without a probe one transfer is let through after the time, and its end decides. A
   * pause of the same kind that is on already stays as it is, at least as long.
   */
  readonly pause: (
    place: string,
    options: {
      readonly why: Why
      readonly message: string
      readonly retryAfterMs?: number | undefined
      readonly probe?: Effect.Effect<boolean> | undefined
    }
  ) => Effect.Effect<void>
  /** A bound on what runs at a place that somebody else knows; `undefined` takes it away. What runs is left to end. */
  readonly cap: (place: string, most: number | undefined) => Effect.Effect<void>
  /** For a live table, and metrics. */
  readonly standing: () => ReadonlyArray<Standing>
}

/** How often it is looked whether something was measured, or a time is over. */
const lookMs = 250

const firstProbeMs = 5000
const lastProbeMs = 60_000

/**
 * The place that a URI belongs to, without secrets: `glance://CLOUD`, `s3://BUCKET`, `swift://CLOUD`, `https://HOST`;
 * `file://` for all files.
 *
 * @since 0.1.0
 * @category conversions
 */
export const placeOf: (uri: string) => string = Tickets.placeOf

const checked = (name: string, value: number): number => {
  if (Number.isInteger(value) && value >= 1) return value
  throw new RangeError(`${name} is a whole number above 0, not ${value}`)
}

/**
 * Makes a pace, which keeps time until the scope closes.
 *
 * @since 0.1.0
 * @category constructors
 */
export const make = (options: {
  readonly concurrency: number | "auto"
  /** With `auto`: as many at most, in all. */
  readonly most?: number | undefined
  /** Told of each pause, and of its end. */
  readonly onWait: (wait: Wait) => Effect.Effect<void>
}): Effect.Effect<Pace, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const auto = options.concurrency === "auto"
    const bound =
      options.concurrency === "auto"
        ? options.most === undefined
          ? Infinity
          : checked("most", options.most)
        : checked("concurrency", options.concurrency)
    const controller = new Controller(bound, auto, {
      now: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6,
      random: () => random.nextDoubleUnsafe()
    })
    const tell = Effect.suspend(() =>
      Effect.forEach(controller.takeUntold(), (wait) => options.onWait(wait), { discard: true })
    )
    const look = Effect.andThen(
      Effect.sync(() => controller.look()),
      tell
    )
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(lookMs), look)))

    const probing = (place: string, pause: Pause, probe: Effect.Effect<boolean>, firstMs: number) =>
      Effect.gen(function* () {
        let waitMs = firstMs
        while (controller.paused(place, pause)) {
          yield* Effect.sleep(waitMs * (1 + random.nextDoubleUnsafe() / 4))
          if (yield* probe) break
          waitMs = Math.min(Math.max(waitMs, lastProbeMs), Math.max(firstProbeMs, waitMs * 1.5))
        }
        controller.resume(place, pause)
        yield* tell
      })

    return {
      admits: (places) => controller.admits(places),
      begin: (places, { size }) => {
        const ticket = new Tickets.Ticket(controller, places, size)
        return {
          event: (event) => ticket.event(event),
          end: (outcome) =>
            Effect.andThen(
              Effect.sync(() => ticket.end(outcome)),
              tell
            )
        }
      },
      changed: Effect.callback<void>((resume) => {
        const callOff = controller.onChange(() => resume(Effect.void))
        return callOff === undefined ? undefined : Effect.sync(callOff)
      }),
      pause: (place, { message, probe, retryAfterMs, why }) =>
        Effect.suspend(() => {
          const pause = controller.pause(place, why, message, retryAfterMs)
          if (probe === undefined || pause.probed) return tell
          pause.probed = true
          return Effect.andThen(tell, Effect.forkIn(probing(place, pause, probe, retryAfterMs ?? firstProbeMs), scope))
        }),
      cap: (place, most) => Effect.sync(() => controller.setCap(place, most ?? Infinity)),
      standing: () => [...controller.places.values()].map((place) => standingOf(place, controller))
    }
  })

const standingOf = (place: Place, { now }: Controller): Standing => {
  const standing = { place: place.name, inFlight: place.stakes.size, limit: place.limit }
  const [pause] = place.pauses.values()
  if (pause === undefined) return standing
  return { ...standing, waiting: { why: pause.why, message: pause.message, forMs: now() - pause.since } }
}
