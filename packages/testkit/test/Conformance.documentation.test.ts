/** The test file that docs/conformance.md shows, run as it is written. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import * as Conformance from "@headrace/testkit/Conformance"
import { afterAll, assert, it } from "vitest"
import * as Documents from "../../../scripts/test/support/documents.ts"

const folder = mkdtempSync(join(tmpdir(), "headrace-conformance-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
// The packages are found as a program finds them that has installed them.
const ours = join(import.meta.dirname, "..")
mkdirSync(join(folder, "node_modules/@headrace"), { recursive: true })
symlinkSync(ours, join(folder, "node_modules/@headrace/testkit"))
for (const name of ["effect", "vitest", "@headrace/http", "@headrace/node"]) {
  symlinkSync(join(ours, "node_modules", name), join(folder, "node_modules", name))
}
const [code, ...more] = Documents.blocks("docs/conformance.md", "ts")
writeFileSync(join(folder, "my-store.ts"), code!)
// It registers its tests here.
await import(/* @vite-ignore */ pathToFileURL(join(folder, "my-store.ts")).href)

it("is the only code of the page, whose table has every option", () => {
  assert.isEmpty(more)
  const [, ...rows] = Documents.read("docs/conformance.md").matchAll(/^\| `(\w+)` \|/gm)
  assert.isAbove(rows.length, 10)
  const page = Documents.read("docs/conformance.md")
  const model = Documents.read("packages/testkit/src/internal/conformance/model.ts")
  const options = /interface Options<[\s\S]*?^}/m.exec(model)![0]
  for (const [, name] of options.matchAll(/^ {2}readonly (\w+)/gm)) assert.include(page, `| \`${name}\` |`)
  assert.isAbove(Conformance.names.length, 45)
})
