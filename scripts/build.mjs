/**
 * `npm run build`: brings what is missing, then builds everything that is not built.
 */
import { fail } from "./child.mjs"
import { prepare } from "./prepare.mjs"

try {
  await prepare(".")
} catch (error) {
  fail(error)
}
