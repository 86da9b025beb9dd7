/**
 * The search for the number of transfers that serves a place best, by trial: see the rule at the top of `Pace.ts`. It is
 * told what was measured and what was refused, and says how many may run. It knows neither clock nor service.
 */

/** What was measured over a while. */
export interface Sample {
  /** Transfers that ran, on average. */
  readonly running: number
  /** Work done a second. */
  readonly rate: number
  /** Whether none of them ended meanwhile: what is begun then stays for long, and one too many as well. */
  readonly long: boolean
}

const first = 4

/** A growth counts from this part of what it would be if each transfer more brought as much as those before. */
const worthwhile = 0.2
/** From this part on it is plain at once; else it has to be seen twice. */
const plain = 0.5
/** Fewer transfers are as good when they do this much of the work. */
const asGood = 0.97
/** And plainly better with this much. */
const better = 1.05

/**
 * A limit is measured when so much of it runs. Twice as many are told from half as many also where a scheduler leaves gaps
 * between short transfers.
 */
const filled = 0.9
const nearlyFilled = 0.75

/** Measurements between two trials, once the last ones brought nothing. */
const longestRest = 8

const shortestWallMs = 30_000
const longestWallMs = 480_000

/** The limits worth trying: 1, 2, 3, 4, 6, 8, 12, 16, 24, … */
const above = (limit: number): number => {
  if (limit < 2) return limit + 1
  const power = 2 ** Math.floor(Math.log2(limit))
  return limit < 1.5 * power ? Math.ceil(1.5 * power) : 2 * power
}

const below = (limit: number): number => {
  if (limit <= 2) return 1
  const power = 2 ** Math.floor(Math.log2(limit))
  return limit > 1.5 * power ? Math.floor(1.5 * power) : limit > power ? power : Math.floor(0.75 * power)
}

const aLittleAbove = (limit: number): number => Math.max(limit + 1, Math.floor(limit * 1.25))

type Direction = "up" | "down"

const opposite = (direction: Direction): Direction => (direction === "up" ? "down" : "up")

/** A mean that forgets. */
const mixed = (mean: number | undefined, value: number, weight: number): number =>
  mean === undefined ? value : mean + weight * (value - mean)

export class Climb {
  #limit: number
  readonly #most: number
  readonly #searches: boolean
  /** While each doubling pays: the limit before the last one, and its rate. */
  #doubling: { readonly limit: number; readonly rate: number } | "first" | undefined = "first"
  #trial: { readonly direction: Direction; readonly limit: number } | undefined
  /** What the first of two trials said, which the second has to bear out. */
  #unconfirmed: number | undefined
  #next: Direction = "up"
  /** Measurements at the limit that are still to be made before a trial, and after the next one that brings nothing. */
  #rest = 1
  #pause = 1
  /** The rate at the limit, of late and in the long run. */
  #rate: number | undefined
  #longRate: number | undefined
  #slow = 0
  #long = false
  /** So many were too many for the service. It is not tried again for a while. */
  #wall: { readonly at: number; readonly until: number; readonly forMs: number } | undefined
  #burst: { readonly least: number; readonly until: number } | undefined

  /** One that does not search begins with the most, and gives way only to refusals. */
  constructor(most: number, searches: boolean) {
    this.#most = most
    this.#searches = searches
    this.#limit = searches ? Math.min(first, most) : most
    if (!searches) this.#doubling = undefined
  }

  /** How many may run. */
  get limit(): number {
    return this.#trial?.limit ?? this.#limit
  }

  /** Whether the first steps are over. */
  get settled(): boolean {
    return this.#doubling === undefined
  }

