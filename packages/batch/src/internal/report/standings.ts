/**
 * How each line stood by its latest receipt: what a later receipt of the same line takes the place of. Of a line it keeps a
 * few bytes, in the place of its id 64 bits that are made of it, and of so many lines at most that the memory has a bound.
 */

/** How a line stood. */
export interface Stood {
  /** An index that says how. */
  readonly standing: number
  /** An index that says why. */
  readonly reason: number
  /** Destinations that had not succeeded: of all, and of those on best effort; 255 stands for more as well. */
  readonly bad: number
  readonly also: number
}

const firstSlots = 4096
const mostSlots = 2 ** 22
const fullest = 0.75

/** Of so many lines it is known how they stood. */
export const mostLines = mostSlots * fullest

/** Two halves of 32 bits each (cyrb53's rounds). */
const hashOf = (id: string): readonly [high: number, low: number] => {
  let high = 0xdeadbeef
  let low = 0x41c6ce57
  for (let at = 0; at < id.length; at++) {
    const code = id.charCodeAt(at)
    high = Math.imul(high ^ code, 2654435761)
    low = Math.imul(low ^ code, 1597334677)
  }
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909)
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909)
  return [high >>> 0, low >>> 0]
}

export class Standings {
  #slots = firstSlots
  #used = 0
  #high = new Uint32Array(firstSlots)
  #low = new Uint32Array(firstSlots)
  /** Four bytes of a slot: how it stood, from 1 (0: the slot is free), why, and how many were bad. */
  #stood = new Uint8Array(4 * firstSlots)

  /**
   * Notes how a line stands, and gives how it stood before: `undefined` of one that is new, `"full"` where there is no
   * room to note it.
   */
  swap(id: string, now: Stood): Stood | undefined | "full" {
    const [high, low] = hashOf(id)
    const slot = this.#find(high, low)
    const at = 4 * slot
    let before: Stood | undefined
    if (this.#stood[at] === 0) {
      if (this.#used >= this.#slots * fullest) {
        if (this.#slots >= mostSlots) return "full"
        this.#grow()
        return this.swap(id, now)
      }
      this.#used++
      this.#high[slot] = high
      this.#low[slot] = low
    } else {
      const [standing, reason, bad, also] = this.#stood.subarray(at, at + 4)
      before = { standing: standing! - 1, reason: reason!, bad: bad!, also: also! }
    }
    this.#stood[at] = now.standing + 1
    this.#stood[at + 1] = now.reason
    this.#stood[at + 2] = Math.min(255, now.bad)
    this.#stood[at + 3] = Math.min(255, now.also)
    return before
  }

  #find(high: number, low: number): number {
    const mask = this.#slots - 1
    let slot = low & mask
    while (this.#stood[4 * slot] !== 0 && (this.#low[slot] !== low || this.#high[slot] !== high)) {
      slot = (slot + 1) & mask
    }
    return slot
  }

  #grow(): void {
    const [high, low, stood, slots] = [this.#high, this.#low, this.#stood, this.#slots]
    this.#slots = 2 * slots
    this.#high = new Uint32Array(this.#slots)
    this.#low = new Uint32Array(this.#slots)
    this.#stood = new Uint8Array(4 * this.#slots)
    for (let slot = 0; slot < slots; slot++) {
      if (stood[4 * slot] === 0) continue
      const to = this.#find(high[slot]!, low[slot]!)
      this.#high[to] = high[slot]!
      this.#low[to] = low[slot]!
      this.#stood.set(stood.subarray(4 * slot, 4 * slot + 4), 4 * to)
    }
  }
}
