/**
 * `npm run clouds`: brings what is missing, builds, and starts two clouds to try a migration between.
 */
import path from "node:path"
import { become } from "./become.mjs"
import { brought, root } from "./bring.mjs"
import { fail } from "./child.mjs"
import { prepare } from "./prepare.mjs"

try {
  await prepare("apps/demo")
  // npm runs this in the checkout, but the clouds are wanted where it was typed
  const cwd = process.env.INIT_CWD ?? process.cwd()
  become(brought.node, [path.join(root, "apps", "demo", "dist", "clouds.js")], { cwd })
} catch (error) {
  fail(error)
}
