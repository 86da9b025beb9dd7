/** The store in memory passes the kit, in both shapes. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Conformance from "@headrace/testkit/Conformance"
import { assert, describe, it } from "vitest"
import { memory } from "./support/memory.ts"

Conformance.suite("MemoryStore, whole", Layer.empty, memory("whole").options)
Conformance.suite("MemoryStore, parts", Layer.empty, memory("parts").options)

describe("the kit", () => {
  it("chooses scenarios by what is claimed, and says what it has not checked, and why", () => {
    const { options } = memory("whole")
    const chosen = Conformance.scenarios(options).map(({ name }) => name)
    const others = Conformance.unchecked(options)
    assert.sameMembers([...chosen, ...others.map(({ name }) => name)], [...Conformance.names])
    assert.strictEqual(new Set(Conformance.names).size, Conformance.names.length)
    assert.include(chosen, "takes bodies of every size")
    const why = (name: string) => others.find((other) => other.name === name)?.why
    assert.strictEqual(why("finishes twice without harm"), "the objects are written as one body")
    assert.strictEqual(why("goes on after a silence"), 'the author gives no "service"')
  })

  it("leaves out what is excepted, with its reason, and no more than there is", () => {
    const { options } = memory("whole")
    const except = { "counts each byte once": "it counts none" }
    assert.deepInclude(Conformance.unchecked({ ...options, except }), {
      name: "counts each byte once",
      why: "it counts none"
    })
    const strange = { ...options, except: { "counts each byte twice": "" } }
    assert.throws(() => Conformance.scenarios(strange), 'except" names "counts each byte twice"')
  })

  it("runs with any runner, and says when there is none", async () => {
    const tests: Array<{ name: string; test: () => Promise<void> }> = []
    let end: (() => Promise<void>) | undefined
    const layer = Layer.effectDiscard(
      Effect.acquireRelease(
        Effect.sync(() => log.push("built")),
        () => Effect.sync(() => log.push("closed"))
      )
    )
    const log: Array<string> = []
    Conformance.suite("mine", layer, memory("parts").options, {
      describe: (name, register) => {
        log.push(name)
        register()
      },
      it: (name, test) => tests.push({ name, test }),
      afterAll: (close) => {
        end = close
      }
    })
    for (const { name, test } of tests.slice(0, 2)) {
      await test()
      log.push(name)
    }
    await end!()
    assert.deepStrictEqual(log, ["mine", "built", "says what it can do", "takes bodies of every size", "closed"])
  })
})
