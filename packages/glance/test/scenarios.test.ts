import { type EmbeddedGlance, start } from "@headrace/testkit/EmbeddedGlance"
import { afterAll, beforeAll, describe } from "vitest"
import { declare } from "./scenarios.ts"
import { runtime } from "./support/upload.ts"

for (const manner of ["eventlet", "uwsgi"] as const) {
  describe(`the embedded Glance, as behind ${manner}`, () => {
    let glance: EmbeddedGlance | undefined
    beforeAll(async () => {
      glance = await start({ manner, auth: "fake", stores: [{ id: "fast", default: true }, { id: "cheap" }] })
    })
    afterAll(() => glance?.close())
    declare(() => ({ endpoint: glance!.url, token: "alice:p-alice:member" }))
  })
}

const real = process.env["HEADRACE_TESTBED_GLANCE"]

describe.skipIf(real === undefined)("a real Glance 33 behind uWSGI", () => {
  declare(() => ({ endpoint: real!, token: process.env["HEADRACE_TESTBED_FAKE_TOKEN"] }))
})

const other = process.env["HEADRACE_OTHER_GLANCE"]

describe.skipIf(other === undefined)("[optional] another Glance, at HEADRACE_OTHER_GLANCE", () => {
  declare(() => ({ endpoint: other!, token: process.env["HEADRACE_OTHER_TOKEN"] }))
})

afterAll(() => runtime.dispose())
