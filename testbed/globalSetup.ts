/**
 * Starts the testbed before the tests and stops it after them, as HEADRACE_REAL says:
 *
 * - `required`: a testbed that does not start is a failure
 * - `auto`: without Python 3.11 the tests against real services are skipped, without Go those against a real S3, and a
 *   line says so
 * - anything else, or nothing: no testbed; a quick run of single tests wants none
 *
 * A testbed whose address is in the environment already (see up.ts) is taken as it is.
 */
import { start } from "./testbed.ts"

const say = (text: string): void => {
  process.stderr.write(`testbed: ${text}\n`)
}

export default async function setup(): Promise<(() => Promise<void>) | undefined> {
  const mode = process.env["HEADRACE_REAL"]
  if (process.env["HEADRACE_TESTBED_GLANCE"] !== undefined || (mode !== "required" && mode !== "auto")) return undefined
  try {
    const testbed = await start({ required: mode === "required" })
    Object.assign(process.env, testbed.env)
    say(`Glance 33, Keystone 30 and Swift 2.38 are up${testbed.missing.length === 0 ? ", versitygw too" : ""}`)
    for (const missing of testbed.missing) say(`SKIPPED: tests against ${missing}`)
    return testbed.stop
  } catch (error) {
    if (mode === "required") throw error
    say(`SKIPPED: tests against real services, because ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}
