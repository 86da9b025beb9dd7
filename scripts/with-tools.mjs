/**
 * Runs a development tool of this workspace with the right Node, after installing what is missing:
 *
 *     node scripts/with-tools.mjs oxlint --deny-warnings
 */
import { become } from "./become.mjs"
import { fail } from "./child.mjs"
import { prepare } from "./prepare.mjs"

const [command, ...args] = process.argv.slice(2)
try {
  if (command === undefined) throw new Error("with-tools: name a tool")
  await prepare()
  become(command, args)
} catch (error) {
  fail(error)
}
