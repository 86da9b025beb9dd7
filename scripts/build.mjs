/**
 * `npm run build`: brings what is missing, then builds everything that is not built.
 */
import { say } from "./lock.mjs"
import { prepare } from "./prepare.mjs"

try {
  await prepare(".")
} catch (error) {
  say(error.message)
  process.exitCode = 1
}
