/** docs/migrate-a-cloud.md, every command as it is written, one after the other. */
import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, readdir, readFile, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Documents from "./support/documents.ts"

const document = "docs/migrate-a-cloud.md"
const root = join(import.meta.dirname, "../..")
const shell = promisify(execFile)

describe(document, () => {
  let folder: string
  let clouds: ReturnType<typeof spawn>
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "headrace-migrate-"))
    // What `npm run clouds` runs once everything is built.
    clouds = spawn(process.execPath, [join(root, "apps/demo/dist/clouds.js")], {
      cwd: folder,
      stdio: ["ignore", "pipe", "inherit"]
    })
    await once(clouds.stdout!, "data")
    await symlink(join(root, "headrace"), join(folder, "headrace"))
  })
  afterAll(async () => {
    const ended = once(clouds, "exit")
    clouds.kill("SIGINT")
    expect(await ended).toEqual([0, null])
    expect(await readdir(folder)).not.toContain("clouds.yaml")
    await rm(folder, { recursive: true })
  })

  it("does what it says", { timeout: 300_000 }, async () => {
    expect(Documents.read(document)).toContain("    npm run clouds\n")
    const said: Array<string> = []
    for (const block of Documents.blocks(document, "sh")) {
      const env = { PATH: process.env["PATH"] ?? "", HOME: folder, NO_COLOR: "1" }
      const { stderr, stdout } = await shell("sh", ["-e", "-c", block], { cwd: folder, env }).catch(
        (error: unknown) => {
          throw new Error(`${block}${String((error as { readonly stderr?: string }).stderr)}`, { cause: error })
        }
      )
      said.push(`${stdout}${stderr}`)
    }
    const all = said.join("")
    expect(all).toContain("6 images would move")
    expect(all).toContain("5 verified")
    expect(all).not.toContain("failed")
    expect((await readFile(join(folder, "receipts.ndjson"), "utf8")).trimEnd().split("\n")).toHaveLength(5)
    expect(await readFile(join(folder, "report.html"), "utf8")).toMatch(/^<!doctype html>/i)

    const list = async (query: string) => {
      const url = /new:[\s\S]*endpoint: (\S+)/.exec(await readFile(join(folder, "clouds.yaml"), "utf8"))![1]!
      const answer = await fetch(`${url}/v2/images?limit=100${query}`)
      return ((await answer.json()) as { readonly images: ReadonlyArray<Readonly<Record<string, unknown>>> }).images
    }
    const images = await list("")
    expect(images.map(({ name }) => name).sort()).toEqual([
      "a",
      "b",
      "build agent",
      "debian-12",
      "initrd-6.8",
      "kernel-6.8",
      "netboot",
      "ubuntu-24.04"
    ])
    const named = (name: string) => images.find((image) => image["name"] === name)!
    expect(named("netboot")).toMatchObject({ kernel_id: named("kernel-6.8")["id"], moved_from: "old" })
    expect(named("build agent")).toMatchObject({ new_team: "ci" })
  })
})
