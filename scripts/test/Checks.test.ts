import { spawnSync } from "node:child_process"
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "headrace-checks-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const write = (name: string, text: string): string => {
  const file = join(folder, name)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  return file
}

const script = (
  name: string,
  args: ReadonlyArray<string>
): { readonly status: number | null; readonly output: string } => {
  const done = spawnSync(process.execPath, [join(import.meta.dirname, "..", name), ...args], { encoding: "utf8" })
  return { status: done.status, output: done.stderr + done.stdout }
}

describe("borders", () => {
  const workspace = (sources: Readonly<Record<string, string>>): void => {
    for (const [name, dependencies] of Object.entries({
      core: {},
      node: { "@headrace/core": "0.0.0", "@headrace/glance": "0.0.0" },
      glance: { "@headrace/core": "0.0.0" }
    })) {
      write(
        `packages/${name}/package.json`,
        JSON.stringify({ name: `@headrace/${name}`, dependencies, peerDependencies: { effect: "4" } })
      )
    }
    for (const [file, text] of Object.entries(sources)) write(`packages/${file}`, text)
  }

  it("nothing to complain about", () => {
    workspace({
      "core/src/Block.ts": `/** import { x } from "node:fs" */\nimport * as Effect from "effect/Effect"\n`,
      "node/src/File.ts": `import { open } from "node:fs"\nimport { block } from "@headrace/core/Block"\n`
    })
    assert.deepStrictEqual(script("borders.mjs", [folder]), { status: 0, output: "borders: 2 modules, 0 problems\n" })
  })

  it.each([
    ["core on a platform", "core/src/A.ts", `import * as fs from "node:fs"\n`, "core imports node:fs"],
    ["core with Buffer", "core/src/A.ts", `export const a = Buffer.from("a")\n`, "core uses Buffer"],
    ["core with process", "core/src/A.ts", `export const a = process.env\n`, "core uses process"],
    [
      "an adapter in core",
      "core/src/A.ts",
      `import {\n  a\n} from "@headrace/node/A"\n`,
      "core imports @headrace/node/A"
    ],
    [
      "an adapter in another",
      "node/src/A.ts",
      `export * from "@headrace/glance/A"\n`,
      "node imports @headrace/glance/A"
    ],
    ["the barrel", "glance/src/A.ts", `import { Effect } from "effect"\n`, "the barrel"],
    ["the barrel in a test", "glance/test/A.ts", `import { Effect } from "effect"\n`, "the barrel"],
    ["an import nobody declared", "glance/src/A.ts", `import yaml from "yaml"\n`, "does not declare"],
    ["a module that imports itself", "core/src/A.ts", `import "./A.ts"\n`, "circle"]
  ])("finds %s", (_name, file, text, problem) => {
    workspace({ [file]: text })
    const { output, status } = script("borders.mjs", [folder])
    assert.strictEqual(status, 1)
    assert.include(output, problem)
  })

  it("finds a circle of modules, but not of types", () => {
    workspace({
      "core/src/A.ts": `import { b } from "./B.ts"\n`,
      "core/src/B.ts": `import { c } from "./C.ts"\n`,
      "core/src/C.ts": `import type { A } from "./A.ts"\n`
    })
    assert.strictEqual(script("borders.mjs", [folder]).status, 0)
    write("packages/core/src/C.ts", `import { a } from "./A.ts"\n`)
    assert.include(script("borders.mjs", [folder]).output, "circle: core/src/A.ts -> core/src/B.ts -> core/src/C.ts")
  })
})

describe("count", () => {
  const report = (...statuses: ReadonlyArray<readonly [status: string, fullName: string]>): string => {
    const assertionResults = statuses.map(([status, fullName]) => ({ status, fullName }))
    const status = statuses.some(([one]) => one === "failed") ? "failed" : "passed"
    return write("report.json", JSON.stringify({ testResults: [{ name: "a.test.ts", status, assertionResults }] }))
  }
  const lastLine = (output: string): string | undefined => output.trim().split("\n").at(-1)

  it("passes when all has passed", () => {
    const { output, status } = script("count.mjs", [report(["passed", "a"], ["passed", "b"])])
    assert.deepStrictEqual([status, output], [0, "2 passed, 0 failed\n"])
  })

  it("takes a skipped test for a failed one, unless it is optional", () => {
    const file = report(["passed", "a"], ["skipped", "b"], ["pending", "c [optional]"])
    const { output, status } = script("count.mjs", [file])
    assert.deepStrictEqual([status, lastLine(output)], [1, "1 passed, 1 failed"])
  })

  it("counts a failed step, the tests' own only when no test tells", () => {
    assert.strictEqual(lastLine(script("count.mjs", [report(["passed", "a"]), "lint"]).output), "1 passed, 1 failed")
    assert.strictEqual(lastLine(script("count.mjs", [report(["passed", "a"]), "tests"]).output), "1 passed, 1 failed")
    assert.strictEqual(lastLine(script("count.mjs", [report(["failed", "a"]), "tests"]).output), "0 passed, 1 failed")
  })

  it("fails without a report, and without a test", () => {
    assert.deepStrictEqual(script("count.mjs", [join(folder, "none.json")]).status, 1)
    assert.deepStrictEqual(script("count.mjs", [report()]).status, 1)
  })
})
