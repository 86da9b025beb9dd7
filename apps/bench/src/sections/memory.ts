/** The most memory that the whole process tree has resident at once. */
import { truncateSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { type Bench, cloudAt, headrace, type Row, runInTurns } from "../bench.ts"

export const memory = async (bench: Bench): Promise<void> => {
  const big = join(bench.folder, "sparse")
  writeFileSync(big, "")
  truncateSync(big, 16 * 1024 ** 3)
  const row = (name: string, file: string, ...options: ReadonlyArray<string>): Row => ({
    name,
    command: [...headrace, "upload", file, "--to", "glance://envvars/disk", "--progress", "none", ...options],
    env: cloudAt(bench.sink.url)
  })
  const rows = [
    row(`${bench.gib} GiB`, bench.file),
    row("16 GiB, sparse", big),
    row(`${bench.gib} GiB, \`--memory 16MiB\``, bench.file, "--memory", "16MiB")
  ]
  try {
    // 16 GiB take a minute, and runs differ by little.
    const all = await runInTurns(bench, rows, { rounds: 1, warmUp: false })
    bench.say(
      "",
      "### Memory of `headrace upload`, sha512, one run each",
      "",
      "| what | RSS of the process tree, MiB, at most |",
      "|---|---|"
    )
    for (const [index, { name }] of rows.entries()) {
      bench.say(`| ${name} | ${(all[index]![0]!.rssTree / 1024).toFixed(0)} |`)
    }
  } finally {
    await rm(big)
  }
}
