/**
 * All places together: who may begin, what is held up and until when, and who is told of it. All of it is synchronous;
 * `Pace.ts` gives it a clock and runs what it has to say.
 */
import { Climb } from "./climb.ts"
import { Place, type Pause, type Stake, type Why } from "./place.ts"
import { Shares } from "./shares.ts"
import type { Failure, Trouble } from "./trouble.ts"

/** A pause has begun, or is over. */
export interface Wait {
  readonly place: string
  readonly why: Why
  readonly message: string
  readonly over: boolean
}

export interface Surroundings {
  /** Milliseconds that never go back. */
  readonly now: () => number
  /** From 0 to 1. */
  readonly random: () => number
}

/** A service that asks for less patience than this is not worth telling of. */
const longHoldMs = 5000
const firstTryMs = 1000
const lastTryMs = 15_000

export class Controller {
  readonly places = new Map<string, Place>()
  readonly now: () => number
  readonly #random: () => number
  readonly #bound: number
  readonly #auto: boolean
  readonly #shares: Shares
  #untold: Array<Wait> = []
  readonly #waiters = new Set<() => void>()
  /** Counts what may have changed an answer of `admits`, and where that was last looked at. */
  #version = 0
  #seen = 0

  constructor(bound: number, auto: boolean, { now, random }: Surroundings) {
    this.#bound = bound
    this.#auto = auto
    this.#shares = new Shares()
    this.now = now
    this.#random = random
  }

  get bound(): number {
    return this.#bound
  }

