/**
 * What scenarios work with: an adapter's stores for fresh keys, sessions of them, and words for what went wrong.
 */
import { randomUUID } from "node:crypto"
import { type BlockPool, makeUnsafe } from "@headrace/core/BlockPool"
import type { Content, PartsSession, Session, Store } from "@headrace/core/Store"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { difference } from "./bytes.ts"
import { type Address, type Options, type Target, Violation } from "./model.ts"

/** Bytes in a block of the kit's pools: small ones, so that small bodies have several. */
export const blockBytes = 64 * 1024

/** What a step of a session is called when it is told of. */
export type Failure = Effect.Effect<never, Violation>

/** The words of whatever ended an effect. */
export const wordsOf = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause)) as
    | { readonly _tag?: string; readonly reason?: { readonly _tag?: string }; readonly message?: string }
    | undefined
  if (error !== undefined) {
    const reason = error.reason?._tag ?? error._tag
    return `${reason === undefined ? "" : `${reason}: `}${error.message ?? String(error)}`
  }
  if (Cause.hasInterruptsOnly(cause)) return "it was interrupted"
  const defect = Cause.squash(cause)
  return `it died: ${defect instanceof Error ? defect.message : String(defect)}`
}

/** The same object but for some of its members; what it does with `this` stays as it is. */
export const overlay = <A extends object>(object: A, members: Partial<A>): A =>
  new Proxy(object, {
    get: (target, name) => {
      if (Object.hasOwn(members, name)) return Reflect.get(members, name) as unknown
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === "function" ? (value.bind(target) as unknown) : value
    }
  })

export class Lab<R> {
  readonly options: Options<R>
  readonly scenario: string
  readonly see: string
  readonly pool: BlockPool["Service"]
  /** Milliseconds that a step may take. */
  readonly patienceMs: number
  readonly partBytes: number

  constructor(options: Options<R>, scenario: string, see: string) {
    this.options = options
    this.scenario = scenario
    this.see = see
    this.patienceMs = options.patienceMs ?? 5000
    this.partBytes = options.partBytes ?? Math.max(blockBytes, options.capabilities.parts?.minBytes ?? 1)
    this.pool = this.newPool()
  }

  newPool(): BlockPool["Service"] {
    // A part that is collected, and what the engine has besides.
    const blocks = Math.max(64, 3 * Math.ceil(this.partBytes / blockBytes))
    return makeUnsafe({ bytes: blocks * blockBytes, blockBytes })
  }

  get isParts(): boolean {
    return this.options.capabilities.shape === "parts"
  }

  /** Where the service is. */
  get address(): Address | undefined {
    const { service } = this.options
    return service === undefined ? undefined : { host: service.host ?? "127.0.0.1", port: service.port }
  }

  fail(contract: string, found: string, cause?: unknown): Failure {
    return Effect.fail(new Violation({ scenario: this.scenario, contract, found, see: this.see, cause }))
  }

  check(holds: boolean, contract: string, found: string): Effect.Effect<void, Violation> {
    return holds ? Effect.void : this.fail(contract, found)
  }

  /** A step that has to end well, and in time. */
  ok<A, E, R2>(what: string, contract: string, step: Effect.Effect<A, E, R2>, ms = this.patienceMs) {
    return Effect.flatMap(this.within(what, step, ms), (exit) =>
      Exit.isSuccess(exit)
        ? Effect.succeed(exit.value)
        : this.fail(contract, `${what} failed: ${wordsOf(exit.cause)}`, Cause.squash(exit.cause))
    )
  }

