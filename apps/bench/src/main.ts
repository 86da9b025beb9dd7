/**
 * Headrace beside other clients, in one run on one machine: each row is the median of whole processes, taken in turns.
 *
 *   node apps/bench/dist/main.js [--rounds N] [--gib N]
 */
import { execFileSync } from "node:child_process"
import { rmSync } from "node:fs"
import { cpus } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { type Figures, folder, measure, median, startSink } from "./measure.ts"

const { values } = parseArgs({ options: { rounds: { type: "string" }, gib: { type: "string" } } })
const rounds = Number(values.rounds ?? 5)
const gib = Number(values.gib ?? 2)
const pipeline = fileURLToPath(new URL("pipeline.js", import.meta.url))
const file = join("/dev/shm", `headrace-bench-${process.pid}`)

interface Row {
  readonly name: string
  readonly command: ReadonlyArray<string>
}

const table = (title: string, rows: ReadonlyArray<Row>, figures: ReadonlyMap<string, ReadonlyArray<Figures>>) => {
  console.log(
    `\n### ${title}\n\n| client | wall s | MiB/s | CPU s/GiB | RSS of the tree, MiB | throughput to the first row |`
  )
  console.log("|---|---|---|---|---|---|")
  const wallOf = (name: string) => median((figures.get(name) ?? []).map((one) => one.wall))
  for (const { name } of rows) {
    const runs = figures.get(name) ?? []
    const wall = wallOf(name)
    const cpu = median(runs.map((one) => one.user + one.sys)) / gib
    const rss = median(runs.map((one) => one.rssTree)) / 1024
    const ratio = wallOf(rows[0]!.name) / wall
    console.log(
      `| ${name} | ${wall.toFixed(2)} | ${((gib * 1024) / wall).toFixed(0)} | ${cpu.toFixed(2)} | ${rss.toFixed(0)} | ${ratio.toFixed(2)} |`
    )
  }
}

const compare = async (title: string, rows: ReadonlyArray<Row>) => {
  const figures = new Map<string, Array<Figures>>()
  for (let round = -1; round < rounds; round++) {
    for (const row of rows) {
      const found = await measure(row.command)
      // The first round warms up what can be warm.
      if (round >= 0) figures.set(row.name, [...(figures.get(row.name) ?? []), found])
    }
  }
  table(title, rows, figures)
}

const node = (...args: ReadonlyArray<string>) => [process.execPath, ...args]

try {
  execFileSync("sh", ["-c", `head -c ${gib * 1024 ** 3} /dev/urandom > "$1"`, "sh", file])
  const sink = await startSink()
  const target = `${sink.url}/v2/images/7d1f6d3a-6f0e-4f4f-9d9d-000000000001/file`
  console.log(`Node ${process.version}, ${cpus().length} × ${cpus()[0]?.model ?? "?"}, ${gib} GiB, median of ${rounds}`)
  await compare("No digests, to a sink that discards in the kernel", [
    { name: "curl -T", command: ["curl", "-sf", "-o", "/dev/null", "-H", "Expect:", "-T", file, target] },
    { name: "headrace, its stages without digests", command: node(pipeline, file, target, "none") }
  ])
  await compare("Digests in WebAssembly while sending, beside the same digest alone", [
    {
      name: "hash-wasm sha512 alone, one thread",
      command: node(fileURLToPath(new URL("alone.js", import.meta.url)), file)
    },
    { name: "headrace, sha512", command: node(pipeline, file, target, "sha512") },
    { name: "headrace, md5 and sha512", command: node(pipeline, file, target, "md5,sha512") }
  ])
  await compare("Native digests while sending", [
    { name: "sha512sum alone", command: ["sha512sum", file] },
    { name: "headrace, sha512 by node:crypto", command: node(pipeline, file, target, "sha512", "native") }
  ])
  sink.stop()
} finally {
  rmSync(file, { force: true })
  rmSync(folder, { recursive: true, force: true })
}
