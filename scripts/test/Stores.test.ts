/**
 * The table of stores in the README is what the stores say of themselves: to an embedded Glance, a web server, a folder,
 * the testbed's S3 and Swift. `UPDATE_README=1` writes it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Host } from "../../packages/core/dist/Host.js"
import * as MemoryStore from "../../packages/core/dist/MemoryStore.js"
import { formatBytes } from "../../packages/core/dist/Quantity.js"
import type { Capabilities, Store } from "../../packages/core/dist/Store.js"
import type { Transport } from "../../packages/core/dist/Transport.js"
import * as FileStore from "../../packages/fs/dist/FileStore.js"
import * as GlanceStore from "../../packages/glance/dist/GlanceStore.js"
import * as HttpStore from "../../packages/http/dist/HttpStore.js"
import * as NodeHost from "../../packages/node/dist/NodeHost.js"
import * as NodeTransport from "../../packages/node/dist/NodeTransport.js"
import * as S3Store from "../../packages/s3/dist/S3Store.js"
import * as SwiftStore from "../../packages/swift/dist/SwiftStore.js"
import * as EmbeddedGlance from "../../packages/testkit/dist/EmbeddedGlance.js"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { afterAll, assert, describe, it } from "vitest"

const env = (name: string) => process.env[`HEADRACE_TESTBED_${name}`]
const readme = new URL("../../README.md", import.meta.url)
const [begin, end] = ["<!-- the table of stores -->", "<!-- its end -->"]

const folder = mkdtempSync(join(tmpdir(), "headrace-table-"))
const glance = await EmbeddedGlance.start({ manner: "eventlet", auth: "fake" })
const web = createServer((_, response) => void response.writeHead(404).end())
await new Promise<void>((resolve) => web.listen(0, "127.0.0.1", resolve))
afterAll(async () => {
  web.closeAllConnections()
  web.close()
  await glance.close()
  rmSync(folder, { recursive: true, force: true })
})

const token = async (): Promise<string> => {
  const headers = { "x-auth-user": env("SWIFT_USER")!, "x-auth-key": env("SWIFT_KEY")! }
  return (await fetch(env("SWIFT_AUTH_URL")!, { headers })).headers.get("x-auth-token")!
}

type AnyStore = Store<Transport | Host>

const stores: ReadonlyArray<readonly [name: string, store: AnyStore | undefined]> = [
  [
    "[Glance](packages/glance)",
    GlanceStore.image({
      endpoint: glance.url,
      token: Redacted.make("me:demo:member"),
      name: "table"
    })
  ],
  [
    "[S3](packages/s3)",
    env("S3") === undefined
      ? undefined
      : S3Store.object({
          endpoint: env("S3"),
          bucket: env("S3_BUCKET")!,
          key: "table",
          credentials: { accessKeyId: env("S3_ACCESS_KEY")!, secretAccessKey: env("S3_SECRET_KEY")! }
        })
  ],
  [
    "[Swift](packages/swift)",
    env("SWIFT_AUTH_URL") === undefined
      ? undefined
      : SwiftStore.object({
          endpoint: env("SWIFT_STORAGE_URL")!,
          token: Redacted.make(await token()),
          container: "table",
          object: "table"
        })
  ],
  ["[files](packages/fs)", FileStore.file(join(folder, "table"))],
  ["[HTTP](packages/http)", HttpStore.put({ url: `http://127.0.0.1:${(web.address() as AddressInfo).port}/table` })],
  ["[memory](packages/core)", MemoryStore.make({ shape: "parts" }).object("table")]
]

const parts = ({ parts, shape }: Capabilities): string => {
  if (shape === "whole" || parts === undefined) return "one body"
  const { inFlight = 6, maxBytes, maxParts, minBytes } = parts
  return `parts of ${formatBytes(minBytes)} to ${formatBytes(maxBytes)}, ${maxParts} of them, ${inFlight} at once`
}

const yes = (answer: boolean | undefined): string => (answer === undefined ? "?" : answer ? "yes" : "no")

const list = (words: ReadonlyArray<string>): string => (words.length === 0 ? "-" : words.join(" "))

const row = (name: string, found: Capabilities): string => {
  const { checks, conditionalCreate, needsSize, rangedRead, reports, serverSideCopy, unfinished } = found
  const refuses = [...new Set([...(checks?.whole ?? []), ...(checks?.part ?? [])])]
  const cells = [
    name,
    parts(found),
    needsSize ? "yes" : "no",
    list(reports),
    list(refuses),
    yes(unfinished?.resume ?? false),
    yes(rangedRead),
    yes(conditionalCreate),
    yes(serverSideCopy)
  ]
  return `| ${cells.join(" | ")} |`
}

const head = [
  "| store | an object is written as | needs the size | reports | refuses what is not | goes on after a crash | ranges | only if new | copies by itself |",
  "|---|---|---|---|---|---|---|---|---|"
]

const shown = (): ReadonlyArray<string> => {
  const text = readFileSync(readme, "utf8")
  return text
    .slice(text.indexOf(begin) + begin.length, text.indexOf(end))
    .trim()
    .split("\n")
}

describe("the README's table of stores", () => {
  const rows = new Map<string, string>()
  for (const [name, store] of stores) {
    it.skipIf(store === undefined)(`says of ${name} what the store says`, async () => {
      const found = await Effect.runPromise(
        Effect.scoped(store!.capabilities).pipe(Effect.provide(Layer.merge(NodeTransport.layer, NodeHost.layer)))
      )
      rows.set(name, row(name, found))
      if (process.env["UPDATE_README"] !== undefined) return
      assert.strictEqual(
        shown().find((line) => line.startsWith(`| ${name} `)),
        rows.get(name)
      )
    })
  }

  it("has a row for each store, and no other", () => {
    if (process.env["UPDATE_README"] !== undefined) {
      const text = readFileSync(readme, "utf8")
      const table = [begin, "", ...head, ...stores.map(([name]) => rows.get(name)), "", end].join("\n")
      writeFileSync(readme, text.slice(0, text.indexOf(begin)) + table + text.slice(text.indexOf(end) + end.length))
    }
    const lines = shown()
    assert.deepStrictEqual(lines.slice(0, 2), head)
    assert.deepStrictEqual(
      lines.slice(2).map((line) => line.split(" | ")[0]!.slice(2)),
      stores.map(([name]) => name)
    )
  })
})