  /** A step that has to end in time, however. One that does not even let itself be interrupted is left behind. */
  within<A, E, R2>(
    what: string,
    step: Effect.Effect<A, E, R2>,
    ms = this.patienceMs
  ): Effect.Effect<Exit.Exit<A, E>, Violation, R2> {
    return Effect.gen({ self: this }, function* () {
      const fiber = yield* Effect.forkDetach(Effect.exit(step), { startImmediately: true })
      const wait = Effect.callback<Exit.Exit<A, E> | undefined>((resume) => {
        const timer = setTimeout(() => resume(Effect.succeed(undefined)), ms)
        const stop = fiber.addObserver((exit) => {
          clearTimeout(timer)
          resume(Exit.isSuccess(exit) ? Effect.succeed(exit.value) : Effect.succeed(exit as Exit.Exit<never, never>))
        })
        return Effect.sync(() => {
          clearTimeout(timer)
          stop()
        })
      })
      const exit = yield* Effect.onInterrupt(wait, () => Effect.sync(() => fiber.interruptUnsafe()))
      if (exit !== undefined) return exit
      fiber.interruptUnsafe()
      return yield* this.fail("every step of a session ends, well or not", `${what} has not ended within ${ms} ms`)
    })
  }

  /** A key that nothing has. */
  key(name = "object"): string {
    return `kit-${randomUUID().slice(0, 8)}-${name}`
  }

  store(key: string, address: Address | undefined = this.address): Store<R> {
    return this.options.make({ key, address } satisfies Target)
  }

  content(bytes: Uint8Array, more?: Partial<Content>): Content {
    return { size: bytes.byteLength, head: bytes.slice(0, 64 * 1024), ...more }
  }

  open(key: string, content: Content, address?: Address): Effect.Effect<Session, Violation, R | Scope.Scope> {
    return this.openStore(this.store(key, address ?? this.address), content)
  }

  openStore(store: Store<R>, content: Content): Effect.Effect<Session, Violation, R | Scope.Scope> {
    // Not `within`: what is opened has to be closed with the scope.
    return Effect.catchCause(store.open(content), (cause) =>
      this.fail("a session is opened for every content that the store can take", `open failed: ${wordsOf(cause)}`)
    )
  }

  /** The author's own look at the service. */
  truth(key: string): Effect.Effect<Uint8Array | undefined, Violation, R> {
    return this.asked("truth", this.options.truth(key))
  }

  put(key: string, bytes: Uint8Array): Effect.Effect<unknown, Violation, R> {
    return this.asked("put", this.options.put!(key, bytes))
  }

  asked<A>(what: string, question: Effect.Effect<A, unknown, R>): Effect.Effect<A, Violation, R> {
    return this.ok(`the author's "${what}"`, "the kit can ask the service behind the adapter's back", question)
  }

  /** The bytes at the service have to be these. */
  holds(key: string, bytes: Uint8Array, contract: string): Effect.Effect<void, Violation, R> {
    return Effect.flatMap(this.truth(key), (found) => {
      const wrong = difference(found, bytes)
      return wrong === undefined ? Effect.void : this.fail(contract, wrong)
    })
  }

  /** Nothing is left at the service: no object, and nothing that was made for one. */
  nothing(key: string, contract: string): Effect.Effect<void, Violation, R> {
    return Effect.gen({ self: this }, function* () {
      const found = yield* this.truth(key)
      yield* this.check(found === undefined, contract, `the service holds an object of ${found?.byteLength} bytes`)
      yield* this.noneUnfinished(key, contract)
    })
  }

  noneUnfinished(key: string, contract: string): Effect.Effect<void, Violation, R> {
    const { unfinished } = this.options
    if (unfinished === undefined) return Effect.void
    return Effect.flatMap(this.asked("unfinished", unfinished(key)), (count) =>
      this.check(count === 0, contract, `the service has ${count} unfinished upload${count === 1 ? "" : "s"} of it`)
    )
  }

  /** All memory is back. */
  noBlocks(contract: string, when: string): Effect.Effect<void, Violation> {
    const { inUse } = this.pool.stats()
    return this.check(inUse === 0, contract, `${inUse} blocks are still held ${when}`)
  }
}

/** A session in the shape that was claimed. */
export const asParts = <R>(lab: Lab<R>, session: Session): Effect.Effect<PartsSession, Violation> =>
  session.shape === "parts"
    ? Effect.succeed(session)
    : lab.fail("a session has the shape that its store claims", `it is written as one body, and "parts" was claimed`)
