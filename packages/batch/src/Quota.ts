/**
 * The limits of a Glance that uploads go to. As many run as `image_count_uploading` leaves of what others use, looked at
 * every 10 s; what finds a quota full waits until there is room. A service without limits is asked once, and then each
 * ten minutes.
 *
 * @since 0.1.0
 */
import type { Host } from "@headrace/core/Host"
import * as Monotonic from "@headrace/core/Monotonic"
import type { Transport } from "@headrace/core/Transport"
import type * as GlanceAccess from "@headrace/glance/GlanceAccess"
import * as GlanceUsage from "@headrace/glance/GlanceUsage"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { Pace } from "./Pace.ts"

/**
 * Whether an image has room. `Never`: it is larger than all that the project may have.
 *
 * @since 0.1.0
 * @category models
 */
export type Room =
  | { readonly _tag: "Fits" }
  | {
      readonly _tag: "Full" | "Never"
      /** Which limit it is, in one line. */
      readonly message: string
    }

/**
 * The limits of one destination.
 *
 * @since 0.1.0
 * @category models
 */
export interface Quota {
  /** Looks again now: to be run after a `QuotaExceeded`. Those who ask at the same time ask once. */
  readonly refresh: Effect.Effect<void>
  /** Looks now whether an image of so many bytes has room; `undefined`: nobody knows how many. */
  readonly room: (bytes: number | undefined) => Effect.Effect<Room>
  /**
   * Pauses the place until an image of so many bytes has room, and says how it stands: one that is `Never` pauses nothing.
   * `message` is the refusal's. Where no limit can be seen to be full, as with a store that is, one transfer is tried
   * after a while instead.
   */
  readonly full: (bytes: number | undefined, message: string) => Effect.Effect<Room>
  /** The limits as last seen. */
  readonly usage: () => GlanceUsage.Usage
}

const MiB = 1024 * 1024

const usualMs = 10_000
const unlimitedMs = 600_000

/** How long a place is left alone that has refused an image for which there is room: now, or as far as can be seen. */
const roomMs = 5000
const blindMs = 30_000

const uploading = "image_count_uploading"

/** Looks that are remembered: a minute of them, as a rule. */
const looks = 6

/** So often a service that had limits is not believed to have none any more. */
const mostSilent = 2

const isLimited = (usage: GlanceUsage.Usage): boolean => Object.values(usage).some(({ limit }) => limit >= 0)

const over = (name: string, { limit, usage }: GlanceUsage.Limit, unit: string) => ({
  _tag: "Full" as const,
  message: `the project's ${name} is full: ${usage} of ${limit}${unit} used`
})

/** Glance counts whole MiB (glance/quota/keystone.py), and a limit is full when one more would be above it. */
const roomIn = (usage: GlanceUsage.Usage, bytes: number | undefined, ours: number, staged: boolean): Room => {
  const size = Math.floor((bytes ?? 0) / MiB)
  for (const name of staged ? ["image_size_total", "image_stage_total"] : ["image_size_total"]) {
    const total = usage[name]
    if (total === undefined || total.limit < 0) continue
    if (size > total.limit) {
      return { _tag: "Never", message: `the image has ${size} MiB, and the project's ${name} is ${total.limit} MiB` }
    }
    if (total.usage + size > total.limit || total.usage > total.limit) return over(name, total, " MiB")
  }
  const count = usage["image_count_total"]
  if (count !== undefined && count.limit >= 0 && count.usage >= count.limit) return over("image_count_total", count, "")
  const open = usage[uploading]
  if (open !== undefined && open.limit >= 0 && open.usage - ours >= open.limit) return over(uploading, open, "")
  return { _tag: "Fits" }
}

/**
 * Keeps the uploads to a place within its limits until the scope closes. The limits are read before this returns; where
 * they cannot be, they are asked for again, and meanwhile there are none.
 *
 * @since 0.1.0
 * @category constructors
 */
