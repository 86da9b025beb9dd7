/**
 * How transfers to different places share a bound that holds for all: evenly between lanes, a lane being all transfers
 * of the same places. What a lane does not ask for the others may have.
 */

/** A lane that was turned away longer ago wants nothing any more. */
const waitsMs = 5000

interface Lane {
  running: number
  turnedAwayAt: number
}

export class Shares {
  readonly #bound: number
  readonly #lanes = new Map<string, Lane>()
  #running = 0

  constructor(bound: number) {
    this.#bound = bound
  }

  #lane(name: string): Lane {
    let lane = this.#lanes.get(name)
    if (lane === undefined) {
      lane = { running: 0, turnedAwayAt: -Infinity }
      this.#lanes.set(name, lane)
    }
    return lane
  }

  /** Whether there is room for one more, which is remembered as wanted where there is not. */
  admits(name: string, now: number): boolean {
    if (this.#bound === Infinity) return true
    const lane = this.#lane(name)
    const admitted = this.#running < this.#bound && this.#hasShare(lane, now)
    if (!admitted) lane.turnedAwayAt = now
    return admitted
  }

  #hasShare(lane: Lane, now: number): boolean {
    let live = 1
    let others: Array<Lane> = []
    for (const [name, other] of this.#lanes) {
      if (other === lane) continue
      const waits = now - other.turnedAwayAt < waitsMs
      if (waits) others.push(other)
      if (waits || other.running > 0) live++
      else this.#lanes.delete(name)
    }
    const share = Math.max(1, Math.floor(this.#bound / live))
    if (lane.running < share) return true
    const claimed = others.reduce((sum, { running }) => sum + Math.max(0, share - running), 0)
    return this.#bound - this.#running > claimed
  }

  begin(name: string): void {
    const lane = this.#lane(name)
    lane.running++
    lane.turnedAwayAt = -Infinity
    this.#running++
  }

  end(name: string): void {
    const lane = this.#lanes.get(name)!
    lane.running--
    this.#running--
  }
}
