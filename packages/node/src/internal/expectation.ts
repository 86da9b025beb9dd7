/**
 * How long to wait for `100 Continue` before the body is sent anyway. Asking is the only way to learn a refusal behind
 * some proxies, but uWSGI never sends the 100: so the wait follows what the origin's control calls take, and an origin
 * that has sent one before is trusted to do so again (RFC 9110 §10.1.1). Not for ever: several servers may stand behind
 * one origin, and uWSGI gives a body up that does not begin within 10 s.
 */

const leastMs = 50
const mostMs = 1000
const trustedMs = 5000

/** Small bodies are sent without asking, until there have been so many of them that a kept connection is worth a wait. */
const fewBodies = 3

interface Manner {
  asked: boolean
  /** Small bodies so far. */
  bodies: number
  /** What the last control call took. */
  controlMs: number | undefined
  continues: boolean
  refuses: boolean
}

export class Expectations {
  readonly #manners = new Map<string, Manner>()

  #of(origin: string): Manner {
    const known = this.#manners.get(origin)
    if (known !== undefined) return known
    const manner: Manner = { asked: false, bodies: 0, controlMs: undefined, continues: false, refuses: false }
    this.#manners.set(origin, manner)
    return manner
  }

  controlCall(origin: string, tookMs: number): void {
    this.#of(origin).controlMs = tookMs
  }

  continued(origin: string): void {
    this.#of(origin).continues = true
  }

  /** Whether the origin has answered 100 to the last request that asked for it. */
  trusts(origin: string): boolean {
    return this.#of(origin).continues
  }

  /** Said when the wait was in vain. */
  unanswered(origin: string): void {
    this.#of(origin).continues = false
  }

  /** Whether to ask for a small body, once: an origin that answers 100 takes the next ones on kept connections. */
  isWorthAsking(origin: string): boolean {
    const manner = this.#of(origin)
    return !manner.asked && !manner.continues && ++manner.bodies > fewBodies
  }

  asks(origin: string): void {
    this.#of(origin).asked = true
  }

  /** Said of an origin that answers 417: it is not asked again. */
  refused(origin: string): void {
    this.#of(origin).refuses = true
  }

  isRefused(origin: string): boolean {
    return this.#of(origin).refuses
  }

  /** On a kept connection silence says first of all that it is dead. */
  waitMs(origin: string, stallMs: number, kept: boolean): number {
    const { continues, controlMs } = this.#of(origin)
    if (continues) return Math.min(kept ? mostMs : trustedMs, stallMs)
    return controlMs === undefined ? mostMs : Math.min(mostMs, Math.max(leastMs, 4 * controlMs))
  }
}
