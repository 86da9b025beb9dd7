/**
 * How transfers share a bound, that of a place or that of all: evenly between lanes, a lane being all transfers of the
 * same places. What a lane does not ask for the others may have.
 */

/** For so long the next free room is kept for a lane that was turned away, and for one of whose transfers one has ended. */
const turnedAwayMs = 5000
const endedMs = 1000

interface Lane {
  running: number
  wantsUntil: number
}

export class Shares {
  readonly #lanes = new Map<string, Lane>()
  #running = 0

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { running: 0, wantsUntil: -Infinity }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  /**
   * Whether there is room for one more below `bound`, or who has it: the lane itself, with its share of all, or the
   * `others`.
   */
  room(name: string, bound: number, now: number): "yes" | "own" | "others" {
    if (bound === Infinity) return "yes"
    const lane = this.#lane(name)
    const wanting: Array<Lane> = []
    let live = 1
    for (const [other, it] of this.#lanes) {
      if (it === lane) continue
      const wants = now < it.wantsUntil
      if (wants) wanting.push(it)
      if (wants || it.running > 0) live++
      else this.#lanes.delete(other)
    }
    const share = Math.max(1, Math.floor(bound / live))
    const free = bound - this.#running
    if (lane.running < share) return free > 0 ? "yes" : "others"
    return free > wanting.filter(({ running }) => running < share).length ? "yes" : "own"
  }

  /** Remembers that the lane wants more than it has. */
  turnAway(name: string, now: number): void {
    this.#lane(name).wantsUntil = now + turnedAwayMs
  }

  begin(name: string): void {
    const lane = this.#lane(name)
    lane.running++
    lane.wantsUntil = -Infinity
    this.#running++
  }

  end(name: string, now: number): void {
    const lane = this.#lane(name)
    lane.running--
    lane.wantsUntil = Math.max(lane.wantsUntil, now + endedMs)
    this.#running--
  }
}
