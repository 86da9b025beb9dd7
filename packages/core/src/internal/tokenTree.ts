/**
 * A tree of token buckets, without effects: the caller says what time it is and sleeps until the next grant.
 *
 * Bytes are granted a quantum at a time, to the party (a child, or a node's own line of waiters) that has had the
 * least for its weight: start-time fair queueing at each level. A grant is taken from every bucket on its way up.
 */
import type { Rate } from "../Rate.ts"

/** What a bucket may save up while nobody takes, or while a timer sleeps too long: this many ms at its rate. */
const burstMs = 50

/** Waiters are looked at no later than this, in ms: well before a bucket is full. */
const tickMs = 20

/** The most that one party gets before the next has its turn, in bytes. */
const quantum = 16 * 1024

/** What sums of fractions may lack of a whole byte. */
const slack = 1e-6

export interface Waiter {
  /** Bytes that are still to be granted. */
  left: number
  granted: number
  readonly onGranted: () => void
}

/** What all nodes of a tree share. */
interface Tree {
  /** Monotonic, in ms. */
  now: number
  /** Number of the current dispatch: a party found empty-handed is not asked again in it. */
  epoch: number
  /** How many wait in the whole tree. */
  waiting: number
  /** Who has got all since the dispatch began. */
  served: Waiter | undefined
}

interface Party {
  readonly weight: number
  /** Bytes for its weight that it has had, and will not have a turn before others that had less. */
  pass: number
  emptyHanded: number
  /** Grants up to `limit` bytes to one waiter, and says how many. */
  readonly serve: (limit: number) => number
}

export class TokenNode implements Party {
  readonly weight: number
  pass = 0
  emptyHanded = -1
  readonly #tree: Tree
  readonly #parent: TokenNode | undefined
  /** This node and all above it, upwards. */
  readonly #path: ReadonlyArray<TokenNode>
  /** Parties that have waiters. */
  readonly #active = new Set<Party>()
  readonly #queue: Array<Waiter> = []
  readonly #line: Party
  /** Bytes per ms; infinite when off. */
  #rate: number
  #tokens = 0
  /** Bytes taken since the limit was last set: more than these cannot be given back. */
  #taken = 0
  #filledAt = 0
  /** The pass of the party served last: who comes anew starts there, and has no claim for the time before. */
  #virtual = 0

