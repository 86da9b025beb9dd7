import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

describe("a machine that is not as usual", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
    await bench.file("disk.raw", 3_000_000)
  })
  afterAll(() => bench.close())

  const preload = (code: string) => ({ NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` })
  const upload = ["upload", "disk.raw", "--to", "glance://emb/disk", "--progress", "none"]

  it("a Node that is too old is told in a line", async () => {
    const env = preload(
      "Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '20.20.2' } })"
    )
    expect(await bench.run(["--version"], { env })).toMatchObject({
      code: 1,
      stdout: "",
      stderr: "headrace: Node 20.20.2 is too old: run it with Node 22.19 or newer\n"
    })
  })

  it("a current folder that was removed is told in a line", async () => {
    for (const args of [["sum", "/proc/version"], ["sum", "disk.raw"], upload, ["stores", "glance://emb"]]) {
      const env = preload(`process.cwd = () => { throw new Error("ENOENT: uv_cwd") }`)
      expect(await bench.run(args, { env })).toMatchObject({
        code: 1,
        stdout: "",
        stderr: "headrace: current folder: it was removed; change to another one\n"
      })
    }
  })

  it("a user without a home folder", async () => {
    const env = preload(`import os from "node:os"
      import { syncBuiltinESMExports } from "node:module"
      os.homedir = () => { throw new Error("uv_os_homedir returned ENOENT") }
      syncBuiltinESMExports()`)
    const { code, stderr } = await bench.run(upload, { env })
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
    // Where it would have been noted how far it is, that is told, and is no reason to refuse it.
    await bench.file("large.raw", 70 * 1024 * 1024)
    const large = await bench.run(["upload", "large.raw", "--to", "copy.raw", "--progress", "none"], { env })
    expect(large.stderr).toBe(
      "headrace: there is no home folder to note uploads in: an upload that is cut off begins afresh; see --state\n"
    )
    expect(large.code).toBe(0)
    expect(await bench.run(["gc", "copy.raw"], { env })).toMatchObject({ code: 0, stdout: "nothing was left\n" })
    const given = ["upload", "large.raw", "--to", "copy.raw", "--progress", "none", "--state", "state"]
    expect(await bench.run(given, { env })).toMatchObject({ code: 0, stderr: "" })
  })

  it("a home folder that cannot be written to: told, and no reason to refuse an upload", async () => {
    await bench.file("home", 1)
    const env = { XDG_STATE_HOME: join(bench.folder, "home") }
    const args = ["upload", "large.raw", "--to", "copy.raw", "--progress", "none"]
    const { code, stderr } = await bench.run(args, { env })
    expect(stderr).toMatch(
      /^headrace: cannot note an upload in '.*': .*: an upload that is cut off begins afresh; see --state\n$/
    )
    expect(code).toBe(0)
    // A folder that somebody has named is meant.
    const named = await bench.run([...args, "--state", join(bench.folder, "home")])
    expect(named.stderr).toMatch(
      /^headrace: copy\.raw: cannot note an upload in '.*': .*: nothing was sent, correct the configuration\n$/
    )
    expect(named.code).toBe(1)
  })

  it("no more threads: said as what it is, and nothing is left", async () => {
    const env = { NODE_OPTIONS: "--permission --allow-fs-read=*" }
    const why = "no thread can be started for digests: "
    const sum = await bench.run(["sum", "disk.raw", "--progress", "none"], { env })
    expect(sum.stderr).toMatch(new RegExp(`^headrace: disk.raw: ${why}.*\\n$`))
    expect(sum.code).toBe(1)
    const before = bench.glance.images.list().length
    const sent = await bench.run([...upload, "--json"], { env })
    expect(sent.stderr).toMatch(new RegExp(`^headrace: glance://emb/disk: ${why}.*: nothing .*\\n$`))
    expect(JSON.parse(sent.stdout.trimEnd().split("\n").at(-1)!)).toMatchObject({
      type: "receipt",
      destinations: [{ status: "failed", error: { left: "none" } }]
    })
    expect(bench.glance.images.list().length).toBe(before)
  })
})
