/**
 * How transfers share a bound, that of a place or that of all: evenly between lanes, a lane being all transfers of the
 * same places. What a lane does not ask for the others may have.
 */

/** A lane that was turned away longer ago wants nothing any more. */
const waitsMs = 5000

interface Lane {
  running: number
  turnedAwayAt: number
}

export class Shares {
  readonly #lanes = new Map<string, Lane>()
  #running = 0

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { running: 0, turnedAwayAt: -Infinity }
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
    const waiting: Array<Lane> = []
    let live = 1
    for (const [other, it] of this.#lanes) {
      if (it === lane) continue
      const waits = now - it.turnedAwayAt < waitsMs
      if (waits) waiting.push(it)
      if (waits || it.running > 0) live++
      else this.#lanes.delete(other)
    }
    const share = Math.max(1, Math.floor(bound / live))
    const free = bound - this.#running
    if (lane.running < share) return free > 0 ? "yes" : "others"
    const claimed = waiting.reduce((sum, { running }) => sum + Math.max(0, share - running), 0)
    return free > claimed ? "yes" : "own"
  }

  /** Remembers that the lane wants more than it has. */
  turnAway(name: string, now: number): void {
    this.#lane(name).turnedAwayAt = now
  }

  begin(name: string): void {
    const lane = this.#lane(name)
    lane.running++
    lane.turnedAwayAt = -Infinity
    this.#running++
  }

  end(name: string): void {
    this.#lane(name).running--
    this.#running--
  }
}
