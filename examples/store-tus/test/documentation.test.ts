/** The code in docs/write-a-store.md is the example's, as it is written. */
import { readFileSync } from "node:fs"
import { assert, it } from "vitest"

const read = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8")

it("docs/write-a-store.md shows the code that is tested", () => {
  const code = ["TusStore.ts", "internal/api.ts"].map((name) => read(`examples/store-tus/src/${name}`)).join("\n")
  const blocks = [...read("docs/write-a-store.md").matchAll(/```ts\n([\s\S]*?)```/g)].map(([, block]) => block!)
  assert.isAbove(blocks.length, 5)
  for (const block of blocks) assert.include(code, block)
})