  constructor(parent: TokenNode | undefined, rate: Rate, weight: number, now: number) {
    this.#parent = parent
    this.#path = parent === undefined ? [this] : [this, ...parent.#path]
    this.#tree = parent === undefined ? { now, epoch: 0, waiting: 0, served: undefined } : parent.#tree
    this.#rate = perMs(rate)
    this.weight = weight
    this.#filledAt = now
    this.#line = {
      weight: 1,
      pass: 0,
      emptyHanded: -1,
      serve: (limit) => this.#serveLine(limit)
    }
  }

  /** The node's own limit. */
  get rate(): Rate {
    return this.#rate === Infinity ? "off" : this.#rate * 1000
  }

  /** Whether neither the node nor any above it has a limit. */
  get free(): boolean {
    for (const node of this.#path) if (node.#rate !== Infinity) return false
    return true
  }

  /** Bytes per second that a taker here may expect among those that wait now. */
  get share(): number {
    return this.#shareOf(this.#line)
  }

  setRate(rate: Rate, now: number): void {
    this.#tree.now = now
    this.#fill()
    const next = perMs(rate)
    if (next === this.#rate) return
    // What was saved at a higher rate would be a burst at a lower one.
    this.#tokens = next === Infinity ? 0 : Math.min(this.#tokens, capacity(next))
    this.#taken = 0
    this.#rate = next
  }

  /** Takes bytes at once if nobody waits and all buckets have them. */
  takeNow(bytes: number, now: number): boolean {
    if (this.#tree.waiting > 0) return false
    this.#tree.now = now
    for (const node of this.#path) {
      if (node.#room() < bytes) return false
    }
    let party: Party = this.#line
    for (const node of this.#path) {
      party.pass = Math.max(party.pass, node.#virtual)
      node.#charge(party, bytes)
      party = node
    }
    return true
  }

  enqueue(waiter: Waiter): void {
    this.#tree.waiting++
    this.#queue.push(waiter)
    this.#activate(this.#line)
  }

  /** Takes a waiter out of the line; what it had been granted goes back. */
  cancel(waiter: Waiter, now: number): void {
    const index = this.#queue.indexOf(waiter)
    if (index >= 0) {
      this.#tree.waiting--
      this.#queue.splice(index, 1)
      if (this.#queue.length === 0) this.#deactivate(this.#line)
    }
    this.giveBack(waiter.granted, now)
    waiter.granted = 0
  }

  giveBack(bytes: number, now: number): void {
    this.#tree.now = now
    let party: Party = this.#line
    for (const node of this.#path) {
      node.#fill()
      party.pass -= bytes / party.weight
      const back = Math.min(bytes, node.#taken)
      node.#taken -= back
      node.#tokens += back
      party = node
    }
  }

  /**
   * Grants what the buckets have, over the whole tree, until a waiter has all that it asked for: that one is returned,
   * and may come back for more before the others get the rest. `undefined` when the buckets are empty.
   */
  dispatch(now: number): Waiter | undefined {
    const root = this.#root()
    this.#tree.now = now
    this.#tree.epoch++
    this.#tree.served = undefined
    while (this.#tree.served === undefined && root.serve(quantum) > 0);
    return this.#tree.served
  }

  /** Milliseconds after which to dispatch again; `undefined` when nobody waits. */
  get delay(): number | undefined {
    if (this.#tree.waiting === 0) return undefined
    return Math.max(1, Math.min(tickMs, Math.ceil(this.#root().#soonest() - slack)))
  }

  serve(limit: number): number {
    const room = Math.min(limit, this.#room())
    if (room < 1) return 0
    while (true) {
      let next: Party | undefined
      for (const party of this.#active) {
        if (party.emptyHanded === this.#tree.epoch) continue
        if (next === undefined || party.pass < next.pass) next = party
      }
      if (next === undefined) return 0
      const bytes = next.serve(room)
      if (bytes > 0) {
        this.#charge(next, bytes)
        return bytes
      }
      next.emptyHanded = this.#tree.epoch
    }
  }

  #serveLine(limit: number): number {
    const waiter = this.#queue[0]
    if (waiter === undefined) return 0
    const bytes = Math.min(limit, waiter.left)
    waiter.left -= bytes
    waiter.granted += bytes
    if (waiter.left === 0) {
      this.#queue.shift()
      this.#tree.waiting--
      this.#tree.served = waiter
      if (this.#queue.length === 0) this.#deactivate(this.#line)
    }
    return bytes
  }

  #charge(party: Party, bytes: number): void {
    this.#virtual = Math.max(this.#virtual, party.pass)
    party.pass += bytes / party.weight
    if (this.#rate === Infinity) return
    this.#tokens -= bytes
    this.#taken += bytes
  }

  #activate(party: Party): void {
    if (this.#active.has(party)) return
    party.pass = Math.max(party.pass, this.#virtual)
    this.#active.add(party)
    if (this.#parent !== undefined) this.#parent.#activate(this)
  }

  #deactivate(party: Party): void {
    this.#active.delete(party)
    if (this.#active.size === 0 && this.#parent !== undefined) this.#parent.#deactivate(this)
  }

  #fill(): void {
    const passed = this.#tree.now - this.#filledAt
    if (passed <= 0) return
    this.#filledAt = this.#tree.now
    if (this.#rate === Infinity) return
    // What was given back may stand above the capacity; time adds nothing to it then, and takes nothing away.
    this.#tokens = Math.max(this.#tokens, Math.min(capacity(this.#rate), this.#tokens + passed * this.#rate))
  }

  /** Whole bytes in the bucket. */
  #room(): number {
    this.#fill()
    return this.#rate === Infinity ? Infinity : Math.floor(this.#tokens + slack)
  }

  /** Milliseconds until one of the waiters below could have all, were it alone. */
  #soonest(): number {
    let soonest = Infinity
    const waiter = this.#queue[0]
    if (waiter !== undefined) {
      let ms = 0
      for (const node of this.#path) {
        if (node.#rate !== Infinity) ms = Math.max(ms, (waiter.left - node.#tokens) / node.#rate)
      }
      soonest = ms
    }
    for (const party of this.#active) {
      if (party instanceof TokenNode) soonest = Math.min(soonest, party.#soonest())
    }
    return soonest
  }

  #shareOf(party: Party): number {
    const above = this.#parent === undefined ? Infinity : this.#parent.#shareOf(this)
    let weights = party.weight
    for (const other of this.#active) if (other !== party) weights += other.weight
    return (Math.min(above, this.#rate * 1000) * party.weight) / weights
  }

  #root(): TokenNode {
    return this.#path[this.#path.length - 1]!
  }
}

const perMs = (rate: Rate): number => (rate === "off" ? Infinity : rate / 1000)

/** A bucket holds at least one byte, or nothing would ever pass. */
const capacity = (rate: number): number => Math.max(1, rate * burstMs)
