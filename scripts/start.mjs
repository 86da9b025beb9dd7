/**
 * `npm start`: brings what is missing, builds, and runs the demo; `npm start -- FILE…` passes the files on.
 */
import path from "node:path"
import { become } from "./become.mjs"
import { brought, root } from "./bring.mjs"
import { fail } from "./child.mjs"
import { prepare } from "./prepare.mjs"

try {
  await prepare("apps/demo")
  // npm runs this in the checkout, but a path that is typed is meant where it was typed
  const cwd = process.env.INIT_CWD ?? process.cwd()
  become(brought.node, [path.join(root, "apps", "demo", "dist", "main.js"), ...process.argv.slice(2)], { cwd })
} catch (error) {
  fail(error)
}
