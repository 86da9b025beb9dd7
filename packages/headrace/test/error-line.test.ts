import { describe, expect, it } from "vitest"
import * as ErrorLine from "../src/cli/ErrorLine.ts"

describe("what an error line advises", () => {
  it("of a URL: not to look for a cloud's password or a project", () => {
    const failure = {
      uri: "http://mirror/disk.raw",
      message: "cannot be read",
      left: "none",
      sent: false,
      asked: false
    }
    const line = (reason: "Unauthorized" | "Forbidden" | "NotFound") => ErrorLine.ofFailure({ ...failure, reason })
    expect(line("Unauthorized")).toBe(
      "headrace: http://mirror/disk.raw: cannot be read: nothing was sent, check the user and password in the URL"
    )
    expect(line("Forbidden")).toMatch(/, ask the server's operators for the right to it$/)
    expect(line("NotFound")).toMatch(/, check the URL$/)
    expect(ErrorLine.ofFailure({ ...failure, uri: "glance://prod/x", reason: "Unauthorized" })).toMatch(/clouds\.yaml/)
  })

  it("of an image that became active while it was interrupted: not to run it again, which it would refuse", () => {
    const failure = {
      reason: "Interrupted",
      uri: "glance://prod/x",
      message: "interrupted",
      sent: true,
      asked: true
    } as const
    expect(ErrorLine.ofFailure({ ...failure, left: "active image 1f0c" })).toBe(
      "headrace: glance://prod/x: interrupted: active image 1f0c is left behind, look at it before you run it again"
    )
    expect(ErrorLine.ofFailure({ ...failure, left: "none" })).toMatch(/, run it again to upload$/)
  })
})
