/**
 * `npm test`: brings what is missing, builds and type-checks everything, starts real services (see testbed/README.md) and
 * runs the tests; `npm test -- ARGS…` passes arguments on to vitest.
 */
import path from "node:path"
import { become } from "./become.mjs"
import { brought, root } from "./bring.mjs"
import { fail } from "./child.mjs"
import { environment, prepare } from "./prepare.mjs"

try {
  await prepare(".")
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs")
  const env = { ...environment(), HEADRACE_REAL: process.env.HEADRACE_REAL ?? "auto" }
  become(brought.node, [vitest, "run", ...process.argv.slice(2)], { cwd: root, env })
} catch (error) {
  fail(error)
}
