/** The most memory that the whole process tree has resident at once. */
import { truncateSync, writeFileSync } from "node:fs"
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { median } from "../measure.ts"
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
    const all = await runInTurns(bench, rows, { rounds: bench.rounds, warmUp: false })
    bench.say(
      "",
      "### Memory of `headrace upload`, sha512",
      "",
      "| what | RSS of the process tree, MiB, at most |",
      "|---|---|"
    )
    for (const [index, { name }] of rows.entries()) {
      bench.say(`| ${name} | ${(median(all[index]!.map(({ rssTree }) => rssTree)) / 1024).toFixed(0)} |`)
    }
  } finally {
    await rm(big)
  }
}
