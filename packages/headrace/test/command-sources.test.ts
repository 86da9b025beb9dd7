import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { symlink } from "node:fs/promises"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Bench, open } from "./support/command.ts"

describe("sources that are not plain files", () => {
  let bench: Bench
  beforeAll(async () => {
    bench = await open()
  })
  afterAll(() => bench.close())

  const images = () => bench.glance.images.list().map(({ name }) => name)
  const redirected = async (path: string, args: ReadonlyArray<string>) => {
    const stdin = openSync(path, "r")
    const ended = await bench.run(args, { stdin })
    closeSync(stdin)
    return ended
  }

  it("a path that cannot even be looked at is a missing source, not a fault of the program", async () => {
    await symlink("loop", join(bench.folder, "loop"))
    expect(await bench.run(["upload", "loop", "--to", "glance://emb/loop"])).toMatchObject({
      code: 1,
      stderr: "headrace: loop: cannot read 'loop': too many levels of links: nothing was sent, check the source\n"
    })
    expect(await bench.run(["sum", "n".repeat(300)])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^headrace: n{300}: cannot read 'n{300}': the name is too long\n$/)
    })
  })

  it("a folder on standard input is not an empty source", async () => {
    const ended = await redirected(bench.folder, ["upload", "-", "--to", "glance://emb/folder", "--allow-empty"])
    expect(ended).toMatchObject({
      code: 1,
      stderr: "headrace: -: cannot read standard input: it is a folder: nothing was sent, check the source\n"
    })
    expect(images()).not.toContain("folder")
  })

  // The kernel makes them up as they are read, and says that they have no size.
  it.runIf(existsSync("/proc/version"))("a file of the kernel has what can be read from it", async () => {
    const bytes = readFileSync("/proc/version")
    const path = await bench.run(["upload", "/proc/version", "--to", "glance://emb/kernel-path"])
    expect(path).toMatchObject({ code: 0 })
    const stdin = await redirected("/proc/version", ["upload", "-", "--to", "glance://emb/kernel-stdin"])
    expect(stdin).toMatchObject({ code: 0 })
    for (const name of ["kernel-path", "kernel-stdin"]) {
      const image = bench.glance.images.list().find((found) => found.name === name)
      expect(await bench.glance.images.bytes(image!.id)).toEqual(bytes)
    }
  })
})
