/** The lines of `--json`, checked field by field against what scripts rely on. */
import { expect } from "vitest"

export type Line = Readonly<Record<string, unknown>> & { readonly type: string }

const iso = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const hex = /^[0-9a-f]+$/

const reasons =
  "Unauthorized Forbidden NotFound Conflict Gone TooLarge QuotaExceeded UnsupportedFormat UnknownStore StoreIgnored " +
  "Unavailable ConnectionLost Stalled SourceUnreadable SourceChanged SourceTooShort SourceTooLong SourceMismatch " +
  "DigestMismatch SizeMismatch Rejected Unsupported InvalidUri InvalidConfig Interrupted"

const whole = (value: unknown, what: string) => {
  expect(Number.isInteger(value), `${what} is a whole number, not ${String(value)}`).toBe(true)
  expect(value as number, what).toBeGreaterThanOrEqual(0)
}

const digests = (value: unknown) => {
  expect(value).toBeTypeOf("object")
  for (const text of Object.values(value as object)) expect(text).toMatch(hex)
}

const destination = (value: unknown) => {
  const end = value as Line
  expect(end["uri"]).toBeTypeOf("string")
  expect(end["required"]).toBeTypeOf("boolean")
  expect(["verified", "stored", "failed", "cancelled"]).toContain(end["status"])
  whole(end["attempts"], "attempts")
  whole(end["bytesSent"], "bytesSent")
  whole(end["elapsedMs"], "elapsedMs")
  expect(end["startedAt"]).toMatch(iso)
  if (end["status"] === "verified" || end["status"] === "stored") {
    const object = end["object"] as Line
    if ((end["uri"] as string).startsWith("glance:")) expect(object["id"]).toMatch(uuid)
    else expect(object["id"]).toBeTypeOf("string")
    whole(object["size"], "object.size")
    digests(object["digests"])
    expect(end).not.toHaveProperty("error")
  } else {
    const error = end["error"] as Line
    expect(reasons.split(" ")).toContain(error["reason"])
    expect(error["message"]).toBeTypeOf("string")
    expect(error["retryable"]).toBeTypeOf("boolean")
    if ("status" in error) whole(error["status"], "error.status")
    expect(error["left"]).toMatch(
      /^(none|(queued|saving|importing|active) image \S+|upload \S+ of \S+|partial file .+|object .+|unknown .+)$/
    )
  }
}

const fields: Readonly<Record<string, (line: Line) => void>> = {
  start: (line) => {
    const source = line["source"] as Line
    expect(source["uri"]).toBeTypeOf("string")
    if (source["size"] !== null) whole(source["size"], "source.size")
    for (const end of line["destinations"] as ReadonlyArray<Line>) {
      expect(end["uri"]).toBeTypeOf("string")
      expect(end["required"]).toBeTypeOf("boolean")
    }
  },
  progress: (line) => {
    whole(line["read"], "read")
    whole(line["hashed"], "hashed")
    whole(line["bytesPerSecond"], "bytesPerSecond")
    if (line["etaMs"] !== null) whole(line["etaMs"], "etaMs")
    for (const end of line["destinations"] as ReadonlyArray<Line>) {
      expect(end["uri"]).toBeTypeOf("string")
      whole(end["sent"], "sent")
      whole(end["acknowledged"], "acknowledged")
    }
  },
  retry: (line) => {
    expect(line["uri"]).toBeTypeOf("string")
    whole(line["attempt"], "attempt")
    expect(reasons.split(" ")).toContain(line["reason"])
    expect(line["message"]).toBeTypeOf("string")
    if ("status" in line) whole(line["status"], "status")
    whole(line["waitMs"], "waitMs")
  },
  verdict: destination,
  receipt: (line) => {
    const source = line["source"] as Line
    expect(source["uri"]).toBeTypeOf("string")
    if (source["size"] !== null) whole(source["size"], "source.size")
    digests(source["digests"])
    for (const end of line["destinations"] as ReadonlyArray<unknown>) destination(end)
  },
  plan: (line) => {
    expect((line["source"] as Line)["uri"]).toBeTypeOf("string")
    for (const end of line["destinations"] as ReadonlyArray<Line>) {
      expect(end["uri"]).toBeTypeOf("string")
      expect(["create", "use", "skip", "fail"]).toContain(end["action"])
      expect(end["why"]).toBeTypeOf("string")
    }
  }
}

/** Reads the lines and checks each of them; all are of one transfer. */
export const read = (stdout: string): ReadonlyArray<Line> => {
  expect(stdout.endsWith("\n")).toBe(true)
  const lines = stdout
    .slice(0, -1)
    .split("\n")
    .map((text) => JSON.parse(text) as Line)
  for (const line of lines) {
    expect(Object.keys(fields)).toContain(line.type)
    expect(line["at"]).toMatch(iso)
    expect(line["id"]).toMatch(uuid)
    expect(line["id"]).toBe(lines[0]!["id"])
    fields[line.type]!(line)
  }
  return lines
}

/** The receipt's only destination. */
export const endOf = (lines: ReadonlyArray<Line>): Line => (lines.at(-1)!["destinations"] as ReadonlyArray<Line>)[0]!
