import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { describe, expect, it } from "vitest"
import * as Report from "../src/Report.ts"
import * as ReportPage from "../src/ReportPage.ts"

const receipt = (id: string, more: object = {}) => ({
  id,
  source: { uri: "glance://old/x", size: 5_000_000, digests: {} },
  destinations: [
    {
      uri: `glance://new/${id}`,
      required: true,
      status: "verified",
      attempts: 1,
      bytesSent: 5_000_000,
      startedAt: "2026-03-01T10:00:00.000Z",
      elapsedMs: 900,
      ...more
    }
  ]
})

const failed = (id: string, message = "no", left = "none", reason = "Conflict") =>
  receipt(id, { status: "failed", error: { reason, message, retryable: false, status: 409, left } })

const page = async (values: ReadonlyArray<unknown>, of = "some.ndjson") => {
  const report = await Effect.runPromise(Report.fromValues(Stream.fromIterable(values)))
  return [...ReportPage.render(report, { of, madeAt: "2026-03-01T12:00:00.000Z" })].join("")
}

const titleOf = (html: string) => /<title>(.*?)<\/title>/.exec(html)?.[1]
const bodyOf = (html: string) => html.slice(html.indexOf("<body>"), html.indexOf("</html>"))

/** Elements that were opened and not closed, or the other way round. */
const unbalanced = (html: string): ReadonlyArray<string> => {
  const open: Array<string> = []
  const wrong: Array<string> = []
  for (const [, close, tag, own] of bodyOf(html).matchAll(/<(\/?)([a-z][a-z0-9]*)[^>]*?(\/?)>/g)) {
    if (own === "/" || ["wbr", "meta"].includes(tag!)) continue
    if (close === "") open.push(tag!)
    else if (open.pop() !== tag) wrong.push(tag!)
  }
  return [...wrong, ...open]
}

describe("the page", () => {
  it("says first how it went", async () => {
    expect(titleOf(await page([receipt("a"), receipt("b")]))).toBe("All 2 lines have arrived – some.ndjson")
    expect(titleOf(await page([receipt("a"), failed("b")]))).toBe("1 of 2 lines failed – some.ndjson")
    expect(titleOf(await page([]))).toBe("No transfer has come to an end – some.ndjson")
  })

  it("asks for nothing: no script, no link to elsewhere, and a policy that allows none", async () => {
    const html = await page([receipt("a"), failed("b", "see https://example.com/x")])
    expect(html).toContain("default-src 'none'")
    expect(html).not.toMatch(/<script|<link|<img|<iframe|@import|url\(|\ssrc=|\son\w+=/i)
    expect([...html.matchAll(/href="([^"]*)"/g)].map(([, to]) => to)).toEqual(["#failures"])
  })

  it("is well formed, also of nothing, of one moment, and of what took no time", async () => {
    const all = [
      [],
      [receipt("a")],
      [failed("a")],
      [receipt("a", { elapsedMs: 0, bytesSent: 0, attempts: 0 })],
      [receipt("a", { elapsedMs: 0 })],
      [receipt("a", { elapsedMs: 1e12 }), failed("b")]
    ]
    for (const values of all) {
      const html = await page(values)
      expect(unbalanced(html)).toEqual([])
      expect(html).not.toMatch(/NaN|Infinity|undefined/)
    }
  })

  it("shows what others have named as text, whatever it holds", async () => {
    const evil = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>&amp;\u202egnp.exe\u0000\nnext`
    const html = await page(
      [failed(evil, evil, evil, evil), receipt(evil, { uri: `glance://new/${evil}`, retried: { [evil]: 2 } })],
      evil
    )
    expect(html).not.toMatch(/<script|<img|onerror=alert\(1\)>/)
    expect(html).not.toMatch(/[\u202a-\u202e\u2066-\u2069]/)
    expect(html).not.toContain("\u0000")
    expect(html).toContain("&lt;script&gt;")
    expect(html).toContain("\\u202egnp.exe\\u0000 next")
    expect(unbalanced(html)).toEqual([])
    const styles = [...html.matchAll(/style="([^"]*)"/g)].map(([, value]) => value!)
    expect(styles.every((value) => /^(?:(?:left|top):-?[\d.]+%|--rows:\d+)$/.test(value))).toBe(true)
  })

  it("has a table for each plot, and words for whoever does not see it", async () => {
    const html = await page([receipt("a"), receipt("b", { retried: { Stalled: 1 } }), failed("c")])
    const plots = html.match(/role="img" aria-label="[^"]+"/g)
    expect(plots).toHaveLength(3)
    for (const caption of ["Throughput over time", "Transfers by the time that they took", "Retries by reason"]) {
      expect(html).toContain(`<caption class="unseen">${caption}</caption>`)
    }
  })

  it("lists every failure that is kept, and says how many there are beyond", async () => {
    const rows = (html: string) => html.slice(html.indexOf('id="failures"')).match(/<th scope="row"/g)!.length
    const few = await page(Array.from({ length: 30 }, (_, index) => failed(`line ${index}`, `why ${index}`)))
    expect(rows(few)).toBe(30)
    for (let index = 0; index < 30; index++) expect(few).toContain(`>why ${index}<`)
    const many = await page(Array.from({ length: 50_000 }, (_, index) => failed(`line ${index}`)))
    expect(rows(many)).toBe(10_000)
    expect(many).toContain("The first 10,000 of 50,000 are listed.")
    expect(many.length).toBeLessThan(8_000_000)
  })

  it("says what of the input was left out", async () => {
    const html = await page([receipt("a"), receipt("a"), { ...receipt("b"), id: 7 }, { type: "summary" }, 5])
    expect(html).toContain("Of 2 receipts among 1 other event,")
    expect(html).toContain("1 receipt is of a line that had one before")
    expect(html).toContain("1 line is wrong, and left out (line 3: id: a text is allowed).")
    expect(html).toContain("1 line is neither receipts nor events, and left out.")
  })
})
