import { type ChildProcessByStdio, spawn } from "node:child_process"
import { createHash, randomFillSync } from "node:crypto"
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Readable } from "node:stream"
import { fileURLToPath } from "node:url"
import { afterEach, beforeEach, expect, it } from "vitest"

const main = fileURLToPath(new URL("../dist/main.js", import.meta.url))
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "headrace-demo-test-"))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

type Child = ChildProcessByStdio<null, Readable, Readable>

const run = async (
  args: ReadonlyArray<string>,
  onOutput?: (text: string, child: Child) => void,
  temporary: string = folder
) => {
  const child: Child = spawn(process.execPath, [main, ...args], {
    cwd: folder,
    env: { ...process.env, TMPDIR: temporary },
    stdio: ["ignore", "pipe", "pipe"]
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    onOutput?.(stdout, child)
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text))
  // "close" and not "exit": the service holds the same streams, so this waits for its end too.
  const code = await new Promise<number | null>((resolve) => child.on("close", resolve))
  return { code, stdout, stderr }
}

it("uploads the files it is given and shows the proof", async () => {
  const bytes = randomFillSync(new Uint8Array(3_000_000))
  await writeFile(join(folder, "my disk.raw"), bytes)
  const { code, stderr, stdout } = await run(["my disk.raw"])
  const sha512 = createHash("sha512").update(bytes).digest("hex")
  expect(stderr).toMatch(/^glance:\/\/envvars\/my%20disk\.raw\?store=fast: verified\n$/)
  expect(stdout).toContain("verified glance://envvars/my%20disk.raw?store=fast\n")
  expect(stdout).toContain(`${sha512}  computed here by hash-wasm and by the service: equal`)
  expect(stdout).toMatch(new RegExp(`os_hash_value +${sha512}`))
  expect(stdout).toMatch(/status +active/)
  expect(stdout).toContain("./headrace upload ")
  expect(code).toBe(0)
})

it("says what is wrong with a file that is not there", async () => {
  const { code, stderr } = await run(["nosuch"])
  expect(stderr).toMatch(/^headrace: nosuch: .*no such file/m)
  expect(code).toBe(1)
})

it("makes a disk of its own, and tidies up when it is interrupted", async () => {
  let made = false
  const { code, stderr } = await run([], (text, child) => {
    if (made || !text.includes("Made a disk image of 1024 MiB")) return
    made = true
    setTimeout(() => child.kill("SIGINT"), 700)
  })
  expect(made).toBe(true)
  expect(stderr).toMatch(/interrupted \(left behind: none\)/)
  expect(code).toBe(130)
  expect((await readdir(folder)).filter((name) => name.startsWith("headrace-demo-"))).toEqual([])
})

it("says in a line that there is no room for a disk of its own", async () => {
  const nowhere = join(folder, "nosuch")
  const { code, stderr } = await run([], undefined, nowhere)
  expect(stderr).toMatch(/^headrace: \S+: ENOENT: [^\n]+\n$/)
  expect(code).toBe(1)
})