  measured({ long, rate, running }: Sample, now: number): void {
    const aim = this.limit
    this.#long = long
    // The last step down is not in effect yet.
    if (running > aim + Math.max(0.5, aim * 0.15)) return
    if (running < aim * (this.settled ? filled : nearlyFilled)) {
      // It is another place, or the want of work, that keeps it low: a limit that hardly binds does no harm, and must
      // not keep the other place from its own trial.
      if (this.#trial?.direction === "up") this.#move(aim <= 1.5 * running + 1 ? aim : this.#limit, undefined)
      return
    }
    if (!this.#searches) this.#recover(now)
    else if (this.#trial !== undefined) this.#judge(this.#trial, rate / this.#rate!, rate, now)
    else if (this.#doubling !== undefined) this.#double(this.#doubling, rate, now)
    else this.#observe(rate, now)
  }

  /** More than may run do not come to an end: a trial with fewer is given up, so that small items are not held up. */
  overdue(): void {
    if (this.#trial?.direction !== "down") return
    this.#trial = undefined
    this.#unconfirmed = undefined
    this.#next = "up"
    this.#rest = this.#pause
    this.#pause = Math.min(longestRest, 2 * this.#pause)
  }

  /** `running` transfers were too many: the service has sent `waiting` of them away for `waitMs`. */
  refused(running: number, waiting: number, waitMs: number, now: number): void {
    if (this.#burst === undefined || now >= this.#burst.until) {
      const forMs =
        this.#wall === undefined || now < this.#wall.until
          ? (this.#wall?.forMs ?? shortestWallMs)
          : Math.min(longestWallMs, 2 * this.#wall.forMs)
      // A service that refuses all is not down to one at once: what it has too much of may be others' work.
      this.#burst = { least: Math.max(1, Math.floor(this.limit / 2)), until: now + Math.max(1000, waitMs) }
      this.#wall = { at: Infinity, until: now + forMs, forMs }
    }
    const taken = Math.max(this.#burst.least, running - waiting)
    const limit = Math.min(this.limit, taken)
    this.#wall = { ...this.#wall!, at: Math.max(2, Math.min(this.#wall!.at, limit + 1)) }
    this.#doubling = undefined
    this.#move(limit, undefined)
    this.#next = "up"
    this.#rest = 1
  }

  #ceiling(now: number): number {
    if (this.#wall === undefined) return this.#most
    return Math.min(this.#most, now < this.#wall.until ? this.#wall.at - 1 : this.#wall.at)
  }

  /** Goes back to the most, one by one. */
  #recover(now: number): void {
    if (this.#wall !== undefined && this.#limit >= this.#wall.at) this.#wall = undefined
    this.#limit = Math.min(this.#limit + 1, this.#ceiling(now))
  }

  #move(limit: number, rate: number | undefined): void {
    this.#limit = limit
    this.#trial = undefined
    this.#unconfirmed = undefined
    this.#rate = rate
    this.#longRate = rate
    this.#slow = 0
  }

  #double(before: { readonly limit: number; readonly rate: number } | "first", rate: number, now: number): void {
    if (before !== "first") {
      const gain = rate / before.rate - 1
      if (gain < worthwhile * (this.#limit / before.limit - 1)) {
        this.#doubling = undefined
        this.#move(before.limit, before.rate)
        this.#next = gain < 0 ? "down" : "up"
        this.#rest = 1
        return
      }
    }
    const limit = Math.min(this.#long ? aLittleAbove(this.#limit) : 2 * this.#limit, this.#ceiling(now))
    if (limit <= this.#limit) {
      this.#doubling = undefined
      this.#move(this.#limit, rate)
      return
    }
    this.#doubling = { limit: this.#limit, rate }
    this.#limit = limit
  }

  #observe(rate: number, now: number): void {
    const long = this.#longRate
    this.#rate = mixed(this.#rate, rate, 0.4)
    this.#longRate = mixed(long, rate, 0.1)
    // As many as before do half the work: each takes twice as long.
    this.#slow = long !== undefined && rate < long / 2 ? this.#slow + 1 : 0
    if (this.#slow >= 2) {
      this.#move(Math.max(1, Math.floor(this.#limit / 2)), undefined)
      this.#pause = 1
      this.#rest = 2
      this.#next = "down"
      return
    }
    if (--this.#rest > 0) return
    this.#try(now)
  }

  #try(now: number): void {
    const next = this.#long ? aLittleAbove(this.#limit) : above(this.#limit)
    const steps = { up: Math.max(this.#limit, Math.min(next, this.#ceiling(now))), down: below(this.#limit) }
    const direction = steps[this.#next] === this.#limit ? opposite(this.#next) : this.#next
    if (steps[direction] === this.#limit) {
      this.#rest = this.#pause
      return
    }
    if (direction !== this.#next) this.#unconfirmed = undefined
    this.#next = direction
    this.#trial = { direction, limit: steps[direction] }
  }

  #judge(trial: { readonly direction: Direction; readonly limit: number }, ratio: number, rate: number, now: number) {
    const { direction, limit } = trial
    const step = limit / this.#limit - 1
    const enough = direction === "up" ? 1 + worthwhile * step : asGood
    const clear = direction === "up" ? 1 + plain * step : better
    const seen = this.#unconfirmed === undefined ? ratio : (this.#unconfirmed + ratio) / 2
    const taken = ratio >= clear || (this.#unconfirmed !== undefined && seen >= enough)
    if (taken) {
      // The next step in the same direction follows at once.
      this.#move(limit, rate)
      this.#pause = 1
      if (direction === "up" && this.#wall !== undefined && limit >= this.#wall.at) this.#wall = undefined
      this.#try(now)
      return
    }
    this.#trial = undefined
    if (this.#unconfirmed === undefined && ratio >= enough) {
      this.#unconfirmed = ratio
      this.#rest = 1
      return
    }
    this.#unconfirmed = undefined
    this.#next = opposite(direction)
    this.#rest = this.#pause
    this.#pause = Math.min(longestRest, 2 * this.#pause)
  }
}
