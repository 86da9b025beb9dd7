import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmod, cp, mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const command = `
const [what, value] = process.argv.slice(2)
if (what === "exit") process.exitCode = Number(value)
else if (what === "where") console.log(process.cwd())
else if (what === "wait") {
  process.on("SIGTERM", () => process.exit(40))
  setInterval(() => undefined, 1000)
  console.log("waiting")
}`

/** A checkout with the real launcher; its package manager and compiler only do what the launcher needs to see. */
const makeCheckout = async (): Promise<string> => {
  const root = await realpath(await mkdtemp(join(tmpdir(), "headrace-launcher-")))
  const here = join(import.meta.dirname, "../..")
  const write = async (name: string, text: string, mode = 0o644): Promise<void> => {
    await mkdir(dirname(join(root, name)), { recursive: true })
    await writeFile(join(root, name), text)
    await chmod(join(root, name), mode)
  }
  await cp(join(here, "headrace"), join(root, "headrace"))
  for (const name of ["become", "bring", "child", "headrace", "lock", "prepare", "with-tools"]) {
    await cp(join(here, `scripts/${name}.mjs`), join(root, `scripts/${name}.mjs`))
  }
  await mkdir(join(root, "apps"))
  await write("packages/headrace/src/bin.js", command)
  await write(".tools/bin/pnpm", "#!/bin/sh\nmkdir -p node_modules && : > node_modules/.modules.yaml\n", 0o755)
  const bring = await readFile(join(here, "scripts/bring.mjs"), "utf8")
  const version = /pnpmVersion = "(.*)"/.exec(bring)?.[1] ?? ""
  await write(`.tools/pnpm-${version}/node_modules/pnpm/bin/pnpm.mjs`, "")
  await symlink(process.execPath, join(root, ".tools/bin/node"))
  await write("node_modules/.bin/tsc", '#!/bin/sh\ncd "$2" && mkdir -p dist && cp src/bin.js dist/\n', 0o755)
  const bundle = "cd packages/headrace/dist && mkdir -p command && cp bin.js command/headrace.js"
  await write("node_modules/.bin/rolldown", `#!/bin/sh\n${bundle}\n`, 0o755)
  return root
}

interface Outcome {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

const run = async (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly cwd?: string; readonly killOn?: string; readonly killOnError?: string } = {}
): Promise<Outcome> => {
  const child = spawn(program, args, { cwd: options.cwd, stdio: ["ignore", "pipe", "pipe"] })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
    if (options.killOn !== undefined && stdout.includes(options.killOn)) child.kill("SIGTERM")
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
    if (options.killOnError !== undefined && stderr.includes(options.killOnError)) child.kill("SIGTERM")
  })
  const [code, signal] = await once(child, "close")
  return { code, signal, stdout, stderr }
}

describe("launcher", () => {
  let root = ""
  let headrace = ""
  beforeAll(async () => {
    root = await makeCheckout()
    headrace = join(root, "headrace")
  })
  afterAll(() => rm(root, { recursive: true, force: true }))

  it("builds on the first call and says so on stderr only", async () => {
    const first = await run(headrace, ["where"], { cwd: tmpdir() })
    assert.strictEqual(first.stdout, `${await realpath(tmpdir())}\n`)
    assert.include(first.stderr, "building packages/headrace")
    const second = await run(headrace, ["where"])
    assert.strictEqual(second.stderr, "")
  })

  it("builds again when a source has changed", async () => {
    await writeFile(join(root, "packages/headrace/src/bin.js"), `${command}\n// changed\n`)
    assert.include((await run(headrace, ["exit", "0"])).stderr, "building packages/headrace")
    assert.strictEqual((await run(headrace, ["exit", "0"])).stderr, "")
  })

  it("builds again when the output is gone", async () => {
    await rm(join(root, "packages/headrace/dist"), { recursive: true })
    assert.include((await run(headrace, ["exit", "0"])).stderr, "building packages/headrace")
  })

  it("ends with the command's exit code", async () => {
    assert.strictEqual((await run(headrace, ["exit", "7"])).code, 7)
  })

  it("works through symbolic links", async () => {
    await mkdir(join(root, "elsewhere"))
    await symlink("../headrace", join(root, "elsewhere/first"))
    await symlink(join(root, "elsewhere/first"), join(root, "elsewhere/second"))
    assert.strictEqual((await run(join(root, "elsewhere/second"), ["exit", "8"])).code, 8)
  })

  it("hands SIGTERM to the command", async () => {
    assert.strictEqual((await run(headrace, ["wait"], { killOn: "waiting" })).code, 40)
  })

  // says that it is ready, and waits for a signal, but not for ever: nobody else would end one that is left behind
  const waiting = "trap 'exit 41' TERM; echo ready; i=0; while [ $i -lt 150 ]; do i=$((i + 1)); sleep 0.1; done"

  it("ends with the exit code, or the signal, of a development tool", { timeout: 20_000 }, async () => {
    const tools = join(root, "scripts/with-tools.mjs")
    assert.strictEqual((await run(process.execPath, [tools, "sh", "-c", "exit 9"])).code, 9)
    assert.strictEqual((await run(process.execPath, [tools, "sh", "-c", "kill -KILL $$"])).signal, "SIGKILL")
    const killed = await run(process.execPath, [tools, "sh", "-c", waiting], { killOn: "ready" })
    assert.strictEqual(killed.code, 41)
  })

  it("leaves no tool behind when a signal comes just behind its start", { timeout: 20_000 }, async () => {
    const slowly = `import child from "node:child_process"
      import { syncBuiltinESMExports } from "node:module"
      const { spawn } = child
      child.spawn = (...args) => {
        const made = spawn(...args)
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500)
        return made
      }
      syncBuiltinESMExports()`
    const slow = `data:text/javascript,${encodeURIComponent(slowly)}`
    const tools = join(root, "scripts/with-tools.mjs")
    const killed = await run(process.execPath, ["--import", slow, tools, "sh", "-c", waiting], { killOn: "ready" })
    assert.strictEqual(killed.code, 41)
  })

  it("takes the compiler along when it is ended, and leaves no lock", { timeout: 20_000 }, async () => {
    const tsc = join(root, "node_modules/.bin/tsc")
    const compiler = await readFile(tsc, "utf8")
    await writeFile(tsc, `#!/bin/sh\necho compiling >&2\n${waiting}\n`)
    await rm(join(root, "packages/headrace/dist"), { recursive: true })
    const killed = await run(headrace, ["exit", "0"], { killOnError: "compiling\n" })
    assert.strictEqual(killed.signal, "SIGTERM")
    assert.include(killed.stderr, "interrupted (SIGTERM)")
    await writeFile(tsc, compiler)
    const next = await run(headrace, ["exit", "0"])
    assert.strictEqual(next.code, 0)
    assert.notInclude(next.stderr, "waiting for another process")
  })

  it("starts the command in less than half a second", { retry: 3 }, async () => {
    const begin = performance.now()
    await run(headrace, ["exit", "0"])
    assert.isBelow(performance.now() - begin, 500)
  })
})
