/** The kit catches adapters that are broken, each by the scenario that is meant for it. */
import * as Conformance from "@headrace/testkit/Conformance"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { assert, describe, it } from "vitest"
import { type Broken, credentials, inMemory, withToken } from "./support/broken.ts"
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

/** Scenarios that take a second, and are tried with what is meant for them. */
const slow = new Set([
  "leaves nothing of transfers that are interrupted at random moments",
  "keeps to a limit on the rate",
  "goes on after kill -9 at each write to the journal",
  "takes no more of a body than it sends",
  "uses no memory that it has given back"
])

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

describe("a store whose token ends", () => {
  for (const renews of [true, false]) {
    it(renews ? "passes when it gets a new one" : "is caught when it does not", async () => {
      const { breaks, expireCredentials } = withToken(renews)
      const options = { ...memory("parts", breaks).options, expireCredentials }
      const found = await said(Conformance.scenarios(options).filter(({ name }) => name === credentials))
      if (renews) assert.deepStrictEqual([...found.keys()], [])
      else caught(found, { caughtBy: credentials, says: /but it failed with Unauthorized: the token has ended/ })
    })
  }
})

describe.concurrent("an adapter that", () => {
  for (const broken of inMemory) {
    it(`${broken.fault} is caught`, async () => {
      const { options } = memory(broken.shape, broken.breaks)
      const tried = Conformance.scenarios(options).filter(
        ({ name }) => name === broken.caughtBy || !(broken.alone || slow.has(name))
      )
      caught(await said(tried), broken)
    })
  }
})
