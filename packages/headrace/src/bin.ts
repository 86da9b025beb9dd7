#!/usr/bin/env node
/**
 * The command's entry: nothing is loaded before it is needed, and what was compiled once is kept.
 *
 * @since 0.1.0
 */
// As a whole: of an older Node a name that is not there could not be imported, and nobody could say why.
import module from "node:module"

/** As `engines` in package.json. */
const oldest = [22, 19] as const

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number)
if (major > oldest[0] || (major === oldest[0] && minor >= oldest[1])) {
  module.enableCompileCache()
  const { main } = await import("./cli/Main.ts")
  await main(process.argv.slice(2))
} else {
  const { node } = process.versions
  process.stderr.write(`headrace: Node ${node} is too old: run it with Node ${oldest.join(".")} or newer\n`)
  process.exitCode = 1
}
