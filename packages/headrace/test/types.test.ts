import { readdir, readFile } from "node:fs/promises"
import type * as CoreReason from "@headrace/core/Reason"
import type * as CoreReceipt from "@headrace/core/Receipt"
import type { TransferEvent as CoreEvent } from "@headrace/core/TransferEvent"
import type { BatchEvent as CoreBatchEvent } from "@headrace/batch/BatchEvent"
import type { BatchEvent, Reason, Receipt, TransferEvent } from "headrace"
import { expect, expectTypeOf, it } from "vitest"

it("the plain types are the engine's", () => {
  expectTypeOf<Reason>().toEqualTypeOf<CoreReason.Reason>()
  expectTypeOf<Receipt>().toEqualTypeOf<CoreReceipt.Receipt>()
  expectTypeOf<TransferEvent>().toEqualTypeOf<CoreEvent>()
  expectTypeOf<BatchEvent>().toEqualTypeOf<CoreBatchEvent>()
})

it("the declarations of the package's entry reach no other package's, nor Node's", async () => {
  const dist = new URL("../dist/", import.meta.url)
  const seen = new Set<string>()
  const visit = async (file: string): Promise<void> => {
    if (seen.has(file)) return
    seen.add(file)
    const text = await readFile(new URL(file, dist), "utf8")
    for (const [, target] of text.matchAll(/(?:from |import\()"([^"]+)"/g)) {
      expect(target, file).toMatch(/^\.\//)
      await visit(target!.replace(/^\.\//, "").replace(/\.[jt]s$/, ".d.ts"))
    }
  }
  await visit("index.d.ts")
  expect([...seen]).toEqual(
    expect.arrayContaining([
      "index.d.ts",
      "Upload.d.ts",
      "Types.d.ts",
      "HeadraceError.d.ts",
      "Run.d.ts",
      "BatchTypes.d.ts"
    ])
  )
  expect((await readdir(dist)).length).toBeGreaterThan(0)
})
