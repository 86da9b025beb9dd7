import { chmod, mkdir, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

/** What a real run left behind: receipts, events and the journal of three lines, of which one cannot be read. */
describe("a report", () => {
  let bench: Bench
  let events: string
  const page = () => join(bench.folder, "report.html")
  beforeAll(async () => {
    bench = await open()
    await bench.file("a.img", 300_000)
    await bench.file("b.img", 200_000)
    const manifest = [
      { id: "a", source: "a.img", to: ["glance://emb/a?disk_format=raw"] },
      { id: "b\u202e<b>", source: "b.img", to: ["copy.img"] },
      { id: "c", source: "missing.img", to: ["glance://emb/c?disk_format=raw"] }
    ]
    await writeFile(join(bench.folder, "m.ndjson"), manifest.map((line) => `${JSON.stringify(line)}\n`).join(""))
    const ended = await bench.run(["run", "m.ndjson", "--receipts", "r.ndjson", "--json"])
    expect(ended.code, ended.stderr).toBe(2)
    events = ended.stdout
    await writeFile(join(bench.folder, "events.ndjson"), events)
  })
  afterAll(() => bench.close())
  beforeEach(() => rm(page(), { force: true }))

  const sums = async (args: ReadonlyArray<string>, stdin?: string) => {
    const ended = await bench.run(
      ["report", ...args, "--json"],
      stdin === undefined ? undefined : { stdin: Buffer.from(stdin) }
    )
    expect(ended.code, ended.stderr).toBe(0)
    expect(ended.stdout.trimEnd().split("\n")).toHaveLength(1)
    return JSON.parse(ended.stdout) as {
      readonly type: string
      readonly lines: object
      readonly bytes: number
      readonly bytesSent: number
      readonly reasons: ReadonlyArray<object>
      readonly failures: { readonly first: ReadonlyArray<{ readonly id: string }> }
      readonly read: { readonly receipts: number; readonly events: number; readonly cut: number | null }
    }
  }
  const rest = async () => (await readdir(bench.folder)).filter((name) => name.endsWith(".new"))

  it("says the same of receipts, of events, of a journal and of standard input", async () => {
    const expected = { total: 3, verified: 1, stored: 1, skipped: 0, failed: 1, cancelled: 0 }
    for (const [args, stdin] of [
      [["r.ndjson"]],
      [["events.ndjson"]],
      [["m.ndjson.journal"]],
      [["-"], events]
    ] as ReadonlyArray<readonly [ReadonlyArray<string>, string?]>) {
      const report = await sums(args, stdin)
      expect(report.type).toBe("report")
      expect(report.lines, args[0]).toEqual(expected)
      expect([report.bytes, report.bytesSent]).toEqual([500_000, 500_000])
      expect(report.reasons).toEqual([{ reason: "SourceUnreadable", count: 1 }])
      expect(report.failures.first.map(({ id }) => id)).toEqual(["c"])
      expect(report.read).toMatchObject({ receipts: 3, cut: null })
    }
    expect((await sums(["events.ndjson"])).read.events).toBeGreaterThan(3)
  })

  it("is a few lines without an option, and failures in it are no error of its own", async () => {
    const ended = await bench.run(["report", "r.ndjson"])
    expect([ended.code, ended.stderr]).toEqual([0, ""])
    const lines = ended.stdout.trimEnd().split("\n")
    expect(lines[0]).toBe("1 verified, 1 stored, 1 failed")
    expect(lines[1]).toMatch(/^488 KiB in .*, sent 488 KiB at .*\/s$/)
    expect(lines.find((line) => line.startsWith("each took "))).toMatch(/p50 .*, p99 .*, max /)
    expect(lines).toContainEqual(expect.stringMatching(/^glance:\/\/emb: 1 good, 1 failed, sent 293 KiB$/))
    expect(lines).toContainEqual(expect.stringMatching(/^failed c: glance:\/\/emb\/c: SourceUnreadable: /))
    expect(ended.stdout).toContain("b\\u202e<b>")
    expect(ended.stdout).not.toContain("\u202e")
  })

  it("counts what a service made be tried again, and a line that was done again once, as it stands", async () => {
    const manifest = { id: "r", source: "a.img", to: ["glance://emb/r?disk_format=raw"] }
    await writeFile(join(bench.folder, "retry.ndjson"), `${JSON.stringify(manifest)}\n`)
    const busy = { type: "answer", at: "before", status: 503 } as const
    const cut = { type: "drop", at: { afterBytes: 100_000 }, how: "reset", image: "queued" } as const
    const run = (retries: string, ...more: ReadonlyArray<string>) =>
      bench.run(["run", "retry.ndjson", "--retries", retries, "--json", ...more])
    bench.glance.faults.push({ type: "answer", at: "before", status: 403 })
    const first = await run("0")
    expect(first.code, first.stdout).toBe(2)
    bench.glance.faults.push(busy, cut)
    const second = await run("3", "--retry-failed")
    expect(second.code, second.stdout).toBe(0)
    const retries = [
      { reason: "ConnectionLost", count: 1 },
      { reason: "Unavailable", count: 1 }
    ]
    const lines = { total: 1, verified: 1, failed: 0 }
    // In the journal a line has one receipt; of the events of both runs the last counts.
    const receipts = await sums(["retry.ndjson.journal"])
    expect(receipts).toMatchObject({ retries, lines, reasons: [], read: { receipts: 1, repeated: 0 } })
    const both = await sums(["-"], first.stdout + second.stdout)
    expect(both).toMatchObject({
      retries,
      lines,
      reasons: [],
      failures: { first: [] },
      read: { receipts: 2, repeated: 1 }
    })
  })

  it("is a page that is whole, in the place of an older one, and of the file that a link leads to", async () => {
    await mkdir(join(bench.folder, "elsewhere"), { recursive: true })
    const target = join(bench.folder, "elsewhere", "old.html")
    await writeFile(target, "old")
    await symlink(target, page())
    const ended = await bench.run(["report", "r.ndjson", "--html", "report.html"])
    expect([ended.code, ended.stdout, ended.stderr]).toEqual([0, "", ""])
    const html = await readFile(target, "utf8")
    expect(await readFile(page(), "utf8")).toBe(html)
    expect(html).toContain("<title>1 of 3 lines failed – r.ndjson</title>")
    expect(html.trimEnd().endsWith("</html>")).toBe(true)
    expect(html).not.toMatch(/<b>|\u202e/)
    expect([...(await rest()), ...(await readdir(join(bench.folder, "elsewhere")))]).toEqual(["old.html"])
  })

  it("gives the page and the JSON together, and says what was left out of the page on standard error", async () => {
    const text = `${await readFile(join(bench.folder, "r.ndjson"), "utf8")}{"id":"cut","sour`
    await writeFile(join(bench.folder, "cut.ndjson"), text)
    const ended = await bench.run(["report", "cut.ndjson", "--html", "report.html", "--json"])
    expect(ended.code).toBe(0)
    expect(JSON.parse(ended.stdout)).toMatchObject({ type: "report", of: "cut.ndjson", read: { cut: 4 } })
    expect(ended.stderr).toBe("headrace: cut.ndjson: line 4, the last, is cut off and left out\n")
    expect(await readFile(page(), "utf8")).toContain("Line 4, the last, is cut off, and left out.")
  })

  it("that cannot be made is one line and exit code 1, and an older page stays", async () => {
    await writeFile(join(bench.folder, "copy.ndjson"), await readFile(join(bench.folder, "r.ndjson")))
    await writeFile(join(bench.folder, "broken.journal"), `SQLite format 3\0${"x".repeat(100)}`)
    await mkdir(join(bench.folder, "folder"), { recursive: true })
    const cases: ReadonlyArray<readonly [ReadonlyArray<string>, RegExp]> = [
      [["none.ndjson"], /^headrace: none\.ndjson: it cannot be read: there is no such file$/],
      [["folder"], /^headrace: folder: it cannot be read: it is a folder$/],
      [["m.ndjson"], /^headrace: m\.ndjson: it holds no receipts as run --receipts or --json writes$/],
      [["a.img"], /^headrace: a\.img: it holds no receipts .*\(line 1: this is not JSON/],
      [["broken.journal"], /^headrace: broken\.journal: /],
      [["r.ndjson", "--html", "nowhere/x.html"], /^headrace: nowhere\/x\.html: .*: there is no such folder$/],
      [["r.ndjson", "--html", "folder"], /^headrace: folder: this is no file to write a page into$/],
      [["r.ndjson", "--html", "-"], /^headrace: --html: "-" is no name of a file to write a page into$/],
      [["copy.ndjson", "--html", "copy.ndjson"], /^headrace: copy\.ndjson: this is what the report is of: /]
    ]
    for (const [args, line] of cases) {
      await writeFile(page(), "old")
      const more = args.includes("--html") ? [] : ["--html", "report.html"]
      const ended = await bench.run(["report", ...args, ...more])
      expect(ended.stderr, args.join(" ")).toMatch(new RegExp(line.source, "m"))
      expect(ended.stderr.trimEnd().split("\n")).toHaveLength(1)
      expect([ended.code, ended.stdout]).toEqual([1, ""])
      expect(await readFile(page(), "utf8")).toBe("old")
    }
    expect((await stat(join(bench.folder, "copy.ndjson"))).size).toBeGreaterThan(100)
    expect(await rest()).toEqual([])
  })

  it.skipIf(process.getuid?.() === 0)("says that a folder may not be written [optional]", async () => {
    const folder = join(bench.folder, "closed")
    await mkdir(folder)
    await chmod(folder, 0o500)
    const ended = await bench.run(["report", "r.ndjson", "--html", "closed/x.html"])
    expect(ended.stderr).toBe("headrace: closed/x.html: the page cannot be written: this may not be written\n")
    expect(ended.code).toBe(1)
  })

  it("that is interrupted leaves nothing beside the page", async () => {
    await writeFile(page(), "old")
    const ended = await bench.run(["report", "-", "--html", "report.html"], {
      stdin: "open",
      during: (child) => {
        child.stdin.write(events)
        const look = setInterval(() => {
          void rest().then((names) => {
            if (names.length === 0) return
            clearInterval(look)
            child.kill("SIGINT")
          })
        }, 20)
      }
    })
    expect(ended.code).toBe(130)
    expect(ended.stderr).toBe("headrace: report: interrupted (SIGINT)\n")
    expect(await readFile(page(), "utf8")).toBe("old")
    expect(await rest()).toEqual([])
  })
})
