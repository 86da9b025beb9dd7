/** Lines that are done again: what stands of them is left alone, and its verdicts go on into the new receipt. */
import type * as Receipt from "@headrace/core/Receipt"
import { expect, it } from "vitest"
import * as Again from "../src/internal/run/again.ts"
import type { Item } from "../src/Journal.ts"

const end = (uri: string, status: "verified" | "failed", required = true): Receipt.Destination => ({
  uri,
  required,
  status,
  attempts: 1,
  bytesSent: 1,
  startedAt: "2026-01-01T00:00:00.000Z",
  elapsedMs: 1,
  object: { id: `object of ${uri}`, size: 1, digests: {} },
  ...(status === "failed" ? { error: { reason: "Rejected", message: "no", retryable: false, left: "none" } } : {})
})
const receipt = (...destinations: ReadonlyArray<Receipt.Destination>): Receipt.Receipt => ({
  id: "a",
  source: { uri: "x", size: 1, digests: {} },
  destinations
})
const item = (to: ReadonlyArray<string>, before: Receipt.Receipt, also: ReadonlyArray<string> = []): Item => ({
  seq: 1,
  number: 1,
  line: { id: "a", source: "x", to, also, size: undefined, expect: {}, properties: {} },
  made: [],
  begunAt: undefined,
  before: { receipt: JSON.stringify(before), wrong: [] }
})

it("go by the place of a destination, not by how receipts call it", () => {
  const to = ["glance://a/x", "s3://b/k?region=eu-west-1"]
  const again = Again.of(item(to, receipt(end("glance://a/x", "verified"), end("s3://b/k", "failed"))))
  expect(again.line.to).toEqual([to[1]])
  const still = again.merge(receipt(end("s3://b/k", "failed")))
  expect(still.destinations.map(({ status, uri }) => [uri, status])).toEqual([
    ["glance://a/x", "verified"],
    ["s3://b/k", "failed"]
  ])
  expect(Again.objects({ to, also: [] }, still)).toEqual(["object of glance://a/x"])
})

it("a destination of several stores stands when all of them do", () => {
  const to = ["glance://a/x?store=fast&store=slow", "there"]
  const line = { to, also: [] }
  const fast = end("glance://a/x?store=fast", "verified")
  const before = receipt(fast, end("glance://a/x?store=slow", "failed"), end("there", "verified"))
  expect(Again.standing(line, before)).toEqual([false, true])
  expect(Again.objects(line, before)).toEqual(["object of there"])
  const again = Again.of(item(to, before))
  expect(again.line.to).toEqual([to[0]])
  expect(again.merge(receipt(fast, end("glance://a/x?store=slow", "verified"))).destinations).toHaveLength(3)
})

it("what has no transfer has an entry for each destination, and what does not fit is done as a whole", () => {
  const to = ["glance://a/x?store=fast,slow", "there"]
  const early = receipt(end(to[0]!, "failed"), end("there", "failed"))
  expect(Again.of(item(to, early)).line.to).toEqual(to)
  const odd = receipt(end("there", "verified"))
  expect(Again.of(item(to, odd)).line.to).toEqual(to)
  expect(Again.of(item(to, odd)).merge(odd)).toEqual(odd)
})

it("one on best effort is done as if it had to where no other is left, and is told as what it is", () => {
  const again = Again.of(item(["a"], receipt(end("a", "verified"), end("b", "failed", false)), ["b"]))
  expect(again.line).toMatchObject({ to: ["b"], also: [] })
  expect(again.merge(receipt(end("b", "verified"))).destinations).toMatchObject([
    { uri: "a", required: true },
    { uri: "b", required: false, status: "verified" }
  ])
})
