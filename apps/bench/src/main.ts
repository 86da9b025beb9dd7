/**
 * Headrace beside other clients, in one run on one machine, as the table for docs/benchmarks.md on standard output:
 *
 *   node apps/bench/dist/main.js [SECTION…] [--rounds N] [--gib N] > docs/benchmarks.md
 */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { cpus, release } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { rolldown } from "rolldown"
import type { Bench } from "./bench.ts"
import { compile } from "./measure.ts"
import { batch, lines } from "./sections/batch.ts"
import { digests } from "./sections/digests.ts"
import { fanOut } from "./sections/fanOut.ts"
import { limits } from "./sections/limits.ts"
import { memory } from "./sections/memory.ts"
import { real } from "./sections/real.ts"
import { sending, tls } from "./sections/sending.ts"
import { s3 } from "./sections/s3.ts"
import { small, start } from "./sections/small.ts"
import * as Sink from "./sink.ts"

const sections = { sending, tls, digests, real, memory, limits, small, start, s3, "fan-out": fanOut, batch, lines }

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: "string", default: "5" }, gib: { type: "string", default: "2" } }
})
const unknown = positionals.filter((name) => !Object.hasOwn(sections, name))
if (unknown.length > 0) {
  console.error(`bench: unknown section ${unknown.join(", ")} (allowed: ${Object.keys(sections).join(", ")})`)
  process.exit(1)
}
const rounds = Number(values.rounds)
const gib = Number(values.gib)

const program = (name: string) => fileURLToPath(new URL(`programs/${name}.js`, import.meta.url))

/** Puts a program and all that it imports into one file, as a program that embeds a library is shipped. */
const bundle = async (name: string, folder: string): Promise<string> => {
  // Beside it the thread's own program, where the file that starts it looks for it.
  const digestWorker = fileURLToPath(new URL("../../../packages/node/dist/internal/digestWorker.js", import.meta.url))
  const input = { [name]: program(name), digestWorker }
  const built = await rolldown({ input, platform: "node", logLevel: "silent" })
  await built.write({ dir: join(folder, name), format: "esm" })
  await built.close()
  return join(folder, name, `${name}.js`)
}

/** The testbed's environment has openstacksdk, where the testbed is installed. */
const findPython = async (): Promise<string | undefined> => {
  try {
    const { install } = (await import(new URL("../../../testbed/testbed.ts", import.meta.url).href)) as {
      readonly install: () => Promise<{ readonly venv: string }>
    }
    const python = join((await install()).venv, "bin", "python")
    return existsSync(python) ? python : undefined
  } catch (error) {
    console.error(`bench: without openstacksdk: ${String(error)}`)
    return undefined
  }
}

const versionOf = (command: string, ...args: ReadonlyArray<string>) =>
  execFileSync(command, args, { encoding: "utf8" }).split("\n")[0]!.trim()

const say = (...lines: ReadonlyArray<string>) => console.log(lines.join("\n"))

const header = (python: string | undefined): void => {
  const sdk =
    python === undefined
      ? []
      : [`openstacksdk ${versionOf(python, "-c", "import importlib.metadata as m; print(m.version('openstacksdk'))")}`]
  const machine = `${cpus().length} × ${cpus()[0]?.model ?? "?"}, Linux ${release()}`
  const programs = [`Node ${process.version}`, versionOf("curl", "--version").split(" (")[0]!, ...sdk]
  say(
    "# Benchmarks",
    "",
    "Written by `node apps/bench/dist/main.js > docs/benchmarks.md`, all of it in one run on one machine. Whole processes",
    `from start to end, in turns, medians of ${rounds}; sources in memory. "speed" and "CPU" compare a row with the table's first`,
    "one: the median of the rounds' own ratios, which is what can be quoted; seconds differ from machine to machine.",
    "RSS is the whole process tree's, at its most. The sink is a C program that throws bodies away in the kernel",
    '(`apps/bench/sink.c`). "headrace, its stages" is a program that puts a file through the public stages into one PUT,',
    "bundled into one file; `headrace upload` is the command as it is installed.",
    "",
    `${new Date().toISOString().slice(0, 10)}: ${machine}; ${programs.join(", ")}; ${gib} GiB of random bytes unless said otherwise.`
  )
}

const folder = mkdtempSync("/dev/shm/headrace-bench-")
let sink: Sink.Sink | undefined
try {
  const file = join(folder, "disk")
  execFileSync("sh", ["-c", `head -c ${gib * 1024 ** 3} /dev/urandom > "$1"`, "sh", file])
  const python = await findPython()
  sink = await Sink.start(compile(folder, "sink"))
  const bench: Bench = {
    folder,
    file,
    gib,
    rounds,
    measure: compile(folder, "measure"),
    sink,
    pipeline: await bundle("pipeline", folder),
    s3: await bundle("s3", folder),
    program,
    python,
    say
  }
  header(python)
  for (const [name, section] of Object.entries(sections)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    console.error(`bench: ${name}`)
    await section(bench)
  }
} finally {
  sink?.stop()
  rmSync(folder, { recursive: true, force: true })
}