  place(name: string): Place {
    let place = this.places.get(name)
    if (place === undefined) {
      place = new Place(name, new Climb(this.#bound, this.#auto), this.now())
      this.places.set(name, place)
    }
    return place
  }

  admits(names: ReadonlyArray<string>): boolean {
    this.#seen = this.#version
    const now = this.now()
    const lane = laneOf(names)
    const places = names.map((name) => this.place(name))
    for (const place of places) place.wasOpen = place.open(now)
    if (places.some((place) => place.held(now))) return false
    const bounds = [
      ...places.map(({ limit, shares }) => ({ limit, shares })),
      { limit: this.#bound, shares: this.#shares }
    ]
    const rooms = bounds.map(({ limit, shares }) => shares.room(lane, limit, now))
    if (rooms.every((room) => room === "yes")) return true
    // Whoever has its share of one bound would not use what others leave it of the next.
    if (!rooms.includes("own")) {
      for (const [index, { shares }] of bounds.entries()) if (rooms[index] === "others") shares.turnAway(lane, now)
    }
    return false
  }

  begin(names: ReadonlyArray<string>): ReadonlyArray<Stake> {
    const now = this.now()
    const lane = laneOf(names)
    this.#shares.begin(lane)
    return [...new Set(names)].map((name) => {
      const place = this.place(name)
      place.shares.begin(lane)
      const stake = { place, counted: 0, moved: 0, sinceFailure: 0, trouble: undefined, waitsUntil: 0 }
      place.add(stake, now)
      return stake
    })
  }

  end(names: ReadonlyArray<string>, stakes: ReadonlyArray<Stake>, outcome: "good" | "failed" | "requeued"): void {
    const now = this.now()
    const lane = laneOf(names)
    this.#shares.end(lane, now)
    for (const stake of stakes) {
      const { place, trouble } = stake
      place.shares.end(lane, now)
      place.remove(stake, outcome === "good", now)
      if (outcome === "good") this.succeeded(stake)
      for (const pause of place.pauses.values()) {
        if (pause.through !== stake) continue
        pause.through = undefined
        if (trouble !== undefined && trouble !== "none") this.#triedInVain(pause, now)
        else if (outcome !== "requeued") this.#resume(place, pause)
      }
    }
    this.#forget()
    this.#changed()
  }

  /** The place has done what was asked of it, for this transfer. */
  succeeded(stake: Stake): void {
    stake.trouble = undefined
    const { place } = stake
    place.recovered()
    for (const pause of place.pauses.values()) {
      if (pause.why === "away" || pause.through === stake) this.#resume(place, pause)
      // A service that is busy for one may work for another. Its time holds all the same.
      else if (pause.why === "busy") pause.worked = true
    }
  }

  /** A transfer has failed at a place, which is `trouble`. Whoever is busy may be asked again after `waitMs`. */
  failed(stake: Stake, trouble: Trouble, failure: Failure, waitMs: number): void {
    const now = this.now()
    const { place } = stake
    stake.trouble = trouble
    stake.sinceFailure = 0
    stake.waitsUntil = now + waitMs
    if (trouble === "none") {
      place.recovered()
      return
    }
    if (trouble === "quota") return
    place.failed(stake)
    if (trouble === "busy") {
      place.refused(waitMs, now)
      if (waitMs < longHoldMs) place.holdUntil = Math.max(place.holdUntil, now + waitMs)
      else this.pause(place.name, "busy", failure.message, waitMs)
    }
    if (place.down(trouble)) this.pause(place.name, trouble, failure.message, undefined)
  }

  /** One that is on already stays, at least as long. */
  pause(name: string, why: Why, message: string, forMs: number | undefined): Pause {
    const now = this.now()
    const place = this.place(name)
    const until = now + (forMs ?? this.#tryAgainMs(0))
    const paused = place.pauses.get(why)
    if (paused !== undefined) {
      if (forMs !== undefined) paused.until = Math.max(paused.until, until)
      return paused
    }
    const pause = { why, message, since: now, until, probed: false, worked: false, vain: 0, through: undefined }
    place.pauses.set(why, pause)
    this.#untold.push({ place: name, why, message, over: false })
    return pause
  }

  /** Ends a pause, unless it has ended. */
  resume(name: string, pause: Pause): void {
    const place = this.place(name)
    if (place.pauses.get(pause.why) === pause) this.#resume(place, pause)
  }

  paused(name: string, pause: Pause): boolean {
    return this.places.get(name)?.pauses.get(pause.why) === pause
  }

  #resume(place: Place, pause: Pause): void {
    place.pauses.delete(pause.why)
    this.#untold.push({ place: place.name, why: pause.why, message: pause.message, over: true })
    this.#changed()
  }

  #triedInVain(pause: Pause, now: number): void {
    pause.vain++
    pause.until = Math.max(pause.until, now + this.#tryAgainMs(pause.vain))
  }

  /** Growing, with jitter. */
  #tryAgainMs(vain: number): number {
    return Math.min(lastTryMs, firstTryMs * 2 ** vain) * (0.75 + this.#random() / 2)
  }

  setCap(name: string, most: number): void {
    const place = this.place(name)
    const raised = most > place.cap
    place.cap = most
    if (raised) this.#changed()
  }

  /** Takes over the time that has passed. */
  look(): void {
    const now = this.now()
    let changed = false
    for (const place of this.places.values()) {
      for (const pause of place.pauses.values()) {
        if (pause.worked && !pause.probed && now >= pause.until) this.#resume(place, pause)
      }
      const { limit } = place
      place.look(now)
      const open = place.open(now)
      if (open && (!place.wasOpen || place.limit > limit)) changed = true
      place.wasOpen = open
    }
    if (changed) this.#changed()
  }

  /** What is still to be told, which the caller tells. */
  takeUntold(): ReadonlyArray<Wait> {
    const untold = this.#untold
    if (untold.length > 0) this.#untold = []
    return untold
  }

  /** Calls back when an answer of `admits` may have changed since the last one; gives what calls that off. */
  onChange(resume: () => void): (() => void) | undefined {
    if (this.#seen !== this.#version) {
      this.#seen = this.#version
      resume()
      return undefined
    }
    this.#waiters.add(resume)
    return () => void this.#waiters.delete(resume)
  }

  #changed(): void {
    this.#version++
    if (this.#waiters.size === 0) return
    this.#seen = this.#version
    const waiters = [...this.#waiters]
    this.#waiters.clear()
    for (const resume of waiters) resume()
  }

  /** Of very many places those are forgotten about which there is nothing to remember. */
  #forget(): void {
    if (this.places.size <= mostPlaces) return
    for (const [name, place] of this.places) {
      if (place.stakes.size === 0 && place.pauses.size === 0 && place.cap === Infinity) this.places.delete(name)
      if (this.places.size <= mostPlaces) return
    }
  }
}

const mostPlaces = 1000

const laneOf = (names: ReadonlyArray<string>): string => (names.length === 1 ? names[0]! : [...names].sort().join(" "))