export const keep = (options: {
  readonly pace: Pace
  /** The place's name with the pace: `glance://new`. */
  readonly place: string
  /** The service. */
  readonly at: GlanceAccess.Place
  /** Milliseconds between two looks while uploads run (10,000). */
  readonly everyMs?: number | undefined
}): Effect.Effect<Quota, never, Scope.Scope | Transport | Host> =>
  Effect.gen(function* () {
    const { at, everyMs = usualMs, pace, place } = options
    const context = yield* Effect.context<Transport | Host>()
    const lock = Semaphore.makeUnsafe(1)
    const now = Monotonic.now
    let usage: GlanceUsage.Usage = {}
    let readAt = -Infinity
    let told = false
    /** How often it has told none in a row. */
    let silent = 0
    const others: Array<number> = []

    /** Transfers of ours there. Some have not begun to upload yet, or do not any more. */
    const ours = (): number => pace.standing().find((standing) => standing.place === place)?.inFlight ?? 0

    /** Takes over what the service says; false when it says nothing. */
    const read: Effect.Effect<boolean> = Effect.flatMap(now, (asked) =>
      lock.withPermits(1)(
        Effect.gen(function* () {
          if (readAt >= asked) return told
          readAt = yield* now
          const before = ours()
          const found = yield* Effect.result(Effect.provideContext(GlanceUsage.read(at), context))
          // Where one that had limits tells none, it is the question that failed, unless it stays at that.
          silent = found._tag === "Success" && Object.keys(found.success).length === 0 ? silent + 1 : 0
          told = found._tag === "Success" && (silent === 0 || silent > mostSilent || !isLimited(usage))
          if (found._tag === "Failure" || !told) return false
          usage = found.success
          yield* apply(Math.min(before, ours()))
          return true
        })
      )
    )

    const room = (bytes: number | undefined, staged: boolean) =>
      Effect.map(read, () => roomIn(usage, bytes, ours(), staged))

    const probe = (bytes: number | undefined, staged: boolean): Effect.Effect<boolean> =>
      Effect.map(room(bytes, staged), ({ _tag }) => told && _tag === "Fits")

    /**
     * As many as others leave; one at least, which waits where they leave none. Of ours not all are uploading when it is
     * looked, so others have at least what is more than ours, and the most of that in some looks is what they have.
     */
    const apply = (mine: number): Effect.Effect<void> =>
      Effect.suspend(() => {
        const open = usage[uploading]
        if (open === undefined || open.limit < 0) return pace.cap(place, undefined)
        others.push(Math.max(0, open.usage - mine))
        if (others.length > looks) others.shift()
        const taken = Math.min(open.usage, Math.max(...others))
        const capped = pace.cap(place, Math.max(1, open.limit - taken))
        if (open.usage - mine < open.limit) return capped
        const { message } = over(uploading, open, "")
        return Effect.andThen(capped, pace.pause(place, { why: "quota", message, probe: probe(undefined, false) }))
      })

    yield* read
    const look = Effect.gen(function* () {
      yield* Effect.sleep(everyMs)
      const waits = isLimited(usage) || !told ? everyMs : Math.max(everyMs, unlimitedMs)
      if (ours() > 0 && (yield* now) - readAt >= waits) yield* read
    })
    yield* Effect.forkScoped(Effect.forever(look))

    return {
      refresh: Effect.asVoid(read),
      room: (bytes) => room(bytes, false),
      full: (bytes, message) =>
        Effect.gen(function* () {
          const staged = message.includes("image_stage_total")
          const found = yield* room(bytes, staged)
          const why = "quota"
          if (found._tag === "Full") {
            yield* pace.pause(place, { why, message: found.message, probe: probe(bytes, staged) })
          } else if (found._tag === "Fits") {
            const retryAfterMs = message.includes("image_") ? roomMs : blindMs
            yield* pace.pause(place, { why, message, retryAfterMs })
          }
          return found
        }),
      usage: () => usage
    }
  })
