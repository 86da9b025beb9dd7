import { assert, describe, it } from "@effect/vitest"
import { Host } from "@headrace/core/Host"
import * as NodeHost from "@headrace/node/NodeHost"
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join, relative } from "node:path"

describe("the host", () => {
  it.effect("has the environment as it is now, and the folders", () =>
    Effect.gen(function* () {
      const host = yield* Host
      process.env["HEADRACE_TEST"] = "one"
      assert.strictEqual((yield* host.env)["HEADRACE_TEST"], "one")
      delete process.env["HEADRACE_TEST"]
      assert.strictEqual((yield* host.env)["HEADRACE_TEST"], undefined)
      assert.strictEqual(yield* host.cwd, process.cwd())
      assert.strictEqual(yield* host.home, homedir())
    }).pipe(Effect.provide(NodeHost.layer))
  )

  it.live("reads text files, and tells a missing one from one that cannot be read", () =>
    Effect.gen(function* () {
      const host = yield* Host
      const folder = mkdtempSync(join(tmpdir(), "host-"))
      writeFileSync(join(folder, "f"), "clouds: €")
      assert.strictEqual(yield* host.readFile(join(folder, "f")), "clouds: €")
      assert.strictEqual(yield* host.readFile(relative(process.cwd(), join(folder, "f"))), "clouds: €")
      assert.strictEqual(yield* host.readFile(join(folder, "g")), undefined)
      assert.strictEqual(yield* host.readFile(join(folder, "f", "g")), undefined)
      const error = yield* Effect.flip(host.readFile(folder))
      assert.strictEqual(error.message, `cannot read '${folder}': it is a folder`)
      assert.strictEqual(error.path, folder)
      rmSync(folder, { recursive: true })
    }).pipe(Effect.provide(NodeHost.layer))
  )
})
