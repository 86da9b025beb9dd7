/**
 * Counts by name: as many names as stay readable, and what comes beyond is counted together.
 */

/** Names of reasons that are told apart; there are 25. */
const mostReasons = 100

/** Reasons as numbers that fit into a byte. */
export class Reasons {
  readonly #names: Array<string> = [""]
  readonly #indexes = new Map<string, number>([["", 0]])

  indexOf(reason: string): number {
    const known = this.#indexes.get(reason)
    if (known !== undefined) return known
    if (this.#names.length >= mostReasons && reason !== "other") return this.indexOf("other")
    this.#indexes.set(reason, this.#names.length)
    return this.#names.push(reason) - 1
  }

  nameOf(index: number): string {
    return this.#names[index]!
  }
}

export interface Count {
  readonly reason: string
  readonly count: number
}

/** Numbers by an index of `Reasons`. */
export class Counts {
  readonly #reasons: Reasons
  readonly #counts: Array<number> = []

  constructor(reasons: Reasons) {
    this.#reasons = reasons
  }

  add(index: number, count: number): void {
    this.#counts[index] = (this.#counts[index] ?? 0) + count
  }

  /** Those that are not 0, the most frequent first. */
  sorted(): ReadonlyArray<Count> {
    return [...this.#counts.entries()]
      .flatMap(([index, count = 0]) => (count > 0 ? [{ reason: this.#reasons.nameOf(index), count }] : []))
      .sort((a, b) => b.count - a.count || (a.reason < b.reason ? -1 : 1))
  }
}
