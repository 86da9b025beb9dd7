import { rm } from "node:fs/promises"
import * as EmbeddedGlance from "@headrace/testkit/EmbeddedGlance"
import * as EmbeddedKeystone from "@headrace/testkit/EmbeddedKeystone"
import { afterAll, beforeAll, describe } from "vitest"
import { withApplicationCredential, withPassword } from "./support/clouds.ts"
import { folder } from "./support/command.ts"
import { plainGlance, signIn } from "./support/plainGlance.ts"
import { declare, type Place } from "./ways.ts"

/** Declares the ways for a service whose addresses are known once it has started. */
const against = (
  start: () => Promise<{ readonly clouds: string; readonly glance: string; readonly token: string }>
): void => {
  let place: Place | undefined
  beforeAll(async () => {
    const { clouds, glance, token } = await start()
    place = { folder: await folder(clouds), glance: plainGlance(glance, token) }
  })
  afterAll(async () => {
    if (place !== undefined) await rm(place.folder, { recursive: true, force: true })
  })
  declare(() => place!)
}

for (const manner of ["eventlet", "uwsgi"] as const) {
  describe(`to the embedded Glance, as behind ${manner}`, () => {
    const running: Array<{ readonly close: () => Promise<void> }> = []
    afterAll(() => Promise.all(running.map((service) => service.close())))
    against(async () => {
      const keystone = await EmbeddedKeystone.start({ manner })
      running.push(keystone)
      const glance = await EmbeddedGlance.start({ manner, auth: keystone })
      running.push(glance)
      keystone.addService({
        type: "image",
        name: "glance",
        endpoints: [{ interface: "public", region: "RegionOne", url: glance.url }]
      })
      const token = await signIn(keystone.authUrl, "demo", "secret", "demo")
      return { clouds: withPassword(keystone.authUrl, "secret"), glance: glance.url, token }
    })
  })
}

const env = (name: string): string => process.env[`HEADRACE_TESTBED_${name}`] ?? ""

describe.skipIf(env("KEYSTONE") === "")("to a real Glance 33, signed in through a real Keystone 30", () => {
  const real = async (clouds: string) => ({
    clouds,
    glance: env("KEYSTONE_GLANCE"),
    token: await signIn(env("KEYSTONE"), "demo", "demo-secret", "demo")
  })
  describe("with a password", () => {
    against(() => real(withPassword(env("KEYSTONE"), "demo-secret")))
  })
  describe("with an application credential", () => {
    const [id, secret] = [env("APP_CREDENTIAL_ID"), env("APP_CREDENTIAL_SECRET")]
    against(() => real(withApplicationCredential(env("KEYSTONE"), id, secret)))
  })
})
