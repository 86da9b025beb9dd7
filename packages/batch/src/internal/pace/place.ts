/**
 * One place that transfers go to or come from: how many run there, how many may, what holds it up.
 */
import type { Climb } from "./climb.ts"
import { Gauge } from "./gauge.ts"
import { Shares } from "./shares.ts"
import type { Trouble } from "./trouble.ts"

export type Why = "quota" | "busy" | "away"

/** A transfer's part at one place. */
export interface Stake {
  readonly place: Place
  /** The most bytes that were moved there in one attempt, which were counted. */
  counted: number
  /** Bytes of the running attempt. */
  moved: number
  /** Bytes that were moved since the last failure. */
  sinceFailure: number
  /** What the last failure says of the place, while nothing has shown that it is over. */
  trouble: Trouble | undefined
  /** Until when the transfer waits before it tries again. */
  waitsUntil: number
}

export interface Pause {
  readonly why: Why
  readonly message: string
  readonly since: number
  until: number
  /** It is a probe that ends it. */
  probed: boolean
  /** The place has worked since, for another transfer. */
  worked: boolean
  /** How often it was tried in vain whether it is over. */
  vain: number
  /** The transfer that was let through to see whether it is over. */
  through: Stake | undefined
}

/** What a transfer that ended well counts for besides its bytes: what its requests cost. */
export const workOfEnd = 1024 * 1024

/** How long a measurement lasts at least: while the limit doubles, and later. */
const firstMs = 2000
const laterMs = 4000

/** So long may those that are too many for a trial take to end. */
const overdueMs = 15_000

export class Place {
  readonly name: string
  readonly climb: Climb
  readonly stakes = new Set<Stake>()
  readonly pauses = new Map<Why, Pause>()
  /** Those who share its limit. */
  readonly shares = new Shares()
  /** What others have set as its bound. */
  cap = Infinity
  /** Nothing begins there before. */
  holdUntil = -Infinity
  /** Failures of the service without a success between. */
  failures = 0
  /** As last seen, to notice a change. */
  wasOpen = true
  readonly #gauge: Gauge
  /** When no more than might were running. */
  #withinAt: number
  /** Whose the failures were, up to two. */
  readonly #failed = new Set<Stake>()

  constructor(name: string, climb: Climb, now: number) {
    this.name = name
    this.climb = climb
    this.#gauge = new Gauge(now)
    this.#withinAt = now
  }

  get limit(): number {
    return Math.min(this.climb.limit, this.cap)
  }

  /** Whether one more may begin, as far as its own bound goes. */
  open(now: number): boolean {
    return this.stakes.size < this.limit && !this.held(now)
  }

  /** Whether nothing may begin now, however few run. */
  held(now: number): boolean {
    if (now < this.holdUntil) return true
    for (const pause of this.pauses.values())
      if (pause.probed || now < pause.until || pause.through !== undefined) return true
    return false
  }

  add(stake: Stake, now: number): void {
    this.stakes.add(stake)
    for (const pause of this.pauses.values()) if (!pause.probed && now >= pause.until) pause.through ??= stake
    this.#gauge.running(this.stakes.size, now)
  }

  remove(stake: Stake, good: boolean, now: number): void {
    if (good) this.#gauge.moved(workOfEnd, true, now)
    this.stakes.delete(stake)
    this.#gauge.running(this.stakes.size, now)
  }

  moved(bytes: number, now: number): void {
    this.#gauge.moved(bytes, false, now)
  }

  /** Looks whether something was measured, and changes the limit by it. */
  look(now: number): void {
    this.#gauge.running(this.stakes.size, now)
    const { limit } = this.climb
    // Those above the limit are still to end: what they do tells nothing of it.
    if (this.stakes.size > limit) {
      this.#gauge.restart()
      if (now - this.#withinAt > overdueMs) this.climb.overdue()
      return
    }
    this.#withinAt = now
    const sample = this.#gauge.take(
      Math.min(limit, Math.max(1, this.stakes.size)),
      this.climb.settled ? laterMs : firstMs
    )
    if (sample === undefined) return
    this.climb.measured(sample, now)
    if (this.climb.limit !== limit) this.#gauge.restart()
  }

  /** The service has sent a transfer away for a while. */
  refused(waitMs: number, now: number): void {
    const before = this.climb.limit
    let waiting = 0
    for (const stake of this.stakes) if (stake.trouble === "busy" && stake.waitsUntil > now) waiting++
    this.climb.refused(this.stakes.size, waiting, waitMs, now)
    if (this.climb.limit !== before) this.#gauge.restart()
  }

  failed(stake: Stake): void {
    this.failures++
    if (this.#failed.size < 2) this.#failed.add(stake)
  }

  /** Whether so many failures have come in a row that it is the service that fails, and not a single transfer. */
  down(why: Why): boolean {
    if (this.failures < 3 || (this.#failed.size < 2 && this.stakes.size > 1)) return false
    // Where some are sent away and others are not, it is only full.
    return why !== "busy" || [...this.stakes].every(({ trouble }) => trouble === "busy" || trouble === "away")
  }

  recovered(): void {
    this.failures = 0
    this.#failed.clear()
  }
}
