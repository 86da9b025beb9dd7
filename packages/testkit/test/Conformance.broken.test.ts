/** The kit catches adapters that are broken, each by the scenario that is meant for it. */
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import { type Broken, inMemory } from "./support/broken.ts"
import { memory } from "./support/memory.ts"

/** What the kit says of an adapter, by scenario. */
const said = async (scenarios: ReadonlyArray<Conformance.Scenario>) => {
  const results = await Effect.runPromise(
    Effect.forEach(scenarios, (scenario) => Effect.result(scenario.run), { concurrency: 8 })
  )
  return new Map(
    scenarios.flatMap(({ name }, index) => {
      const result = results[index]!
      return Result.isFailure(result) ? [[name, result.failure] as const] : []
    })
  )
}

const caught = (
  found: ReadonlyMap<string, Conformance.Violation>,
  { caughtBy, says }: Pick<Broken, "caughtBy" | "says">
) => {
  const violation = found.get(caughtBy)
  assert.isDefined(violation, `it is caught by ${[...found.keys()].join(", ") || "none"}`)
  assert.match(violation!.message, says)
  assert.strictEqual(violation!.scenario, caughtBy)
  assert.match(violation!.see, /\.(ts|md)/)
}

describe.concurrent("an adapter that", () => {
  for (const broken of inMemory) {
    it(`${broken.fault} is caught`, async () => {
      const { options } = memory(broken.shape, broken.breaks)
      const all = Conformance.scenarios(options)
      caught(await said(broken.alone ? all.filter(({ name }) => name === broken.caughtBy) : all), broken)
    })
  }
})
