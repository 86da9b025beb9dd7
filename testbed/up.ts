/**
 * Starts the testbed for use by hand, prints the lines to source, and keeps it until ^C:
 *
 *     .tools/bin/node testbed/up.ts
 */
import { start } from "./testbed.ts"

const testbed = await start()
for (const [name, value] of Object.entries(testbed.env)) process.stdout.write(`export ${name}='${value}'\n`)
for (const missing of testbed.missing) process.stderr.write(`testbed: without ${missing}\n`)
process.stderr.write("testbed: up; ^C ends it\n")
const keep = setInterval(() => undefined, 1 << 30)
await new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve())
})
clearInterval(keep)
await testbed.stop()
