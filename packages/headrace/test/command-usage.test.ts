import { chmod, mkdir, symlink, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

const to = ["--to", "glance://emb/x"]

describe("what is wrong before any destination is asked", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
    await bench.file("disk.raw", 1000)
    await mkdir(join(bench.folder, "folder"))
    await symlink("folder", join(bench.folder, "link"))
    await writeFile(join(bench.folder, "locked"), "x")
    await chmod(join(bench.folder, "locked"), 0o000)
  })
  afterAll(() => bench.close())

  const cases: ReadonlyArray<readonly [what: string, args: ReadonlyArray<string>, line: RegExp]> = [
    [
      "no command",
      [],
      /^headrace: COMMAND: say what to do, such as upload, run, plan or verify; headrace --help explains$/
    ],
    ["an unknown command", ["uplod"], /^headrace: "uplod": there is no such command; did you mean upload\?/],
    ["no source", ["upload"], /^headrace: SOURCE: this argument is missing; headrace upload --help explains$/],
    ["no destination", ["upload", "disk.raw"], /^headrace: --to: this option is missing/],
    [
      "an unknown option",
      ["upload", "disk.raw", ...to, "--limt", "1"],
      /^headrace: --limt: there is no such option; did you mean --limit\?/
    ],
    [
      "an option without value",
      ["upload", "disk.raw", ...to, "--retries"],
      /^headrace: --retries: its value is missing/
    ],
    [
      "an option twice",
      ["upload", "disk.raw", ...to, "--limit", "1MB/s", "--limit", "2MB/s"],
      /^headrace: --limit: this option is given more than once/
    ],
    ["two sources", ["upload", "disk.raw", "more", ...to], /^headrace: "more": more arguments than this command takes/],
    [
      "no rate",
      ["upload", "disk.raw", ...to, "--limit", "fast"],
      /^headrace: --limit: "fast" is not a rate: write .*50MiB\/s/
    ],
    [
      "no timetable",
      ["upload", "disk.raw", ...to, "--limit", "25:00,1MB/s"],
      /^headrace: --limit: "25:00,1MB\/s" .*08:00,50MiB\/s/
    ],
    [
      "no algorithm",
      ["upload", "disk.raw", ...to, "--digest", "md6"],
      /^headrace: --digest: "md6" is not an algorithm: write some of md5, .*crc64nvme$/
    ],
    ["no digest", ["upload", "disk.raw", ...to, "--expect", "abc"], /^headrace: --expect: "abc" is not ALGO:HEX/],
    [
      "a digest too short",
      ["upload", "disk.raw", ...to, "--expect", "sha256:abcd"],
      /^headrace: --expect: a sha256 has 64 hexadecimal digits, this one has 4$/
    ],
    [
      "a digest not in hex",
      ["upload", "disk.raw", ...to, "--expect", "crc32c:zzzzzzzz"],
      /^headrace: --expect: a crc32c has 8 hexadecimal digits/
    ],
    [
      "no level",
      ["upload", "disk.raw", ...to, "--verify", "all"],
      /^headrace: --verify: "all" is not one of transfer, source, destination$/
    ],
    [
      "no number",
      ["upload", "disk.raw", ...to, "--retries", "-1"],
      /^headrace: --retries: "-1" is not a number of attempts/
    ],
    [
      "no duration",
      ["upload", "disk.raw", ...to, "--stall", "60"],
      /^headrace: --stall: "60" is not a duration: write .*60s/
    ],
    [
      "a duration of nothing",
      ["upload", "disk.raw", ...to, "--answer", "0s"],
      /^headrace: --answer: "0s" is out of range/
    ],
    [
      "no size",
      ["upload", "disk.raw", ...to, "--memory", "lots"],
      /^headrace: --memory: "lots" is not a size: write .*64MiB/
    ],
    [
      "too little memory",
      ["upload", "disk.raw", ...to, "--memory", "1MiB"],
      /^headrace: --memory: "1MiB" is too little: write at least 4MiB$/
    ],
    [
      "more memory than there is",
      ["upload", "disk.raw", ...to, "--memory", "8000TiB"],
      /^headrace: --memory: "8000TiB" is more than this machine has/
    ],
    [
      "no display",
      ["upload", "disk.raw", ...to, "--progress", "bars"],
      /^headrace: --progress: "bars" is not one of auto, plain, none$/
    ],
    [
      "no hasher",
      ["upload", "disk.raw", ...to, "--hasher", "gpu"],
      /^headrace: --hasher: "gpu" is not one of wasm, native$/
    ],
    [
      "a missing file",
      ["upload", "nosuch", ...to],
      /^headrace: nosuch: .*no such file.*: nothing was sent, check the source$/
    ],
    ["a folder", ["upload", "folder", ...to], /^headrace: folder: .*folder.*: nothing was sent/],
    [
      "an unknown scheme",
      ["upload", "ftp://me:pw@h/f?k=v", ...to],
      /^headrace: ftp:\/\/h\/f: unknown scheme "ftp"; known for a source: .*glance:/
    ],
    [
      "a file URI with a host",
      ["upload", "file://disk.raw", ...to],
      /^headrace: file:\/\/disk\.raw: a file URI is file:\/\/\/PATH/
    ],
    ["a source that is no URL", ["upload", "http://", ...to], /^headrace: http:\/\/: this is not a URL$/],
    [
      "a source without a key",
      ["upload", "s3://bucket", ...to],
      /^headrace: s3:\/\/bucket: the object's key is missing/
    ],
    [
      "a source without an object",
      ["upload", "swift://c/o", ...to],
      /^headrace: swift:\/\/c\/o: the object is missing/
    ],
    [
      "an unknown cloud",
      ["upload", "disk.raw", "--to", "glance://nocloud/x"],
      /^headrace: glance:\/\/nocloud\/x: .*nocloud.*emb.*: nothing was sent, correct the configuration$/
    ],
    [
      "an unknown parameter",
      ["upload", "disk.raw", "--to", "glance://emb/x?size=1"],
      /^headrace: glance:\/\/emb\/x\?size=…: unknown parameter "size"; known .*store, disk_format/
    ],
    [
      "an image without a name",
      ["upload", "disk.raw", "--to", "glance://emb"],
      /^headrace: glance:\/\/emb: the image's name is missing/
    ],
    [
      "a destination twice",
      ["upload", "disk.raw", ...to, ...to],
      /^headrace: glance:\/\/emb\/x: this destination is given twice/
    ],
    [
      "a file twice",
      ["upload", "disk.raw", "--to", "copy.raw", "--also", "./copy.raw"],
      /^headrace: \.\/copy\.raw: this destination is given twice/
    ],
    [
      "the source itself",
      ["upload", "disk.raw", "--to", "./disk.raw"],
      /^headrace: \.\/disk\.raw: this is the source itself$/
    ],
    [
      "a file twice, by a link",
      ["upload", "disk.raw", "--to", "folder/copy.raw", "--to", "link/copy.raw"],
      /^headrace: link\/copy\.raw: this destination is given twice/
    ],
    [
      "an object twice",
      ["upload", "disk.raw", "--to", "s3://bucket/k?part_size=8MiB", "--also", "s3://bucket/%6b"],
      /^headrace: s3:\/\/bucket\/k: this destination is given twice/
    ],
    ["only best effort", ["upload", "disk.raw", "--also", "copy.raw"], /^headrace: --to: this option is missing/],
    [
      "an unknown parameter of s3",
      ["upload", "disk.raw", "--to", "s3://b/k?acl=private"],
      /^headrace: s3:\/\/b\/k: unknown parameter "acl"; known for a destination: endpoint, region, profile, part_size/
    ],
    [
      "an unknown parameter of swift",
      ["upload", "disk.raw", "--to", "swift://c/o/k?acl=1"],
      /^headrace: swift:\/\/c\/o\/k\?acl=…: unknown parameter "acl" of a destination: known are segment_size/
    ],
    [
      "an unknown cloud of swift",
      ["upload", "disk.raw", "--to", "swift://nocloud/o/k"],
      /^headrace: swift:\/\/nocloud\/o\/k: .*nocloud.*emb.*: nothing was sent, correct the configuration$/
    ],
    [
      "a query of a file URI",
      ["upload", "disk.raw", "--to", "file:///tmp/x?y=1"],
      /^headrace: file:\/\/\/tmp\/x\?y=1: a file URI takes no query/
    ],
    ["no folder for notes", ["upload", "disk.raw", ...to, "--state", ""], /^headrace: --state: /],
    [
      "stdout as destination",
      ["upload", "disk.raw", "--to", "-"],
      /^headrace: -: standard output cannot be a destination/
    ],
    ["verifying a stdin again", ["upload", "-", ...to, "--verify", "source"], /^headrace: -: .*read again/],
    [
      "a manifest that is not there",
      ["run", "MANIFEST"],
      /^headrace: MANIFEST: it cannot be read: there is no such file$/
    ],
    [
      "a plan of no cloud",
      ["plan", "--from", "a", "--to", "b/"],
      /^headrace: a: a plan is made of the images of a cloud/
    ],
    ["sum of no algorithm", ["sum", "disk.raw", "--digest", "x"], /^headrace: --digest: "x" is not an algorithm/],
    ["stores of no cloud", ["stores", "glance://nocloud"], /^headrace: glance:\/\/nocloud: .*nocloud/],
    ["stores of no scheme", ["stores", "ftp://h/x"], /^headrace: ftp:\/\/h\/x: unknown scheme "ftp"/],
    ["gc of nothing", ["gc"], /^headrace: DEST: this argument is missing/],
    ["gc of no cloud", ["gc", "swift://nocloud/c"], /^headrace: swift:\/\/nocloud\/c: .*nocloud/],
    ["gc of no age", ["gc", "s3://b", "--older-than", "old"], /^headrace: --older-than: "old" is not a duration/]
  ]

  it.each(cases)("%s: one line, exit code 1, no request", async (_what, args, line) => {
    const { code, stderr, stdout } = await bench.run(args)
    expect(stderr.endsWith("\n")).toBe(true)
    expect(stderr.slice(0, -1)).toMatch(line)
    expect(stderr.slice(0, -1)).not.toContain("\n")
    expect(stdout).toBe("")
    expect(code).toBe(1)
    expect(bench.glance.requests).toEqual([])
  })

  // Root may read everything.
  it.skipIf(process.getuid?.() === 0)("[optional] a source that may not be read", async () => {
    const { code, stderr } = await bench.run(["upload", "locked", ...to])
    expect(stderr).toMatch(/^headrace: locked: .*permission.*\n$/i)
    expect(code).toBe(1)
  })

  it("a failure before the start still ends with a receipt for programs", async () => {
    const { code, stdout } = await bench.run(["upload", "nosuch", ...to, "--json"])
    expect(code).toBe(1)
    const last = JSON.parse(stdout.trimEnd().split("\n").at(-1)!) as Record<string, unknown>
    expect(last).toMatchObject({ type: "receipt", source: { uri: "nosuch", size: null } })
  })

  it("--help, --version and --completions go to standard output", async () => {
    for (const args of [["--help"], ["upload", "--help"], ["sum", "-h"], ["gc", "--help"], ["run", "--help"]]) {
      const { code, stderr, stdout } = await bench.run(args)
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(/USAGE/)
      expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThan(140)
    }
    const version = await bench.run(["--version"])
    expect(version.stdout).toMatch(/^headrace v\d+\.\d+\.\d+\S*\n$/)
    for (const shell of ["bash", "zsh", "fish"]) {
      const { code, stdout } = await bench.run(["--completions", shell])
      expect(code).toBe(0)
      expect(stdout).toContain("keep-failed")
    }
  })

  it("says every option of upload in its help", async () => {
    const { stdout } = await bench.run(["upload", "--help"])
    const options =
      "to also limit digest expect verify retries stall answer memory progress json dry-run hasher keep-failed allow-empty no-resume state"
    for (const option of options.split(" ")) expect(stdout).toContain(`--${option} `)
  })
})
