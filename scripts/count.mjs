/**
 * Reads vitest's JSON report and prints `N passed, N failed`. A skipped test counts as failed, unless its name says
 * `[optional]`: the machine of a checker has everything that the tests may ask for. So does a file that could not be loaded,
 * and so does each other step that is named:
 *
 *     node scripts/count.mjs REPORT.json [FAILED-STEP…]
 */
import fs from "node:fs"

const [report, ...named] = process.argv.slice(2)

const read = () => {
  try {
    return JSON.parse(fs.readFileSync(report, "utf8")).testResults
  } catch {
    return undefined
  }
}

const results = read()
const tests = (results ?? []).flatMap(({ assertionResults, name }) =>
  assertionResults.map((test) => ({ ...test, file: name }))
)
const passed = tests.filter(({ status }) => status === "passed")
const failed = tests.filter(
  ({ fullName, status }) => status !== "passed" && !(status !== "failed" && fullName.includes("[optional]"))
)
const unloaded = (results ?? []).filter(
  ({ assertionResults, status }) => status === "failed" && !assertionResults.some((test) => test.status === "failed")
)

// that the tests failed is in the report already, one by one
const told = failed.length + unloaded.length > 0 || results === undefined
const steps = named.filter((step) => step !== "tests" || !told)

for (const { file, fullName, status } of failed)
  if (status !== "failed") console.error(`${status}: ${fullName} (${file})`)
for (const { name } of unloaded) console.error(`failed as a whole: ${name}`)
for (const step of steps) console.error(`failed: ${step}`)
if (results === undefined) console.error("the tests left no report")

const count = failed.length + unloaded.length + steps.length + (results === undefined ? 1 : 0)
console.log(`${passed.length} passed, ${count} failed`)
process.exitCode = count === 0 && passed.length > 0 ? 0 : 1
