import * as Proof from "headrace/Proof"
import type { Receipt } from "headrace"
import { describe, expect, it } from "vitest"

type Destination = Receipt["destinations"][number]

const verified: Destination = {
  uri: "glance://prod/disk",
  required: true,
  status: "verified",
  object: { id: "1f0c", store: "fast", size: 1_073_741_824, digests: { sha512: "aa", md5: "bb" } },
  attempts: 2,
  bytesSent: 1_610_612_736,
  startedAt: "2026-01-01T00:00:00.000Z",
  elapsedMs: 5120,
  proof: { level: "transfer", compared: ["sha512"], computedBy: "hash-wasm" }
}
const receipt = (end: Destination): Receipt => ({
  id: "one",
  source: { uri: "disk.raw", size: 1_073_741_824, digests: { sha512: "aa", blake3: "cc" } },
  destinations: [end]
})

describe("a receipt in words", () => {
  it("says what was sent, what is held, and who computed which digest", () => {
    expect(Proof.lines(receipt(verified))).toEqual([
      "verified glance://prod/disk",
      "  sent      1,073,741,824 bytes (1.00 GiB) in 5.1s, 300 MiB/s, 2 attempts, 512 MiB of it sent again",
      "  holds     image 1f0c in store fast of 1,073,741,824 bytes",
      "  sha512    aa  computed here by hash-wasm and by the service: equal",
      "  blake3    cc  computed here by hash-wasm; the service reports none to compare",
      "  proof     what was sent was compared with what the service reports"
    ])
  })

  it("does not call verified what is only stored", () => {
    const lines = Proof.lines(
      receipt({
        ...verified,
        status: "stored",
        object: { id: "1f0c", size: 5, digests: {} },
        proof: { level: "transfer", compared: [], computedBy: "hash-wasm" }
      })
    )
    expect(lines[0]).toBe("stored glance://prod/disk")
    expect(lines.join("\n")).not.toMatch(/equal/)
    expect(lines.at(-1)).toBe("  proof     the service reports no digest: only the size was compared")
  })

  it("says of bytes read back that they were", () => {
    const lines = Proof.lines(
      receipt({
        ...verified,
        object: { id: "1f0c", size: 5, digests: {} },
        proof: { level: "destination", compared: ["sha512", "blake3"], computedBy: "hash-wasm" }
      })
    )
    expect(lines.join("\n")).toContain("aa  computed here by hash-wasm and of the bytes read back: equal")
    expect(lines.at(-1)).toContain("read back")
  })

  it("of one that was gone on with says how much of it was sent now", () => {
    expect(Proof.lines(receipt({ ...verified, attempts: 1, bytesSent: 536_870_912 }))[1]).toBe(
      "  sent      536,870,912 bytes (512 MiB) of 1,073,741,824 in 5.1s, 100 MiB/s, 1 attempt"
    )
  })

  it("of several tells once what was read, and of each what it was compared by", () => {
    const { proof: _proof, ...rest } = verified
    const copy: Destination = {
      ...verified,
      uri: "glance://prod/disk?store=slow",
      attempts: 0,
      bytesSent: 0,
      notes: ["a note"]
    }
    const file: Destination = {
      ...rest,
      uri: "backup/disk.raw",
      status: "stored",
      object: { id: "/backup/disk.raw", size: 1_073_741_824, digests: {} }
    }
    const all = { ...receipt(verified), destinations: [verified, copy, file] }
    expect(Proof.lines(all)).toEqual([
      "read disk.raw",
      "  size      1,073,741,824 bytes (1.00 GiB)",
      "  sha512    aa",
      "  blake3    cc",
      "verified glance://prod/disk",
      "  sent      1,073,741,824 bytes (1.00 GiB) in 5.1s, 300 MiB/s, 2 attempts, 512 MiB of it sent again",
      "  holds     image 1f0c in store fast of 1,073,741,824 bytes",
      "  sha512    aa  computed here by hash-wasm and by the service: equal",
      "  proof     what was sent was compared with what the service reports",
      "verified glance://prod/disk?store=slow",
      "  sent      nothing had to be",
      "  holds     image 1f0c in store fast of 1,073,741,824 bytes",
      "  sha512    aa  computed here by hash-wasm and by the service: equal",
      "  proof     what was sent was compared with what the service reports",
      "  note      a note",
      "stored backup/disk.raw",
      "  sent      1,073,741,824 bytes (1.00 GiB) in 5.1s, 300 MiB/s, 2 attempts, 512 MiB of it sent again",
      "  holds     file /backup/disk.raw of 1,073,741,824 bytes",
      "  proof     a file system reports no digest: only the size was compared"
    ])
  })

  it("has no line for a destination that failed", () => {
    const { object: _object, proof: _proof, ...rest } = verified
    const error = { reason: "Forbidden", message: "no", retryable: false, left: "none" } as const
    expect(Proof.lines(receipt({ ...rest, status: "failed", error }))).toEqual([])
  })
})
