/**
 * What an author tells the kit of an adapter, and what the kit gives back.
 */
import type { Capabilities, Store } from "@headrace/core/Store"
import type * as Effect from "effect/Effect"

/** Where a service listens: its own address, or that of a proxy in front of it. */
export interface Address {
  readonly host: string
  readonly port: number
}

/** The object that a store is made for. */
export interface Target {
  /** A name that nothing else has; an object of that name may be there already. */
  readonly key: string
  /** Where to reach the service; `undefined` where the author has named none. */
  readonly address: Address | undefined
}

/**
 * A request, as far as a proxy can tell it from others.
 */
export interface Request {
  readonly method: string
  /** With the query. */
  readonly path: string
}

/**
 * A service that the kit may put a proxy in front of, to break what is on the wire. It speaks plain HTTP.
 */
export interface Service {
  readonly host?: string
  readonly port: number
  /** Which requests carry bytes of an object; those with a body of 32 KiB or more, unless said. */
  readonly isBody?: (request: Request) => boolean
  /** Which request makes the object of its parts; without it the loss of its answer is not tried. */
  readonly isFinish?: (request: Request) => boolean
  /** Which requests make something in `begin`; without it the loss of their answers is not tried. */
  readonly isBegin?: (request: Request) => boolean
}

/** What an author tells of an adapter. `R` is what its stores need. */
export interface Options<R = never> {
  /** What the stores claim to be able to do. Decides which scenarios are run, and is compared with what they say. */
  readonly capabilities: Pick<Capabilities, "shape"> & Partial<Capabilities>
  /** Makes the store of one object. */
  readonly make: (target: Target) => Store<R>
  /** The object's bytes, asked of the service behind the adapter's back; `undefined` where there is none. */
  readonly truth: (key: string) => Effect.Effect<Uint8Array | undefined, unknown, R>
  /** Makes an object behind the adapter's back, in the place of what is there, as another client of the service does. */
  readonly put?: (key: string, bytes: Uint8Array) => Effect.Effect<unknown, unknown, R>
  /** How many things the service has for a key besides its object: uploads not finished, partial files, records. */
  readonly unfinished?: (key: string) => Effect.Effect<number, unknown, R>
  /** The service, where bytes go over the wire to it. */
  readonly service?: Service
  /** Makes the credentials that the stores have by now invalid. They must be able to get new ones. */
  readonly expireCredentials?: Effect.Effect<unknown, unknown, R>
  /** What may never be told: passwords, tokens, queries of URLs. */
  readonly secrets?: ReadonlyArray<string>
  /** Names that objects may have, odd ones among them; each is made unique by what is put in front of it. */
  readonly keys?: ReadonlyArray<string>
  /** Bytes of each part but the last (64 KiB, or the least that the claimed limits allow). */
  readonly partBytes?: number
  /** Scenarios that the adapter is known not to pass, by name, each with the reason. */
  readonly except?: Readonly<Record<string, string>>
  /** Decides what is random (1). */
  readonly seed?: number
  /** Milliseconds that any one step may take before the kit calls it hung (5,000). */
  readonly patienceMs?: number
}

/** One thing that the contract says, and the adapter is tried for. `run` fails with a `Violation`. */
export interface Scenario<R = never> {
  readonly name: string
  readonly run: Effect.Effect<void, Violation, R>
}

/** A scenario that was not chosen, and why. */
export interface Unchecked {
  readonly name: string
  readonly why: string
}

/**
 * What an adapter did against the contract. The message says what the contract is, what happened, and where to read more.
 */
export class Violation extends Error {
  override readonly name = "Violation"
  readonly scenario: string
  readonly contract: string
  readonly found: string
  readonly see: string

  constructor(options: { scenario: string; contract: string; found: string; see: string; cause?: unknown }) {
    const { cause, contract, found, scenario, see } = options
    super(`${contract}\n  but ${found}\n  (${scenario}; read ${see})`, cause === undefined ? undefined : { cause })
    this.scenario = scenario
    this.contract = contract
    this.found = found
    this.see = see
  }
}
