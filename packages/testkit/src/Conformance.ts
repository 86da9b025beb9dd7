/**
 * Tells an adapter's author in words what is wrong with it: scenarios, chosen by what the store claims to be able to do,
 * each of which tries one promise of the contract (`@headrace/core/Store`) against the real service.
 *
 * `suite` registers them as tests of vitest, or of whatever has `describe` and `it`; `scenarios` gives them as effects, to
 * be run by anything. docs/conformance.md has a complete example.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Bodies from "./internal/conformance/bodies.ts"
import * as Digests from "./internal/conformance/digests.ts"
import type { Draft } from "./internal/conformance/draft.ts"
import * as Interruption from "./internal/conformance/interruption.ts"
import { Lab, wordsOf } from "./internal/conformance/lab.ts"
import * as Memory from "./internal/conformance/memory.ts"
import { type Options, type Scenario, type Unchecked, Violation } from "./internal/conformance/model.ts"
import * as Objects from "./internal/conformance/objects.ts"
import * as Parts from "./internal/conformance/parts.ts"
import * as Resuming from "./internal/conformance/resuming.ts"
import * as Running from "./internal/conformance/running.ts"
import * as Trouble from "./internal/conformance/trouble.ts"
import * as Wire from "./internal/conformance/wire.ts"

export type {
  /**
   * @since 0.1.0
   * @category models
   */
  Address,
  /**
   * @since 0.1.0
   * @category models
   */
  Options,
  /**
   * @since 0.1.0
   * @category models
   */
  Request,
  /**
   * @since 0.1.0
   * @category models
   */
  Scenario,
  /**
   * @since 0.1.0
   * @category models
   */
  Service,
  /**
   * @since 0.1.0
   * @category models
   */
  Target,
  /**
   * @since 0.1.0
   * @category models
   */
  Unchecked
} from "./internal/conformance/model.ts"

export {
  /**
   * @since 0.1.0
   * @category errors
   */
  Violation
}

const drafts: ReadonlyArray<Draft> = [
  ...Bodies.all,
  ...Digests.all,
  ...Memory.all,
  ...Objects.all,
  ...Interruption.all,
  ...Parts.all,
  ...Resuming.all,
  ...Running.all,
  ...Wire.all,
  ...Trouble.all
]

/**
 * The names of all scenarios, in their order.
 *
 * @since 0.1.0
 * @category scenarios
 */
export const names: ReadonlyArray<string> = drafts.map(({ name }) => name)

const whyNot = <R>(draft: Draft, options: Options<R>): string | undefined =>
  draft.needs.map((need) => need(options)).find((why) => why !== undefined) ?? options.except?.[draft.name]

const checked = <R>(options: Options<R>): Options<R> => {
  const strange = Object.keys(options.except ?? {}).find((name) => !names.includes(name))
  if (strange !== undefined) throw new TypeError(`"except" names "${strange}", and there is no such scenario`)
  return options
}

/** A scenario that dies has found something too. */
const run = <R>({ name, run, see }: Draft, options: Options<R>): Effect.Effect<void, Violation, R> =>
  Effect.scoped(Effect.suspend(() => run(new Lab<R>(options, name, see)))).pipe(
    Effect.catchDefect((defect) => {
      const found = defect instanceof Error ? (defect.stack ?? defect.message) : String(defect)
      const contract = "a store fails with errors, and does not throw"
      return Effect.fail(new Violation({ scenario: name, contract, found: `it died: ${found}`, see, cause: defect }))
    })
  ) as Effect.Effect<void, Violation, R>

/**
 * The scenarios for an adapter. Each is run by itself, in any order, and beside others. Throws a `TypeError` where `except`
 * names none.
 *
 * @since 0.1.0
 * @category scenarios
 */
export const scenarios = <R = never>(options: Options<R>): ReadonlyArray<Scenario<R>> =>
  drafts
    .filter((draft) => whyNot(draft, checked(options)) === undefined)
    .map((draft) => ({ name: draft.name, run: run(draft, options) }))

/**
 * The scenarios that are not for an adapter, and why: what it does not claim, what its author has not given, what is
 * excepted.
 *
 * @since 0.1.0
 * @category scenarios
 */
export const unchecked = <R = never>(options: Options<R>): ReadonlyArray<Unchecked> =>
  drafts.flatMap((draft) => {
    const why = whyNot(draft, checked(options))
    return why === undefined ? [] : [{ name: draft.name, why }]
  })

/**
 * What tests are registered with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Runner {
  readonly describe: (name: string, register: () => void) => unknown
  /** The third argument is the time that it may take, in milliseconds. */
  readonly it: (name: string, test: () => Promise<void>, timeoutMs: number) => unknown
  readonly afterAll: (end: () => Promise<void>) => unknown
}

/** Milliseconds that a scenario may take. */
const timeoutMs = 120_000

// Vitest sets this where it runs tests. A child of such a process has it too, and perhaps no vitest.
const vitest: Runner | undefined =
  process.env["VITEST"] === undefined ? undefined : await import("vitest").catch(() => undefined)

/**
 * Registers a test for each scenario. The layer is built once, before the first, and closed after the last; `runner` is
 * vitest unless said.
 *
 * @since 0.1.0
 * @category tests
 */
export const suite = <R = never, E = never>(
  name: string,
  layer: Layer.Layer<R, E>,
  options: Options<R>,
  runner: Runner | undefined = vitest
): void => {
  if (runner === undefined) throw new TypeError("there is no vitest here: give suite a runner, or run scenarios")
  runner.describe(name, () => {
    const runtime = ManagedRuntime.make(layer)
    runner.afterAll(() => runtime.dispose())
    for (const scenario of scenarios(options)) {
      runner.it(
        scenario.name,
        async () => {
          const exit = await runtime.runPromiseExit(scenario.run)
          if (Exit.isSuccess(exit)) return
          const violation = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
          if (!(violation instanceof Violation)) throw new Error(wordsOf(exit.cause))
          // Where the kit has found it says nothing of where it is.
          violation.stack = `${violation.name}: ${violation.message}`
          throw violation
        },
        timeoutMs
      )
    }
  })
}
